//! `permute(buffer, d, d, ...)`: the dimensions of a temporary in another order, so that the axis of
//! vectors is the contiguous one.
//!
//! ```text
//! for w for c: acc[c, w] += ..    =>    for w for c: acc[w, c] += ..        permute(acc, 1, 0)
//! ```
//!
//! Dimension `i` of the result is the old dimension given at place `i`. Always legal for a temporary.

use super::tree::{buffer_named, each_store};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    expr::Expr,
    kernel::Role,
    nest::{LoopNest, Node},
    scalar::Inst,
};

/// Orders the dimensions of `buffer`.
///
/// # Errors
/// If it is the caller's memory or a tile's, or the order no permutation of its dimensions.
pub fn permute(nest: &LoopNest, buffer: &str, order: &[u32]) -> Result<LoopNest> {
    let id = buffer_named(nest, buffer)?;
    let b = &nest.buffers[id];
    if b.role != Role::Temporary {
        return Err(Diagnostic::user(format!("'{buffer}' is in the caller's memory")));
    }
    let mut sorted = order.to_vec();
    sorted.sort_unstable();
    if !sorted.iter().copied().eq(0..b.dims.len() as u32) {
        let count = b.dims.len();
        return Err(Diagnostic::user(format!("'{buffer}' has {count} dimensions to put in order")));
    }
    let mut tiled = false;
    nest.visit(&mut |node| tiled |= matches!(node, Node::Tile(t) if t.acc == id));
    if tiled {
        return Err(Diagnostic::user(format!("'{buffer}' belongs to a contraction tile")));
    }
    let permuted =
        |index: &[Expr]| -> Vec<Expr> { order.iter().map(|&d| index[d as usize].clone()).collect() };
    let mut out = nest.clone();
    out.buffers[id].dims = permuted(&b.dims);
    each_store(&mut out.body, &mut |s| {
        if s.buffer == id {
            s.index = permuted(&s.index);
        }
        for (inst, _) in &mut s.body.insts {
            if let Inst::Read { tensor, index, .. } = inst
                && *tensor == id
            {
                *index = permuted(index);
            }
        }
    });
    Ok(out)
}
