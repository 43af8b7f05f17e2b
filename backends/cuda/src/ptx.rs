//! From kernels to PTX: one module for all of them.

use crate::{emit, launch::Launch, schedule};
use inkwell::{
    OptimizationLevel,
    attributes::{Attribute, AttributeLoc},
    context::Context as LlvmContext,
    passes::PassBuilderOptions,
    targets::{CodeModel, FileType, InitializationConfig, RelocMode, Target, TargetMachine, TargetTriple},
};
use melior::ir::{Location, Module};
use mlcc_ir::{
    contract::Verified,
    diagnostic::{Diagnostic, Result},
    kernel::Kernel,
    nest::LoopNest,
};
use mlcc_llvm::{
    compile::{LOWERING, symbol_name, translate},
    emit::builder::Builder,
};
use mlcc_mlir::lowering;
use mlcc_passes::schedule::Decision;
use std::{collections::BTreeSet, fmt::Write, sync::Once};

/// Architectures, each with the oldest PTX version that has it: drivers understand older versions.
const ARCHITECTURES: &[(&str, &str)] = &[
    ("sm_80", "+ptx70"),
    ("sm_86", "+ptx71"),
    ("sm_87", "+ptx74"),
    ("sm_89", "+ptx78"),
    ("sm_90", "+ptx78"),
    ("sm_90a", "+ptx80"),
    ("sm_100", "+ptx86"),
    ("sm_100a", "+ptx86"),
    ("sm_120", "+ptx87"),
];

/// Names of the architectures that code is generated for.
#[cfg(test)]
fn architectures() -> impl Iterator<Item = &'static str> {
    ARCHITECTURES.iter().map(|(name, _)| *name)
}

/// LLVM's passes for GPU kernels. No pass here duplicates or moves barriers: there is no unrolling and no
/// jump threading. Neighbouring loads become vectors once their alignment is known; LLVM's own run of the
/// vectoriser for this target does not find it.
const PASSES: &str = "function(sroa,infer-address-spaces,early-cse,instcombine<no-verify-fixpoint>,\
                      loop-mssa(licm),gvn,simplifycfg,infer-alignment,load-store-vectorizer)";

/// A kernel of a [`PtxModule`].
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The name to launch: unique in its module.
    pub name: String,
    /// The schedule, as text.
    pub decision: String,
    /// How to launch it.
    pub launch: Launch,
}

/// PTX for a list of kernels.
#[derive(Clone, Debug, PartialEq)]
pub struct PtxModule {
    /// The text, ready for the driver.
    pub text: String,
    /// The kernels in the order in which they were given.
    pub entries: Vec<Entry>,
}

/// The PTX of a kernel, for an architecture such as `sm_80`.
///
/// # Errors
/// As [`compile_program_to_ptx`].
pub fn compile_to_ptx(kernel: &Kernel, arch: &str) -> Result<String> {
    Ok(compile_program_to_ptx(&[kernel], arch)?.text)
}

/// One PTX module with all kernels, for an architecture such as `sm_80`. Deterministic: the same kernels
/// give the same text. Each kernel's launch stands in front as a comment.
///
/// # Errors
/// If the architecture is not known, or a kernel has no schedule for GPUs.
pub fn compile_program_to_ptx(kernels: &[&Kernel], arch: &str) -> Result<PtxModule> {
    let verified = |kernel: &&Kernel| {
        let (decision, nest) = schedule(kernel)?;
        Ok((decision, Verified::new(nest, "schedule")?))
    };
    let scheduled = kernels.iter().map(verified).collect::<Result<Vec<_>>>()?;
    let nests: Vec<(&Decision, &Verified<LoopNest>)> =
        scheduled.iter().map(|(decision, nest)| (decision, nest)).collect();
    compile_nests_to_ptx(&nests, arch)
}

