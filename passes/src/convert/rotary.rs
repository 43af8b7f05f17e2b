//! Rotary position embedding: a kernel that writes the features that are turned and the remaining ones.
//!
//! If the features of a pair lie apart, a compute each writes them, so that both run over pairs, which lie
//! side by side. If they are neighbours, one compute over features writes them, for the same reason.

use super::{
    kernels::{KernelBuilder, axes_over, indices, parallel},
    lowering::{Lowering, broadcast_index},
    scalars::Scalars,
};
use mlcc_ir::{
    diagnostic::Result,
    expr::Expr,
    kernel::Axis,
    scalar::{self, Predicate},
};

/// Lowers a rotary embedding; `None` if the operator is none.
pub(super) fn lower(op: &mut Lowering<'_, '_>) -> Option<Result<()>> {
    (op.name() == "rotary_embedding").then(|| lower_rotary_embedding(op))
}

/// The inputs and the output of a rotary embedding.
struct Rotary {
    x: usize,
    /// Cosines and sines: the tensor, its index at a row, whether it has an element for each feature.
    angles: [(usize, Vec<Expr>, bool); 2],
    target: usize,
    /// Axes of all dimensions but the last.
    rows: Vec<Axis>,
}

/// A feature of a pair: its own place, the place of the other feature and the pair's, on an axis.
struct Feature {
    axis: Axis,
    own: Expr,
    other: Expr,
    pair: Expr,
}

fn lower_rotary_embedding(op: &mut Lowering<'_, '_>) -> Result<()> {
    let (x, result) = (op.operand(0)?, op.result(0)?);
    let Some((features, outer)) = op.dims(x).split_last() else {
        return Err(op.unsupported("its operand has no features"));
    };
    let rotated = op.attrs().int("rotary_dim", 0);
    let mut k = op.kernel();
    let input = k.input(op, x, "x");
    let rows = axes_over(outer);
    let mut angles = |i: usize, name: &str| {
        let value = op.operand(i)?;
        let Some((width, own)) = op.dims(value).split_last() else {
            return Err(op.unsupported("its angles have no dimensions"));
        };
        let at = broadcast_index(own, outer, &indices(&rows));
        Ok((k.input(op, value, name), at, width.is(rotated)))
    };
    let angles = [angles(1, "cos")?, angles(2, "sin")?];
    let target = k.output(op, result, "y");
    let rotary = Rotary { x: input, angles, target, rows };
    let (half, two) = (Expr::from(rotated / 2), Expr::from(2));
    if op.attrs().bool("interleaved", false) {
        let axis = parallel("feature", Expr::from(rotated));
        let own = Expr::axis("feature");
        let second = own.modulo(&two);
        let other = own.clone() + Expr::from(1) - second.clone() * two.clone();
        let feature = Feature { axis, own: own.clone(), other, pair: own.floor_div(&two) };
        let combine = |s: &mut Scalars, kept, turned| {
            let second = s.index(second.clone());
            let zero = s.int(0);
            let first = s.compare(Predicate::Eq, second, zero);
            let (less, more) = (s.sub(kept, turned), s.add(kept, turned));
            s.select(first, less, more)
        };
        rotary.push(&mut k, "rotate", combine, &feature);
    } else {
        let pair = Expr::axis("pair");
        let [first, second] = [pair.clone(), pair.clone() + half.clone()];
        let axis = parallel("pair", half);
        let feature =
            Feature { axis: axis.clone(), own: first.clone(), other: second.clone(), pair: pair.clone() };
        rotary.push(&mut k, "first", Scalars::sub, &feature);
        let feature = Feature { axis, own: second, other: first, pair };
        rotary.push(&mut k, "second", Scalars::add, &feature);
    }
    let rest = features.clone() - Expr::from(rotated);
    if !rest.is(0) {
        let at = rotary.point(&(Expr::axis("rest") + Expr::from(rotated)));
        let mut axes = rotary.rows.clone();
        axes.push(parallel("rest", rest));
        let mut s = Scalars::default();
        let v = s.read_raw(&k, input, at.clone());
        k.push("keep", axes, (target, at), s.yields(v));
    }
    op.emit(k)
}

impl Rotary {
    /// A place in a row of features.
    fn point(&self, feature: &Expr) -> Vec<Expr> {
        let mut at = indices(&self.rows);
        at.push(feature.clone());
        at
    }

    /// Adds a compute of features. `combine` gets the feature times the cosine, and the other feature of the
    /// pair times the sine.
    fn push(
        &self,
        k: &mut KernelBuilder,
        name: &str,
        combine: impl Fn(&mut Scalars, scalar::ValueId, scalar::ValueId) -> scalar::ValueId,
        feature: &Feature,
    ) {
        let mut s = Scalars::default();
        let own = s.read(k, self.x, self.point(&feature.own));
        let other = s.read(k, self.x, self.point(&feature.other));
        let [cos, sin] = [0, 1].map(|i| {
            let (tensor, rows, by_feature) = &self.angles[i];
            let mut at = rows.clone();
            at.push(if *by_feature { feature.own.clone() } else { feature.pair.clone() });
            s.read(k, *tensor, at)
        });
        let (kept, turned) = (s.mul(own, cos), s.mul(other, sin));
        let v = combine(&mut s, kept, turned);
        let mut axes = self.rows.clone();
        axes.push(feature.axis.clone());
        k.push(name, axes, (self.target, self.point(&feature.own)), s.yields(v));
    }
}
