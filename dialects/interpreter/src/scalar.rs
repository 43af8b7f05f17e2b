//! Scalar instructions on elements: the one definition of what they compute.
//!
//! Floats are computed in `f64` and rounded once to their type, which for `f32`, `f16` and `bf16` gives
//! the IEEE result of addition, subtraction, multiplication, division and square root. Integers wrap.
//! A function that does not exist for a type gives `None`.

use mlcc_ir::{
    dtype::DType,
    scalar::{BinaryOp, Predicate, UnaryOp},
    tensor::Element,
};

/// The nearest value of a floating-point type, halves to even.
#[must_use]
pub fn round(dtype: DType, value: f64) -> f64 {
    match dtype {
        DType::F32 => f64::from(value as f32),
        DType::F16 => half::f16::from_f64(value).to_f64(),
        DType::BF16 => half::bf16::from_f64(value).to_f64(),
        _ => value,
    }
}

/// The low bits of `value` as an element of an integer type or `Bool`.
#[must_use]
pub fn wrap(dtype: DType, value: i64) -> Element {
    match dtype {
        DType::I8 => Element::Int(i64::from(value as i8)),
        DType::I16 => Element::Int(i64::from(value as i16)),
        DType::I32 => Element::Int(i64::from(value as i32)),
        DType::U8 => Element::UInt(u64::from(value as u8)),
        DType::U16 => Element::UInt(u64::from(value as u16)),
        DType::U32 => Element::UInt(u64::from(value as u32)),
        DType::U64 => Element::UInt(value as u64),
        DType::Bool => Element::Int(i64::from(value != 0)),
        _ => Element::Int(value),
    }
}

/// The element nearest to a float. For an integer type the float is truncated and saturated, and NaN
/// becomes 0.
#[must_use]
pub fn from_f64(dtype: DType, value: f64) -> Element {
    if dtype.is_float() {
        return Element::Float(round(dtype, value));
    }
    if dtype == DType::Bool {
        return Element::Int(i64::from(value != 0.0));
    }
    let (low, high) = dtype.limits();
    wrap(dtype, (value as i128).clamp(low, high) as i64)
}

/// Conversion to another type, as [`mlcc_ir::scalar::Inst::Cast`].
#[must_use]
pub fn cast(value: Element, to: DType) -> Element {
    match value {
        Element::Float(v) => from_f64(to, v),
        // One rounding: an integer beyond 2^53 must not be rounded to f64 first.
        Element::Int(v) if to == DType::F32 => Element::Float(f64::from(v as f32)),
        Element::UInt(v) if to == DType::F32 => Element::Float(f64::from(v as f32)),
        Element::Int(v) if to.is_float() => Element::Float(round(to, v as f64)),
        Element::UInt(v) if to.is_float() => Element::Float(round(to, v as f64)),
        Element::Int(v) => wrap(to, v),
        Element::UInt(v) => wrap(to, v as i64),
    }
}

