//! Reductions over axes, arguments of extremes, cumulative sums.

use crate::{
    call::{Call, malformed, normalised_axes, normalised_axis},
    registry::{Import::Function, Operator},
};
use mlcc_ir::{
    attributes::{Attr, Attrs},
    diagnostic::Result,
    dtype::DType,
    graph::ValueId,
};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("ArgMax", 1, Function(arg_max)),
    Operator::new("ArgMin", 1, Function(arg_min)),
    Operator::new("CumProd", 26, Function(cumprod)),
    Operator::new("CumSum", 11, Function(cumsum)),
    Operator::new("ReduceL1", 1, Function(reduce_l1)),
    Operator::new("ReduceL2", 1, Function(reduce_l2)),
    Operator::new("ReduceLogSum", 1, Function(reduce_log_sum)),
    Operator::new("ReduceLogSumExp", 1, Function(reduce_log_sum_exp)),
    Operator::new("ReduceMax", 1, Function(reduce_max)),
    Operator::new("ReduceMean", 1, Function(reduce_mean)),
    Operator::new("ReduceMin", 1, Function(reduce_min)),
    Operator::new("ReduceProd", 1, Function(reduce_prod)),
    Operator::new("ReduceSum", 1, Function(reduce_sum)),
    Operator::new("ReduceSumSquare", 1, Function(reduce_sum_square)),
];

/// The operand and the axes of a reduction.
struct Reduction {
    x: ValueId,
    axes: Vec<usize>,
    keepdims: bool,
}

/// Axes are attributes, but operands from opset 18 on (`ReduceSum`: 13). Without axes all axes are
/// reduced, or none if the node says so.
fn reduction(call: &mut Call<'_, '_>, operand_since: i64) -> Result<Reduction> {
    let x = call.input(0)?;
    let rank = call.rank(x);
    let axes = call.ints_before(operand_since, "axes", 1)?.unwrap_or_default();
    let none_means_none = call.opset >= operand_since && call.flag("noop_with_empty_axes", false)?;
    let axes = match &axes[..] {
        [] if none_means_none => Vec::new(),
        [] => (0..rank).collect(),
        axes => normalised_axes(axes, rank)?,
    };
    Ok(Reduction { x, axes, keepdims: call.flag("keepdims", true)? })
}

impl Reduction {
    /// Reduces `x`, which has the shape of the operand.
    fn apply(&self, call: &mut Call<'_, '_>, op: &str, x: ValueId) -> Result<ValueId> {
        if self.axes.is_empty() {
            return Ok(x);
        }
        call.reduce(op, x, &self.axes, self.keepdims)
    }
}

fn plain(call: &mut Call<'_, '_>, op: &str, operand_since: i64) -> Result<Vec<ValueId>> {
    let r = reduction(call, operand_since)?;
    Ok(vec![r.apply(call, op, r.x)?])
}

fn reduce_sum(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    plain(call, "reduce_sum", 13)
}

fn reduce_mean(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    plain(call, "reduce_mean", 18)
}

fn reduce_max(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    plain(call, "reduce_max", 18)
}

fn reduce_min(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    plain(call, "reduce_min", 18)
}

fn reduce_prod(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    plain(call, "reduce_prod", 18)
}

fn reduce_l1(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let r = reduction(call, 18)?;
    let magnitudes = call.unary("abs", r.x)?;
    Ok(vec![r.apply(call, "reduce_sum", magnitudes)?])
}

fn sum_of_squares(call: &mut Call<'_, '_>, r: &Reduction, x: ValueId) -> Result<ValueId> {
    let squares = call.binary("mul", x, x)?;
    r.apply(call, "reduce_sum", squares)
}

fn reduce_sum_square(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let r = reduction(call, 18)?;
    Ok(vec![sum_of_squares(call, &r, r.x)?])
}

/// The operand as floats, for results that roots and logarithms define, and its own type.
fn as_float(call: &mut Call<'_, '_>, x: ValueId) -> Result<(ValueId, DType)> {
    let dtype = call.dtype(x);
    let x = if dtype.is_float() { x } else { call.cast(x, DType::F64)? };
    Ok((x, dtype))
}

fn reduce_l2(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let r = reduction(call, 18)?;
    let (x, dtype) = as_float(call, r.x)?;
    let sum = sum_of_squares(call, &r, x)?;
    let root = call.unary("sqrt", sum)?;
    Ok(vec![call.cast(root, dtype)?])
}

fn reduce_log_sum(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let r = reduction(call, 18)?;
    let (x, dtype) = as_float(call, r.x)?;
    let sum = r.apply(call, "reduce_sum", x)?;
    let log = call.unary("log", sum)?;
    Ok(vec![call.cast(log, dtype)?])
}

/// `max + log(sum(exp(x - max)))`, so that no intermediate value overflows. An infinite maximum is
/// not subtracted, because the difference would be NaN.
fn reduce_log_sum_exp(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let r = reduction(call, 18)?;
    let (x, dtype) = as_float(call, r.x)?;
    if r.axes.is_empty() {
        let exp = call.unary("exp", x)?;
        let log = call.unary("log", exp)?;
        return Ok(vec![call.cast(log, dtype)?]);
    }
    let max = call.reduce("reduce_max", x, &r.axes, true)?;
    let attrs =
        Attrs::new().with("detect_negative", Attr::Bool(true)).with("detect_positive", Attr::Bool(true));
    let infinite = call.op("is_inf", attrs, &[max])?;
    let zero = call.scalar_like(x, 0.0);
    let max = call.select(infinite, zero, max)?;
    let shifted = call.binary("sub", x, max)?;
    let exp = call.unary("exp", shifted)?;
    let sum = call.reduce("reduce_sum", exp, &r.axes, true)?;
    let log = call.unary("log", sum)?;
    let mut y = call.binary("add", log, max)?;
    if !r.keepdims {
        let dims = call.dims(y);
        let kept =
            dims.into_iter().enumerate().filter(|(d, _)| !r.axes.contains(d)).map(|(_, n)| n).collect();
        y = call.reshape(y, kept)?;
    }
    Ok(vec![call.cast(y, dtype)?])
}

fn arg(call: &mut Call<'_, '_>, op: &str) -> Result<Vec<ValueId>> {
    let x = call.input(0)?;
    let axis = call.axis(0, call.rank(x))?;
    let attrs = Attrs::new()
        .with("axis", Attr::Int(axis as i64))
        .with("keepdims", Attr::Bool(call.flag("keepdims", true)?))
        .with("select_last", Attr::Bool(call.flag("select_last_index", false)?));
    Ok(vec![call.op(op, attrs, &[x])?])
}

fn arg_max(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    arg(call, "arg_max")
}

fn arg_min(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    arg(call, "arg_min")
}

fn cumulative(call: &mut Call<'_, '_>, op: &str) -> Result<Vec<ValueId>> {
    let x = call.input(0)?;
    let rank = call.rank(x);
    if rank == 0 {
        return Err(malformed("the operand is a scalar"));
    }
    let axis = normalised_axis(call.one_int(1, "axis")?, rank)?;
    let attrs = Attrs::new()
        .with("axis", Attr::Int(axis as i64))
        .with("exclusive", Attr::Bool(call.flag("exclusive", false)?))
        .with("reverse", Attr::Bool(call.flag("reverse", false)?));
    Ok(vec![call.op(op, attrs, &[x])?])
}

fn cumsum(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    cumulative(call, "cumsum")
}

fn cumprod(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    cumulative(call, "cumprod")
}
