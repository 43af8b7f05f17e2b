//! Contractions: matrix products and Einstein sums.

use super::Call;
use crate::array::{Number, broadcast_strides, count, offsets, store, strides, view};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    ops::Einsum,
    tensor::Tensor,
};

pub(super) fn matmul(call: &Call<'_>) -> Result<Vec<Tensor>> {
    // Rank 1 is a row on the left and a column on the right.
    let matrix = |i: usize, flag: &str| -> Result<Tensor> {
        let x = call.operand(i)?;
        if x.dims.len() == 1 {
            let dims = if i == 0 { vec![1, x.dims[0]] } else { vec![x.dims[0], 1] };
            return Ok(Tensor { dims, ..x.clone() });
        }
        if !call.attrs.bool(flag, false) {
            return Ok(x.clone());
        }
        let (mut dims, mut s) = (x.dims.clone(), strides(&x.dims));
        let last = dims.len() - 1;
        dims.swap(last - 1, last);
        s.swap(last - 1, last);
        view(x, 0, &dims, &s)
    };
    let (a, b) = (matrix(0, "transpose_a")?, matrix(1, "transpose_b")?);
    let result =
        if call.dtype().is_float() { product::<f64>(call, &a, &b) } else { product::<i64>(call, &a, &b) };
    Ok(vec![result?])
}

/// The product of matrices of rank 2 at least, batches broadcast.
fn product<T: Number>(call: &Call<'_>, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let (batch_a, &[m, k]) = split(&a.dims)?;
    let (batch_b, &[_, n]) = split(&b.dims)?;
    let vectors = (0..2).filter(|&i| call.operand(i).is_ok_and(|x| x.dims.len() == 1)).count();
    let batch = call.dims()[..call.dims().len() - (2 - vectors)].to_vec();
    let steps = |dims: &[i64]| {
        broadcast_strides(dims, &batch)
            .ok_or_else(|| Diagnostic::user(format!("batches {dims:?} and {batch:?} differ")))
    };
    let (step_a, step_b) = (steps(batch_a)?, steps(batch_b)?);
    let (m, k, n) = (m as usize, k as usize, n as usize);
    let (left, right) = (T::load(a), T::load(b));
    // A block has as many columns as stay in the cache for all rows.
    let block = ((1 << 15) / k.max(1)).max(64);
    let mut out = vec![T::default(); count(call.dims())];
    for (i, [at_a, at_b]) in offsets(&batch, [&step_a, &step_b]).enumerate() {
        let left = &left[at_a as usize * m * k..][..m * k];
        let right = &right[at_b as usize * k * n..][..k * n];
        let out = &mut out[i * m * n..][..m * n];
        for first in (0..n).step_by(block) {
            let columns = first..n.min(first + block);
            for row in 0..m {
                let out = &mut out[row * n..][columns.clone()];
                add_rows(out, &left[row * k..][..k], right.get(columns.start..).unwrap_or(&[]), n);
            }
        }
    }
    store(call.dtype(), call.dims(), &out)
}

/// `out += sum over k of x[k] * y[k]`, where row `k` of `y` begins at `k * step`.
fn add_rows<T: Number>(out: &mut [T], x: &[T], y: &[T], step: usize) {
    let width = out.len();
    let row = |k: usize| &y[k * step..][..width];
    // Four rows at a time, so that the sums are loaded and stored less often.
    let whole = x.len() / 4 * 4;
    for k in (0..whole).step_by(4) {
        let (a, b, c, d) = (row(k), row(k + 1), row(k + 2), row(k + 3));
        let rows = a.iter().zip(b).zip(c).zip(d);
        for (sum, (((&a, &b), &c), &d)) in out.iter_mut().zip(rows) {
            *sum = sum.mul_add(x[k], a).mul_add(x[k + 1], b).mul_add(x[k + 2], c).mul_add(x[k + 3], d);
        }
    }
    for (k, &x) in x.iter().enumerate().skip(whole) {
        for (sum, &y) in out.iter_mut().zip(row(k)) {
            *sum = sum.mul_add(x, y);
        }
    }
}

fn split(dims: &[i64]) -> Result<(&[i64], &[i64; 2])> {
    dims.split_last_chunk::<2>().ok_or_else(|| Diagnostic::user(format!("{dims:?} is not a matrix")))
}

pub(super) fn einsum(call: &Call<'_>) -> Result<Vec<Tensor>> {
    let operands = (0..call.operands.len()).map(|i| call.operand(i)).collect::<Result<Vec<_>>>()?;
    let ranks: Vec<usize> = operands.iter().map(|x| x.dims.len()).collect();
    let einsum = Einsum::parse(call.attrs.str("equation", ""), &ranks)?;
    let result = if call.dtype().is_float() {
        sum_of_products::<f64>(call, &operands, &einsum)
    } else {
        sum_of_products::<i64>(call, &operands, &einsum)
    };
    Ok(vec![result?])
}

fn sum_of_products<T: Number>(call: &Call<'_>, operands: &[&Tensor], einsum: &Einsum) -> Result<Tensor> {
    let mut sizes = vec![1; einsum.labels];
    for (x, labels) in operands.iter().zip(&einsum.operands) {
        for (&dim, &label) in x.dims.iter().zip(labels) {
            if dim != 1 {
                sizes[label] = dim;
            }
        }
    }
    // The strides of every label in each operand, labels of the result first.
    let mut order = einsum.result.clone();
    order.extend((0..einsum.labels).filter(|l| !einsum.result.contains(l)));
    let dims: Vec<i64> = order.iter().map(|&l| sizes[l]).collect();
    let inner = count(&dims[einsum.result.len()..]);
    let steps: Vec<Vec<i64>> = operands
        .iter()
        .zip(&einsum.operands)
        .map(|(x, labels)| {
            let strides = strides(&x.dims);
            let step = |l: usize| -> i64 {
                (0..labels.len()).filter(|&d| labels[d] == l && x.dims[d] != 1).map(|d| strides[d]).sum()
            };
            order.iter().map(|&l| step(l)).collect()
        })
        .collect();
    let mut out = vec![T::default(); count(call.dims())];
    let data: Vec<Vec<T>> = operands.iter().map(|x| T::load(x)).collect();
    // Two operands at a time keep the walk simple; a product of more goes through all their offsets.
    let walks = steps.iter().map(|s| offsets(&dims, [s]));
    let mut walks: Vec<_> = walks.collect();
    for i in 0..count(&dims) {
        let mut product: Option<T> = None;
        for (walk, data) in walks.iter_mut().zip(&data) {
            let Some([at]) = walk.next() else { break };
            let x = data[at as usize];
            product = Some(product.map_or(x, |p| T::default().mul_add(p, x)));
        }
        let sum = &mut out[i / inner.max(1)];
        *sum = sum.add(product.unwrap_or_default());
    }
    store(call.dtype(), call.dims(), &out)
}
