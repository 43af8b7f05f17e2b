//! `cargo xtask rules`: the rewrite rules' gates.

use std::process::Command;

use anyhow::{Result, bail};

use crate::process;
use crate::workspace::Workspace;

/// Arguments of `cargo xtask rules`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only put every rule through the gates
    #[arg(long)]
    check: bool,
}

/// Runs `cargo xtask rules`.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    if !args.check {
        bail!("rules cannot be generated yet\n\nhint: `cargo xtask rules --check` runs the gates");
    }
    check(workspace)
}

/// Puts every rule through its gates.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["run", "--release", "--quiet", "-p", "mlcc-passes", "--example", "rules"];
    process::run(Command::new(cargo).args(arguments).current_dir(&workspace.root))
}
