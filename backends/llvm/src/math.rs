//! Elementary functions as vector code: polynomials over reduced arguments, without calls.
//!
//! | Function | `f32` error, units in the last place | how |
//! |---|---|---|
//! | exp, log | 2 | [`exponential`], [`logarithm`] in `f32` |
//! | tanh, erf | 4 | [`rational`] in `f32` |
//! | exp, erf with AVX-512 | 2, 3 | [`table`] |
//! | all others, pow | 1 | the `f64` form, rounded |
//!
//! The `f64` forms err by at most 4 units. Exceptions: erf and pow err by 8; sin, cos and tan keep the
//! bound for arguments up to 2^30 in size, and are accurate for `f32` only beyond. Infinities, NaN and
//! denormals behave as C's library says. 16-bit floats use the `f32` forms. The tests hold these
//! bounds over the whole range.
//!
//! The coefficients interpolate at Chebyshev nodes of the reduced range (rational ones: weighted least
//! squares), computed with 60 digits.

mod arc;
mod exponential;
mod integer;
mod logarithm;
mod power;
mod rational;
mod remainder;
mod table;
mod trigonometric;

pub(crate) use integer::integer_power;
pub(crate) use power::power;
pub(crate) use remainder::remainder;

use crate::emit::builder::{Builder, Cmp, Kind, Val};
use mlcc_ir::scalar::UnaryOp;

/// A function of an `f32` or `f64`.
pub(crate) fn unary<'c>(b: &Builder<'c>, op: UnaryOp, x: Val<'c>) -> Val<'c> {
    let single = x.kind == Kind::F32;
    match op {
        UnaryOp::Neg => b.neg(x),
        UnaryOp::Abs => b.math("math.absf", x),
        UnaryOp::Sqrt => b.math("math.sqrt", x),
        UnaryOp::Floor => b.math("math.floor", x),
        UnaryOp::Ceil => b.math("math.ceil", x),
        UnaryOp::Round => b.math("math.roundeven", x),
        UnaryOp::Trunc => b.math("math.trunc", x),
        UnaryOp::Sign => {
            let zero = b.like(x, 0.0);
            let negative = b.select(b.compare(Cmp::Lt, x, zero), b.like(x, -1.0), x);
            b.select(b.compare(Cmp::Gt, x, zero), b.like(x, 1.0), negative)
        }
        UnaryOp::Exp => exponential::exp(b, x),
        UnaryOp::Log => logarithm::log(b, x),
        UnaryOp::Sin => through_f64(b, x, trigonometric::sin),
        UnaryOp::Cos => through_f64(b, x, trigonometric::cos),
        UnaryOp::Tan => through_f64(b, x, trigonometric::tan),
        UnaryOp::Asin => through_f64(b, x, arc::asin),
        UnaryOp::Acos => through_f64(b, x, arc::acos),
        UnaryOp::Atan => through_f64(b, x, arc::atan),
        UnaryOp::Sinh => through_f64(b, x, exponential::sinh),
        UnaryOp::Cosh => through_f64(b, x, exponential::cosh),
        UnaryOp::Tanh if single => rational::tanh(b, x),
        UnaryOp::Tanh => through_f64(b, x, exponential::tanh),
        UnaryOp::Asinh => through_f64(b, x, logarithm::asinh),
        UnaryOp::Acosh => through_f64(b, x, logarithm::acosh),
        UnaryOp::Atanh => through_f64(b, x, logarithm::atanh),
        UnaryOp::Erf if b.has_tables(x) => table::erf(b, x),
        UnaryOp::Erf if single => rational::erf(b, x),
        UnaryOp::Erf => through_f64(b, x, rational::erf_double),
        // Defined on other types; their meaning on floats is the identity.
        UnaryOp::Not | UnaryOp::IsNan => x,
    }
}

/// A function that has an `f64` form only.
fn through_f64<'c>(
    b: &Builder<'c>,
    x: Val<'c>,
    function: impl FnOnce(&Builder<'c>, Val<'c>) -> Val<'c>,
) -> Val<'c> {
    let wide = b.convert("arith.extf", x, Kind::F64);
    b.convert("arith.truncf", function(b, wide), x.kind)
}

/// `coefficients[0] + x * (coefficients[1] + ...)`.
fn polynomial<'c>(b: &Builder<'c>, x: Val<'c>, coefficients: &[f64]) -> Val<'c> {
    let mut terms = coefficients.iter().rev().map(|c| b.like(x, *c));
    let first = terms.next().unwrap_or_else(|| b.like(x, 0.0));
    terms.fold(first, |sum, c| b.fma(sum, x, c))
}

/// `magnitude` with the sign of `x`, and `x` itself if it is NaN.
fn odd<'c>(b: &Builder<'c>, magnitude: Val<'c>, x: Val<'c>) -> Val<'c> {
    b.copysign(magnitude, x)
}

/// Number of bits behind the point of a float's mantissa.
fn mantissa_bits(kind: Kind) -> i64 {
    if kind == Kind::F32 { 23 } else { 52 }
}

/// The bias of a float's exponent.
fn exponent_bias(kind: Kind) -> i64 {
    if kind == Kind::F32 { 127 } else { 1023 }
}

/// `x` rounded to the nearest integer, as a float and as an integer; `|x|` is below 2^22 (2^51).
fn nearest<'c>(b: &Builder<'c>, x: Val<'c>) -> (Val<'c>, Val<'c>) {
    // Adding 1.5 * 2^bits leaves the integer in the low bits of the sum.
    let magic = 1.5 * (1i64 << mantissa_bits(x.kind)) as f64;
    let magic_bits =
        if x.kind == Kind::F32 { i64::from((magic as f32).to_bits()) } else { magic.to_bits() as i64 };
    let magic = b.like(x, magic);
    let sum = b.add(x, magic);
    let integer = b.sub(b.bitcast(sum, x.kind.as_int()), b.int_like(x, magic_bits));
    (b.sub(sum, magic), integer)
}
