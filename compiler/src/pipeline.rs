//! Runs the phases of a compilation, one after the other.

use crate::{
    assemble::{self, Parts, Written},
    codegen::{self, ScheduledKernel, UniqueKernels},
    machine_profile::Profile,
    phase::Phase,
};
use mlcc_cpu::Machine;
use mlcc_ir::{
    attributes::Attrs,
    diagnostic::Diagnostic,
    graph::{Graph, known_elements},
    ops::{self, Operand},
    program::Program,
    tensor::Tensor,
};
use mlcc_onnx::{ImportOptions, Imported};
use mlcc_passes::{
    contract, convert,
    graph::{
        eliminate_common,
        rewrite::{self, recognise, transformations::STRASSEN_PRODUCTS},
    },
    plan::{self, ArenaPlan},
    registry::{Config, Level, PASSES, PassSpec, Run, VARIANTS, changes_bits},
    strassen::strassen_products,
    winograd::winograd_convolution,
};
use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

/// All problems found.
pub type Diagnostics = Vec<Diagnostic>;

/// What to compile for, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Fixed or ranged dimensions of inputs, as given to `--shape`.
    pub shapes: Vec<String>,
    /// CPU to generate code for: `host`, or a name of LLVM's.
    pub target_cpu: String,
    /// How much is done: 0 one plain kernel an operator, 1 passes but plain loops, 2 and 3 everything.
    pub optimisation: u8,
    /// Passes that are left out.
    pub disabled_passes: Vec<String>,
    /// Whether convolutions are sums of products only: Winograd's algorithm rounds differently.
    pub exact_conv: bool,
    /// Whether kernels compute with denormal numbers as IEEE 754 says, instead of taking them for zeros.
    pub keep_denormals: bool,
    /// A machine's profile, instead of the table's row for the CPU.
    pub machine: Option<Profile>,
    /// Which algebraic rules may be applied, and how much weights may grow. Its target is set where graphs are
    /// rewritten.
    pub rewrites: rewrite::Settings,
    /// Threads that generate code; 0 means [`mlcc_runtime::default_threads`]. The artifact does not depend on it.
    pub threads: usize,
    /// Flags that are recorded in the artifact.
    pub flags: Vec<String>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            shapes: Vec::new(),
            target_cpu: "host".into(),
            optimisation: 2,
            disabled_passes: Vec::new(),
            exact_conv: false,
            keep_denormals: false,
            machine: None,
            rewrites: rewrite::Settings::default(),
            threads: 0,
            flags: Vec::new(),
        }
    }
}

impl Options {
    /// What code generation is told.
    #[must_use]
    pub fn llvm(&self) -> mlcc_llvm::Options {
        mlcc_llvm::Options { keep_denormals: self.keep_denormals, ..mlcc_llvm::Options::default() }
    }
}

