//! Resampling: interpolation on regular and given grids, after ONNX's reference implementation.

use super::Call;
use crate::array::{around, count, from_f64, strides};
use mlcc_ir::{diagnostic::Result, tensor::Tensor};

/// The positions in the source that make up one position of the result, with their weights; `None`
/// where the extrapolation value stands.
type Taps = Option<Vec<(usize, f64)>>;

pub(super) fn resize(call: &Call<'_>) -> Result<Vec<Tensor>> {
    let x = call.operand(0)?;
    let scales = call.attrs.floats("scales").unwrap_or(&[]);
    let mut dims = x.dims.clone();
    let mut data = x.to_f64();
    let mut outside: Vec<Vec<bool>> = Vec::new();
    for d in 0..dims.len() {
        let (input, output) = (dims[d], call.dims()[d]);
        let ratio = match (scales[d] == 0.0, call.attrs.ints("ratio")) {
            (false, _) => None,
            (true, Some(&[to, from])) => Some((to, from)),
            (true, _) => Some((output, input)),
        };
        let scale = ratio.map_or(scales[d], |(to, from)| to as f64 / from as f64);
        let crops = call.attrs.str("coordinate_mode", "half_pixel") == "tf_crop_and_resize";
        if input == output && scale == 1.0 && !crops {
            outside.push(vec![false; output as usize]);
            continue;
        }
        let line = Line { call, d, input, output, ratio, scale };
        let taps: Vec<Taps> = (0..output).map(|i| line.taps(i)).collect();
        outside.push(taps.iter().map(Option::is_none).collect());
        let (outer, inner) = around(&dims, d);
        let mut next = vec![0.0; outer * output as usize * inner];
        for o in 0..outer {
            for (i, taps) in taps.iter().enumerate() {
                let row = &mut next[(o * output as usize + i) * inner..][..inner];
                for &(k, weight) in taps.iter().flatten() {
                    let source = &data[(o * input as usize + k) * inner..][..inner];
                    row.iter_mut().zip(source).for_each(|(sum, v)| *sum += weight * v);
                }
            }
        }
        dims[d] = output;
        data = next;
    }
    let extrapolated = call.attrs.float("extrapolation_value", 0.0);
    let steps = strides(&dims);
    if outside.iter().flatten().any(|&o| o) {
        for (i, value) in data.iter_mut().enumerate() {
            let at = |d: usize| (i as i64 / steps[d] % dims[d]) as usize;
            if (0..dims.len()).any(|d| outside[d][at(d)]) {
                *value = extrapolated;
            }
        }
    }
    Ok(vec![from_f64(x.dtype, call.dims(), data)?])
}

/// One dimension under interpolation.
struct Line<'a> {
    call: &'a Call<'a>,
    d: usize,
    input: i64,
    output: i64,
    /// The scale as a quotient of integers; `None` if it is not such a quotient.
    ratio: Option<(i64, i64)>,
    scale: f64,
}

