//! Quantisation, and arithmetic on quantised tensors.

use super::convolution::conv_attrs;
use crate::{
    call::{Call, malformed, normalised_axis},
    registry::{Import::Function, Operator},
};
use mlcc_ir::{
    attributes::{Attr, Attrs},
    diagnostic::{Diagnostic, Result, count},
    dtype::DType,
    expr::Expr,
    graph::ValueId,
};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("ConvInteger", 10, Function(conv_integer)),
    Operator::new("DequantizeLinear", 10, Function(dequantize_linear)),
    Operator::new("DynamicQuantizeLinear", 11, Function(dynamic_quantize_linear)),
    Operator::new("MatMulInteger", 10, Function(matmul_integer)),
    Operator::new("QLinearConv", 10, Function(qlinear_conv)),
    Operator::new("QLinearMatMul", 10, Function(qlinear_matmul)),
    Operator::new("QuantizeLinear", 10, Function(quantize_linear)),
];

/// Attributes `axis` and `block_size`. A scale per tensor needs neither.
fn granularity(call: &Call<'_, '_>, x: ValueId, scale: ValueId) -> Result<Attrs> {
    if call.ty(scale).elements() == Expr::from(1) && call.rank(scale) <= 1 {
        return Ok(Attrs::new());
    }
    let axis = normalised_axis(call.int("axis", 1)?, call.rank(x))?;
    let mut attrs = Attrs::new().with("axis", Attr::Int(axis as i64));
    let block = call.int("block_size", 0)?;
    if block != 0 {
        attrs = attrs.with("block_size", Attr::Int(block));
    }
    Ok(attrs)
}

fn quantize_linear(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (x, scale) = (call.input(0)?, call.input(1)?);
    let zero_point = call.optional(2);
    // 0 means that the output type is not given.
    let declared = match call.attributes.int("output_dtype")? {
        None | Some(0) => None,
        Some(_) => call.element_type("output_dtype")?,
    };
    let to = declared.unwrap_or(zero_point.map_or(DType::U8, |z| call.dtype(z)));
    let (x, scale) = match call.attributes.int("precision")? {
        None | Some(0) => (x, scale),
        Some(_) => {
            let precision = call.element_type("precision")?.unwrap_or(DType::F32);
            (call.cast(x, precision)?, call.cast(scale, precision)?)
        }
    };
    let attrs = granularity(call, x, scale)?.with("to", Attr::DType(to));
    let mut operands = vec![Some(x), Some(scale)];
    operands.extend(zero_point.map(Some));
    Ok(vec![call.op_optional("quantize_linear", attrs, &operands)?])
}

/// The multiplication has the result's type, too.
fn dequantize_linear(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (x, mut scale) = (call.input(0)?, call.input(1)?);
    if !matches!(call.attributes.int("output_dtype")?, None | Some(0))
        && let Some(to) = call.element_type("output_dtype")?
    {
        scale = call.cast(scale, to)?;
    }
    let attrs = granularity(call, x, scale)?;
    let mut operands = vec![Some(x), Some(scale)];
    operands.extend(call.optional(2).map(Some));
    Ok(vec![call.op_optional("dequantize_linear", attrs, &operands)?])
}

/// The difference of a quantised tensor and its zero point, in `i32`. If the zero point is per row or
/// column, it is aligned with dimension `axis`.
fn centred(call: &mut Call<'_, '_>, x: ValueId, zero_point: Option<ValueId>, axis: usize) -> Result<ValueId> {
    let wide = call.cast(x, DType::I32)?;
    let Some(zero_point) = zero_point else { return Ok(wide) };
    let aligned = aligned(call, zero_point, call.rank(x), axis)?;
    let zero_point = call.cast(aligned, DType::I32)?;
    call.binary("sub", wide, zero_point)
}

/// A parameter per element of dimension `axis`, reshaped so that it broadcasts. A scalar, or a
/// parameter of higher rank, broadcasts as it is.
fn aligned(call: &mut Call<'_, '_>, parameter: ValueId, rank: usize, axis: usize) -> Result<ValueId> {
    let dims = call.dims(parameter);
    let [size] = &dims[..] else { return Ok(parameter) };
    if size.is(1) {
        return call.reshape(parameter, Vec::new());
    }
    let mut shape = vec![Expr::from(1); rank];
    *shape.get_mut(axis).ok_or_else(|| malformed("a parameter per element of a scalar"))? = size.clone();
    call.reshape(parameter, shape)
}

/// Product of matrices whose zero points are per row of `a` and per column of `b`.
fn integer_product(
    call: &mut Call<'_, '_>,
    (a, a_zero): (ValueId, Option<ValueId>),
    (b, b_zero): (ValueId, Option<ValueId>),
) -> Result<ValueId> {
    let (rows, columns) = (call.rank(a).saturating_sub(2), call.rank(b).saturating_sub(1));
    let a = centred(call, a, a_zero, rows)?;
    let b = centred(call, b, b_zero, columns)?;
    call.matmul(a, b, false)
}

