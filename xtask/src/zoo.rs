//! `cargo xtask zoo`: writes networks of testdata/zoo as ordinary ONNX files with example inputs.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::process;
use crate::setup::python;
use crate::stamp::Stamp;
use crate::workspace::Workspace;

/// Arguments of `cargo xtask zoo`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The folder to write NAME.onnx and NAME/input_I.npy to
    out: PathBuf,
    /// Which networks
    #[arg(long, value_enum, default_value_t = Set::Main)]
    set: Set,
    /// Names of networks; all of the set by default
    names: Vec<String>,
}

/// The sets of networks that testdata/zoo holds.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Set {
    /// The 12 networks at batch 1
    Main,
    /// Two networks with symbolic dimensions
    Dynamic,
    /// The same 12 with batch 8 or an odd sequence length
    Batch8,
    /// Small graphs with redundancy in them
    Algebra,
}

/// All networks but those that are the twelve at another size.
pub(crate) const EACH_ONCE: [Set; 3] = [Set::Main, Set::Dynamic, Set::Algebra];

impl Set {
    /// Its folder under testdata/zoo.
    fn folder(self, workspace: &Workspace) -> PathBuf {
        let zoo = workspace.root.join("testdata/zoo");
        match self {
            Self::Main => zoo,
            Self::Dynamic => zoo.join("dynamic"),
            Self::Batch8 => zoo.join("batch8"),
            Self::Algebra => zoo.join("algebra"),
        }
    }

    /// The names of its networks, sorted.
    pub(crate) fn names(self, workspace: &Workspace) -> Result<Vec<String>> {
        let folder = self.folder(workspace);
        let entries =
            std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        let mut names = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "onnx") {
                names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
            }
        }
        names.sort();
        Ok(names)
    }
}

/// Runs `cargo xtask zoo`.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let python = python::ensure(workspace, python::TEST_TOOLS)?;
    materialize(workspace, &python, args.set, &args.names, &args.out)
}

/// Writes the networks into `build/zoo` unless they lie there already; returns that folder.
pub(crate) fn cached(workspace: &Workspace, set: Set, names: &[String]) -> Result<PathBuf> {
    let python = python::ensure(workspace, python::TEST_TOOLS)?;
    let (source, out) = (set.folder(workspace), workspace.build().join("zoo"));
    let known = set.names(workspace)?;
    let mut stale = Vec::new();
    for name in names {
        if !known.contains(name) {
            bail!("{} holds no network {name}", source.display());
        }
        let recipe = source.join(format!("{name}.onnx"));
        let stamp = Stamp::new(out.join(name).join("stamp"), &[&recipe, &script(workspace)], "")?;
        if !(stamp.is_current() && out.join(format!("{name}.onnx")).exists()) {
            stale.push((name.clone(), stamp));
        }
    }
    if !stale.is_empty() {
        let names: Vec<_> = stale.iter().map(|(name, _)| name.clone()).collect();
        materialize(workspace, &python, set, &names, &out)?;
    }
    for (_, stamp) in stale {
        stamp.write()?;
    }
    Ok(out)
}

fn materialize(workspace: &Workspace, python: &Path, set: Set, names: &[String], out: &Path) -> Result<()> {
    let mut command = Command::new(python);
    command.arg(script(workspace)).arg(out).arg("--from").arg(set.folder(workspace)).args(names);
    process::run(&mut command)
}

fn script(workspace: &Workspace) -> PathBuf {
    workspace.root.join("testdata/zoo/materialize.py")
}
