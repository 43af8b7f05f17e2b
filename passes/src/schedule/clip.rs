//! `clip(axis)`: a loop runs over those of its iterations in which a guard holds.
//!
//! ```text
//! for k in 0..3                                for k in 0..min(3, n + 1 - h) - max(0, 1 - h)
//!   if -1 < h + k - 1 and h + k - 1 < n  =>      y += x[h + (k + max(0, 1 - h)) - 1]
//!     y += x[h + k - 1]
//! ```
//!
//! Applies to guards that use the axis with a constant factor and use no axis of a loop inside. Legal if all
//! stores inside have these guards.

use super::tree::{rewrite_loops, simplify, substitute};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    expr::Expr,
    nest::{Loop, LoopNest, Mapping, Node, Store},
};

type Guard = (Expr, Expr);

/// Takes guards into the range of every loop over `axis`.
///
/// # Errors
/// If no guard can become a range, or some store inside lacks it.
pub fn clip(nest: &LoopNest, axis: &str) -> Result<LoopNest> {
    rewrite_loops(nest, axis, &mut |l, ranges| {
        if !matches!(l.mapping, Mapping::Serial | Mapping::Reduction) {
            let mapping = super::map_axis::describe(l.mapping);
            return Err(Diagnostic::user(format!("axis '{axis}' is {mapping} already")));
        }
        let (mut stores, mut inner) = (Vec::new(), Vec::new());
        collect(&l.body, &mut stores, &mut inner)?;
        let taken: Vec<Guard> = stores
            .first()
            .map(|s| s.guards.iter().filter(|g| bound(g, axis, &inner).is_some()).cloned().collect())
            .unwrap_or_default();
        if taken.is_empty() || !stores.iter().all(|s| taken.iter().all(|g| s.guards.contains(g))) {
            return Err(Diagnostic::user(format!("no guard of all stores in '{axis}' bounds the axis")));
        }
        let (mut low, mut high) = (Expr::from(0), l.extent.clone());
        for guard in &taken {
            match bound(guard, axis, &inner) {
                Some(Bound::From(e)) => low = low.maximum(&e),
                Some(Bound::Below(e)) => high = high.minimum(&e),
                None => {}
            }
        }
        let (low, high) = (ranges.simplify(&low), ranges.simplify(&high));
        let mut body = l.body.clone();
        super::tree::each_store(&mut body, &mut |s| s.guards.retain(|g| !taken.contains(g)));
        let body = substitute(&body, axis, &(Expr::axis(axis) + low.clone()));
        let extent = (high - low).maximum(&Expr::from(0));
        Ok(simplify(&[Node::Loop(Loop { extent, body, ..l })], &mut ranges.clone()))
    })
}

/// The bound that a guard gives for an axis.
enum Bound {
    /// The axis is at least this.
    From(Expr),
    /// The axis is less than this.
    Below(Expr),
}

fn bound((a, b): &Guard, axis: &str, inner: &[mlcc_ir::Name]) -> Option<Bound> {
    // a < b is 0 <= b - a - 1 = factor * axis + rest.
    let (factor, rest) = (b.clone() - a.clone() - Expr::from(1)).split_axis(axis)?;
    if rest.uses_values() || inner.iter().any(|i| rest.uses_axis(i)) {
        return None;
    }
    let factor = factor.as_const()?;
    let by = Expr::from(factor.abs());
    match factor {
        0 => None,
        f if f > 0 => Some(Bound::From((Expr::from(0) - rest).ceil_div(&by))),
        _ => Some(Bound::Below(rest.floor_div(&by) + Expr::from(1))),
    }
}

/// The stores and the axes inside a loop.
fn collect<'a>(nodes: &'a [Node], stores: &mut Vec<&'a Store>, axes: &mut Vec<mlcc_ir::Name>) -> Result<()> {
    for node in nodes {
        match node {
            Node::Loop(l) => {
                axes.push(l.axis.clone());
                collect(&l.body, stores, axes)?;
            }
            Node::Store(s) => stores.push(s),
            Node::Tile(_) | Node::Barrier => {
                return Err(Diagnostic::user("a tile or a barrier has no guards"));
            }
        }
    }
    Ok(())
}
