//! Linear quantisation: per tensor, per axis or per block.

use super::{
    kernels::{axes_over, indices},
    lowering::Lowering,
    scalars::{Scalars, compute_type},
};
use mlcc_ir::{diagnostic::Result, expr::Expr, graph::ValueId, scalar::UnaryOp};

/// Lowers an operator of this family; `None` if it is none.
pub(super) fn lower(op: &mut Lowering<'_, '_>) -> Option<Result<()>> {
    match op.name() {
        "quantize_linear" => Some(lower_quantize(op)),
        "dequantize_linear" => Some(lower_dequantize(op)),
        _ => None,
    }
}

/// The index of the scale (and zero point) for an element.
fn parameter_index(op: &Lowering<'_, '_>, x: ValueId, scale: ValueId, at: &[Expr]) -> Result<Vec<Expr>> {
    let dims = op.dims(scale);
    let block = op.attrs().int("block_size", 0);
    if block > 0 {
        let axis = op.axis("axis", 1, at.len())?;
        let mut index = at.to_vec();
        index[axis] = index[axis].floor_div(&Expr::from(block));
        return Ok(index);
    }
    match dims {
        [] => Ok(Vec::new()),
        [one] if one.is(1) => Ok(vec![Expr::from(0)]),
        [_] => Ok(vec![at[op.axis("axis", 1, op.dims(x).len())?].clone()]),
        _ => Err(op.unsupported("its scale is neither a scalar nor a vector nor blocks")),
    }
}

/// `round(x / scale) + zero_point`, limited to the type's range.
fn lower_quantize(op: &mut Lowering<'_, '_>) -> Result<()> {
    let (x, scale, result) = (op.operand(0)?, op.operand(1)?, op.result(0)?);
    let axes = axes_over(op.dims(x));
    let at = indices(&axes);
    let parameter = parameter_index(op, x, scale, &at)?;
    let mut k = op.kernel();
    let mut s = Scalars::default();
    let v = op.read(&mut k, &mut s, (x, "x"), at);
    let divisor = op.read(&mut k, &mut s, (scale, "scale"), parameter.clone());
    let computed = s.dtype(divisor);
    let v = s.cast(v, computed);
    let quotient = s.div(v, divisor);
    let mut v = s.unary(UnaryOp::Round, quotient);
    if let Some(zero_point) = op.optional(2) {
        let zero = op.read(&mut k, &mut s, (zero_point, "zero_point"), parameter);
        let zero = s.cast(zero, computed);
        v = s.add(v, zero);
    }
    let (low, high) = op.dtype(result).limits();
    let v = s.clamp_float(v, low as f64, high as f64);
    let target = k.output(op, result, "y");
    k.map("quantize", axes, target, s.yields(v));
    op.emit(k)
}

/// `(x - zero_point) * scale`.
fn lower_dequantize(op: &mut Lowering<'_, '_>) -> Result<()> {
    let (x, scale, result) = (op.operand(0)?, op.operand(1)?, op.result(0)?);
    let axes = axes_over(op.dims(x));
    let at = indices(&axes);
    let parameter = parameter_index(op, x, scale, &at)?;
    let computed = compute_type(op.dtype(result));
    let mut k = op.kernel();
    let mut s = Scalars::default();
    let v = op.read(&mut k, &mut s, (x, "x"), at);
    let mut v = s.cast(v, computed);
    if let Some(zero_point) = op.optional(2) {
        let zero = op.read(&mut k, &mut s, (zero_point, "zero_point"), parameter.clone());
        let zero = s.cast(zero, computed);
        v = s.sub(v, zero);
    }
    let factor = op.read(&mut k, &mut s, (scale, "scale"), parameter);
    let v = s.mul(v, factor);
    let target = k.output(op, result, "y");
    k.map("dequantize", axes, target, s.yields(v));
    op.emit(k)
}
