//! The steps of `cargo xtask test`: each a function, in one ordered list.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::setup::{self, python};
use crate::workspace::Workspace;
use crate::{conformance, damage, docs, emulation, process, ptxas, rules, tidy, zoo};

/// What the steps are given.
pub(crate) struct Session<'a> {
    pub(crate) workspace: &'a Workspace,
    pub(crate) zoo: Zoo,
}

/// How many networks are compared with ONNX Runtime.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum Zoo {
    /// The four smallest
    Small,
    /// All twelve, and those with symbolic dimensions
    All,
}

/// One step.
pub(crate) struct Step {
    /// Its name on the command line and in the summary.
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Session) -> Result<()>,
}

/// All steps, in their order: what is quick and fails often comes first.
pub(crate) const STEPS: &[Step] = &[
    Step { name: "setup", run: setup },
    Step { name: "fmt", run: fmt },
    Step { name: "tidy", run: |session| tidy::run(session.workspace) },
    Step { name: "licences", run: licences },
    Step { name: "clippy", run: clippy },
    Step { name: "build", run: |session| session.workspace.build_mlcc().map(drop) },
    Step { name: "unit", run: unit },
    Step { name: "damage", run: |session| damage::run(session.workspace, &damage::Args::default()) },
    Step { name: "rules", run: |session| rules::check(session.workspace) },
    Step { name: "docs", run: |session| docs::check(session.workspace) },
    Step { name: "zoo", run: zoo },
    Step { name: "conformance", run: |session| conformance::check(session.workspace) },
    Step { name: "ptx", run: ptx },
    Step { name: "emulation", run: |s| emulation::check(s.workspace, &SMALL_NETWORKS.map(str::to_owned)) },
];

/// The networks that every run checks.
const SMALL_NETWORKS: [&str; 4] = ["squeezenet1_1", "shufflenet_v2_x1_0", "mobilenet_v2", "regnet_y_400mf"];

/// The architectures that PTX is written and assembled for.
const ARCHITECTURES: [&str; 2] = ["sm_80", "sm_90"];

fn setup(session: &Session) -> Result<()> {
    setup::run(session.workspace)?;
    setup::ensure_components(session.workspace)
}

fn fmt(session: &Session) -> Result<()> {
    process::run(session.workspace.cargo().args(["fmt", "--all", "--check"]))
        .context("the sources are not formatted\n\nhint: run `cargo fmt --all`")
}

/// The licences of all dependencies, by cargo-deny and deny.toml where that is installed.
fn licences(session: &Session) -> Result<()> {
    let workspace = session.workspace;
    if process::succeeds(workspace.cargo().args(["deny", "--version"])) {
        return process::run(workspace.cargo().args(["deny", "check", "licenses", "bans", "sources"]));
    }
    tidy::check_licences(workspace)
}

fn clippy(session: &Session) -> Result<()> {
    let flags = ["clippy", "--workspace", "--all-targets", "--release", "--", "-D", "warnings"];
    process::run(session.workspace.cargo().args(flags))
}

fn unit(session: &Session) -> Result<()> {
    session.workspace.build_mlcc()?;
    process::run(&mut test_command(session.workspace))?;
    if setup::has_nextest(session.workspace) {
        // Nextest leaves the examples in the documentation out.
        process::run(session.workspace.cargo().args([
            "test",
            "--workspace",
            "--release",
            "--doc",
            "--quiet",
        ]))?;
    }
    Ok(())
}

/// All tests of the workspace: by cargo-nextest where it is installed.
pub(crate) fn test_command(workspace: &Workspace) -> Command {
    let mut command = workspace.cargo();
    if setup::has_nextest(workspace) {
        command.args(["nextest", "run", "--workspace", "--release"]);
    } else {
        eprintln!("note: cargo-nextest is not installed, so `cargo test` runs the tests");
        command.args(["test", "--workspace", "--release"]);
    }
    // The tests of the whole program find it by this variable.
    command.env("MLCC_BINARY", workspace.mlcc());
    command
}

