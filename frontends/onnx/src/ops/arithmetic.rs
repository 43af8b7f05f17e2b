//! Broadcasting elementwise operators.

use crate::{
    call::{Call, malformed},
    registry::{
        Import::{Binary, Function},
        Operator,
    },
};
use mlcc_ir::{
    attributes::{Attr, Attrs},
    diagnostic::Result,
    dtype::DType,
    expr::Expr,
    graph::ValueId,
};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("Add", 1, Binary("add")),
    Operator::new("And", 1, Binary("and")),
    Operator::new("BitShift", 11, Function(bit_shift)),
    Operator::new("BitwiseAnd", 18, Binary("bitwise_and")),
    Operator::new("BitwiseOr", 18, Binary("bitwise_or")),
    Operator::new("BitwiseXor", 18, Binary("bitwise_xor")),
    Operator::new("Clip", 1, Function(clip)),
    Operator::new("Div", 1, Binary("div")),
    Operator::new("Equal", 1, Binary("equal")),
    Operator::new("Greater", 1, Binary("greater")),
    Operator::new("GreaterOrEqual", 12, Binary("greater_equal")),
    Operator::new("Less", 1, Binary("less")),
    Operator::new("LessOrEqual", 12, Binary("less_equal")),
    Operator::new("Max", 1, Function(maximum)),
    Operator::new("Mean", 1, Function(mean)),
    Operator::new("Min", 1, Function(minimum)),
    Operator::new("Mod", 10, Function(modulo)),
    Operator::new("Mul", 1, Binary("mul")),
    Operator::new("Or", 1, Binary("or")),
    Operator::new("Pow", 1, Function(pow)),
    Operator::new("Sub", 1, Binary("sub")),
    Operator::new("Sum", 1, Function(sum)),
    Operator::new("Where", 9, Function(select)),
    Operator::new("Xor", 1, Binary("xor")),
];

fn bit_shift(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (x, y) = (call.input(0)?, call.input(1)?);
    let op = match call.text("direction", "")? {
        "LEFT" => "shift_left",
        "RIGHT" => "shift_right",
        other => {
            return Err(malformed(format!("attribute 'direction' is '{other}' instead of LEFT or RIGHT")));
        }
    };
    Ok(vec![call.binary(op, x, y)?])
}

fn modulo(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (a, b) = (call.input(0)?, call.input(1)?);
    let fmod = call.flag("fmod", false)?;
    if fmod || !call.dtype(a).is_float() {
        return Ok(vec![call.op("mod", Attrs::new().with("fmod", Attr::Bool(fmod)), &[a, b])?]);
    }
    // The floored remainder of floats: the truncated remainder, plus b if its sign differs from the
    // sign of b.
    let rest = call.op("mod", Attrs::new().with("fmod", Attr::Bool(true)), &[a, b])?;
    let zero = call.scalar_like(a, 0.0);
    let rest_negative = call.binary("less", rest, zero)?;
    let rest_positive = call.binary("less", zero, rest)?;
    let b_negative = call.binary("less", b, zero)?;
    let b_positive = call.binary("less", zero, b)?;
    let below = call.binary("and", rest_negative, b_positive)?;
    let above = call.binary("and", rest_positive, b_negative)?;
    let differs = call.binary("or", below, above)?;
    let moved = call.binary("add", rest, b)?;
    Ok(vec![call.select(differs, moved, rest)?])
}

/// The exponent may have another element type; the result has the base's.
fn pow(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (base, exponent) = (call.input(0)?, call.input(1)?);
    let (to, from) = (call.dtype(base), call.dtype(exponent));
    if to.is_int() && from.is_float() {
        // An integer to the power of 0.5 is not an integer power.
        let base = call.cast(base, from)?;
        let power = call.binary("pow", base, exponent)?;
        return Ok(vec![call.cast(power, to)?]);
    }
    let exponent = call.cast(exponent, to)?;
    Ok(vec![call.binary("pow", base, exponent)?])
}

fn select(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (condition, x, y) = (call.input(0)?, call.input(1)?, call.input(2)?);
    Ok(vec![call.select(condition, x, y)?])
}

/// A chain of a binary operator over all operands.
fn chain(call: &mut Call<'_, '_>, op: &str) -> Result<ValueId> {
    let inputs = call.all_inputs()?;
    let (&first, rest) = inputs.split_first().ok_or_else(|| malformed("the operator has no operands"))?;
    rest.iter().try_fold(first, |result, &x| call.binary(op, result, x))
}

fn sum(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    Ok(vec![chain(call, "add")?])
}

fn maximum(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    Ok(vec![chain(call, "max")?])
}

fn minimum(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    Ok(vec![chain(call, "min")?])
}

fn mean(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let sum = chain(call, "add")?;
    let count = call.inputs.len() as f64;
    Ok(vec![call.with_scalar("div", sum, count)?])
}

/// Bounds are attributes before opset 11, operands afterwards. Without bounds the operator does
/// nothing.
fn clip(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let x = call.input(0)?;
    let (min, max) = if call.opset < 11 {
        let dtype = call.dtype(x);
        let bound = |call: &mut Call<'_, '_>, name| -> Result<Option<ValueId>> {
            let value = call.attributes.float(name)?.filter(|v| v.abs() < f64::from(f32::MAX));
            Ok(value.map(|v| call.scalar(dtype, v)))
        };
        (bound(call, "min")?, bound(call, "max")?)
    } else {
        (call.optional(1), call.optional(2))
    };
    // A bound may be written as a tensor of one element.
    let scalar = |call: &mut Call<'_, '_>, bound: Option<ValueId>| match bound {
        Some(bound) if call.rank(bound) > 0 && call.ty(bound).elements() == Expr::from(1) => {
            call.reshape(bound, Vec::new()).map(Some)
        }
        bound => Ok(bound),
    };
    let (min, max) = (scalar(call, min)?, scalar(call, max)?);
    if (min, max) == (None, None) && call.dtype(x) != DType::Bool {
        return Ok(vec![x]);
    }
    Ok(vec![call.op_optional("clip", Attrs::new(), &[Some(x), min, max])?])
}
