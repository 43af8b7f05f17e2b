//! `mlcc compile MODEL`: a model to an artifact, or to the IR of a level.

use super::{Outcome, dumped::Dump, one, write_error};
use crate::{
    codegen,
    dump::Recorder,
    machine_profile::Profile,
    phase::Phase,
    pipeline::{self, Options},
};
use clap::ValueEnum;
use mlcc_ir::{diagnostic::Diagnostic, program::Program};
use mlcc_mlir::MlirContext;
use mlcc_passes::{graph::rewrite, registry::Config};
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
    /// CPU to generate code for: `host`, or a name that LLVM knows, such as x86-64-v3 or neoverse-n1.
    #[arg(long, default_value = "host")]
    target_cpu: String,
    /// GPU architecture.
    #[arg(long, default_value = "sm_80")]
    arch: String,
    /// Dimensions of an input, fixed or a range (`1..8`, `64..`, `64..512:16` for multiples of 16):
    /// `x=1..8x3x224x224`. Repeatable.
    #[arg(long, value_name = "NAME=DIMS")]
    shape: Vec<String>,
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
    /// A machine's profile, which `mlcc machine measure` writes: decisions are taken from it instead of
    /// from what is known of the CPU by its name.
    #[arg(long, value_name = "FILE")]
    machine: Option<PathBuf>,
    /// How much is done: 0 one plain kernel an operator (to look for a wrong pass), 1 graph passes and
    /// fusion with plain loops, 2 and 3 everything.
    #[arg(short = 'O', value_name = "LEVEL", default_value_t = 2,
          value_parser = clap::value_parser!(u8).range(0..=3))]
    optimisation: u8,
    /// Leave a pass out. Repeatable; `mlcc opt --list-passes` lists them.
    #[arg(long, value_name = "PASS")]
    disable_pass: Vec<String>,
    /// Compute convolutions as sums of products only, without Winograd's algorithm, which takes fewer
    /// multiplications and rounds differently (about 1e-6 of the result's norm).
    #[arg(long)]
    exact_conv: bool,
    /// Which algebraic rewrites are made.
    #[arg(long, value_enum, default_value_t = Rewrites::All)]
    rewrites: Rewrites,
    /// Leave a rewrite rule out. Repeatable; docs/rewrites.md lists the rules.
    #[arg(long, value_name = "RULE")]
    disable_rewrite: Vec<String>,
    /// How many times their bytes all weights may have (and a megabyte), where more of them save work: algebraic
    /// rules and Strassen's algorithm, which takes 1.75 for each matrix, share it. 1 lets none grow.
    #[arg(long, value_name = "FACTOR", default_value_t = Options::default().rewrites.max_weight_growth, value_parser = weight_growth)]
    max_weight_growth: f64,
    /// Tell which rules were applied, where, and what that saves by estimate.
    #[arg(long)]
    explain_rewrites: bool,
    /// Threads that compile; 0 means one for each CPU. The result does not depend on it.
    #[arg(long, default_value_t = 0)]
    jobs: usize,
    /// The ONNX model whose weights a dump refers to, with `--from`.
    #[arg(long, value_name = "MODEL")]
    weights: Option<PathBuf>,
    /// Where to write: MODEL with the ending .mlcc if not given, `-` for stdout (IR only).
    #[arg(short, long)]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum TargetKind {
    Cpu,
    Cuda,
}

/// Algebraic rewrites that are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Rewrites {
    /// All that make the model faster by estimate
    All,
    /// Those that leave every bit of every value as it is
    Exact,
    /// None; operators that compute the same are computed twice, and only constants are folded
    Off,
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
    let mut recorder = Recorder::new(
        args.dump_ir.as_deref(),
        args.dump_schedule.as_deref(),
        std::io::stderr().is_terminal(),
    )
    .map_err(one)?;
    let options = options(args)?;
    let outcome = compile(args, &options, &mut recorder);
    if outcome.is_ok() && args.explain_rewrites {
        super::explain::rewrites(recorder.rewrites.as_ref(), &recorder.products)?;
    }
    if outcome.is_ok() && !recorder.times.is_empty() {
        talk(&recorder.times_line());
    }
    outcome
}

/// See `--max-weight-growth`.
fn weight_growth(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(factor) if factor >= 1.0 && factor.is_finite() => Ok(factor),
        _ => Err(format!("'{text}' is no number from 1 on")),
    }
}

