//! The matrices of F(m x m, 3 x 3), and filters in the transformed domain.
//!
//! The points are 0, pairs `±p`, and infinity. With a pair, the two rows of `Bᵀ` share their even and
//! their odd part, and the two columns of `Aᵀ` are used through their sum and difference.

use mlcc_ir::{dtype::DType, tensor::Tensor};

/// Side of the window.
pub const WINDOW: usize = 3;

/// F(m x m, 3 x 3) with points 0, `±pairs`, infinity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Algorithm {
    /// The pairs of points; they and the powers of them that occur are exact in binary.
    pairs: &'static [f64],
}

impl Algorithm {
    /// F(2 x 2, 3 x 3): 16 products for 4 outputs.
    pub const F2: Algorithm = Algorithm { pairs: &[1.0] };
    /// F(4 x 4, 3 x 3): 36 products for 16 outputs. These points give half the error of 1 and 2:
    /// 6e-7 against 1.3e-6 in f32 for 64 channels.
    pub const F4: Algorithm = Algorithm { pairs: &[0.625, 1.5] };

    /// Outputs along a side.
    #[must_use]
    pub fn outputs(&self) -> usize {
        2 * self.pairs.len()
    }

    /// Points: inputs along a side, and side of the transformed square.
    #[must_use]
    pub fn points(&self) -> usize {
        self.outputs() + WINDOW - 1
    }

    /// The finite points.
    fn finite(&self) -> Vec<f64> {
        [0.0].into_iter().chain(self.pairs.iter().flat_map(|p| [*p, -p])).collect()
    }

    /// `Bᵀ`, a row a point: coefficients of the product of `x - q` over the other finite points `q`.
    #[must_use]
    pub fn input(&self) -> Vec<Vec<f64>> {
        let points = self.finite();
        let row = |skip: Option<usize>| {
            let mut row = vec![1.0];
            for (_, q) in points.iter().enumerate().filter(|(at, _)| Some(*at) != skip) {
                let mut next = vec![0.0; row.len() + 1];
                for (power, c) in row.iter().enumerate() {
                    next[power + 1] += c;
                    next[power] -= c * q;
                }
                row = next;
            }
            row.resize(self.points(), 0.0);
            row
        };
        (0..points.len()).map(Some).chain([None]).map(row).collect()
    }

    /// `G`, a row a point: the filter's polynomial there, over the coefficients that `Bᵀ` left out.
    #[must_use]
    pub fn filter(&self) -> Vec<[f64; WINDOW]> {
        let points = self.finite();
        let row = |(at, p): (usize, &f64)| {
            let others = points.iter().enumerate().filter(|(i, _)| *i != at);
            let norm: f64 = others.map(|(_, q)| p - q).product();
            [1.0, *p, p * p].map(|power| power / norm)
        };
        points.iter().enumerate().map(row).chain([[0.0, 0.0, 1.0]]).collect()
    }

    /// `Aᵀ`, a row an output: powers of the points.
    #[must_use]
    pub fn output(&self) -> Vec<Vec<f64>> {
        let m = self.outputs();
        let power = |k: usize| {
            let finite = self.finite().into_iter().map(move |p| p.powi(k as i32));
            finite.chain([f64::from(u8::from(k + 1 == m))]).collect()
        };
        (0..m).map(power).collect()
    }

    /// The points in the groups that `Aᵀ` uses together: 0, each pair, infinity.
    #[must_use]
    pub fn groups(&self) -> Vec<Vec<usize>> {
        let pairs = (0..self.pairs.len()).map(|at| vec![2 * at + 1, 2 * at + 2]);
        [vec![0]].into_iter().chain(pairs).chain([vec![self.points() - 1]]).collect()
    }

