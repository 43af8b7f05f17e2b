//! Contraction micro-kernels.

use crate::{nests, run::run};
use mlcc_ir::{dtype::DType, tensor::Tensor};

/// Numbers in -1..1, the same every time.
pub fn random(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

#[test]
fn every_remainder_of_rows_and_columns_is_right() {
    for (m, n, k, rows, cols) in [(6, 64, 16, 6, 64), (13, 70, 5, 6, 64), (1, 1, 1, 6, 64), (17, 33, 37, 4, 32), (14, 31, 130, 14, 32)] {
        let nest = nests::gemm(DType::F32, [m, n, k], rows, cols);
        let a = random((m * k) as usize, 1);
        let b = random((k * n) as usize, 2);
        let tiles = (n + i64::from(cols) - 1) / i64::from(cols);
        let mut packed = vec![0f32; (tiles * k * i64::from(cols)) as usize];
        for j in 0..n {
            for p in 0..k {
                let (t, c) = (j / i64::from(cols), j % i64::from(cols));
                packed[((t * k + p) * i64::from(cols) + c) as usize] = b[(p * n + j) as usize];
            }
        }
        let operands = [
            Tensor::from_f32(&[m, k], &a),
            Tensor::from_f32(&[tiles, k, i64::from(cols)], &packed),
            Tensor::from_f32(&[m, n], &vec![f32::NAN; (m * n) as usize]),
        ];
        let result = run(&nest, &operands, &[])[2].to_f64();
        for i in 0..m {
            for j in 0..n {
                let sum: f64 = (0..k).map(|p| f64::from(a[(i * k + p) as usize]) * f64::from(b[(p * n + j) as usize])).sum();
                let got = result[(i * n + j) as usize];
                assert!((got - sum).abs() <= 1e-5 * (k as f64), "{m}x{n}x{k}: [{i}, {j}] = {got}, not {sum}");
            }
        }
    }
}
