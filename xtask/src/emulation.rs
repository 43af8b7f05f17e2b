//! The step `emulation`: code for other CPUs than this one, run in an emulator, against ONNX Runtime.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::setup::emulation::{self, C_LIBRARY, TARGET};
use crate::setup::python;
use crate::workspace::Workspace;
use crate::{process, zoo};

/// The program that executes artifacts: an example of the runtime.
const RUNNER: [&str; 6] = ["build", "--release", "--package", "mlcc-runtime", "--example", "run_raw"];

/// A CPU to compile for, and the emulator of the oldest one that must run it.
struct Machine {
    cpu: &'static str,
    emulator: &'static [&'static str],
    runner: PathBuf,
}

/// Compiles and runs the networks for each machine; all are tried, so that one run names every bad one.
pub(crate) fn check(workspace: &Workspace, networks: &[String]) -> Result<()> {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        bail!("the emulators are set up on x86-64 Linux only\n\nhint: leave it out with `--skip emulation`");
    }
    emulation::ensure()?;
    let mlcc = workspace.build_mlcc()?;
    let models = zoo::cached(workspace, zoo::Set::Main, networks)?;
    let python = python::ensure(workspace, python::TEST_TOOLS)?;
    let mut bad = Vec::new();
    for machine in machines(workspace)? {
        let runner = machine.runner.display().to_string();
        let words: Vec<_> = machine.emulator.iter().copied().chain([runner.as_str()]).collect();
        let mut check = Command::new(&python);
        check.arg(workspace.root.join("testdata/check_emulated.py")).arg(&mlcc);
        check.args(["--target-cpu", machine.cpu, "--runner", &words.join(" ")]);
        check.args(networks.iter().map(|name| models.join(format!("{name}.onnx"))));
        if let Err(error) = process::run(&mut check) {
            eprintln!("error: {}", process::describe(&error));
            bad.push(machine.cpu);
        }
    }
    if !bad.is_empty() {
        bail!("wrong code for {}", bad.join(", "));
    }
    Ok(())
}

/// The machines, with the runner built for each.
fn machines(workspace: &Workspace) -> Result<[Machine; 2]> {
    process::run(workspace.cargo().args(RUNNER))?;
    let (mut cargo, target) = emulation::cargo(workspace)?;
    process::run(cargo.args(RUNNER).args(["--target", TARGET]))?;
    Ok([
        Machine {
            cpu: "x86-64-v3",
            emulator: &["qemu-x86_64", "-cpu", "Haswell"],
            runner: workspace.target.join("release/examples/run_raw"),
        },
        Machine {
            cpu: "armv8.2-a",
            emulator: &["qemu-aarch64", "-cpu", "cortex-a76", "-L", C_LIBRARY],
            runner: target.join(TARGET).join("release/examples/run_raw"),
        },
    ])
}
