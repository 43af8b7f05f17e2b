//! Reductions over axes.

use super::{
    kernels::{indices, parallel, reduction},
    lowering::Lowering,
    product,
    scalars::{Scalars, compute_type},
};
use mlcc_ir::{
    diagnostic::Result,
    dtype::DType,
    expr::Expr,
    kernel::{Axis, AxisKind, Combine},
};

/// Lowers a reduction; `None` if the operator is none.
pub(super) fn lower(op: &mut Lowering<'_, '_>) -> Option<Result<()>> {
    let combine = match op.name() {
        "reduce_sum" | "reduce_mean" => Combine::Add,
        "reduce_max" => Combine::Max,
        "reduce_min" => Combine::Min,
        "reduce_prod" => Combine::Mul,
        _ => return None,
    };
    Some(lower_reduction(op, combine))
}

/// The axes of a reduction over the dimensions `reduced`: the kept ones, then the reduced ones, each
/// named after its dimension.
pub(super) fn reduction_axes(dims: &[Expr], reduced: &[usize]) -> Vec<Axis> {
    let name = |d: usize| format!("i{d}");
    let kept = (0..dims.len()).filter(|d| !reduced.contains(d));
    kept.map(|d| parallel(&name(d), dims[d].clone()))
        .chain(reduced.iter().map(|&d| reduction(&name(d), dims[d].clone())))
        .collect()
}

/// The element at the point of the axes `i0`, `i1`, ... of a tensor of that rank.
pub(super) fn point(rank: usize) -> Vec<Expr> {
    (0..rank).map(|d| Expr::axis(&format!("i{d}"))).collect()
}

fn lower_reduction(op: &mut Lowering<'_, '_>, combine: Combine) -> Result<()> {
    let (x, result) = (op.operand(0)?, op.result(0)?);
    let dims = op.dims(x);
    let mut reduced = Vec::new();
    for &axis in op.attrs().ints("axes").unwrap_or_default() {
        let axis = if axis < 0 { axis + dims.len() as i64 } else { axis } as usize;
        if axis >= dims.len() {
            return Err(op.unsupported("an axis is outside its operand's dimensions"));
        }
        if !reduced.contains(&axis) {
            reduced.push(axis);
        }
    }
    reduced.sort_unstable();
    let keepdims = op.attrs().bool("keepdims", true);
    let mean = op.name() == "reduce_mean";
    // The greatest and least of booleans are "any" and "all".
    let combine = match (combine, op.dtype(x)) {
        (Combine::Max, DType::Bool) => Combine::Or,
        (Combine::Min, DType::Bool) => Combine::And,
        (other, _) => other,
    };

    let mut k = op.kernel();
    let input = k.input(op, x, "x");
    let axes = reduction_axes(dims, &reduced);
    let kept: Vec<Axis> = axes.iter().filter(|a| a.kind == AxisKind::Parallel).cloned().collect();
    let write: Vec<Expr> = (0..dims.len())
        .filter(|d| keepdims || !reduced.contains(d))
        .map(|d| if reduced.contains(&d) { Expr::from(0) } else { Expr::axis(&format!("i{d}")) })
        .collect();
    let mut s = Scalars::default();
    let v = s.read(&k, input, point(dims.len()));
    let body = s.yields(v);
    let combine = (!reduced.is_empty()).then_some(combine);

    let accumulated = compute_type(op.dtype(x));
    if !mean && (combine.is_none() || accumulated == op.dtype(result)) {
        let target = k.output(op, result, "y");
        k.push(op.name(), axes, (target, write), body.combined(combine));
        return op.emit(k);
    }
    let acc = k.temporary("acc", accumulated, kept.iter().map(|a| a.extent.clone()).collect());
    k.push("sum", axes, (acc, indices(&kept)), body.combined(combine));
    let mut s = Scalars::default();
    let mut v = s.read_raw(&k, acc, indices(&kept));
    if mean {
        let sizes: Vec<Expr> = reduced.iter().map(|&d| dims[d].clone()).collect();
        let count = s.index_as(product(&sizes), accumulated);
        v = s.div(v, count);
    }
    let target = k.output(op, result, "y");
    k.push(if mean { "mean" } else { "convert" }, kept, (target, write), s.yields(v));
    op.emit(k)
}
