//! Parts of tensors.

use crate::{
    call::{Call, malformed, normalised_axis},
    registry::{Import::Function, Operator},
};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    expr::{Expr, Interval},
    graph::ValueId,
    requirement::Condition,
};

pub(super) const OPERATORS: &[Operator] =
    &[Operator::new("Slice", 1, Function(slice)), Operator::new("Split", 1, Function(split))];

/// Whether an expression is negative for all sizes of symbols.
fn is_negative(e: &Expr) -> bool {
    e.interval(&|_| Interval::ALL).high.is_some_and(|high| high < 0)
}

/// Whether an expression is at least 0 for all sizes of symbols.
pub(super) fn is_non_negative(e: &Expr) -> bool {
    e.interval(&|_| Interval::ALL).low.is_some_and(|low| low >= 0)
}

/// The smaller expression, without a `min` if the order is decided for all sizes of symbols.
fn smaller(a: &Expr, b: &Expr) -> Expr {
    if is_non_negative(&(b.clone() - a.clone())) {
        a.clone()
    } else if is_non_negative(&(a.clone() - b.clone())) {
        b.clone()
    } else {
        a.minimum(b)
    }
}

fn larger(a: &Expr, b: &Expr) -> Expr {
    if is_non_negative(&(b.clone() - a.clone())) {
        b.clone()
    } else if is_non_negative(&(a.clone() - b.clone())) {
        a.clone()
    } else {
        a.maximum(b)
    }
}

/// Start and size of `start..end` in steps of `step` in a dimension of `size` elements, by numpy's
/// rules. A symbolic bound of unknown sign is assumed to count from the begin.
fn slice_of(size: &Expr, start: &Expr, end: &Expr, step: i64) -> (Expr, Expr) {
    let zero = Expr::from(0);
    let absolute =
        |bound: &Expr| if is_negative(bound) { bound.clone() + size.clone() } else { bound.clone() };
    let limit = |bound: Expr, low: &Expr, high: &Expr| larger(&smaller(&bound, high), low);
    if step > 0 {
        let start = limit(absolute(start), &zero, size);
        // The greatest integers stand for "to the end".
        let end = match end.as_const() {
            Some(e) if e >= i64::from(i32::MAX) => size.clone(),
            _ => limit(absolute(end), &zero, size),
        };
        let count = (end - start.clone()).ceil_div(&Expr::from(step));
        return (start, larger(&count, &zero));
    }
    let last = size.clone() - Expr::from(1);
    let before = Expr::from(-1);
    let start = match start.as_const() {
        Some(s) if s >= i64::from(i32::MAX) => last.clone(),
        _ => limit(absolute(start), &before, &last),
    };
    let end = match end.as_const() {
        Some(e) if e <= i64::from(i32::MIN) => before,
        _ => limit(absolute(end), &before, &last),
    };
    let count = (start.clone() - end).ceil_div(&Expr::from(step.saturating_neg()));
    (start, larger(&count, &zero))
}

/// Bounds are attributes before opset 10, operands afterwards.
fn slice(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let x = call.input(0)?;
    let starts = call.exprs_before(10, "starts", 1)?.ok_or_else(|| malformed("the starts are missing"))?;
    let ends = call.exprs_before(10, "ends", 2)?.ok_or_else(|| malformed("the ends are missing"))?;
    let axes = call.ints_before(10, "axes", 3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = match call.optional(4).filter(|_| call.opset >= 10) {
        Some(steps) => call.int_operand(steps, "steps")?,
        None => vec![1; starts.len()],
    };
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err(malformed("starts, ends, axes and steps are of different lengths"));
    }
    let dims = call.dims(x);
    let mut all_starts = vec![Expr::from(0); dims.len()];
    let (mut all_sizes, mut all_steps) = (dims.clone(), vec![1; dims.len()]);
    for (i, &axis) in axes.iter().enumerate() {
        let d = normalised_axis(axis, dims.len())?;
        if steps[i] == 0 {
            return Err(malformed("a step is 0"));
        }
        // A step beyond any dimension takes one element; the limit keeps arithmetic from overflowing.
        let step = steps[i].clamp(-(1 << 48), 1 << 48);
        (all_starts[d], all_sizes[d]) = slice_of(&dims[d], &starts[i], &ends[i], step);
        all_steps[d] = step;
    }
    if all_sizes == dims && all_steps.iter().all(|&s| s == 1) {
        return Ok(vec![x]);
    }
    Ok(vec![call.slice(x, all_starts, all_sizes, all_steps)?])
}

/// The sizes are given, or the parts are as equal as possible and the last one may be smaller.
fn split(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let x = call.input(0)?;
    let dims = call.dims(x);
    let axis = call.axis(0, dims.len())?;
    let parts = call.outputs.len() as i64;
    if call.attributes.int("num_outputs")?.is_some_and(|n| n != parts) {
        return Err(malformed(format!("attribute 'num_outputs' does not fit the node's {parts} outputs")));
    }
    let sizes = match call.exprs_before(13, "split", 1)? {
        Some(sizes) => sizes,
        None => {
            let size = &dims[axis];
            let part = size.ceil_div(&Expr::from(parts));
            let last = size.clone() - part.clone() * Expr::from(parts - 1);
            if last.as_const().is_some_and(|n| n < 0) {
                return Err(malformed(format!("{size} elements cannot be split into {parts} parts")));
            }
            let mut sizes = vec![part; call.outputs.len()];
            if let Some(end) = sizes.last_mut() {
                *end = last;
            }
            sizes
        }
    };
    let total = sizes.iter().fold(Expr::from(0), |sum, s| sum + s.clone());
    if sizes.len() != call.outputs.len()
        || (total.clone() - dims[axis].clone()).as_const().is_some_and(|n| n != 0)
    {
        return Err(malformed(format!("sizes {sizes:?} do not split {} elements", dims[axis])));
    }
    if sizes.iter().any(is_negative) {
        return Err(Diagnostic::user(format!("sizes {sizes:?} of a split are negative")));
    }
    let size = &dims[axis];
    call.require(Condition::Equal(size.clone(), total.clone()), || {
        format!("{size} must equal {total} to be split")
    });
    let mut start = Expr::from(0);
    let mut results = Vec::with_capacity(sizes.len());
    for size in sizes {
        results.push(call.slice_axis(x, axis, start.clone(), size.clone())?);
        start = start + size;
    }
    Ok(results)
}
