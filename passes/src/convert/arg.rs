//! Positions of extreme values: arg_max, arg_min, hardmax, top_k.

use super::{
    kernels::{KernelBuilder, axes_over, indices, reduction},
    lowering::Lowering,
    reduce::{point, reduction_axes},
    scalars::{Scalars, compute_type},
};
use mlcc_ir::{
    diagnostic::Result,
    dtype::DType,
    expr::Expr,
    graph::ValueId,
    kernel::{Axis, AxisKind, Combine},
    program::Step,
    scalar::{self, BinaryOp, Predicate, UnaryOp},
};

/// Lowers an operator of this family; `None` if it is none.
pub(super) fn lower(op: &mut Lowering<'_, '_>) -> Option<Result<()>> {
    Some(match op.name() {
        "arg_max" => lower_arg(op, true),
        "arg_min" => lower_arg(op, false),
        "hardmax" => lower_hardmax(op),
        "top_k" => lower_top_k(op),
        _ => return None,
    })
}

fn kept(axes: &[Axis]) -> Vec<Axis> {
    axes.iter().filter(|a| a.kind == AxisKind::Parallel).cloned().collect()
}

/// Adds the computes that find the first (or last) position along `axis` of the greatest (or least)
/// element: the extreme value, then the position, written to `target` at `write`.
fn find_extreme(
    op: &Lowering<'_, '_>,
    k: &mut KernelBuilder,
    (x, axis): (ValueId, usize),
    (greatest, last): (bool, bool),
    (target, write): (usize, Vec<Expr>),
) {
    let dims = op.dims(x);
    let input = k.input(op, x, "x");
    let axes = reduction_axes(dims, &[axis]);
    let outer = kept(&axes);
    let computed = compute_type(op.dtype(x));
    let best = k.temporary("best", computed, outer.iter().map(|a| a.extent.clone()).collect());
    let mut s = Scalars::default();
    let v = s.read(k, input, point(dims.len()));
    let combine = if greatest { Combine::Max } else { Combine::Min };
    k.reduce("best", axes.clone(), best, s.yields(v).combined(combine));

    let mut s = Scalars::default();
    let v = s.read(k, input, point(dims.len()));
    let b = s.read_raw(k, best, indices(&outer));
    let mut found = s.compare(Predicate::Eq, v, b);
    if computed.is_float() {
        // The greatest value is NaN if there is a NaN.
        let nan = s.unary(UnaryOp::IsNan, v);
        found = s.binary(BinaryOp::Or, found, nan);
    }
    let position = s.index(Expr::axis(&format!("i{axis}")));
    let (none, combine) = if last { (s.int(-1), Combine::Max) } else { (s.int(i64::MAX), Combine::Min) };
    let v = s.select(found, position, none);
    k.push("position", axes, (target, write), s.yields(v).combined(combine));
}

fn lower_arg(op: &mut Lowering<'_, '_>, greatest: bool) -> Result<()> {
    let (x, result) = (op.operand(0)?, op.result(0)?);
    let rank = op.dims(x).len();
    let axis = op.axis("axis", 0, rank)?;
    let (keepdims, last) = (op.attrs().bool("keepdims", true), op.attrs().bool("select_last", false));
    let write = (0..rank)
        .filter(|&d| keepdims || d != axis)
        .map(|d| if d == axis { Expr::from(0) } else { Expr::axis(&format!("i{d}")) })
        .collect();
    let mut k = op.kernel();
    k.input(op, x, "x");
    let target = k.output(op, result, "y");
    find_extreme(op, &mut k, (x, axis), (greatest, last), (target, write));
    op.emit(k)
}

/// 1 at the first greatest element along the axis, 0 elsewhere.
fn lower_hardmax(op: &mut Lowering<'_, '_>) -> Result<()> {
    let (x, result) = (op.operand(0)?, op.result(0)?);
    let dims = op.dims(x);
    let axis = op.axis("axis", -1, dims.len())?;
    let mut k = op.kernel();
    k.input(op, x, "x");
    let outer = kept(&reduction_axes(dims, &[axis]));
    let first = k.temporary("first", DType::I64, outer.iter().map(|a| a.extent.clone()).collect());
    find_extreme(op, &mut k, (x, axis), (true, false), (first, indices(&outer)));
    let mut s = Scalars::default();
    let position = s.index(Expr::axis(&format!("i{axis}")));
    let best = s.read_raw(&k, first, indices(&outer));
    let found = s.compare(Predicate::Eq, position, best);
    let dtype = op.dtype(result);
    let (one, zero) = (s.float(dtype, 1.0), s.float(dtype, 0.0));
    let v = s.select(found, one, zero);
    let target = k.output(op, result, "y");
    k.map("hardmax", axes_over(dims), target, s.yields(v));
    op.emit(k)
}