/// The IR after a pass.
#[derive(Clone, Copy)]
pub enum Ir<'a> {
    /// Graph level.
    Graph(&'a Graph),
    /// Tensor level.
    Program(&'a Program),
    /// Loop level: the program's kernels.
    Nests(&'a [ScheduledKernel]),
}

/// Is told what happens.
pub trait Observer: Send {
    /// A pass of a phase has run; `changes` is 0 where it changed nothing.
    ///
    /// # Errors
    /// To stop the compilation.
    fn after_pass(&mut self, phase: Phase, pass: &str, changes: usize, ir: Ir<'_>) -> Result<(), Diagnostic>;

    /// Algebraic rules have been applied.
    fn after_rewrites(&mut self, _report: &rewrite::Report) {}

    /// Products have been changed to Strassen's algorithm, for a machine of which this is known.
    fn after_products(&mut self, _changed: &[strassen_products::Changed], _config: &Config) {}

    /// A phase has ended after `time`.
    fn after_phase(&mut self, _phase: Phase, _time: Duration) {}

    /// `done` of `total` kernels have been compiled. Called from several threads.
    fn progress(&self, _done: usize, _total: usize) {}
}

/// An observer that ignores everything.
pub struct Silent;

impl Observer for Silent {
    fn after_pass(&mut self, _: Phase, _: &str, _: usize, _: Ir<'_>) -> Result<(), Diagnostic> {
        Ok(())
    }
}

/// Result of the loop phase.
pub struct Scheduled {
    /// The program at the tensor level.
    pub program: Program,
    /// Its unique kernels.
    pub unique: UniqueKernels,
    /// They, with their loops.
    pub kernels: Vec<ScheduledKernel>,
    /// Where the intermediates live.
    pub arena: ArenaPlan,
    /// What the decisions were taken for.
    pub machine: Machine,
    /// Values that inputs have where a caller gives none, by the input's number.
    pub defaults: BTreeMap<usize, Tensor>,
    /// [`plan::graph_peak`] of the model as imported.
    pub file_order_peak_bytes: Option<i64>,
}

/// The file to the graph level.
///
/// # Errors
/// Everything that is wrong with the file.
pub fn import(path: &Path, options: &Options, observer: &mut dyn Observer) -> Result<Imported, Diagnostics> {
    let start = Instant::now();
    let fold: &mlcc_onnx::Fold<'_> = &evaluate_constant;
    let import_options = import_options(&options.shapes, fold)?;
    let imported = mlcc_onnx::import(path, &import_options).map_err(|d| name_file(d, path))?;
    contract::check_graph(&imported.graph, "import").map_err(|d| vec![d])?;
    observer.after_pass(Phase::Import, "import", 1, Ir::Graph(&imported.graph)).map_err(|d| vec![d])?;
    observer.after_phase(Phase::Import, start.elapsed());
    Ok(imported)
}

/// Says which file a problem is in where no node says it.
fn name_file(diagnostics: Diagnostics, path: &Path) -> Diagnostics {
    let named = |mut d: Diagnostic| {
        let file = path.display().to_string();
        if d.location.is_none() && !d.message.contains(&file) {
            d.message = format!("'{file}': {}", d.message);
        }
        d
    };
    diagnostics.into_iter().map(named).collect()
}

/// An operator on constants, through the reference interpreter; `None` if it cannot be evaluated.
fn evaluate_constant(op: &str, attrs: &Attrs, operands: &[Option<Tensor>]) -> Option<Vec<Tensor>> {
    let types: Vec<_> = operands.iter().map(|o| o.as_ref().map(Tensor::ty)).collect();
    let known: Vec<_> = operands.iter().map(|o| o.as_ref().and_then(known_elements)).collect();
    let views: Vec<_> = operands
        .iter()
        .zip(&types)
        .zip(&known)
        .map(|((tensor, ty), known)| {
            let (constant, ty) = (tensor.as_ref()?, ty.as_ref()?);
            Some(Operand { ty, known: known.as_deref(), constant: Some(constant) })
        })
        .collect();
    let inferred = ops::infer(op, attrs, &views).ok()?;
    let types: Vec<_> = inferred.into_iter().map(|i| i.ty).collect();
    mlcc_interpreter::graph::evaluate(op, attrs, operands, &types).ok()
}

fn import_options<'a>(
    shapes: &[String],
    fold: &'a mlcc_onnx::Fold<'a>,
) -> Result<ImportOptions<'a>, Diagnostics> {
    let mut import_options = ImportOptions { fold: Some(fold), ..ImportOptions::default() };
    for shape in shapes {
        let (name, dims) = mlcc_onnx::DimSpec::parse_shape(shape).map_err(|d| vec![d])?;
        import_options.shapes.insert(name, dims);
    }
    Ok(import_options)
}

/// The passes of a level that run: the target takes them, and no option leaves them out.
fn enabled<'a>(
    options: &'a Options,
    config: &Config,
    level: Level,
) -> impl Iterator<Item = &'static PassSpec> + 'a {
    let config = *config;
    let disabled = move |p: &&PassSpec| {
        !config.runs(p)
            || options.disabled_passes.iter().any(|d| d == p.name)
            || options.exact_conv && p.name == winograd_convolution::SPEC.name
            // That equal terms are one is where rewriting starts.
            || options.rewrites.mode == rewrite::Mode::Off && p.name == eliminate_common::SPEC.name
            || options.rewrites.is_exact() && changes_bits(p)
            || p.name == STRASSEN_PRODUCTS.name && !options.rewrites.allows(&STRASSEN_PRODUCTS)
    };
    PASSES.iter().filter(move |p| options.optimisation > 0 && p.level() == level && !disabled(p))
}

