//! `mlcc opt FILE.mlir --passes ...`: runs passes on a level's text.

use super::{Outcome, compiling::Compiling, dumped::Dump, one, output};
use crate::session::{Session, Stage};
use mlcc_ir::diagnostic::Diagnostic;
use mlcc_mlir::MlirContext;
use mlcc_passes::registry::{self, Level, PASSES};
use std::{path::PathBuf, process::ExitCode};

/// Which text, which passes.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A dump of the graph or the tensor level.
    #[arg(required_unless_present = "list_passes")]
    file: Option<PathBuf>,
    /// Passes in order, separated by commas.
    #[arg(long, value_delimiter = ',')]
    passes: Vec<String>,
    /// A pipeline of upstream MLIR passes instead, such as `builtin.module(canonicalize,cse)`.
    #[arg(long, value_name = "PIPELINE", conflicts_with = "passes")]
    mlir_pipeline: Option<String>,
    /// The ONNX model whose weights the dump refers to.
    #[arg(long, value_name = "MODEL")]
    weights: Option<PathBuf>,
    /// List the passes.
    #[arg(long)]
    list_passes: bool,
    #[command(flatten)]
    compiling: Compiling,
}

pub(super) fn run(args: &Args) -> Outcome {
    if args.list_passes {
        for pass in PASSES {
            let level = if pass.level() == Level::Graph { "graph" } else { "tensor" };
            output::line!("{:<20} {level:<7} {}", pass.name, pass.summary)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let Some(file) = &args.file else { return Err(one(Diagnostic::user("no file is given"))) };
    let dump = Dump::read(file, args.weights.as_deref())?;
    if let Some(pipeline) = &args.mlir_pipeline {
        let text = MlirContext::new().run_upstream_passes(&dump.text, pipeline).map_err(one)?;
        output::write(format_args!("{text}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let passes: Vec<_> = args
        .passes
        .iter()
        .map(|name| {
            registry::find(name).ok_or_else(|| {
                let message = format!("no pass is called '{name}'");
                one(Diagnostic::user(message).hint("`mlcc opt --list-passes` lists the passes"))
            })
        })
        .collect::<Result<_, _>>()?;
    // Weights that passes have made are those that `mlcc compile` makes with the same options.
    let options = args.compiling.options()?;
    let tensor_level = passes.iter().any(|p| p.level() == Level::Tensor)
        || (passes.is_empty() && dump.text.contains("te.program"));
    let mut stage = match tensor_level {
        true => Stage::Program(dump.program(&options)?),
        false => Stage::Graph(dump.graph(&options)?),
    };
    let mut silent = ();
    let mut session = Session::new(&options, &mut silent).map_err(one)?;
    for pass in passes {
        stage = session.run_pass(stage, pass).map_err(one)?;
    }
    output::write(format_args!("{}", super::compile::text_of(&stage).map_err(one)?))?;
    Ok(ExitCode::SUCCESS)
}