/// The same for kernels whose loops are chosen already: the decision that led to each nest, and the nest.
///
/// # Errors
/// If the architecture is not known.
pub fn compile_nests_to_ptx(nests: &[(&Decision, &Verified<LoopNest>)], arch: &str) -> Result<PtxModule> {
    let machine = machine(arch)?;
    let context = lowering::lowering_context();
    let mut module = Module::new(Location::unknown(&context));
    let mut taken = BTreeSet::new();
    let mut entries = Vec::with_capacity(nests.len());
    for &(decision, nest) in nests {
        let launch = Launch::of(nest)?;
        let name = unique(&symbol_name(&nest.name), &mut taken);
        emit::kernel(&Builder::new(&context), &module, nest, &name, &launch)?;
        entries.push(Entry { name, decision: decision.to_string(), launch });
    }
    lowering::verify(&context, &module)?;
    lowering::run_pipeline(&context, &mut module, &format!("builtin.module({})", LOWERING.join(",")))?;

    let llvm_context = LlvmContext::create();
    let llvm = translate(&module, &llvm_context)?;
    drop(module);
    llvm.set_triple(&machine.get_triple());
    llvm.set_data_layout(&machine.get_target_data().get_data_layout());
    let nounwind = llvm_context.create_enum_attribute(Attribute::get_named_enum_kind_id("nounwind"), 0);
    for function in llvm.get_functions().filter(|f| f.count_basic_blocks() > 0) {
        function.add_attribute(AttributeLoc::Function, nounwind);
    }
    llvm.run_passes(PASSES, &machine, PassBuilderOptions::create())
        .map_err(|e| Diagnostic::internal(format!("LLVM's passes: {e}")))?;
    let code = machine
        .write_to_memory_buffer(&llvm, FileType::Assembly)
        .map_err(|e| Diagnostic::internal(format!("LLVM's code generation: {e}")))?;
    let mut text = String::new();
    for Entry { name, decision, launch } in &entries {
        // Writing to a string does not fail.
        let _ = writeln!(text, "// {name}: {launch}\n//   schedule {decision}");
    }
    let code = String::from_utf8_lossy(code.as_slice());
    text += code.trim_end_matches('\0');
    refuse_calls(&text)?;
    Ok(PtxModule { text, entries })
}

/// `name`, with a number if it is taken.
fn unique(name: &str, taken: &mut BTreeSet<String>) -> String {
    let numbered = (2..).map(|n| format!("{name}_{n}"));
    let free = std::iter::once(name.to_owned()).chain(numbered).find(|n| !taken.contains(n));
    let free = free.unwrap_or_default();
    taken.insert(free.clone());
    free
}

/// Kernels are complete: the driver would look for a function that is only declared.
fn refuse_calls(text: &str) -> Result<()> {
    match text.lines().find(|l| l.trim_start().starts_with(".extern .func")) {
        Some(line) => {
            Err(Diagnostic::internal(format!("the code calls a function that is nowhere: {}", line.trim())))
        }
        None => Ok(()),
    }
}

/// LLVM's code generator for an architecture.
fn machine(arch: &str) -> Result<TargetMachine> {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| Target::initialize_nvptx(&InitializationConfig::default()));
    let Some((_, features)) = ARCHITECTURES.iter().find(|(name, _)| *name == arch) else {
        let names: Vec<_> = ARCHITECTURES.iter().map(|(name, _)| *name).collect();
        return Err(Diagnostic::user(format!("the GPU architecture '{arch}' is not known"))
            .hint(format!("use one of {}", names.join(", "))));
    };
    let triple = TargetTriple::create("nvptx64-nvidia-cuda");
    let fault = |e: String| Diagnostic::internal(format!("no code generator for {arch}: {e}"));
    let (level, model) = (OptimizationLevel::Aggressive, CodeModel::Default);
    Target::from_triple(&triple)
        .map_err(|e| fault(e.to_string()))?
        .create_target_machine(&triple, arch, features, level, RelocMode::Default, model)
        .ok_or_else(|| fault("refused".into()))
}

#[cfg(test)]
mod tests;
