//! Known values: the elements of small integer tensors as symbolic integers.

use super::{Operand, call::Call};
use crate::{
    dtype::DType,
    expr::{Expr, Interval},
};

/// Larger tensors are not followed element by element.
pub(super) const MAX_KNOWN: usize = 1024;

/// The elements of an operand, if they are known: small, integer or `Bool`, of rank 0 or 1.
pub(super) fn elements(operand: Operand<'_>) -> Option<Vec<Expr>> {
    if operand.ty.rank() > 1 || operand.ty.dtype.is_float() {
        return None;
    }
    if let Some(known) = operand.known {
        return Some(known.to_vec());
    }
    let constant = operand.constant.filter(|t| t.elements() <= MAX_KNOWN)?;
    // Beyond the range of i64 there is no expression for the value.
    let fits =
        constant.dtype != DType::U64 || (0..constant.elements()).all(|i| constant.get(i).to_u64() >> 63 == 0);
    fits.then(|| constant.to_i64().into_iter().map(Expr::from).collect())
}

/// The elements of operand `i`, if they are known.
pub(super) fn of(call: &Call<'_>, i: usize) -> Option<Vec<Expr>> {
    call.optional(i).and_then(elements)
}

/// The range of values; symbols are sizes, so at least 0.
fn range(e: &Expr) -> Interval {
    e.interval(&|_| Interval::ALL)
}

pub(super) fn is_non_negative(e: &Expr) -> bool {
    range(e).low >= Some(0)
}

/// Whether `a < b` (or `a <= b`), if it is the same for all sizes.
fn less(a: &Expr, b: &Expr, or_equal: bool) -> Option<bool> {
    let difference = range(&(b.clone() - a.clone()));
    let least = i64::from(!or_equal);
    if difference.low? >= least {
        return Some(true);
    }
    None
}

/// A comparison's value, if it is the same for all sizes.
pub(super) fn compare(op: &str, a: &Expr, b: &Expr) -> Option<Expr> {
    let decide = |a: &Expr, b: &Expr, or_equal: bool| match less(a, b, or_equal) {
        Some(v) => Some(v),
        None => less(b, a, !or_equal).map(|v| !v),
    };
    let value = match op {
        "less" => decide(a, b, false)?,
        "less_equal" => decide(a, b, true)?,
        "greater" => decide(b, a, false)?,
        "greater_equal" => decide(b, a, true)?,
        "equal" if a == b => true,
        "equal" => {
            let difference = range(&(a.clone() - b.clone()));
            let excludes_zero = difference.low > Some(0) || difference.high.is_some_and(|h| h < 0);
            if !excludes_zero {
                return None;
            }
            false
        }
        _ => return None,
    };
    Some(Expr::from(i64::from(value)))
}

/// An arithmetic operator's value, if there is an expression for it. The value must fit `dtype`: a
/// constant that would wrap is unknown.
pub(super) fn arithmetic(op: &str, fmod: bool, dtype: DType, a: &Expr, b: &Expr) -> Option<Expr> {
    let value = match op {
        "add" => a.clone() + b.clone(),
        "sub" => a.clone() - b.clone(),
        "mul" => a.clone() * b.clone(),
        "div" => match (a.as_const(), b.as_const()) {
            (Some(a), Some(b)) => Expr::from(a.checked_div(b)?),
            _ if is_non_negative(a) && range(b).low >= Some(1) => a.floor_div(b),
            // A symbol may be 0, for which division is undefined in the model as well.
            _ if is_non_negative(a) && is_non_negative(b) && !b.is(0) => a.floor_div(b),
            _ => return None,
        },
        "mod" => match b.as_const() {
            Some(d) if d > 0 && (!fmod || is_non_negative(a)) => a.modulo(b),
            Some(_) => return None,
            None if is_non_negative(a) && is_non_negative(b) => a.modulo(b),
            None => return None,
        },
        "min" => pick(a, b, true),
        "max" => pick(a, b, false),
        "and" if a.is(0) || b.is(0) => Expr::from(0),
        "and" if a.is(1) && b.is(1) => Expr::from(1),
        "or" if a.is(1) || b.is(1) => Expr::from(1),
        "or" if a.is(0) && b.is(0) => Expr::from(0),
        _ => return None,
    };
    match value.as_const() {
        Some(v) if !fits(dtype, v) => None,
        _ => Some(value),
    }
}

fn pick(a: &Expr, b: &Expr, smaller: bool) -> Expr {
    let (low, high) = if less(a, b, true) == Some(true) {
        (a, b)
    } else if less(b, a, true) == Some(true) {
        (b, a)
    } else {
        return if smaller { a.minimum(b) } else { a.maximum(b) };
    };
    if smaller { low.clone() } else { high.clone() }
}

/// Whether `value` is a value of `dtype`; the extremes of `i64` also stand for saturated arithmetic.
pub(super) fn fits(dtype: DType, value: i64) -> bool {
    let (low, high) = dtype.limits();
    match dtype {
        DType::I64 => value > i64::MIN && value < i64::MAX,
        DType::U64 => (0..i64::MAX).contains(&value),
        _ => !dtype.is_float() && (low..=high).contains(&i128::from(value)),
    }
}

/// The elements of the operands at one place of the result, for an elementwise operator: scalars
/// and tensors of one element repeat.
pub(super) fn zip(operands: &[Vec<Expr>], count: usize) -> Option<Vec<Vec<Expr>>> {
    let at = |e: &Vec<Expr>, i: usize| if e.len() == 1 { e.first().cloned() } else { e.get(i).cloned() };
    (0..count).map(|i| operands.iter().map(|e| at(e, i)).collect()).collect()
}
