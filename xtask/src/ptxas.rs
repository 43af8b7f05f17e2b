//! `cargo xtask ptxas`: fetches NVIDIA's PTX assembler, which checks the PTX that mlcc writes.
//!
//! It comes from PyPI, as a part of the CUDA compiler's package; no CUDA is installed and no GPU needed.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::setup::python;
use crate::stamp::Stamp;
use crate::workspace::Workspace;

/// The package, pinned.
const PACKAGE: &str = "nvidia-cuda-nvcc-cu12==12.9.86";

/// Runs `cargo xtask ptxas`.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    println!("{}", fetch(workspace)?.display());
    Ok(())
}

/// The path of ptxas; fetched the first time.
pub(crate) fn fetch(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.build().join("ptxas");
    let binary = folder.join("nvidia/cuda_nvcc/bin/ptxas");
    let stamp = Stamp::new(folder.join("stamp"), &[], PACKAGE)?;
    if !(stamp.is_current() && binary.exists()) {
        let python = python::ensure(workspace, python::TEST_TOOLS)?;
        let mut install = Command::new(python);
        install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        install.args(["--no-deps", "--upgrade", PACKAGE, "--target"]).arg(&folder);
        process::run(&mut install).context("cannot fetch ptxas\n\nhint: it needs a network, once")?;
        if !process::succeeds(Command::new(&binary).arg("--version")) {
            bail!("{PACKAGE} brought no ptxas that runs here, at {}", binary.display());
        }
        stamp.write()?;
    }
    Ok(binary)
}
