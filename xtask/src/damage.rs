//! `cargo xtask damage`: damages 100 000 artifacts; each must be refused or give the right values.

use anyhow::Result;

use crate::cases::{Args, Program};
use crate::workspace::Workspace;

const PROGRAM: Program =
    Program { name: "damage", package: "mlcc-tests", failed: "damaged artifacts were not refused" };

/// Runs `cargo xtask damage`.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let mlcc = workspace.build_mlcc()?;
    PROGRAM.run(workspace, *args, |command| {
        command.env("MLCC_BINARY", mlcc);
    })
}
