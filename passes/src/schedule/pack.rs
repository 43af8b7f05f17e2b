//! `pack(buffer, axes...)`: a constant operand is passed to the kernel packed, with the axes as its
//! dimensions, padded with zeros; the compiler packs it once.
//!
//! ```text
//! for o for k for c: .. * w[k, o * 64 + c]    =>    for o for k for c: .. * w[o, k, c]
//! ```
//!
//! Legal if the operand is constant (the caller vouches for this), of static size, and read at one index that
//! depends on the axes alone.

use super::{panel::Panel, ranges::Ranges, tree::buffer_named};
use mlcc_ir::{
    Name,
    diagnostic::{Diagnostic, Result},
    expr::Expr,
    kernel::Role,
    nest::{LoopNest, Packing},
};

/// Packs a constant operand.
///
/// # Errors
/// If its reads are no function of the axes, or a size is not static.
pub fn pack(nest: &LoopNest, buffer: &str, axes: &[Name]) -> Result<LoopNest> {
    let id = buffer_named(nest, buffer)?;
    let b = &nest.buffers[id];
    if b.role != Role::Input || b.packed {
        return Err(Diagnostic::user(format!("'{buffer}' is not an operand that can be packed")));
    }
    let panel = Panel::of(nest, &nest.body, &Ranges::outside(nest), id, axes)?;
    if panel.reads.others {
        return Err(Diagnostic::user(format!("'{buffer}' is read at other elements too")));
    }
    if panel.reads.outside.is_some() {
        return Err(Diagnostic::user(format!("'{buffer}' is read beyond its bounds")));
    }
    if panel.dims.iter().chain(&b.dims).any(|d| d.as_const().is_none()) {
        return Err(Diagnostic::user(format!("the size of '{buffer}' is not static")));
    }
    let numbered = |e: &Expr| {
        axes.iter()
            .enumerate()
            .fold(e.clone(), |e, (at, a)| e.replace_axis(a, &Expr::axis(&format!("p{at}"))))
    };
    let mut packed = nest.clone();
    panel.redirect(&mut packed.body, (id, id), axes);
    packed.packings.push(Packing {
        target: id,
        source_dims: b.dims.clone(),
        index: panel.reads.index.iter().map(numbered).collect(),
    });
    packed.buffers[id].dims = panel.dims;
    packed.buffers[id].packed = true;
    Ok(packed)
}
