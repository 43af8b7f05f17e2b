//! Decisions: which variant of a kernel, and which schedule, for a machine.
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
//! A template tries steps and keeps those that are legal, so that a decision is right by construction
//! on any kernel, also with symbolic sizes.

mod attention;
mod contraction;
mod loops;
mod operand;
mod pipeline;
mod plan;
mod refusal;
mod register_tile;
mod stages;
mod transform;
mod transposition;
mod windows;

use crate::machine::Machine;
use mlcc_ir::{
    Name,
    diagnostic::Result,
    kernel::{Kernel, Role},
    nest::{Buffer, LoopNest},
    size_range::SizeRanges,
};
use mlcc_passes::schedule::{self, Schedule, Step};
use plan::Plan;
use refusal::Planned;
pub use refusal::Refusal;

/// What was decided for a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Name of the variant.
    pub variant: Name,
    /// The steps.
    pub schedule: Schedule,
    /// The templates that were tried before and why they left the kernel.
    pub refused: Vec<(Name, Refusal)>,
}

/// Decides for a kernel. `constants` are the indices of its tensors that are known at compile time, and
/// may be packed; `ranges` are what is known of its symbols.
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
    let mut naive = schedule::naive(kernel)?;
    naive.ranges = ranges.of(&naive.symbols);
    // Buffers are operands first: where each constant tensor went.
    let constants: Vec<Name> =
        constants.iter().filter_map(|&t| kernel.tensors.get(t)).map(|t| t.name.clone()).collect();
    let mut refused = Vec::new();
    for (template, plan) in TEMPLATES {
        match plan(kernel, &naive, &constants, machine) {
            Ok((variant, plan)) => return Ok(decided(variant, plan, refused)),
            Err(why) => {
                tracing::debug!(kernel = %kernel.name, "no template '{template}': {why}");
                refused.push(((*template).into(), why));
            }
        }
    }
    let (variant, mut plan) = loops::plan(kernel, naive, machine);
    stream_large(&mut plan, machine);
    pipeline::rows(&mut plan, machine);
    Ok(decided(variant, plan, refused))
}

type Template = fn(&Kernel, &LoopNest, &[Name], &Machine) -> Planned<(&'static str, Plan)>;

/// The templates with their names, in the order in which they are asked. What all of them leave is for `loops`.
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

fn decided(variant: &str, plan: Plan, refused: Vec<(Name, Refusal)>) -> (Decision, LoopNest) {
    let schedule = Schedule { steps: plan.steps };
    (Decision { variant: variant.into(), schedule, refused }, plan.nest)
}

/// Writes outputs around the caches that do not fit them.
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
