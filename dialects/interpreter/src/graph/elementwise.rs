//! Elementwise operators: of one operand, broadcasting, conversions.

use super::Call;
use crate::{
    array::{broadcast_strides, collect, offsets, scalar},
    scalar::{binary, cast, compare, erf, round, unary},
};
use mlcc_ir::{
    attributes::Attrs,
    diagnostic::{Diagnostic, Result},
    dtype::DType,
    scalar::{BinaryOp, Predicate, UnaryOp},
    tensor::{Element, Tensor},
};
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

pub(super) fn evaluate(call: &Call<'_>) -> Result<Vec<Tensor>> {
    let dtype = call.dtype();
    if let Some(op) = unary_op(call.op) {
        return map(call, |_, x| unary(op, dtype, x));
    }
    if let Some(op) = binary_op(call) {
        return zip(call, |[a, b]| binary(op, dtype, a, b));
    }
    if let Some(predicate) = predicate(call.op) {
        return zip(call, |[a, b]| Some(Element::Int(i64::from(compare(predicate, a, b)))));
    }
    match call.op {
        "relu" => map(call, |dtype, x| binary(BinaryOp::Max, dtype, x, cast(Element::Int(0), dtype))),
        "cast" => map(call, |_, x| Some(cast(x, dtype))),
        "bit_cast" => {
            let x = call.operand(0)?;
            // A `Bool` is 0 or 1; other bytes are not valid.
            if dtype == DType::Bool {
                return map(call, |_, x| Some(cast(x, dtype)));
            }
            Ok(vec![Tensor { dtype, ..x.clone() }])
        }
        "is_inf" => {
            let negative = call.attrs.bool("detect_negative", true);
            let positive = call.attrs.bool("detect_positive", true);
            map(call, |_, x| {
                let x = x.to_f64();
                let found = (positive && x == f64::INFINITY) || (negative && x == f64::NEG_INFINITY);
                Some(Element::Int(i64::from(found)))
            })
        }
        "prelu" => zip(call, |[a, b]| {
            let zero = cast(Element::Int(0), dtype);
            if compare(Predicate::Lt, a, zero) { binary(BinaryOp::Mul, dtype, a, b) } else { Some(a) }
        }),
        "where" => zip(call, |[condition, x, y]| Some(if condition == Element::Int(0) { y } else { x })),
        "clip" => clip(call),
        _ => {
            let function = activation(call.op, call.attrs)
                .ok_or_else(|| Diagnostic::unsupported(format!("'graph.{}' cannot be evaluated", call.op)))?;
            map(call, |dtype, x| Some(Element::Float(round(dtype, function(x.to_f64())))))
        }
    }
}

/// Applies a function to each element; it gets the operand's element type.
fn map(call: &Call<'_>, function: impl Fn(DType, Element) -> Option<Element>) -> Result<Vec<Tensor>> {
    let x = call.operand(0)?;
    let values = (0..x.elements()).map(|i| function(x.dtype, x.get(i)).ok_or_else(|| call.no_function()));
    Ok(vec![collect(call.dtype(), call.dims(), values)?])
}

/// Applies a function to the elements of `N` operands, broadcast against each other.
fn zip<const N: usize>(
    call: &Call<'_>,
    function: impl Fn([Element; N]) -> Option<Element>,
) -> Result<Vec<Tensor>> {
    let mut operands = Vec::with_capacity(N);
    let mut strides = Vec::with_capacity(N);
    for i in 0..N {
        let operand = call.operand(i)?;
        operands.push(operand);
        strides.push(broadcast_strides(&operand.dims, call.dims()).ok_or_else(|| {
            Diagnostic::user(format!(
                "operand {i} ({}) does not broadcast to {:?}",
                operand.ty(),
                call.dims()
            ))
        })?);
    }
    let strides: [&[i64]; N] = std::array::from_fn(|i| strides[i].as_slice());
    let values = offsets(call.dims(), strides).map(|at| {
        let elements = std::array::from_fn(|i| operands[i].get(at[i] as usize));
        function(elements).ok_or_else(|| call.no_function())
    });
    Ok(vec![collect(call.dtype(), call.dims(), values)?])
}

fn clip(call: &Call<'_>) -> Result<Vec<Tensor>> {
    let low = call.optional(1).map(scalar).transpose()?;
    let high = call.optional(2).map(scalar).transpose()?;
    map(call, |dtype, x| {
        let x = low.map_or(Some(x), |low| binary(BinaryOp::Max, dtype, x, low))?;
        high.map_or(Some(x), |high| binary(BinaryOp::Min, dtype, x, high))
    })
}

