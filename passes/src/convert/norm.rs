//! Normalisations: moments in two passes, then one affine map.

use super::{
    kernels::{KernelBuilder, axes_over, indices, parallel, reduction},
    lowering::Lowering,
    product,
    reduce::{point, reduction_axes},
    scalars::{Scalars, compute_type},
};
use mlcc_ir::{
    diagnostic::Result,
    dtype::DType,
    expr::Expr,
    graph::ValueId,
    kernel::{Axis, AxisKind, Combine},
    scalar::{self, BinaryOp, UnaryOp},
    tensor::Element,
};

/// Lowers a normalisation; `None` if the operator is none.
pub(super) fn lower(op: &mut Lowering<'_, '_>) -> Option<Result<()>> {
    Some(match op.name() {
        "layer_norm" => lower_layer_norm(op),
        "rms_norm" => lower_rms_norm(op),
        "batch_norm" => lower_batch_norm(op),
        "instance_norm" => lower_instance_norm(op),
        "group_norm" => lower_group_norm(op),
        "lrn" => lower_lrn(op),
        _ => return None,
    })
}

/// The iteration space of a normalisation.
struct Domain {
    /// The kept axes, then the reduced ones.
    axes: Vec<Axis>,
    /// The input's element at their point.
    at: Vec<Expr>,
    /// Type in which it is computed.
    dtype: DType,
}

impl Domain {
    fn kept(&self) -> Vec<Axis> {
        self.axes.iter().filter(|a| a.kind == AxisKind::Parallel).cloned().collect()
    }

    fn kept_at(&self) -> Vec<Expr> {
        indices(&self.kept())
    }

    /// All axes, parallel, in the order of the axes.
    fn all(&self) -> Vec<Axis> {
        self.axes.iter().map(|a| parallel(&a.name, a.extent.clone())).collect()
    }

    /// Number of elements that are reduced.
    fn count(&self) -> Expr {
        let reduced = self.axes.iter().filter(|a| a.kind == AxisKind::Reduction);
        product(&reduced.map(|a| a.extent.clone()).collect::<Vec<_>>())
    }

    /// A temporary over the kept axes.
    fn statistic(&self, k: &mut KernelBuilder, name: &str) -> usize {
        let dims = self.kept().iter().map(|a| a.extent.clone()).collect();
        k.temporary(name, self.dtype, dims)
    }

    /// A temporary with the sum of `f` of the input's elements.
    fn sum(
        &self,
        k: &mut KernelBuilder,
        name: &str,
        f: impl FnOnce(&KernelBuilder, &mut Scalars) -> scalar::ValueId,
    ) -> usize {
        let target = self.statistic(k, name);
        let mut s = Scalars::default();
        let v = f(k, &mut s);
        k.reduce(name, self.axes.clone(), target, s.yields(v).combined(Combine::Add));
        target
    }

    /// A temporary with the mean of the input.
    fn mean(&self, k: &mut KernelBuilder, input: usize) -> usize {
        let sum = self.sum(k, "sum", |k, s| s.read(k, input, self.at.clone()));
        let mean = self.statistic(k, "mean");
        let mut s = Scalars::default();
        let total = s.read_raw(k, sum, self.kept_at());
        let count = s.index_as(self.count(), self.dtype);
        let v = s.div(total, count);
        k.map("mean", self.kept(), mean, s.yields(v));
        mean
    }

    /// A temporary with `1 / sqrt(squares / count + epsilon)`.
    fn inverse_deviation(&self, k: &mut KernelBuilder, squares: usize, epsilon: f64) -> usize {
        let inverse = self.statistic(k, "inv_std");
        let mut s = Scalars::default();
        let total = s.read_raw(k, squares, self.kept_at());
        let count = s.index_as(self.count(), self.dtype);
        let variance = s.div(total, count);
        let v = inverse_root(&mut s, variance, epsilon);
        k.map("inv_std", self.kept(), inverse, s.yields(v));
        inverse
    }

    /// Temporaries with the mean and the inverse standard deviation; the variance is summed from
    /// differences to the mean.
    fn moments(&self, k: &mut KernelBuilder, input: usize, epsilon: f64) -> (usize, usize) {
        let mean = self.mean(k, input);
        let squares = self.sum(k, "squares", |k, s| {
            let difference = self.difference(k, s, input, mean);
            s.mul(difference, difference)
        });
        (mean, self.inverse_deviation(k, squares, epsilon))
    }

    /// The input's element less the mean.
    fn difference(&self, k: &KernelBuilder, s: &mut Scalars, input: usize, mean: usize) -> scalar::ValueId {
        let v = s.read(k, input, self.at.clone());
        let m = s.read_raw(k, mean, self.kept_at());
        s.sub(v, m)
    }
}

/// `1 / sqrt(v + epsilon)`.
fn inverse_root(s: &mut Scalars, v: scalar::ValueId, epsilon: f64) -> scalar::ValueId {
    let v = s.add_float(v, epsilon);
    let root = s.unary(UnaryOp::Sqrt, v);
    let one = s.float_like(root, 1.0);
    s.div(one, root)
}

