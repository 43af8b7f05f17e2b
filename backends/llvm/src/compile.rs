//! From a [`LoopNest`] to an object file.

use crate::{
    emit::{builder::Builder, function, platform::Cpu},
    masked,
    target::{Architecture, Target},
};
use inkwell::{
    attributes::{Attribute, AttributeLoc},
    context::Context as LlvmContext,
    passes::PassBuilderOptions,
    targets::{FileType, TargetMachine},
};
use melior::ir::{Location, Module};
use mlcc_ir::{
    contract::Verified,
    diagnostic::{Diagnostic, Result},
    expr::Expr,
    nest::LoopNest,
};
use mlcc_mlir::lowering;
use std::time::{Duration, Instant};

/// The steps from structured control flow and vectors to the `llvm` dialect.
pub const LOWERING: [&str; 6] = [
    "convert-scf-to-cf",
    "convert-vector-to-llvm",
    "convert-math-to-llvm",
    "convert-arith-to-llvm",
    "convert-cf-to-llvm",
    "reconcile-unrealized-casts",
];

/// LLVM's passes for kernels: no inlining, no loop idioms (which make library calls), no unrolling.
pub const LLVM_PASSES: &str =
    "function(sroa,early-cse,instcombine<no-verify-fixpoint>,loop-mssa(licm),gvn,simplifycfg)";

/// Options of [`compile`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Keep the texts of every step.
    pub texts: bool,
    /// Whether the code runs where denormal numbers behave as IEEE 754 says. Otherwise it runs where they are
    /// taken for zeros, as the runtime does for most models. LLVM computes with constants accordingly.
    pub keep_denormals: bool,
}

/// The texts of a kernel's steps, on request.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    /// MLIR as emitted, then after each lowering step: `(step, text)`.
    pub mlir: Vec<(&'static str, String)>,
    /// LLVM IR after optimisation.
    pub llvm: String,
    /// Assembly.
    pub asm: String,
}

