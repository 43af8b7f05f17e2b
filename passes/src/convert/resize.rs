//! Resampling on a regular grid.

use super::{
    kernels::{KernelBuilder, axes_over, indices, reduction},
    lowering::Lowering,
    sampling::{POSITION, Tap, clamped_index, cubic_weight, interpolate, linear_weight},
    scalars::Scalars,
};
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

/// One dimension of a resize.
struct Dimension<'a> {
    /// Position in the result.
    at: Expr,
    /// Sizes of the operand and the result.
    from: &'a Expr,
    to: &'a Expr,
    /// Result's size by operand's size; `None` where only a run knows it, as the ratio of the two.
    scale: Option<f64>,
    coordinates: &'a str,
    /// Start and end of the region of interest, as parts of the operand.
    region: (f64, f64),
}

impl Dimension<'_> {
    /// Whether the elements stay where they are.
    fn is_kept(&self) -> bool {
        self.scale == Some(1.0) && self.from == self.to && self.coordinates != "tf_crop_and_resize"
    }

    /// The position in the operand, a float.
    fn position(&self, s: &mut Scalars) -> scalar::ValueId {
        let x = s.index_as(self.at.clone(), POSITION);
        let size = s.index_as(self.from.clone(), POSITION);
        // The result's size, and what it was before rounding.
        let whole = s.index_as(self.to.clone(), POSITION);
        let (scale, resized) = match self.scale {
            Some(scale) => (s.float_like(x, scale), s.mul_float(size, scale)),
            None => (s.div(whole, size), whole),
        };
        let half_pixel = |s: &mut Scalars| {
            let centre = s.add_float(x, 0.5);
            s.div(centre, scale)
        };
        let one = s.float_like(x, 1.0);
        match self.coordinates {
            "asymmetric" => s.div(x, scale),
            "tf_half_pixel_for_nn" => half_pixel(s),
            "align_corners" | "tf_crop_and_resize" => {
                let crop = self.coordinates == "tf_crop_and_resize";
                let (start, end) = if crop { self.region } else { (0.0, 1.0) };
                let last = s.sub(size, one);
                let extent = s.mul_float(last, end - start);
                let way = s.mul(x, extent);
                let length = if crop { whole } else { resized };
                let steps = s.sub(length, one);
                let spread = s.div(way, steps);
                let single = s.mul_float(extent, if crop { 0.5 } else { 0.0 });
                let is_single = s.compare(Predicate::Eq, length, one);
                let v = s.select(is_single, single, spread);
                let offset = s.mul_float(last, start);
                s.add(v, offset)
            }
            "half_pixel_symmetric" => {
                let adjustment = s.div(whole, resized);
                let minus = s.unary(UnaryOp::Neg, adjustment);
                let rest = s.add_float(minus, 1.0);
                let centre = s.mul_float(size, 0.5);
                let offset = s.mul(centre, rest);
                let v = half_pixel(s);
                let v = s.add(offset, v);
                s.add_float(v, -0.5)
            }
            _ => {
                let v = half_pixel(s);
                let v = s.add_float(v, -0.5);
                if self.coordinates != "pytorch_half_pixel" {
                    return v;
                }
                let is_single = s.compare(Predicate::Eq, whole, one);
                let zero = s.float_like(v, 0.0);
                s.select(is_single, zero, v)
            }
        }
    }

    /// The nearest element's index, where it is a quotient: upsampling by a whole factor.
    fn nearest_quotient(&self, rounding: &str) -> Option<Expr> {
        let scale = self.scale?;
        let factor = scale as i64;
        let whole = scale >= 1.0 && factor as f64 == scale;
        let fits = *self.to == self.from.clone() * Expr::from(factor);
        let centred = matches!(self.coordinates, "half_pixel" | "half_pixel_symmetric")
            && rounding.starts_with("round");
        let floored = matches!(self.coordinates, "asymmetric" | "tf_half_pixel_for_nn")
            && matches!(rounding, "floor" | "simple");
        (whole && fits && (centred || floored)).then(|| self.at.floor_div(&Expr::from(factor)))
    }

    fn nearest(&self, s: &mut Scalars, rounding: &str) -> Tap {
        if let Some(index) = self.nearest_quotient(rounding) {
            return Tap { index, weight: None };
        }
        let x = self.position(s);
        let rounded = match rounding {
            "floor" => s.unary(UnaryOp::Floor, x),
            "ceil" => s.unary(UnaryOp::Ceil, x),
            "simple" => self.simple(s, x),
            "round_prefer_ceil" => {
                let v = s.add_float(x, 0.5);
                s.unary(UnaryOp::Floor, v)
            }
            _ => {
                let v = s.add_float(x, -0.5);
                s.unary(UnaryOp::Ceil, v)
            }
        };
        Tap { index: Expr::value(clamped_index(s, rounded, self.from)), weight: None }
    }

    /// Rounding that is up where elements are dropped and down where they are repeated.
    fn simple(&self, s: &mut Scalars, x: scalar::ValueId) -> scalar::ValueId {
        let (down, up) = (s.unary(UnaryOp::Floor, x), s.unary(UnaryOp::Ceil, x));
        match self.scale {
            Some(scale) if scale < 1.0 => up,
            Some(_) => down,
            None => {
                let (from, to) = (s.index(self.from.clone()), s.index(self.to.clone()));
                let shrinks = s.compare(Predicate::Lt, to, from);
                s.select(shrinks, up, down)
            }
        }
    }

    /// The elements around the position with their weights, and whether those outside are left out.
    fn taps(&self, s: &mut Scalars, filter: Filter, exclude_outside: bool) -> Vec<Tap> {
        let x = self.position(s);
        let base = s.unary(UnaryOp::Floor, x);
        let fraction = s.sub(x, base);
        let offsets = if filter == Filter::Linear { 0..=1 } else { -1..=2 };
        let mut taps = Vec::new();
        let mut total = None;
        for offset in offsets {
            let position = s.add_float(base, f64::from(offset));
            let minus = s.unary(UnaryOp::Neg, fraction);
            let distance = s.add_float(minus, f64::from(offset));
            let mut weight = filter.weight(s, distance);
            if exclude_outside {
                weight = self.inside_or_zero(s, position, weight);
                total = Some(total.map_or(weight, |t| s.add(t, weight)));
            }
            let index = Expr::value(clamped_index(s, position, self.from));
            taps.push(Tap { index, weight: Some(weight) });
        }
        if let Some(total) = total {
            for tap in &mut taps {
                tap.weight = tap.weight.map(|w| s.div(w, total));
            }
        }
        taps
    }

    /// `weight`, or 0 for a position outside the operand.
    fn inside_or_zero(
        &self,
        s: &mut Scalars,
        position: scalar::ValueId,
        weight: scalar::ValueId,
    ) -> scalar::ValueId {
        let zero = s.float_like(weight, 0.0);
        let size = s.index_as(self.from.clone(), POSITION);
        let after = s.compare(Predicate::Ge, position, zero);
        let before = s.compare(Predicate::Lt, position, size);
        let inside = s.binary(BinaryOp::And, after, before);
        s.select(inside, weight, zero)
    }
}

impl Filter {
    fn weight(self, s: &mut Scalars, distance: scalar::ValueId) -> scalar::ValueId {
        match self {
            Filter::Cubic(a) => cubic_weight(s, distance, a),
            _ => linear_weight(s, distance),
        }
    }
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
    let roi = attrs.floats("roi").unwrap_or_default();
    let axes = axes_over(to);
    let at = indices(&axes);
    let dimensions: Vec<Dimension<'_>> = (0..from.len())
        .map(|d| Dimension {
            at: at[d].clone(),
            from: &from[d],
            to: &to[d],
            scale: Some(scales[d]).filter(|&scale| scale != 0.0),
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
    // How much each dimension shrinks, and the first tap; none where it is kept.
    let mut filters = vec![None; dimensions.len()];
    for (d, dimension) in dimensions.iter().enumerate().filter(|(_, d)| !d.is_kept()) {
        let Some(scale) = dimension.scale else {
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
