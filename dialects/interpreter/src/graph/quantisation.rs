//! Quantisation: linear, per tensor, per axis or per block.

use super::Call;
use crate::{
    array::{collect, offsets, strides},
    scalar::{binary, cast, from_f64},
};
use mlcc_ir::{
    diagnostic::Result,
    dtype::DType,
    scalar::BinaryOp,
    tensor::{Element, Tensor},
};

/// For each element of `x`, the index of its scale.
fn scale_indices(call: &Call<'_>, x: &Tensor, scale: &Tensor) -> Vec<usize> {
    let block = call.attrs.int("block_size", 0);
    let axis = call.axis("axis");
    if block == 0 {
        let along: Vec<i64> =
            (0..x.dims.len()).map(|d| i64::from(d == axis && scale.elements() > 1)).collect();
        return offsets(&x.dims, [&along]).map(|[i]| i as usize).collect();
    }
    let mut steps = strides(&scale.dims);
    let step = std::mem::replace(&mut steps[axis], 0);
    let along: Vec<i64> = (0..x.dims.len()).map(|d| i64::from(d == axis)).collect();
    offsets(&x.dims, [&steps, &along]).map(|[base, i]| (base + i / block * step) as usize).collect()
}

fn zero_point(call: &Call<'_>, i: usize) -> Element {
    call.optional(2).map_or(Element::Int(0), |z| z.get(i))
}

pub(super) fn quantize(call: &Call<'_>) -> Result<Vec<Tensor>> {
    let (x, scale) = (call.operand(0)?, call.operand(1)?);
    let indices = scale_indices(call, x, scale);
    // The quotient is computed in f32 (or wider), as ONNX defines it, and rounded only afterwards.
    let dtype = if scale.dtype == DType::F64 { DType::F64 } else { DType::F32 };
    let elements = indices.into_iter().enumerate().map(|(i, s)| {
        let (value, divisor) = (cast(x.get(i), dtype), cast(scale.get(s), dtype));
        let quotient = binary(BinaryOp::Div, dtype, value, divisor).ok_or_else(|| call.no_function())?;
        Ok(from_f64(call.dtype(), quotient.to_f64().round_ties_even() + zero_point(call, s).to_f64()))
    });
    Ok(vec![collect(call.dtype(), call.dims(), elements)?])
}

pub(super) fn dequantize(call: &Call<'_>) -> Result<Vec<Tensor>> {
    let (x, scale) = (call.operand(0)?, call.operand(1)?);
    let indices = scale_indices(call, x, scale);
    let elements = indices.into_iter().enumerate().map(|(i, s)| {
        let centred = x.get(i).to_f64() - zero_point(call, s).to_f64();
        Ok(from_f64(call.dtype(), centred * scale.get(s).to_f64()))
    });
    Ok(vec![collect(call.dtype(), call.dims(), elements)?])
}
