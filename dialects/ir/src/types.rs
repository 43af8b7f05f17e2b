//! Tensor types: element type, symbolic dimensions, layout.

use crate::{dtype::DType, expr::Expr};
use std::fmt;

/// How a tensor's logical elements lie in memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Layout {
    /// The last dimension is contiguous, no padding.
    #[default]
    RowMajor,
    /// Each `(dimension, factor)` splits a dimension into blocks of `factor`; the inner parts become
    /// the innermost physical dimensions, in this order, padded up to whole blocks.
    Blocked(Vec<(usize, i64)>),
}

/// A tensor's type. A dynamic dimension is an expression over named symbols; equal names are equal
/// sizes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TensorType {
    /// Element type.
    pub dtype: DType,
    /// Logical dimensions.
    pub dims: Vec<Expr>,
    /// Placement of the elements in memory.
    pub layout: Layout,
}

impl TensorType {
    /// A row-major tensor type.
    #[must_use]
    pub fn new(dtype: DType, dims: Vec<Expr>) -> TensorType {
        TensorType { dtype, dims, layout: Layout::RowMajor }
    }

    /// A row-major tensor type with static dimensions.
    #[must_use]
    pub fn of(dtype: DType, dims: &[i64]) -> TensorType {
        TensorType::new(dtype, dims.iter().map(|&d| Expr::from(d)).collect())
    }

    /// Number of dimensions.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.dims.len()
    }

    /// The dimensions, if all are static.
    #[must_use]
    pub fn static_dims(&self) -> Option<Vec<i64>> {
        self.dims.iter().map(Expr::as_const).collect()
    }

    /// Number of logical elements.
    #[must_use]
    pub fn elements(&self) -> Expr {
        self.dims.iter().fold(Expr::from(1), |n, d| n * d.clone())
    }

    /// Dimensions as they lie in memory: the logical ones, or outer dimensions and block parts.
    #[must_use]
    pub fn physical_dims(&self) -> Vec<Expr> {
        match &self.layout {
            Layout::RowMajor => self.dims.clone(),
            Layout::Blocked(blocks) => {
                let mut dims = self.dims.clone();
                for &(d, factor) in blocks {
                    dims[d] = dims[d].ceil_div(&Expr::from(factor));
                }
                dims.extend(blocks.iter().map(|&(_, factor)| Expr::from(factor)));
                dims
            }
        }
    }

    /// Size in memory, in bytes, padding included.
    #[must_use]
    pub fn bytes(&self) -> Expr {
        self.physical_dims().into_iter().fold(Expr::from(self.dtype.size() as i64), |n, d| n * d)
    }

    /// The same dimensions with another element type.
    #[must_use]
    pub fn with_dtype(&self, dtype: DType) -> TensorType {
        TensorType { dtype, ..self.clone() }
    }
}

/// Strides, in elements, of a row-major tensor of these dimensions.
#[must_use]
pub fn row_major_strides(dims: &[Expr]) -> Vec<Expr> {
    let mut strides = vec![Expr::from(1); dims.len()];
    for d in (0..dims.len().saturating_sub(1)).rev() {
        strides[d] = strides[d + 1].clone() * dims[d + 1].clone();
    }
    strides
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for d in &self.dims {
            match d.as_const() {
                Some(n) => write!(f, "{n}x")?,
                None => write!(f, "({d})x")?,
            }
        }
        write!(f, "{}", self.dtype)
    }
}

impl fmt::Debug for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
