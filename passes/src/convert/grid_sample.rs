//! Sampling at positions that are data.

use super::{
    kernels::{indices, parallel},
    lowering::Lowering,
    sampling::{POSITION, Tap, clamped_index, cubic_weight, interpolate},
    scalars::{Scalars, compute_type},
};
use mlcc_ir::{
    diagnostic::Result,
    dtype::DType,
    expr::Expr,
    scalar::{BinaryOp, Predicate, UnaryOp, ValueId},
    tensor::Element,
};

/// Lowers `grid_sample`; `None` if the operator is another.
pub(super) fn lower(op: &mut Lowering<'_, '_>) -> Option<Result<()>> {
    (op.name() == "grid_sample").then(|| lower_grid_sample(op))
}

/// One spatial dimension.
struct Dimension<'a> {
    size: &'a Expr,
    padding: &'a str,
    align_corners: bool,
}

impl Dimension<'_> {
    /// The position for a grid value in -1..1.
    fn position(&self, s: &mut Scalars, grid: ValueId) -> ValueId {
        let g = s.cast(grid, POSITION);
        let from_start = s.add_float(g, 1.0);
        let size = s.index_as(self.size.clone(), POSITION);
        let v = if self.align_corners {
            let last = s.add_float(size, -1.0);
            s.mul(from_start, last)
        } else {
            let way = s.mul(from_start, size);
            s.add_float(way, -1.0)
        };
        s.mul_float(v, 0.5)
    }

    /// The position brought back inside, by the kind of padding.
    fn padded(&self, s: &mut Scalars, v: ValueId) -> ValueId {
        let size = s.index_as(self.size.clone(), POSITION);
        let last = s.add_float(size, -1.0);
        let zero = s.float_like(v, 0.0);
        match self.padding {
            "border" => {
                // Half an element further out still counts as inside: a cubic's slope goes on there.
                let margin = if self.align_corners { 0.0 } else { 0.5 };
                let (low, high) = (s.float_like(v, -margin), s.add_float(last, margin));
                let (before, after) = (s.compare(Predicate::Lt, v, low), s.compare(Predicate::Gt, v, high));
                let outside = s.binary(BinaryOp::Or, before, after);
                let limited = s.max(v, zero);
                let limited = s.min(limited, last);
                s.select(outside, limited, v)
            }
            "reflection" => {
                let low = if self.align_corners { 0.0 } else { -0.5 };
                let extent = if self.align_corners { last } else { size };
                // One element reflects onto itself.
                let tiny = s.float_like(v, 1e-30);
                let extent = s.max(extent, tiny);
                let period = s.mul_float(extent, 2.0);
                let from_low = s.add_float(v, -low);
                let way = s.unary(UnaryOp::Abs, from_low);
                let phase = s.binary(BinaryOp::Rem, way, period);
                let back = s.sub(period, phase);
                let is_there = s.compare(Predicate::Le, phase, extent);
                let v = s.select(is_there, phase, back);
                s.add_float(v, low)
            }
            _ => v,
        }
    }

    /// The index of the element at a whole position; out of bounds it reads 0.
    fn index(&self, s: &mut Scalars, position: ValueId) -> Expr {
        if self.padding == "zeros" {
            return Expr::value(s.cast(position, DType::I64));
        }
        let inside = self.padded(s, position);
        // Reflected whole positions are whole up to the rounding of the arithmetic.
        let rounded = s.unary(UnaryOp::Round, inside);
        Expr::value(clamped_index(s, rounded, self.size))
    }

    fn taps(&self, s: &mut Scalars, grid: ValueId, mode: &str) -> Vec<Tap> {
        let v = self.position(s, grid);
        if mode == "nearest" {
            let rounded = s.unary(UnaryOp::Round, v);
            let index = self.index(s, rounded);
            return vec![Tap { index, weight: None }];
        }
        let v = self.padded(s, v);
        let base = s.unary(UnaryOp::Floor, v);
        let fraction = s.sub(v, base);
        let offsets = if mode == "cubic" { -1..=2 } else { 0..=1 };
        offsets
            .map(|offset| {
                let position = s.add_float(base, f64::from(offset));
                let weight = match (mode, offset) {
                    ("cubic", _) => {
                        let minus = s.unary(UnaryOp::Neg, fraction);
                        let distance = s.add_float(minus, f64::from(offset));
                        cubic_weight(s, distance, -0.75)
                    }
                    (_, 0) => {
                        let minus = s.unary(UnaryOp::Neg, fraction);
                        s.add_float(minus, 1.0)
                    }
                    _ => fraction,
                };
                Tap { index: self.index(s, position), weight: Some(weight) }
            })
            .collect()
    }
}

fn lower_grid_sample(op: &mut Lowering<'_, '_>) -> Result<()> {
    let (x, grid, result) = (op.operand(0)?, op.operand(1)?, op.result(0)?);
    let dims = op.dims(x);
    let spatial = dims.len().saturating_sub(2);
    let names = super::conv::spatial_names(spatial);
    let result_dims = op.dims(result);
    let mut axes = vec![parallel("n", result_dims[0].clone()), parallel("c", result_dims[1].clone())];
    axes.extend(names.iter().zip(&result_dims[2..]).map(|((name, _), e)| parallel(name, e.clone())));
    let at = indices(&axes);
    let mode = op.attrs().str("mode", "linear");
    let mut k = op.kernel();
    let mut s = Scalars::default();
    let input = k.input(op, x, "x");
    let grid_tensor = k.input(op, grid, "grid");
    let mut taps = vec![
        vec![Tap { index: at[0].clone(), weight: None }],
        vec![Tap { index: at[1].clone(), weight: None }],
    ];
    for d in 0..spatial {
        let dimension = Dimension {
            size: &dims[2 + d],
            padding: op.attrs().str("padding_mode", "zeros"),
            align_corners: op.attrs().bool("align_corners", false),
        };
        let mut index = vec![at[0].clone()];
        index.extend_from_slice(&at[2..]);
        // The grid gives the innermost dimension first.
        index.push(Expr::from((spatial - 1 - d) as i64));
        let g = s.read(&k, grid_tensor, index);
        taps.push(dimension.taps(&mut s, g, mode));
    }
    let computed = compute_type(op.dtype(x));
    let v = interpolate(&mut s, &taps, &mut Vec::new(), &mut |s, index| {
        let v = s.read_or(&k, input, index.to_vec(), Element::Int(0));
        if computed.is_float() || mode == "nearest" { v } else { s.cast(v, DType::F32) }
    });
    let target = k.output(op, result, "y");
    k.map("grid_sample", axes, target, s.yields(v));
    op.emit(k)
}
