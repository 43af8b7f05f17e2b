//! Tensors with data: weights, small constants, the operands of the reference interpreters.

use crate::{dtype::DType, types::TensorType};
use bytes::Bytes;
use half::{bf16, f16};

/// A dense row-major tensor. The data may be a slice of a mapped file, of any alignment.
#[derive(Clone, PartialEq)]
pub struct Tensor {
    /// Element type.
    pub dtype: DType,
    /// Dimensions.
    pub dims: Vec<i64>,
    /// Elements in row-major order, little endian.
    pub data: Bytes,
}

/// One element, converted: floats as `f64`, signed integers and `Bool` as `i64`, unsigned as `u64`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Element {
    Float(f64),
    Int(i64),
    UInt(u64),
}

impl Tensor {
    /// A tensor over existing bytes; `None` if their number does not match the type and the
    /// dimensions.
    #[must_use]
    pub fn new(dtype: DType, dims: Vec<i64>, data: Bytes) -> Option<Tensor> {
        let elements = element_count(&dims)?;
        (elements.checked_mul(dtype.size())? == data.len()).then_some(Tensor { dtype, dims, data })
    }

    /// A tensor of `f32` values.
    ///
    /// # Panics
    /// If the number of values is not the product of the dimensions.
    #[must_use]
    pub fn from_f32(dims: &[i64], values: &[f32]) -> Tensor {
        let data: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Tensor::new(DType::F32, dims.to_vec(), data.into()).expect("as many values as elements")
    }

    /// A tensor of `i64` values.
    ///
    /// # Panics
    /// If the number of values is not the product of the dimensions.
    #[must_use]
    pub fn from_i64(dims: &[i64], values: &[i64]) -> Tensor {
        let data: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Tensor::new(DType::I64, dims.to_vec(), data.into()).expect("as many values as elements")
    }

    /// Number of elements.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.data.len() / self.dtype.size()
    }

    /// The tensor's type.
    #[must_use]
    pub fn ty(&self) -> TensorType {
        TensorType::of(self.dtype, &self.dims)
    }

    /// Element `i` in row-major order.
    ///
    /// # Panics
    /// If `i` is out of range.
    #[must_use]
    pub fn get(&self, i: usize) -> Element {
        read_element(self.dtype, &self.data, i)
    }

    /// All elements as `f64`.
    #[must_use]
    pub fn to_f64(&self) -> Vec<f64> {
        (0..self.elements()).map(|i| self.get(i).to_f64()).collect()
    }

    /// All elements as `i64`; floats are truncated.
    #[must_use]
    pub fn to_i64(&self) -> Vec<i64> {
        (0..self.elements()).map(|i| self.get(i).to_i64()).collect()
    }
}

impl std::fmt::Debug for Tensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "tensor<{}>", self.ty())
    }
}

/// Product of dimensions; `None` if one is negative or the product overflows.
#[must_use]
pub fn element_count(dims: &[i64]) -> Option<usize> {
    dims.iter().try_fold(1usize, |n, &d| n.checked_mul(usize::try_from(d).ok()?))
}

/// Element `i` of little-endian data of type `dtype`.
///
/// # Panics
/// If `i` is out of range.
#[must_use]
pub fn read_element(dtype: DType, data: &[u8], i: usize) -> Element {
    fn at<const N: usize>(data: &[u8], i: usize) -> [u8; N] {
        data[i * N..(i + 1) * N].try_into().expect("a slice of N bytes")
    }
    match dtype {
        DType::F32 => Element::Float(f64::from(f32::from_le_bytes(at(data, i)))),
        DType::F64 => Element::Float(f64::from_le_bytes(at(data, i))),
        DType::F16 => Element::Float(f16::from_le_bytes(at(data, i)).to_f64()),
        DType::BF16 => Element::Float(bf16::from_le_bytes(at(data, i)).to_f64()),
        DType::I8 => Element::Int(i64::from(i8::from_le_bytes(at(data, i)))),
        DType::I16 => Element::Int(i64::from(i16::from_le_bytes(at(data, i)))),
        DType::I32 => Element::Int(i64::from(i32::from_le_bytes(at(data, i)))),
        DType::I64 => Element::Int(i64::from_le_bytes(at(data, i))),
        DType::U8 => Element::UInt(u64::from(data[i])),
        DType::U16 => Element::UInt(u64::from(u16::from_le_bytes(at(data, i)))),
        DType::U32 => Element::UInt(u64::from(u32::from_le_bytes(at(data, i)))),
        DType::U64 => Element::UInt(u64::from_le_bytes(at(data, i))),
        DType::Bool => Element::Int(i64::from(data[i] != 0)),
    }
}

/// Appends one element, converted to `dtype` (floats round to nearest even, integers wrap).
pub fn push_element(dtype: DType, data: &mut Vec<u8>, value: Element) {
    match dtype {
        DType::F32 => data.extend((value.to_f64() as f32).to_le_bytes()),
        DType::F64 => data.extend(value.to_f64().to_le_bytes()),
        DType::F16 => data.extend(f16::from_f64(value.to_f64()).to_le_bytes()),
        DType::BF16 => data.extend(bf16::from_f64(value.to_f64()).to_le_bytes()),
        DType::I8 => data.extend((value.to_i64() as i8).to_le_bytes()),
        DType::I16 => data.extend((value.to_i64() as i16).to_le_bytes()),
        DType::I32 => data.extend((value.to_i64() as i32).to_le_bytes()),
        DType::I64 => data.extend(value.to_i64().to_le_bytes()),
        DType::U8 => data.push(value.to_u64() as u8),
        DType::U16 => data.extend((value.to_u64() as u16).to_le_bytes()),
        DType::U32 => data.extend((value.to_u64() as u32).to_le_bytes()),
        DType::U64 => data.extend(value.to_u64().to_le_bytes()),
        DType::Bool => data.push(u8::from(match value {
            Element::Float(v) => v != 0.0,
            Element::Int(v) => v != 0,
            Element::UInt(v) => v != 0,
        })),
    }
}

impl Element {
    /// As a float.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        match self {
            Element::Float(v) => v,
            Element::Int(v) => v as f64,
            Element::UInt(v) => v as f64,
        }
    }

    /// As a signed integer; floats are truncated and saturate, unsigned integers wrap.
    #[must_use]
    pub fn to_i64(self) -> i64 {
        match self {
            Element::Float(v) => v as i64,
            Element::Int(v) => v,
            Element::UInt(v) => v as i64,
        }
    }

    /// As an unsigned integer; negative integers wrap.
    #[must_use]
    pub fn to_u64(self) -> u64 {
        match self {
            Element::Float(v) if v < 0.0 => v as i64 as u64,
            Element::Float(v) => v as u64,
            Element::Int(v) => v as u64,
            Element::UInt(v) => v,
        }
    }
}
