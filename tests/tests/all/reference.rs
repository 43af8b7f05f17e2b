//! Operators in plain loops of `f64`: what the networks of these tests should compute.

use mlcc_tests::{DType, Tensor};

/// A value of `f64` elements in row-major order.
#[derive(Clone, Debug)]
pub(crate) struct Array {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f64>,
}

impl From<&Tensor> for Array {
    fn from(tensor: &Tensor) -> Self {
        Self { shape: tensor.shape().to_vec(), values: tensor.to_f64() }
    }
}

/// Strides, padding and groups of a convolution.
#[derive(Clone, Copy)]
pub(crate) struct Window {
    pub(crate) stride: usize,
    pub(crate) padding: usize,
    pub(crate) groups: usize,
}

impl Array {
    /// Rounded to `f32`.
    pub(crate) fn to_tensor(&self) -> Tensor {
        Tensor::f32(&self.shape, self.values.iter().map(|&x| x as f32))
    }

    /// Each element by a function.
    pub(crate) fn map(&self, function: impl Fn(f64) -> f64) -> Self {
        Self { shape: self.shape.clone(), values: self.values.iter().map(|&x| function(x)).collect() }
    }

    /// The sum with a vector along the last axis.
    pub(crate) fn add_row(&self, row: &Self) -> Self {
        let columns = row.values.len();
        assert_eq!(self.shape.last(), Some(&columns));
        let values = self.values.iter().enumerate().map(|(i, x)| x + row.values[i % columns]).collect();
        Self { shape: self.shape.clone(), values }
    }

    /// The matrix product of the last two axes; `other` is one matrix for all, or one for each.
    pub(crate) fn matmul(&self, other: &Self) -> Self {
        let [.., m, k] = self.shape[..] else { panic!("a matrix") };
        let [.., inner, n] = other.shape[..] else { panic!("a matrix") };
        assert_eq!(k, inner);
        let batch = self.values.len() / (m * k);
        let one = other.values.len() == k * n;
        let mut values = Vec::with_capacity(batch * m * n);
        for b in 0..batch {
            let right = &other.values[if one { 0 } else { b * k * n }..];
            for row in self.values[b * m * k..][..m * k].chunks(k) {
                values.extend((0..n).map(|j| (0..k).map(|l| row[l] * right[l * n + j]).sum::<f64>()));
            }
        }
        let mut shape = self.shape.clone();
        *shape.last_mut().expect("a matrix has axes") = n;
        Self { shape, values }
    }

    /// The last two axes swapped.
    pub(crate) fn transpose(&self) -> Self {
        let [.., rows, columns] = self.shape[..] else { panic!("a matrix") };
        let mut shape = self.shape.clone();
        let rank = shape.len();
        shape.swap(rank - 1, rank - 2);
        let matrices = self.values.chunks(rows * columns);
        let values = matrices
            .flat_map(|matrix| (0..rows * columns).map(move |i| matrix[i % rows * columns + i / rows]))
            .collect();
        Self { shape, values }
    }

    fn map_rows(&self, function: impl Fn(&[f64]) -> Vec<f64>) -> Self {
        let columns = *self.shape.last().expect("rows have an axis");
        Self { shape: self.shape.clone(), values: self.values.chunks(columns).flat_map(function).collect() }
    }

    /// Softmax along the last axis.
    pub(crate) fn softmax(&self) -> Self {
        self.map_rows(|row| {
            let most = row.iter().copied().fold(f64::MIN, f64::max);
            let sum: f64 = row.iter().map(|x| (x - most).exp()).sum();
            row.iter().map(|x| (x - most).exp() / sum).collect()
        })
    }

    /// Layer normalisation along the last axis.
    pub(crate) fn layer_norm(&self, scale: &Self, bias: &Self, epsilon: f64) -> Self {
        self.map_rows(|row| {
            let count = row.len() as f64;
            let mean = row.iter().sum::<f64>() / count;
            let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
            let normal = row.iter().map(|x| (x - mean) / (variance + epsilon).sqrt());
            normal.enumerate().map(|(i, x)| x * scale.values[i] + bias.values[i]).collect()
        })
    }

