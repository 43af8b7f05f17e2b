//! Data on stdout.

use super::one;
use mlcc_ir::diagnostic::Diagnostic;
use std::{
    fmt,
    io::{ErrorKind, Write},
};

/// Writes to stdout. Where the reader has gone (`mlcc inspect FILE | head`) the rest is for nobody, which
/// is no error.
///
/// # Errors
/// If it cannot be written for another reason: a full disk.
pub(super) fn write(text: fmt::Arguments<'_>) -> Result<(), Vec<Diagnostic>> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_fmt(text).and_then(|()| stdout.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            Err(one(Diagnostic::user(format!("cannot write to the standard output: {e}"))))
        }
        _ => Ok(()),
    }
}

/// A line of data on stdout, formatted as by `println!`; a result.
macro_rules! line {
    ($format:literal $($arguments:tt)*) => {
        $crate::cli::output::write(format_args!("{}\n", format_args!($format $($arguments)*)))
    };
}
pub(super) use line;
