//! Softmax and its logarithm over the last dimension.

use super::Way;

/// Every way to write `softmax`.
pub(crate) const SOFTMAX: &[(&str, Way)] = &[
    ("the maximum subtracted, and a quotient", |w, _, o| {
        let x = o[0].expect("x");
        let m = w.reduce("reduce_max", x);
        let d = w.op("sub", &[x, m]);
        let e = w.op("exp", &[d]);
        let s = w.reduce("reduce_sum", e);
        w.op("div", &[e, s])
    }),
    ("without the maximum", |w, _, o| {
        let e = w.op("exp", &[o[0].expect("x")]);
        let s = w.reduce("reduce_sum", e);
        w.op("div", &[e, s])
    }),
    ("a product with the reciprocal", |w, _, o| {
        let x = o[0].expect("x");
        let m = w.reduce("reduce_max", x);
        let d = w.op("sub", &[x, m]);
        let e = w.op("exp", &[d]);
        let s = w.reduce("reduce_sum", e);
        let r = w.op("reciprocal", &[s]);
        w.op("mul", &[e, r])
    }),
    ("axes dropped and restored", |w, _, o| {
        let x = o[0].expect("x");
        let m = w.reduce_and_restore("reduce_max", x);
        let d = w.op("sub", &[x, m]);
        let e = w.op("exp", &[d]);
        let s = w.reduce_and_restore("reduce_sum", e);
        w.op("div", &[e, s])
    }),
    ("exp of the logarithm", |w, _, o| {
        let x = o[0].expect("x");
        let e = w.op("exp", &[x]);
        let s = w.reduce("reduce_sum", e);
        let l = w.op("log", &[s]);
        let y = w.op("sub", &[x, l]);
        w.op("exp", &[y])
    }),
];

/// Every way to write `log_softmax`.
pub(crate) const LOG_SOFTMAX: &[(&str, Way)] = &[
    ("log of softmax", |w, node, o| {
        let y = SOFTMAX[0].1(w, node, o);
        w.op("log", &[y])
    }),
    ("the maximum subtracted, and the logarithm of the sum", |w, _, o| {
        let x = o[0].expect("x");
        let m = w.reduce("reduce_max", x);
        let d = w.op("sub", &[x, m]);
        let e = w.op("exp", &[d]);
        let s = w.reduce("reduce_sum", e);
        let l = w.op("log", &[s]);
        w.op("sub", &[d, l])
    }),
    ("less the logarithm of the sum of exp", |w, _, o| {
        let x = o[0].expect("x");
        let m = w.reduce("reduce_max", x);
        let d = w.op("sub", &[x, m]);
        let e = w.op("exp", &[d]);
        let s = w.reduce("reduce_sum", e);
        let l = w.op("log", &[s]);
        let l = w.op("add", &[m, l]);
        w.op("sub", &[x, l])
    }),
    ("without the maximum", |w, _, o| {
        let x = o[0].expect("x");
        let e = w.op("exp", &[x]);
        let s = w.reduce("reduce_sum", e);
        let l = w.op("log", &[s]);
        w.op("sub", &[x, l])
    }),
];