/// A kernel in machine code.
#[derive(Clone, Debug)]
pub struct CompiledKernel {
    /// An object file with the one global symbol [`CompiledKernel::symbol`].
    pub object: Vec<u8>,
    /// Scratch memory that each thread needs, over the nest's symbols.
    pub scratch_bytes: Expr,
    /// The kernel's function.
    pub symbol: String,
    /// How the code must be run: see [`Options::keep_denormals`].
    pub keep_denormals: bool,
    /// Texts, if asked for.
    pub texts: Option<Texts>,
    /// How long each phase took.
    pub times: Vec<(&'static str, Duration)>,
}

/// A C identifier made of a kernel's name.
#[must_use]
pub fn symbol_name(name: &str) -> String {
    let clean: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    format!("mlcc_{clean}")
}

/// Compiles a nest. Deterministic: the same nest and target give the same bytes.
///
/// # Errors
/// If the nest breaks a rule of loop nests, is scheduled for another machine, or the target has no code
/// generator.
pub fn compile(nest: &Verified<LoopNest>, target: &Target, options: &Options) -> Result<CompiledKernel> {
    let mut clock = Clock::default();
    let machine = target.machine()?;
    let symbol = symbol_name(&nest.name);
    let mut texts = options.texts.then(Texts::default);

    let context = lowering::lowering_context();
    let mut module = Module::new(Location::unknown(&context));
    clock.end("set-up");
    let cpu = Cpu { vector_bits: target.vector_bits(), masks: target.has_masks() };
    let mut builder = Builder::new(&context);
    if target.architecture() == Some(Architecture::X86_64) {
        builder = builder.for_x86(target.has("avx512f") && target.has("avx512dq"));
    }
    function::kernel(&builder, &module, nest, &symbol, &cpu)?;
    lowering::verify(&context, &module)?;
    clock.end("emission");
    match &mut texts {
        None => {
            lowering::run_pipeline(&context, &mut module, &format!("builtin.module({})", LOWERING.join(",")))?
        }
        Some(texts) => {
            texts.mlir.push(("emitted", module.as_operation().to_string()));
            for step in LOWERING {
                lowering::run_pipeline(&context, &mut module, &format!("builtin.module({step})"))?;
                texts.mlir.push((step, module.as_operation().to_string()));
            }
        }
    }

    clock.end("lowering");

    let llvm_context = LlvmContext::create();
    let llvm = translate(&module, &llvm_context)?;
    drop(module);
    clock.end("translation");
    optimise(&llvm, &machine, target, options)?;
    clock.end("optimisation");
    if let Some(texts) = &mut texts {
        texts.llvm = llvm.print_to_string().to_string();
        texts.asm = String::from_utf8_lossy(&machine_code(&llvm, &machine, FileType::Assembly)?).into_owned();
    }
    let object = machine_code(&llvm, &machine, FileType::Object)?;
    clock.end("code generation");
    tracing::debug!(kernel = %nest.name, bytes = object.len(), times = ?clock.times, "compiled");
    let (scratch_bytes, times) = (function::scratch_layout(nest).1, clock.times);
    let keep_denormals = options.keep_denormals;
    Ok(CompiledKernel { object, scratch_bytes, symbol, keep_denormals, texts, times })
}

/// Takes the time of phases.
struct Clock {
    last: Instant,
    times: Vec<(&'static str, Duration)>,
}

impl Default for Clock {
    fn default() -> Clock {
        Clock { last: Instant::now(), times: Vec::new() }
    }
}

impl Clock {
    fn end(&mut self, phase: &'static str) {
        let now = Instant::now();
        self.times.push((phase, now - self.last));
        self.last = now;
    }
}

/// An LLVM module of a lowered MLIR module.
///
/// # Errors
/// If an operation has no translation.
pub fn translate<'l>(module: &Module<'_>, context: &'l LlvmContext) -> Result<inkwell::module::Module<'l>> {
    // SAFETY: the context is alive, of the LLVM that is linked, and this thread's; the module that comes
    // back belongs to the caller and to that context.
    unsafe {
        let raw = lowering::translate_to_llvm_ir(module, context.raw().cast())?;
        Ok(inkwell::module::Module::new(raw.cast()))
    }
}

/// Marks the functions for the target, runs [`LLVM_PASSES`], and replaces instructions for which LLVM would
/// select wrong code.
fn optimise(
    llvm: &inkwell::module::Module<'_>,
    machine: &TargetMachine,
    target: &Target,
    options: &Options,
) -> Result<()> {
    llvm.set_triple(&machine.get_triple());
    llvm.set_data_layout(&machine.get_target_data().get_data_layout());
    let context = llvm.get_context();
    let flag = |name: &str| context.create_enum_attribute(Attribute::get_named_enum_kind_id(name), 0);
    for function in llvm.get_functions().filter(|f| f.count_basic_blocks() > 0) {
        function.add_attribute(AttributeLoc::Function, flag("nounwind"));
        // First for results, then for operands.
        let denormals = if options.keep_denormals { "ieee,ieee" } else { "preserve-sign,preserve-sign" };
        for (key, value) in [
            ("no-builtins", ""),
            ("target-cpu", target.baseline()),
            ("target-features", &target.llvm_features()),
            ("tune-cpu", target.tuned_for()),
            ("denormal-fp-math", denormals),
        ] {
            function.add_attribute(AttributeLoc::Function, context.create_string_attribute(key, value));
        }
    }
    llvm.run_passes(LLVM_PASSES, machine, PassBuilderOptions::create())
        .map_err(|e| Diagnostic::internal(format!("LLVM's passes: {e}")))?;
    if target.architecture() == Some(Architecture::X86_64) {
        masked::lower(llvm, target.has("avx512f"))
    } else {
        Ok(())
    }
}

fn machine_code(
    llvm: &inkwell::module::Module<'_>,
    machine: &TargetMachine,
    kind: FileType,
) -> Result<Vec<u8>> {
    let buffer = machine
        .write_to_memory_buffer(llvm, kind)
        .map_err(|e| Diagnostic::internal(format!("LLVM's code generation: {e}")))?;
    Ok(buffer.as_slice().to_vec())
}
