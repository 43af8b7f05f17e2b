//! `fuse(a, b)`: two perfectly nested loops become one over `a` times `b`, called `a_b` after the last
//! parts of their names.
//!
//! ```text
//! for h in 0..56                  for h_w in 0..3136
//!   for w in 0..56          =>      y[h_w] = ..
//!     y[h, w] = ..
//! ```
//!
//! Dimensions of buffers that only this pair of axes indexes are flattened with them, so that the fused axis
//! indexes them directly. Elsewhere `a` becomes a quotient and `b` a remainder. The order of iterations does
//! not change, so fusing is always legal.

use super::{
    access::accesses,
    ranges::recombine,
    tree::{each_store, map_exprs, rewrite_loops, simplify, substitute},
};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    expr::Expr,
    nest::{Loop, LoopNest, Node, names::fused},
    scalar::Inst,
};

/// Fuses every pair of loops over `outer` and `inner`.
///
/// # Errors
/// If the loops are not perfectly nested or differ in mapping.
pub fn fuse(nest: &LoopNest, outer: &str, inner: &str) -> Result<LoopNest> {
    let name = fused(outer, inner);
    let fused = rewrite_loops(nest, outer, &mut |l, ranges| {
        let [Node::Loop(i)] = &l.body[..] else {
            return Err(Diagnostic::user(format!("'{outer}' does not contain '{inner}' alone")));
        };
        if *i.axis != *inner {
            return Err(Diagnostic::user(format!("the loop in '{outer}' is '{}'", i.axis)));
        }
        if l.mapping != i.mapping {
            return Err(Diagnostic::user(format!(
                "'{outer}' is {} and '{inner}' is {}",
                super::map_axis::describe(l.mapping),
                super::map_axis::describe(i.mapping)
            )));
        }
        if i.extent.uses_axis(outer) {
            return Err(Diagnostic::user(format!("the extent of '{inner}' depends on '{outer}'")));
        }
        let axis = Expr::axis(&name);
        // With one outer iteration the fused axis is the inner one, whatever its extent.
        let (quotient, remainder) = if l.extent.is(1) {
            (Expr::from(0), axis)
        } else {
            (axis.floor_div(&i.extent), axis.modulo(&i.extent))
        };
        let body = substitute(&i.body, outer, &quotient);
        let body = substitute(&body, inner, &remainder);
        let extent = l.extent.clone() * i.extent.clone();
        let fused = Loop { axis: name.clone(), extent, mapping: l.mapping, body };
        let fused = simplify(&[Node::Loop(fused)], &mut ranges.clone());
        // Dimensions that were flattened with this pair before need the pair no more.
        Ok(fused.iter().map(|n| map_exprs(n, &recombine)).collect())
    })?;
    Ok(flatten(fused))
}

/// Merges neighbouring dimensions of buffers where this removes quotients and remainders from every access.
/// Only a buffer with such an access can gain, so the step is cheap in nests of thousands of stages.
fn flatten(mut nest: LoopNest) -> LoopNest {
    let mut divided = vec![false; nest.buffers.len()];
    nest.visit(&mut |node| {
        let Node::Store(s) = node else { return };
        let mut note = |buffer: usize, index: &[Expr]| {
            divided[buffer] |= index.iter().any(|e| super::ranges::quotients(e) > 0);
        };
        note(s.buffer, &s.index);
        for (inst, _) in &s.body.insts {
            if let Inst::Read { tensor, index, .. } = inst {
                note(*tensor, index);
            }
        }
    });
    for buffer in (0..nest.buffers.len()).filter(|&b| divided[b]) {
        let mut d = 0;
        while d + 1 < nest.buffers[buffer].dims.len() {
            if flattens(&nest, buffer, d) {
                merge_dims(&mut nest, buffer, d);
                d = 0;
            } else {
                d += 1;
            }
        }
    }
    nest
}

fn joined(nest: &LoopNest, buffer: usize, d: usize, index: &[Expr]) -> Expr {
    recombine(&(index[d].clone() * nest.buffers[buffer].dims[d + 1].clone() + index[d + 1].clone()))
}

fn flattens(nest: &LoopNest, buffer: usize, d: usize) -> bool {
    let all = accesses(&nest.body);
    let mut gained = false;
    for access in all.iter().filter(|a| a.buffer == buffer) {
        let Some(index) = &access.index else { return false };
        if index[d].uses_values() || index[d + 1].uses_values() {
            return false;
        }
        let before = super::ranges::quotients(&index[d]) + super::ranges::quotients(&index[d + 1]);
        let after = super::ranges::quotients(&joined(nest, buffer, d, index));
        if after > 0 {
            return false;
        }
        gained |= after < before;
    }
    gained && !checked(nest, buffer) && nest.packings.iter().all(|p| p.target != buffer)
}

/// Whether some access tests the bounds of each dimension.
fn checked(nest: &LoopNest, buffer: usize) -> bool {
    let mut found = false;
    nest.visit(&mut |node| {
        if let Node::Store(s) = node {
            found |= s.checked && s.buffer == buffer;
            found |= s.body.insts.iter().any(
                |(inst, _)| matches!(inst, Inst::Read { tensor, outside: Some(_), .. } if *tensor == buffer),
            );
        }
    });
    found
}

fn merge_dims(nest: &mut LoopNest, buffer: usize, d: usize) {
    let factor = nest.buffers[buffer].dims[d + 1].clone();
    let join = |index: &mut Vec<Expr>| {
        let low = index.remove(d + 1);
        index[d] = recombine(&(index[d].clone() * factor.clone() + low));
    };
    each_store(&mut nest.body, &mut |s| {
        if s.buffer == buffer {
            join(&mut s.index);
        }
        for (inst, _) in &mut s.body.insts {
            if let Inst::Read { tensor, index, .. } = inst
                && *tensor == buffer
            {
                join(index);
            }
        }
    });
    let dims = &mut nest.buffers[buffer].dims;
    let low = dims.remove(d + 1);
    dims[d] = dims[d].clone() * low;
}
