//! Elementwise operators of one operand, and operators composed of a few of them.

use crate::{
    call::Call,
    registry::{
        Import::{Binary, Floats, Function, Unary},
        Operator,
    },
};
use mlcc_ir::{
    attributes::{Attr, Attrs},
    diagnostic::Result,
    graph::ValueId,
};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("Abs", 1, Unary("abs")),
    Operator::new("Acos", 7, Unary("acos")),
    Operator::new("Acosh", 9, Unary("acosh")),
    Operator::new("Asin", 7, Unary("asin")),
    Operator::new("Asinh", 9, Unary("asinh")),
    Operator::new("Atan", 7, Unary("atan")),
    Operator::new("Atanh", 9, Unary("atanh")),
    Operator::new("BitwiseNot", 18, Unary("bitwise_not")),
    Operator::new("Ceil", 1, Unary("ceil")),
    Operator::new("Celu", 12, Floats("celu", &[("alpha", 1.0)])),
    Operator::new("Cos", 7, Unary("cos")),
    Operator::new("Cosh", 9, Unary("cosh")),
    Operator::new("Elu", 1, Floats("elu", &[("alpha", 1.0)])),
    Operator::new("Erf", 9, Unary("erf")),
    Operator::new("Exp", 1, Unary("exp")),
    Operator::new("Floor", 1, Unary("floor")),
    Operator::new("Gelu", 20, Function(gelu)),
    Operator::new("HardSigmoid", 1, Floats("hard_sigmoid", &[("alpha", 0.2), ("beta", 0.5)])),
    Operator::new("HardSwish", 14, Unary("hard_swish")),
    Operator::new("IsInf", 10, Function(is_inf)),
    Operator::new("IsNaN", 9, Unary("is_nan")),
    Operator::new("LeakyRelu", 1, Floats("leaky_relu", &[("alpha", 0.01)])),
    Operator::new("Log", 1, Unary("log")),
    Operator::new("Mish", 18, Unary("mish")),
    Operator::new("Neg", 1, Unary("neg")),
    Operator::new("Not", 1, Unary("not")),
    Operator::new("PRelu", 1, Binary("prelu")),
    Operator::new("Reciprocal", 1, Unary("reciprocal")),
    Operator::new("Relu", 1, Unary("relu")),
    Operator::new("Round", 11, Unary("round")),
    Operator::new("Selu", 1, Floats("selu", &[("alpha", 1.673_263_2), ("gamma", 1.050_701)])),
    Operator::new("Shrink", 9, Floats("shrink", &[("bias", 0.0), ("lambd", 0.5)])),
    Operator::new("Sigmoid", 1, Unary("sigmoid")),
    Operator::new("Sign", 9, Unary("sign")),
    Operator::new("Sin", 7, Unary("sin")),
    Operator::new("Sinh", 9, Unary("sinh")),
    Operator::new("Softplus", 1, Unary("softplus")),
    Operator::new("Softsign", 1, Unary("softsign")),
    Operator::new("Sqrt", 1, Unary("sqrt")),
    Operator::new("SwiGLU", 28, Function(swiglu)),
    Operator::new("Swish", 24, Floats("swish", &[("alpha", 1.0)])),
    Operator::new("Tan", 7, Unary("tan")),
    Operator::new("Tanh", 1, Unary("tanh")),
    Operator::new("ThresholdedRelu", 10, Floats("thresholded_relu", &[("alpha", 1.0)])),
];

fn gelu(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let x = call.input(0)?;
    let approximate = call.text("approximate", "none")?;
    Ok(vec![call.op("gelu", Attrs::new().with("approximate", Attr::Str(approximate.into())), &[x])?])
}

fn is_inf(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let x = call.input(0)?;
    let attrs = Attrs::new()
        .with("detect_negative", Attr::Bool(call.flag("detect_negative", true)?))
        .with("detect_positive", Attr::Bool(call.flag("detect_positive", true)?));
    Ok(vec![call.op("is_inf", attrs, &[x])?])
}

/// `swish(a) * b`.
fn swiglu(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (a, b) = (call.input(0)?, call.input(1)?);
    let alpha = call.float("alpha", 1.0)?;
    let gate = call.op("swish", Attrs::new().with("alpha", Attr::Float(alpha)), &[a])?;
    Ok(vec![call.binary("mul", gate, b)?])
}