impl Line<'_> {
    /// The position of element `i` of the result as dividend and divisor; `None` if it is not such a quotient.
    fn quotient(&self, i: i64) -> Option<(i128, i128)> {
        let (to, from) = self.ratio?;
        let [i, to, from, input, output] = [i, to, from, self.input, self.output].map(i128::from);
        let centre = 2 * i + 1;
        Some(match self.call.attrs.str("coordinate_mode", "half_pixel") {
            "tf_crop_and_resize" => return None,
            "asymmetric" => (i * from, to),
            "tf_half_pixel_for_nn" => (centre * from, 2 * to),
            "align_corners" => (i * (input - 1) * from, (to * input - from).max(1)),
            "half_pixel_symmetric" => ((input - 1) * to + (centre - output) * from, 2 * to),
            "pytorch_half_pixel" if output == 1 => (0, 1),
            _ => (centre * from - to, 2 * to),
        })
    }

    /// The position of element `i` of the result: the source element on its left, and the fraction of the way to the
    /// next one. `None` where the result is the extrapolation value.
    fn position(&self, i: i64) -> Option<(i64, f64)> {
        if let Some((dividend, divisor)) = self.quotient(i) {
            let way = dividend.rem_euclid(divisor) as f64 / divisor as f64;
            return Some((dividend.div_euclid(divisor) as i64, way));
        }
        let Line { call, d, input, output, scale, .. } = *self;
        let rank = call.dims().len();
        let (i, length) = (i as f64, input as f64);
        let stretched = scale * length;
        let x = match call.attrs.str("coordinate_mode", "half_pixel") {
            "align_corners" if stretched == 1.0 => 0.0,
            "align_corners" => i * (length - 1.0) / (stretched - 1.0),
            "asymmetric" => i / scale,
            "tf_crop_and_resize" => {
                let roi = call.attrs.floats("roi").unwrap_or(&[]);
                let (begin, end) =
                    (roi.get(d).copied().unwrap_or(0.0), roi.get(d + rank).copied().unwrap_or(1.0));
                let x = if output == 1 {
                    (begin + end) * (length - 1.0) / 2.0
                } else {
                    begin * (length - 1.0) + i * (end - begin) * (length - 1.0) / (output as f64 - 1.0)
                };
                if x < 0.0 || x > length - 1.0 {
                    return None;
                }
                x
            }
            "tf_half_pixel_for_nn" => (i + 0.5) / scale,
            "pytorch_half_pixel" if output == 1 => 0.0,
            "half_pixel_symmetric" => (length - 1.0) / 2.0 + (2.0 * i + 1.0 - output as f64) / 2.0 / scale,
            _ => (i + 0.5) / scale - 0.5,
        };
        Some((x.floor() as i64, x - x.floor()))
    }

    /// The taps of position `i` of the result.
    fn taps(&self, i: i64) -> Taps {
        let Line { call, input, scale, .. } = *self;
        if input == 0 {
            return Some(Vec::new());
        }
        let (base, way) = self.position(i)?;
        let weights = weights(call, way, scale);
        let mut taps: Vec<(usize, f64)> = Vec::with_capacity(weights.len());
        let mut sum = 0.0;
        for (step, weight) in weights {
            let position = base + step;
            let inside = (0..input).contains(&position);
            if weight == 0.0 || (!inside && call.attrs.bool("exclude_outside", false)) {
                continue;
            }
            sum += weight;
            let position = position.clamp(0, input - 1) as usize;
            match taps.iter_mut().find(|t| t.0 == position) {
                Some(tap) => tap.1 += weight,
                None => taps.push((position, weight)),
            }
        }
        if call.attrs.bool("exclude_outside", false) && sum != 0.0 {
            taps.iter_mut().for_each(|t| t.1 /= sum);
        }
        Some(taps)
    }
}

/// Steps from the position on the left, and their weights, for a fraction `ratio` of the way to the
/// next one.
fn weights(call: &Call<'_>, ratio: f64, scale: f64) -> Vec<(i64, f64)> {
    let mode = call.attrs.str("mode", "nearest");
    if mode == "nearest" {
        let right = match call.attrs.str("nearest_mode", "round_prefer_floor") {
            _ if ratio == 0.0 => false,
            "round_prefer_ceil" => ratio >= 0.5,
            "floor" => false,
            "ceil" => true,
            "simple" => scale < 1.0,
            _ => ratio > 0.5,
        };
        return vec![(i64::from(right), 1.0)];
    }
    let a = call.attrs.float("cubic_coeff_a", -0.75);
    let kernel: Box<dyn Fn(f64) -> f64> = match mode {
        "cubic" => Box::new(move |x| cubic(x.abs(), a)),
        _ => Box::new(|x: f64| (1.0 - x.abs()).max(0.0)),
    };
    let radius = if mode == "cubic" { 2.0 } else { 1.0 };
    // Antialiasing widens the filter when the result is smaller.
    let shrink = if call.attrs.bool("antialias", false) { scale.min(1.0) } else { 1.0 };
    let reach = (radius / shrink).ceil() as i64;
    let steps = (1 - reach)..=reach;
    let mut weights: Vec<(i64, f64)> = steps.map(|s| (s, kernel((s as f64 - ratio) * shrink))).collect();
    if shrink < 1.0 {
        let sum: f64 = weights.iter().map(|w| w.1).sum();
        weights.iter_mut().for_each(|w| w.1 /= sum);
    }
    weights
}

/// Keys' cubic convolution kernel at distance `x`.
fn cubic(x: f64, a: f64) -> f64 {
    if x <= 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
    } else {
        0.0
    }
}

