//! `cargo xtask fuzz`: feeds damaged texts and models to the parsers; each must give a value or an error.

use anyhow::Result;

use crate::cases::{self, Program};
use crate::workspace::Workspace;

const PROGRAM: Program =
    Program { name: "fuzz", package: "mlcc", failed: "parsers did not stand their inputs" };

/// Arguments of `cargo xtask fuzz`.
#[derive(Default, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    cases: cases::Args,
    /// Only try this parser: graph, program, nests, expression, step, option, model, tensor or array
    #[arg(long)]
    target: Option<String>,
}

/// Runs `cargo xtask fuzz`.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    PROGRAM.run(workspace, args.cases, |command| {
        if let Some(target) = &args.target {
            command.args(["--target", target]);
        }
    })
}
