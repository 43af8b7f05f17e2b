//! tanh and erf.
//!
//! In `f32` both are x P(x^2) / Q(x^2), up to the arguments from which they round to 1. The error function in `f64`
//! is x P(x^2) up to 1 and 1 - e^(-x^2) G beyond.

use super::{exponential::exp, odd, polynomial};
use crate::emit::builder::{Builder, Cmp, Val};

/// Relative error 1.4e-9 up to 9.02.
const TANH_P: [f64; 6] = [
    0.9999999986893421,
    0.13679904283083547,
    0.0038683143314736483,
    2.8007194574629285e-05,
    3.0584413523747385e-08,
    -1.2203039870297176e-11,
];
const TANH_Q: [f64; 5] =
    [1.0, 0.47013236342583514, 0.027245789448284752, 0.0003938607687883062, 1.2873484832317086e-06];

/// Relative error 2e-9 up to 3.95.
const ERF_P: [f64; 7] = [
    1.1283791692399538,
    0.18516854913727177,
    0.054274977192539264,
    0.003843385648146035,
    0.00037794847590948263,
    4.6407561916402355e-06,
    -1.2968683768652014e-08,
];
const ERF_Q: [f64; 6] = [
    1.0,
    0.49743476333086023,
    0.1139110357958267,
    0.015443789017687731,
    0.0013040812812406526,
    6.269555514840283e-05,
];

/// erf(x) / x of x^2 up to 1.
#[expect(clippy::approx_constant, reason = "fitted, not 2 / sqrt(pi)")]
const ERF_SMALL: [f64; 14] = [
    1.1283791670955126,
    -0.37612638903183754,
    0.1128379167095512,
    -0.02686617064512984,
    0.0052239776254232985,
    -0.000854832702193483,
    0.00012055332902888736,
    -1.4925647567519332e-05,
    1.6462045441468418e-06,
    -1.6364642158167616e-07,
    1.4792401209404813e-08,
    -1.216456005728345e-09,
    8.709045129053106e-11,
    -4.230945824295338e-12,
];

/// erfc(x) e^(x^2) of (x - 2) / (x + 2) from 1 to 6.2.
const ERFC_SCALED: [f64; 17] = [
    0.25539567631050575,
    -0.4271858474139585,
    0.2416581942424653,
    -0.07897858101570313,
    0.0037328924044681697,
    0.006997461736715972,
    -0.0008471432563489674,
    -0.0009819769305109557,
    4.355566162130713e-05,
    0.00017435923653003342,
    2.75263611871272e-05,
    -2.7559293253003178e-05,
    -1.3994576654242678e-05,
    1.2875196022732335e-06,
    4.012293784982605e-06,
    1.318606759561731e-06,
    -1.173817248562081e-06,
];

/// `x P(x^2) / Q(x^2)`, constant beyond `limit` and within -1..1.
fn saturating<'c>(b: &Builder<'c>, x: Val<'c>, (p, q): (&[f64], &[f64]), limit: f64) -> Val<'c> {
    let x = b.clamp(x, -limit, limit);
    let z = b.mul(x, x);
    let quotient = b.div(b.mul(x, polynomial(b, z, p)), polynomial(b, z, q));
    b.clamp(quotient, -1.0, 1.0)
}

/// tanh of an `f32`.
pub(super) fn tanh<'c>(b: &Builder<'c>, x: Val<'c>) -> Val<'c> {
    saturating(b, x, (&TANH_P, &TANH_Q), 9.02)
}

/// The error function of an `f32`.
pub(super) fn erf<'c>(b: &Builder<'c>, x: Val<'c>) -> Val<'c> {
    saturating(b, x, (&ERF_P, &ERF_Q), 3.95)
}

/// The error function of an `f64`.
pub(super) fn erf_double<'c>(b: &Builder<'c>, x: Val<'c>) -> Val<'c> {
    let a = b.math("math.absf", x);
    let (one, two) = (b.like(a, 1.0), b.like(a, 2.0));
    let near = b.float_extremum(false, a, one);
    let small = b.mul(near, polynomial(b, b.mul(near, near), &ERF_SMALL));
    let far = b.float_extremum(false, b.float_extremum(true, a, one), b.like(a, 6.2));
    let u = b.div(b.sub(far, two), b.add(far, two));
    let complement = b.mul(exp(b, b.neg(b.mul(far, far))), polynomial(b, u, &ERFC_SCALED));
    let large = b.sub(one, complement);
    odd(b, b.select(b.compare(Cmp::Gt, a, one), large, small), x)
}
