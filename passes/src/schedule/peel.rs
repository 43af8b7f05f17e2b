//! `peel(axis, first, last)`: the first and the last iterations of a loop become code of their own, so that
//! their particular work (padding, a shorter remainder) leaves the loop.
//!
//! ```text
//! for x in 0..9                          y[0] = (w[-1] or 0) + w[0]
//!   y[x] = (w[x - 1] or 0) + w[x]   =>   for x in 0..8: y[x + 1] = w[x] + w[x + 1]
//! ```
//!
//! The order of iterations does not change, so peeling is always legal. The extent is a constant.

use super::{
    ranges::Ranges,
    tree::{rewrite_loops, simplify, substitute},
};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    expr::Expr,
    nest::{Loop, LoopNest, Mapping, Node},
    scalar::Inst,
};

/// Most iterations that become code of their own.
pub const MAX_PEEL: i64 = 16;

/// Takes `first` and `last` iterations out of every loop over `axis`.
///
/// # Errors
/// If the loop has fewer iterations, or no constant number of them.
pub fn peel(nest: &LoopNest, axis: &str, first: i64, last: i64) -> Result<LoopNest> {
    if first < 0 || last < 0 || first + last > MAX_PEEL {
        return Err(Diagnostic::user(format!(
            "{first} and {last} iterations cannot be peeled, only {MAX_PEEL} in all"
        )));
    }
    rewrite_loops(nest, axis, &mut |l, ranges| {
        if !matches!(l.mapping, Mapping::Serial | Mapping::Reduction) {
            let mapping = super::map_axis::describe(l.mapping);
            return Err(Diagnostic::user(format!("axis '{axis}' is {mapping} already")));
        }
        let Some(extent) = l.extent.as_const().filter(|e| *e >= first + last) else {
            let why =
                format!("'{axis}' has {} iterations: not a constant of {first} and {last} or more", l.extent);
            return Err(Diagnostic::user(why));
        };
        let point = |at: i64| substitute(&l.body, axis, &Expr::from(at));
        let mut nodes: Vec<Node> = (0..first).flat_map(point).collect();
        match extent - first - last {
            0 => {}
            1 => nodes.extend(point(first)),
            rest => nodes.push(Node::Loop(Loop {
                extent: Expr::from(rest),
                body: substitute(&l.body, axis, &(Expr::axis(axis) + Expr::from(first))),
                ..l.clone()
            })),
        }
        nodes.extend((extent - last..extent).flat_map(point));
        let mut nodes = simplify(&nodes, &mut ranges.clone());
        drop_needless_checks(nest, &mut nodes, &mut ranges.clone());
        Ok(nodes)
    })
}

/// Turns checked reads that are now certain to be in bounds into plain reads.
fn drop_needless_checks(nest: &LoopNest, nodes: &mut [Node], ranges: &mut Ranges) {
    for node in nodes {
        match node {
            Node::Loop(l) => {
                ranges.push(l);
                drop_needless_checks(nest, &mut l.body, ranges);
                ranges.pop();
            }
            Node::Store(s) => {
                for (inst, _) in &mut s.body.insts {
                    if let Inst::Read { tensor, index, outside } = inst
                        && outside.is_some()
                        && index.iter().zip(&nest.buffers[*tensor].dims).all(|(e, d)| ranges.in_bounds(e, d))
                    {
                        *outside = None;
                    }
                }
            }
            Node::Tile(_) | Node::Barrier => {}
        }
    }
}
