//! x^y of floats, as e^(y log |x|) with C's special cases. `f32` through `f64`.

use super::{
    exponential::exp,
    logarithm::{log, log_extended},
};
use crate::emit::builder::{Builder, Cmp, Kind, Val};

/// x^y.
pub(crate) fn power<'c>(b: &Builder<'c>, x: Val<'c>, y: Val<'c>) -> Val<'c> {
    let lanes = x.lanes.max(y.lanes);
    let (x, y) = (b.broadcast(x, lanes), b.broadcast(y, lanes));
    if x.kind == Kind::F32 {
        let [wide_x, wide_y] = [x, y].map(|v| b.convert("arith.extf", v, Kind::F64));
        let a = b.math("math.absf", wide_x);
        let magnitude = exp(b, b.mul(wide_y, log(b, a)));
        return b.convert("arith.truncf", special(b, wide_x, wide_y, magnitude), Kind::F32);
    }
    let a = b.math("math.absf", x);
    let infinity = b.like(a, f64::INFINITY);
    let (high, low) = log_extended(b, x);
    // y (high + low) as a rounded product and the rest; e^rest is 1 + rest.
    let product = b.mul(y, high);
    let rest = b.fma(y, low, b.fma(y, high, b.neg(product)));
    let e = exp(b, product);
    let finite = b.compare(Cmp::Lt, b.math("math.absf", product), b.like(a, 745.5));
    let refined = b.select(finite, b.fma(e, rest, e), e);
    let plain = b.and(
        b.compare(Cmp::Gt, a, b.like(a, 0.0)),
        b.and(b.compare(Cmp::Lt, a, infinity), b.compare(Cmp::Lt, b.math("math.absf", y), infinity)),
    );
    let extreme = exp(b, b.mul(y, log(b, a)));
    special(b, x, y, b.select(plain, refined, extreme))
}

/// The result given |x|^y.
fn special<'c>(b: &Builder<'c>, x: Val<'c>, y: Val<'c>, magnitude: Val<'c>) -> Val<'c> {
    let (zero, one) = (b.like(x, 0.0), b.like(x, 1.0));
    let integer = b.compare(Cmp::Eq, b.math("math.floor", y), y);
    let half = b.mul(y, b.like(y, 0.5));
    let odd = b.and(integer, b.compare(Cmp::Ne, b.math("math.floor", half), half));
    // (-1)^infinity is 1.
    let unit = b.and(b.compare(Cmp::Eq, b.math("math.absf", x), one), b.compare(Cmp::Eq, y, y));
    let magnitude = b.select(unit, one, magnitude);
    let signed = b.select(odd, b.copysign(magnitude, x), magnitude);
    let root = b.and(
        b.and(b.compare(Cmp::Lt, x, zero), b.not(integer)),
        b.compare(Cmp::Gt, x, b.like(x, f64::NEG_INFINITY)),
    );
    let value = b.select(root, b.like(x, f64::NAN), signed);
    let trivial = b.or(b.compare(Cmp::Eq, y, zero), b.compare(Cmp::Eq, x, one));
    b.select(trivial, one, value)
}
