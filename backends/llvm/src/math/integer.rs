//! Powers of integers.

use crate::emit::builder::{Builder, Cmp, Kind, Val};

/// x^y with wrap-around; a negative exponent gives the reciprocal rounded towards 0.
pub(crate) fn integer_power<'c>(b: &Builder<'c>, x: Val<'c>, y: Val<'c>, signed: bool) -> Val<'c> {
    let lanes = x.lanes.max(y.lanes);
    let (x, y) = (b.broadcast(x, lanes), b.broadcast(y, lanes));
    let (zero, one) = (b.int_like(x, 0), b.int_like(x, 1));
    // Squares of x, multiplied into the result for each set bit of the exponent.
    let ty = b.ty(x.kind, lanes);
    let arguments = b.open(&[b.ty(Kind::I64, 1), ty, ty, ty]);
    let value = |i: usize| Val { raw: arguments[i], ..x };
    let (square, exponent, result) = (value(1), value(2), value(3));
    let set = b.compare(Cmp::Ne, b.and(exponent, one), zero);
    let product = b.select(set, b.mul(result, square), result);
    let shifted = b.int_op("arith.shrui", exponent, one);
    b.yields(&[b.mul(square, square), shifted, product]);
    let region = b.close();
    let index = |v| b.int(Kind::I64, 1, v);
    let bits = index(i64::from(x.kind.bits()));
    let result = b.for_loop([index(0), bits, index(1)], &[x, y, one], region)[2];
    if !signed {
        return result;
    }
    // 1^-n is 1, (-1)^-n is 1 or -1, all others round to 0.
    let minus_one = b.int_like(x, -1);
    let odd = b.compare(Cmp::Ne, b.and(y, one), zero);
    let alternating = b.select(odd, minus_one, one);
    let negative = b.select(b.compare(Cmp::Eq, x, one), one, zero);
    let negative = b.select(b.compare(Cmp::Eq, x, minus_one), alternating, negative);
    b.select(b.compare(Cmp::Lt, y, zero), negative, result)
}
