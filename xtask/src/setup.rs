//! `cargo xtask setup`: finds or installs what the project needs to build and to test.
//!
//! Three things: LLVM 22 with MLIR and a few system libraries (`llvm`), through apt where there is
//! one (`apt`), and a Python environment for the test tools (`python`). Each is looked for first, and
//! nothing is touched where it is there. What only the step `emulation` needs, it installs itself.

mod apt;
pub(crate) mod emulation;
mod llvm;
pub(crate) mod python;

use std::process::Command;

use anyhow::{Context, Result};

use crate::process;
use crate::workspace::Workspace;

/// Installs everything that is missing.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut missing = llvm::missing();
    missing.extend(python::missing_packages());
    apt::install(&missing)?;
    llvm::verify()?;
    python::verify()?;
    python::ensure(workspace, python::TEST_TOOLS)?;
    if !has_nextest(workspace) {
        eprintln!("note: cargo-nextest is not installed; the tests will run with `cargo test`");
    }
    eprintln!("setup: complete");
    Ok(())
}

/// Adds the toolchain's formatter and linter, which a minimal installation lacks.
pub(crate) fn ensure_components(workspace: &Workspace) -> Result<()> {
    let components = [("rustfmt", "fmt"), ("clippy", "clippy")];
    let missing = components
        .into_iter()
        .filter(|(_, command)| !process::succeeds(workspace.cargo().args([command, "--version"])))
        .map(|(component, _)| component)
        .collect::<Vec<_>>();
    if missing.is_empty() {
        return Ok(());
    }
    let mut add = Command::new("rustup");
    add.current_dir(&workspace.root).args(["component", "add"]).args(missing);
    process::run(&mut add).context("the toolchain lacks its formatter or linter\n\nhint: add them to it")
}

/// Whether the faster test runner is there.
pub(crate) fn has_nextest(workspace: &Workspace) -> bool {
    process::succeeds(workspace.cargo().args(["nextest", "--version"]))
}
