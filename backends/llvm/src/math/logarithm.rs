//! The natural logarithm, and the inverse hyperbolic functions in `f64`.
//!
//! x = 2^k m with m from sqrt(1/2) to sqrt(2); f = m - 1. In `f32` log(1 + f) = f - f^2 / 2 + f^3 P(f); in
//! `f64` through s = f / (2 + f), where log(1 + f) = 2 artanh(s).

use super::{mantissa_bits, odd, polynomial};
use crate::emit::builder::{Builder, Cmp, Kind, Val};
use std::f64::consts::LN_2;

/// P for `f32`: absolute error of the logarithm 2e-9.
const SINGLE: [f64; 9] = [
    0.33333331180030046,
    -0.24999996957950882,
    0.200007157488921,
    -0.16667802319501254,
    0.1424905764569748,
    -0.12425687331451106,
    0.1168541992348674,
    -0.11479733846637635,
    0.06971611471451178,
];

/// (2 artanh(s) - 2 s) / s^3 as a polynomial of s^2.
const DOUBLE: [f64; 7] = [
    0.666666666666667,
    0.39999999999899505,
    0.28571428625975487,
    0.2222221113479508,
    0.18182889125261723,
    0.15331721600556042,
    0.14616449685043406,
];

const LN2_SINGLE: (f64, f64) = (0.693359375, -2.121_944_400_546_905_8e-4);
const LN2_DOUBLE: (f64, f64) = (0.693_147_180_369_123_8, 1.908_214_929_270_587_7e-10);

/// m - 1 and k of a positive, finite x.
fn split<'c>(b: &Builder<'c>, x: Val<'c>) -> (Val<'c>, Val<'c>) {
    let (kind, int) = (x.kind, x.kind.as_int());
    let bits = mantissa_bits(kind);
    let single = kind == Kind::F32;
    let tiny = if single { f64::from(f32::MIN_POSITIVE) } else { f64::MIN_POSITIVE };
    let denormal = b.compare(Cmp::Lt, x, b.like(x, tiny));
    let normal = b.select(denormal, b.mul(x, b.like(x, 2f64.powi(bits as i32))), x);
    let half_root = 0.5f64.sqrt();
    let half_root = if single { i64::from((half_root as f32).to_bits()) } else { half_root.to_bits() as i64 };
    let pattern = b.bitcast(normal, int);
    let above = b.sub(pattern, b.int_like(x, half_root));
    let k = b.int_op("arith.shrsi", above, b.int(int, 1, bits));
    let mantissa = b.sub(pattern, b.int_op("arith.shli", k, b.int(int, 1, bits)));
    let f = b.sub(b.bitcast(mantissa, kind), b.like(x, 1.0));
    let shift = b.select(denormal, b.int_like(x, -bits), b.int_like(x, 0));
    (f, b.convert("arith.sitofp", b.add(k, shift), kind))
}

/// log(x).
pub(super) fn log<'c>(b: &Builder<'c>, x: Val<'c>) -> Val<'c> {
    let (f, k) = split(b, x);
    let half_square = b.mul(b.mul(f, f), b.like(f, 0.5));
    let result = if x.kind == Kind::F32 {
        let (high, low) = LN2_SINGLE;
        let p = polynomial(b, f, &SINGLE);
        let cube = b.mul(b.mul(f, f), f);
        let rest = b.fma(cube, p, b.mul(k, b.like(k, low)));
        let rest = b.sub(rest, half_square);
        b.fma(k, b.like(k, high), b.add(rest, f))
    } else {
        let (high, low) = LN2_DOUBLE;
        let s = b.div(f, b.add(f, b.like(f, 2.0)));
        let z = b.mul(s, s);
        let r = b.mul(z, polynomial(b, z, &DOUBLE));
        let rest = b.fma(s, b.add(half_square, r), b.mul(k, b.like(k, low)));
        let rest = b.sub(rest, half_square);
        b.fma(k, b.like(k, high), b.add(rest, f))
    };
    special(b, x, result)
}

