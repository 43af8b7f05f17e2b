//! Reductions over axes, softmax and its like, cumulative sums.

use super::Call;
use crate::{
    array::{around, collect, count, from_f64, offsets, strides},
    scalar::{binary, cast, compare},
};
use mlcc_ir::{
    diagnostic::Result,
    dtype::DType,
    kernel::Combine,
    scalar::{BinaryOp, Predicate},
    tensor::{Element, Tensor},
};

/// The type in which values are accumulated: the widest of its kind.
fn accumulator(dtype: DType) -> DType {
    match dtype {
        DType::Bool => DType::Bool,
        d if d.is_float() => DType::F64,
        d if d.is_signed_int() => DType::I64,
        _ => DType::U64,
    }
}

pub(super) fn reduce(call: &Call<'_>) -> Result<Vec<Tensor>> {
    let x = call.operand(0)?;
    let combine = match call.op {
        "reduce_max" => Combine::Max,
        "reduce_min" => Combine::Min,
        "reduce_prod" => Combine::Mul,
        _ => Combine::Add,
    };
    let axes: Vec<usize> = call.attrs.ints("axes").unwrap_or(&[]).iter().map(|&a| a as usize).collect();
    // Strides into the result: 0 along reduced axes.
    let kept: Vec<i64> = (0..x.dims.len()).map(|d| if axes.contains(&d) { 1 } else { x.dims[d] }).collect();
    let mut steps = strides(&kept);
    axes.iter().for_each(|&a| steps[a] = 0);
    let wide = accumulator(x.dtype);
    let mut out = vec![combine.identity(wide).element(); count(&kept)];
    for (i, [to]) in offsets(&x.dims, [&steps]).enumerate() {
        let sum = &mut out[to as usize];
        *sum = binary(combine.function(), wide, *sum, x.get(i)).ok_or_else(|| call.no_function())?;
    }
    if call.op == "reduce_mean" {
        let n = axes.iter().map(|&a| x.dims[a]).product::<i64>();
        let n = if wide == DType::F64 { Element::Float(n as f64) } else { cast(Element::Int(n), wide) };
        for sum in &mut out {
            *sum = binary(BinaryOp::Div, wide, *sum, n).ok_or_else(|| call.no_function())?;
        }
    }
    Ok(vec![collect(x.dtype, call.dims(), out.into_iter().map(|v| Ok(cast(v, x.dtype))))?])
}

/// Calls `visit` with the row-major offsets of every line along `axis`, in row-major order of the rest.
fn lines(
    dims: &[i64],
    axis: usize,
    visit: &mut dyn FnMut(&mut dyn Iterator<Item = usize>) -> Result<()>,
) -> Result<()> {
    let (outer, inner) = around(dims, axis);
    let size = dims[axis] as usize;
    for o in 0..outer {
        for i in 0..inner {
            visit(&mut (0..size).map(|k| (o * size + k) * inner + i))?;
        }
    }
    Ok(())
}

pub(super) fn arg(call: &Call<'_>) -> Result<Vec<Tensor>> {
    let x = call.operand(0)?;
    let last = call.attrs.bool("select_last", false);
    let strict = if call.op == "arg_max" { Predicate::Gt } else { Predicate::Lt };
    let mut out = Vec::with_capacity(count(call.dims()));
    lines(&x.dims, call.axis("axis"), &mut |line| {
        let mut best: Option<(usize, Element)> = None;
        for (k, at) in line.enumerate() {
            let value = x.get(at);
            let wins = best.is_none_or(|(_, b)| {
                compare(strict, value, b)
                    || (last && compare(Predicate::Eq, value, b))
                    || is_new_nan(value, b)
            });
            if wins {
                best = Some((k, value));
            }
        }
        out.push(Ok(Element::Int(best.map_or(0, |(k, _)| k as i64))));
        Ok(())
    })?;
    Ok(vec![collect(DType::I64, call.dims(), out)?])
}

/// As in numpy a NaN is the extreme value, and the first NaN stays.
fn is_new_nan(value: Element, best: Element) -> bool {
    matches!((value, best), (Element::Float(v), Element::Float(b)) if v.is_nan() && !b.is_nan())
}

pub(super) fn softmax(call: &Call<'_>) -> Result<Vec<Tensor>> {
    let x = call.operand(0)?;
    let data = x.to_f64();
    let mut out = vec![0.0; data.len()];
    lines(&x.dims, call.axis("axis"), &mut |line| {
        let line: Vec<usize> = line.collect();
        let mut first = 0;
        for k in 1..line.len() {
            if data[line[k]] > data[line[first]] {
                first = k;
            }
        }
        let Some(&top) = line.get(first) else { return Ok(()) };
        let sum: f64 = line.iter().map(|&i| (data[i] - data[top]).exp()).sum();
        for (k, &i) in line.iter().enumerate() {
            out[i] = match call.op {
                "softmax" => (data[i] - data[top]).exp() / sum,
                "log_softmax" => data[i] - data[top] - sum.ln(),
                _ => f64::from(k == first),
            };
        }
        Ok(())
    })?;
    Ok(vec![from_f64(x.dtype, call.dims(), out)?])
}

pub(super) fn cumulative(call: &Call<'_>) -> Result<Vec<Tensor>> {
    let x = call.operand(0)?;
    let combine = if call.op == "cumsum" { Combine::Add } else { Combine::Mul };
    let wide = accumulator(x.dtype);
    let (exclusive, reverse) = (call.attrs.bool("exclusive", false), call.attrs.bool("reverse", false));
    let mut out = vec![combine.identity(wide).element(); x.elements()];
    lines(&x.dims, call.axis("axis"), &mut |line| {
        let mut line: Vec<usize> = line.collect();
        if reverse {
            line.reverse();
        }
        let mut sum = combine.identity(wide).element();
        for i in line {
            let next = binary(combine.function(), wide, sum, x.get(i)).ok_or_else(|| call.no_function())?;
            out[i] = if exclusive { sum } else { next };
            sum = next;
        }
        Ok(())
    })?;
    Ok(vec![collect(x.dtype, call.dims(), out.into_iter().map(|v| Ok(cast(v, x.dtype))))?])
}
