//! `--dump-ir DIR`: the IR after each pass that changed something, in one numbered file each.
//!
//! A dump parses back (`mlcc opt`, `--from`). Large constants are references by identity; their data is
//! in the model's file.

use crate::{codegen::ScheduledKernel, observer::Observer, phase::Phase};
use mlcc_ir::{diagnostic::Diagnostic, graph::Graph, nest::LoopNest};
use mlcc_passes::{
    config::Config,
    graph::rewrite::Report,
    registry::{Events, IrRef},
    schedule,
    strassen::strassen_products,
};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Writes dumps and collects the phases' times.
pub struct Recorder {
    folder: Option<PathBuf>,
    /// The kernel whose schedule is shown step by step, given by its name or by the name of an ONNX node
    /// in it.
    steps_of: Option<String>,
    written: usize,
    /// Time of each phase, in order.
    pub times: Vec<(Phase, Duration)>,
    /// The effects of the algebraic rules.
    pub rewrites: Option<Report>,
    /// Products that are computed by Strassen's algorithm, with the estimated seconds that each saves.
    pub products: Vec<(strassen_products::Changed, f64)>,
    progress: Option<indicatif::ProgressBar>,
}

impl Recorder {
    /// A recorder; `folder` is made if it does not exist, old dumps in it are removed.
    ///
    /// # Errors
    /// If the folder cannot be made.
    pub fn new(
        folder: Option<&Path>,
        steps_of: Option<&str>,
        progress: bool,
    ) -> Result<Recorder, Diagnostic> {
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
        Ok(Recorder {
            folder: folder.map(Path::to_path_buf),
            steps_of: steps_of.map(str::to_owned),
            written: 0,
            times: Vec::new(),
            rewrites: None,
            products: Vec::new(),
            progress,
        })
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

impl Recorder {
    fn write(&mut self, folder: &Path, name: &str, text: &str) -> Result<(), Diagnostic> {
        let path = folder.join(format!("{:02}-{name}.mlir", self.written));
        std::fs::write(&path, text)
            .map_err(|e| Diagnostic::user(format!("cannot write '{}': {e}", path.display())))?;
        self.written += 1;
        Ok(())
    }

    /// Writes one file for each primitive, for the first requested kernel; the step is in the file's
    /// first line.
    fn write_steps(
        &mut self,
        folder: &Path,
        kernels: &[ScheduledKernel],
        mlir: &mlcc_mlir::MlirContext,
    ) -> Result<(), Diagnostic> {
        let Some(wanted) = self.steps_of.clone() else { return Ok(()) };
        let matches =
            |k: &&ScheduledKernel| *k.kernel.name == *wanted || k.nodes.iter().any(|n| **n == *wanted);
        if let Some(scheduled) = kernels.iter().find(matches) {
            let mut steps = Vec::new();
            let naive = naive(scheduled)?;
            schedule::apply(&naive, &scheduled.decision.schedule, &mut |step, nest| {
                steps.push((step.to_string(), nest.clone()));
            })?;
            for (step, nest) in steps {
                let text = format!("// {step}\n{}", mlir.print_nests(&[nest])?);
                let primitive = step.split('(').next().unwrap_or("step");
                self.write(folder, &format!("loop-{}-{primitive}", scheduled.kernel.name), &text)?;
            }
            return Ok(());
        }
        let mut names: Vec<&str> = kernels.iter().map(|k| &*k.kernel.name).collect();
        names.sort_unstable();
        names.dedup();
        Err(Diagnostic::user(format!("no kernel or node is called '{wanted}'"))
            .hint(format!("the kernels are {}", names.join(", "))))
    }
}

/// The kernels' loops before any primitive.
fn naive_nests(kernels: &[ScheduledKernel]) -> Result<Vec<LoopNest>, Diagnostic> {
    kernels.iter().map(naive).collect()
}

fn naive(scheduled: &ScheduledKernel) -> Result<LoopNest, Diagnostic> {
    Ok(LoopNest { ranges: scheduled.nest.ranges.clone(), ..schedule::naive(&scheduled.kernel)? })
}

/// `NN-phase-pass.mlir`.
fn is_dump(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let numbered =
        name.split('-').next().is_some_and(|n| n.len() >= 2 && n.bytes().all(|b| b.is_ascii_digit()));
    numbered && path.extension().is_some_and(|e| e == "mlir")
}

impl Recorder {
    fn write_graph(&mut self, phase: Phase, pass: &str, graph: &Graph) -> Result<(), Diagnostic> {
        let Some(folder) = self.folder.clone() else { return Ok(()) };
        let text = mlcc_mlir::MlirContext::new().print_graph(graph)?;
        self.write(&folder, &format!("{phase}-{pass}"), &text)
    }
}

impl Events for Recorder {
    fn after_pass(&mut self, pass: &str, changes: usize, ir: IrRef<'_>) -> Result<(), Diagnostic> {
        let Some(folder) = self.folder.clone().filter(|_| changes > 0) else { return Ok(()) };
        match ir {
            IrRef::Graph(graph) => self.write_graph(Phase::Graph, pass, graph),
            IrRef::Program(program) => {
                let text = mlcc_mlir::MlirContext::new().print_program(program)?;
                self.write(&folder, &format!("{}-{pass}", Phase::Tensor), &text)
            }
        }
    }

    fn rewritten(&mut self, report: &Report) {
        // Operators are recognised before others are rewritten. Each of the two steps gives a report.
        let all = self.rewrites.get_or_insert_default();
        all.blocks.extend_from_slice(&report.blocks);
        all.dropped.extend_from_slice(&report.dropped);
        all.declined.extend_from_slice(&report.declined);
        all.weight_growth = all.weight_growth.saturating_add(report.weight_growth);
    }

    fn products_changed(&mut self, changed: &[strassen_products::Changed], config: &Config) {
        // Both estimates are for one core.
        let vectors_per_second = config.rates.flops / (2 * config.strassen.lanes) as f64;
        self.products.extend(changed.iter().map(|c| (c.clone(), c.gain / vectors_per_second)));
    }
}

impl Observer for Recorder {
    fn imported(&mut self, graph: &Graph) -> Result<(), Diagnostic> {
        self.write_graph(Phase::Import, "import", graph)
    }

    fn scheduled(&mut self, kernels: &[ScheduledKernel]) -> Result<(), Diagnostic> {
        let Some(folder) = self.folder.clone() else { return Ok(()) };
        let mlir = mlcc_mlir::MlirContext::new();
        self.write(&folder, "loop-naive", &mlir.print_nests(&naive_nests(kernels)?)?)?;
        self.write_steps(&folder, kernels, &mlir)?;
        let nests: Vec<_> = kernels.iter().map(|k| k.nest.clone().into_inner()).collect();
        self.write(&folder, &format!("{}-schedule", Phase::Loop), &mlir.print_nests(&nests)?)
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

    fn progress(&mut self, done: usize, total: usize) {
        if let Some(bar) = &self.progress {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        }
    }
}