/// The error function, to a few units in the last place of `f64`.
///
/// Uses `erf(x) = 2/sqrt(pi) * exp(-x^2) * sum of 2^n x^(2n+1) / (2n+1)!!`, whose terms are all of one
/// sign (Abramowitz and Stegun, 7.1.6).
#[must_use]
pub fn erf(x: f64) -> f64 {
    if x.is_nan() || x.abs() > 6.0 {
        return if x.is_nan() { x } else { x.signum() };
    }
    let (mut term, mut sum, mut n) = (x, x, 0.0);
    while term.abs() > sum.abs() * 1e-17 {
        n += 1.0;
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
    }
    std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

/// A function of one operand of type `dtype`.
#[must_use]
pub fn unary(op: UnaryOp, dtype: DType, a: Element) -> Option<Element> {
    match a {
        Element::Float(v) if op == UnaryOp::IsNan => Some(Element::Int(i64::from(v.is_nan()))),
        Element::Float(v) => Some(Element::Float(round(dtype, unary_float(op, v)?))),
        Element::Int(v) => unary_int(op, dtype, v),
        Element::UInt(v) => match op {
            UnaryOp::Abs | UnaryOp::Floor | UnaryOp::Ceil | UnaryOp::Round | UnaryOp::Trunc => Some(a),
            UnaryOp::Sign => Some(Element::UInt(u64::from(v > 0))),
            UnaryOp::Neg => Some(wrap(dtype, (v as i64).wrapping_neg())),
            UnaryOp::Not => Some(wrap(dtype, !v as i64)),
            UnaryOp::IsNan => Some(Element::Int(0)),
            _ => None,
        },
    }
}

/// A function of a float, unrounded.
#[must_use]
pub fn unary_float(op: UnaryOp, v: f64) -> Option<f64> {
    Some(match op {
        UnaryOp::Neg => -v,
        UnaryOp::Abs => v.abs(),
        UnaryOp::Exp => v.exp(),
        UnaryOp::Log => v.ln(),
        UnaryOp::Sqrt => v.sqrt(),
        UnaryOp::Sin => v.sin(),
        UnaryOp::Cos => v.cos(),
        UnaryOp::Tan => v.tan(),
        UnaryOp::Asin => v.asin(),
        UnaryOp::Acos => v.acos(),
        UnaryOp::Atan => v.atan(),
        UnaryOp::Sinh => v.sinh(),
        UnaryOp::Cosh => v.cosh(),
        UnaryOp::Tanh => v.tanh(),
        UnaryOp::Asinh => v.asinh(),
        UnaryOp::Acosh => v.acosh(),
        UnaryOp::Atanh => v.atanh(),
        UnaryOp::Erf => erf(v),
        UnaryOp::Floor => v.floor(),
        UnaryOp::Ceil => v.ceil(),
        UnaryOp::Round => v.round_ties_even(),
        UnaryOp::Trunc => v.trunc(),
        UnaryOp::Sign if v > 0.0 => 1.0,
        UnaryOp::Sign if v < 0.0 => -1.0,
        UnaryOp::Sign => v,
        UnaryOp::Not | UnaryOp::IsNan => return None,
    })
}

fn unary_int(op: UnaryOp, dtype: DType, v: i64) -> Option<Element> {
    Some(match op {
        UnaryOp::Not if dtype == DType::Bool => Element::Int(1 - v),
        UnaryOp::Not => Element::Int(!v),
        UnaryOp::IsNan => Element::Int(0),
        _ if dtype == DType::Bool => return None,
        UnaryOp::Neg => wrap(dtype, v.wrapping_neg()),
        UnaryOp::Abs => wrap(dtype, v.wrapping_abs()),
        UnaryOp::Sign => Element::Int(v.signum()),
        UnaryOp::Floor | UnaryOp::Ceil | UnaryOp::Round | UnaryOp::Trunc => Element::Int(v),
        _ => return None,
    })
}

/// A function of two operands of type `dtype`.
#[must_use]
pub fn binary(op: BinaryOp, dtype: DType, a: Element, b: Element) -> Option<Element> {
    match (a, b) {
        (Element::Float(a), Element::Float(b)) => Some(Element::Float(round(dtype, binary_float(op, a, b)?))),
        (Element::Int(a), Element::Int(b)) if dtype == DType::Bool => binary_bool(op, a != 0, b != 0),
        (Element::Int(a), Element::Int(b)) => Some(wrap(dtype, binary_signed(op, dtype, a, b))),
        (Element::UInt(a), Element::UInt(b)) => Some(wrap(dtype, binary_unsigned(op, dtype, a, b) as i64)),
        _ => None,
    }
}

fn binary_float(op: BinaryOp, a: f64, b: f64) -> Option<f64> {
    Some(match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::Mod => {
            let r = a % b;
            if r != 0.0 && (r < 0.0) != (b < 0.0) { r + b } else { r }
        }
        BinaryOp::Rem => a % b,
        BinaryOp::Pow => a.powf(b),
        BinaryOp::Min | BinaryOp::Max if a.is_nan() || b.is_nan() => f64::NAN,
        // The zeros are ordered, so that the result does not depend on the operands' order.
        BinaryOp::Min if a == b => {
            if a.is_sign_negative() {
                a
            } else {
                b
            }
        }
        BinaryOp::Max if a == b => {
            if a.is_sign_positive() {
                a
            } else {
                b
            }
        }
        BinaryOp::Min => a.min(b),
        BinaryOp::Max => a.max(b),
        BinaryOp::And | BinaryOp::Or | BinaryOp::Xor | BinaryOp::Shl | BinaryOp::Shr => return None,
    })
}

fn binary_bool(op: BinaryOp, a: bool, b: bool) -> Option<Element> {
    let value = match op {
        BinaryOp::And | BinaryOp::Min | BinaryOp::Mul => a & b,
        BinaryOp::Or | BinaryOp::Max => a | b,
        BinaryOp::Xor => a ^ b,
        _ => return None,
    };
    Some(Element::Int(i64::from(value)))
}

