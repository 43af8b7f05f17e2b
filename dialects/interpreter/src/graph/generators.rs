//! Generators: tensors made from attributes and scalars.

use super::Call;
use crate::{
    array::{collect, count, scalar},
    scalar::{binary, cast},
};
use mlcc_ir::{
    diagnostic::Result,
    dtype::DType,
    scalar::BinaryOp,
    tensor::{Element, Tensor},
};

pub(super) fn range(call: &Call<'_>) -> Result<Vec<Tensor>> {
    let (start, delta) = (scalar(call.operand(0)?)?, scalar(call.operand(1)?)?);
    let dtype = call.dtype();
    // Floats are computed in f64 and rounded once, so that errors do not add up along the range.
    let wide = if dtype.is_float() { DType::F64 } else { dtype };
    let elements = (0..count(call.dims()) as i64).map(|i| {
        let way = binary(BinaryOp::Mul, wide, cast(Element::Int(i), wide), delta);
        let value = way.and_then(|way| binary(BinaryOp::Add, wide, start, way));
        value.map(|v| cast(v, dtype)).ok_or_else(|| call.no_function())
    });
    Ok(vec![collect(dtype, call.dims(), elements)?])
}

pub(super) fn dims(call: &Call<'_>) -> Result<Vec<Tensor>> {
    let values = call.sizes("values", 0)?;
    Ok(vec![collect(DType::I64, call.dims(), values.into_iter().map(|v| Ok(Element::Int(v))))?])
}

pub(super) fn eye(call: &Call<'_>) -> Result<Vec<Tensor>> {
    let k = call.attrs.int("k", 0);
    let (rows, columns) = (call.dims()[0], call.dims()[1]);
    let one = |row: i64, column: i64| Element::Int(i64::from(column.saturating_sub(row) == k));
    let elements = (0..rows).flat_map(|row| (0..columns).map(move |c| Ok(cast(one(row, c), call.dtype()))));
    Ok(vec![collect(call.dtype(), call.dims(), elements)?])
}