/// Whether `a` (at position `ia`) comes before `b` (at `ib`): greater (or less), or equal and earlier. NaN
/// counts as greater than everything, so this is a total order.
fn comes_before(
    s: &mut Scalars,
    (a, ia): (scalar::ValueId, scalar::ValueId),
    (b, ib): (scalar::ValueId, scalar::ValueId),
    largest: bool,
) -> scalar::ValueId {
    let predicate = if largest { Predicate::Gt } else { Predicate::Lt };
    let mut before = s.compare(predicate, a, b);
    let mut equal = s.compare(Predicate::Eq, a, b);
    if s.dtype(a).is_float() {
        let (nan_a, nan_b) = (s.unary(UnaryOp::IsNan, a), s.unary(UnaryOp::IsNan, b));
        let (number_a, number_b) = (s.unary(UnaryOp::Not, nan_a), s.unary(UnaryOp::Not, nan_b));
        let only = if largest {
            s.binary(BinaryOp::And, nan_a, number_b)
        } else {
            s.binary(BinaryOp::And, number_a, nan_b)
        };
        let both = s.binary(BinaryOp::And, nan_a, nan_b);
        before = s.binary(BinaryOp::Or, before, only);
        equal = s.binary(BinaryOp::Or, equal, both);
    }
    let earlier = s.compare(Predicate::Lt, ia, ib);
    let tie = s.binary(BinaryOp::And, equal, earlier);
    s.binary(BinaryOp::Or, before, tie)
}

/// Lines no longer than this are ranked by a kernel, which compares each element with every other.
const RANKED: i64 = 16;

fn lower_top_k(op: &mut Lowering<'_, '_>) -> Result<()> {
    let dims = op.dims(op.operand(0)?);
    let axis = op.axis("axis", -1, dims.len())?;
    match dims[axis].as_const() {
        Some(size) if size <= RANKED => lower_ranked(op, axis),
        _ => call_top_k(op, axis),
    }
}

/// The runtime handles longer lines: the choice of elements depends on earlier ones, and no index map
/// expresses this.
fn call_top_k(op: &mut Lowering<'_, '_>, axis: usize) -> Result<()> {
    let x = op.operand(0)?;
    let inputs = vec![op.scope.tensor(x)?];
    let outputs = vec![op.scope.tensor(op.result(0)?)?, op.scope.tensor(op.result(1)?)?];
    let largest = op.attrs().bool("largest", true);
    op.scope.program.steps.push(Step::Call {
        function: "top_k".into(),
        inputs,
        outputs,
        attributes: vec![axis as i64, i64::from(largest)],
        location: op.node.location.clone(),
    });
    Ok(())
}

/// The rank of each element is the number of elements that come before it. An element with a rank below `k`
/// is written at its rank.
fn lower_ranked(op: &mut Lowering<'_, '_>, axis: usize) -> Result<()> {
    let x = op.operand(0)?;
    let dims = op.dims(x);
    let largest = op.attrs().bool("largest", true);
    let mut k = op.kernel();
    let input = k.input(op, x, "x");
    let all = axes_over(dims);
    let at = indices(&all);
    let mut other = at.clone();
    other[axis] = Expr::axis("j");
    let rank = k.temporary("rank", DType::I64, dims.to_vec());
    let mut axes = all.clone();
    axes.push(reduction("j", dims[axis].clone()));
    let mut s = Scalars::default();
    let own = (s.read(&k, input, at.clone()), s.index(at[axis].clone()));
    let compared = (s.read(&k, input, other), s.index(Expr::axis("j")));
    let before = comes_before(&mut s, compared, own, largest);
    let v = s.cast(before, DType::I64);
    k.reduce("rank", axes, rank, s.yields(v).combined(Combine::Add));

    for (i, name) in [(0, "values"), (1, "indices")] {
        let Some(result) = op.used_result(i) else { continue };
        let target = k.output(op, result, name);
        let mut s = Scalars::default();
        let place = s.read_raw(&k, rank, at.clone());
        let mut write = at.clone();
        write[axis] = Expr::value(place);
        let v = if i == 0 { s.read_raw(&k, input, at.clone()) } else { s.index(at[axis].clone()) };
        k.push(name, all.clone(), (target, write), s.yields(v));
    }
    op.emit(k)
}
