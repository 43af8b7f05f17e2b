//! `cargo xtask fuzz`: feeds damaged texts and models to the parsers; each must give a value or an error.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::workspace::Workspace;

/// How long a run may take for each thousand cases, beyond what it always may: a second is a hundred times of what it
/// takes. A case that hangs ends the program long before.
const LIMIT: Duration = Duration::from_secs(300);
/// Memory of the program in KiB: an input that wants more has exhausted it.
const MEMORY: u64 = 16 << 20;

/// Arguments of `cargo xtask fuzz`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many inputs to try
    #[arg(long, default_value_t = 100_000)]
    cases: u64,
    /// What inputs are made from, with the number of each case
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only try this parser: graph, program, nests, expression, step, option, model, tensor or array
    #[arg(long)]
    target: Option<String>,
    /// Only try this case; its input is kept in build/fuzz
    #[arg(long)]
    case: Option<u64>,
}

/// Runs `cargo xtask fuzz`.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let build = ["build", "--release", "--package", "mlcc", "--example", "fuzz"];
    process::run(workspace.cargo().args(build))?;
    let keep = workspace.build().join("fuzz");
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -v {MEMORY}; exec \"$0\" \"$@\"")]);
    command.arg(workspace.target.join("release/examples/fuzz")).arg("--keep").arg(&keep);
    command.args(["--cases", &args.cases.to_string(), "--seed", &args.seed.to_string()]);
    if let Some(target) = &args.target {
        command.args(["--target", target]);
    }
    if let Some(case) = args.case {
        command.args(["--case", &case.to_string()]);
    }
    eprintln!("$ {}", process::line(&command));
    let mut child = command.spawn().context("cannot start the program that fuzzes")?;
    // Not `process::run`, for whoever crashes says nothing: the marker knows the case.
    let status = process::wait(&mut child, LIMIT + Duration::from_secs(args.cases / 1000))?;
    match status.code() {
        Some(0) => Ok(()),
        Some(code) if code < 128 => bail!(
            "parsers did not stand their inputs\n\nhint: try one with `cargo xtask fuzz --seed {} --case N`; the inputs \
             are in {}",
            args.seed,
            keep.display()
        ),
        _ => {
            let cases = process::cases(&keep.join("marker"));
            bail!(
                "a parser crashed: {status}; it is one of the cases {cases}\n\nhint: try one with `cargo xtask fuzz \
                 --seed {} --case N`",
                args.seed
            )
        }
    }
}

impl Default for Args {
    fn default() -> Self {
        Self { cases: 100_000, seed: 1, target: None, case: None }
    }
}
