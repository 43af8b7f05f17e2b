//! `predicate(axis, multiple)`: a loop gets a constant extent that is a multiple of a number, and its
//! stores a guard.
//!
//! ```text
//! for x.i in 0..min(6, n - 6 * x.o)         for x.i in 0..6
//!   y[6 * x.o + x.i] = ..             =>      if x.i < n - 6 * x.o: y[6 * x.o + x.i] = ..
//! ```
//!
//! A store into a register buffer needs no guard if everything it reads exists beyond the end too (a
//! constant, a padded panel, a value that does not depend on the axis): these elements are never used. A
//! store that makes an element of a temporary from other temporaries needs none either, if the axis is one of
//! its dimensions: temporaries grow by the elements beyond the end.

use super::{
    ranges::Ranges,
    tree::{rewrite_loops, simplify},
};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    expr::{Atom, Expr},
    kernel::Role,
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
    let mut grown = Vec::new();
    let mut predicated = rewrite_loops(nest, axis, &mut |l, ranges| {
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
        let mut temporaries =
            Temporaries { nest, axis: Expr::axis(axis), name: axis, bound, grown: Vec::new() };
        let body = guarded(&mut temporaries, &l.body, &mut inside, &limits)?;
        grown.append(&mut temporaries.grown);
        let l = Loop { extent: Expr::from(bound), body, ..l };
        Ok(simplify(&[Node::Loop(l)], &mut ranges.clone()))
    })?;
    for (buffer, d, size) in grown {
        let dim = &mut predicated.buffers[buffer].dims[d];
        *dim = Expr::from(dim.as_const().map_or(size, |dim| dim.max(size)));
    }
    Ok(predicated)
}

/// The temporaries around a loop that gets more iterations than it has elements.
struct Temporaries<'a> {
    nest: &'a LoopNest,
    name: &'a str,
    axis: Expr,
    bound: i64,
    /// Buffers, dimensions and the sizes that these need.
    grown: Vec<(usize, usize, i64)>,
}

impl Temporaries<'_> {
    /// Whether the store makes an element of a temporary from elements of others, with the axis as a
    /// dimension. Notes how the temporaries grow.
    fn padded(&mut self, s: &Store) -> bool {
        let mut grown = Vec::new();
        let mut within = |buffer: usize, index: &[Expr], written: bool| {
            let b = &self.nest.buffers[buffer];
            if b.role != Role::Temporary || index.iter().any(Expr::uses_values) {
                return false;
            }
            let using: Vec<usize> = (0..index.len()).filter(|&d| index[d].uses_axis(self.name)).collect();
            match using[..] {
                [] => !written,
                // Strides inside tiles are fixed already.
                [d] if index[d] == self.axis => {
                    let fits = b.dims[d].as_const().is_some_and(|dim| dim >= self.bound);
                    let free = b.dims[d].as_const().is_some() && !in_tile(&self.nest.body, buffer);
                    if !fits {
                        grown.push((buffer, d, self.bound));
                    }
                    fits || free
                }
                _ => false,
            }
        };
        let harmless = !s.checked
            && within(s.buffer, &s.index, true)
            && s.body.insts.iter().all(|(inst, _)| match inst {
                Inst::Read { tensor, index, .. } => within(*tensor, index, false),
                _ => true,
            });
        if harmless {
            self.grown.append(&mut grown);
        }
        harmless
    }
}

/// Whether a tile uses a buffer.
fn in_tile(nodes: &[Node], buffer: usize) -> bool {
    nodes.iter().any(|node| match node {
        Node::Loop(l) => in_tile(&l.body, buffer),
        Node::Tile(t) => [t.acc, t.a.buffer, t.b.buffer].contains(&buffer),
        Node::Store(_) | Node::Barrier => false,
    })
}

/// The limits that the axis must stay below. If the extent is a minimum with the bound itself, the bound
/// needs no test.
fn limits(extent: &Expr, bound: i64) -> Vec<Expr> {
    match extent.as_atom() {
        Some(Atom::Min(ab)) => {
            [&ab.0, &ab.1].into_iter().filter(|e| !e.is(bound)).flat_map(|e| limits(e, bound)).collect()
        }
        _ => vec![extent.clone()],
    }
}

fn guarded(
    temporaries: &mut Temporaries<'_>,
    nodes: &[Node],
    ranges: &mut Ranges,
    limits: &[Expr],
) -> Result<Vec<Node>> {
    nodes
        .iter()
        .map(|node| match node {
            Node::Loop(l) => {
                ranges.push(l);
                let body = guarded(temporaries, &l.body, ranges, limits);
                ranges.pop();
                Ok(Node::Loop(Loop { body: body?, ..l.clone() }))
            }
            Node::Store(s)
                if harmless(temporaries.nest, s, ranges, &temporaries.axis) || temporaries.padded(s) =>
            {
                Ok(node.clone())
            }
            Node::Store(s) => {
                let mut s = s.clone();
                s.guards.extend(limits.iter().map(|limit| (temporaries.axis.clone(), limit.clone())));
                Ok(Node::Store(s))
            }
            Node::Tile(_) => Err(Diagnostic::user("a contraction tile cannot be guarded")),
            Node::Barrier => Err(Diagnostic::user("a barrier cannot be guarded")),
        })
        .collect()
}

/// Whether a store goes to registers and everything it reads exists beyond the end of the axis.
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
