//! The structs that are passed between C and Rust, and their conversion to Rust's types.

use crate::status::Failure;
use mlcc_runtime::{DType, TensorMut, TensorRef};
use std::ffi::{c_char, c_void};

/// `mlcc_tensor`.
#[repr(C)]
pub struct CTensor {
    /// The elements.
    pub data: *mut c_void,
    /// Their size in bytes.
    pub bytes: u64,
    /// The shape, outermost first.
    pub dims: *const i64,
    /// The number of dimensions.
    pub rank: u32,
    /// The type of the elements, by ONNX's number.
    pub dtype: i32,
}

/// `mlcc_value_info`.
#[repr(C)]
pub struct CValueInfo {
    /// The name, zero-terminated.
    pub name: *const c_char,
    /// The shape as text, zero-terminated.
    pub shape: *const c_char,
    /// The number of dimensions.
    pub rank: u32,
    /// The type of the elements, by ONNX's number.
    pub dtype: i32,
}

/// The elements behind a pointer and a count; NULL is allowed if there are none.
///
/// # Safety
/// Where `count` is not 0 and the pointer not NULL, that many elements can be read as long as `'a`.
pub(crate) unsafe fn slice<'a, T>(pointer: *const T, count: usize, what: &str) -> Result<&'a [T], Failure> {
    match (pointer.is_null(), count) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(Failure::argument(format!("{what} is NULL"))),
        // SAFETY: as the caller promises.
        (false, _) => Ok(unsafe { std::slice::from_raw_parts(pointer, count) }),
    }
}

impl CTensor {
    fn dtype(&self) -> Result<DType, Failure> {
        DType::from_onnx_code(self.dtype)
            .ok_or_else(|| Failure::argument(format!("{} is no mlcc_dtype", self.dtype)))
    }

    fn len(&self) -> Result<usize, Failure> {
        let len = usize::try_from(self.bytes).ok().filter(|len| isize::try_from(*len).is_ok());
        len.ok_or_else(|| Failure::argument(format!("no buffer has {} bytes", self.bytes)))
    }

    /// The shape.
    ///
    /// # Safety
    /// `dims` points to `rank` numbers that live as long as `'a`.
    pub(crate) unsafe fn dims<'a>(&self) -> Result<&'a [i64], Failure> {
        // SAFETY: as the caller promises.
        unsafe { slice(self.dims, self.rank as usize, "a tensor's dims") }
    }

    /// The tensor as an input.
    ///
    /// # Safety
    /// `dims` and `data` point to `rank` numbers and `bytes` bytes that live and do not change as
    /// long as `'a`.
    pub(crate) unsafe fn input<'a>(&self) -> Result<TensorRef<'a>, Failure> {
        // SAFETY: as the caller promises.
        let (dims, data) =
            unsafe { (self.dims()?, slice(self.data.cast::<u8>(), self.len()?, "a tensor's data")?) };
        Ok(TensorRef { dtype: self.dtype()?, dims, data })
    }

    /// The tensor as an output.
    ///
    /// # Safety
    /// As for [`CTensor::input`], and nobody else looks at the data as long as `'a`.
    pub(crate) unsafe fn output<'a>(&self) -> Result<TensorMut<'a>, Failure> {
        let len = self.len()?;
        let data: &mut [u8] = match (self.data.is_null(), len) {
            (_, 0) => &mut [],
            (true, _) => return Err(Failure::argument("a tensor's data is NULL")),
            // SAFETY: as the caller promises.
            (false, _) => unsafe { std::slice::from_raw_parts_mut(self.data.cast::<u8>(), len) },
        };
        // SAFETY: as the caller promises.
        Ok(TensorMut { dtype: self.dtype()?, dims: unsafe { self.dims()? }, data })
    }
}
