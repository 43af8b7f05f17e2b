//! sin, cos and tan of `f64`.
//!
//! x = n pi / 2 + r with |r| at most pi / 4, by multiply-adds with pi / 2 in three parts. For |x| beyond 2^30,
//! exact products of x with pieces of 2 / pi are summed (after Payne and Hanek), and multiples of 4 are dropped
//! from them.

use super::{nearest, polynomial};
use crate::emit::builder::{Builder, Cmp, Kind, Val};
use std::f64::consts::{FRAC_2_PI, FRAC_PI_2};

/// (sin(r) - r) / r^3 of r^2.
const SIN: [f64; 6] = [
    -0.16666666666666666,
    0.0083333333333307,
    -0.00019841269836387345,
    2.755731591191116e-06,
    -2.5051092507061385e-08,
    1.59153232122714e-10,
];

/// (cos(r) - 1 + r^2 / 2) / r^4 of r^2.
const COS: [f64; 6] = [
    0.041666666666666664,
    -0.0013888888888887241,
    2.4801587298533456e-05,
    -2.755731715246704e-07,
    2.087612165887116e-09,
    -1.1380876948169717e-11,
];

/// pi / 2 beyond its first 53 bits.
const PI_2_PARTS: [f64; 2] = [6.123_233_995_736_766e-17, -1.497_384_904_859_169_8e-33];

/// From here on, multiply-adds no longer reduce accurately.
const LARGE: f64 = 1_073_741_824.0;

/// 2 / pi in pieces of 24 bits: piece i is this integer times 2^(-24 (i + 1)).
const TWO_OVER_PI: [i64; 10] = [
    0xa2_f983, 0x6e_4e44, 0x15_29fc, 0x27_57d1, 0xf5_34dd, 0xc0_db62, 0x95_993c, 0x43_9041, 0xfe_5163,
    0xab_debb,
];

/// r and n.
fn reduce<'c>(b: &Builder<'c>, x: Val<'c>) -> (Val<'c>, Val<'c>) {
    let a = b.math("math.absf", x);
    let huge = b.compare(Cmp::Gt, a, b.like(a, LARGE));
    let any = if huge.lanes == 1 { huge } else { b.reduce("or", huge) };
    let small = || {
        let (n, integer) = nearest(b, b.mul(x, b.like(x, FRAC_2_PI)));
        let mut r = b.fma(n, b.like(x, -FRAC_PI_2), x);
        for part in PI_2_PARTS {
            r = b.fma(n, b.like(x, -part), r);
        }
        [r, integer]
    };
    let [r, n] = b.choose(
        any,
        || {
            let [r, n] = small();
            let [far, m] = reduce_huge(b, x);
            [b.select(huge, far, r), b.select(huge, m, n)]
        },
        small,
    );
    (r, n)
}

/// The same for an `f32` of any size held in an `f64`.
fn reduce_huge<'c>(b: &Builder<'c>, x: Val<'c>) -> [Val<'c>; 2] {
    let products: Vec<_> = TWO_OVER_PI
        .iter()
        .enumerate()
        .map(|(i, piece)| {
            // 24 bits times 24 bits is exact, and so is dropping multiples of 4.
            let piece = *piece as f64 * 2f64.powi(-24 * (i as i32 + 1));
            let product = b.mul(x, b.like(x, piece));
            let quarter = b.math("math.roundeven", b.mul(product, b.like(x, 0.25)));
            b.fma(quarter, b.like(x, -4.0), product)
        })
        .collect();
    let sum = products.iter().copied().reduce(|s, p| b.add(s, p)).unwrap_or(x);
    let (n, integer) = nearest(b, sum);
    // The sum once more, this time starting at -n, so that no bits of a small rest are lost.
    let rest = products.into_iter().fold(b.neg(n), |s, p| b.add(s, p));
    [b.mul(rest, b.like(x, FRAC_PI_2)), integer]
}

/// sin(r) and cos(r).
fn kernels<'c>(b: &Builder<'c>, r: Val<'c>) -> (Val<'c>, Val<'c>) {
    let z = b.mul(r, r);
    let sin = b.fma(b.mul(z, r), polynomial(b, z, &SIN), r);
    let cos = b.fma(b.mul(z, z), polynomial(b, z, &COS), b.fma(z, b.like(z, -0.5), b.like(z, 1.0)));
    (sin, cos)
}

fn bit<'c>(b: &Builder<'c>, n: Val<'c>, mask: i64) -> Val<'c> {
    let masked = b.and(n, b.int(Kind::I64, 1, mask));
    b.compare(Cmp::Ne, masked, b.int(Kind::I64, 1, 0))
}

/// The quadrant's function.
fn quadrant<'c>(b: &Builder<'c>, r: Val<'c>, n: Val<'c>) -> Val<'c> {
    let (sin, cos) = kernels(b, r);
    let value = b.select(bit(b, n, 1), cos, sin);
    b.select(bit(b, n, 2), b.neg(value), value)
}

pub(super) fn sin<'c>(b: &Builder<'c>, x: Val<'c>) -> Val<'c> {
    let (r, n) = reduce(b, x);
    // The reduction of -0 gives +0.
    let zero = b.compare(Cmp::Eq, x, b.like(x, 0.0));
    b.select(zero, x, quadrant(b, r, n))
}

pub(super) fn cos<'c>(b: &Builder<'c>, x: Val<'c>) -> Val<'c> {
    let (r, n) = reduce(b, x);
    quadrant(b, r, b.add(n, b.int(Kind::I64, 1, 1)))
}

pub(super) fn tan<'c>(b: &Builder<'c>, x: Val<'c>) -> Val<'c> {
    let (r, n) = reduce(b, x);
    let (sin, cos) = kernels(b, r);
    let swap = bit(b, n, 1);
    let quotient = b.div(b.select(swap, b.neg(cos), sin), b.select(swap, sin, cos));
    b.select(b.compare(Cmp::Eq, x, b.like(x, 0.0)), x, quotient)
}
