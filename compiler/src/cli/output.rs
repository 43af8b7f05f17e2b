//! Data on stdout.

use super::one;
use mlcc_ir::diagnostic::Diagnostic;
use std::{
    fmt,
    fs::File,
    io::{ErrorKind, Write},
    path::Path,
};

/// Writes to stdout. Where the reader has gone (`mlcc inspect FILE | head`) the rest is for nobody, which
/// is no error.
///
/// # Errors
/// If it cannot be written for another reason: a full disk.
pub(super) fn write(text: fmt::Arguments<'_>) -> Result<(), Vec<Diagnostic>> {
    let mut stdout = std::io::stdout().lock();
    done(stdout.write_fmt(text).and_then(|()| stdout.flush()))
}

/// Writes a file's bytes to stdout.
///
/// # Errors
/// As [`write`], or if the file cannot be read.
pub(super) fn copy(path: &Path) -> Result<(), Vec<Diagnostic>> {
    let mut stdout = std::io::stdout().lock();
    let copied = File::open(path).and_then(|mut file| std::io::copy(&mut file, &mut stdout));
    done(copied.and_then(|_| stdout.flush()))
}

fn done(result: std::io::Result<()>) -> Result<(), Vec<Diagnostic>> {
    match result {
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
