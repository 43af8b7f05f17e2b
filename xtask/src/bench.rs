//! `cargo xtask bench kernels`: times single kernels against ONNX Runtime and OpenVINO (benches/kernels.py) and
//! writes the table of docs/benchmarks.md.

use std::process::Command;

use anyhow::Result;

use crate::process;
use crate::setup::python;
use crate::workspace::Workspace;

/// Arguments of `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

/// What is timed.
#[derive(clap::Subcommand)]
enum What {
    /// Attention, softmax, layer norm and GELU, with the memory's bandwidth; writes docs/benchmarks.md
    Kernels {
        /// Flags of benches/kernels.py; without --only the table in docs/benchmarks.md is written
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "FLAGS")]
        flags: Vec<String>,
    },
}

/// Runs `cargo xtask bench`.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let What::Kernels { flags } = &args.what;
    let python = python::ensure(workspace, python::TEST_TOOLS)?;
    python::ensure(workspace, python::BENCH_TOOLS)?;
    let given = |name: &str| {
        flags
            .iter()
            .any(|f| f.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('=')))
    };
    let mut command = Command::new(python);
    command.arg(workspace.root.join("benches/kernels.py")).args(flags);
    if !given("--help") && !given("-h") {
        if !given("--mlcc") {
            command.arg("--mlcc").arg(workspace.build_mlcc()?);
        }
        // A part of the kernels is no table.
        if !given("--only") && !given("--write") {
            command.arg("--write").arg(workspace.root.join("docs/benchmarks.md"));
        }
    }
    process::run(&mut command)
}
