//! Input and output tensors.

use crate::Error;
use crate::memory::Block;
use mlcc_format::DType;

/// A tensor in the caller's memory that is only read: row-major, without gaps. Its data must be
/// aligned to its elements.
#[derive(Clone, Copy, Debug)]
pub struct TensorRef<'a> {
    /// The type of the elements.
    pub dtype: DType,
    /// The shape, outermost dimension first.
    pub dims: &'a [i64],
    /// The elements, in the machine's byte order.
    pub data: &'a [u8],
}

/// A tensor in the caller's memory that is written: row-major, without gaps. Its data must be aligned
/// to its elements.
#[derive(Debug)]
pub struct TensorMut<'a> {
    /// The type of the elements.
    pub dtype: DType,
    /// The shape, outermost dimension first.
    pub dims: &'a [i64],
    /// The elements, in the machine's byte order.
    pub data: &'a mut [u8],
}

/// A type of Rust that elements can be read as.
///
/// # Safety
/// Every bit pattern is a value of the type, it has no padding, and it has the size of each dtype
/// that it stands for.
pub unsafe trait Element: Copy + 'static {
    /// The dtype of a tensor made of these.
    const DTYPE: DType;
    /// Whether elements of this dtype can be read as this type.
    fn reads(dtype: DType) -> bool {
        dtype == Self::DTYPE
    }
}

macro_rules! elements {
    ($($type:ty => $dtype:ident $(or $($other:ident)*)?),* $(,)?) => {$(
        // SAFETY: a primitive number of the size that its dtypes have.
        unsafe impl Element for $type {
            const DTYPE: DType = DType::$dtype;
            fn reads(dtype: DType) -> bool {
                matches!(dtype, DType::$dtype $($(| DType::$other)*)?)
            }
        }
    )*};
}

elements! {
    f32 => F32, f64 => F64, i8 => I8, i16 => I16, i32 => I32, i64 => I64,
    u8 => U8 or Bool, u16 => U16 or F16 BF16, u32 => U32, u64 => U64,
}

impl<'a> TensorRef<'a> {
    /// A tensor of the slice's elements.
    pub fn new<T: Element>(dims: &'a [i64], elements: &'a [T]) -> TensorRef<'a> {
        TensorRef { dtype: T::DTYPE, dims, data: bytes_of(elements) }
    }
}

impl<'a> TensorMut<'a> {
    /// A tensor over the slice's elements.
    pub fn new<T: Element>(dims: &'a [i64], elements: &'a mut [T]) -> TensorMut<'a> {
        let len = std::mem::size_of_val(elements);
        // SAFETY: the bytes of a mutable slice of primitive numbers, for which any bytes are values.
        let data = unsafe { std::slice::from_raw_parts_mut(elements.as_mut_ptr().cast(), len) };
        TensorMut { dtype: T::DTYPE, dims, data }
    }
}

/// A tensor that owns its memory, aligned to cache lines.
pub struct Tensor {
    dtype: DType,
    dims: Vec<i64>,
    data: Block,
}

impl Tensor {
    /// A tensor of zeros.
    ///
    /// # Errors
    /// A negative dimension, or more memory than there is.
    pub fn zeros(dtype: DType, dims: &[i64]) -> Result<Tensor, Error> {
        let Some(bytes) = byte_size(dtype, dims) else {
            let problem = format!("the shape {dims:?} has no size");
            return Err(Error::Size { what: "a tensor".into(), problem });
        };
        Ok(Tensor { dtype, dims: dims.to_vec(), data: Block::new(bytes, "a tensor")? })
    }

    /// A tensor with a copy of these elements.
    ///
    /// # Errors
    /// If the number of elements does not match the shape, or there is no memory.
    pub fn from_elements<T: Element>(dims: &[i64], elements: &[T]) -> Result<Tensor, Error> {
        let mut tensor = Tensor::zeros(T::DTYPE, dims)?;
        let data = bytes_of(elements);
        if data.len() != tensor.data.len() {
            let problem = format!("{} elements do not fill the shape {dims:?}", elements.len());
            return Err(Error::Size { what: "a tensor".into(), problem });
        }
        tensor.data.bytes_mut().copy_from_slice(data);
        Ok(tensor)
    }

    /// The type of the elements.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The shape.
    pub fn dims(&self) -> &[i64] {
        &self.dims
    }

    /// The elements as bytes.
    pub fn data(&self) -> &[u8] {
        self.data.bytes()
    }

    /// The elements as bytes, to be written.
    pub fn data_mut(&mut self) -> &mut [u8] {
        self.data.bytes_mut()
    }

    /// The elements, if `T` can represent them: `u8` also for booleans, `u16` for the bits of 16-bit
    /// floats.
    pub fn elements<T: Element>(&self) -> Option<&[T]> {
        let count = self.data.len() / size_of::<T>();
        // SAFETY: the memory is initialised, aligned beyond any element's need, owned by `self`, and
        // `T` takes any bit pattern.
        T::reads(self.dtype)
            .then(|| unsafe { std::slice::from_raw_parts(self.data.as_mut_ptr().cast(), count) })
    }

    /// The tensor as an input.
    pub fn as_ref(&self) -> TensorRef<'_> {
        TensorRef { dtype: self.dtype, dims: &self.dims, data: self.data.bytes() }
    }

    /// The tensor as an output.
    pub fn as_mut(&mut self) -> TensorMut<'_> {
        TensorMut { dtype: self.dtype, dims: &self.dims, data: self.data.bytes_mut() }
    }
}

impl std::fmt::Debug for Tensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tensor({} {:?})", self.dtype, self.dims)
    }
}

/// The size of a tensor; none if a dimension is negative or the product does not fit an address.
pub(crate) fn byte_size(dtype: DType, dims: &[i64]) -> Option<u64> {
    let size = dims.iter().try_fold(dtype.size() as u64, |product, dim| {
        product.checked_mul(u64::try_from(*dim).ok()?).filter(|p| *p <= isize::MAX as u64)
    });
    // A dimension of 0 makes the tensor empty, however large the others are.
    match dims.contains(&0) && dims.iter().all(|dim| *dim >= 0) {
        true => Some(0),
        false => size,
    }
}

fn bytes_of<T: Element>(elements: &[T]) -> &[u8] {
    // SAFETY: primitive numbers have no padding, so all their bytes are initialised.
    unsafe { std::slice::from_raw_parts(elements.as_ptr().cast(), std::mem::size_of_val(elements)) }
}
