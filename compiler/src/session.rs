//! A compilation: the phases in order, for any target, from a model or from the IR of a level.
//!
//! ```text
//! model --import--> Stage::Graph --graph passes--> Stage::Rewritten --conversion, tensor passes--> Stage::Fused
//!       --schedules--> Stage::Scheduled --code--> artifact
//! ```

use crate::{
    assemble::{self, Parts, Written},
    codegen::{self, ScheduledKernel, UniqueKernels},
    import,
    observer::Observer,
    options::{Diagnostics, Options},
    phase::Phase,
    runtime_error,
    target::{Target, described},
};
use mlcc_ir::{
    contract::Verified,
    diagnostic::{Diagnostic, Result},
    graph::Graph,
    program::Program,
};
use mlcc_passes::{
    config::Config,
    convert, driver,
    plan::{self, ArenaPlan},
    registry::{Context, IrRef, PassSpec},
};
use std::{path::Path, time::Instant};

/// The progress of a compilation, with its IR.
pub enum Stage {
    /// A graph from the import or from a dump. The passes after the last one that it has been through are still to run.
    Graph(Verified<Graph>),
    /// A graph after its passes.
    Rewritten(Verified<Graph>),
    /// A program from a dump. The passes after the last one that it has been through are still to run.
    Program(Verified<Program>),
    /// A program after its passes.
    Fused(Verified<Program>),
    /// A program whose kernels have loops.
    Scheduled(Scheduled),
}

impl Stage {
    /// The last phase that is complete.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self {
            Stage::Graph(_) => Phase::Import,
            Stage::Rewritten(_) | Stage::Program(_) => Phase::Graph,
            Stage::Fused(_) => Phase::Tensor,
            Stage::Scheduled(_) => Phase::Loop,
        }
    }
}

/// Result of the loop phase.
pub struct Scheduled {
    /// The program at the tensor level.
    pub program: Verified<Program>,
    /// Its unique kernels.
    pub unique: UniqueKernels,
    /// The kernels with their loops.
    pub kernels: Vec<ScheduledKernel>,
    /// Where the intermediates live.
    pub arena: ArenaPlan,
}

/// One compilation.
pub struct Session<'a> {
    options: &'a Options,
    target: Target,
    config: Config,
    observer: &'a mut dyn Observer,
}

