//! Files mapped into memory as [`Bytes`], so that weights are slices of the file.

use bytes::Bytes;
use std::{fs::File, io};

/// The file's content, mapped. The mapping lives as long as any slice of it.
///
/// # Errors
/// If the operating system cannot map the file.
pub(crate) fn map(file: &File) -> io::Result<Bytes> {
    if file.metadata()?.len() == 0 {
        return Ok(Bytes::new());
    }
    // SAFETY: the mapping is private and read-only, and is handed out as immutable bytes that keep it
    // alive. As with every compiler that maps its input, the file must not be written to or cut while mlcc
    // reads it (`import` says so): wrong constants, or the end of the process by SIGBUS, would be the
    // outcome. Replacing it (as editors and exporters do) is harmless, since the mapping keeps the old file.
    let mapping = unsafe { memmap2::Mmap::map(file)? };
    Ok(Bytes::from_owner(mapping))
}
