//! `mlcc compile MODEL`: a model to an artifact, or to the IR of a level.

use super::{
    Outcome, compiling::Compiling, dumped::Dump, kind::FileKind, load::Temporary, one, output, write_error,
};
use crate::{
    codegen,
    dump::Recorder,
    phase::Phase,
    pipeline::{self, Options},
};
use clap::ValueEnum;
use mlcc_ir::{
    diagnostic::{Diagnostic, count},
    program::Program,
};
use mlcc_mlir::MlirContext;
use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// What to compile, for what, and what to keep.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// An ONNX model, or with `--from` a dump of that phase.
    model: PathBuf,
    /// Kind of device.
    #[arg(long, value_enum, default_value_t = TargetKind::Cpu)]
    target: TargetKind,
    /// GPU architecture.
    #[arg(long, default_value = "sm_80")]
    arch: String,
    /// What to write instead of an artifact.
    #[arg(long, value_enum)]
    emit: Option<Emit>,
    /// Start from a dump of this phase instead of a model.
    #[arg(long, value_name = "PHASE")]
    from: Option<Phase>,
    /// Stop after this phase and write its IR.
    #[arg(long, value_name = "PHASE")]
    to: Option<Phase>,
    /// Write the IR after each pass that changed something to this folder.
    #[arg(long, value_name = "DIR")]
    dump_ir: Option<PathBuf>,
    /// With `--dump-ir`: show the schedule of this kernel, or of the kernel of this ONNX node, primitive
    /// by primitive.
    #[arg(long, value_name = "KERNEL", requires = "dump_ir")]
    dump_schedule: Option<String>,
    /// Tell which rules were applied, where, and what that saves by estimate.
    #[arg(long)]
    explain_rewrites: bool,
    /// The ONNX model whose weights a dump refers to, with `--from`.
    #[arg(long, value_name = "MODEL")]
    weights: Option<PathBuf>,
    /// Where to write: MODEL with the ending .mlcc if not given, `-` for stdout.
    #[arg(short, long)]
    output: Option<PathBuf>,
    #[command(flatten)]
    compiling: Compiling,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum TargetKind {
    Cpu,
    Cuda,
}

/// Forms of the compiled model that can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Emit {
    /// IR at the end of the graph level.
    Graph,
    /// IR at the end of the tensor level.
    Tensor,
    /// Loop nests.
    Loop,
    /// LLVM IR of every kernel.
    Llvm,
    /// Assembly of every kernel.
    Asm,
    /// PTX of every kernel (`--target cuda`).
    Ptx,
    /// One object file per kernel, in the folder OUTPUT.
    Obj,
}

pub(super) fn run(args: &Args) -> Outcome {
    if args.explain_rewrites && is_stdout(args) {
        let message = "--explain-rewrites and -o - both write to stdout";
        return Err(one(Diagnostic::user(message).hint("name a file with -o FILE")));
    }
    let mut recorder = Recorder::new(
        args.dump_ir.as_deref(),
        args.dump_schedule.as_deref(),
        std::io::stderr().is_terminal(),
    )
    .map_err(one)?;
    let options = args.compiling.options()?;
    let outcome = compile(args, &options, &mut recorder);
    if outcome.is_ok() && args.explain_rewrites {
        super::explain::rewrites(recorder.rewrites.as_ref(), &recorder.products)?;
    }
    if outcome.is_ok() && !recorder.times.is_empty() {
        talk(&recorder.times_line());
    }
    outcome
}