/// The passes of the graph level; `config` is told by how many bytes weights have grown.
///
/// # Errors
/// If a pass fails, or leaves a graph that breaks the level's contract.
pub fn run_graph(
    graph: &mut Graph,
    config: &mut Config,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<(), Diagnostic> {
    let start = Instant::now();
    let runs: Vec<&str> = enabled(options, config, Level::Tensor).map(|p| p.name).collect();
    let left_out = PASSES.iter().map(|p| p.name).filter(|name| !runs.contains(name));
    let target =
        rewrite::Target { config: *config, disabled_passes: left_out.map(ToOwned::to_owned).collect() };
    let settings = rewrite::Settings { target, ..options.rewrites.clone() };
    for pass in enabled(options, config, Level::Graph) {
        let Run::Graph(run) = pass.run else { continue };
        let rules: Option<fn(&mut Graph, &rewrite::Settings) -> _> = match pass.name {
            name if name == rewrite::SPEC.name => Some(rewrite::run),
            name if name == recognise::SPEC.name => Some(recognise::run),
            _ => None,
        };
        let changes = match rules {
            Some(rules) => {
                let report = guarded(pass.name, || rules(graph, &settings))?;
                config.strassen.grown = config.strassen.grown.saturating_add(report.weight_growth);
                observer.after_rewrites(&report);
                report.changes()
            }
            None => guarded(pass.name, || run(graph))?,
        };
        tracing::debug!(pass = pass.name, changes, "graph pass");
        contract::check_graph(graph, pass.name)?;
        observer.after_pass(Phase::Graph, pass.name, changes, Ir::Graph(graph))?;
    }
    observer.after_phase(Phase::Graph, start.elapsed());
    Ok(())
}

/// Conversion to the tensor level and its passes.
///
/// # Errors
/// If an operator cannot be converted, or a pass fails.
pub fn run_tensor(
    graph: &Graph,
    config: &Config,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Program, Diagnostic> {
    let start = Instant::now();
    let mut program = guarded("graph-to-tensor", || convert::graph_to_tensor(graph))?;
    contract::check_program(&program, "graph-to-tensor")?;
    observer.after_pass(Phase::Tensor, "graph-to-tensor", 1, Ir::Program(&program))?;
    run_tensor_passes(&mut program, config, options, observer)?;
    observer.after_phase(Phase::Tensor, start.elapsed());
    Ok(program)
}

/// The passes of the tensor level. Those that a program has been through already find nothing.
///
/// # Errors
/// If a pass fails, or leaves a program that breaks the level's contract.
pub fn run_tensor_passes(
    program: &mut Program,
    config: &Config,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<(), Diagnostic> {
    for pass in enabled(options, config, Level::Tensor) {
        let Run::Tensor(run) = pass.run else { continue };
        let changes = if pass.name == strassen_products::SPEC.name {
            let changed =
                guarded(pass.name, || Ok(strassen_products::run_reported(program, &config.strassen)))?;
            observer.after_products(&changed, config);
            changed.len()
        } else {
            guarded(pass.name, || run(program, config))?
        };
        tracing::debug!(pass = pass.name, changes, "tensor pass");
        contract::check_program(program, pass.name)?;
        observer.after_pass(Phase::Tensor, pass.name, changes, Ir::Program(program))?;
    }
    Ok(())
}

/// Schedules and the arena plan.
///
/// # Errors
/// If a kernel cannot be scheduled.
pub fn run_loop(
    program: Program,
    machine: &Machine,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Scheduled, Diagnostic> {
    let start = Instant::now();
    let unique = codegen::unique_kernels(&program);
    let kernels = guarded("schedule", || match options.optimisation {
        0 | 1 => codegen::schedule_plainly(&unique, &program.ranges),
        _ => codegen::schedule(&unique, &program.ranges, machine),
    })?;
    let arena = plan::decide(&program);
    observer.after_pass(Phase::Loop, "schedule", kernels.len(), Ir::Nests(&kernels))?;
    observer.after_phase(Phase::Loop, start.elapsed());
    Ok(Scheduled {
        program,
        unique,
        kernels,
        arena,
        machine: machine.clone(),
        defaults: BTreeMap::new(),
        file_order_peak_bytes: None,
    })
}

/// Compiles a model file to an artifact for a CPU.
///
/// # Errors
/// Everything that stops the compilation.
pub fn compile(
    model: &Path,
    output: &Path,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Written, Diagnostics> {
    let one = |d: Diagnostic| vec![d];
    let target = mlcc_llvm::Target::named(&options.target_cpu).map_err(one)?;
    let machine = machine_for(&target, options).map_err(one)?;
    let Imported { mut graph, defaults, .. } = import(model, options, observer)?;
    let file_order_peak_bytes = plan::graph_peak(&graph);
    let mut config = config_for(&machine, options);
    run_graph(&mut graph, &mut config, options, observer).map_err(one)?;
    let program = run_tensor(&graph, &config, options, observer).map_err(one)?;
    drop(graph);
    let scheduled = Scheduled {
        defaults,
        file_order_peak_bytes,
        ..run_loop(program, &machine, options, observer).map_err(one)?
    };
    finish(&scheduled, &target, output, options, observer).map_err(one)
}

/// Code generation and the artifact.
///
/// # Errors
/// If code generation or writing fails.
pub fn finish(
    scheduled: &Scheduled,
    target: &mlcc_llvm::Target,
    output: &Path,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Written, Diagnostic> {
    let start = Instant::now();
    let total = scheduled.kernels.len();
    let threads = match options.threads {
        0 => mlcc_runtime::default_threads().map_err(|e| Diagnostic::user(e.to_string()))?,
        given => given,
    };
    let code = {
        let shared = std::sync::Mutex::new(&mut *observer);
        codegen::compile(&scheduled.kernels, target, &options.llvm(), threads, &|done| {
            let observer = shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            observer.progress(done, total);
        })?
    };
    observer.after_phase(Phase::Llvm, start.elapsed());
    let start = Instant::now();
    let parts = Parts {
        program: &scheduled.program,
        unique: &scheduled.unique,
        scheduled: &scheduled.kernels,
        code: &code,
        arena: &scheduled.arena,
        defaults: &scheduled.defaults,
        file_order_peak_bytes: scheduled.file_order_peak_bytes,
        target: described(target),
        keep_denormals: options.keep_denormals,
        flags: options.flags.clone(),
        machine: scheduled.machine.to_string(),
    };
    let written = assemble::write(&parts, output)?;
    observer.after_phase(Phase::Binary, start.elapsed());
    Ok(written)
}

/// A target as an artifact describes it: what the runtime checks before it executes the code.
#[must_use]
pub fn described(target: &mlcc_llvm::Target) -> mlcc_format::Target {
    mlcc_format::Target {
        kind: mlcc_format::TargetKind::Cpu,
        triple: target.triple.clone(),
        cpu: target.cpu.clone(),
        features: target.features.clone(),
    }
}

/// What decisions know about a target: the table's row, or the profile that is given.
///
/// # Errors
/// If the profile is of a machine that is too different.
pub fn machine_for(target: &mlcc_llvm::Target, options: &Options) -> Result<Machine, Diagnostic> {
    let known = Machine::for_target(target);
    match &options.machine {
        None => Ok(known),
        Some(profile) => profile.machine_for(&known),
    }
}

/// What passes know about a machine, and are told.
#[must_use]
pub fn config_for(machine: &Machine, options: &Options) -> Config {
    Config {
        variants: VARIANTS,
        winograd: machine.winograd_rates(),
        strassen: strassen_products::Settings {
            rates: machine.strassen_rates(),
            max_weight_growth: options.rewrites.max_weight_growth,
            grown: 0,
        },
        rates: machine.price_rates(),
        threads: machine.threads(),
        exact: options.rewrites.is_exact(),
    }
}

/// Runs a pass; a panic in it becomes an internal error that names it.
fn guarded<T>(pass: &str, run: impl FnOnce() -> Result<T, Diagnostic>) -> Result<T, Diagnostic> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let what = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        Err(Diagnostic::internal(format!("pass '{pass}' panicked: {what}")))
    })
}
