//! Inverse trigonometric functions of `f64`.

use super::{odd, polynomial};
use crate::emit::builder::{Builder, Cmp, Val};
use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI, SQRT_2};

/// (atan(t) - t) / t^3 of t^2, |t| up to sqrt(2) - 1.
const ATAN: [f64; 11] = [
    -0.3333333333333333,
    0.1999999999999552,
    -0.14285714284666542,
    0.11111111015256361,
    -0.09090904578123903,
    0.07692183190826087,
    -0.06664511447381948,
    0.0585814891280221,
    -0.0508544973794026,
    0.03923165829558719,
    -0.01917688711906226,
];

/// (asin(t) - t) / t^3 of t^2, |t| up to 1/2.
const ASIN: [f64; 13] = [
    0.16666666666666669,
    0.07499999999998433,
    0.04464285714635543,
    0.030381944138531247,
    0.02237217294214989,
    0.017352392720869973,
    0.013971212973552933,
    0.011479177415184906,
    0.01032281435018578,
    0.005457506718640358,
    0.01740087944269402,
    -0.014851887071247204,
    0.028757851367421566,
];

/// pi / 2 beyond 53 bits.
const PI_2_LOW: f64 = 6.123_233_995_736_766e-17;

pub(super) fn atan<'c>(b: &Builder<'c>, x: Val<'c>) -> Val<'c> {
    let a = b.math("math.absf", x);
    let constant = |v| b.like(a, v);
    // Beyond 1 + sqrt 2: pi/2 - atan(1/a); beyond sqrt 2 - 1: pi/4 + atan((a - 1) / (a + 1)).
    let large = b.compare(Cmp::Gt, a, constant(1.0 + SQRT_2));
    let middle = b.compare(Cmp::Gt, a, constant(SQRT_2 - 1.0));
    let choose =
        |far: Val<'c>, mid: Val<'c>, near: Val<'c>| b.select(large, far, b.select(middle, mid, near));
    let numerator = choose(constant(-1.0), b.sub(a, constant(1.0)), a);
    let denominator = choose(a, b.add(a, constant(1.0)), constant(1.0));
    let t = b.div(numerator, denominator);
    let z = b.mul(t, t);
    let base = choose(constant(FRAC_PI_2), constant(FRAC_PI_4), constant(0.0));
    let low = choose(constant(PI_2_LOW), constant(PI_2_LOW / 2.0), constant(0.0));
    let small = b.fma(b.mul(t, z), polynomial(b, z, &ATAN), low);
    odd(b, b.add(base, b.add(t, small)), x)
}

/// asin of `|x|` up to 1/2, or else asin of sqrt((1 - |x|) / 2); and the mask that says which one
/// it is.
fn asin_part<'c>(b: &Builder<'c>, x: Val<'c>) -> (Val<'c>, Val<'c>) {
    let a = b.math("math.absf", x);
    let half = b.like(a, 0.5);
    let large = b.compare(Cmp::Gt, a, half);
    let z = b.select(large, b.mul(b.sub(b.like(a, 1.0), a), half), b.mul(a, a));
    let s = b.select(large, b.math("math.sqrt", z), a);
    (b.fma(b.mul(s, z), polynomial(b, z, &ASIN), s), large)
}

pub(super) fn asin<'c>(b: &Builder<'c>, x: Val<'c>) -> Val<'c> {
    let (part, large) = asin_part(b, x);
    let folded = b.sub(b.like(x, FRAC_PI_2), b.sub(b.add(part, part), b.like(x, PI_2_LOW)));
    odd(b, b.select(large, folded, part), x)
}

pub(super) fn acos<'c>(b: &Builder<'c>, x: Val<'c>) -> Val<'c> {
    let (part, large) = asin_part(b, x);
    let twice = b.add(part, part);
    let negative = b.compare(Cmp::Lt, x, b.like(x, 0.0));
    let low = b.like(x, PI_2_LOW);
    let far = b.select(negative, b.sub(b.like(x, PI), b.sub(twice, b.add(low, low))), twice);
    let near = b.sub(b.like(x, FRAC_PI_2), b.sub(odd(b, part, x), low));
    b.select(large, far, near)
}
