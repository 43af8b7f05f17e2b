//! Indexing: gather, scatter and selection by value.

use super::{
    Inferred,
    call::{Call, result},
    definition::{AttrDef, AttrKind, OpDef, OperandDef, PLAIN, X, Y, attr, one, opt},
    known,
};
use crate::{
    diagnostic::{Diagnostic, Result},
    dtype::DType,
    expr::Expr,
    requirement::Condition,
    tensor::Element,
    types::TensorType,
};

const DATA_INDICES: &[OperandDef] = &[one("data"), one("indices")];
const SCATTER: &[OperandDef] = &[one("data"), one("indices"), one("updates")];
const REDUCTIONS: &[&str] = &["none", "add", "mul", "max", "min"];

pub(super) fn define(into: &mut Vec<OpDef>) {
    let mut op = |name, summary, operands, results, attributes: &'static [AttrDef], infer| {
        into.push(OpDef { name, summary, operands, results, attributes, traits: PLAIN, infer });
    };
    let axis = const { &[attr("axis", AttrKind::Int)] };
    op(
        "gather",
        "slices of the data along an axis by index; negative indices count from the end",
        DATA_INDICES,
        Y,
        axis,
        gather,
    );
    op(
        "gather_elements",
        "elements of the data, each at its own index along an axis",
        DATA_INDICES,
        Y,
        axis,
        gather_elements,
    );
    let batch = const { &[opt("batch_dims", AttrKind::Int)] };
    op("gather_nd", "slices of the data by index tuples", DATA_INDICES, Y, batch, gather_nd);
    let scatter_axis = const { &[attr("axis", AttrKind::Int), opt("reduction", AttrKind::Str)] };
    op(
        "scatter_elements",
        "the data with updates at given indices along an axis",
        SCATTER,
        Y,
        scatter_axis,
        scatter_elements,
    );
    let reduction = const { &[opt("reduction", AttrKind::Str)] };
    op("scatter_nd", "the data with updates at given index tuples", SCATTER, Y, reduction, scatter_nd);
    op(
        "one_hot",
        "values[1] at the index along a new axis (negative ones count from the end), values[0] elsewhere",
        const { &[one("indices"), one("values")] },
        Y,
        const { &[attr("axis", AttrKind::Int), attr("depth", AttrKind::Exprs)] },
        one_hot,
    );
    const TOP_K: &[AttrDef] = &[
        attr("k", AttrKind::Exprs),
        attr("axis", AttrKind::Int),
        opt("largest", AttrKind::Bool),
        opt("sorted", AttrKind::Bool),
    ];
    op(
        "top_k",
        "the k largest or smallest elements along an axis",
        X,
        const { &[one("values"), one("indices")] },
        TOP_K,
        top_k,
    );
}

/// Demands that constant indices are in bounds along these dimensions of the data. With several dimensions the
/// indices are index tuples, with one dimension single numbers. If a size is a symbol, every run checks it.
fn check_indices(call: &Call<'_>, sizes: &[Expr]) -> Result<()> {
    let Some(indices) = call.optional(1) else { return Ok(()) };
    // The least and the greatest index along each dimension.
    let mut ranges: Vec<Option<(i64, i64)>> = vec![None; sizes.len()];
    let mut meet = |at: usize, index: i64| {
        let range = &mut ranges[at % sizes.len().max(1)];
        let (low, high) = range.unwrap_or((index, index));
        *range = Some((low.min(index), high.max(index)));
    };
    if sizes.is_empty() {
        return Ok(());
    }
    match indices.constant {
        Some(constant) => {
            for at in 0..constant.elements() {
                meet(
                    at,
                    match constant.get(at) {
                        Element::UInt(index) => i64::try_from(index).unwrap_or(i64::MAX),
                        other => other.to_i64(),
                    },
                );
            }
        }
        None => {
            let known = known::of(call, 1).unwrap_or_default();
            known
                .iter()
                .enumerate()
                .filter_map(|(at, i)| Some((at, i.as_const()?)))
                .for_each(|(at, i)| meet(at, i));
        }
    }
    for (size, range) in sizes.iter().zip(ranges) {
        let Some((low, high)) = range else { continue };
        for index in [low, high] {
            let needed = if index < 0 { index.saturating_neg() } else { index.saturating_add(1) };
            if let Some(size) = size.as_const().filter(|&size| size < needed) {
                let message = format!("index {index} is out of range for {size} elements");
                return Err(Diagnostic::user(message).hint(match size {
                    0 => "there is nothing to index; check the shape of the data".into(),
                    _ => {
                        format!("an index is in {} to {}, negative ones count from the end", -size, size - 1)
                    }
                }));
            }
            call.require(Condition::AtLeast(size.clone(), needed), || {
                format!("{size} must be at least {needed} for index {index}")
            });
        }
    }
    Ok(())
}

