//! `split(axis, factor)`: one loop becomes two, `axis.o` around `axis.i`.
//!
//! ```text
//! for x in 0..n              for x.o in 0..ceil(n / 6)
//!   y[x] = ..          =>      for x.i in 0..min(6, n - 6 * x.o)
//!                                y[6 * x.o + x.i] = ..
//! ```
//!
//! If the factor divides the extent, the inner extent is the factor. Otherwise the last iteration is shorter,
//! and `predicate` can turn it into a constant extent with a guard. Extents may be symbolic. The order of
//! iterations does not change, so a split is always legal.

use super::tree::{rewrite_loops, simplify, substitute};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    expr::Expr,
    nest::{Loop, LoopNest, Mapping, Node, names::Part},
};

/// Splits every loop over `axis`.
///
/// # Errors
/// If there is no such axis, the factor is not positive, or the axis is mapped already.
pub fn split(nest: &LoopNest, axis: &str, factor: i64) -> Result<LoopNest> {
    if factor < 1 {
        return Err(Diagnostic::user(format!("a loop cannot be split by {factor}")));
    }
    rewrite_loops(nest, axis, &mut |l, ranges| {
        if !matches!(l.mapping, Mapping::Serial | Mapping::Reduction) {
            return Err(Diagnostic::user(format!(
                "axis '{axis}' is {} already",
                super::map_axis::describe(l.mapping)
            )));
        }
        let (outer, inner) = (Part::Outer.of(axis), Part::Inner.of(axis));
        let by = Expr::from(factor);
        let outer_extent = ranges.simplify(&l.extent.ceil_div(&by));
        // A loop of one iteration keeps its name, but nothing depends on it.
        let at = if outer_extent.is(1) { Expr::from(0) } else { Expr::axis(&outer) };
        let inner_extent = if l.extent.modulo(&by).is(0) {
            by.clone()
        } else {
            by.minimum(&(l.extent.clone() - at.clone() * by.clone()))
        };
        let body = substitute(&l.body, axis, &(at * by + Expr::axis(&inner)));
        let inner = Loop { axis: inner, extent: inner_extent, mapping: l.mapping, body };
        let outer =
            Loop { axis: outer, extent: outer_extent, mapping: l.mapping, body: vec![Node::Loop(inner)] };
        Ok(simplify(&[Node::Loop(outer)], &mut ranges.clone()))
    })
}
