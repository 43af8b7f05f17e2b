//! `cargo xtask compare`: times mlcc against ONNX Runtime and OpenVINO on the zoo (benches/compare.py).

use std::{path::PathBuf, process::Command};

use anyhow::Result;

use crate::setup::python;
use crate::workspace::Workspace;
use crate::{process, zoo};

/// Arguments of `cargo xtask compare`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Networks with symbolic dimensions at several sizes (testdata/zoo/at_sizes.py) instead of the zoo
    #[arg(long)]
    symbolic: bool,
    /// Flags of benches/compare.py; --mlcc and --models default to the release build and the zoo
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "FLAGS")]
    flags: Vec<String>,
}

/// Runs `cargo xtask compare`.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let python = python::ensure(workspace, python::TEST_TOOLS)?;
    if flag(&args.flags, "--peers").is_none_or(|peers| peers.contains("openvino")) {
        python::ensure(workspace, python::BENCH_TOOLS)?;
    }
    let mut command = Command::new(python);
    command.arg(workspace.root.join("benches/compare.py")).args(&args.flags);
    if !asks_for_help(&args.flags) {
        if flag(&args.flags, "--mlcc").is_none() {
            command.arg("--mlcc").arg(workspace.build_mlcc()?);
        }
        if args.symbolic {
            command.arg("--models").arg(at_sizes(workspace)?);
        } else if flag(&args.flags, "--models").is_none() {
            let set = zoo::Set::Main;
            let names = match flag(&args.flags, "--only") {
                Some(names) => names.split(',').map(str::to_owned).collect(),
                None => set.names(workspace)?,
            };
            command.arg("--models").arg(zoo::cached(workspace, set, &names)?);
            // The folder may hold networks of other sets, too.
            if flag(&args.flags, "--only").is_none() {
                command.args(["--only", &names.join(",")]);
            }
        }
    }
    process::run(&mut command)
}

/// The symbolic networks at all sizes.
fn at_sizes(workspace: &Workspace) -> Result<PathBuf> {
    let set = zoo::Set::Dynamic;
    let models = zoo::cached(workspace, set, &set.names(workspace)?)?;
    let out = workspace.build().join("zoo-at-sizes");
    let mut script = Command::new(python::ensure(workspace, python::TEST_TOOLS)?);
    script.arg(workspace.root.join("testdata/zoo/at_sizes.py")).args([&models, &out]);
    process::run(&mut script)?;
    Ok(out)
}

fn asks_for_help(flags: &[String]) -> bool {
    flags.iter().any(|one| one == "-h" || one == "--help")
}

/// The value of a flag, given as `--name value` or `--name=value`; the last one counts.
fn flag<'a>(flags: &'a [String], name: &str) -> Option<&'a str> {
    let mut value = None;
    for (index, one) in flags.iter().enumerate() {
        if one == name {
            value = flags.get(index + 1).map(String::as_str);
        } else if let Some(text) = one.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')) {
            value = Some(text);
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_found_in_both_spellings() {
        let flags = ["--only=a,b", "--peers", "ort", "--onlyx", "1"].map(str::to_owned);
        assert_eq!(flag(&flags, "--only"), Some("a,b"));
        assert_eq!(flag(&flags, "--peers"), Some("ort"));
        assert_eq!(flag(&flags, "--mlcc"), None);
    }
}