/// Compares whole networks with ONNX Runtime; all are tried, so that one run names every bad one.
fn zoo(session: &Session) -> Result<()> {
    let workspace = session.workspace;
    let mlcc = workspace.build_mlcc()?;
    let mut networks = Vec::new();
    if session.zoo == Zoo::All {
        for set in [zoo::Set::Main, zoo::Set::Dynamic] {
            networks.extend(set.names(workspace)?.into_iter().map(|name| (set, name)));
        }
    } else {
        networks.extend(SMALL_NETWORKS.map(|name| (zoo::Set::Main, name.to_owned())));
    }
    let mut wrong = Vec::new();
    for (set, name) in networks {
        let folder = zoo::cached(workspace, set, std::slice::from_ref(&name))?;
        let mut check = Command::new(python::ensure(workspace, python::TEST_TOOLS)?);
        check.arg(workspace.root.join("testdata/check_network.py")).arg(&mlcc);
        check.arg(folder.join(format!("{name}.onnx")));
        if let Err(error) = process::run(&mut check) {
            eprintln!("error: {}", process::describe(&error));
            wrong.push(name);
        }
    }
    if !wrong.is_empty() {
        bail!("wrong networks: {}", wrong.join(", "));
    }
    Ok(())
}

/// Has mlcc write PTX for one kernel of each kind and for all kernels of whole networks, and NVIDIA's assembler accept
/// it. All are tried, so that one run names every bad one.
fn ptx(session: &Session) -> Result<()> {
    let workspace = session.workspace;
    let assembler = ptxas::fetch(workspace)?;
    let mlcc = workspace.build_mlcc()?;
    let out = workspace.build().join("ptx");
    std::fs::create_dir_all(&out)?;
    let folder = workspace.root.join("testdata/cuda");
    let kernels = onnx_files(&folder)?;
    if kernels.is_empty() {
        bail!("{} holds no models", folder.display());
    }
    let networks = zoo::Set::Main.names(workspace)?;
    let zoo = zoo::cached(workspace, zoo::Set::Main, &networks)?;
    let networks = networks.iter().map(|name| zoo.join(format!("{name}.onnx")));
    let mut wrong = Vec::new();
    for model in kernels.into_iter().chain(networks) {
        for architecture in ARCHITECTURES {
            let stem = model.file_stem().unwrap_or_default().to_string_lossy();
            let file = out.join(format!("{stem}.{architecture}.ptx"));
            if let Err(error) = emit_and_assemble(&mlcc, &assembler, &model, architecture, &file) {
                eprintln!("error: {}", process::describe(&error));
                wrong.push(format!("{stem} for {architecture}"));
            }
        }
    }
    if !wrong.is_empty() {
        bail!("no PTX, or PTX that does not assemble: {}", wrong.join(", "));
    }
    Ok(())
}

/// Writes a model's PTX to a file and assembles it, without warnings.
fn emit_and_assemble(
    mlcc: &Path,
    assembler: &Path,
    model: &Path,
    architecture: &str,
    file: &Path,
) -> Result<()> {
    let mut compile = Command::new(mlcc);
    compile.arg("compile").arg(model).args(["--target", "cuda", "--arch", architecture]);
    process::run(compile.args(["--emit", "ptx", "-o"]).arg(file))?;
    let mut assemble = Command::new(assembler);
    assemble.args(["--gpu-name", architecture, "--warning-as-error"]).arg(file);
    process::run(assemble.arg("--output-file").arg(file.with_extension("cubin")).stdin(Stdio::null()))
}

fn onnx_files(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "onnx") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn step_names_are_unique() {
        let mut names: Vec<_> = STEPS.iter().map(|step| step.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), STEPS.len());
    }

    #[test]
    fn the_small_networks_exist() {
        let workspace = Workspace::load().unwrap();
        let names = zoo::Set::Main.names(&workspace).unwrap();
        assert!(SMALL_NETWORKS.iter().all(|name| names.iter().any(|other| other == name)), "{names:?}");
    }
}
