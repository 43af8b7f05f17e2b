//! Resampling on a regular grid.

mod dimension;

use super::{
    kernels::{KernelBuilder, axes_over, indices, reduction},
    lowering::Lowering,
    sampling::{POSITION, Tap, clamped_index, interpolate},
    scalars::Scalars,
};
use dimension::{Dimension, Scale};
use mlcc_ir::{
    diagnostic::Result,
    dtype::DType,
    expr::Expr,
    graph::ValueId,
    kernel::Combine,
    scalar::{self, BinaryOp, Predicate, UnaryOp},
    tensor::Element,
};

/// Lowers `resize`; `None` if the operator is another.
pub(super) fn lower(op: &mut Lowering<'_, '_>) -> Option<Result<()>> {
    (op.name() == "resize").then(|| lower_resize(op))
}

#[derive(Clone, Copy, PartialEq)]
enum Filter {
    Nearest,
    Linear,
    /// With the kernel's free parameter.
    Cubic(f64),
}

fn lower_resize(op: &mut Lowering<'_, '_>) -> Result<()> {
    let (x, result) = (op.operand(0)?, op.result(0)?);
    let (from, to) = (op.dims(x), op.dims(result));
    let attrs = op.attrs();
    let filter = match attrs.str("mode", "nearest") {
        "nearest" => Filter::Nearest,
        "linear" => Filter::Linear,
        "cubic" => Filter::Cubic(attrs.float("cubic_coeff_a", -0.75)),
        other => return Err(op.unsupported(&format!("the mode '{other}' is unknown"))),
    };
    let scales = attrs.floats("scales").unwrap_or_default();
    if scales.len() != from.len() || to.len() != from.len() {
        return Err(op.unsupported("it has not one scale per dimension"));
    }
    let ratio = match attrs.ints("ratio") {
        Some(&[to, from]) => Some(Scale::of_sizes(&Expr::from(to), &Expr::from(from))),
        _ => None,
    };
    let roi = attrs.floats("roi").unwrap_or_default();
    let axes = axes_over(to);
    let at = indices(&axes);
    let dimensions: Vec<Dimension<'_>> = (0..from.len())
        .map(|d| Dimension {
            at: at[d].clone(),
            from: &from[d],
            to: &to[d],
            scale: match scales[d] == 0.0 {
                true => ratio.clone().unwrap_or_else(|| Scale::of_sizes(&to[d], &from[d])),
                false => Scale::given(scales[d]),
            },
            coordinates: attrs.str("coordinate_mode", "half_pixel"),
            region: match roi.len() == 2 * from.len() {
                true => (roi[d], roi[d + from.len()]),
                false => (0.0, 1.0),
            },
        })
        .collect();
    if dimensions.iter().all(Dimension::is_kept) {
        return op.view(0, x, Expr::from(0));
    }
    if attrs.bool("antialias", false) && filter != Filter::Nearest {
        return lower_antialiased(op, (x, result), &dimensions, filter);
    }
    let exclude = attrs.bool("exclude_outside", false);
    let mut k = op.kernel();
    let mut s = Scalars::default();
    let input = k.input(op, x, "x");
    let taps: Vec<Vec<Tap>> = dimensions
        .iter()
        .map(|d| match filter {
            _ if d.is_kept() => vec![Tap { index: d.at.clone(), weight: None }],
            Filter::Nearest => vec![d.nearest(&mut s, attrs.str("nearest_mode", "round_prefer_floor"))],
            _ => d.taps(&mut s, filter, exclude),
        })
        .collect();
    let v = interpolate(&mut s, &taps, &mut Vec::new(), &mut |s, index| {
        let v = s.read_or(&k, input, index.to_vec(), Element::Int(0));
        if filter == Filter::Nearest { v } else { as_float(s, v) }
    });
    let v = outside_region(op, &mut s, &dimensions, v);
    let target = k.output(op, result, "y");
    k.map("resize", axes, target, s.yields(v));
    op.emit(k)
}

/// Integers are interpolated as `f32`.
fn as_float(s: &mut Scalars, v: scalar::ValueId) -> scalar::ValueId {
    if s.dtype(v).is_float() { v } else { s.cast(v, DType::F32) }
}

