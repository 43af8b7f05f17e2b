//! `parallel`, `vectorize`, `unroll` and `bind`: how an axis is executed.

use super::{
    access::{Harmless, order_matters},
    tree::rewrite_loops,
};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    nest::{Loop, LoopNest, Mapping, Node},
};

/// Longest vectors: with longer ones the code generator's time explodes.
pub const MAX_LANES: u32 = 64;
/// Most iterations that are unrolled.
pub const MAX_UNROLL: i64 = 64;

/// Distributes the iterations over threads.
///
/// # Errors
/// If iterations depend on each other, or the loop is not around everything else.
pub fn parallel(nest: &LoopNest, axis: &str) -> Result<LoopNest> {
    let mut body = &nest.body;
    loop {
        match &body[..] {
            [Node::Loop(l)] if *l.axis == *axis => break,
            [Node::Loop(l)] if l.mapping == Mapping::Parallel => body = &l.body,
            _ => {
                return Err(Diagnostic::user(format!(
                    "'{axis}' is not the outermost loop around everything inside other parallel loops"
                )));
            }
        }
    }
    map(nest, axis, Mapping::Parallel, Some(Harmless { reductions: false, private: true }))
}

/// Runs the iterations as lanes of vectors of `lanes` elements, the last vector masked.
///
/// # Errors
/// If iterations depend on each other by anything but a reduction.
pub fn vectorize(nest: &LoopNest, axis: &str, lanes: u32) -> Result<LoopNest> {
    if !lanes.is_power_of_two() || lanes > MAX_LANES {
        return Err(Diagnostic::user(format!(
            "vectors of {lanes} elements: not a power of two up to {MAX_LANES}"
        )));
    }
    map(nest, axis, Mapping::Vector(lanes), Some(Harmless { reductions: true, private: false }))
}

/// Repeats the body once for each iteration.
///
/// # Errors
/// If the extent is not a constant of at most [`MAX_UNROLL`].
pub fn unroll(nest: &LoopNest, axis: &str) -> Result<LoopNest> {
    map(nest, axis, Mapping::Unrolled, None)
}

/// Binds the axis to a dimension of the grid or of a block.
///
/// # Errors
/// If iterations depend on each other.
pub fn bind(nest: &LoopNest, axis: &str, mapping: Mapping) -> Result<LoopNest> {
    map(nest, axis, mapping, Some(Harmless { reductions: false, private: true }))
}

fn map(nest: &LoopNest, axis: &str, mapping: Mapping, harmless: Option<Harmless>) -> Result<LoopNest> {
    rewrite_loops(nest, axis, &mut |l, _| {
        if !matches!(l.mapping, Mapping::Serial | Mapping::Reduction) {
            return Err(Diagnostic::user(format!("axis '{axis}' is {} already", describe(l.mapping))));
        }
        if let Some(why) = harmless.and_then(|h| order_matters(nest, axis, &l.body, h))
            && !l.extent.is(1)
        {
            return Err(Diagnostic::user(why));
        }
        if mapping == Mapping::Unrolled && l.extent.as_const().is_none_or(|e| e > MAX_UNROLL) {
            return Err(Diagnostic::user(format!(
                "'{axis}' has {} iterations: not a constant of at most {MAX_UNROLL}",
                l.extent
            ))
            .hint("split the axis, or make its extent constant with predicate"));
        }
        Ok(vec![Node::Loop(Loop { mapping, ..l })])
    })
}

/// A mapping in words.
pub(super) fn describe(mapping: Mapping) -> String {
    match mapping {
        Mapping::Serial => "serial".into(),
        Mapping::Reduction => "a reduction".into(),
        Mapping::Parallel => "parallel".into(),
        Mapping::Vector(lanes) => format!("vectors of {lanes}"),
        Mapping::Unrolled => "unrolled".into(),
        Mapping::Block(d) => format!("block dimension {d}"),
        Mapping::Thread(d) => format!("thread dimension {d}"),
    }
}