impl<'a> Session<'a> {
    /// A compilation for the target that the options name.
    ///
    /// # Errors
    /// If that target is not known.
    pub fn new(options: &'a Options, observer: &'a mut dyn Observer) -> Result<Session<'a>> {
        let target = Target::new(options)?;
        let config = target.config(options);
        Ok(Session { options, target, config, observer })
    }

    /// The target for which code is generated.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Reads a model.
    ///
    /// # Errors
    /// All problems of the file.
    pub fn import(&mut self, model: &Path) -> std::result::Result<Stage, Diagnostics> {
        let start = Instant::now();
        let graph = import::import(model, self.options)?;
        self.observer.imported(&graph).map_err(|d| vec![d])?;
        self.observer.after_phase(Phase::Import, start.elapsed());
        Ok(Stage::Graph(graph))
    }

    /// Continues until a phase is complete; the last possible phase is the loop phase.
    ///
    /// # Errors
    /// If an operator cannot be converted or a kernel not scheduled, or a pass fails.
    pub fn run(&mut self, mut stage: Stage, last: Phase) -> Result<Stage> {
        while stage.phase() < last.min(Phase::Loop) {
            stage = self.next(stage)?;
        }
        Ok(stage)
    }

    /// One step.
    fn next(&mut self, stage: Stage) -> Result<Stage> {
        let start = Instant::now();
        match stage {
            Stage::Graph(graph) => {
                let graph = driver::run(graph, &mut self.context())?;
                self.observer.after_phase(Phase::Graph, start.elapsed());
                Ok(Stage::Rewritten(graph))
            }
            Stage::Rewritten(graph) => {
                let program = self.convert(&graph)?;
                drop(graph);
                self.fuse(program, start)
            }
            Stage::Program(program) => self.fuse(program, start),
            Stage::Fused(program) => {
                let scheduled = self.schedule(program)?;
                self.observer.scheduled(&scheduled.kernels)?;
                self.observer.after_phase(Phase::Loop, start.elapsed());
                Ok(Stage::Scheduled(scheduled))
            }
            Stage::Scheduled(_) => Ok(stage),
        }
    }

    /// Runs one pass on a stage's IR, whether or not it would run in a compilation.
    ///
    /// # Errors
    /// If the pass belongs to another level, or fails.
    pub fn run_pass(&mut self, stage: Stage, pass: &PassSpec) -> Result<Stage> {
        let mut context = self.context();
        Ok(match stage {
            Stage::Graph(graph) | Stage::Rewritten(graph) => {
                Stage::Graph(driver::run_one(graph, pass, &mut context)?.0)
            }
            Stage::Program(program) | Stage::Fused(program) | Stage::Scheduled(Scheduled { program, .. }) => {
                Stage::Program(driver::run_one(program, pass, &mut context)?.0)
            }
        })
    }

    fn context(&mut self) -> Context<'_> {
        Context { config: &self.config, events: &mut *self.observer }
    }

    fn convert(&mut self, graph: &Verified<Graph>) -> Result<Verified<Program>> {
        let program = driver::guarded("graph-to-tensor", || convert::graph_to_tensor(graph))?;
        let program = Verified::new(program, "graph-to-tensor")?;
        self.observer.after_pass("graph-to-tensor", 1, IrRef::Program(&program))?;
        Ok(program)
    }

    fn fuse(&mut self, program: Verified<Program>, start: Instant) -> Result<Stage> {
        let program = driver::run(program, &mut self.context())?;
        self.observer.after_phase(Phase::Tensor, start.elapsed());
        Ok(Stage::Fused(program))
    }

    fn schedule(&self, program: Verified<Program>) -> Result<Scheduled> {
        let unique = codegen::unique_kernels(&program);
        let kernels = driver::guarded("schedule", || match &self.target {
            Target::Cuda { .. } => codegen::schedule_for_gpu(&unique, &self.options.decisions),
            Target::Cpu { .. } if self.options.optimisation < 2 => {
                codegen::schedule_plainly(&unique, &program.ranges, &self.options.decisions)
            }
            Target::Cpu { machine, .. } => {
                codegen::schedule(&unique, &program.ranges, machine, &self.options.decisions)
            }
        })?;
        let arena = plan::decide(&program);
        Ok(Scheduled { program, unique, kernels, arena })
    }

    /// Code generation and the artifact.
    ///
    /// # Errors
    /// If code generation or writing fails; if the target has no artifacts yet.
    pub fn write(&mut self, scheduled: &Scheduled, output: &Path) -> Result<Written> {
        let Target::Cpu { code: target, machine } = &self.target else {
            let message = "artifacts for GPUs cannot be written yet";
            return Err(Diagnostic::unsupported(message).hint("use --emit ptx to see the kernels' code"));
        };
        let start = Instant::now();
        let total = scheduled.kernels.len();
        let threads = match self.options.threads {
            0 => mlcc_runtime::default_threads().map_err(|e| runtime_error::diagnostic(&e))?,
            given => given,
        };
        let llvm_options = self.llvm_options();
        let code = {
            let shared = std::sync::Mutex::new(&mut *self.observer);
            codegen::compile(&scheduled.kernels, target, &llvm_options, threads, &|done| {
                shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner).progress(done, total);
            })?
        };
        self.observer.after_phase(Phase::Llvm, start.elapsed());
        let start = Instant::now();
        let parts = Parts {
            program: &scheduled.program,
            unique: &scheduled.unique,
            scheduled: &scheduled.kernels,
            code: &code,
            arena: &scheduled.arena,
            target: described(target),
            keep_denormals: self.options.keep_denormals,
            flags: self.options.flags.clone(),
            machine: machine.to_string(),
        };
        let written = assemble::write(&parts, output)?;
        self.observer.after_phase(Phase::Binary, start.elapsed());
        Ok(written)
    }

    /// The options of code generation for CPUs.
    #[must_use]
    pub fn llvm_options(&self) -> mlcc_llvm::Options {
        mlcc_llvm::Options { keep_denormals: self.options.keep_denormals, ..mlcc_llvm::Options::default() }
    }
}

/// Compiles a model file to an artifact.
///
/// # Errors
/// Everything that stops the compilation.
pub fn compile(
    model: &Path,
    output: &Path,
    options: &Options,
    observer: &mut dyn Observer,
) -> std::result::Result<Written, Diagnostics> {
    let one = |d: Diagnostic| vec![d];
    let mut session = Session::new(options, observer).map_err(one)?;
    let imported = session.import(model)?;
    match session.run(imported, Phase::Loop).map_err(one)? {
        Stage::Scheduled(scheduled) => session.write(&scheduled, output).map_err(one),
        _ => Err(one(Diagnostic::internal("a compilation ended before its loops"))),
    }
}
