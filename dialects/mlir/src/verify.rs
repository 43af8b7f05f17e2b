//! The function that MLIR's verifier calls in Rust.

use crate::{ffi::Op, graph, kernel, nest};
use mlir_sys::MlirOperation;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Verifies an operation of our dialects. TableGen's checks and the verification of nested operations
/// come first.
///
/// Called from C++ by the trait `RustVerified`.
#[unsafe(no_mangle)]
extern "C" fn mlccVerify(raw: MlirOperation) -> bool {
    // SAFETY: MLIR verifies operations that are alive, and keeps them so during the call.
    let op = unsafe { Op::from_raw(raw) };
    // Unwinding into C++ would abort the process.
    let verified = catch_unwind(AssertUnwindSafe(|| {
        match op.name().as_str() {
            // An operation is valid if it can be read. The other operations of these levels are read
            // with the one that holds them.
            "te.kernel" => kernel::read(op).map(drop),
            "loop.nest" => nest::read(op).map(drop),
            name if name.starts_with("graph.") => graph::verify(op),
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
