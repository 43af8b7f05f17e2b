//! `cargo xtask damage` and `cargo xtask fuzz`: programs that try 100 000 numbered cases each.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::workspace::Workspace;

/// How long a run may take for each thousand cases, beyond what it always may: a second is a hundred times of what it
/// takes. A case that hangs ends the program long before.
const LIMIT: Duration = Duration::from_secs(300);
/// Memory of a program in KiB: an input that wants more has exhausted it.
const MEMORY: u64 = 16 << 20;

/// A program and what it tries.
pub(crate) struct Program {
    /// Its name, which is the subcommand's, too.
    pub(crate) name: &'static str,
    /// The package that has it as an example.
    pub(crate) package: &'static str,
    /// What it means that a case fails.
    pub(crate) failed: &'static str,
}

/// Which cases.
#[derive(Clone, Copy, clap::Args)]
pub(crate) struct Args {
    /// How many cases to try
    #[arg(long, default_value_t = 100_000)]
    pub(crate) cases: u64,
    /// What cases are made from, with the number of each
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Only try this case; its input is kept in build/, in a folder named after the command
    #[arg(long)]
    pub(crate) case: Option<u64>,
}

impl Default for Args {
    fn default() -> Self {
        Self { cases: 100_000, seed: 1, case: None }
    }
}

impl Program {
    /// Builds the program and runs it; `prepare` adds to its command.
    pub(crate) fn run(
        &self,
        workspace: &Workspace,
        args: Args,
        prepare: impl FnOnce(&mut Command),
    ) -> Result<()> {
        let Program { name, package, failed } = self;
        process::run(workspace.cargo().args([
            "build",
            "--release",
            "--package",
            package,
            "--example",
            name,
        ]))?;
        let keep = workspace.build().join(name);
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -v {MEMORY}; exec \"$0\" \"$@\"")]);
        command.arg(workspace.target.join("release/examples").join(name)).arg("--keep").arg(&keep);
        command.args(["--cases", &args.cases.to_string(), "--seed", &args.seed.to_string()]);
        if let Some(case) = args.case {
            command.args(["--case", &case.to_string()]);
        }
        prepare(&mut command);
        eprintln!("$ {}", process::line(&command));
        let mut child = command.spawn().with_context(|| format!("cannot start the program '{name}'"))?;
        // Not `process::run`, for whoever hangs or crashes says nothing: the marker knows the case.
        let hint = format!("hint: try one with `cargo xtask {name} --seed {} --case N`", args.seed);
        let tried = || format!("it is one of the cases {}\n\n{hint}", cases(&keep.join("marker")));
        match process::wait(&mut child, LIMIT + Duration::from_secs(args.cases / 1000)) {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => match status.code() {
                // A shell that executed it could report a signal this way.
                Some(code) if code < 128 => bail!("{failed}\n\n{hint}; the inputs are in {}", keep.display()),
                _ => bail!("a case crashed the program: {status}; {}", tried()),
            },
            Err(error) => Err(error.context(tried())),
        }
    }
}

/// The cases that a program tried last, as its marker has them: one number for each of its threads.
fn cases(marker: &std::path::Path) -> String {
    let bytes = std::fs::read(marker).unwrap_or_default();
    let numbers = bytes.as_chunks::<8>().0.iter().map(|number| u64::from_le_bytes(*number).to_string());
    numbers.collect::<Vec<_>>().join(", ")
}