/// `v * scale + bias`, either one optional, read at their own indices.
fn affine(
    op: &Lowering<'_, '_>,
    k: &mut KernelBuilder,
    s: &mut Scalars,
    mut v: scalar::ValueId,
    [scale, bias]: [Option<(ValueId, Vec<Expr>)>; 2],
) -> scalar::ValueId {
    if let Some((scale, index)) = scale {
        let factor = op.read(k, s, (scale, "scale"), index);
        let factor = s.cast(factor, s.dtype(v));
        v = s.mul(v, factor);
    }
    if let Some((bias, index)) = bias {
        let term = op.read(k, s, (bias, "bias"), index);
        let term = s.cast(term, s.dtype(v));
        v = s.add(v, term);
    }
    v
}

fn domain_over(op: &Lowering<'_, '_>, x: ValueId, reduced: &[usize]) -> Domain {
    let dims = op.dims(x);
    let dtype = compute_type(op.dtype(x));
    Domain { axes: reduction_axes(dims, reduced), at: point(dims.len()), dtype }
}

fn lower_layer_norm(op: &mut Lowering<'_, '_>) -> Result<()> {
    let (x, result) = (op.operand(0)?, op.result(0)?);
    let dims = op.dims(x);
    let axis = op.axis("axis", -1, dims.len())?;
    let reduced: Vec<usize> = (axis..dims.len()).collect();
    let domain = domain_over(op, x, &reduced);
    let mut k = op.kernel();
    let input = k.input(op, x, "x");
    let (mean, inverse) = domain.moments(&mut k, input, op.attrs().float("epsilon", 1e-5));

    let mut s = Scalars::default();
    let difference = domain.difference(&k, &mut s, input, mean);
    let factor = s.read_raw(&k, inverse, domain.kept_at());
    let v = s.mul(difference, factor);
    let own = &|v: ValueId| (v, super::lowering::broadcast_index(op.dims(v), dims, &domain.at));
    let v = affine(op, &mut k, &mut s, v, [1, 2].map(|i| op.optional(i).map(own)));
    let target = k.output(op, result, "y");
    k.map("normalize", domain.all(), target, s.yields(v));

    for (i, statistic, name) in [(1, mean, "mean"), (2, inverse, "inv_std")] {
        let Some(result) = op.used_result(i) else { continue };
        let target = k.output(op, result, &format!("{name}_out"));
        let mut s = Scalars::default();
        let v = s.read_raw(&k, statistic, domain.kept_at());
        let write = (0..op.dims(result).len())
            .map(|d| if d < axis { domain.at[d].clone() } else { Expr::from(0) })
            .collect();
        k.push(&format!("{name}_out"), domain.kept(), (target, write), s.yields(v));
    }
    op.emit(k)
}

fn lower_rms_norm(op: &mut Lowering<'_, '_>) -> Result<()> {
    let (x, result) = (op.operand(0)?, op.result(0)?);
    let dims = op.dims(x);
    let axis = op.axis("axis", -1, dims.len())?;
    let reduced: Vec<usize> = (axis..dims.len()).collect();
    let domain = domain_over(op, x, &reduced);
    let mut k = op.kernel();
    let input = k.input(op, x, "x");
    let squares = domain.sum(&mut k, "squares", |k, s| {
        let v = s.read(k, input, domain.at.clone());
        s.mul(v, v)
    });
    let inverse = domain.inverse_deviation(&mut k, squares, op.attrs().float("epsilon", 1e-5));
    let mut s = Scalars::default();
    let v = s.read(&k, input, domain.at.clone());
    let factor = s.read_raw(&k, inverse, domain.kept_at());
    let v = s.mul(v, factor);
    let own = &|v: ValueId| (v, super::lowering::broadcast_index(op.dims(v), dims, &domain.at));
    let v = affine(op, &mut k, &mut s, v, [op.optional(1).map(own), None]);
    let target = k.output(op, result, "y");
    k.map("normalize", domain.all(), target, s.yields(v));
    op.emit(k)
}

/// `(x - mean) * (scale / sqrt(variance + epsilon)) + bias` with vectors over dimension 1.
fn lower_batch_norm(op: &mut Lowering<'_, '_>) -> Result<()> {
    let (x, result) = (op.operand(0)?, op.result(0)?);
    let dims = op.dims(x);
    let axes = axes_over(dims);
    let mut k = op.kernel();
    let mut s = Scalars::default();
    let computed = compute_type(op.dtype(x));
    let channel = vec![if dims.len() > 1 { Expr::axis("i1") } else { Expr::from(0) }];
    let v = op.read(&mut k, &mut s, (x, "x"), indices(&axes));
    let mut vectors = Vec::with_capacity(4);
    for (i, name) in [(1, "scale"), (2, "bias"), (3, "mean"), (4, "variance")] {
        let raw = op.read(&mut k, &mut s, (op.operand(i)?, name), channel.clone());
        vectors.push(s.cast(raw, computed));
    }
    let inverse = inverse_root(&mut s, vectors[3], op.attrs().float("epsilon", 1e-5));
    let factor = s.mul(vectors[0], inverse);
    let difference = s.sub(v, vectors[2]);
    let scaled = s.mul(difference, factor);
    let v = s.add(scaled, vectors[1]);
    let target = k.output(op, result, "y");
    k.map("batch_norm", axes, target, s.yields(v));
    op.emit(k)
}

