//! The remainder of a division, exact as C's `fmod`.

use crate::emit::builder::{Builder, Cmp, Kind, Val};

/// `x - y trunc(x / y)` without rounding; quotients beyond the range of `f64` give NaN.
pub(crate) fn remainder<'c>(b: &Builder<'c>, x: Val<'c>, y: Val<'c>) -> Val<'c> {
    let lanes = x.lanes.max(y.lanes);
    let (x, y) = (b.broadcast(x, lanes), b.broadcast(y, lanes));
    if x.kind == Kind::F32 {
        let [x, y] = [x, y].map(|v| b.convert("arith.extf", v, Kind::F64));
        return b.convert("arith.truncf", double(b, x, y, 6), Kind::F32);
    }
    double(b, x, y, 42)
}

/// Each round takes about 50 bits off the quotient; usually one is enough.
fn double<'c>(b: &Builder<'c>, x: Val<'c>, y: Val<'c>, rounds: i64) -> Val<'c> {
    let (r, d) = (b.math("math.absf", x), b.math("math.absf", y));
    let long = b.compare(Cmp::Gt, r, b.mul(d, b.like(d, 2f64.powi(50))));
    let long = if long.lanes == 1 { long } else { b.reduce("or", long) };
    let index = |v| b.int(Kind::I64, 1, v);
    let rounds = b.select(long, index(rounds), index(1));
    let arguments = b.open(&[b.ty(Kind::I64, 1), b.ty(r.kind, r.lanes)]);
    let rest = Val { raw: arguments[1], ..r };
    let quotient = b.math("math.trunc", b.div(rest, d));
    // The rounding of the quotient shows in the rest, which is exact.
    let less = b.fma(b.neg(quotient), d, rest);
    let done = b.compare(Cmp::Lt, b.math("math.absf", rest), d);
    b.yields(&[b.select(done, rest, less)]);
    let region = b.close();
    let rest = b.for_loop([index(0), rounds, index(1)], &[r], region)[0];
    let rest = b.select(b.compare(Cmp::Lt, rest, b.like(rest, 0.0)), b.add(rest, d), rest);
    let rest = b.select(b.compare(Cmp::Ge, rest, d), b.sub(rest, d), rest);
    b.copysign(rest, x)
}