fn binary_signed(op: BinaryOp, dtype: DType, a: i64, b: i64) -> i64 {
    let bits = 8 * dtype.size() as i64;
    let shift = u32::try_from(b).ok().filter(|_| b < bits);
    match op {
        BinaryOp::Add => a.wrapping_add(b),
        BinaryOp::Sub => a.wrapping_sub(b),
        BinaryOp::Mul => a.wrapping_mul(b),
        BinaryOp::Div => {
            if b == 0 {
                0
            } else {
                a.wrapping_div(b)
            }
        }
        BinaryOp::Mod if b == 0 => 0,
        BinaryOp::Mod => {
            let r = a.wrapping_rem(b);
            if r != 0 && (r < 0) != (b < 0) { r + b } else { r }
        }
        BinaryOp::Rem => {
            if b == 0 {
                0
            } else {
                a.wrapping_rem(b)
            }
        }
        BinaryOp::Pow => match u64::try_from(b) {
            Ok(exponent) => power(a as u64, exponent) as i64,
            // The reciprocal truncates to 0, except for 1 and -1.
            Err(_) if a == 1 => 1,
            Err(_) if a == -1 => {
                if b % 2 == 0 {
                    1
                } else {
                    -1
                }
            }
            Err(_) => 0,
        },
        BinaryOp::Min => a.min(b),
        BinaryOp::Max => a.max(b),
        BinaryOp::And => a & b,
        BinaryOp::Or => a | b,
        BinaryOp::Xor => a ^ b,
        BinaryOp::Shl => shift.map_or(0, |s| a.wrapping_shl(s)),
        BinaryOp::Shr => shift.map_or(if a < 0 { -1 } else { 0 }, |s| a >> s),
    }
}

fn binary_unsigned(op: BinaryOp, dtype: DType, a: u64, b: u64) -> u64 {
    let bits = 8 * dtype.size() as u64;
    let shift = (b < bits).then_some(b as u32);
    match op {
        BinaryOp::Add => a.wrapping_add(b),
        BinaryOp::Sub => a.wrapping_sub(b),
        BinaryOp::Mul => a.wrapping_mul(b),
        BinaryOp::Div => a.checked_div(b).unwrap_or(0),
        BinaryOp::Mod | BinaryOp::Rem => a.checked_rem(b).unwrap_or(0),
        BinaryOp::Pow => power(a, b),
        BinaryOp::Min => a.min(b),
        BinaryOp::Max => a.max(b),
        BinaryOp::And => a & b,
        BinaryOp::Or => a | b,
        BinaryOp::Xor => a ^ b,
        BinaryOp::Shl => shift.map_or(0, |s| a.wrapping_shl(s)),
        BinaryOp::Shr => shift.map_or(0, |s| a >> s),
    }
}

/// `base` to the power of `exponent`, wrapping.
fn power(mut base: u64, mut exponent: u64) -> u64 {
    let mut result = 1u64;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result.wrapping_mul(base);
        }
        base = base.wrapping_mul(base);
        exponent >>= 1;
    }
    result
}

