//! Indexing: gathers and selection by value. Indices out of range are the user's error.

use super::{Call, wrap_index};
use crate::{
    array::{around, collect, count, offsets, strides, tensor},
    scalar::compare,
};
use mlcc_ir::{
    diagnostic::Result,
    dtype::DType,
    scalar::Predicate,
    tensor::{Element, Tensor},
};
use std::cmp::Ordering;

/// Every index of a tensor as a position in `0..size`.
fn positions(indices: &Tensor, size: i64) -> Result<Vec<usize>> {
    (0..indices.elements()).map(|i| wrap_index(indices.get(i), size)).collect()
}

pub(super) fn gather(call: &Call<'_>) -> Result<Vec<Tensor>> {
    let data = call.operand(0)?;
    let axis = call.axis("axis");
    let (outer, inner) = around(&data.dims, axis);
    let size = data.dims[axis];
    let run = inner * data.dtype.size();
    let positions = positions(call.operand(1)?, size)?;
    let mut out = Vec::with_capacity(outer * positions.len() * run);
    for o in 0..outer {
        for &p in &positions {
            out.extend_from_slice(&data.data[(o * size as usize + p) * run..][..run]);
        }
    }
    Ok(vec![tensor(data.dtype, call.dims(), out)?])
}

pub(super) fn gather_elements(call: &Call<'_>) -> Result<Vec<Tensor>> {
    let (data, indices) = (call.operand(0)?, call.operand(1)?);
    let axis = call.axis("axis");
    let positions = positions(indices, data.dims[axis])?;
    let mut steps = strides(&data.dims);
    let along = std::mem::replace(&mut steps[axis], 0);
    // Other dimensions of the indices may be smaller than the data's, not larger.
    for d in (0..data.dims.len()).filter(|&d| d != axis && indices.dims[d] > data.dims[d]) {
        wrap_index(Element::Int(indices.dims[d] - 1), data.dims[d])?;
    }
    let size = data.dtype.size();
    let mut out = Vec::with_capacity(positions.len() * size);
    for ([base], p) in offsets(&indices.dims, [&steps]).zip(positions) {
        out.extend_from_slice(&data.data[(base + along * p as i64) as usize * size..][..size]);
    }
    Ok(vec![tensor(data.dtype, call.dims(), out)?])
}

/// Offset of the slice at an index tuple, in elements; `dims` are the dimensions indexed and `steps`
/// their strides.
pub(super) fn tuple_offset(indices: &Tensor, tuple: usize, dims: &[i64], steps: &[i64]) -> Result<usize> {
    let mut offset = 0;
    for (k, (&dim, &step)) in dims.iter().zip(steps).enumerate() {
        offset += wrap_index(indices.get(tuple * dims.len() + k), dim)? * step as usize;
    }
    Ok(offset)
}

pub(super) fn gather_nd(call: &Call<'_>) -> Result<Vec<Tensor>> {
    let (data, indices) = (call.operand(0)?, call.operand(1)?);
    let batch = call.attrs.int("batch_dims", 0) as usize;
    let Some((&length, tuple_dims)) = indices.dims.split_last() else { return Err(call.no_function()) };
    let indexed = batch..batch + length as usize;
    let steps = strides(&data.dims);
    let run = count(&data.dims[indexed.end..]);
    let size = data.dtype.size();
    let per_batch = count(&data.dims[batch..]);
    let tuples_per_batch = count(&tuple_dims[batch..]).max(1);
    let mut out = Vec::with_capacity(count(call.dims()) * size);
    for tuple in 0..count(tuple_dims) {
        let first = tuple / tuples_per_batch * per_batch;
        let at = first + tuple_offset(indices, tuple, &data.dims[indexed.clone()], &steps[indexed.clone()])?;
        out.extend_from_slice(&data.data[at * size..][..run * size]);
    }
    Ok(vec![tensor(data.dtype, call.dims(), out)?])
}

pub(super) fn one_hot(call: &Call<'_>) -> Result<Vec<Tensor>> {
    let (indices, values) = (call.operand(0)?, call.operand(1)?);
    let axis = call.axis("axis");
    let (outer, inner) = around(call.dims(), axis);
    let depth = call.dims()[axis];
    let mut out = Vec::with_capacity(count(call.dims()));
    for o in 0..outer {
        for k in 0..depth {
            for i in 0..inner {
                // An index out of range gives no 1 anywhere.
                let index = indices.get(o * inner + i).to_i64();
                let index = if index < 0 { index.saturating_add(depth) } else { index };
                out.push(Ok(values.get(usize::from(index == k))));
            }
        }
    }
    Ok(vec![collect(values.dtype, call.dims(), out)?])
}

pub(super) fn top_k(call: &Call<'_>) -> Result<Vec<Tensor>> {
    let x = call.operand(0)?;
    let axis = call.axis("axis");
    let largest = call.attrs.bool("largest", true);
    let (outer, inner) = around(&x.dims, axis);
    let (size, k) = (x.dims[axis] as usize, call.dims()[axis] as usize);
    let total = count(call.dims());
    let mut values = vec![Element::Int(0); total];
    let mut indices = vec![Element::Int(0); total];
    for o in 0..outer {
        for i in 0..inner {
            let value = |e: usize| x.get((o * size + e) * inner + i);
            let mut order: Vec<usize> = (0..size).collect();
            // The sort is stable: of equal elements the one with the lower index comes first.
            order.sort_by(|&a, &b| descending(value(a), value(b), largest));
            for (rank, &e) in order.iter().take(k).enumerate() {
                let at = (o * k + rank) * inner + i;
                (values[at], indices[at]) = (value(e), Element::Int(e as i64));
            }
        }
    }
    let values = collect(x.dtype, call.dims(), values.into_iter().map(Ok))?;
    Ok(vec![values, collect(DType::I64, call.dims(), indices.into_iter().map(Ok))?])
}

/// Order of two elements, the wanted one first; NaN is the largest, as in numpy.
fn descending(a: Element, b: Element, largest: bool) -> Ordering {
    let is_nan = |e: Element| matches!(e, Element::Float(v) if v.is_nan());
    let order = match (is_nan(a), is_nan(b)) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        _ if compare(Predicate::Gt, a, b) => Ordering::Less,
        _ if compare(Predicate::Lt, a, b) => Ordering::Greater,
        _ => Ordering::Equal,
    };
    if largest { order } else { order.reverse() }
}