/// Demands that the indices are no larger than the data, except along `axis`.
fn check_extents(call: &Call<'_>, axis: usize) -> Result<()> {
    let (data, indices) = (call.ty(0)?, call.ty(1)?);
    for (d, (size, given)) in data.dims.iter().zip(&indices.dims).enumerate().filter(|(d, _)| *d != axis) {
        let room = size.clone() - given.clone();
        if room.as_const().is_some_and(|room| room < 0) {
            return Err(call.error(1, format!("is longer than the data's {size} along dimension {d}")));
        }
        call.require(Condition::AtLeast(room, 0), || {
            format!("{given} indices along dimension {d} must be no more than the data's {size}")
        });
    }
    Ok(())
}

fn gather(call: &Call<'_>) -> Result<Vec<Inferred>> {
    call.expect_int(1)?;
    let (data, indices) = (call.ty(0)?, call.ty(1)?);
    let axis = call.axis("axis", data.rank())?;
    let dims = [&data.dims[..axis], &indices.dims, &data.dims[axis + 1..]].concat();
    check_indices(call, &data.dims[axis..=axis])?;
    let positions = known::of(call, 1).filter(|_| data.rank() == 1);
    let known = known::of(call, 0).zip(positions).and_then(|(elements, positions)| {
        let count = elements.len() as i64;
        let at = |i: &Expr| {
            let i = i.as_const()?;
            elements.get(usize::try_from(if i < 0 { i.checked_add(count)? } else { i }).ok()?).cloned()
        };
        positions.iter().map(at).collect()
    });
    Ok(vec![Inferred { ty: TensorType::new(data.dtype, dims), known }])
}

fn gather_elements(call: &Call<'_>) -> Result<Vec<Inferred>> {
    call.expect_int(1)?;
    let (data, indices) = (call.ty(0)?, call.ty(1)?);
    call.expect_rank(1, data.rank())?;
    let axis = call.axis("axis", data.rank())?;
    check_indices(call, &data.dims[axis..=axis])?;
    check_extents(call, axis)?;
    Ok(result(data.dtype, indices.dims.clone()))
}

/// Length of the index tuples: the last dimension of the indices, which must be a constant.
fn tuple_length(call: &Call<'_>, most: usize) -> Result<usize> {
    let indices = call.ty(1)?;
    let Some(last) = indices.dims.last() else {
        return Err(call.error(1, "must have rank 1 at least"));
    };
    let Some(length) = last.as_const() else {
        return Err(Diagnostic::unsupported(format!(
            "the length of the index tuples, '{last}', is not a constant"
        ))
        .hint("give that dimension a size with --shape"));
    };
    usize::try_from(length)
        .ok()
        .filter(|&n| n <= most)
        .ok_or_else(|| call.error(1, format!("has index tuples of {length} for {most} dimensions")))
}

