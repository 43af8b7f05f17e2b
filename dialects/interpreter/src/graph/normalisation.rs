//! Normalisations, all in `f64` with the variance computed from the centred values.

use super::Call;
use crate::array::{broadcast_strides, count, from_f64, offsets};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    tensor::Tensor,
};

/// An optional parameter's value for every element of the result; `default` where it is absent.
fn spread(call: &Call<'_>, i: usize, default: f64) -> Result<Vec<f64>> {
    let Some(parameter) = call.optional(i) else { return Ok(vec![default; count(call.dims())]) };
    let steps = broadcast_strides(&parameter.dims, call.dims());
    let steps = steps
        .ok_or_else(|| Diagnostic::user(format!("operand {i} ({}) does not broadcast", parameter.ty())))?;
    let data = parameter.to_f64();
    Ok(offsets(call.dims(), [&steps]).map(|[at]| data[at as usize]).collect())
}

/// Mean and `1 / sqrt(variance + epsilon)` of values.
fn statistics(values: &[f64], epsilon: f64) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
    (mean, 1.0 / (variance + epsilon).sqrt())
}

pub(super) fn over_last_axes(call: &Call<'_>) -> Result<Vec<Tensor>> {
    let x = call.operand(0)?;
    let epsilon = call.attrs.float("epsilon", 1e-5);
    let size = count(&x.dims[call.axis("axis")..]).max(1);
    let (scale, bias) = (spread(call, 1, 1.0)?, spread(call, 2, 0.0)?);
    let data = x.to_f64();
    let (mut out, mut means, mut inverses) = (Vec::with_capacity(data.len()), Vec::new(), Vec::new());
    for (row, values) in data.chunks(size).enumerate() {
        let (mean, inverse) = if call.op == "rms_norm" {
            let squares = values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64;
            (0.0, 1.0 / (squares + epsilon).sqrt())
        } else {
            statistics(values, epsilon)
        };
        let parameters = scale[row * size..].iter().zip(&bias[row * size..]);
        out.extend(values.iter().zip(parameters).map(|(v, (s, b))| (v - mean) * inverse * s + b));
        means.push(mean);
        inverses.push(inverse);
    }
    let mut results = vec![from_f64(x.dtype, call.dims(), out)?];
    if let [_, mean, inverse] = &call.results[..] {
        // An empty tensor has no rows, but its statistics may have elements.
        means.resize(count(&mean.1), f64::NAN);
        inverses.resize(count(&inverse.1), f64::NAN);
        results.push(from_f64(mean.0, &mean.1, means)?);
        results.push(from_f64(inverse.0, &inverse.1, inverses)?);
    }
    Ok(results)
}

/// Number of elements of one channel of one batch, and the number of channels.
fn channels(x: &Tensor) -> (usize, usize) {
    let channels = x.dims.get(1).map_or(1, |&c| c as usize);
    (count(x.dims.get(2..).unwrap_or(&[])), channels)
}

pub(super) fn batch_norm(call: &Call<'_>) -> Result<Vec<Tensor>> {
    let x = call.operand(0)?;
    let epsilon = call.attrs.float("epsilon", 1e-5);
    let parameters = (1..5).map(|i| call.operand(i).map(Tensor::to_f64)).collect::<Result<Vec<_>>>()?;
    let (area, channels) = channels(x);
    let values = x.to_f64().into_iter().enumerate().map(|(i, v)| {
        let c = i / area % channels;
        (v - parameters[2][c]) / (parameters[3][c] + epsilon).sqrt() * parameters[0][c] + parameters[1][c]
    });
    Ok(vec![from_f64(x.dtype, call.dims(), values)?])
}

/// Instance normalisation is group normalisation with one channel a group.
pub(super) fn over_groups(call: &Call<'_>) -> Result<Vec<Tensor>> {
    let x = call.operand(0)?;
    let epsilon = call.attrs.float("epsilon", 1e-5);
    let (area, channels) = channels(x);
    let groups = if call.op == "group_norm" { call.attrs.int("groups", 1) as usize } else { channels };
    let size = (channels / groups.max(1) * area).max(1);
    let (scale, bias) = (call.operand(1)?.to_f64(), call.operand(2)?.to_f64());
    let mut out = Vec::with_capacity(x.elements());
    for (group, values) in x.to_f64().chunks(size).enumerate() {
        let (mean, inverse) = statistics(values, epsilon);
        out.extend(values.iter().enumerate().map(|(i, v)| {
            let c = (group * size + i) / area % channels;
            (v - mean) * inverse * scale[c] + bias[c]
        }));
    }
    Ok(vec![from_f64(x.dtype, call.dims(), out)?])
}

pub(super) fn lrn(call: &Call<'_>) -> Result<Vec<Tensor>> {
    let x = call.operand(0)?;
    let size = call.attrs.int("size", 1) as usize;
    let (alpha, beta) = (call.attrs.float("alpha", 1e-4), call.attrs.float("beta", 0.75));
    let bias = call.attrs.float("bias", 1.0);
    let (area, channels) = channels(x);
    let data = x.to_f64();
    let (before, behind) = ((size - 1) / 2, size / 2);
    let values = data.iter().enumerate().map(|(i, v)| {
        let c = i / area % channels;
        let first = i - c * area;
        let window = c.saturating_sub(before)..=(c + behind).min(channels - 1);
        let sum: f64 = window.map(|c| data[first + c * area] * data[first + c * area]).sum();
        v / (bias + alpha / size as f64 * sum).powf(beta)
    });
    Ok(vec![from_f64(x.dtype, call.dims(), values)?])
}
