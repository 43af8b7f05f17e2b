//! Activations.

use super::{Way, Writer};
use mlcc_ir::graph::ValueId;
use std::f64::consts::{FRAC_1_SQRT_2, PI, SQRT_2};

/// Every way to write `gelu`.
pub(crate) const GELU: &[(&str, Way)] = &[
    ("torch, a quotient by the root of two", |w, _, o| {
        let x = o[0].expect("x");
        let e = w.with("div", x, SQRT_2);
        let e = w.op("erf", &[e]);
        let e = w.with("add", e, 1.0);
        let y = w.op("mul", &[x, e]);
        w.with("mul", y, 0.5)
    }),
    ("tensorflow, half of the operand first", |w, _, o| {
        let x = o[0].expect("x");
        let e = w.with("mul", x, FRAC_1_SQRT_2);
        let e = w.op("erf", &[e]);
        let e = w.with("add", e, 1.0);
        let half = w.with("mul", x, 0.5);
        w.op("mul", &[half, e])
    }),
    ("jax, the distribution first", |w, _, o| {
        let x = o[0].expect("x");
        let e = w.with("div", x, SQRT_2);
        let e = w.op("erf", &[e]);
        let e = w.with("add", e, 1.0);
        let half = w.with("mul", e, 0.5);
        w.op("mul", &[x, half])
    }),
    ("half of erf", |w, _, o| {
        let x = o[0].expect("x");
        let e = w.with("mul", x, FRAC_1_SQRT_2);
        let e = w.op("erf", &[e]);
        let e = w.with("mul", e, 0.5);
        let e = w.with("add", e, 0.5);
        w.op("mul", &[x, e])
    }),
];

/// Every way to write `gelu` with the hyperbolic tangent.
pub(crate) const TANH_GELU: &[(&str, Way)] = &[
    ("gpt-2, a third power", |w, _, o| {
        let x = o[0].expect("x");
        let cube = w.with("pow", x, 3.0);
        let c = w.with("mul", cube, 0.044715);
        let s = w.op("add", &[x, c]);
        let t = w.with("mul", s, (2.0 / PI).sqrt());
        tanh_gelu(w, x, t, true)
    }),
    ("torch, products", |w, _, o| {
        let x = o[0].expect("x");
        let square = w.op("mul", &[x, x]);
        let cube = w.op("mul", &[square, x]);
        let c = w.with("mul", cube, 0.044715);
        let s = w.op("add", &[x, c]);
        let t = w.with("mul", s, (2.0 / PI).sqrt());
        tanh_gelu(w, x, t, false)
    }),
    ("a square", |w, _, o| {
        let x = o[0].expect("x");
        let square = w.op("mul", &[x, x]);
        let c = w.with("mul", square, 0.044715);
        let c = w.with("add", c, 1.0);
        let scaled = w.with("mul", x, (2.0 / PI).sqrt());
        let t = w.op("mul", &[scaled, c]);
        tanh_gelu(w, x, t, true)
    }),
];

fn tanh_gelu(w: &mut Writer, x: ValueId, inner: ValueId, half_first: bool) -> ValueId {
    let t = w.op("tanh", &[inner]);
    let t = w.with("add", t, 1.0);
    if half_first {
        let half = w.with("mul", x, 0.5);
        w.op("mul", &[half, t])
    } else {
        let half = w.with("mul", t, 0.5);
        w.op("mul", &[x, half])
    }
}

/// Every way to write `swish` with a factor of 1.
pub(crate) const SILU: &[(&str, Way)] = &[
    ("a product with sigmoid", |w, _, o| {
        let x = o[0].expect("x");
        let s = w.op("sigmoid", &[x]);
        w.op("mul", &[x, s])
    }),
    ("a quotient", |w, _, o| {
        let x = o[0].expect("x");
        let e = exp_of_negated(w, x);
        w.op("div", &[x, e])
    }),
    ("sigmoid spelled out", |w, _, o| {
        let x = o[0].expect("x");
        let e = exp_of_negated(w, x);
        let one = w.number(1.0);
        let s = w.op("div", &[one, e]);
        w.op("mul", &[x, s])
    }),
];

/// Every way to write `swish` with a factor of 1.702, which is near `gelu`.
pub(crate) const QUICK_GELU: &[(&str, Way)] = &[
    ("a product with sigmoid", |w, _, o| {
        let x = o[0].expect("x");
        let s = w.with("mul", x, 1.702);
        let s = w.op("sigmoid", &[s]);
        w.op("mul", &[x, s])
    }),
    ("sigmoid spelled out", |w, _, o| {
        let x = o[0].expect("x");
        let s = w.with("mul", x, 1.702);
        let e = exp_of_negated(w, s);
        let one = w.number(1.0);
        let s = w.op("div", &[one, e]);
        w.op("mul", &[s, x])
    }),
];

/// `1 + exp(-x)`.
fn exp_of_negated(w: &mut Writer, x: ValueId) -> ValueId {
    let n = w.op("neg", &[x]);
    let e = w.op("exp", &[n]);
    w.with("add", e, 1.0)
}

/// Every way to write `mish`.
pub(crate) const MISH: &[(&str, Way)] = &[
    ("softplus and tanh", |w, _, o| {
        let x = o[0].expect("x");
        let s = w.op("softplus", &[x]);
        let t = w.op("tanh", &[s]);
        w.op("mul", &[x, t])
    }),
    ("softplus spelled out", |w, _, o| {
        let x = o[0].expect("x");
        let e = w.op("exp", &[x]);
        let e = w.with("add", e, 1.0);
        let s = w.op("log", &[e]);
        let t = w.op("tanh", &[s]);
        w.op("mul", &[t, x])
    }),
];

/// Every way to write `hard_swish`.
pub(crate) const HARD_SWISH: &[(&str, Way)] = &[
    ("torch, a quotient of the product", |w, _, o| {
        let x = o[0].expect("x");
        let c = clipped(w, x);
        let y = w.op("mul", &[x, c]);
        w.with("div", y, 6.0)
    }),
    ("a sixth first", |w, _, o| {
        let x = o[0].expect("x");
        let c = clipped(w, x);
        let c = w.with("div", c, 6.0);
        w.op("mul", &[x, c])
    }),
    ("a product with one sixth", |w, _, o| {
        let x = o[0].expect("x");
        let c = clipped(w, x);
        let c = w.with("mul", c, 1.0 / 6.0);
        w.op("mul", &[x, c])
    }),
];

fn clipped(w: &mut Writer, x: ValueId) -> ValueId {
    let shifted = w.with("add", x, 3.0);
    let (low, high) = (w.number(0.0), w.number(6.0));
    w.op("clip", &[shifted, low, high])
}
