//! Status codes and error texts.

use mlcc_runtime::Error;
use std::any::Any;
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

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

    /// `MLCC_FAILED`: a bug of this library.
    fn panic(panic: &(dyn Any + Send)) -> Failure {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Failure { status: 5, text: format!("mlcc's runtime panicked: {said}\n\nhint: please report it") }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let status = match &error {
            Error::Format(_) | Error::Architecture { .. } | Error::CpuFeatures { .. } | Error::MapCode(_) => {
                2
            }
            Error::Threads { .. } => 1,
            Error::Count { .. }
            | Error::DType { .. }
            | Error::Shape { .. }
            | Error::Buffer { .. }
            | Error::Check { .. }
            | Error::Variable { .. }
            | Error::DataDependentOutput { .. } => 3,
            Error::OutOfMemory { .. } | Error::Thread { .. } => 4,
            Error::Size { .. } => 5,
        };
        let text = match error.hint() {
            Some(hint) => format!("{error}\n\nhint: {hint}"),
            None => error.to_string(),
        };
        Failure { status, text }
    }
}

/// Runs a function's body and turns its result into a status; the text goes to `error`. A panic would end the
/// process at the border to C, so it is turned into a failure.
///
/// # Safety
/// `error` is NULL or can be written.
pub(crate) unsafe fn report(error: *mut *mut c_char, body: impl FnOnce() -> Result<(), Failure>) -> i32 {
    // A panic leaves at worst a model or context in an unknown state. Safe code may have such a state: it can give
    // wrong values then, as after every failure, but nothing worse.
    let outcome = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| Err(Failure::panic(&*panic)));
    let (status, text) = match outcome {
        Ok(()) => (0, std::ptr::null_mut()),
        Err(failure) => {
            // A text with a model's names may contain a zero byte, and C would end the text there.
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

/// As [`report`], for functions without a status: returns the value of the body, or the default if it panics.
pub(crate) fn guarded<T: Default>(body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    #[test]
    fn a_text_ends_with_the_hint() {
        let failure = Failure::from(Error::Threads { threads: 9999, most: 1024, cpus: 2 });
        let hint = "\n\nhint: 0 takes one for each CPU that the process may use, here 2; more are no faster";
        assert_eq!(failure.text, format!("9999 threads are beyond reason, at most 1024 are possible{hint}"));
    }

    #[test]
    fn a_panic_without_a_status_is_the_default() {
        assert_eq!(guarded(|| 3u32), 3);
        assert_eq!(guarded(|| -> u32 { panic!("a count") }), 0);
    }

    #[test]
    fn a_panic_is_a_failure() {
        let mut error = std::ptr::null_mut();
        // SAFETY: `error` can be written.
        let status = unsafe { report(&raw mut error, || panic!("number {}", 7)) };
        assert_eq!(status, 5);
        // SAFETY: the text is zero-terminated.
        let text = unsafe { CStr::from_ptr(error) }.to_string_lossy().into_owned();
        assert!(text.contains("panicked: number 7"), "{text}");
        // SAFETY: the text came from `report` and is released once.
        unsafe { mlcc_string_free(error) };
    }
}
