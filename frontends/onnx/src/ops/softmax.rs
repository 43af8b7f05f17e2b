//! Softmax and its like.

use crate::{
    builder::product,
    call::Call,
    registry::{Import::Function, Operator},
};
use mlcc_ir::{diagnostic::Result, graph::ValueId};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("Hardmax", 1, Function(hardmax)),
    Operator::new("LogSoftmax", 1, Function(log_softmax)),
    Operator::new("Softmax", 1, Function(softmax)),
];

fn softmax(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    along_axis(call, "softmax")
}

fn log_softmax(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    along_axis(call, "log_softmax")
}

fn hardmax(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    along_axis(call, "hardmax")
}

/// Before opset 13 the operand is treated as a matrix: the dimensions from the axis on are one
/// dimension.
fn along_axis(call: &mut Call<'_, '_>, op: &str) -> Result<Vec<ValueId>> {
    let x = call.input(0)?;
    let dims = call.dims(x);
    if call.opset >= 13 {
        let axis = call.axis(-1, dims.len())?;
        return Ok(vec![call.along(op, &[x], axis)?]);
    }
    let axis = call.axis(1, dims.len())?;
    if axis + 1 == dims.len() {
        return Ok(vec![call.along(op, &[x], axis)?]);
    }
    let mut flat = dims[..axis].to_vec();
    flat.push(product(&dims[axis..]));
    let y = call.reshape(x, flat)?;
    let y = call.along(op, &[y], axis)?;
    Ok(vec![call.reshape(y, dims)?])
}
