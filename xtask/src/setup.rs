//! `cargo xtask setup`: finds or installs what the project needs to build and to test.
//!
//! Three things: LLVM 22 with MLIR and a few system libraries (`llvm`), through apt where there is
//! one (`apt`), and a Python environment for the test tools (`python`). Each is looked for first, and
//! nothing is touched where it is there.

mod apt;
mod llvm;
pub(crate) mod python;

use anyhow::Result;

use crate::process;
use crate::workspace::Workspace;

/// Installs everything that is missing.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut missing = llvm::missing();
    missing.extend(python::missing_packages());
    apt::install(&missing)?;
    llvm::verify()?;
    python::ensure(workspace, python::TEST_TOOLS)?;
    if !has_nextest(workspace) {
        eprintln!("note: cargo-nextest is not installed; the tests will run with `cargo test`");
    }
    eprintln!("setup: complete");
    Ok(())
}

/// Whether the faster test runner is there.
pub(crate) fn has_nextest(workspace: &Workspace) -> bool {
    process::succeeds(workspace.cargo().args(["nextest", "--version"]))
}
