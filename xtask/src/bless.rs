//! `cargo xtask bless`: accepts every changed snapshot and regenerates the reference pages.
//!
//! The review is the diff: it ends by showing which files changed.

use std::process::Command;

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{docs, process, setup, unit};

/// Runs `cargo xtask bless`.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    setup::run(workspace)?;
    workspace.build_mlcc()?;
    let mut tests = unit::all_tests(workspace);
    // Insta writes the new text over the old one and lets the assertion pass.
    tests.env("INSTA_UPDATE", "always").env("INSTA_FORCE_PASS", "1");
    // The files of each dialect's operations in mlcc-mlir are written by their own test.
    tests.env("MLCC_BLESS", "1");
    process::run(&mut tests)?;
    docs::write(workspace)?;
    let mut status = Command::new("git");
    status.current_dir(&workspace.root).args([
        "status",
        "--short",
        "--",
        "*.snap",
        "*_ops.mlir",
        "docs/reference",
    ]);
    let changed = process::output(&mut status)?;
    if changed.is_empty() {
        println!("nothing changed");
    } else {
        print!("changed; review with `git diff`:\n{changed}");
    }
    Ok(())
}
