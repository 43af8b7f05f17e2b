//! `tile(x, y, a, b)`: two nested loops run in tiles of `a` by `b` iterations; two splits and a reordering.
//!
//! ```text
//! for c.m in 0..20                  for c.m.o in 0..4 for c.n.o in 0..2
//!   for c.n in 0..30        =>        for c.m.i in 0..6 for c.n.i in 0..16
//!     y[c.m, c.n] = ..                  y[6 c.m.o + c.m.i, 16 c.n.o + c.n.i] = ..
//! ```
//!
//! Legal where [`super::split()`] and [`super::reorder()`] are: the loops lie perfectly inside each other.

use super::{reorder::reorder, split::split};
use mlcc_ir::{
    diagnostic::Result,
    nest::{LoopNest, names::Part},
};

/// Runs the loops over `x` and, inside of it, `y` in tiles.
///
/// # Errors
/// If a loop cannot be split by its factor, or the loops are not nested in each other.
pub fn tile(nest: &LoopNest, x: &str, y: &str, (a, b): (i64, i64)) -> Result<LoopNest> {
    let nest = split(&split(nest, x, a)?, y, b)?;
    reorder(&nest, &[Part::Outer.of(x), Part::Outer.of(y), Part::Inner.of(x), Part::Inner.of(y)])
}
