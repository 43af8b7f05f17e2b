//! Separable interpolation: the elements around a position and their weights.

use super::scalars::Scalars;
use mlcc_ir::{
    dtype::DType,
    expr::Expr,
    scalar::{Predicate, UnaryOp, ValueId},
};

/// Type in which positions are computed: those of large images need more than `f32` has.
pub(super) const POSITION: DType = DType::F64;

/// An element that takes part in an interpolation along one dimension.
#[derive(Clone)]
pub(super) struct Tap {
    /// Its index.
    pub(super) index: Expr,
    /// Its weight; `None` is 1.
    pub(super) weight: Option<ValueId>,
}

/// The weighted sum over all combinations of taps, one list per dimension.
pub(super) fn interpolate(
    s: &mut Scalars,
    taps: &[Vec<Tap>],
    index: &mut Vec<Expr>,
    read: &mut dyn FnMut(&mut Scalars, &[Expr]) -> ValueId,
) -> ValueId {
    let Some((first, rest)) = taps.split_first() else { return read(s, index) };
    let mut sum = None;
    for tap in first {
        index.push(tap.index.clone());
        let mut v = interpolate(s, rest, index, read);
        index.pop();
        if let Some(weight) = tap.weight {
            let weight = s.cast(weight, s.dtype(v));
            v = s.mul(v, weight);
        }
        sum = Some(sum.map_or(v, |sum| s.add(sum, v)));
    }
    match sum {
        Some(v) => v,
        None => read(s, index),
    }
}

/// `max(0, 1 - |d|)`.
pub(super) fn linear_weight(s: &mut Scalars, distance: ValueId) -> ValueId {
    let magnitude = s.unary(UnaryOp::Abs, distance);
    let minus = s.unary(UnaryOp::Neg, magnitude);
    let v = s.add_float(minus, 1.0);
    let zero = s.float_like(v, 0.0);
    s.max(v, zero)
}

/// The cubic convolution kernel (R. Keys, "Cubic convolution interpolation for digital image
/// processing", 1981) with the free parameter `a`.
pub(super) fn cubic_weight(s: &mut Scalars, distance: ValueId, a: f64) -> ValueId {
    let d = s.unary(UnaryOp::Abs, distance);
    let polynomial = |s: &mut Scalars, coefficients: [f64; 4]| {
        let mut v = s.float_like(d, coefficients[0]);
        for c in &coefficients[1..] {
            let scaled = s.mul(v, d);
            v = s.add_float(scaled, *c);
        }
        v
    };
    let near = polynomial(s, [a + 2.0, -(a + 3.0), 0.0, 1.0]);
    let far = polynomial(s, [a, -5.0 * a, 8.0 * a, -4.0 * a]);
    let (one, two) = (s.float_like(d, 1.0), s.float_like(d, 2.0));
    let (is_near, is_far) = (s.compare(Predicate::Le, d, one), s.compare(Predicate::Lt, d, two));
    let zero = s.float_like(d, 0.0);
    let far = s.select(is_far, far, zero);
    s.select(is_near, near, far)
}

/// `v` limited to `0..extent`, as an index.
pub(super) fn clamped_index(s: &mut Scalars, v: ValueId, extent: &Expr) -> ValueId {
    let (zero, last) = (s.int(0), s.index(extent.clone() - Expr::from(1)));
    let v = s.cast(v, DType::I64);
    let v = s.min(v, last);
    s.max(v, zero)
}
