//! Kernels to loop nests to machine code. Each unique kernel is scheduled and compiled once, on all
//! cores.

use crate::decisions::{self, Decisions};
use mlcc_ir::{
    contract::Verified,
    diagnostic::{Diagnostic, Result},
    expr::Expr,
    kernel::Kernel,
    nest::LoopNest,
    program::{Program, Step, Storage, TensorId},
    size_range::SizeRanges,
};
use mlcc_machine::Machine;
use mlcc_passes::schedule::Decision;
use std::{collections::HashMap, sync::Arc};

/// A kernel with its decision and its loops.
#[derive(Clone, Debug)]
pub struct ScheduledKernel {
    /// The computation; taken from the first of the equal kernels.
    pub kernel: Arc<Kernel>,
    /// The decision for the kernel.
    pub decision: Decision,
    /// The loops that compute it.
    pub nest: Verified<LoopNest>,
    /// Nodes of all the kernels that share this code.
    pub nodes: Vec<mlcc_ir::Name>,
}

/// A program's unique kernels, and the kernel of each kernel step in the order of [`kernel_steps`].
#[derive(Clone, Debug, Default)]
pub struct UniqueKernels {
    /// Each kernel once, with flags for the operands that are constants.
    pub kernels: Vec<(Arc<Kernel>, Vec<bool>)>,
    /// For each kernel, the nodes of all the steps that run it.
    pub nodes: Vec<Vec<mlcc_ir::Name>>,
    /// For each kernel step, the index of its kernel.
    pub of_step: Vec<usize>,
}

/// Every kernel step of a program, nested blocks included, in order.
#[must_use]
pub fn kernel_steps(program: &Program) -> Vec<(&Arc<Kernel>, &[TensorId])> {
    let mut found = Vec::new();
    for step in &program.steps {
        step.visit(&mut |step| {
            if let Step::Kernel { kernel, operands } = step {
                found.push((kernel, &operands[..]));
            }
        });
    }
    found
}

/// The unique kernels of a program. Names and provenance make no difference, but constness of operands does,
/// because constants can be packed.
#[must_use]
pub fn unique_kernels(program: &Program) -> UniqueKernels {
    let mut unique = UniqueKernels::default();
    let mut known: HashMap<String, usize> = HashMap::new();
    for (kernel, operands) in kernel_steps(program) {
        let constant: Vec<bool> =
            operands.iter().map(|&t| matches!(program.tensors[t].storage, Storage::Constant(_))).collect();
        let anonymous = Kernel { name: "".into(), nodes: Vec::new(), ..(**kernel).clone() };
        let key = format!("{anonymous:?} {constant:?}");
        let at = *known.entry(key).or_insert_with(|| {
            unique.kernels.push((kernel.clone(), constant));
            unique.nodes.push(Vec::new());
            unique.kernels.len() - 1
        });
        unique.nodes[at].extend(kernel.nodes.iter().cloned());
        unique.of_step.push(at);
    }
    unique
}

/// Chooses a schedule for each kernel on a CPU and applies it; `ranges` are the known ranges of the program's
/// symbols.
///
/// # Errors
/// If a kernel cannot be scheduled, or a given decision is not legal for it.
pub fn schedule(
    unique: &UniqueKernels,
    ranges: &SizeRanges,
    machine: &Machine,
    given: &Decisions,
) -> Result<Vec<ScheduledKernel>> {
    schedule_with(unique, given, &|kernel, constants, given| match given {
        Some(decision) => Ok((decision.clone(), mlcc_cpu::replay(kernel, constants, ranges, decision)?)),
        None => mlcc_cpu::schedule(kernel, constants, ranges, machine),
    })
}

/// Maps each kernel's axes to the blocks and threads of a GPU.
///
/// # Errors
/// As [`schedule`].
pub fn schedule_for_gpu(unique: &UniqueKernels, given: &Decisions) -> Result<Vec<ScheduledKernel>> {
    schedule_with(unique, given, &|kernel, _, given| match given {
        Some(decision) => mlcc_cuda::replay(kernel, decision),
        None => mlcc_cuda::schedule(kernel),
    })
}