/// With `tf_crop_and_resize`, positions outside the operand take the extrapolation value.
fn outside_region(
    op: &Lowering<'_, '_>,
    s: &mut Scalars,
    dimensions: &[Dimension<'_>],
    mut v: scalar::ValueId,
) -> scalar::ValueId {
    for d in dimensions.iter().filter(|d| d.coordinates == "tf_crop_and_resize") {
        let x = d.position(s);
        let zero = s.float_like(x, 0.0);
        let last = s.index_as(d.from.clone() - Expr::from(1), POSITION);
        let before = s.compare(Predicate::Lt, x, zero);
        let after = s.compare(Predicate::Gt, x, last);
        let outside = s.binary(BinaryOp::Or, before, after);
        let value = s.float_like(v, op.attrs().float("extrapolation_value", 0.0));
        v = s.select(outside, value, v);
    }
    v
}

/// Downsampling with a filter as wide as the result's elements: sums over the taps of `x * weight` and
/// of the weights, and their quotient.
fn lower_antialiased(
    op: &mut Lowering<'_, '_>,
    (x, result): (ValueId, ValueId),
    dimensions: &[Dimension<'_>],
    filter: Filter,
) -> Result<()> {
    let exclude = op.attrs().bool("exclude_outside", false);
    let outer = axes_over(op.dims(result));
    let mut axes = outer.clone();
    let mut k = op.kernel();
    let input = k.input(op, x, "x");
    let reach = if filter == Filter::Linear { 1.0 } else { 2.0 };
    // The shrinking factor of each dimension and its first tap; `None` if the dimension is kept.
    let mut filters = vec![None; dimensions.len()];
    for (d, dimension) in dimensions.iter().enumerate().filter(|(_, d)| !d.is_kept()) {
        let Some(scale) = dimension.scale.as_float() else {
            return Err(op.unsupported("the width of its filter depends on symbolic sizes"));
        };
        let shrink = scale.min(1.0);
        let start = (-reach / shrink).floor() as i64 + 1;
        axes.push(reduction(&format!("t{d}"), Expr::from(2 - 2 * start)));
        filters[d] = Some((shrink, start));
    }
    // The index under the taps, and the product of their weights.
    let tap = |s: &mut Scalars| {
        let mut index = Vec::with_capacity(dimensions.len());
        let mut product = None;
        for (d, dimension) in dimensions.iter().enumerate() {
            let Some((shrink, start)) = filters[d] else {
                index.push(dimension.at.clone());
                continue;
            };
            let x = dimension.position(s);
            let base = s.unary(UnaryOp::Floor, x);
            let offset = s.index_as(Expr::axis(&format!("t{d}")) + Expr::from(start), POSITION);
            let position = s.add(base, offset);
            let distance = s.sub(position, x);
            let distance = s.mul_float(distance, shrink);
            let mut weight = filter.weight(s, distance);
            if exclude {
                weight = dimension.inside_or_zero(s, position, weight);
            }
            index.push(Expr::value(clamped_index(s, position, dimension.from)));
            product = Some(product.map_or(weight, |p| s.mul(p, weight)));
        }
        let weight = product.unwrap_or_else(|| s.float(POSITION, 1.0));
        (index, s.cast(weight, DType::F32))
    };
    let dims = op.dims(result).to_vec();
    let sum = |k: &mut KernelBuilder, name: &str, read: bool| {
        let mut s = Scalars::default();
        let (index, weight) = tap(&mut s);
        let v = if read {
            let v = s.read_or(k, input, index, Element::Int(0));
            let v = as_float(&mut s, v);
            let weight = s.cast(weight, s.dtype(v));
            s.mul(v, weight)
        } else {
            weight
        };
        let target = k.temporary(name, s.dtype(v), dims.clone());
        k.reduce(name, axes.clone(), target, s.yields(v).combined(Combine::Add));
        target
    };
    let (total, weights) = (sum(&mut k, "sum", true), sum(&mut k, "weights", false));
    let mut s = Scalars::default();
    let v = s.read_raw(&k, total, indices(&outer));
    let w = s.read_raw(&k, weights, indices(&outer));
    let w = s.cast(w, s.dtype(v));
    let v = s.div(v, w);
    let v = outside_region(op, &mut s, dimensions, v);
    let target = k.output(op, result, "y");
    k.map("resize", outer, target, s.yields(v));
    op.emit(k)
}