fn matmul_integer(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (a, b) = (call.input(0)?, call.input(1)?);
    let (a_zero, b_zero) = (call.optional(2), call.optional(3));
    Ok(vec![integer_product(call, (a, a_zero), (b, b_zero))?])
}

fn conv_integer(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (x, weight) = (call.input(0)?, call.input(1)?);
    let attrs = conv_attrs(call, x, weight)?;
    let x = centred(call, x, call.optional(2), 1)?;
    let weight = centred(call, weight, call.optional(3), 0)?;
    Ok(vec![call.op("conv", attrs, &[x, weight])?])
}

/// Quantises an `i32` accumulator: `accumulator * scale`, divided by the result's scale.
fn requantised(
    call: &mut Call<'_, '_>,
    accumulator: ValueId,
    scale: ValueId,
    (y_scale, y_zero): (ValueId, ValueId),
) -> Result<ValueId> {
    if call.ty(y_scale).elements() != Expr::from(1) {
        return Err(Diagnostic::unsupported("the result has more than one scale")
            .hint("export the model with results quantised per tensor"));
    }
    let dtype = call.dtype(scale);
    let float = call.cast(accumulator, dtype)?;
    let real = call.binary("mul", float, scale)?;
    let y_scale = call.reshape(y_scale, Vec::new())?;
    let y_scale = call.cast(y_scale, dtype)?;
    let y_zero = call.reshape(y_zero, Vec::new())?;
    let attrs = Attrs::new().with("to", Attr::DType(call.dtype(y_zero)));
    call.op("quantize_linear", attrs, &[real, y_scale, y_zero])
}

fn qlinear_matmul(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let inputs = call.all_inputs()?;
    let &[a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero] = &inputs[..] else {
        return Err(malformed(format!("the node has {} instead of 8", count(inputs.len(), "operand"))));
    };
    let accumulator = integer_product(call, (a, Some(a_zero)), (b, Some(b_zero)))?;
    let (rank_a, rank_b) = (call.rank(a), call.rank(b));
    let rank = call.rank(accumulator);
    let a_scale = aligned(call, a_scale, rank_a.min(rank), rank_a.min(rank).saturating_sub(2))?;
    let b_scale = aligned(call, b_scale, rank_b.min(rank), rank_b.min(rank).saturating_sub(1))?;
    // Scales of half precision are multiplied in single precision, because their product may
    // underflow.
    let (a_scale, b_scale) = (call.cast(a_scale, DType::F32)?, call.cast(b_scale, DType::F32)?);
    let scale = call.binary("mul", a_scale, b_scale)?;
    Ok(vec![requantised(call, accumulator, scale, (y_scale, y_zero))?])
}

/// Scale and zero point of the weight may be per output channel.
fn qlinear_conv(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (x, x_scale, x_zero) = (call.input(0)?, call.input(1)?, call.input(2)?);
    let (weight, w_scale, w_zero) = (call.input(3)?, call.input(4)?, call.input(5)?);
    let (y_scale, y_zero) = (call.input(6)?, call.input(7)?);
    let attrs = conv_attrs(call, x, weight)?;
    let x = centred(call, x, Some(x_zero), 1)?;
    let weight = centred(call, weight, Some(w_zero), 0)?;
    let mut operands = vec![Some(x), Some(weight)];
    operands.extend(call.optional(8).map(Some));
    let accumulator = call.op_optional("conv", attrs, &operands)?;
    let rank = call.rank(accumulator);
    let x_scale = aligned(call, x_scale, rank, 1)?;
    let w_scale = aligned(call, w_scale, rank, 1)?;
    let (x_scale, w_scale) = (call.cast(x_scale, DType::F32)?, call.cast(w_scale, DType::F32)?);
    let scale = call.binary("mul", x_scale, w_scale)?;
    Ok(vec![requantised(call, accumulator, scale, (y_scale, y_zero))?])
}

/// Quantises to `u8` with the range of the operand itself, which includes 0.
fn dynamic_quantize_linear(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let x = call.input(0)?;
    let axes: Vec<usize> = (0..call.rank(x)).collect();
    let dtype = call.dtype(x);
    let zero = call.scalar(dtype, 0.0);
    let max = call.reduce("reduce_max", x, &axes, false)?;
    let max = call.binary("max", max, zero)?;
    let min = call.reduce("reduce_min", x, &axes, false)?;
    let min = call.binary("min", min, zero)?;
    let range = call.binary("sub", max, min)?;
    let scale = call.with_scalar("div", range, 255.0)?;
    let below = call.binary("div", min, scale)?;
    let below = call.unary("neg", below)?;
    let rounded = call.unary("round", below)?;
    let most = call.scalar(dtype, 255.0);
    let limited = call.op("clip", Attrs::new(), &[rounded, zero, most])?;
    let zero_point = call.cast(limited, DType::U8)?;
    let attrs = Attrs::new().with("to", Attr::DType(DType::U8));
    let y = call.op("quantize_linear", attrs, &[x, scale, zero_point])?;
    Ok(vec![y, scale, zero_point])
}