/// Leaves every kernel without a given decision as the plain nest of its definition.
///
/// # Errors
/// As [`schedule`].
pub fn schedule_plainly(
    unique: &UniqueKernels,
    ranges: &SizeRanges,
    given: &Decisions,
) -> Result<Vec<ScheduledKernel>> {
    let plain = Decision { variant: "naive".into(), ..Decision::default() };
    schedule_with(unique, given, &|kernel, constants, given| {
        let decision = given.unwrap_or(&plain);
        Ok((decision.clone(), mlcc_cpu::replay(kernel, constants, ranges, decision)?))
    })
}

/// Decides for a kernel with some constant operands, or takes the given decision.
type Decide<'a> = dyn Fn(&Kernel, &[usize], Option<&Decision>) -> Result<(Decision, LoopNest)> + 'a;

fn schedule_with(
    unique: &UniqueKernels,
    given: &Decisions,
    decide: &Decide<'_>,
) -> Result<Vec<ScheduledKernel>> {
    let labels = unique.kernels.iter().enumerate().map(|(i, (kernel, _))| decisions::label(i, &kernel.name));
    let labels: Vec<String> = labels.collect();
    given.check(&labels)?;
    let mut scheduled = Vec::with_capacity(unique.kernels.len());
    for (((kernel, constants), nodes), label) in unique.kernels.iter().zip(&unique.nodes).zip(&labels) {
        let constant = |(t, is): (usize, &bool)| is.then_some(t);
        let constants: Vec<usize> = kernel.operands().zip(constants).filter_map(constant).collect();
        let (decision, mut nest) =
            decide(kernel, &constants, given.of(label)).map_err(|d| at_kernel(d, kernel))?;
        nest.name = kernel.name.clone();
        nest.nodes = nodes.clone();
        let nest = Verified::new(nest, "schedule").map_err(|d| at_kernel(d, kernel))?;
        scheduled.push(ScheduledKernel { kernel: kernel.clone(), decision, nest, nodes: nodes.clone() });
    }
    Ok(scheduled)
}

fn at_kernel(mut diagnostic: Diagnostic, kernel: &Kernel) -> Diagnostic {
    let nodes: Vec<&str> = kernel.nodes.iter().take(4).map(|n| &**n).collect();
    diagnostic.message =
        format!("{} (in kernel '{}' of {})", diagnostic.message, kernel.name, nodes.join(", "));
    diagnostic
}

/// Machine code of all kernels in one image.
#[derive(Clone, Debug)]
pub struct Code {
    /// Position-independent code and constants.
    pub image: Vec<u8>,
    /// Offset of each kernel's entry.
    pub entries: Vec<u64>,
    /// Scratch memory that each thread needs, by kernel.
    pub scratch_bytes: Vec<Expr>,
}

/// Compiles the nests on `threads` threads; the result does not depend on their number.
///
/// # Errors
/// With the first kernel that fails, in order.
pub fn compile(
    scheduled: &[ScheduledKernel],
    target: &mlcc_llvm::Target,
    options: &mlcc_llvm::Options,
    threads: usize,
    done: &(dyn Fn(usize) + Sync),
) -> Result<Code> {
    let nests: Vec<_> = scheduled.iter().map(|kernel| &kernel.nest).collect();
    let compiled = mlcc_llvm::compile_all(&nests, target, options, threads, done);
    let named =
        compiled.into_iter().zip(scheduled).map(|(code, of)| code.map_err(|d| at_kernel(d, &of.kernel)));
    let compiled: Vec<mlcc_llvm::CompiledKernel> = named.collect::<Result<_>>()?;
    let objects: Vec<&[u8]> = compiled.iter().map(|c| c.object.as_slice()).collect();
    let image = mlcc_llvm::image::link(&objects)?;
    Ok(Code {
        image: image.bytes,
        entries: image.entries,
        scratch_bytes: compiled.into_iter().map(|c| c.scratch_bytes).collect(),
    })
}
