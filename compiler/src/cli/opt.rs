//! `mlcc opt FILE.mlir --passes ...`: runs passes on a level's text.

use super::{Outcome, dumped::Dump, one, output};
use crate::pipeline::{self, Options};
use mlcc_ir::diagnostic::Diagnostic;
use mlcc_mlir::MlirContext;
use mlcc_passes::registry::{self, Config, Level, PASSES, Run};
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
    let mlir = MlirContext::new();
    let options = Options::default();
    // Weights that rewrites have made are those that `mlcc compile` makes by default.
    let target = mlcc_llvm::Target::named(&options.target_cpu).map_err(one)?;
    let machine = pipeline::machine_for(&target, &options).map_err(one)?;
    let config = pipeline::config_for(&machine, &options);
    let tensor_level = passes.iter().any(|p| p.level() == Level::Tensor)
        || (passes.is_empty() && dump.text.contains("te.program"));
    if tensor_level {
        let mut program = dump.program(&config, &options)?;
        for pass in passes {
            match pass.run {
                Run::Tensor(run) => run(&mut program, &Config::default()).map_err(one)?,
                Run::Graph(_) => return Err(one(wrong_level(pass.name, "graph"))),
            };
        }
        output::write(format_args!("{}", mlir.print_program(&program).map_err(one)?))?;
    } else {
        let mut graph = dump.graph(&config, &options)?;
        for pass in passes {
            match pass.run {
                Run::Graph(run) => run(&mut graph).map_err(one)?,
                Run::Tensor(_) => return Err(one(wrong_level(pass.name, "tensor"))),
            };
        }
        output::write(format_args!("{}", mlir.print_graph(&graph).map_err(one)?))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn wrong_level(pass: &str, level: &str) -> Diagnostic {
    Diagnostic::user(format!("pass '{pass}' works on the {level} level, the file holds another"))
}