/// The logarithm where x is positive and finite, C's values elsewhere.
fn special<'c>(b: &Builder<'c>, x: Val<'c>, result: Val<'c>) -> Val<'c> {
    let zero = b.like(x, 0.0);
    let infinity = b.like(x, f64::INFINITY);
    let pole = b.select(b.compare(Cmp::Eq, x, zero), b.like(x, f64::NEG_INFINITY), b.like(x, f64::NAN));
    let result = b.select(b.compare(Cmp::Gt, x, zero), result, pole);
    b.select(b.compare(Cmp::Eq, x, infinity), infinity, result)
}

/// log |x| as a sum of two `f64`, for finite x other than 0; about 2^-60 relative error.
pub(super) fn log_extended<'c>(b: &Builder<'c>, x: Val<'c>) -> (Val<'c>, Val<'c>) {
    let (f, k) = split(b, b.math("math.absf", x));
    let two = b.like(f, 2.0);
    // s = f / (2 + f) with its error.
    let d = b.add(f, two);
    let d_error = b.sub(f, b.sub(d, two));
    let s = b.div(f, d);
    let s_error = b.div(b.fma(b.neg(s), d_error, b.fma(b.neg(s), d, f)), d);
    let z = b.mul(s, s);
    let tail = b.mul(b.mul(s, z), polynomial(b, z, &DOUBLE));
    let (high, low) = LN2_DOUBLE;
    // Sum of k ln 2, 2 s and the rest, largest first. The rounding error of each addition is kept.
    let (k_high, double) = (b.mul(k, b.like(k, high)), b.add(s, s));
    let sum = b.add(k_high, double);
    let moved = b.sub(sum, k_high);
    let lost = b.add(b.sub(k_high, b.sub(sum, moved)), b.sub(double, moved));
    let small = b.add(b.add(s_error, s_error), b.fma(k, b.like(k, low), b.add(lost, tail)));
    let total = b.add(sum, small);
    (total, b.sub(small, b.sub(total, sum)))
}

/// log(1 + x), accurate near 0.
fn log1p<'c>(b: &Builder<'c>, x: Val<'c>) -> Val<'c> {
    let one = b.like(x, 1.0);
    let sum = b.add(x, one);
    let lost = b.sub(x, b.sub(sum, one));
    let correction = b.div(lost, sum);
    let zero = b.like(x, 0.0);
    let finite = b.compare(Cmp::Lt, sum, b.like(x, f64::INFINITY));
    let usable = b.and(finite, b.compare(Cmp::Gt, sum, zero));
    b.add(log(b, sum), b.select(usable, correction, zero))
}

/// For larger arguments, formulas that leave out the square are as accurate.
const LARGE: f64 = 268_435_456.0;

pub(super) fn asinh<'c>(b: &Builder<'c>, x: Val<'c>) -> Val<'c> {
    let a = b.math("math.absf", x);
    let (one, large) = (b.like(a, 1.0), b.like(a, LARGE));
    let near = b.float_extremum(false, a, large);
    let square = b.mul(near, near);
    let root = b.math("math.sqrt", b.add(square, one));
    let small = log1p(b, b.add(near, b.div(square, b.add(root, one))));
    let far = b.add(log(b, a), b.like(a, LN_2));
    odd(b, b.select(b.compare(Cmp::Gt, a, large), far, small), x)
}

pub(super) fn acosh<'c>(b: &Builder<'c>, x: Val<'c>) -> Val<'c> {
    let (one, large) = (b.like(x, 1.0), b.like(x, LARGE));
    let t = b.sub(b.float_extremum(false, x, large), one);
    let root = b.math("math.sqrt", b.fma(t, t, b.add(t, t)));
    let near = log1p(b, b.add(t, root));
    let far = b.add(log(b, x), b.like(x, LN_2));
    let result = b.select(b.compare(Cmp::Gt, x, large), far, near);
    b.select(b.compare(Cmp::Lt, x, one), b.like(x, f64::NAN), result)
}

pub(super) fn atanh<'c>(b: &Builder<'c>, x: Val<'c>) -> Val<'c> {
    let a = b.math("math.absf", x);
    let quotient = b.div(b.add(a, a), b.sub(b.like(a, 1.0), a));
    odd(b, b.mul(log1p(b, quotient), b.like(a, 0.5)), x)
}
