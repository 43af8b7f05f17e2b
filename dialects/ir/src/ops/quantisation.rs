//! Quantisation: linear, per tensor, per axis or per block.

use super::{
    Inferred,
    call::{Call, result},
    definition::{AttrDef, AttrKind, OpDef, OperandDef, PLAIN, Y, attr, one, opt, optional},
};
use crate::{diagnostic::Result, dtype::DType, expr::Expr};

const OPERANDS: &[OperandDef] = &[one("x"), one("scale"), optional("zero_point")];
const AXIS: AttrDef = opt("axis", AttrKind::Int);
const BLOCK: AttrDef = opt("block_size", AttrKind::Int);

pub(super) fn define(into: &mut Vec<OpDef>) {
    into.push(OpDef {
        name: "quantize_linear",
        summary: "x / scale + zero_point, rounded to even and saturated",
        operands: OPERANDS,
        results: Y,
        attributes: const { &[AXIS, attr("to", AttrKind::DType), BLOCK, opt("saturate", AttrKind::Bool)] },
        traits: PLAIN,
        infer: quantize,
    });
    into.push(OpDef {
        name: "dequantize_linear",
        summary: "(x - zero_point) * scale, of the scale's element type",
        operands: OPERANDS,
        results: Y,
        attributes: const { &[AXIS, BLOCK] },
        traits: PLAIN,
        infer: dequantize,
    });
}

/// The scale is a scalar, one per element of the axis, or (blocks) of x's shape with the axis divided.
fn check_scale(call: &Call<'_>) -> Result<()> {
    let (x, scale) = (call.ty(0)?, call.ty(1)?);
    call.expect_float(1)?;
    if let Some(zero_point) = call.optional(2)
        && zero_point.ty.dims != scale.dims
    {
        return Err(call.error(2, format!("must have the shape of operand 'scale' ({scale})")));
    }
    let block = call.attrs.int("block_size", 0);
    if block < 0 {
        return Err(call.attr_error("block_size", format!("is {block}, but must be at least 0")));
    }
    if block > 0 {
        let axis = call.axis("axis", x.rank())?;
        call.expect_rank(1, x.rank())?;
        for (d, (a, b)) in x.dims.iter().zip(&scale.dims).enumerate() {
            let wanted = if d == axis { a.ceil_div(&Expr::from(block)) } else { a.clone() };
            call.equal(&wanted, b, "be the blocks of operands 'x' and 'scale'")?;
        }
        return Ok(());
    }
    if scale.elements().is(1) && scale.rank() <= 1 {
        return Ok(());
    }
    call.expect_rank(1, 1)?;
    let axis = call.axis("axis", x.rank())?;
    call.equal(
        &x.dims[axis],
        &scale.dims[0],
        &format!("be axis {axis} of operand 'x' and the number of scales"),
    )?;
    Ok(())
}

fn quantize(call: &Call<'_>) -> Result<Vec<Inferred>> {
    call.expect_dtype(0, |d| d.is_float() || d == DType::I32, "floating-point or i32")?;
    check_scale(call)?;
    let to = call.attrs.dtype("to").unwrap_or(DType::U8);
    if !to.is_int() {
        return Err(call.attr_error("to", format!("is {to}, but must be an integer type")));
    }
    if call.optional(2).is_some_and(|z| z.ty.dtype != to) {
        return Err(call.error(2, format!("must have elements of {to}")));
    }
    Ok(result(to, call.ty(0)?.dims.clone()))
}

fn dequantize(call: &Call<'_>) -> Result<Vec<Inferred>> {
    call.expect_int(0)?;
    call.expect_same_dtype(0, 2)?;
    check_scale(call)?;
    Ok(result(call.ty(1)?.dtype, call.ty(0)?.dims.clone()))
}
