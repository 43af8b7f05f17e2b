//! Sizes: broadcasting and equality of symbolic dimensions, bounds of results.

use crate::{
    diagnostic::{Diagnostic, Result},
    expr::{Atom, Expr},
    types::TensorType,
};

/// The dimensions of two tensors broadcast against each other, by numpy's rules.
///
/// # Errors
/// If two dimensions are not equal and cannot be assumed to be equal.
pub fn broadcast(a: &[Expr], b: &[Expr]) -> Result<Vec<Expr>> {
    let rank = a.len().max(b.len());
    let one = Expr::from(1);
    let dim =
        |dims: &[Expr], d: usize| (d + dims.len()).checked_sub(rank).map_or(one.clone(), |d| dims[d].clone());
    (0..rank).map(|d| broadcast_dim(&dim(a, d), &dim(b, d))).collect()
}

/// The size of two dimensions broadcast against each other. Between a symbol and a constant, equality
/// is assumed, as ONNX does.
///
/// # Errors
/// If the sizes are different constants other than 1, or different symbolic expressions.
pub fn broadcast_dim(a: &Expr, b: &Expr) -> Result<Expr> {
    if a == b || b.is(1) || is_at_least_one(a, b) {
        return Ok(a.clone());
    }
    if a.is(1) || is_at_least_one(b, a) {
        return Ok(b.clone());
    }
    equal(a, b, "broadcast against each other")
}

/// Whether `b` is `max(a, 1)`. Broadcasting it with `a` gives `a`: if they differ, `b` is 1.
pub(super) fn is_at_least_one(a: &Expr, b: &Expr) -> bool {
    matches!(b.as_atom(), Some(Atom::Max(ab)) if (ab.0 == *a && ab.1.is(1)) || (ab.1 == *a && ab.0.is(1)))
}

/// Whether `a` is `min(b, c)` with a constant `c`.
fn is_bounded(a: &Expr, b: &Expr) -> bool {
    matches!(a.as_atom(), Some(Atom::Min(xy)) if (xy.0 == *b && xy.1.as_const().is_some())
        || (xy.1 == *b && xy.0.as_const().is_some()))
}

/// Whether a tensor of dimensions `from` can be broadcast to dimensions `to`, where a symbol may equal
/// any constant.
pub(super) fn broadcasts_to(from: &[Expr], to: &[Expr]) -> bool {
    let fits = |(a, b): (&Expr, &Expr)| {
        a == b
            || a.is(1)
            || a.as_const().is_some() != b.as_const().is_some()
            || is_bounded(a, b)
            || is_bounded(b, a)
    };
    from.len() <= to.len() && from.iter().rev().zip(to.iter().rev()).all(fits)
}

/// The size of two dimensions that must be equal; `what` names the purpose, as in `sizes 3 and 4
/// cannot <what>`.
pub(super) fn equal(a: &Expr, b: &Expr, what: &str) -> Result<Expr> {
    if a == b {
        return Ok(a.clone());
    }
    match (a.as_const(), b.as_const()) {
        (Some(_), Some(_)) => Err(Diagnostic::user(format!("sizes {a} and {b} cannot {what}"))),
        (Some(_), None) => Ok(a.clone()),
        (None, Some(_)) => Ok(b.clone()),
        // A table of positions is cut to the sequence's length. The sizes are equal whenever the model
        // is used as intended. The plan checks it when the sizes are known.
        (None, None) if is_bounded(a, b) => Ok(b.clone()),
        (None, None) if is_bounded(b, a) => Ok(a.clone()),
        (None, None) => Err(Diagnostic::user(format!(
            "sizes '{a}' and '{b}' cannot {what} unless they are equal"
        ))
        .hint(format!(
            "give the inputs' dimensions in '{a}' and '{b}' a size with --shape, or one name in the model"
        ))),
    }
}

/// Bytes of the largest tensor: more than the memory of any machine that will run this code.
const MAX_BYTES: i64 = 1 << 40;

/// Refuses negative sizes and tensors of more bytes than memory has.
pub(super) fn check_dims(ty: &TensorType) -> Result<()> {
    let mut bytes = ty.dtype.size() as i64;
    let too_large = || {
        Diagnostic::user(format!("the result is too large: {ty}"))
            .hint(format!("a tensor may have {MAX_BYTES} bytes at most"))
    };
    let mut empty = false;
    for dim in ty.dims.iter().filter_map(Expr::as_const) {
        if dim < 0 {
            return Err(Diagnostic::user(format!("the result would have a negative size: {ty}")));
        }
        empty |= dim == 0;
        bytes = bytes.checked_mul(dim.max(1)).ok_or_else(too_large)?;
    }
    if bytes > MAX_BYTES && !empty { Err(too_large()) } else { Ok(()) }
}
