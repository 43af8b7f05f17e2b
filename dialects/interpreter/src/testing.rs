//! Helpers that the tests share: random tensors, short ways to write attributes.

use crate::scalar::from_f64;
use mlcc_ir::{
    attributes::{Attr, Attrs},
    diagnostic::Result,
    dtype::DType,
    expr::Expr,
    ops::{self, Operand},
    tensor::{Tensor, element_count},
};

/// A small generator, so that tests are the same every time.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, n: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as i64 % n.max(1)
    }

    /// Between -1 and 1.
    pub(crate) fn float(&mut self) -> f64 {
        self.below(1 << 20) as f64 / f64::from(1 << 19) - 1.0
    }

    /// Floats between -2 and 2, integers between -6 and 6 (0 and 6 if unsigned).
    pub(crate) fn tensor(&mut self, dtype: DType, dims: &[i64]) -> Tensor {
        let scale = if dtype.is_float() { 2.0 } else { 6.99 };
        let count = element_count(dims).unwrap();
        let elements = (0..count).map(|_| Ok(from_f64(dtype, self.float() * scale)));
        crate::array::collect(dtype, dims, elements.collect::<Vec<_>>()).unwrap()
    }
}

pub(crate) fn attrs(list: &[(&str, Attr)]) -> Attrs {
    list.iter().fold(Attrs::new(), |a, (name, value)| a.with(name, value.clone()))
}

pub(crate) fn ints(values: &[i64]) -> Attr {
    Attr::Ints(values.to_vec())
}

pub(crate) fn text(value: &str) -> Attr {
    Attr::Str(value.into())
}

pub(crate) fn expr(text: &str) -> Expr {
    text.parse().unwrap()
}

/// A tensor of numbers.
pub(crate) fn tensor(dtype: DType, dims: &[i64], values: &[f64]) -> Tensor {
    crate::array::from_f64(dtype, dims, values.iter().copied()).unwrap()
}

pub(crate) fn f32s(dims: &[i64], values: &[f64]) -> Tensor {
    tensor(DType::F32, dims, values)
}

pub(crate) fn i64s(dims: &[i64], values: &[i64]) -> Tensor {
    Tensor::from_i64(dims, values)
}

/// All results of an operator, their types inferred.
pub(crate) fn try_evaluate(op: &str, attrs: &Attrs, operands: &[Option<Tensor>]) -> Result<Vec<Tensor>> {
    let types: Vec<_> = operands.iter().map(|o| o.as_ref().map(Tensor::ty)).collect();
    let known = types.iter().zip(operands);
    let known: Vec<_> =
        known.map(|(ty, o)| Some(Operand { ty: ty.as_ref()?, known: None, constant: o.as_ref() })).collect();
    let results: Vec<_> = ops::infer(op, attrs, &known)?.into_iter().map(|r| r.ty).collect();
    crate::graph::evaluate(op, attrs, operands, &results)
}

/// All results of an operator that succeeds.
pub(crate) fn evaluate(op: &str, list: &[(&str, Attr)], operands: &[Tensor]) -> Vec<Tensor> {
    let operands: Vec<_> = operands.iter().cloned().map(Some).collect();
    try_evaluate(op, &attrs(list), &operands).unwrap_or_else(|e| panic!("{op}: {e}"))
}

/// The only or first result's numbers.
pub(crate) fn numbers(op: &str, list: &[(&str, Attr)], operands: &[Tensor]) -> Vec<f64> {
    evaluate(op, list, operands)[0].to_f64()
}

pub(crate) fn assert_close(got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len(), "{got:?} instead of {want:?}");
    for (a, b) in got.iter().zip(want) {
        let close = (a - b).abs() <= 2e-6 * b.abs().max(1e-3) || a == b || (a.is_nan() && b.is_nan());
        assert!(close, "{got:?} instead of {want:?}");
    }
}