    /// `G w Gᵀ` for all filters, as `f32[points², channels, filters]`. `axes` are the dimensions of `w` for
    /// the filter, the channel, and the row and column of the window. The result is `None` if `w` is no such
    /// tensor.
    #[must_use]
    pub fn transform_filters(&self, w: &Tensor, axes: [usize; 4]) -> Option<Tensor> {
        if w.dtype != DType::F32 || w.dims.len() != 4 {
            return None;
        }
        let mut strides = [1usize; 4];
        for d in (0..3).rev() {
            strides[d] = strides[d + 1] * usize::try_from(w.dims[d + 1]).ok()?;
        }
        let size = |axis: usize| usize::try_from(w.dims[axes[axis]]).ok();
        let (filters, channels) = (size(0)?, size(1)?);
        if size(2)? != WINDOW || size(3)? != WINDOW {
            return None;
        }
        let [by_filter, by_channel, by_row, by_column] = axes.map(|a| strides[a]);
        let (n, g) = (self.points(), self.filter());
        let plane = channels * filters;
        let mut out = vec![0f32; n * n * plane];
        let element = |at: usize| {
            let bytes = &w.data[4 * at..4 * at + 4];
            f64::from(f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        };
        for c in 0..channels {
            for f in 0..filters {
                let at = c * by_channel + f * by_filter;
                // Rows of the window first, then columns.
                let mut half = [[0f64; WINDOW]; 8];
                for (row, g) in half.iter_mut().zip(&g) {
                    for (column, sum) in row.iter_mut().enumerate() {
                        let at = at + column * by_column;
                        *sum = (0..WINDOW).map(|r| g[r] * element(at + r * by_row)).sum();
                    }
                }
                for (a, half) in half.iter().enumerate().take(n) {
                    for (b, g) in g.iter().enumerate() {
                        let sum = g[0] * half[0] + g[1] * half[1] + g[2] * half[2];
                        out[(a * n + b) * plane + c * filters + f] = sum as f32;
                    }
                }
            }
        }
        let data: Vec<u8> = out.iter().flat_map(|v| v.to_le_bytes()).collect();
        Tensor::new(DType::F32, vec![(n * n) as i64, channels as i64, filters as i64], data.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One dimension of the algorithm against the definition of a convolution.
    fn check(algorithm: Algorithm) {
        let (n, m) = (algorithm.points(), algorithm.outputs());
        let x: Vec<f64> = (0..n).map(|i| (i as f64 * 1.7).sin()).collect();
        let w = [0.3, -1.1, 0.7];
        let v: Vec<f64> =
            algorithm.input().iter().map(|row| row.iter().zip(&x).map(|(b, x)| b * x).sum()).collect();
        let u: Vec<f64> =
            algorithm.filter().iter().map(|row| row.iter().zip(w).map(|(g, w)| g * w).sum()).collect();
        for (k, row) in algorithm.output().iter().enumerate() {
            let got: f64 = row.iter().zip(&v).zip(&u).map(|((a, v), u)| a * v * u).sum();
            let want: f64 = (0..WINDOW).map(|j| x[k + j] * w[j]).sum();
            assert!((got - want).abs() < 1e-12, "{m} outputs: output {k} is {got}, not {want}");
        }
    }

    #[test]
    fn the_matrices_compute_a_convolution() {
        check(Algorithm::F2);
        check(Algorithm::F4);
    }

    #[test]
    fn coefficients_are_exact_in_f32() {
        for algorithm in [Algorithm::F2, Algorithm::F4] {
            for c in algorithm.input().into_iter().chain(algorithm.output()).flatten() {
                assert_eq!(f64::from(c as f32), c);
            }
        }
    }

    #[test]
    fn filters_are_transformed_whatever_their_layout() {
        let values: Vec<f32> = (0..2 * 3 * 9).map(|i| (i as f32 * 0.37).cos()).collect();
        let w = Tensor::from_f32(&[2, 3, 3, 3], &values);
        let moved: Vec<f32> = (0..9 * 3 * 2)
            .map(|i| {
                let (k, c, f) = (i / 6, i / 2 % 3, i % 2);
                values[(f * 3 + c) * 9 + k]
            })
            .collect();
        let by_window = Tensor::from_f32(&[3, 3, 3, 2], &moved);
        let one = Algorithm::F4.transform_filters(&w, [0, 1, 2, 3]).unwrap();
        let other = Algorithm::F4.transform_filters(&by_window, [3, 2, 0, 1]).unwrap();
        assert_eq!(one.dims, [36, 3, 2]);
        assert_eq!(one.data, other.data);
        assert!(one.to_f64().iter().any(|v| v.abs() > 0.1));
    }
}
