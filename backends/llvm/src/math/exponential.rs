//! e^x, and the hyperbolic functions in `f64`.
//!
//! x = n ln 2 + r with |r| at most ln(2) / 2; e^r = 1 + r + r^2 P(r).

use super::{exponent_bias, mantissa_bits, nearest, odd, polynomial, table};
use crate::emit::builder::{Builder, Cmp, Kind, Val};
use std::f64::consts::LOG2_E;

/// P for `f32`: relative error 2e-9.
const SINGLE: [f64; 5] =
    [0.5, 0.16666573381900845, 0.04166655011030512, 0.008363773874405574, 0.0013926926614021907];

/// P for `f64`: relative error 4e-18.
const DOUBLE: [f64; 11] = [
    0.5,
    0.1666666666666667,
    0.04166666666666667,
    0.008333333333325544,
    0.0013888888888883327,
    0.00019841269876864356,
    2.4801587327007187e-05,
    2.755725283351691e-06,
    2.75572718102198e-07,
    2.5106274733573296e-08,
    2.0915442297780116e-09,
];

/// ln 2 in two parts, the first with zeros at its end, per type.
pub(super) const LN2_SINGLE: (f64, f64) = (0.693359375, -2.121_944_400_546_905_8e-4);
const LN2_DOUBLE: (f64, f64) = (0.693_147_180_369_123_8, 1.908_214_929_270_587_7e-10);

/// e^r - 1 and n.
fn reduced<'c>(b: &Builder<'c>, x: Val<'c>) -> (Val<'c>, Val<'c>) {
    let single = x.kind == Kind::F32;
    let (high, low) = if single { LN2_SINGLE } else { LN2_DOUBLE };
    let (n, integer) = nearest(b, b.mul(x, b.like(x, LOG2_E)));
    let r = b.fma(n, b.like(x, -high), x);
    let r = b.fma(n, b.like(x, -low), r);
    let p = polynomial(b, r, if single { &SINGLE } else { &DOUBLE });
    (b.fma(b.mul(r, r), p, r), integer)
}

/// 2^n for a normal result.
fn power_of_two<'c>(b: &Builder<'c>, n: Val<'c>, kind: Kind) -> Val<'c> {
    let biased = b.add(n, b.int(n.kind, 1, exponent_bias(kind)));
    let bits = b.int_op("arith.shli", biased, b.int(n.kind, 1, mantissa_bits(kind)));
    b.bitcast(bits, kind)
}

/// `x * 2^n` for any n up to twice the exponent's range.
fn scale<'c>(b: &Builder<'c>, x: Val<'c>, n: Val<'c>) -> Val<'c> {
    let half = b.int_op("arith.shrsi", n, b.int(n.kind, 1, 1));
    let other = b.sub(n, half);
    b.mul(b.mul(x, power_of_two(b, half, x.kind)), power_of_two(b, other, x.kind))
}

/// `x` limited to a range outside of which the result is 0 or infinite anyway; NaN stays.
fn clamp<'c>(b: &Builder<'c>, x: Val<'c>) -> Val<'c> {
    let (low, high) = if x.kind == Kind::F32 { (-105.0, 89.0) } else { (-747.0, 710.5) };
    b.clamp(x, low, high)
}

/// e^x.
pub(super) fn exp<'c>(b: &Builder<'c>, x: Val<'c>) -> Val<'c> {
    if b.has_tables(x) {
        return table::exp(b, x);
    }
    exp_scaled(b, x, 0)
}

/// `e^x * 2^shift`.
fn exp_scaled<'c>(b: &Builder<'c>, x: Val<'c>, shift: i64) -> Val<'c> {
    let (e, n) = reduced(b, clamp(b, x));
    let n = if shift == 0 { n } else { b.add(n, b.int(n.kind, 1, shift)) };
    scale(b, b.add(e, b.like(e, 1.0)), n)
}

/// e^x - 1 for x from -700 to 700.
fn exp_minus_1<'c>(b: &Builder<'c>, x: Val<'c>) -> Val<'c> {
    let (e, n) = reduced(b, x);
    let s = power_of_two(b, n, x.kind);
    b.fma(s, e, b.sub(s, b.like(s, 1.0)))
}

/// tanh, by e^2|x| - 1, which is accurate near 0.
pub(super) fn tanh<'c>(b: &Builder<'c>, x: Val<'c>) -> Val<'c> {
    let a = b.math("math.absf", x);
    let a = b.float_extremum(false, a, b.like(a, 22.0));
    let e = exp_minus_1(b, b.add(a, a));
    odd(b, b.div(e, b.add(e, b.like(e, 2.0))), x)
}

pub(super) fn sinh<'c>(b: &Builder<'c>, x: Val<'c>) -> Val<'c> {
    let a = b.math("math.absf", x);
    let one = b.like(a, 1.0);
    // Near 0 without cancellation.
    let e = exp_minus_1(b, b.float_extremum(false, a, one));
    let small = b.mul(b.like(a, 0.5), b.add(e, b.div(e, b.add(e, one))));
    let h = exp_scaled(b, a, -1);
    let large = b.sub(h, b.div(b.like(h, 0.25), h));
    odd(b, b.select(b.compare(Cmp::Lt, a, one), small, large), x)
}

pub(super) fn cosh<'c>(b: &Builder<'c>, x: Val<'c>) -> Val<'c> {
    let h = exp_scaled(b, b.math("math.absf", x), -1);
    b.add(h, b.div(b.like(h, 0.25), h))
}
