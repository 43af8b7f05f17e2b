//! `--dump-ir DIR`: the IR after each pass that changed something, one numbered file each.
//!
//! A dump parses back (`mlcc opt`, `--from`); large constants stand in it by identity and live in the
//! model's file.

use crate::{
    phase::Phase,
    pipeline::{Ir, Observer},
};
use mlcc_ir::diagnostic::Diagnostic;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Writes dumps and collects the phases' times.
pub struct Recorder {
    folder: Option<PathBuf>,
    written: usize,
    /// Time of each phase, in order.
    pub times: Vec<(Phase, Duration)>,
    progress: Option<indicatif::ProgressBar>,
}

impl Recorder {
    /// A recorder; `folder` is made if it does not exist, old dumps in it are removed.
    ///
    /// # Errors
    /// If the folder cannot be made.
    pub fn new(folder: Option<&Path>, progress: bool) -> Result<Recorder, Diagnostic> {
        if let Some(folder) = folder {
            let failed = |e| {
                Diagnostic::user(format!("cannot write dumps to '{}': {e}", folder.display()))
                    .hint("name a folder that you may write to")
            };
            std::fs::create_dir_all(folder).map_err(failed)?;
            for entry in std::fs::read_dir(folder).map_err(failed)? {
                let path = entry.map_err(failed)?.path();
                if is_dump(&path) {
                    std::fs::remove_file(&path).map_err(failed)?;
                }
            }
        }
        let progress = progress.then(|| {
            let style = indicatif::ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} kernels");
            let bar = indicatif::ProgressBar::new(0);
            style.map_or(bar.clone(), |style| bar.with_style(style)).with_message("compiling")
        });
        Ok(Recorder { folder: folder.map(Path::to_path_buf), written: 0, times: Vec::new(), progress })
    }

    /// The phases' times as one line.
    #[must_use]
    pub fn times_line(&self) -> String {
        let parts: Vec<String> = self
            .times
            .iter()
            .map(|(phase, time)| format!("{phase} {:.0} ms", time.as_secs_f64() * 1e3))
            .collect();
        let total: f64 = self.times.iter().map(|(_, t)| t.as_secs_f64()).sum();
        format!("{}, total {:.0} ms", parts.join(", "), total * 1e3)
    }
}

/// `NN-phase-pass.mlir`.
fn is_dump(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let numbered =
        name.split('-').next().is_some_and(|n| n.len() >= 2 && n.bytes().all(|b| b.is_ascii_digit()));
    numbered && path.extension().is_some_and(|e| e == "mlir")
}

impl Observer for Recorder {
    fn after_pass(&mut self, phase: Phase, pass: &str, changes: usize, ir: Ir<'_>) -> Result<(), Diagnostic> {
        let Some(folder) = &self.folder else { return Ok(()) };
        if changes == 0 {
            return Ok(());
        }
        let mlir = mlcc_mlir::MlirContext::new();
        let text = match ir {
            Ir::Graph(graph) => mlir.print_graph(graph)?,
            Ir::Program(program) => mlir.print_program(program)?,
            Ir::Nests(kernels) => {
                let nests: Vec<_> = kernels.iter().map(|k| k.nest.clone()).collect();
                mlir.print_nests(&nests)?
            }
        };
        let path = folder.join(format!("{:02}-{phase}-{pass}.mlir", self.written));
        std::fs::write(&path, text)
            .map_err(|e| Diagnostic::user(format!("cannot write '{}': {e}", path.display())))?;
        self.written += 1;
        Ok(())
    }

    fn after_phase(&mut self, phase: Phase, time: Duration) {
        tracing::info!(%phase, ms = time.as_secs_f64() * 1e3, "phase done");
        if phase == Phase::Llvm
            && let Some(bar) = &self.progress
        {
            bar.finish_and_clear();
        }
        self.times.push((phase, time));
    }

    fn progress(&self, done: usize, total: usize) {
        if let Some(bar) = &self.progress {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        }
    }
}
