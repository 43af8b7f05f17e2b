//! The steps of `cargo xtask test`: each a function, in one ordered list.

use std::cell::RefCell;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::setup::{self, python};
use crate::workspace::Workspace;
use crate::{
    cases, conformance, damage, docs, emulation, fuzz, host, loom, process, ptxas, replay, rules, tidy, unit,
    zoo,
};

/// What the steps are given, and what they leave to be said in the end.
pub(crate) struct Session<'a> {
    pub(crate) workspace: &'a Workspace,
    pub(crate) zoo: Zoo,
    notes: RefCell<Vec<String>>,
}

impl<'a> Session<'a> {
    pub(crate) fn new(workspace: &'a Workspace, zoo: Zoo) -> Self {
        Self { workspace, zoo, notes: RefCell::default() }
    }

    /// Says something about the run, at once and with the summary.
    pub(crate) fn note(&self, text: String) {
        eprintln!("note: {text}");
        self.notes.borrow_mut().push(text);
    }

    pub(crate) fn notes(&self) -> Vec<String> {
        self.notes.borrow().clone()
    }

    /// Whether this machine executes what the built mlcc compiles for the host, which may be another CPU.
    pub(crate) fn runs_host_code(&self) -> Result<bool> {
        let mlcc = self.workspace.build_mlcc()?;
        Ok(process::succeeds(Command::new(mlcc).args(["machine", "check"])))
    }
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
    /// The steps without which it makes no sense to try it.
    pub(crate) needs: &'static [&'static str],
    pub(crate) run: fn(&Session) -> Result<()>,
}

/// All steps, in their order: what is quick and fails often comes first.
pub(crate) const STEPS: &[Step] = &[
    Step { name: "setup", needs: &[], run: setup },
    Step { name: "fmt", needs: &[], run: fmt },
    Step { name: "tidy", needs: &[], run: |session| tidy::run(session.workspace) },
    Step { name: "licences", needs: &[], run: licences },
    Step { name: "clippy", needs: &[], run: clippy },
    Step { name: "build", needs: &[], run: |session| session.workspace.build_mlcc().map(drop) },
    Step { name: "unit", needs: BUILD, run: unit::check },
    Step { name: "hosts", needs: BUILD, run: unit::check_hosts },
    Step {
        name: "damage",
        needs: BUILD,
        run: |session| damage::run(session.workspace, &cases::Args::default()),
    },
    Step { name: "fuzz", needs: &[], run: |session| fuzz::run(session.workspace, &fuzz::Args::default()) },
    Step { name: "loom", needs: &[], run: |session| loom::run(session.workspace, &loom::Args::default()) },
    Step { name: "rules", needs: &[], run: |session| rules::check(session.workspace) },
    Step { name: "docs", needs: BUILD, run: |session| docs::check(session.workspace) },
    Step { name: "zoo", needs: BUILD, run: zoo },
    Step { name: "replay", needs: BUILD, run: replay },
    Step { name: "conformance", needs: BUILD, run: conformance::check },
    Step { name: "ptx", needs: BUILD, run: ptx },
    Step { name: "emulation", needs: BUILD, run: emulation },
];

const BUILD: &[&str] = &["build"];

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

fn emulation(session: &Session) -> Result<()> {
    emulation::check(session.workspace, &SMALL_NETWORKS.map(str::to_owned))
}

/// Goes on from dumps and decisions of networks: one of each set; `cargo xtask replay` takes all.
fn replay(session: &Session) -> Result<()> {
    let all = session.zoo == Zoo::All;
    let names: &[&str] = if all { &["shufflenet_v2_x1_0", "bert_small_dynamic", "lora"] } else { &["lora"] };
    let names = names.iter().map(ToString::to_string).collect();
    replay::run(session.workspace, &replay::Args { cpu: "znver4".into(), names })
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
    let compiled_only = !session.runs_host_code()?;
    if compiled_only {
        session.note(format!(
            "zoo: {} networks compiled only, this machine lacks what they need",
            networks.len()
        ));
    }
    let mut wrong = Vec::new();
    for (set, name) in networks {
        let folder = zoo::cached(workspace, set, std::slice::from_ref(&name))?;
        let mut check = Command::new(python::ensure(workspace, python::TEST_TOOLS)?);
        check.arg(workspace.root.join("testdata/check_network.py")).arg(&mlcc);
        check.arg(folder.join(format!("{name}.onnx")));
        if let Some(threads) = host::chosen_threads() {
            check.args(["--threads", &threads]);
        }
        if compiled_only {
            check.arg("--compile-only");
        }
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
