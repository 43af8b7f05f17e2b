//! `predicate(axis, multiple)`: a loop gets a constant extent that is a multiple of a number, and its
//! stores a guard.
//!
//! ```text
//! for x.i in 0..min(6, n - 6 * x.o)         for x.i in 0..6
//!   y[6 * x.o + x.i] = ..             =>      if x.i < n - 6 * x.o: y[6 * x.o + x.i] = ..
//! ```
//!
//! A store into a register buffer needs no guard if everything it reads exists beyond the end too (a
//! constant, a padded panel, what does not depend on the axis): these elements are never used.

use super::{
    ranges::Ranges,
    tree::{rewrite_loops, simplify},
};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    expr::{Atom, Expr},
    nest::{Loop, LoopNest, Node, Space, Store},
    scalar::Inst,
};

/// Makes the extent of every loop over `axis` a constant multiple of `multiple`.
///
/// # Errors
/// If the extent has no constant bound, or the loop contains a tile.
pub fn predicate(nest: &LoopNest, axis: &str, multiple: i64) -> Result<LoopNest> {
    if multiple < 1 {
        return Err(Diagnostic::user(format!("an extent cannot be a multiple of {multiple}")));
    }
    rewrite_loops(nest, axis, &mut |l, ranges| {
        if l.extent.as_const().is_some_and(|e| e % multiple == 0) {
            return Ok(vec![Node::Loop(l)]);
        }
        let Some(bound) = ranges.upper_bound(&l.extent) else {
            return Err(Diagnostic::user(format!(
                "the extent {} of '{axis}' has no constant bound",
                l.extent
            )));
        };
        let bound = (bound + multiple - 1) / multiple * multiple;
        let limits = limits(&l.extent, bound);
        let mut inside = ranges.clone();
        inside.push_axis(l.axis.clone(), Expr::from(bound));
        let body = guarded(nest, &l.body, &mut inside, &Expr::axis(axis), &limits)?;
        let l = Loop { extent: Expr::from(bound), body, ..l };
        Ok(simplify(&[Node::Loop(l)], &mut ranges.clone()))
    })
}

/// What the axis must be less than; the minimum with the bound itself needs no test.
fn limits(extent: &Expr, bound: i64) -> Vec<Expr> {
    match extent.as_atom() {
        Some(Atom::Min(ab)) => {
            [&ab.0, &ab.1].into_iter().filter(|e| !e.is(bound)).flat_map(|e| limits(e, bound)).collect()
        }
        _ => vec![extent.clone()],
    }
}

fn guarded(
    nest: &LoopNest,
    nodes: &[Node],
    ranges: &mut Ranges,
    axis: &Expr,
    limits: &[Expr],
) -> Result<Vec<Node>> {
    nodes
        .iter()
        .map(|node| match node {
            Node::Loop(l) => {
                ranges.push(l);
                let body = guarded(nest, &l.body, ranges, axis, limits);
                ranges.pop();
                Ok(Node::Loop(Loop { body: body?, ..l.clone() }))
            }
            Node::Store(s) if harmless(nest, s, ranges, axis) => Ok(node.clone()),
            Node::Store(s) => {
                let mut s = s.clone();
                s.guards.extend(limits.iter().map(|limit| (axis.clone(), limit.clone())));
                Ok(Node::Store(s))
            }
            Node::Tile(_) => Err(Diagnostic::user("a contraction tile cannot be guarded")),
            Node::Barrier => Err(Diagnostic::user("a barrier cannot be guarded")),
        })
        .collect()
}

/// Whether a store goes to registers and reads nothing that is missing beyond the end of the axis.
fn harmless(nest: &LoopNest, s: &Store, ranges: &Ranges, axis: &Expr) -> bool {
    let moves = |e: &Expr| axis.as_axis().is_none_or(|a| e.uses_axis(a));
    let exists = |buffer: usize, index: &[Expr]| {
        index
            .iter()
            .zip(&nest.buffers[buffer].dims)
            .all(|(e, d)| !e.uses_values() && (!moves(e) || ranges.in_bounds(e, d)))
    };
    nest.buffers[s.buffer].space == Space::Register
        && s.body.insts.iter().all(|(inst, _)| match inst {
            Inst::Read { tensor, index, outside } => outside.is_some() || exists(*tensor, index),
            _ => true,
        })
}