fn options(args: &Args) -> Result<Options, Vec<Diagnostic>> {
    for pass in &args.disable_pass {
        if mlcc_passes::registry::find(pass).is_none() {
            let message = format!("no pass is called '{pass}'");
            return Err(one(Diagnostic::user(message).hint("`mlcc opt --list-passes` lists the passes")));
        }
    }
    for rule in &args.disable_rewrite {
        if !rewrite::is_known(rule).map_err(one)? {
            let message = format!("no rewrite rule is called '{rule}'");
            return Err(one(Diagnostic::user(message).hint("docs/rewrites.md lists the rules")));
        }
    }
    let mut flags = Vec::new();
    args.shape.iter().for_each(|s| flags.push(format!("--shape {s}")));
    args.disable_pass.iter().for_each(|p| flags.push(format!("--disable-pass {p}")));
    if args.exact_conv {
        flags.push("--exact-conv".into());
    }
    if args.rewrites != Rewrites::All {
        flags.push(format!("--rewrites {}", if args.rewrites == Rewrites::Off { "off" } else { "exact" }));
    }
    args.disable_rewrite.iter().for_each(|r| flags.push(format!("--disable-rewrite {r}")));
    if args.max_weight_growth != Options::default().rewrites.max_weight_growth {
        flags.push(format!("--max-weight-growth {}", args.max_weight_growth));
    }
    if args.optimisation != 2 {
        flags.push(format!("-O{}", args.optimisation));
    }
    if args.target_cpu != "host" {
        flags.push(format!("--target-cpu {}", args.target_cpu));
    }
    let machine = args.machine.as_deref().map(Profile::read).transpose().map_err(one)?;
    if let Some(path) = &args.machine {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        flags.push(format!("--machine {name}"));
    }
    let mut options = Options {
        machine,
        shapes: args.shape.clone(),
        target_cpu: args.target_cpu.clone(),
        optimisation: args.optimisation,
        disabled_passes: args.disable_pass.clone(),
        exact_conv: args.exact_conv,
        rewrites: rewrite::Settings {
            mode: match args.rewrites {
                Rewrites::All => rewrite::Mode::All,
                Rewrites::Exact => rewrite::Mode::Exact,
                Rewrites::Off => rewrite::Mode::Off,
            },
            disabled: args.disable_rewrite.clone(),
            max_weight_growth: args.max_weight_growth,
            ..rewrite::Settings::default()
        },
        flags,
        ..Options::default()
    };
    if args.jobs > 0 {
        options.threads = args.jobs;
    }
    Ok(options)
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
    let target = mlcc_llvm::Target::named(&args.target_cpu).map_err(one)?;
    let machine = pipeline::machine_for(&target, options).map_err(one)?;
    // What is known of CPUs says nothing about a GPU.
    let mut config = match args.target {
        TargetKind::Cpu => pipeline::config_for(&machine, options),
        TargetKind::Cuda => Config { rates: mlcc_cuda::price_rates(&args.arch), ..Config::default() },
    };
    let dump = || Dump::read(&args.model, args.weights.as_deref());
    let mut file_order_peak_bytes = None;
    let program = match args.from {
        None if args.model.extension().is_some_and(|e| e == "mlir") => {
            let message = format!("'{}' is a dump, not a model", args.model.display());
            return Err(one(Diagnostic::user(message).hint("say which level it is of with --from PHASE")));
        }
        None | Some(Phase::Import | Phase::Graph) => {
            let mut graph = match args.from {
                None => pipeline::import(&args.model, options, recorder)?.graph,
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
    scheduled.file_order_peak_bytes = file_order_peak_bytes;
    match (args.emit, last) {
        (Some(Emit::Ptx), _) => Err(one(Diagnostic::user("PTX is code for GPUs").hint("add --target cuda"))),
        (Some(Emit::Llvm | Emit::Asm | Emit::Obj), _) => emit_code(args, &scheduled.kernels, &target),
        (_, Phase::Loop) => {
            let nests: Vec<_> = scheduled.kernels.iter().map(|k| k.nest.clone()).collect();
            emit_text(args, &MlirContext::new().print_nests(&nests).map_err(one)?)
        }
        _ => {
            let output = artifact_path(args);
            let written = pipeline::finish(&scheduled, &target, &output, options, recorder).map_err(one)?;
            talk(&format!(
                "wrote {} ({:.1} MB): {} kernel launches of {} kernels, {} views, {} runtime calls; arena {:.1} MB",
                output.display(),
                written.bytes as f64 / 1e6,
                written.counts.kernels,
                scheduled.kernels.len(),
                written.counts.views,
                written.counts.runtime_calls,
                scheduled.arena.bytes as f64 / 1e6,
            ));
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn compile_cuda(args: &Args, program: &Program) -> Outcome {
    if args.emit != Some(Emit::Ptx) {
        let message = "artifacts for GPUs cannot be written yet";
        return Err(one(Diagnostic::unsupported(message).hint("use --emit ptx to see the kernels' code")));
    }
    let unique = codegen::unique_kernels(program);
    let kernels: Vec<_> = unique.kernels.iter().map(|(kernel, _)| &**kernel).collect();
    let module = mlcc_cuda::compile_program_to_ptx(&kernels, &args.arch).map_err(one)?;
    emit_text(args, &module.text)
}

fn emit_code(args: &Args, kernels: &[codegen::ScheduledKernel], target: &mlcc_llvm::Target) -> Outcome {
    let options = mlcc_llvm::Options { texts: args.emit != Some(Emit::Obj) };
    if args.emit == Some(Emit::Obj) {
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

fn artifact_path(args: &Args) -> PathBuf {
    args.output.clone().unwrap_or_else(|| args.model.with_extension("mlcc"))
}

/// IR goes to stdout unless a file is named.
fn emit_text(args: &Args, text: &str) -> Outcome {
    match args.output.as_deref() {
        Some(path) if path != Path::new("-") => {
            std::fs::write(path, text).map_err(|e| write_error(path, &e))?;
        }
        _ => super::output::write(format_args!("{text}"))?,
    }
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::print_stderr, reason = "talk goes to stderr")]
fn talk(text: &str) {
    eprintln!("{text}");
}
