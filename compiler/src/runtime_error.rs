//! Errors of the runtime as diagnostics.

use mlcc_ir::diagnostic::{Diagnostic, Fault};

/// An error of the runtime. The artifact, the inputs or the machine are at fault.
pub(crate) fn diagnostic(error: &mlcc_runtime::Error) -> Diagnostic {
    let hint = error.hint().map(Into::into);
    Diagnostic { fault: Fault::User, message: error.to_string(), location: None, hint }
}
