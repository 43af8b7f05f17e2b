//! Memory of kernels and nests: elements that know whether they were ever written.

use crate::array::{collect, count};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    dtype::DType,
    tensor::{Element, Tensor},
};

/// Larger buffers are refused instead of exhausting the memory.
const MAX_ELEMENTS: usize = 1 << 32;

/// A tensor or buffer under interpretation.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    pub(crate) name: String,
    pub(crate) dtype: DType,
    pub(crate) dims: Vec<i64>,
    pub(crate) elements: Vec<Option<Element>>,
}

impl Memory {
    /// Memory in which nothing has been written.
    pub(crate) fn unwritten(name: &str, dtype: DType, dims: Vec<i64>) -> Result<Memory> {
        let elements = mlcc_ir::tensor::element_count(&dims).filter(|&n| n <= MAX_ELEMENTS);
        let elements = elements
            .ok_or_else(|| Diagnostic::internal(format!("'{name}' cannot have dimensions {dims:?}")))?;
        Ok(Memory { name: name.to_owned(), dtype, dims, elements: vec![None; elements] })
    }

    /// Memory that holds a tensor of this type.
    pub(crate) fn holding(name: &str, dtype: DType, dims: Vec<i64>, tensor: &Tensor) -> Result<Memory> {
        if tensor.dtype != dtype || count(&tensor.dims) != count(&dims) || tensor.dims != dims {
            return Err(Diagnostic::internal(format!(
                "'{name}' is {dtype} of {dims:?}, but the tensor is {}",
                tensor.ty()
            )));
        }
        let elements = (0..tensor.elements()).map(|i| Some(tensor.get(i))).collect();
        Ok(Memory { name: name.to_owned(), dtype, dims, elements })
    }

    /// Offset of an element; `None` where the index is out of bounds.
    pub(crate) fn offset(&self, at: &[i64]) -> Option<usize> {
        let mut offset = 0;
        for (&i, &dim) in at.iter().zip(&self.dims) {
            if !(0..dim).contains(&i) {
                return None;
            }
            offset = offset * dim + i;
        }
        (at.len() == self.dims.len()).then_some(offset as usize)
    }

    /// The element at an offset that is in bounds.
    pub(crate) fn load(&self, offset: usize) -> Result<Element> {
        self.elements[offset].ok_or_else(|| {
            Diagnostic::internal(format!("'{}' is read before it is written, at element {offset}", self.name))
        })
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.elements.fill(None);
    }

    /// The memory as a tensor. Every element must have been written.
    pub(crate) fn into_tensor(self) -> Result<Tensor> {
        let element = |(i, e): (usize, &Option<Element>)| {
            e.ok_or_else(|| Diagnostic::internal(format!("element {i} of '{}' is never written", self.name)))
        };
        collect(self.dtype, &self.dims, self.elements.iter().enumerate().map(element))
    }
}
