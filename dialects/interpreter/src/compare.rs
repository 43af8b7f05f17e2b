//! Comparison of results: relative error, norm against norm.

use mlcc_ir::tensor::Tensor;

/// Norm of the difference over the norm of `want`. Infinite in three cases: types or shapes differ;
/// one tensor has a NaN or an infinity at a place where the other has not the same; `want` is all
/// zeros and `got` is not.
#[must_use]
pub fn compare(got: &Tensor, want: &Tensor) -> f64 {
    if got.dtype != want.dtype || got.dims != want.dims {
        return f64::INFINITY;
    }
    let (mut difference, mut norm) = (0.0, 0.0);
    for i in 0..want.elements() {
        let (a, b) = (got.get(i).to_f64(), want.get(i).to_f64());
        if a.is_finite() && b.is_finite() {
            difference += (a - b) * (a - b);
            norm += b * b;
        } else if a != b && !(a.is_nan() && b.is_nan()) {
            return f64::INFINITY;
        }
    }
    if difference == 0.0 { 0.0 } else { (difference / norm).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn norms_are_compared_and_special_values_must_agree() {
        let t = |values: &[f32]| Tensor::from_f32(&[values.len() as i64], values);
        assert!((compare(&t(&[3.0, 4.4]), &t(&[3.0, 4.0])) - 0.08).abs() < 1e-6);
        assert_eq!(compare(&t(&[f32::NAN, f32::INFINITY]), &t(&[f32::NAN, f32::INFINITY])), 0.0);
        assert_eq!(compare(&t(&[f32::NAN]), &t(&[0.0])), f64::INFINITY);
        assert_eq!(compare(&t(&[f32::INFINITY]), &t(&[f32::NEG_INFINITY])), f64::INFINITY);
        assert_eq!(compare(&t(&[1e-30]), &t(&[0.0])), f64::INFINITY);
        assert_eq!(compare(&t(&[0.0]), &Tensor::from_i64(&[1], &[0])), f64::INFINITY);
    }
}
