//! The Python environment of the test tools: a virtual environment in build/python with pinned packages.
//!
//! ONNX Runtime is the reference for whole networks and the `onnx` package holds the conformance tests;
//! nothing else in the project needs Python.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::setup::apt::Missing;
use crate::stamp::Stamp;
use crate::workspace::Workspace;

/// What the tests and the demo need.
pub(crate) const TEST_TOOLS: &str = "testdata/requirements.txt";
/// What only the comparison with other engines needs.
pub(crate) const BENCH_TOOLS: &str = "testdata/requirements-bench.txt";

/// The variable that names another interpreter than `python3`.
const VARIABLE: &str = "PYTHON";

/// Asks for the oldest version that the pinned packages support, and for what makes an environment.
const PROBE: &str = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))";

/// The packages to install so that an environment can be made; none if one is there already.
pub(super) fn missing_packages() -> Vec<Missing> {
    if process::succeeds(Command::new(interpreter()).args(["-c", PROBE])) {
        return Vec::new();
    }
    let missing = |what: &str, package| Missing { what: what.to_owned(), package };
    vec![missing("Python 3.11 or newer", "python3"), missing("Python's venv", "python3-venv")]
}

/// Checks once more, after the installation.
pub(super) fn verify() -> Result<()> {
    if !missing_packages().is_empty() {
        bail!(
            "`{}` is not Python 3.11 or newer with its venv module\n\nhint: {}",
            interpreter().to_string_lossy(),
            advice()
        );
    }
    Ok(())
}

/// What to do where there is no apt.
pub(super) fn advice() -> String {
    format!("install Python 3.11 or newer with its venv module, as python3 or named by {VARIABLE}")
}

/// A Python with the packages of the given requirements file; makes or updates the environment as needed.
pub(crate) fn ensure(workspace: &Workspace, requirements: &str) -> Result<PathBuf> {
    let folder = workspace.build().join("python");
    let python = folder.join("bin/python");
    let file = workspace.root.join(requirements);
    let name = requirements.replace('/', "-");
    let stamp = Stamp::new(folder.join(format!("installed-{name}")), &[&file], "")?;
    if stamp.is_current() && process::succeeds(Command::new(&python).args(["-c", "pass"])) {
        return Ok(python);
    }
    if !process::succeeds(Command::new(&python).args(["-m", "pip", "--version"])) {
        // Whatever lies there is not an environment that works.
        if folder.exists() {
            std::fs::remove_dir_all(&folder)
                .with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        process::run(Command::new(interpreter()).args(["-m", "venv"]).arg(&folder))
            .with_context(|| format!("cannot make a Python environment\n\nhint: {}", advice()))?;
    }
    process::run(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"])
            .arg(&file),
    )
    .with_context(|| format!("cannot install {requirements}\n\nhint: it needs a network, once"))?;
    stamp.write()?;
    Ok(python)
}

fn interpreter() -> std::ffi::OsString {
    std::env::var_os(VARIABLE).unwrap_or_else(|| "python3".into())
}
