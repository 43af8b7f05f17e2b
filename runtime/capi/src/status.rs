//! Status codes and error texts.

use mlcc_runtime::Error;
use std::ffi::{CString, c_char};

/// A failure as C sees it: `mlcc_status` and the text.
pub(crate) struct Failure {
    status: i32,
    text: String,
}

impl Failure {
    /// `MLCC_INVALID_ARGUMENT`.
    pub(crate) fn argument(text: impl Into<String>) -> Failure {
        Failure { status: 1, text: text.into() }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let status = match &error {
            Error::Format(_) | Error::Architecture { .. } | Error::CpuFeatures { .. } | Error::MapCode(_) => {
                2
            }
            Error::Count { .. }
            | Error::DType { .. }
            | Error::Shape { .. }
            | Error::Buffer { .. }
            | Error::Check { .. }
            | Error::Variable { .. }
            | Error::DataDependentOutput { .. } => 3,
            Error::OutOfMemory { .. } | Error::Thread(_) => 4,
            Error::Size { .. } => 5,
        };
        Failure { status, text: error.to_string() }
    }
}

/// Runs a function's body and turns its result into a status; the text goes to `error`.
///
/// # Safety
/// `error` is NULL or can be written.
pub(crate) unsafe fn report(error: *mut *mut c_char, body: impl FnOnce() -> Result<(), Failure>) -> i32 {
    let (status, text) = match body() {
        Ok(()) => (0, std::ptr::null_mut()),
        Err(failure) => {
            // A text from a model's names may contain a zero byte, where C would end it.
            let text = CString::new(failure.text.replace('\0', "?")).unwrap_or_default();
            (failure.status, text.into_raw())
        }
    };
    if error.is_null() {
        if !text.is_null() {
            // SAFETY: it came from `into_raw` above.
            drop(unsafe { CString::from_raw(text) });
        }
    } else {
        // SAFETY: the caller can have it written.
        unsafe { error.write(text) };
    }
    status
}

/// Releases the text of an error.
///
/// # Safety
/// `text` is NULL, or came from a function of this library and was not released before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mlcc_string_free(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: every text that this library gives away comes from `CString::into_raw`.
        drop(unsafe { CString::from_raw(text) });
    }
}