fn unary_op(op: &str) -> Option<UnaryOp> {
    Some(match op {
        "neg" => UnaryOp::Neg,
        "abs" => UnaryOp::Abs,
        "exp" => UnaryOp::Exp,
        "log" => UnaryOp::Log,
        "sqrt" => UnaryOp::Sqrt,
        "sin" => UnaryOp::Sin,
        "cos" => UnaryOp::Cos,
        "tan" => UnaryOp::Tan,
        "asin" => UnaryOp::Asin,
        "acos" => UnaryOp::Acos,
        "atan" => UnaryOp::Atan,
        "sinh" => UnaryOp::Sinh,
        "cosh" => UnaryOp::Cosh,
        "tanh" => UnaryOp::Tanh,
        "asinh" => UnaryOp::Asinh,
        "acosh" => UnaryOp::Acosh,
        "atanh" => UnaryOp::Atanh,
        "erf" => UnaryOp::Erf,
        "floor" => UnaryOp::Floor,
        "ceil" => UnaryOp::Ceil,
        "round" => UnaryOp::Round,
        "sign" => UnaryOp::Sign,
        "not" | "bitwise_not" => UnaryOp::Not,
        "is_nan" => UnaryOp::IsNan,
        _ => return None,
    })
}

fn binary_op(call: &Call<'_>) -> Option<BinaryOp> {
    Some(match call.op {
        "add" => BinaryOp::Add,
        "sub" => BinaryOp::Sub,
        "mul" => BinaryOp::Mul,
        "div" => BinaryOp::Div,
        "pow" => BinaryOp::Pow,
        "mod" if call.attrs.bool("fmod", false) => BinaryOp::Rem,
        "mod" => BinaryOp::Mod,
        "min" => BinaryOp::Min,
        "max" => BinaryOp::Max,
        "and" | "bitwise_and" => BinaryOp::And,
        "or" | "bitwise_or" => BinaryOp::Or,
        "xor" | "bitwise_xor" => BinaryOp::Xor,
        "shift_left" => BinaryOp::Shl,
        "shift_right" => BinaryOp::Shr,
        _ => return None,
    })
}

fn predicate(op: &str) -> Option<Predicate> {
    Some(match op {
        "equal" => Predicate::Eq,
        "less" => Predicate::Lt,
        "less_equal" => Predicate::Le,
        "greater" => Predicate::Gt,
        "greater_equal" => Predicate::Ge,
        _ => return None,
    })
}

fn softplus(x: f64) -> f64 {
    // exp of a positive number could overflow.
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Floats through a composite function, rounded once by the caller. NaN stays NaN.
fn activation(op: &str, attrs: &Attrs) -> Option<Box<dyn Fn(f64) -> f64>> {
    let value = |name: &str, default: f64| attrs.float(name, default);
    let (alpha, beta) = (value("alpha", 1.0), value("beta", 0.5));
    Some(match op {
        "reciprocal" => Box::new(|x| 1.0 / x),
        "sigmoid" => Box::new(sigmoid),
        "softplus" => Box::new(|x| if x.is_nan() { x } else { softplus(x) }),
        "softsign" => Box::new(|x| x / (1.0 + x.abs())),
        "hard_swish" => Box::new(|x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
        "mish" => Box::new(|x| if x.is_nan() { x } else { x * softplus(x).tanh() }),
        "leaky_relu" => Box::new(move |x| if x < 0.0 { alpha * x } else { x }),
        "elu" => Box::new(move |x| if x < 0.0 { alpha * x.exp_m1() } else { x }),
        "selu" => {
            let gamma = value("gamma", 1.0);
            Box::new(move |x| gamma * if x < 0.0 { alpha * x.exp_m1() } else { x })
        }
        "celu" => Box::new(move |x| if x < 0.0 { alpha * (x / alpha).exp_m1() } else { x }),
        "thresholded_relu" => Box::new(move |x| if x <= alpha { 0.0 } else { x }),
        "hard_sigmoid" => Box::new(move |x| (alpha * x + beta).clamp(0.0, 1.0)),
        "swish" => Box::new(move |x| x * sigmoid(alpha * x)),
        "gelu" if attrs.str("approximate", "none") == "tanh" => {
            let factor = FRAC_2_SQRT_PI * FRAC_1_SQRT_2;
            Box::new(move |x| 0.5 * x * (1.0 + (factor * (x + 0.044_715 * x * x * x)).tanh()))
        }
        "gelu" => Box::new(|x| 0.5 * x * (1.0 + erf(x * FRAC_1_SQRT_2))),
        "shrink" => {
            let (bias, lambd) = (value("bias", 0.0), value("lambd", 0.5));
            Box::new(move |x| {
                if x < -lambd {
                    x + bias
                } else if x > lambd {
                    x - bias
                } else if x.is_nan() {
                    x
                } else {
                    0.0
                }
            })
        }
        _ => return None,
    })
}