pub(super) fn grid_sample(call: &Call<'_>) -> Result<Vec<Tensor>> {
    let (x, grid) = (call.operand(0)?, call.operand(1)?);
    let sampler = Sampler {
        mode: call.attrs.str("mode", "linear"),
        padding: call.attrs.str("padding_mode", "zeros"),
        align_corners: call.attrs.bool("align_corners", false),
        dims: &x.dims[2..],
    };
    let spatial = sampler.dims.len();
    let (area_in, area_out) = (count(sampler.dims), count(&call.dims()[2..]));
    let channels = x.dims[1] as usize;
    let (data, positions) = (x.to_f64(), grid.to_f64());
    let mut out = Vec::with_capacity(count(call.dims()));
    for n in 0..x.dims[0] as usize {
        for c in 0..channels {
            let plane = &data[(n * channels + c) * area_in..][..area_in];
            for o in 0..area_out {
                let at = &positions[(n * area_out + o) * spatial..][..spatial];
                out.push(sampler.sample(plane, at));
            }
        }
    }
    Ok(vec![from_f64(x.dtype, call.dims(), out)?])
}

struct Sampler<'a> {
    mode: &'a str,
    padding: &'a str,
    align_corners: bool,
    dims: &'a [i64],
}

impl Sampler<'_> {
    /// The value at a position of the grid. The position's coordinates are in reverse order of the dimensions.
    fn sample(&self, plane: &[f64], position: &[f64]) -> f64 {
        let mut taps: Vec<(Vec<i64>, f64)> = vec![(Vec::new(), 1.0)];
        for (d, &size) in self.dims.iter().enumerate() {
            let along = self.along(position[self.dims.len() - 1 - d], size);
            let extend = |(at, weight): &(Vec<i64>, f64), (i, w): (i64, f64)| {
                let at = at.iter().copied().chain([i]).collect::<Vec<_>>();
                (at, weight * w)
            };
            taps =
                taps.iter().flat_map(|t| along.iter().map(|&a| extend(t, a)).collect::<Vec<_>>()).collect();
        }
        taps.iter().filter(|t| t.1 != 0.0).map(|(at, weight)| weight * self.pixel(plane, at)).sum()
    }

    /// The neighbours of one coordinate with their weights, before padding is resolved.
    fn along(&self, coordinate: f64, size: i64) -> Vec<(i64, f64)> {
        let length = size as f64;
        let mut x = if self.align_corners {
            (coordinate + 1.0) / 2.0 * (length - 1.0)
        } else {
            ((coordinate + 1.0) * length - 1.0) / 2.0
        };
        if self.mode == "nearest" {
            x = x.round_ties_even();
        }
        let (low, high) = self.borders(size);
        if x < low || x > high {
            x = match self.padding {
                "border" => x.clamp(0.0, (length - 1.0).max(0.0)),
                "reflection" => reflect(x, low, high),
                _ => x,
            };
        }
        let base = x.floor();
        let ratio = x - base;
        let at = |step: i64| (base as i64).saturating_add(step);
        match self.mode {
            "nearest" => vec![(x.round_ties_even() as i64, 1.0)],
            "cubic" => (-1..=2).map(|s| (at(s), cubic((s as f64 - ratio).abs(), -0.75))).collect(),
            _ => vec![(at(0), 1.0 - ratio), (at(1), ratio)],
        }
    }

    fn borders(&self, size: i64) -> (f64, f64) {
        if self.align_corners { (0.0, size as f64 - 1.0) } else { (-0.5, size as f64 - 0.5) }
    }

    fn pixel(&self, plane: &[f64], at: &[i64]) -> f64 {
        let mut offset = 0;
        for (&i, &size) in at.iter().zip(self.dims) {
            let (low, high) = self.borders(size);
            let i = match self.padding {
                "zeros" if !(0..size).contains(&i) => return 0.0,
                "reflection" => (reflect(i as f64, low, high) as i64).clamp(0, (size - 1).max(0)),
                _ => i.clamp(0, (size - 1).max(0)),
            };
            offset = offset * size + i;
        }
        plane.get(offset as usize).copied().unwrap_or(0.0)
    }
}

/// `x` reflected at the borders until it lies between them.
fn reflect(x: f64, low: f64, high: f64) -> f64 {
    let range = high - low;
    if range <= 0.0 {
        return low;
    }
    let way = (x - low).rem_euclid(2.0 * range);
    low + if way > range { 2.0 * range - way } else { way }
}
