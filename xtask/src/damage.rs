//! `cargo xtask damage`: damages 100 000 artifacts; each must be refused or give the right values.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::workspace::Workspace;

/// The program takes about half a minute on two cores, so only a case that hangs takes this long.
const LIMIT: Duration = Duration::from_secs(900);

/// Arguments of `cargo xtask damage`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many artifacts to damage
    #[arg(long, default_value_t = 100_000)]
    cases: u64,
    /// What the damage is made from, with the number of each case
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only try this case
    #[arg(long)]
    case: Option<u64>,
}

/// Runs `cargo xtask damage`.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let mlcc = workspace.build_mlcc()?;
    let build = ["build", "--release", "--package", "mlcc-tests", "--example", "damage"];
    process::run(workspace.cargo().args(build))?;
    std::fs::create_dir_all(workspace.build())?;
    let marker = workspace.build().join("damage.marker");
    let mut command = Command::new(workspace.target.join("release/examples/damage"));
    command.env("MLCC_BINARY", mlcc).arg("--marker").arg(&marker);
    command.args(["--cases", &args.cases.to_string(), "--seed", &args.seed.to_string()]);
    if let Some(case) = args.case {
        command.args(["--case", &case.to_string()]);
    }
    eprintln!("$ {}", process::line(&command));
    let mut child = command.spawn().context("cannot start the program that damages artifacts")?;
    // Not `process::run`, for whoever hangs or crashes says nothing: the marker knows the case.
    match process::wait(&mut child, LIMIT) {
        Ok(status) if status.success() => Ok(()),
        Ok(status) if status.code().is_some() => bail!("damaged artifacts were not refused: {status}"),
        Ok(status) => bail!("a damaged artifact crashed the runtime: {status}; {}", cases(&marker, args)),
        Err(error) => Err(error.context(format!("a damaged artifact hangs; {}", cases(&marker, args)))),
    }
}

/// The cases that were tried last, and how to try them again.
fn cases(marker: &std::path::Path, args: &Args) -> String {
    format!(
        "it is one of the cases {}\n\nhint: try one with `cargo xtask damage --seed {} --case N`",
        process::cases(marker),
        args.seed
    )
}

impl Default for Args {
    fn default() -> Self {
        Self { cases: 100_000, seed: 1, case: None }
    }
}