fn compile(args: &Args, options: &Options, recorder: &mut Recorder) -> Outcome {
    let last = match (args.emit, args.to) {
        (Some(Emit::Graph), _) => Phase::Graph,
        (Some(Emit::Tensor), _) => Phase::Tensor,
        (Some(Emit::Loop), _) => Phase::Loop,
        (Some(_), _) => Phase::Llvm,
        (None, Some(phase)) => phase,
        (None, None) => Phase::Binary,
    };
    let target = mlcc_llvm::Target::named(&options.target_cpu).map_err(one)?;
    let machine = pipeline::machine_for(&target, options).map_err(one)?;
    let mut config = match args.target {
        TargetKind::Cpu => pipeline::config_for(&machine, options),
        TargetKind::Cuda => mlcc_passes::registry::Config {
            exact: options.rewrites.is_exact(),
            ..mlcc_cuda::config_for(&args.arch)
        },
    };
    if args.from.is_none()
        && let Some(diagnostic) = FileKind::of(&args.model).instead_of_model(&args.model)
    {
        return Err(one(diagnostic));
    }
    let dump = || Dump::read(&args.model, args.weights.as_deref());
    let mut defaults = std::collections::BTreeMap::new();
    let mut file_order_peak_bytes = None;
    let program = match args.from {
        None | Some(Phase::Import | Phase::Graph) => {
            let mut graph = match args.from {
                None => {
                    let imported = pipeline::import(&args.model, options, recorder)?;
                    defaults = imported.defaults;
                    imported.graph
                }
                Some(_) => dump()?.graph(&config, options)?,
            };
            if last == Phase::Import {
                return emit_text(args, &MlirContext::new().print_graph(&graph).map_err(one)?);
            }
            file_order_peak_bytes = mlcc_passes::plan::graph_peak(&graph);
            pipeline::run_graph(&mut graph, &mut config, options, recorder).map_err(one)?;
            if last == Phase::Graph {
                return emit_text(args, &MlirContext::new().print_graph(&graph).map_err(one)?);
            }
            pipeline::run_tensor(&graph, &config, options, recorder).map_err(one)?
        }
        Some(Phase::Tensor) => {
            let mut program = dump()?.program(&config, options)?;
            pipeline::run_tensor_passes(&mut program, &config, options, recorder).map_err(one)?;
            program
        }
        Some(phase) => {
            let message = format!("a compilation cannot start from phase '{phase}'");
            return Err(one(Diagnostic::unsupported(message).hint("start from import, graph or tensor")));
        }
    };
    if last == Phase::Tensor {
        return emit_text(args, &MlirContext::new().print_program(&program).map_err(one)?);
    }
    if args.target == TargetKind::Cuda {
        return compile_cuda(args, &program);
    }
    let mut scheduled = pipeline::run_loop(program, &machine, options, recorder).map_err(one)?;
    scheduled.defaults = defaults;
    scheduled.file_order_peak_bytes = file_order_peak_bytes;
    match (args.emit, last) {
        (Some(Emit::Ptx), _) => Err(one(Diagnostic::user("PTX is code for GPUs").hint("add --target cuda"))),
        (Some(Emit::Llvm | Emit::Asm | Emit::Obj), _) => {
            emit_code(args, options, &scheduled.kernels, &target)
        }
        (_, Phase::Loop) => {
            let nests: Vec<_> = scheduled.kernels.iter().map(|k| k.nest.clone()).collect();
            emit_text(args, &MlirContext::new().print_nests(&nests).map_err(one)?)
        }
        _ => {
            let (written, place) = if is_stdout(args) {
                if std::io::stdout().is_terminal() {
                    let message = "an artifact is binary and stdout is a terminal";
                    return Err(one(
                        Diagnostic::user(message).hint("name a file with -o FILE, or redirect stdout")
                    ));
                }
                let file = Temporary::new(&args.model)?;
                let written =
                    pipeline::finish(&scheduled, &target, file.path(), options, recorder).map_err(one)?;
                output::copy(file.path())?;
                (written, "to stdout".to_owned())
            } else {
                let path = args.output.clone().unwrap_or_else(|| args.model.with_extension("mlcc"));
                let written = pipeline::finish(&scheduled, &target, &path, options, recorder).map_err(one)?;
                (written, path.display().to_string())
            };
            talk(&format!(
                "wrote {place} ({:.1} MB): {} of {}, {}, {}; arena {:.1} MB",
                written.bytes as f64 / 1e6,
                count(written.counts.kernels, "kernel launch"),
                count(scheduled.kernels.len(), "kernel"),
                count(written.counts.views, "view"),
                count(written.counts.runtime_calls, "runtime call"),
                scheduled.arena.bytes as f64 / 1e6,
            ));
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn compile_cuda(args: &Args, program: &Program) -> Outcome {
    if args.emit != Some(Emit::Ptx) {
        let message = match args.emit.is_some() || args.to.is_some() {
            true => "the loops and the code of GPU kernels can be written as PTX only",
            false => "artifacts for GPUs cannot be written yet",
        };
        return Err(one(Diagnostic::unsupported(message).hint("use --emit ptx to see the kernels' code")));
    }
    let unique = codegen::unique_kernels(program);
    let kernels: Vec<_> = unique.kernels.iter().map(|(kernel, _)| &**kernel).collect();
    let module = mlcc_cuda::compile_program_to_ptx(&kernels, &args.arch).map_err(one)?;
    emit_text(args, &module.text)
}

fn emit_code(
    args: &Args,
    options: &Options,
    kernels: &[codegen::ScheduledKernel],
    target: &mlcc_llvm::Target,
) -> Outcome {
    let options = mlcc_llvm::Options { texts: args.emit != Some(Emit::Obj), ..options.llvm() };
    if args.emit == Some(Emit::Obj) {
        if is_stdout(args) {
            let message = "objects are several files, which stdout cannot hold";
            return Err(one(
                Diagnostic::user(message).hint("name a folder with -o FOLDER, or see --emit asm")
            ));
        }
        let folder = args.output.clone().unwrap_or_else(|| args.model.with_extension("objects"));
        std::fs::create_dir_all(&folder).map_err(|e| write_error(&folder, &e))?;
        for (i, kernel) in kernels.iter().enumerate() {
            let compiled = mlcc_llvm::compile(&kernel.nest, target, &options).map_err(one)?;
            let path = folder.join(format!("k{i}_{}.o", kernel.kernel.name));
            std::fs::write(&path, &compiled.object).map_err(|e| write_error(&path, &e))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = String::new();
    for kernel in kernels {
        let compiled = mlcc_llvm::compile(&kernel.nest, target, &options).map_err(one)?;
        let texts = compiled.texts.unwrap_or_default();
        text += if args.emit == Some(Emit::Asm) { &texts.asm } else { &texts.llvm };
        text.push('\n');
    }
    emit_text(args, &text)
}

fn is_stdout(args: &Args) -> bool {
    args.output.as_deref() == Some(Path::new("-"))
}

/// IR goes to stdout unless a file is named.
fn emit_text(args: &Args, text: &str) -> Outcome {
    match &args.output {
        Some(path) if !is_stdout(args) => std::fs::write(path, text).map_err(|e| write_error(path, &e))?,
        _ => output::write(format_args!("{text}"))?,
    }
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::print_stderr, reason = "talk goes to stderr")]
fn talk(text: &str) {
    eprintln!("{text}");
}
