//! Softmax and its logarithm over the last dimension.

use super::{Way, Writer};
use mlcc_ir::{dtype::DType, graph::ValueId};

/// Every way to write `softmax`.
pub(crate) const SOFTMAX: &[(&str, Way)] = &[
    ("the maximum subtracted, and a quotient", |w, _, o| {
        let (_, d) = shifted(w, o, Writer::reduce);
        let (e, s) = exp_and_sum(w, d, Writer::reduce);
        w.op("div", &[e, s])
    }),
    ("without the maximum", |w, _, o| {
        let (e, s) = exp_and_sum(w, o[0].expect("x"), Writer::reduce);
        w.op("div", &[e, s])
    }),
    ("a product with the reciprocal", |w, _, o| {
        let (_, d) = shifted(w, o, Writer::reduce);
        let (e, s) = exp_and_sum(w, d, Writer::reduce);
        let r = w.op("reciprocal", &[s]);
        w.op("mul", &[e, r])
    }),
    ("axes dropped and restored", |w, _, o| {
        let (_, d) = shifted(w, o, Writer::reduce_and_restore);
        let (e, s) = exp_and_sum(w, d, Writer::reduce_and_restore);
        w.op("div", &[e, s])
    }),
    ("exp of the logarithm", |w, _, o| {
        let x = o[0].expect("x");
        let l = log_sum_exp(w, x);
        let y = w.op("sub", &[x, l]);
        w.op("exp", &[y])
    }),
    ("in single precision", |w, _, o| {
        let outer = std::mem::replace(&mut w.dtype, DType::F32);
        let x = w.cast(o[0].expect("x"), DType::F32);
        let (_, d) = shifted(w, &[Some(x)], Writer::reduce);
        let (e, s) = exp_and_sum(w, d, Writer::reduce);
        let y = w.op("div", &[e, s]);
        w.dtype = outer;
        w.cast(y, outer)
    }),
];

/// Every way to write `log_softmax`.
pub(crate) const LOG_SOFTMAX: &[(&str, Way)] = &[
    ("log of softmax", |w, node, o| {
        let y = SOFTMAX[0].1(w, node, o);
        w.op("log", &[y])
    }),
    ("the maximum subtracted, and the logarithm of the sum", |w, _, o| {
        let (_, d) = shifted(w, o, Writer::reduce);
        let l = log_sum_exp(w, d);
        w.op("sub", &[d, l])
    }),
    ("less the logarithm of the sum of exp", |w, _, o| {
        let (m, d) = shifted(w, o, Writer::reduce);
        let l = log_sum_exp(w, d);
        let l = w.op("add", &[m, l]);
        w.op("sub", &[o[0].expect("x"), l])
    }),
    ("without the maximum", |w, _, o| {
        let x = o[0].expect("x");
        let l = log_sum_exp(w, x);
        w.op("sub", &[x, l])
    }),
];

/// A reduction over the last axis, written one way or another.
type Reduce = fn(&mut Writer, &str, ValueId) -> ValueId;

/// The maximum, and the operand less it.
fn shifted(w: &mut Writer, operands: &[Option<ValueId>], reduce: Reduce) -> (ValueId, ValueId) {
    let x = operands[0].expect("x");
    let m = reduce(w, "reduce_max", x);
    (m, w.op("sub", &[x, m]))
}

/// `exp(x)` and its sum.
fn exp_and_sum(w: &mut Writer, x: ValueId, reduce: Reduce) -> (ValueId, ValueId) {
    let e = w.op("exp", &[x]);
    (e, reduce(w, "reduce_sum", e))
}

/// The logarithm of the sum of `exp(x)`.
fn log_sum_exp(w: &mut Writer, x: ValueId) -> ValueId {
    let (_, s) = exp_and_sum(w, x, Writer::reduce);
    w.op("log", &[s])
}
