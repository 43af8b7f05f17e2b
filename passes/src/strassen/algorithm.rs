//! The sums of Winograd's form, and weights as the sums of their quarters.

use mlcc_ir::{dtype::DType, tensor::Tensor};

/// Number of products.
pub const PRODUCTS: usize = 7;

/// A term of a sum: whether it is subtracted, and which value, see [`LEFT`] and [`RESULT`].
pub type Term = (bool, usize);

const PLUS: bool = false;
const MINUS: bool = true;

/// The sums of the left matrix' quarters for each product. Quarters are numbered `2 row + column`. Sums that
/// begin alike are written alike, so that they are made once.
pub const LEFT: [&[Term]; PRODUCTS] = [
    &[(PLUS, 0)],
    &[(PLUS, 1)],
    &[(PLUS, 1), (PLUS, 0), (MINUS, 2), (MINUS, 3)],
    &[(PLUS, 3)],
    &[(PLUS, 2), (PLUS, 3)],
    &[(PLUS, 2), (PLUS, 3), (MINUS, 0)],
    &[(PLUS, 0), (MINUS, 2)],
];

/// The same for the right matrix.
pub const RIGHT: [&[Term]; PRODUCTS] = [
    &[(PLUS, 0)],
    &[(PLUS, 2)],
    &[(PLUS, 3)],
    &[(PLUS, 3), (MINUS, 1), (PLUS, 0), (MINUS, 2)],
    &[(PLUS, 1), (MINUS, 0)],
    &[(PLUS, 3), (MINUS, 1), (PLUS, 0)],
    &[(PLUS, 3), (MINUS, 1)],
];

/// The sums of products for each quarter of the result.
pub const RESULT: [&[Term]; 4] = [
    &[(PLUS, 0), (PLUS, 1)],
    &[(PLUS, 0), (PLUS, 5), (PLUS, 4), (PLUS, 2)],
    &[(PLUS, 0), (PLUS, 5), (PLUS, 6), (MINUS, 3)],
    &[(PLUS, 0), (PLUS, 5), (PLUS, 6), (PLUS, 4)],
];

/// The places of a matrix' elements in a tensor: the offset of each point along rows, and along columns.
/// `None` stands for points behind the end, which read as 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Halves {
    /// Offsets in the first half and in the second.
    pub offsets: [Vec<Option<usize>>; 2],
}

/// The seven sums of a matrix' quarters, as `f32[7, rows, columns]` of a quarter. Sums are made in `f64` and
/// rounded once. The result is `None` if the tensor is of another type, or an offset is outside of it.
#[must_use]
pub fn transform_weights(w: &Tensor, rows: &Halves, columns: &Halves) -> Option<Tensor> {
    let count = w.elements();
    let last = |h: &Halves| h.offsets.iter().flatten().flatten().max().copied();
    if w.dtype != DType::F32 || last(rows)?.checked_add(last(columns)?)? >= count {
        return None;
    }
    let (height, width) = (rows.offsets[0].len(), columns.offsets[0].len());
    let plane = height * width;
    let mut out = vec![0u8; 4 * PRODUCTS * plane];
    let mut quarters = vec![vec![0f64; width]; 4];
    for at in 0..height {
        for (quarter, values) in quarters.iter_mut().enumerate() {
            let Some(row) = rows.offsets[quarter / 2][at] else {
                values.fill(0.0);
                continue;
            };
            for (value, column) in values.iter_mut().zip(&columns.offsets[quarter % 2]) {
                *value = column.map_or(0.0, |c| element(&w.data, row + c));
            }
        }
        for (e, sum) in RIGHT.iter().enumerate() {
            let first = 4 * (e * plane + at * width);
            for (column, bytes) in out[first..first + 4 * width].chunks_exact_mut(4).enumerate() {
                let signed = |(minus, q): &Term| {
                    let value = quarters[*q][column];
                    if *minus { -value } else { value }
                };
                let value: f64 = sum.iter().map(signed).sum();
                bytes.copy_from_slice(&(value as f32).to_le_bytes());
            }
        }
    }
    Tensor::new(DType::F32, vec![PRODUCTS as i64, height as i64, width as i64], out.into())
}

fn element(data: &[u8], at: usize) -> f64 {
    let bytes = &data[4 * at..4 * at + 4];
    f64::from(f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The coefficient that a quarter of the result needs for the product of a quarter of A and a quarter of
    /// B.
    fn coefficient(result: usize, left: usize, right: usize) -> i32 {
        let sign = |terms: &[Term], value: usize| -> i32 {
            terms.iter().filter(|t| t.1 == value).map(|t| if t.0 { -1 } else { 1 }).sum()
        };
        (0..PRODUCTS).map(|e| sign(RESULT[result], e) * sign(LEFT[e], left) * sign(RIGHT[e], right)).sum()
    }

    #[test]
    fn the_sums_multiply_matrices() {
        for (result, left, right) in (0..64).map(|i| (i / 16, i / 4 % 4, i % 4)) {
            let meets = left % 2 == right / 2 && result == 2 * (left / 2) + right % 2;
            assert_eq!(coefficient(result, left, right), i32::from(meets), "{result} {left} {right}");
        }
    }

    #[test]
    fn weights_are_transformed_whatever_their_layout() {
        let values: Vec<f32> = (0..5 * 6).map(|i| (i as f32 * 0.37).cos()).collect();
        let rows = |stride: usize| Halves {
            offsets: [0, 3].map(|h| (h..h + 3).map(|k| (k < 5).then_some(k * stride)).collect()),
        };
        let columns = |stride: usize| Halves {
            offsets: [0, 3].map(|h| (h..h + 3).map(|n| Some(n * stride)).collect()),
        };
        let one = transform_weights(&Tensor::from_f32(&[5, 6], &values), &rows(6), &columns(1)).unwrap();
        let turned: Vec<f32> = (0..30).map(|i| values[i % 5 * 6 + i / 5]).collect();
        let other = transform_weights(&Tensor::from_f32(&[6, 5], &turned), &rows(1), &columns(5)).unwrap();
        assert_eq!(one.dims, [7, 3, 3]);
        assert_eq!(one.data, other.data);
        // The fourth: B22 - B12 + B11 - B21, in the last row with nothing below.
        let last = f64::from(values[2 * 6 + 1]) - f64::from(values[2 * 6 + 4]);
        assert!((one.to_f64()[3 * 9 + 2 * 3 + 1] - last).abs() < 1e-7);
        assert!(
            transform_weights(&Tensor::from_f32(&[5, 5], &turned[..25]), &rows(6), &columns(1)).is_none()
        );
    }
}
