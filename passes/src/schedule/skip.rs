//! `skip(buffer)`: a reduction leaves out the points at which it reads an operand outside of its bounds. The
//! values there would change nothing.
//!
//! ```text
//! for w for k:                                  for w for k:
//!   y[w] += (x[w + k - 1] or 0) * f[k]    =>      if -1 < w + k - 1 and w + k - 1 < n:
//!                                                   y[w] += x[w + k - 1] * f[k]
//! ```
//!
//! The guards are ordinary conditions: `clip` makes a loop's range of them, and `peel` makes parts in which
//! they are certain. Legal if the value outside is the identity of the combination: the least value for a
//! maximum, or a 0 as a factor of the added value (if the other factor is finite).

use super::{
    ranges::Ranges,
    tree::{buffer_named, rewrite_bodies, with_body},
};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    expr::Expr,
    kernel::Combine,
    nest::{LoopNest, Node, Store},
    scalar::{BinaryOp, Body, Inst, UnaryOp},
};

/// Turns reads of `buffer` that may be out of bounds into reads that are in bounds, under guards.
///
/// # Errors
/// If there is no such read, or a read out of bounds changes the result.
pub fn skip(nest: &LoopNest, buffer: &str) -> Result<LoopNest> {
    let id = buffer_named(nest, buffer)?;
    let mut found = false;
    let body = rewrite_bodies(nest.body.clone(), &mut Ranges::outside(nest), &mut |mut nodes, ranges| {
        for node in &mut nodes {
            if let Node::Store(s) = node
                && s.body.insts.iter().any(|(inst, _)| checked(inst, id))
            {
                guard(nest, s, id, ranges)?;
                found = true;
            }
        }
        Ok(nodes)
    })?;
    if !found {
        return Err(Diagnostic::user(format!("'{buffer}' is not read outside of its bounds")));
    }
    Ok(with_body(nest, body))
}

fn checked(inst: &Inst, buffer: usize) -> bool {
    matches!(inst, Inst::Read { tensor, outside: Some(_), .. } if *tensor == buffer)
}

/// Makes guards of the bounds of every checked read.
fn guard(nest: &LoopNest, s: &mut Store, id: usize, ranges: &Ranges) -> Result<()> {
    let name = &nest.buffers[id].name;
    for at in 0..s.body.insts.len() {
        if !checked(&s.body.insts[at].0, id) {
            continue;
        }
        if !vanishes(&s.body, at, s.combine, nest.buffers[s.buffer].dtype) {
            return Err(Diagnostic::user(format!(
                "what '{name}' gives out of bounds changes '{}'",
                nest.buffers[s.buffer].name
            )));
        }
        let Inst::Read { index, outside, .. } = &mut s.body.insts[at].0 else { continue };
        if index.iter().any(Expr::uses_values) {
            return Err(Diagnostic::user(format!("'{name}' is read at indices that are computed")));
        }
        *outside = None;
        for bound in ranges.bounds(index, &nest.buffers[id].dims) {
            if !s.guards.contains(&bound) {
                s.guards.push(bound);
            }
        }
    }
    Ok(())
}

/// Whether the body's value is the identity of the combination if instruction `at`, a read, is out of bounds.
fn vanishes(body: &Body, at: usize, combine: Option<Combine>, dtype: mlcc_ir::dtype::DType) -> bool {
    let Inst::Read { outside: Some(outside), .. } = &body.insts[at].0 else { return false };
    let Some(combine) = combine else { return false };
    if body.result as usize == at {
        return *outside == combine.identity(dtype);
    }
    // These operations keep zeros.
    let mut zero = vec![false; body.insts.len()];
    for (i, (inst, _)) in body.insts.iter().enumerate() {
        let of = |v: &u32| zero.get(*v as usize).copied().unwrap_or(false);
        zero[i] = match inst {
            _ if i == at => outside.bits == 0,
            Inst::Binary(BinaryOp::Mul, a, b) => of(a) || of(b),
            Inst::Cast(a) | Inst::Unary(UnaryOp::Abs | UnaryOp::Neg | UnaryOp::Sqrt, a) => of(a),
            _ => false,
        };
    }
    combine == Combine::Add && zero.get(body.result as usize).copied().unwrap_or(false)
}