/// A comparison of two elements of one type.
#[must_use]
pub fn compare(predicate: Predicate, a: Element, b: Element) -> bool {
    let order = match (a, b) {
        (Element::Int(a), Element::Int(b)) => Some(a.cmp(&b)),
        (Element::UInt(a), Element::UInt(b)) => Some(a.cmp(&b)),
        _ => a.to_f64().partial_cmp(&b.to_f64()),
    };
    match predicate {
        Predicate::Eq => order.is_some_and(|o| o.is_eq()),
        Predicate::Ne => order.is_none_or(|o| o.is_ne()),
        Predicate::Lt => order.is_some_and(|o| o.is_lt()),
        Predicate::Le => order.is_some_and(|o| o.is_le()),
        Predicate::Gt => order.is_some_and(|o| o.is_gt()),
        Predicate::Ge => order.is_some_and(|o| o.is_ge()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlcc_ir::kernel::Combine;

    fn int(op: BinaryOp, dtype: DType, a: i64, b: i64) -> i64 {
        binary(op, dtype, wrap(dtype, a), wrap(dtype, b)).unwrap().to_i64()
    }

    #[test]
    fn integers_wrap_and_never_trap() {
        assert_eq!(int(BinaryOp::Add, DType::I8, 127, 1), -128);
        assert_eq!(int(BinaryOp::Mul, DType::U8, 200, 2), 144);
        assert_eq!(int(BinaryOp::Div, DType::I64, i64::MIN, -1), i64::MIN);
        assert_eq!(int(BinaryOp::Div, DType::I32, -7, 2), -3);
        assert_eq!(int(BinaryOp::Div, DType::U32, 7, 0), 0);
        assert_eq!(int(BinaryOp::Mod, DType::I32, -7, 3), 2);
        assert_eq!(int(BinaryOp::Mod, DType::I32, 7, -3), -2);
        assert_eq!(int(BinaryOp::Rem, DType::I32, -7, 3), -1);
        assert_eq!(int(BinaryOp::Shl, DType::U8, 255, 4), 240);
        assert_eq!(int(BinaryOp::Shl, DType::I32, 1, 32), 0);
        assert_eq!(int(BinaryOp::Shr, DType::I8, -128, 9), -1);
        assert_eq!(int(BinaryOp::Shr, DType::U8, 128, 7), 1);
        assert_eq!(int(BinaryOp::Pow, DType::I32, -3, 3), -27);
        assert_eq!(int(BinaryOp::Pow, DType::I32, 2, -1), 0);
        assert_eq!(binary(BinaryOp::And, DType::F32, Element::Float(1.0), Element::Float(1.0)), None);
    }

    #[test]
    fn casts_saturate_from_floats_and_wrap_between_integers() {
        assert_eq!(cast(Element::Float(1e10), DType::I32), Element::Int(i64::from(i32::MAX)));
        assert_eq!(cast(Element::Float(-3.7), DType::U8), Element::UInt(0));
        assert_eq!(cast(Element::Float(-3.7), DType::I8), Element::Int(-3));
        assert_eq!(cast(Element::Float(f64::NAN), DType::I64), Element::Int(0));
        assert_eq!(cast(Element::Float(1e30), DType::U64), Element::UInt(u64::MAX));
        assert_eq!(cast(Element::Int(300), DType::U8), Element::UInt(44));
        assert_eq!(cast(Element::Float(f64::NAN), DType::Bool), Element::Int(1));
        assert_eq!(
            cast(Element::Int((1 << 54) + 3), DType::F32),
            Element::Float(((1i64 << 54) + 3) as f32 as f64)
        );
        assert_eq!(cast(Element::Float(2049.0), DType::F16), Element::Float(2048.0));
    }

    #[test]
    fn floats_are_rounded_once_to_their_type() {
        let mut state = 1u64;
        for _ in 0..1000 {
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                f32::from_bits((state >> 32) as u32 & 0x7fff_ffff | 0x3000_0000)
            };
            let (a, b) = (next(), next());
            let of = |op| {
                binary(op, DType::F32, Element::Float(a.into()), Element::Float(b.into())).unwrap().to_f64()
            };
            for (op, want) in [(BinaryOp::Add, a + b), (BinaryOp::Mul, a * b), (BinaryOp::Div, a / b)] {
                let got = of(op) as f32;
                assert!(
                    got == want || (got.is_nan() && want.is_nan()),
                    "{op:?} of {a} and {b}: {got}, not {want}"
                );
            }
        }
    }

    #[test]
    fn nan_and_zeros_keep_their_meaning() {
        let of = |op, a: f64, b: f64| {
            binary(op, DType::F64, Element::Float(a), Element::Float(b)).unwrap().to_f64()
        };
        assert!(of(BinaryOp::Max, f64::NAN, 1.0).is_nan() && of(BinaryOp::Min, 1.0, f64::NAN).is_nan());
        assert!(
            of(BinaryOp::Max, -0.0, 0.0).is_sign_positive()
                && of(BinaryOp::Min, 0.0, -0.0).is_sign_negative()
        );
        assert_eq!(of(BinaryOp::Mod, -7.5, 2.0), 0.5);
        assert!(compare(Predicate::Ne, Element::Float(f64::NAN), Element::Float(f64::NAN)));
        assert!(!compare(Predicate::Ge, Element::Float(f64::NAN), Element::Float(0.0)));
    }

    #[test]
    fn erf_is_accurate() {
        // Values from Abramowitz and Stegun, table 7.1, and the tails.
        for (x, want) in
            [(0.5, 0.520_499_877_813_046_5), (1.0, 0.842_700_792_949_714_9), (2.0, 0.995_322_265_018_952_7)]
        {
            assert!((erf(x) - want).abs() < 3e-16 && (erf(-x) + want).abs() < 3e-16, "{x}: {}", erf(x));
        }
        assert_eq!((erf(7.0), erf(f64::NEG_INFINITY), erf(0.0)), (1.0, -1.0, 0.0));
    }

    #[test]
    fn identities_change_nothing() {
        for dtype in DType::ALL {
            for op in [Combine::Add, Combine::Mul, Combine::Max, Combine::Min, Combine::And, Combine::Or] {
                for value in [0.0, 1.0, 100.0] {
                    let value = from_f64(dtype, value);
                    if let Some(combined) = binary(op.function(), dtype, op.identity(dtype).element(), value)
                    {
                        assert_eq!(combined, value, "{op:?} on {dtype}");
                    }
                }
            }
        }
    }
}
