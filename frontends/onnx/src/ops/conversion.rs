//! Conversions between element types.

use crate::{
    call::{Call, malformed},
    registry::{Import::Function, Operator},
};
use mlcc_ir::{
    attributes::{Attr, Attrs},
    diagnostic::Result,
    graph::ValueId,
};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("BitCast", 26, Function(bit_cast)),
    Operator::new("Cast", 1, Function(cast)),
    Operator::new("CastLike", 15, Function(cast_like)),
];

/// `saturate` and `round_mode` concern only 8-bit floats, which are not element types here.
fn cast(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let x = call.input(0)?;
    let to = call.element_type("to")?.ok_or_else(|| malformed("attribute 'to' is missing"))?;
    Ok(vec![call.cast(x, to)?])
}

fn cast_like(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (x, like) = (call.input(0)?, call.input(1)?);
    let to = call.dtype(like);
    Ok(vec![call.cast(x, to)?])
}

fn bit_cast(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let x = call.input(0)?;
    let to = call.element_type("to")?.ok_or_else(|| malformed("attribute 'to' is missing"))?;
    Ok(vec![call.op("bit_cast", Attrs::new().with("to", Attr::DType(to)), &[x])?])
}
