//! `cargo xtask rules`: finds rewrite rules and writes the page of them; with `--check`, the gates of those written.

use std::process::Command;

use anyhow::Result;

use crate::process;
use crate::workspace::Workspace;

/// The page of the rules that were found, relative to the root.
const PAGE: &str = "docs/generated-rules.md";

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
        example(workspace, &["generate_rules", "--", PAGE])?;
    }
    check(workspace)
}

/// Puts every rule through its gates.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    example(workspace, &["rules"])
}

/// Runs a program of the laboratory.
pub(crate) fn example(workspace: &Workspace, arguments: &[&str]) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let run = ["run", "--release", "--quiet", "-p", "mlcc-laboratory", "--example"];
    process::run(Command::new(cargo).args(run).args(arguments).current_dir(&workspace.root))
}
