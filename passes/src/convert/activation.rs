//! Functions of one element, spelled in scalar instructions.

use super::scalars::Scalars;
use mlcc_ir::{
    attributes::Attrs,
    scalar::{
        Predicate::{Eq, Gt, Lt},
        UnaryOp::{self, Abs, Erf, Exp, IsNan, Log, Neg, Tanh},
        ValueId,
    },
};

/// The scalar instruction for an operator of one operand.
fn instruction(op: &str) -> Option<UnaryOp> {
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

/// `1 / (1 + exp(-x))`. If `exp` overflows, the quotient is 0, as it should be.
pub(super) fn sigmoid(s: &mut Scalars, x: ValueId) -> ValueId {
    let minus = s.unary(Neg, x);
    let e = s.unary(Exp, minus);
    let (one, denominator) = (s.float_like(x, 1.0), s.add_float(e, 1.0));
    s.div(one, denominator)
}

/// `max(x, 0) + log(1 + exp(-|x|))`, which does not overflow.
fn softplus(s: &mut Scalars, x: ValueId) -> ValueId {
    let magnitude = s.unary(Abs, x);
    let minus = s.unary(Neg, magnitude);
    let e = s.unary(Exp, minus);
    let one_more = s.add_float(e, 1.0);
    let log = s.unary(Log, one_more);
    let zero = s.float_like(x, 0.0);
    let positive = s.max(x, zero);
    s.add(positive, log)
}

/// `x * tanh(softplus(x))`. With `e = exp(x)` the tangent is `e (e + 2) / (e (e + 2) + 2)`, which is 1
/// to the last bit from 20 on.
fn mish(s: &mut Scalars, x: ValueId) -> ValueId {
    let bound = s.float_like(x, 20.0);
    let bounded = s.min(x, bound);
    let e = s.unary(Exp, bounded);
    let e2 = s.add_float(e, 2.0);
    let numerator = s.mul(e, e2);
    let denominator = s.add_float(numerator, 2.0);
    let tangent = s.div(numerator, denominator);
    s.mul(x, tangent)
}

/// `x / 2 * (1 + f)`.
fn half_of_one_plus(s: &mut Scalars, x: ValueId, f: ValueId) -> ValueId {
    let (half, more) = (s.mul_float(x, 0.5), s.add_float(f, 1.0));
    s.mul(half, more)
}

fn gelu(s: &mut Scalars, x: ValueId, approximate: &str) -> ValueId {
    if approximate == "tanh" {
        let square = s.mul(x, x);
        let cube = s.mul(square, x);
        let correction = s.mul_float(cube, 0.044_715);
        let sum = s.add(x, correction);
        let scaled = s.mul_float(sum, (2.0 / std::f64::consts::PI).sqrt());
        let t = s.unary(Tanh, scaled);
        return half_of_one_plus(s, x, t);
    }
    let scaled = s.mul_float(x, std::f64::consts::FRAC_1_SQRT_2);
    let erf = s.unary(Erf, scaled);
    half_of_one_plus(s, x, erf)
}

/// `factor * (exp(x / width) - 1)`.
fn exponential_tail(s: &mut Scalars, x: ValueId, factor: f64, width: f64) -> ValueId {
    let scaled = if width == 1.0 { x } else { s.mul_float(x, 1.0 / width) };
    let e = s.unary(Exp, scaled);
    let less = s.add_float(e, -1.0);
    s.mul_float(less, factor)
}

/// `max(0, min(1, alpha x + beta))`.
fn hard_sigmoid(s: &mut Scalars, x: ValueId, alpha: f64, beta: f64) -> ValueId {
    let scaled = s.mul_float(x, alpha);
    let shifted = s.add_float(scaled, beta);
    s.clamp_float(shifted, 0.0, 1.0)
}

/// The value of a function of one operand, if its result has the operand's type or is `Bool`; `None` if `op`
/// is no such function. `x` is in the type in which it is computed.
pub(super) fn apply(s: &mut Scalars, op: &str, attrs: &Attrs, x: ValueId) -> Option<ValueId> {
    if let Some(inst) = instruction(op) {
        return Some(integer_identity(s, inst, x).unwrap_or_else(|| s.unary(inst, x)));
    }
    let alpha = attrs.float("alpha", 1.0);
    let zero = s.float_like(x, 0.0);
    Some(match op {
        "reciprocal" => {
            let one = s.float_like(x, 1.0);
            s.div(one, x)
        }
        "relu" => s.max(x, zero),
        "sigmoid" => sigmoid(s, x),
        "softplus" => softplus(s, x),
        "softsign" => {
            let magnitude = s.unary(Abs, x);
            let denominator = s.add_float(magnitude, 1.0);
            s.div(x, denominator)
        }
        "mish" => mish(s, x),
        "hard_swish" => {
            let gate = hard_sigmoid(s, x, 1.0 / 6.0, 0.5);
            s.mul(x, gate)
        }
        "hard_sigmoid" => hard_sigmoid(s, x, attrs.float("alpha", 0.2), attrs.float("beta", 0.5)),
        "swish" => {
            let scaled = if alpha == 1.0 { x } else { s.mul_float(x, alpha) };
            let gate = sigmoid(s, scaled);
            s.mul(x, gate)
        }
        "gelu" => gelu(s, x, attrs.str("approximate", "none")),
        "leaky_relu" => {
            let negative = s.compare(Lt, x, zero);
            let scaled = s.mul_float(x, attrs.float("alpha", 0.01));
            s.select(negative, scaled, x)
        }
        "elu" => {
            let negative = s.compare(Lt, x, zero);
            let tail = exponential_tail(s, x, alpha, 1.0);
            s.select(negative, tail, x)
        }
        "celu" => {
            let negative = s.compare(Lt, x, zero);
            let tail = exponential_tail(s, x, alpha, alpha);
            s.select(negative, tail, x)
        }
        "selu" => {
            let alpha = attrs.float("alpha", 1.673_263_192_176_818_8);
            let gamma = attrs.float("gamma", 1.050_701_022_148_132_3);
            let positive = s.compare(Gt, x, zero);
            let tail = exponential_tail(s, x, gamma * alpha, 1.0);
            let scaled = s.mul_float(x, gamma);
            s.select(positive, scaled, tail)
        }
        "thresholded_relu" => {
            let threshold = s.float_like(x, alpha);
            let above = s.compare(Gt, x, threshold);
            s.select(above, x, zero)
        }
        "shrink" => {
            let (bias, lambd) = (attrs.float("bias", 0.0), attrs.float("lambd", 0.5));
            let (low, high) = (s.float_like(x, -lambd), s.float_like(x, lambd));
            let (below, above) = (s.compare(Lt, x, low), s.compare(Gt, x, high));
            let bias = s.float_like(x, bias);
            let (more, less) = (s.add(x, bias), s.sub(x, bias));
            let not_below = s.select(above, less, zero);
            s.select(below, more, not_below)
        }
        "is_inf" => {
            let infinity = s.float_like(x, f64::INFINITY);
            match (attrs.bool("detect_negative", true), attrs.bool("detect_positive", true)) {
                (true, true) => {
                    let magnitude = s.unary(Abs, x);
                    s.compare(Eq, magnitude, infinity)
                }
                (false, true) => s.compare(Eq, x, infinity),
                (true, false) => {
                    let minus = s.float_like(x, f64::NEG_INFINITY);
                    s.compare(Eq, x, minus)
                }
                // Never, whatever `x` is.
                (false, false) => s.compare(Lt, infinity, infinity),
            }
        }
        _ => return None,
    })
}

/// Functions that do not change integers, or are simpler for them.
fn integer_identity(s: &mut Scalars, inst: UnaryOp, x: ValueId) -> Option<ValueId> {
    let dtype = s.dtype(x);
    match inst {
        UnaryOp::Floor | UnaryOp::Ceil | UnaryOp::Round if !dtype.is_float() => Some(x),
        Abs if dtype.is_unsigned_int() => Some(x),
        IsNan if !dtype.is_float() => {
            let false_ = s.compare(Lt, x, x);
            Some(false_)
        }
        _ => None,
    }
}
