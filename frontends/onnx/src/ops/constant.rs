//! Constants, and operators that do nothing at inference.

use crate::{
    builder::product,
    call::{Call, malformed},
    registry::{Import::Function, Operator},
    tensor::tensor_from_proto,
};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    dtype::DType,
    expr::Expr,
    graph::ValueId,
    tensor::Tensor,
};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("Constant", 1, Function(constant)),
    Operator::new("ConstantOfShape", 9, Function(constant_of_shape)),
    Operator::new("Dropout", 1, Function(dropout)),
    Operator::new("Identity", 1, Function(identity)),
    Operator::new("Shape", 1, Function(shape)),
    Operator::new("Size", 1, Function(size)),
];

fn constant(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let attributes = call.attributes;
    if let Some(proto) = attributes.tensor("value")? {
        let tensor = tensor_from_proto(proto, &call.external)?;
        return Ok(vec![call.literal(tensor)]);
    }
    if let Some(value) = attributes.float("value_float")? {
        return Ok(vec![call.scalar(DType::F32, value)]);
    }
    if let Some(value) = attributes.int("value_int")? {
        return Ok(vec![call.int_scalar(DType::I64, value)]);
    }
    if let Some(values) = attributes.floats("value_floats")? {
        return Ok(vec![call.literal(Tensor::from_f32(&[values.len() as i64], values))]);
    }
    if let Some(values) = attributes.ints("value_ints")? {
        return Ok(vec![call.ints(values)]);
    }
    for (name, what) in
        [("sparse_value", "sparse tensor"), ("value_string", "text"), ("value_strings", "text")]
    {
        if attributes.has(name) {
            return Err(Diagnostic::unsupported(format!("the constant is a {what}"))
                .hint("only dense tensors of numbers are supported"));
        }
    }
    Err(malformed("the constant has no value"))
}

fn constant_of_shape(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let shape = call.input(0)?;
    let shape = call.shape_operand(shape, "shape")?;
    if shape.iter().any(|d| d.as_const().is_some_and(|d| d < 0)) {
        return Err(malformed("operand 'shape' has a negative element"));
    }
    let value = match call.attributes.tensor("value")? {
        Some(proto) => tensor_from_proto(proto, &call.external)?,
        None => Tensor::from_f32(&[], &[0.0]),
    };
    if value.elements() != 1 {
        return Err(malformed(format!("attribute 'value' has {} elements instead of one", value.elements())));
    }
    let value = call.literal(Tensor { dims: Vec::new(), ..value });
    Ok(vec![call.expand(value, shape)?])
}

fn identity(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    Ok(vec![call.input(0)?])
}

/// At inference nothing is dropped, and the mask is all true.
fn dropout(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let x = call.input(0)?;
    if let Some(mode) = call.optional(2) {
        let training = call.constant_value(mode).is_none_or(|t| t.elements() != 1 || t.get(0).to_i64() != 0);
        let drops = match call.constant_floats(1, "ratio") {
            Ok(ratio) => ratio.is_none_or(|r| r[0] != 0.0),
            Err(_) => true,
        };
        if training && drops {
            return Err(Diagnostic::unsupported("the node drops elements at random, as in training")
                .hint("export the model for inference: training_mode must be false"));
        }
    }
    let mut results = vec![x];
    if call.wants(1) {
        let dtype = if call.opset < 10 { call.dtype(x) } else { DType::Bool };
        let kept = call.scalar(dtype, 1.0);
        let dims = call.dims(x);
        results.push(call.expand(kept, dims)?);
    }
    Ok(results)
}

/// The dimensions. From opset 15 on the result may be a part of them.
fn shape(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let x = call.input(0)?;
    let dims = call.dims(x);
    let rank = dims.len() as i64;
    let bound =
        |value: i64| if value < 0 { value.saturating_add(rank) } else { value }.clamp(0, rank) as usize;
    let start = bound(call.int("start", 0)?);
    let end = bound(call.int("end", rank)?);
    let part = dims.get(start..end).unwrap_or_default().to_vec();
    Ok(vec![call.dims_value(part, false)?])
}

fn size(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let x = call.input(0)?;
    let count: Expr = product(&call.ty(x).dims);
    Ok(vec![call.dims_value(vec![count], true)?])
}
