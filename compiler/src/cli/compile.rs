//! `mlcc compile MODEL`: a model to an artifact, or to the IR of a level.

use super::{
    Outcome, compiling::Compiling, dumped::Dump, kind::FileKind, load::Temporary, one, output, write_error,
};
use crate::{
    codegen,
    decisions::{self, Decisions},
    dump::Recorder,
    options::{Device, Options},
    phase::Phase,
    session::{Scheduled, Session, Stage},
    target::Target,
};
use clap::ValueEnum;
use mlcc_ir::diagnostic::{Diagnostic, count};
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
    /// With `--dump-ir`: show the schedule of this kernel, or of the kernel of this ONNX node, step by step.
    #[arg(long, value_name = "KERNEL", requires = "dump_ir")]
    dump_schedule: Option<String>,
    /// Write the decisions for all kernels to this file: variant and schedule, and why others were refused.
    #[arg(long, value_name = "FILE")]
    dump_decisions: Option<PathBuf>,
    /// Take the decisions from this file. `--dump-decisions` writes such a file, and a person or a program may change it.
    /// Kernels that are not in it are decided as usual.
    #[arg(long, value_name = "FILE")]
    decisions: Option<PathBuf>,
    /// Tell which algebraic rules were applied, where, and how much that saves by estimate.
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

impl Args {
    /// The last phase that is wanted.
    fn last(&self) -> Phase {
        match (self.emit, self.to) {
            (Some(Emit::Graph), _) => Phase::Graph,
            (Some(Emit::Tensor), _) => Phase::Tensor,
            (Some(Emit::Loop), _) => Phase::Loop,
            (Some(_), _) => Phase::Llvm,
            (None, Some(phase)) => phase,
            (None, None) => Phase::Binary,
        }
    }
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
    let device = match args.target {
        TargetKind::Cpu => Device::Cpu,
        TargetKind::Cuda => Device::Cuda(args.arch.clone()),
    };
    let decisions = args.decisions.as_deref().map(Decisions::read).transpose().map_err(one)?;
    let options = Options { device, decisions: decisions.unwrap_or_default(), ..args.compiling.options()? };
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
    let last = args.last();
    if args.from.is_none()
        && let Some(diagnostic) = FileKind::of(&args.model).instead_of_model(&args.model)
    {
        return Err(one(diagnostic));
    }
    if args.dump_decisions.is_some() && last < Phase::Loop {
        let message =
            format!("--dump-decisions writes what phase 'loop' decides, but '{last}' is the last one");
        return Err(one(Diagnostic::user(message).hint("leave --to or --emit out, or name 'loop'")));
    }
    let mut session = Session::new(options, recorder).map_err(one)?;
    let dump = || Dump::read(&args.model, args.weights.as_deref());
    let stage = match args.from {
        None => session.import(&args.model)?,
        Some(from) if from > last => {
            let message = format!("a compilation that starts from phase '{from}' cannot stop at '{last}'");
            return Err(one(Diagnostic::user(message).hint("name a later phase with --to or --emit")));
        }
        Some(Phase::Import | Phase::Graph) => Stage::Graph(dump()?.graph(options)?),
        Some(Phase::Tensor) => Stage::Program(dump()?.program(options)?),
        Some(phase) => {
            let message = format!("a compilation cannot start from phase '{phase}'");
            return Err(one(Diagnostic::unsupported(message).hint("start from import, graph or tensor")));
        }
    };
    let stage = session.run(stage, last).map_err(one)?;
    if let (Some(path), Stage::Scheduled(scheduled)) = (&args.dump_decisions, &stage) {
        std::fs::write(path, decisions::text(&scheduled.kernels)).map_err(|e| write_error(path, &e))?;
    }
    match (&stage, args.emit) {
        (Stage::Scheduled(scheduled), Some(Emit::Llvm | Emit::Asm | Emit::Obj | Emit::Ptx)) => {
            emit_code(args, &session, scheduled)
        }
        (Stage::Scheduled(scheduled), _) if last > Phase::Loop => write(args, &mut session, scheduled),
        _ => emit_text(args, &text_of(&stage).map_err(one)?),
    }
}

/// A stage's IR as text.
pub(super) fn text_of(stage: &Stage) -> Result<String, Diagnostic> {
    let mlir = MlirContext::new();
    match stage {
        Stage::Graph(graph) | Stage::Rewritten(graph) => mlir.print_graph(graph),
        Stage::Program(program) | Stage::Fused(program) => mlir.print_program(program),
        Stage::Scheduled(scheduled) => {
            let nests: Vec<_> = scheduled.kernels.iter().map(|k| k.nest.clone().into_inner()).collect();
            mlir.print_nests(&nests)
        }
    }
}

/// Writes the artifact.
fn write(args: &Args, session: &mut Session<'_>, scheduled: &Scheduled) -> Outcome {
    let (written, place) = if is_stdout(args) {
        if std::io::stdout().is_terminal() {
            let message = "an artifact is binary and stdout is a terminal";
            return Err(one(Diagnostic::user(message).hint("name a file with -o FILE, or redirect stdout")));
        }
        let file = Temporary::new(&args.model)?;
        let written = session.write(scheduled, file.path()).map_err(one)?;
        output::copy(file.path())?;
        (written, "to stdout".to_owned())
    } else {
        let path = args.output.clone().unwrap_or_else(|| args.model.with_extension("mlcc"));
        (session.write(scheduled, &path).map_err(one)?, path.display().to_string())
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

/// Writes the kernels' code.
fn emit_code(args: &Args, session: &Session<'_>, scheduled: &Scheduled) -> Outcome {
    match (session.target(), args.emit) {
        (Target::Cpu { .. }, Some(Emit::Ptx)) => {
            Err(one(Diagnostic::user("PTX is code for GPUs").hint("add --target cuda")))
        }
        (Target::Cpu { code, .. }, _) => emit_cpu_code(args, session, &scheduled.kernels, code),
        (Target::Cuda { arch }, Some(Emit::Ptx)) => {
            let nests: Vec<_> = scheduled.kernels.iter().map(|k| (&k.decision, &k.nest)).collect();
            emit_text(args, &mlcc_cuda::compile_nests_to_ptx(&nests, arch).map_err(one)?.text)
        }
        (Target::Cuda { .. }, _) => {
            let message = "the code of GPU kernels can be written as PTX only";
            Err(one(Diagnostic::unsupported(message).hint("use --emit ptx")))
        }
    }
}

fn emit_cpu_code(
    args: &Args,
    session: &Session<'_>,
    kernels: &[codegen::ScheduledKernel],
    target: &mlcc_llvm::Target,
) -> Outcome {
    let options = mlcc_llvm::Options { texts: args.emit != Some(Emit::Obj), ..session.llvm_options() };
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
            let path = folder.join(format!("{}.o", decisions::label(i, &kernel.kernel.name)));
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