    /// Each channel of `N x C x H x W` by a function of the channel and the element.
    pub(crate) fn map_channels(&self, function: impl Fn(usize, f64) -> f64) -> Self {
        let [_, channels, height, width] = self.shape[..] else { panic!("four axes") };
        let values = self.values.iter().enumerate();
        let values = values.map(|(i, &x)| function(i / (height * width) % channels, x)).collect();
        Self { shape: self.shape.clone(), values }
    }

    /// Two-dimensional convolution of `N x C x H x W` with square strides and padding.
    pub(crate) fn convolve(&self, weight: &Self, window: Window) -> Self {
        let [batch, channels, height, width] = self.shape[..] else { panic!("four axes") };
        let [filters, inner, kh, kw] = weight.shape[..] else { panic!("four axes") };
        let Window { stride, padding, groups } = window;
        assert_eq!(inner * groups, channels);
        let (oh, ow) = ((height + 2 * padding - kh) / stride + 1, (width + 2 * padding - kw) / stride + 1);
        let mut values = Vec::new();
        for (n, f, y, x) in indices([batch, filters, oh, ow]) {
            let first = f / (filters / groups) * inner;
            let mut sum = 0.0;
            for (_, c, i, j) in indices([1, inner, kh, kw]) {
                // An index before the border wraps around to one that is far behind it.
                let row = (y * stride + i).wrapping_sub(padding);
                let column = (x * stride + j).wrapping_sub(padding);
                if row < height && column < width {
                    let at = ((n * channels + first + c) * height + row) * width + column;
                    sum += self.values[at] * weight.values[((f * inner + c) * kh + i) * kw + j];
                }
            }
            values.push(sum);
        }
        Self { shape: vec![batch, filters, oh, ow], values }
    }

    /// The largest element of each 2 x 2 window, two apart.
    pub(crate) fn max_pool(&self) -> Self {
        let [batch, channels, height, width] = self.shape[..] else { panic!("four axes") };
        let shape = [batch, channels, height / 2, width / 2];
        let values = indices(shape).map(|(n, c, y, x)| {
            let at = |i: usize, j: usize| {
                self.values[((n * channels + c) * height + 2 * y + i) * width + 2 * x + j]
            };
            at(0, 0).max(at(0, 1)).max(at(1, 0)).max(at(1, 1))
        });
        Self { shape: shape.to_vec(), values: values.collect() }
    }

    /// The mean of each channel, `N x C`.
    pub(crate) fn channel_means(&self) -> Self {
        let [batch, channels, height, width] = self.shape[..] else { panic!("four axes") };
        let planes = self.values.chunks(height * width);
        let values = planes.map(|plane| plane.iter().sum::<f64>() / plane.len() as f64).collect();
        Self { shape: vec![batch, channels], values }
    }
}

fn indices(shape: [usize; 4]) -> impl Iterator<Item = (usize, usize, usize, usize)> {
    let [a, b, c, d] = shape;
    (0..a * b * c * d).map(move |i| (i / (b * c * d), i / (c * d) % b, i / d % c, i % d))
}

/// The error function, by its Maclaurin series: exact to `f64` for the arguments of these tests.
pub(crate) fn erf(x: f64) -> f64 {
    assert!(x.abs() < 4.0, "the series loses digits beyond");
    let mut term = x;
    let mut sum = x;
    for n in 1..100 {
        let n = f64::from(n);
        term *= -x * x / n;
        sum += term / (2.0 * n + 1.0);
    }
    sum * std::f64::consts::FRAC_2_SQRT_PI
}

#[test]
fn erf_has_the_published_values() {
    // Abramowitz and Stegun, table 7.1.
    for (x, want) in [(0.5, 0.520_499_877_8), (1.0, 0.842_700_792_9), (2.0, 0.995_322_265_0)] {
        assert!((erf(x) - want).abs() < 1e-10);
    }
}

#[test]
fn arrays_are_read_in_row_major_order() {
    let matrix = Array::from(&Tensor::random(DType::F32, &[2, 3], 1));
    let turned = matrix.transpose();
    assert_eq!(turned.shape, [3, 2]);
    assert_eq!(turned.values[1], matrix.values[3]);
    assert_eq!(turned.values[2], matrix.values[1]);
}
