//! Decisions: the variant and the schedule of a kernel for a machine.
//!
//! | Template | Kernels | Variant |
//! |---|---|---|
//! | [`contraction`] | convolutions of many channels over images that are narrow or of unknown width | `gathered` |
//! | [`windows`] | windows that give contiguous channels: convolution of all kinds, pooling | `sliding` |
//! | [`attention`] | two products with a softmax between them | `attention` |
//! | [`contraction`] | a sum of products with an elementwise epilogue | `packed`, `direct`, `panel` |
//! | [`transposition`] | a copy that turns rows into columns | `transposed` |
//! | [`transform`] | small linear transforms of tiles | `transform` |
//! | [`loops`] | everything else: elementwise, rows | `columns`, `rows`, `serial` |
//!
//! A template tries steps and keeps the legal ones, so a decision is right by construction on any kernel,
//! also with symbolic sizes.

mod attention;
mod contraction;
mod loops;
mod operand;
mod pipeline;
mod plan;
mod refusal;
mod register_tile;
mod staged;
mod stages;
mod transform;
mod transposition;
mod windows;

use mlcc_ir::{
    Name,
    diagnostic::{Diagnostic, Result},
    kernel::{Kernel, Role},
    nest::{Buffer, LoopNest, Space},
    size_range::SizeRanges,
};
use mlcc_machine::Machine;
use mlcc_passes::schedule::{self, Decision, Refusal, Schedule, Step};
use plan::Plan;
use refusal::Planned;

/// Decides for a kernel. `constants` are the indices of its tensors that are known at compile time and may be
/// packed. `ranges` are the known facts about its symbols.
///
/// # Errors
/// If the kernel has no naive nest.
pub fn decide(
    kernel: &Kernel,
    constants: &[usize],
    ranges: &SizeRanges,
    machine: &Machine,
) -> Result<Decision> {
    schedule(kernel, constants, ranges, machine).map(|(decision, _)| decision)
}

/// A kernel's loops before any step.
fn naive(kernel: &Kernel, ranges: &SizeRanges) -> Result<LoopNest> {
    let mut naive = schedule::naive(kernel)?;
    naive.ranges = ranges.of(&naive.symbols);
    Ok(naive)
}

/// Names of the constants among a kernel's buffers. Operands are the first buffers.
fn names_of(kernel: &Kernel, constants: &[usize]) -> Vec<Name> {
    constants.iter().filter_map(|&t| kernel.tensors.get(t)).map(|t| t.name.clone()).collect()
}

/// Applies a decision given by the caller.
///
/// # Errors
/// If it is not legal for the kernel or has steps for another device, with the reason.
pub fn replay(
    kernel: &Kernel,
    constants: &[usize],
    ranges: &SizeRanges,
    decision: &Decision,
) -> Result<LoopNest> {
    let foreign = |step: &&Step| matches!(step, Step::Bind { .. } | Step::Place { space: Space::Shared, .. });
    let refused = |what: String, hint: &str| Err(Diagnostic::user(what).hint(hint.to_owned()));
    if let Some(step) = decision.schedule.steps.iter().find(foreign) {
        return refused(format!("{step}: a CPU has no blocks and no shared memory"), "leave the step out");
    }
    if !decision.numbers.is_empty() {
        let what = format!("variant '{}' of CPUs has no numbers", decision.variant);
        return refused(what, "write the steps of its schedule");
    }
    let nest = schedule::apply(&naive(kernel, ranges)?, &decision.schedule, &mut |_, _| ())?;
    let constants = names_of(kernel, constants);
    let packed = nest.packings.iter().map(|packing| &nest.buffers[packing.target].name);
    match packed.into_iter().find(|name| !constants.contains(name)) {
        Some(name) => refused(format!("pack({name}): it is no constant"), "copy it with cache_read"),
        None => Ok(nest),
    }
}

/// Decides for a kernel and applies the schedule.
///
/// # Errors
/// If the kernel has no naive nest.
pub fn schedule(
    kernel: &Kernel,
    constants: &[usize],
    ranges: &SizeRanges,
    machine: &Machine,
) -> Result<(Decision, LoopNest)> {
    let naive = naive(kernel, ranges)?;
    let constants = names_of(kernel, constants);
    let mut refused = Vec::new();
    for (template, plan) in TEMPLATES {
        match plan(kernel, &naive, &constants, machine) {
            Ok((variant, plan)) => return Ok(decided(variant, plan, refused)),
            Err(why) => {
                tracing::debug!(kernel = %kernel.name, "no template '{template}': {why}");
                refused.push(Refusal { template: (*template).into(), reason: why });
            }
        }
    }
    let (variant, mut plan) = loops::plan(kernel, naive, machine);
    stream_large(&mut plan, machine);
    pipeline::rows(&mut plan, machine);
    Ok(decided(variant, plan, refused))
}

type Template = fn(&Kernel, &LoopNest, &[Name], &Machine) -> Planned<(&'static str, Plan)>;

/// The templates with their names, in the order in which they are asked. Kernels that all of them leave go to
/// `loops`.
const TEMPLATES: &[(&str, Template)] = &[
    ("gathered", contraction::gathered),
    ("windows", windows::plan),
    ("attention", |kernel, naive, _, machine| Ok(("attention", attention::plan(kernel, naive, machine)?))),
    ("contraction", contraction::plan),
    ("transform", |kernel, naive, _, machine| Ok(("transform", transform::plan(kernel, naive, machine)?))),
    ("transposition", |kernel, naive, _, machine| {
        Ok(("transposed", transposition::plan(kernel, naive, machine)?))
    }),
];

fn decided(variant: &str, plan: Plan, refused: Vec<Refusal>) -> (Decision, LoopNest) {
    let schedule = Schedule { steps: plan.steps };
    let decision = Decision { variant: variant.into(), numbers: Vec::new(), schedule, refused };
    (decision, plan.nest)
}

/// Writes outputs around the caches if they do not fit them.
fn stream_large(plan: &mut Plan, machine: &Machine) {
    let bytes = |b: &Buffer| {
        b.dims.iter().try_fold(b.dtype.size() as i64, |n, d| n.checked_mul(d.as_const()?)).unwrap_or(0)
    };
    let large = |b: &&Buffer| b.role == Role::Output && bytes(b) > machine.last_cache_bytes as i64;
    let names: Vec<Name> = plan.nest.buffers.iter().filter(large).map(|b| b.name.clone()).collect();
    for buffer in names {
        plan.attempt(Step::Stream { buffer });
    }
}