fn gather_nd(call: &Call<'_>) -> Result<Vec<Inferred>> {
    call.expect_int(1)?;
    let (data, indices) = (call.ty(0)?, call.ty(1)?);
    let batch = call.attrs.int("batch_dims", 0);
    let limit = data.rank().min(indices.rank().saturating_sub(1));
    let batch = usize::try_from(batch).ok().filter(|&b| b <= limit);
    let batch = batch.ok_or_else(|| call.attr_error("batch_dims", format!("must be in 0 to {limit}")))?;
    let length = tuple_length(call, data.rank() - batch)?;
    let mut dims = indices.dims[..indices.rank() - 1].to_vec();
    for (dim, size) in dims.iter_mut().zip(&data.dims[..batch]) {
        *dim = call.equal(dim, size, "be the batches of data and indices")?;
    }
    check_indices(call, &data.dims[batch..batch + length])?;
    dims.extend_from_slice(&data.dims[batch + length..]);
    Ok(result(data.dtype, dims))
}

fn check_reduction(call: &Call<'_>) -> Result<()> {
    call.expect_int(1)?;
    call.expect_same_dtype(0, 2)?;
    let reduction = call.choice("reduction", REDUCTIONS)?;
    if reduction != "none" && call.ty(0)?.dtype == DType::Bool {
        return Err(call.error(0, format!("must have numeric elements for reduction '{reduction}'")));
    }
    Ok(())
}

fn scatter_elements(call: &Call<'_>) -> Result<Vec<Inferred>> {
    check_reduction(call)?;
    let data = call.ty(0)?;
    let axis = call.axis("axis", data.rank())?;
    call.expect_rank(1, data.rank())?;
    call.expect_rank(2, data.rank())?;
    check_indices(call, &data.dims[axis..=axis])?;
    check_extents(call, axis)?;
    for (a, b) in call.ty(1)?.dims.iter().zip(&call.ty(2)?.dims) {
        call.equal(a, b, "be the dimensions of indices and updates")?;
    }
    Ok(result(data.dtype, data.dims.clone()))
}

fn scatter_nd(call: &Call<'_>) -> Result<Vec<Inferred>> {
    check_reduction(call)?;
    let (data, indices) = (call.ty(0)?, call.ty(1)?);
    let length = tuple_length(call, data.rank())?;
    let wanted = [&indices.dims[..indices.rank() - 1], &data.dims[length..]].concat();
    call.expect_rank(2, wanted.len())?;
    for (a, b) in wanted.iter().zip(&call.ty(2)?.dims) {
        call.equal(a, b, "be the dimensions of indices, data and updates")?;
    }
    check_indices(call, &data.dims[..length])?;
    Ok(result(data.dtype, data.dims.clone()))
}

fn one_hot(call: &Call<'_>) -> Result<Vec<Inferred>> {
    call.expect_dtype(0, |d| d != DType::Bool, "numeric")?;
    call.expect_rank(1, 1)?;
    let (indices, values) = (call.ty(0)?, call.ty(1)?);
    call.equal(&values.dims[0], &Expr::from(2), "be the number of values and 2")?;
    let axis = call.axis("axis", indices.rank() + 1)?;
    let mut dims = indices.dims.clone();
    dims.insert(axis, call.size("depth")?);
    Ok(result(values.dtype, dims))
}

fn top_k(call: &Call<'_>) -> Result<Vec<Inferred>> {
    call.expect_dtype(0, |d| d != DType::Bool, "numeric")?;
    let x = call.ty(0)?;
    let axis = call.axis("axis", x.rank())?;
    let k = call.size("k")?;
    if let (Some(k), Some(size)) = (k.as_const(), x.dims[axis].as_const())
        && k > size
    {
        return Err(call.attr_error("k", format!("is {k}, but axis {axis} has only {size} elements")));
    }
    call.require(Condition::AtLeast(x.dims[axis].clone() - k.clone(), 0), || {
        format!("{k} elements cannot be taken of {}", x.dims[axis])
    });
    let mut dims = x.dims.clone();
    dims[axis] = k;
    let mut results = result(x.dtype, dims.clone());
    results.extend(result(DType::I64, dims));
    Ok(results)
}
