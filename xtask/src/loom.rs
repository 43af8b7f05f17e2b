//! `cargo xtask loom`: the thread pool's protocol in every order of its operations.

use anyhow::{Context, Result};

use crate::process;
use crate::workspace::Workspace;

/// The models of `runtime/core/src/pool/models.rs`.
const MODELS: &str = "pool::models";

/// Arguments of `cargo xtask loom`.
#[derive(Default, clap::Args)]
pub(crate) struct Args {
    /// Only check the models whose names contain this
    model: Option<String>,
}

/// Runs `cargo xtask loom`. The flag changes how every crate is built, so these builds have a folder of their own.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let mut command = workspace.cargo();
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    command.env("RUSTFLAGS", format!("{flags} --cfg loom").trim_start());
    command.args(["test", "--release", "--package", "mlcc-runtime", "--lib", "--target-dir"]);
    command.arg(workspace.target.join("loom"));
    command.args(["--", args.model.as_deref().unwrap_or(MODELS)]);
    process::run(&mut command).context("the thread pool breaks in some order of its operations")
}
