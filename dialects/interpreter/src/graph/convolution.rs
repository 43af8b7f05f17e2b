//! Convolutions: both directions share the pairs of input and output positions that a kernel element
//! connects.

use super::Call;
use crate::array::{Number, count, store};
use mlcc_ir::{diagnostic::Result, tensor::Tensor};

/// Sizes with the spatial dimensions filled up to three.
struct Geometry {
    strides: [i64; 3],
    dilations: [i64; 3],
    pads: [i64; 3],
    group: usize,
    /// Kernel sizes.
    kernel: [i64; 3],
    /// Spatial sizes of the convolution's input (the transposed one's output).
    input: [i64; 3],
    /// Spatial sizes of the convolution's output (the transposed one's input).
    output: [i64; 3],
}

/// The values with `fill` before them up to three.
pub(super) fn lift(values: &[i64], fill: i64) -> [i64; 3] {
    let mut lifted = [fill; 3];
    let count = values.len().min(3);
    lifted[3 - count..].copy_from_slice(&values[..count]);
    lifted
}

impl Geometry {
    fn of(call: &Call<'_>, input: &[i64], output: &[i64]) -> Result<Geometry> {
        let spatial = input.len() - 2;
        Ok(Geometry {
            strides: lift(&call.ints("strides", spatial, 1), 1),
            dilations: lift(&call.ints("dilations", spatial, 1), 1),
            pads: lift(&call.sizes("pads", 2 * spatial)?[..spatial], 0),
            group: call.attrs.int("group", 1) as usize,
            kernel: lift(&call.operand(1)?.dims[2..], 1),
            input: lift(&input[2..], 1),
            output: lift(&output[2..], 1),
        })
    }

    /// Calls `visit(input offset, output offset, kernel offset, count, input step)` for runs of `count`
    /// neighbouring output positions along the last dimension and the inputs that meet them.
    fn runs(&self, visit: &mut dyn FnMut(usize, usize, usize, usize, usize)) {
        // Output positions whose input exists: pad - k * dilation <= o * stride < pad - k * dilation + input.
        let range = |d: usize, k: i64| {
            let shift = self.pads[d] - k * self.dilations[d];
            let up = |x: i64| -(-x).div_euclid(self.strides[d]);
            (up(shift).max(0), up(shift + self.input[d]).min(self.output[d]))
        };
        let at = |d: usize, o: i64, k: i64| o * self.strides[d] + k * self.dilations[d] - self.pads[d];
        for z in 0..self.kernel[0] {
            for y in 0..self.kernel[1] {
                for x in 0..self.kernel[2] {
                    let tap = ((z * self.kernel[1] + y) * self.kernel[2] + x) as usize;
                    let (zs, ys, xs) = (range(0, z), range(1, y), range(2, x));
                    if xs.1 <= xs.0 {
                        continue;
                    }
                    for oz in zs.0..zs.1 {
                        for oy in ys.0..ys.1 {
                            let row = at(0, oz, z) * self.input[1] + at(1, oy, y);
                            let input = row * self.input[2] + at(2, xs.0, x);
                            let output = (oz * self.output[1] + oy) * self.output[2] + xs.0;
                            let count = (xs.1 - xs.0) as usize;
                            visit(input as usize, output as usize, tap, count, self.strides[2] as usize);
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn conv(call: &Call<'_>) -> Result<Vec<Tensor>> {
    let x = call.operand(0)?;
    let geometry = Geometry::of(call, &x.dims, call.dims())?;
    let result = if call.dtype().is_float() {
        forward::<f64>(call, &geometry)
    } else {
        forward::<i64>(call, &geometry)
    };
    Ok(vec![result?])
}

pub(super) fn conv_transpose(call: &Call<'_>) -> Result<Vec<Tensor>> {
    let x = call.operand(0)?;
    let geometry = Geometry::of(call, call.dims(), &x.dims)?;
    let result = if call.dtype().is_float() {
        transposed::<f64>(call, &geometry)
    } else {
        transposed::<i64>(call, &geometry)
    };
    Ok(vec![result?])
}

/// The result's elements before anything is added: the bias.
fn biased<T: Number>(call: &Call<'_>) -> Vec<T> {
    let dims = call.dims();
    let area = count(&dims[2..]);
    match call.optional(2) {
        Some(bias) => {
            let bias = T::load(bias);
            (0..count(dims)).map(|i| bias[i / area.max(1) % bias.len().max(1)]).collect()
        }
        None => vec![T::default(); count(dims)],
    }
}

fn forward<T: Number>(call: &Call<'_>, geometry: &Geometry) -> Result<Tensor> {
    let (x, w) = (call.operand(0)?, call.operand(1)?);
    let (batch, channels, features) = (x.dims[0] as usize, x.dims[1] as usize, w.dims[0] as usize);
    let (per_group, group_features) = (w.dims[1] as usize, features / geometry.group);
    let (area_in, area_out, taps) = (count(&x.dims[2..]), count(&call.dims()[2..]), count(&w.dims[2..]));
    let (x, w) = (T::load(x), T::load(w));
    let mut out = biased::<T>(call);
    for n in 0..batch {
        for m in 0..features {
            let out = &mut out[(n * features + m) * area_out..][..area_out];
            for c in 0..per_group {
                let channel = m / group_features * per_group + c;
                let x = &x[(n * channels + channel) * area_in..][..area_in];
                let w = &w[(m * per_group + c) * taps..][..taps];
                geometry.runs(&mut |input, output, tap, count, step| {
                    let weight = w[tap];
                    let inputs = x[input..].iter().step_by(step);
                    for (sum, &x) in out[output..output + count].iter_mut().zip(inputs) {
                        *sum = sum.mul_add(weight, x);
                    }
                });
            }
        }
    }
    store(call.dtype(), call.dims(), &out)
}

fn transposed<T: Number>(call: &Call<'_>, geometry: &Geometry) -> Result<Tensor> {
    let (x, w) = (call.operand(0)?, call.operand(1)?);
    let (batch, channels, group_features) = (x.dims[0] as usize, x.dims[1] as usize, w.dims[1] as usize);
    let (features, per_group) = (group_features * geometry.group, channels / geometry.group);
    let (area_in, area_out, taps) = (count(&x.dims[2..]), count(&call.dims()[2..]), count(&w.dims[2..]));
    let (x, w) = (T::load(x), T::load(w));
    let mut out = biased::<T>(call);
    for n in 0..batch {
        for c in 0..channels {
            let x = &x[(n * channels + c) * area_in..][..area_in];
            for m in 0..group_features {
                let feature = c / per_group * group_features + m;
                let out = &mut out[(n * features + feature) * area_out..][..area_out];
                let w = &w[(c * group_features + m) * taps..][..taps];
                geometry.runs(&mut |output, input, tap, count, step| {
                    let weight = w[tap];
                    let sums = out[output..].iter_mut().step_by(step);
                    for (sum, &x) in sums.zip(&x[input..input + count]) {
                        *sum = sum.mul_add(weight, x);
                    }
                });
            }
        }
    }
    store(call.dtype(), call.dims(), &out)
}