fn lower_instance_norm(op: &mut Lowering<'_, '_>) -> Result<()> {
    let (x, result) = (op.operand(0)?, op.result(0)?);
    let reduced: Vec<usize> = (2..op.dims(x).len()).collect();
    let domain = domain_over(op, x, &reduced);
    normalize(op, &domain, (x, result), vec![Expr::axis("i1")], domain.at.clone())
}

fn lower_group_norm(op: &mut Lowering<'_, '_>) -> Result<()> {
    let (x, result) = (op.operand(0)?, op.result(0)?);
    let dims = op.dims(x);
    if dims.len() < 2 {
        return Err(op.unsupported("its operand has no channels"));
    }
    let groups = Expr::from(op.attrs().int("groups", 1).max(1));
    let size = dims[1].floor_div(&groups);
    let names = super::conv::spatial_names(dims.len() - 2);
    let mut axes =
        vec![parallel("n", dims[0].clone()), parallel("g", groups.clone()), reduction("c", size.clone())];
    axes.extend(names.iter().zip(&dims[2..]).map(|((name, _), extent)| reduction(name, extent.clone())));
    let channel = Expr::axis("g") * size + Expr::axis("c");
    let mut at = vec![Expr::axis("n"), channel.clone()];
    at.extend(names.iter().map(|(name, _)| Expr::axis(name)));
    let domain = Domain { axes, at: at.clone(), dtype: compute_type(op.dtype(x)) };
    // Older models scale groups, newer ones channels.
    let per_group = op.optional(1).is_some_and(|s| op.dims(s) == [groups] && op.dims(s)[0] != dims[1]);
    normalize(op, &domain, (x, result), vec![if per_group { Expr::axis("g") } else { channel }], at)
}

/// Emits `(x - mean) * inv_std * scale[channel] + bias[channel]`.
fn normalize(
    op: &mut Lowering<'_, '_>,
    domain: &Domain,
    (x, result): (ValueId, ValueId),
    channel: Vec<Expr>,
    write: Vec<Expr>,
) -> Result<()> {
    let mut k = op.kernel();
    let input = k.input(op, x, "x");
    let (mean, inverse) = domain.moments(&mut k, input, op.attrs().float("epsilon", 1e-5));
    let mut s = Scalars::default();
    let difference = domain.difference(&k, &mut s, input, mean);
    let factor = s.read_raw(&k, inverse, domain.kept_at());
    let v = s.mul(difference, factor);
    let own = &|v: ValueId| (v, channel.clone());
    let v = affine(op, &mut k, &mut s, v, [1, 2].map(|i| op.optional(i).map(own)));
    let target = k.output(op, result, "y");
    k.push("normalize", domain.all(), (target, write), s.yields(v));
    op.emit(k)
}

/// `x / (bias + alpha / size * sum of squares over neighbouring channels) ^ beta`.
fn lower_lrn(op: &mut Lowering<'_, '_>) -> Result<()> {
    let (x, result) = (op.operand(0)?, op.result(0)?);
    let dims = op.dims(x);
    let size = op.attrs().int("size", 1).max(1);
    let (alpha, beta) = (op.attrs().float("alpha", 1e-4), op.attrs().float("beta", 0.75));
    let bias = op.attrs().float("bias", 1.0);
    let mut k = op.kernel();
    let input = k.input(op, x, "x");
    let all = axes_over(dims);
    let squares = k.temporary("squares", compute_type(op.dtype(x)), dims.to_vec());
    let mut axes = all.clone();
    axes.push(reduction("j", Expr::from(size)));
    let mut neighbour = indices(&all);
    neighbour[1] = neighbour[1].clone() + Expr::axis("j") - Expr::from((size - 1) / 2);
    let mut s = Scalars::default();
    let v = s.read_or(&k, input, neighbour, Element::Int(0));
    let v = s.mul(v, v);
    k.reduce("squares", axes, squares, s.yields(v).combined(Combine::Add));

    let mut s = Scalars::default();
    let total = s.read_raw(&k, squares, indices(&all));
    let scaled = s.mul_float(total, alpha / size as f64);
    let base = s.add_float(scaled, bias);
    let power = s.float_like(base, beta);
    let denominator = s.binary(BinaryOp::Pow, base, power);
    let v = s.read(&k, input, indices(&all));
    let v = s.div(v, denominator);
    let target = k.output(op, result, "y");
    k.map("lrn", all, target, s.yields(v));
    op.emit(k)
}
