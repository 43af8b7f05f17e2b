//! `cargo xtask replay`: goes on from every dump of a network, and from its decisions; each must end in the same artifact.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;
use crate::{process, zoo};

/// Arguments of `cargo xtask replay`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The CPU to compile for
    #[arg(long, default_value = "znver4")]
    pub(crate) cpu: String,
    /// Names of networks; by default those of the zoo, the symbolic ones and the graphs of the algebra
    pub(crate) names: Vec<String>,
}

/// Runs `cargo xtask replay`. All are tried, so that one run names every bad one.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let (mut tried, mut wrong) = (0, Vec::new());
    for set in zoo::EACH_ONCE {
        let mut names = set.names(workspace)?;
        names.retain(|name| args.names.is_empty() || args.names.contains(name));
        for name in &names {
            let models = zoo::cached(workspace, set, std::slice::from_ref(name))?;
            let replay = Replay::new(workspace, models.join(format!("{name}.onnx")), &args.cpu)?;
            let found = replay.run()?;
            println!("{name}: {} of {} differ", found.wrong.len(), found.tried);
            tried += found.tried;
            wrong.extend(found.wrong.into_iter().map(|what| format!("{name} from {what}")));
        }
    }
    if tried == 0 {
        bail!("no network is called {}", args.names.join(" or "));
    }
    if !wrong.is_empty() {
        bail!("{} of {tried} artifacts differ: {}", wrong.len(), wrong.join(", "));
    }
    Ok(())
}

/// One network.
struct Replay {
    mlcc: PathBuf,
    model: PathBuf,
    cpu: String,
    /// For all that is written.
    folder: PathBuf,
}

/// How many artifacts were made, and from what those that differ.
#[derive(Default)]
struct Found {
    tried: usize,
    wrong: Vec<String>,
}

impl Replay {
    fn new(workspace: &Workspace, model: PathBuf, cpu: &str) -> Result<Self> {
        let folder = workspace.build().join("replay");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder)?;
        Ok(Self { mlcc: workspace.build_mlcc()?, model, cpu: cpu.to_owned(), folder })
    }

    fn run(&self) -> Result<Found> {
        let (dumps, decisions) = (self.folder.join("ir"), self.folder.join("decisions.txt"));
        let mut first = self.compile(&self.model);
        first.arg("--dump-ir").arg(&dumps).arg("--dump-decisions").arg(&decisions);
        let expected = self.artifact(first)?;
        let mut found = Found::default();
        let mut again = self.compile(&self.model);
        again.arg("--decisions").arg(&decisions);
        self.compare(again, &expected, "decisions", &mut found)?;
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&dumps)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        for name in names {
            let phase = name.split('-').nth(1).unwrap_or_default();
            if ["import", "graph", "tensor"].contains(&phase) {
                let mut resume = self.compile(&dumps.join(&name));
                resume.args(["--from", phase, "--weights"]).arg(&self.model);
                self.compare(resume, &expected, &name, &mut found)?;
            }
        }
        std::fs::remove_dir_all(&self.folder)?;
        Ok(found)
    }

    fn compile(&self, file: &Path) -> Command {
        let mut command = Command::new(&self.mlcc);
        command.arg("compile").arg(file).args(["--target-cpu", &self.cpu]);
        command
    }

    fn compare(&self, command: Command, expected: &[u8], what: &str, found: &mut Found) -> Result<()> {
        found.tried += 1;
        if self.artifact(command)? != expected {
            found.wrong.push(what.to_owned());
        }
        Ok(())
    }

    fn artifact(&self, mut command: Command) -> Result<Vec<u8>> {
        let file = self.folder.join("artifact.mlcc");
        process::quietly(command.arg("-o").arg(&file))?;
        std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))
    }
}
