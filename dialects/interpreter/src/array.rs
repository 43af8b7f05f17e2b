//! Access to whole tensors: strides, views, element loops.

use bytes::Bytes;
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    dtype::DType,
    tensor::{Element, Tensor, element_count, push_element},
};

/// Strides, in elements, of a row-major tensor.
pub(crate) fn strides(dims: &[i64]) -> Vec<i64> {
    let mut strides = vec![1i64; dims.len()];
    for d in (0..dims.len().saturating_sub(1)).rev() {
        strides[d] = strides[d + 1].saturating_mul(dims[d + 1]);
    }
    strides
}

/// Strides with which a tensor of dimensions `from` is read as one of dimensions `to`, by numpy's
/// broadcasting; `None` if broadcasting does not allow that.
pub(crate) fn broadcast_strides(from: &[i64], to: &[i64]) -> Option<Vec<i64>> {
    let missing = to.len().checked_sub(from.len())?;
    let mut result = vec![0; missing];
    for ((&dim, &wanted), stride) in from.iter().zip(&to[missing..]).zip(strides(from)) {
        match dim {
            _ if dim == wanted => result.push(stride),
            1 => result.push(0),
            _ => return None,
        }
    }
    Some(result)
}

/// Product of dimensions.
pub(crate) fn count(dims: &[i64]) -> usize {
    element_count(dims).unwrap_or(0)
}

/// Offsets of all elements in row-major order, under `N` sets of strides at once.
pub(crate) struct Offsets<'a, const N: usize> {
    dims: &'a [i64],
    strides: [&'a [i64]; N],
    at: Vec<i64>,
    offsets: [i64; N],
    left: usize,
}

/// Walks `dims` in row-major order.
pub(crate) fn offsets<'a, const N: usize>(dims: &'a [i64], strides: [&'a [i64]; N]) -> Offsets<'a, N> {
    Offsets { dims, strides, at: vec![0; dims.len()], offsets: [0; N], left: count(dims) }
}

impl<const N: usize> Iterator for Offsets<'_, N> {
    type Item = [i64; N];

    fn next(&mut self) -> Option<[i64; N]> {
        self.left = self.left.checked_sub(1)?;
        let current = self.offsets;
        for d in (0..self.dims.len()).rev() {
            self.at[d] += 1;
            for (offset, strides) in self.offsets.iter_mut().zip(self.strides) {
                *offset += strides[d];
            }
            if self.at[d] < self.dims[d] {
                break;
            }
            for (offset, strides) in self.offsets.iter_mut().zip(self.strides) {
                *offset -= strides[d] * self.dims[d];
            }
            self.at[d] = 0;
        }
        Some(current)
    }
}

/// A tensor of the elements of `source` at `base + index * strides`, for each index in `dims`.
pub(crate) fn view(source: &Tensor, base: i64, dims: &[i64], strides: &[i64]) -> Result<Tensor> {
    let size = source.dtype.size();
    let elements = count(dims);
    let mut data = Vec::with_capacity(elements * size);
    if elements > 0 {
        // The outermost offsets decide for all.
        let reach = |up: bool| {
            let ways = dims.iter().zip(strides).map(|(&n, &s)| (n - 1).checked_mul(s));
            ways.filter(|w| w.is_none_or(|w| (w > 0) == up)).try_fold(base, |sum, w| sum.checked_add(w?))
        };
        let inside = |offset: Option<i64>| offset.is_some_and(|o| (0..source.elements() as i64).contains(&o));
        if !inside(reach(false)) || !inside(reach(true)) {
            return Err(Diagnostic::internal(format!("a view of {source:?} as {dims:?} is out of bounds")));
        }
        // Runs that are contiguous in the source are copied at once.
        let (mut run, mut outer) = (1i64, dims.len());
        while outer > 0 && strides[outer - 1] == run {
            outer -= 1;
            run *= dims[outer];
        }
        for [offset] in offsets(&dims[..outer], [&strides[..outer]]) {
            let at = (base + offset) as usize * size;
            data.extend_from_slice(&source.data[at..at + run as usize * size]);
        }
    }
    tensor(source.dtype, dims, data)
}

/// A tensor over bytes.
pub(crate) fn tensor(dtype: DType, dims: &[i64], data: impl Into<Bytes>) -> Result<Tensor> {
    Tensor::new(dtype, dims.to_vec(), data.into())
        .ok_or_else(|| Diagnostic::internal(format!("elements do not fill {dtype} of dimensions {dims:?}")))
}

/// A tensor of elements that have its type already.
pub(crate) fn collect(
    dtype: DType,
    dims: &[i64],
    elements: impl IntoIterator<Item = Result<Element>>,
) -> Result<Tensor> {
    let mut data = Vec::with_capacity(count(dims) * dtype.size());
    for element in elements {
        push_element(dtype, &mut data, element?);
    }
    tensor(dtype, dims, data)
}

/// A tensor of floats, rounded to `dtype`; truncated and saturated if that is an integer type.
pub(crate) fn from_f64(dtype: DType, dims: &[i64], values: impl IntoIterator<Item = f64>) -> Result<Tensor> {
    collect(dtype, dims, values.into_iter().map(|v| Ok(crate::scalar::from_f64(dtype, v))))
}

/// Splits `dims` around `axis`: the products of the dimensions before and behind it.
pub(crate) fn around(dims: &[i64], axis: usize) -> (usize, usize) {
    (count(&dims[..axis]), count(&dims[axis + 1..]))
}

/// The element of a tensor of rank 0, or of a tensor with one element.
pub(crate) fn scalar(tensor: &Tensor) -> Result<Element> {
    if tensor.elements() == 1 {
        return Ok(tensor.get(0));
    }
    Err(Diagnostic::user(format!("a scalar is needed, but the tensor is {}", tensor.ty())))
}

/// A number type for sums of products: `f64` for floats, wrapping `i64` for integers.
pub(crate) trait Number: Copy + Default {
    /// `self + a * b`.
    fn mul_add(self, a: Self, b: Self) -> Self;
    fn add(self, other: Self) -> Self;
    fn load(tensor: &Tensor) -> Vec<Self>;
    fn element(self) -> Element;
}

impl Number for f64 {
    fn mul_add(self, a: f64, b: f64) -> f64 {
        self + a * b
    }
    fn add(self, other: f64) -> f64 {
        self + other
    }
    fn load(tensor: &Tensor) -> Vec<f64> {
        tensor.to_f64()
    }
    fn element(self) -> Element {
        Element::Float(self)
    }
}

impl Number for i64 {
    fn mul_add(self, a: i64, b: i64) -> i64 {
        self.wrapping_add(a.wrapping_mul(b))
    }
    fn add(self, other: i64) -> i64 {
        self.wrapping_add(other)
    }
    fn load(tensor: &Tensor) -> Vec<i64> {
        tensor.to_i64()
    }
    fn element(self) -> Element {
        Element::Int(self)
    }
}

/// A tensor of sums, rounded or wrapped to `dtype`.
pub(crate) fn store<T: Number>(dtype: DType, dims: &[i64], values: &[T]) -> Result<Tensor> {
    collect(dtype, dims, values.iter().map(|v| Ok(v.element())))
}
