//! `cargo xtask bench WHAT`: runs one of the benchmarks in benches/ with the release build and writes its table into
//! docs/benchmarks.md.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::process;
use crate::setup::python;
use crate::workspace::Workspace;
use crate::zoo::{self, Set};

/// Arguments of `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

/// What is timed.
#[derive(clap::Subcommand)]
enum What {
    /// Attention, softmax, layer norm and GELU against other engines, with the memory's bandwidth
    Kernels(Flags),
    /// Matrix products against other engines
    Gemm(Flags),
    /// Graphs with rewriting against the same ones without: seed, merges, norm, chain, algebra, networks
    Rewriting(Flags),
    /// What `mlcc bench` says against the wall time of whole processes
    Agreement(Flags),
}

/// What goes on to the script.
#[derive(clap::Args)]
struct Flags {
    /// Flags of the script in benches/; --mlcc defaults to the release build, --write to docs/benchmarks.md, the
    /// latter without --only
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "FLAGS")]
    flags: Vec<String>,
}

impl Flags {
    /// Whether the flag is there, as `NAME VALUE` or `NAME=VALUE`.
    fn has(&self, name: &str) -> bool {
        self.flags
            .iter()
            .any(|f| f.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('=')))
    }

    /// What the flag says, as `NAME VALUE` or `NAME=VALUE`.
    fn value(&self, name: &str) -> Option<&str> {
        self.flags.iter().enumerate().find_map(|(at, f)| match f.strip_prefix(name)? {
            "" => self.flags.get(at + 1).map(String::as_str),
            rest => rest.strip_prefix('='),
        })
    }
}

/// The folder with the zoo's graphs that `--only` asks for, by name or as a whole set; all of them without it.
fn zoo_for(workspace: &Workspace, flags: &Flags) -> Result<PathBuf> {
    let only = flags.value("--only");
    let wanted = |name: &str| only.is_none_or(|list| list.split(',').any(|w| w == name));
    let mut folder = workspace.build().join("zoo");
    for (set, group) in [(Set::Algebra, "algebra"), (Set::Main, "networks")] {
        let mut names = set.names(workspace)?;
        names.retain(|name| wanted(group) || wanted(name));
        folder = zoo::cached(workspace, set, &names)?;
    }
    Ok(folder)
}

/// Runs `cargo xtask bench`.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let (script, flags, engines) = match &args.what {
        What::Kernels(flags) => ("benches/kernels.py", flags, true),
        What::Gemm(flags) => ("benches/gemm.py", flags, true),
        What::Rewriting(flags) => ("benches/rewriting.py", flags, false),
        What::Agreement(flags) => ("benches/agreement.py", flags, false),
    };
    let python = python::ensure(workspace, python::TEST_TOOLS)?;
    if engines {
        python::ensure(workspace, python::BENCH_TOOLS)?;
    }
    let mut command = Command::new(python);
    command.arg(workspace.root.join(script)).args(&flags.flags);
    if !flags.has("--help") && !flags.has("-h") {
        if !flags.has("--mlcc") {
            command.arg("--mlcc").arg(workspace.build_mlcc()?);
        }
        if matches!(args.what, What::Rewriting(_)) && !flags.has("--models") {
            command.arg("--models").arg(zoo_for(workspace, flags)?);
        }
        // A part is no table.
        if !flags.has("--only") && !flags.has("--write") {
            command.arg("--write").arg(workspace.root.join("docs/benchmarks.md"));
        }
    }
    process::run(&mut command)
}
