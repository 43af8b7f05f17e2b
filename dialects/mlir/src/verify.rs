//! What MLIR's verifier asks of Rust.

use crate::{ffi::Op, graph};
use mlir_sys::MlirOperation;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Verifies an operation of our dialects, after TableGen's checks and after what is nested in it.
///
/// Called from C++ by the trait `RustVerified`.
#[unsafe(no_mangle)]
extern "C" fn mlccVerify(raw: MlirOperation) -> bool {
    // SAFETY: MLIR verifies operations that are alive, and keeps them so during the call.
    let op = unsafe { Op::from_raw(raw) };
    // Unwinding into C++ would abort the process.
    let verified = catch_unwind(AssertUnwindSafe(|| {
        let name = op.name();
        match name.split('.').next() {
            Some("graph") => graph::verify(op),
            _ => Ok(()),
        }
    }));
    let message = match verified {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => error.message,
        Err(_) => format!("the verifier of '{}' failed; this is a bug in mlcc", op.name()),
    };
    op.emit_error(&message);
    false
}
