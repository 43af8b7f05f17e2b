//! `remainder(outer, inner)`: takes the iteration of `outer` in which the loop over `inner` is shorter out of
//! the loop. In all others `inner` then has a constant extent. Loops of other stages with the same extent are
//! treated alike.
//!
//! ```text
//! for x.o in 0..34                               for x.o in 0..33
//!   for x.i in 0..min(6, 200 - 6 * x.o)            for x.i in 0..6: y[6 * x.o + x.i] = ..
//!     y[6 * x.o + x.i] = ..              =>      for x.o.rest in 0..1
//!                                                  for x.i in 0..2: y[6 * 33 + x.i] = ..
//! ```
//!
//! Legal if `outer` is serial or a reduction, contains only loops of that extent around its stores, and the
//! extent has the form that `split` leaves. Then only the last iteration is shorter.

use super::tree::{find_loop, no_axis, rewrite_loops, simplify, substitute};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    expr::{Atom, Expr},
    nest::{Loop, LoopNest, Mapping, Node, names::Part},
};

/// Takes the shorter iteration of every loop over `outer` out.
///
/// # Errors
/// If the loops over `inner` are not as a split leaves them, or not around everything.
pub fn remainder(nest: &LoopNest, outer: &str, inner: &str) -> Result<LoopNest> {
    rewrite_loops(nest, outer, &mut |l, ranges| {
        if !matches!(l.mapping, Mapping::Serial | Mapping::Reduction) {
            return Err(Diagnostic::user(format!(
                "axis '{outer}' is {}",
                super::map_axis::describe(l.mapping)
            )));
        }
        let found = find_loop(&l.body, inner).ok_or_else(|| no_axis(nest, inner))?;
        let extent = found.extent.clone();
        if !covered(&l.body, &extent) {
            return Err(Diagnostic::user(format!(
                "'{outer}' contains more than loops with the extent of '{inner}'"
            )));
        }
        let Some((full, left)) = last_block(&extent, outer, &l.extent) else {
            return Err(Diagnostic::user(format!(
                "the extent {extent} of '{inner}' is not what a split along '{outer}' leaves"
            )));
        };
        // Number of whole iterations: `full` points or more are left before each.
        let by = Expr::from(full);
        let whole = left.floor_div(&by).minimum(&l.extent).maximum(&Expr::from(0));
        let whole = ranges.simplify(&whole);
        let rest = ranges.simplify(&(l.extent.clone() - whole.clone()).minimum(&Expr::from(1)));
        let rest_extent = ranges.simplify(&left.modulo(&by));
        let mut nodes = Vec::new();
        if !whole.is(0) {
            let body = with_extent(&l.body, &extent, &by);
            nodes.push(Node::Loop(Loop { extent: whole.clone(), body, ..l.clone() }));
        }
        if !rest.is(0) && !rest_extent.is(0) {
            let axis = Part::Rest.of(outer);
            let body = substitute(&with_extent(&l.body, &extent, &rest_extent), outer, &whole);
            nodes.push(Node::Loop(Loop { axis, extent: rest, mapping: Mapping::Serial, body }));
        }
        Ok(simplify(&nodes, &mut ranges.clone()))
    })
}

/// Whether every store and tile lies in a loop of that extent.
fn covered(nodes: &[Node], extent: &Expr) -> bool {
    nodes.iter().all(|node| match node {
        Node::Loop(l) => l.extent == *extent || covered(&l.body, extent),
        Node::Store(_) | Node::Tile(_) | Node::Barrier => false,
    })
}

/// For an extent `min(full, left - full * outer)`: `full` and `left`.
fn last_block(extent: &Expr, outer: &str, iterations: &Expr) -> Option<(i64, Expr)> {
    let Some(Atom::Min(ab)) = extent.as_atom() else { return None };
    let (full, rest) = match (ab.0.as_const(), ab.1.as_const()) {
        (Some(full), None) => (full, &ab.1),
        (None, Some(full)) => (full, &ab.0),
        _ => return None,
    };
    let (step, left) = rest.split_axis(outer)?;
    (step.is(-full) || step.is(0) && iterations.is(1)).then_some((full, left))
}

/// The nodes with another extent of the loops that have this one.
fn with_extent(nodes: &[Node], extent: &Expr, by: &Expr) -> Vec<Node> {
    let of = |node: &Node| match node {
        Node::Loop(l) if l.extent == *extent => Node::Loop(Loop { extent: by.clone(), ..l.clone() }),
        Node::Loop(l) => Node::Loop(Loop { body: with_extent(&l.body, extent, by), ..l.clone() }),
        other => other.clone(),
    };
    nodes.iter().map(of).collect()
}
