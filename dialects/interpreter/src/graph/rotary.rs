//! Rotary position embedding.

use super::Call;
use crate::array::{broadcast_strides, from_f64, offsets};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    tensor::Tensor,
};

pub(super) fn rotary_embedding(call: &Call<'_>) -> Result<Vec<Tensor>> {
    let x = call.operand(0)?;
    let rotated = call.attrs.int("rotary_dim", 0).max(0) as usize;
    let interleaved = call.attrs.bool("interleaved", false);
    let half = rotated / 2;
    let (cos, sin) = (rows(call, 1)?, rows(call, 2)?);
    let size = x.dims.last().map_or(1, |&d| d as usize).max(1);
    let data = x.to_f64();
    let mut out = data.clone();
    for (row, (own, values)) in out.chunks_mut(size).zip(data.chunks(size)).enumerate() {
        for pair in 0..half {
            let (a, b) = if interleaved { (2 * pair, 2 * pair + 1) } else { (pair, pair + half) };
            own[a] = values[a] * cos.at(row, a, pair) - values[b] * sin.at(row, a, pair);
            own[b] = values[b] * cos.at(row, b, pair) + values[a] * sin.at(row, b, pair);
        }
    }
    Ok(vec![from_f64(x.dtype, call.dims(), out)?])
}

/// Cosines or sines: a row of them for each row of features.
struct Rows {
    data: Vec<f64>,
    /// Where the row begins.
    starts: Vec<usize>,
    /// Whether a row has one value for each feature, or else one for each pair of features.
    by_feature: bool,
}

impl Rows {
    fn at(&self, row: usize, feature: usize, pair: usize) -> f64 {
        self.data[self.starts[row] + if self.by_feature { feature } else { pair }]
    }
}

/// The rows of operand `i`, broadcast to those of the first operand.
fn rows(call: &Call<'_>, i: usize) -> Result<Rows> {
    let table = call.operand(i)?;
    let error = || Diagnostic::user(format!("operand {i} ({}) does not broadcast", table.ty()));
    let (&width, own) = table.dims.split_last().ok_or_else(error)?;
    let outer = call.dims().split_last().ok_or_else(error)?.1;
    let steps = broadcast_strides(own, outer).ok_or_else(error)?;
    let starts = offsets(outer, [&steps]).map(|[at]| (at * width) as usize).collect();
    Ok(Rows { data: table.to_f64(), starts, by_feature: width == call.attrs.int("rotary_dim", 0) })
}
