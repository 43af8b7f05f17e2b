//! Movement: bytes are copied, elements never converted.

use super::{Call, wrap_index};
use crate::array::{around, broadcast_strides, count, offsets, scalar, strides, tensor, view};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    tensor::{Element, Tensor, push_element},
};

/// The same bytes with the result's dimensions.
pub(super) fn reshape(call: &Call<'_>) -> Result<Vec<Tensor>> {
    Ok(vec![tensor(call.dtype(), call.dims(), call.operand(0)?.data.clone())?])
}

pub(super) fn transpose(call: &Call<'_>) -> Result<Vec<Tensor>> {
    let x = call.operand(0)?;
    let from = strides(&x.dims);
    let steps: Vec<i64> = call.ints("perm", 0, 0).iter().map(|&d| from[d as usize]).collect();
    Ok(vec![view(x, 0, call.dims(), &steps)?])
}

pub(super) fn concat(call: &Call<'_>) -> Result<Vec<Tensor>> {
    let axis = call.axis("axis");
    let mut data = Vec::with_capacity(count(call.dims()) * call.dtype().size());
    let (outer, inner) = around(call.dims(), axis);
    for o in 0..outer {
        for i in 0..call.operands.len() {
            let x = call.operand(i)?;
            let run = x.dims[axis] as usize * inner * x.dtype.size();
            data.extend_from_slice(&x.data[o * run..][..run]);
        }
    }
    Ok(vec![tensor(call.dtype(), call.dims(), data)?])
}

pub(super) fn slice(call: &Call<'_>) -> Result<Vec<Tensor>> {
    let x = call.operand(0)?;
    let rank = x.dims.len();
    let starts = call.sizes("starts", rank)?;
    let from = strides(&x.dims);
    let base =
        starts.iter().zip(&from).map(|(&start, &step)| start.wrapping_mul(step)).fold(0, i64::wrapping_add);
    let steps = call.ints("steps", rank, 1);
    let steps: Vec<i64> = steps.iter().zip(&from).map(|(&step, &stride)| step.wrapping_mul(stride)).collect();
    Ok(vec![view(x, base, call.dims(), &steps)?])
}

pub(super) fn expand(call: &Call<'_>) -> Result<Vec<Tensor>> {
    let x = call.operand(0)?;
    let steps = broadcast_strides(&x.dims, call.dims());
    let steps =
        steps.ok_or_else(|| Diagnostic::user(format!("{} does not broadcast to the shape", x.ty())))?;
    Ok(vec![view(x, 0, call.dims(), &steps)?])
}

pub(super) fn tile(call: &Call<'_>) -> Result<Vec<Tensor>> {
    let x = call.operand(0)?;
    let repeats = call.sizes("repeats", x.dims.len())?;
    // Every dimension becomes two: the repetition, and the one repeated.
    let dims: Vec<i64> = repeats.iter().zip(&x.dims).flat_map(|(&r, &d)| [r, d]).collect();
    let steps: Vec<i64> = strides(&x.dims).into_iter().flat_map(|s| [0, s]).collect();
    Ok(vec![Tensor { dims: call.dims().to_vec(), ..view(x, 0, &dims, &steps)? }])
}

/// The bytes of one element.
fn element_bytes(call: &Call<'_>, value: Element) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8);
    push_element(call.dtype(), &mut bytes, value);
    bytes
}

/// For each position along a dimension: the position in the source, or `None` for the fill value.
type Positions = Vec<Option<i64>>;

/// A tensor of the elements of `x` at given positions in each dimension.
fn remap(call: &Call<'_>, x: &Tensor, positions: &[Positions], fill: &[u8]) -> Result<Tensor> {
    let size = x.dtype.size();
    let mut data = Vec::with_capacity(count(call.dims()) * size);
    let steps = strides(&x.dims);
    let Some((last, outer)) = positions.split_last() else {
        return tensor(x.dtype, call.dims(), x.data.clone());
    };
    let outer_dims: Vec<i64> = outer.iter().map(|p| p.len() as i64).collect();
    let step_of = strides(&outer_dims);
    for row in 0..count(&outer_dims) as i64 {
        let at = |d: usize| outer[d][(row / step_of[d] % outer_dims[d]) as usize].map(|p| p * steps[d]);
        let base = (0..outer.len()).try_fold(0, |sum, d| Some(sum + at(d)?));
        for &position in last {
            match base.zip(position) {
                Some((base, p)) => data.extend_from_slice(&x.data[(base + p) as usize * size..][..size]),
                None => data.extend_from_slice(fill),
            }
        }
    }
    tensor(x.dtype, call.dims(), data)
}

pub(super) fn pad(call: &Call<'_>) -> Result<Vec<Tensor>> {
    let x = call.operand(0)?;
    let rank = x.dims.len();
    let pads = call.sizes("pads", 2 * rank)?;
    let mode = call.attrs.str("mode", "constant");
    let position = |i: i64, size: i64| match mode {
        "edge" if size > 0 => Some(i.clamp(0, size - 1)),
        "wrap" if size > 0 => Some(i.rem_euclid(size)),
        "reflect" if size > 0 => {
            let period = (2 * (size - 1)).max(1);
            let i = i.rem_euclid(period);
            Some(i.min(period - i).min(size - 1))
        }
        _ => Some(i).filter(|i| (0..size).contains(i)),
    };
    let positions: Vec<Positions> =
        (0..rank).map(|d| (0..call.dims()[d]).map(|i| position(i - pads[d], x.dims[d])).collect()).collect();
    let fill = match call.optional(1) {
        Some(value) => element_bytes(call, scalar(value)?),
        None => vec![0; x.dtype.size()],
    };
    Ok(vec![remap(call, x, &positions, &fill)?])
}

pub(super) fn trilu(call: &Call<'_>) -> Result<Vec<Tensor>> {
    let x = call.operand(0)?;
    let (upper, k) = (call.attrs.bool("upper", true), call.attrs.int("k", 0));
    let size = x.dtype.size();
    let mut data = x.data.to_vec();
    if let [.., rows, columns] = x.dims[..] {
        for (i, element) in data.chunks_exact_mut(size).enumerate() {
            let (row, column) = (i as i64 / columns % rows, i as i64 % columns);
            let diagonal = column.saturating_sub(row);
            if (upper && diagonal < k) || (!upper && diagonal > k) {
                element.fill(0);
            }
        }
    }
    Ok(vec![tensor(x.dtype, call.dims(), data)?])
}

pub(super) fn reverse_sequence(call: &Call<'_>) -> Result<Vec<Tensor>> {
    let (x, lens) = (call.operand(0)?, call.operand(1)?);
    let (batch, time) = (call.axis("batch_axis"), call.axis("time_axis"));
    let steps = strides(&x.dims);
    let size = x.dtype.size();
    let mut lengths = Vec::with_capacity(lens.elements());
    for i in 0..lens.elements() {
        // A length may equal the size, so it is checked as an index into one element more.
        lengths.push(wrap_index(lens.get(i), x.dims[time] + 1)? as i64);
    }
    let mut data = Vec::with_capacity(x.data.len());
    let along = |axis: usize| (0..x.dims.len()).map(|d| i64::from(d == axis)).collect::<Vec<_>>();
    for [at, b, t] in offsets(&x.dims, [&steps, &along(batch), &along(time)]) {
        let length = lengths[b as usize];
        let source = if t < length { at + (length - 1 - 2 * t) * steps[time] } else { at };
        data.extend_from_slice(&x.data[source as usize * size..][..size]);
    }
    Ok(vec![tensor(x.dtype, call.dims(), data)?])
}
