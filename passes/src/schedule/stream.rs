//! `stream(buffer)`: an output that is larger than the caches is written around them. Its lines are then not
//! read first, and they push nothing out.
//!
//! Legal for outputs that the nest does not read and does not combine into.

use super::{access::accesses, tree::buffer_named};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    kernel::Role,
    nest::LoopNest,
};

/// Writes an output around the caches.
///
/// # Errors
/// If it is no output, or read.
pub fn stream(nest: &LoopNest, buffer: &str) -> Result<LoopNest> {
    let id = buffer_named(nest, buffer)?;
    let written = |a: &super::access::Access| a.buffer != id || a.write && !a.combines;
    if nest.buffers[id].role != Role::Output || !accesses(&nest.body).iter().all(written) {
        return Err(Diagnostic::user(format!("'{buffer}' is not only written")));
    }
    let mut streamed = nest.clone();
    if let Err(at) = streamed.streamed.binary_search(&id) {
        streamed.streamed.insert(at, id);
    }
    Ok(streamed)
}
