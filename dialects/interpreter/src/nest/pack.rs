//! Packing: constant operands in the layout that a schedule chose.

use crate::{
    Symbols,
    array::{count, offsets, strides, tensor},
    evaluate_expr,
    index::Index,
};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    nest::{LoopNest, Packing},
    tensor::Tensor,
};

/// The buffer of a packing, filled from the original operand; zeros where the index is out of bounds.
///
/// # Errors
/// If the operand does not have the packing's dimensions, or the packing is malformed.
pub fn pack(nest: &LoopNest, packing: &Packing, symbols: &Symbols, source: &Tensor) -> Result<Tensor> {
    let buffer = nest.buffers.get(packing.target);
    let buffer = buffer.ok_or_else(|| Diagnostic::internal("a packing of a buffer that is not there"))?;
    let sizes = |dims: &[mlcc_ir::expr::Expr]| {
        dims.iter().map(|d| evaluate_expr(d, symbols)).collect::<Result<Vec<_>>>()
    };
    let (from, to) = (sizes(&packing.source_dims)?, sizes(&buffer.dims)?);
    if source.dims != from || source.dtype != buffer.dtype || packing.index.len() != from.len() {
        return Err(Diagnostic::internal(format!(
            "'{}' is packed from {from:?}, not from {}",
            buffer.name,
            source.ty()
        )));
    }
    let slot = |name: &str| name.strip_prefix('p')?.parse::<usize>().ok().filter(|&d| d < to.len());
    let index =
        packing.index.iter().map(|e| Index::compile(e, symbols, &slot, 0)).collect::<Result<Vec<_>>>()?;
    let size = source.dtype.size();
    let steps = strides(&from);
    let mut data = Vec::with_capacity(count(&to) * size);
    let along: Vec<Vec<i64>> =
        (0..to.len()).map(|d| (0..to.len()).map(|e| i64::from(d == e)).collect()).collect();
    let mut walks: Vec<_> = along.iter().map(|steps| offsets(&to, [steps])).collect();
    let mut axes = vec![0; to.len()];
    for _ in 0..count(&to) {
        for (axis, walk) in axes.iter_mut().zip(&mut walks) {
            *axis = walk.next().map_or(0, |[i]| i);
        }
        let mut offset = Some(0);
        for ((e, &dim), &step) in index.iter().zip(&from).zip(&steps) {
            let i = e.evaluate(&axes, &[])?;
            offset = offset.filter(|_| (0..dim).contains(&i)).map(|o: i64| o + i * step);
        }
        match offset {
            Some(offset) => data.extend_from_slice(&source.data[offset as usize * size..][..size]),
            None => data.extend(std::iter::repeat_n(0, size)),
        }
    }
    tensor(buffer.dtype, &to, data)
}
