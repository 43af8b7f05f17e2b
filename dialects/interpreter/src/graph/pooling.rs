//! Pooling over windows of one to three spatial dimensions.

use super::{Call, convolution::lift};
use crate::{
    array::{collect, count, from_f64},
    scalar::wrap,
};
use mlcc_ir::{
    diagnostic::Result,
    dtype::DType,
    kernel::Combine,
    tensor::{Element, Tensor},
};

/// Windows with the spatial dimensions filled up to three.
struct Windows {
    kernel: [i64; 3],
    strides: [i64; 3],
    dilations: [i64; 3],
    begin: [i64; 3],
    end: [i64; 3],
    input: [i64; 3],
    output: [i64; 3],
}

impl Windows {
    fn of(call: &Call<'_>, x: &Tensor) -> Result<Windows> {
        let spatial = x.dims.len() - 2;
        let pads = call.sizes("pads", 2 * spatial)?;
        Ok(Windows {
            kernel: lift(&call.ints("kernel", spatial, 1), 1),
            strides: lift(&call.ints("strides", spatial, 1), 1),
            dilations: lift(&call.ints("dilations", spatial, 1), 1),
            begin: lift(&pads[..spatial], 0),
            end: lift(&pads[spatial..], 0),
            input: lift(&x.dims[2..], 1),
            output: lift(&call.dims()[2..], 1),
        })
    }

    /// For window `o`: the flat spatial offsets in the input, and the number of elements in the padded
    /// input. Elements that `ceil_mode` added beyond the padding count for neither.
    fn window(&self, o: usize) -> (Vec<usize>, usize) {
        let mut rest = o as i64;
        let mut at = [0; 3];
        for d in (0..3).rev() {
            at[d] = rest % self.output[d].max(1);
            rest /= self.output[d].max(1);
        }
        let mut found = vec![0usize];
        let mut padded = 1;
        for (d, at) in at.into_iter().enumerate() {
            let first = at * self.strides[d] - self.begin[d];
            let positions = (0..self.kernel[d]).map(|k| first + k * self.dilations[d]);
            padded *= positions.clone().filter(|&p| p < self.input[d] + self.end[d]).count();
            let inside: Vec<usize> =
                positions.filter(|p| (0..self.input[d]).contains(p)).map(|p| p as usize).collect();
            let width = self.input[d] as usize;
            found = found.iter().flat_map(|&f| inside.iter().map(move |&p| f * width + p)).collect();
        }
        (found, padded)
    }

    /// The offset of a spatial position with the first dimension contiguous.
    fn column_major(&self, offset: usize) -> usize {
        let [z, y, x] = self.input.map(|n| n as usize);
        let (iz, iy, ix) = (offset / (y * x), offset / x % y, offset % x);
        (ix * y + iy) * z + iz
    }
}

pub(super) fn max_pool(call: &Call<'_>) -> Result<Vec<Tensor>> {
    let x = call.operand(0)?;
    let windows = Windows::of(call, x)?;
    let (area_in, area_out) = (count(&x.dims[2..]), count(&call.dims()[2..]));
    let column_major = call.attrs.int("storage_order", 0) == 1;
    let spots: Vec<Vec<usize>> = (0..area_out).map(|o| windows.window(o).0).collect();
    let least = Combine::Max.identity(x.dtype).element();
    let (mut values, mut indices) = (Vec::new(), Vec::new());
    for plane in 0..count(&x.dims[..2]) {
        for window in &spots {
            let (mut best, mut at) = (least, None);
            for &offset in window {
                let value = x.get(plane * area_in + offset);
                if at.is_none() || beats(value, best) {
                    (best, at) = (value, Some(offset));
                }
            }
            let at = at.unwrap_or(0);
            let offset = if column_major { windows.column_major(at) } else { at };
            values.push(Ok(best));
            indices.push(Ok(wrap(DType::I64, (plane * area_in + offset) as i64)));
        }
    }
    Ok(vec![collect(x.dtype, call.dims(), values)?, collect(DType::I64, call.dims(), indices)?])
}

/// Whether a value displaces the greatest one so far. Of equal values the first stays, and a NaN stays
/// too.
fn beats(value: Element, best: Element) -> bool {
    match (value, best) {
        (Element::Float(v), Element::Float(b)) => v > b || (v.is_nan() && !b.is_nan()),
        (Element::UInt(v), Element::UInt(b)) => v > b,
        _ => value.to_i64() > best.to_i64(),
    }
}

pub(super) fn mean_pool(call: &Call<'_>) -> Result<Vec<Tensor>> {
    let x = call.operand(0)?;
    let windows = Windows::of(call, x)?;
    let (area_in, area_out) = (count(&x.dims[2..]), count(&call.dims()[2..]));
    let count_padding = call.attrs.bool("count_include_pad", false);
    let p = call.attrs.int("p", 2) as f64;
    let spots: Vec<_> = (0..area_out).map(|o| windows.window(o)).collect();
    let data = x.to_f64();
    let mut values = Vec::with_capacity(count(call.dims()));
    for plane in 0..count(&x.dims[..2]) {
        let plane = &data[plane * area_in..][..area_in];
        for (window, padded) in &spots {
            let elements = window.iter().map(|&o| plane[o]);
            values.push(if call.op == "lp_pool" {
                elements.map(|v| v.abs().powf(p)).sum::<f64>().powf(1.0 / p)
            } else {
                let divisor = if count_padding { *padded } else { window.len() };
                elements.sum::<f64>() / divisor as f64
            });
        }
    }
    Ok(vec![from_f64(call.dtype(), call.dims(), values)?])
}
