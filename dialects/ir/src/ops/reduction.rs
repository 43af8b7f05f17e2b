//! Reductions over axes, softmax and its like, cumulative sums.

use super::{
    Inferred,
    call::{Call, result},
    definition::{AttrDef, AttrKind, OpDef, PLAIN, X, Y, attr, opt},
    known,
};
use crate::{diagnostic::Result, dtype::DType, expr::Expr, requirement::Condition};

const REDUCE: &[AttrDef] = &[attr("axes", AttrKind::Ints), opt("keepdims", AttrKind::Bool)];
const ARG: &[AttrDef] =
    &[attr("axis", AttrKind::Int), opt("keepdims", AttrKind::Bool), opt("select_last", AttrKind::Bool)];
const AXIS: &[AttrDef] = &[attr("axis", AttrKind::Int)];
const CUMULATIVE: &[AttrDef] =
    &[attr("axis", AttrKind::Int), opt("exclusive", AttrKind::Bool), opt("reverse", AttrKind::Bool)];

pub(super) fn define(into: &mut Vec<OpDef>) {
    let mut unary = |name, summary, attributes, infer| {
        into.push(OpDef { name, summary, operands: X, results: Y, attributes, traits: PLAIN, infer });
    };
    unary("reduce_sum", "sum over axes", REDUCE, reduce);
    unary("reduce_mean", "mean over axes; integers truncate", REDUCE, reduce);
    unary("reduce_max", "maximum over axes; NaN if any is; logical or on bool", REDUCE, reduce);
    unary("reduce_min", "minimum over axes; NaN if any is; logical and on bool", REDUCE, reduce);
    unary("reduce_prod", "product over axes", REDUCE, reduce);
    unary("arg_max", "index of the first (or last) maximum along an axis", ARG, arg);
    unary("arg_min", "index of the first (or last) minimum along an axis", ARG, arg);
    unary("softmax", "exp(x) divided by its sum along an axis", AXIS, along_axis);
    unary("log_softmax", "x minus the logarithm of the sum of exp(x) along an axis", AXIS, along_axis);
    unary("hardmax", "1 at the first maximum along an axis, else 0", AXIS, along_axis);
    unary("cumsum", "sums of the elements up to each one along an axis", CUMULATIVE, along_axis);
    unary("cumprod", "products of the elements up to each one along an axis", CUMULATIVE, along_axis);
}

/// The dimensions without `axes`, or with 1 in their place.
fn reduced(dims: &[Expr], axes: &[usize], keepdims: bool) -> Vec<Expr> {
    let keep = |(d, size): (usize, &Expr)| match axes.contains(&d) {
        true => keepdims.then(|| Expr::from(1)),
        false => Some(size.clone()),
    };
    dims.iter().enumerate().filter_map(keep).collect()
}

fn reduce(call: &Call<'_>) -> Result<Vec<Inferred>> {
    let op = call.def.name;
    if !matches!(op, "reduce_max" | "reduce_min") {
        call.expect_dtype(0, |d| d != DType::Bool, "numeric")?;
    }
    let x = call.ty(0)?;
    let axes = call.axes("axes", x.rank())?;
    let mut results = result(x.dtype, reduced(&x.dims, &axes, call.attrs.bool("keepdims", true)));
    if let Some(elements) = known::of(call, 0) {
        let fold = |op: &str, start: i64| {
            let start = Some(Expr::from(start));
            elements.iter().fold(start, |n, e| known::arithmetic(op, false, x.dtype, &n?, e))
        };
        let extreme = |op: &str| {
            let (first, rest) = elements.split_first()?;
            rest.iter().try_fold(first.clone(), |n, e| known::arithmetic(op, false, x.dtype, &n, e))
        };
        results[0].known = match op {
            _ if axes.is_empty() => Some(elements),
            "reduce_prod" => fold("mul", 1).map(|e| vec![e]),
            "reduce_sum" => fold("add", 0).map(|e| vec![e]),
            "reduce_max" => extreme("max").map(|e| vec![e]),
            "reduce_min" => extreme("min").map(|e| vec![e]),
            _ => None,
        };
    }
    Ok(results)
}

fn arg(call: &Call<'_>) -> Result<Vec<Inferred>> {
    call.expect_dtype(0, |d| d != DType::Bool, "numeric")?;
    let x = call.ty(0)?;
    let axis = call.axis("axis", x.rank())?;
    if x.dims[axis].is(0) {
        return Err(call.error(0, format!("has no elements along axis {axis}")));
    }
    call.require(Condition::AtLeast(x.dims[axis].clone(), 1), || format!("{} must not be 0", x.dims[axis]));
    Ok(result(DType::I64, reduced(&x.dims, &[axis], call.attrs.bool("keepdims", true))))
}

fn along_axis(call: &Call<'_>) -> Result<Vec<Inferred>> {
    if call.def.name.starts_with("cum") {
        call.expect_dtype(0, |d| d != DType::Bool, "numeric")?;
    } else {
        call.expect_float(0)?;
    }
    let x = call.ty(0)?;
    call.axis("axis", x.rank())?;
    Ok(result(x.dtype, x.dims.clone()))
}
