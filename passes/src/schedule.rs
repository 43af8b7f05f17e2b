//! Schedules: from WHAT a kernel computes to HOW, by primitives that are visible steps.
//!
//! [`naive`] makes a [`LoopNest`] of a kernel. A [`Schedule`] is a list of [`Step`]s. Each step is a
//! primitive: it transforms a nest and keeps the values that it computes, or refuses with the reason. The
//! backends decide which steps pay on which machine; nothing here knows a machine.
//!
//! | Primitive | Does |
//! |---|---|
//! | [`split()`] | two loops from one |
//! | [`tile()`] | two nested loops in tiles |
//! | [`reorder()`] | perfectly nested loops in another order |
//! | [`fuse()`] | one loop from two; flattens the buffers' dimensions with them |
//! | [`merge()`] | joins the loops of two stages; temporaries shrink |
//! | [`compute_at()`] | makes a temporary inside a loop of its reader, only the part that is read |
//! | [`rfactor()`] | keeps the iterations of a reduction apart, and combines them at the end |
//! | [`parallel`], [`vectorize`], [`unroll`], [`bind`] | how an axis is executed |
//! | [`predicate()`] | a constant extent with guards |
//! | [`remainder()`] | the iteration in which an inner loop is shorter apart |
//! | [`cache_read()`] | an operand through a panel in scratch memory |
//! | [`cache_write()`] | an output through a temporary |
//! | [`pack()`] | a constant operand packed at compile time |
//! | [`alias()`] | a temporary in the memory of another |
//! | [`stream()`] | an output written around the caches |
//! | [`pipeline()`] | what a later iteration of a loop reads is fetched early |
//! | [`place()`] | a temporary in registers, scratch or shared memory |
//! | [`tensorize()`] | a register tile becomes a contraction micro-kernel |
//! | [`skip()`] | guards in place of reads out of bounds, where these change nothing |
//! | [`clip()`] | a loop's range in place of guards |
//! | [`peel()`] | first and last iterations as code of their own |
//! | [`partition()`] | the iterations without conditions as a loop of their own |
//! | [`permute()`] | the dimensions of a temporary in another order |

mod access;
mod alias;
mod cache_read;
mod cache_write;
mod clip;
mod compute_at;
mod decision;
mod fuse;
mod map_axis;
mod merge;
mod naive;
mod pack;
mod panel;
mod partition;
mod peel;
mod permute;
mod pipeline;
mod place;
mod predicate;
mod ranges;
mod region;
mod remainder;
mod reorder;
mod rfactor;
mod shrink;
mod skip;
mod split;
mod step;
mod stream;
mod tensorize;
#[cfg(test)]
mod tests;
mod tile;
mod tree;

pub use alias::alias;
pub use cache_read::cache_read;
pub use cache_write::cache_write;
pub use clip::clip;
pub use compute_at::compute_at;
pub use decision::{Decision, Reason, Refusal};
pub use fuse::fuse;
pub use map_axis::{MAX_LANES, MAX_UNROLL, bind, parallel, unroll, vectorize};
pub use merge::merge;
pub use naive::naive;
pub use pack::pack;
pub use partition::partition;
pub use peel::{MAX_PEEL, peel};
pub use permute::permute;
pub use pipeline::pipeline;
pub use place::{MAX_REGISTER_ELEMENTS, place};
pub use predicate::predicate;
pub use remainder::remainder;
pub use reorder::reorder;
pub use rfactor::rfactor;
pub use skip::skip;
pub use split::split;
pub use step::{PRIMITIVES, Step};
pub use stream::stream;
pub use tensorize::{MAX_ROWS, tensorize};
pub use tile::tile;

use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    nest::LoopNest,
};
use std::{fmt, str::FromStr};

/// Steps in order. The text form has a step a line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Schedule {
    /// The steps.
    pub steps: Vec<Step>,
}

/// Applies the steps one after the other; `observer` sees the nest after each.
///
/// # Errors
/// With the first step that is not legal and the reason.
pub fn apply(
    nest: &LoopNest,
    schedule: &Schedule,
    observer: &mut dyn FnMut(&Step, &LoopNest),
) -> Result<LoopNest> {
    let mut nest = nest.clone();
    for step in &schedule.steps {
        nest = step.apply(&nest)?;
        observer(step, &nest);
    }
    Ok(nest)
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

impl FromStr for Schedule {
    type Err = Diagnostic;

    fn from_str(text: &str) -> Result<Schedule> {
        let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
        Ok(Schedule { steps: lines.map(str::parse).collect::<Result<_>>()? })
    }
}
