//! `place(buffer, space)`: where a temporary lives.

use super::tree::buffer_named;
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    kernel::Role,
    nest::{LoopNest, Space},
};

/// Most elements that a buffer in registers may have.
pub const MAX_REGISTER_ELEMENTS: i64 = 14 * 64;

/// Places a temporary.
///
/// # Errors
/// If it is the caller's memory, or too large or not static for registers.
pub fn place(nest: &LoopNest, buffer: &str, space: Space) -> Result<LoopNest> {
    let id = buffer_named(nest, buffer)?;
    let b = &nest.buffers[id];
    if b.role != Role::Temporary || space == Space::Global {
        return Err(Diagnostic::user(format!("'{buffer}' is in the caller's memory")));
    }
    if space == Space::Register {
        let elements = b.dims.iter().try_fold(1i64, |n, d| n.checked_mul(d.as_const()?));
        if elements.is_none_or(|n| n > MAX_REGISTER_ELEMENTS) {
            return Err(Diagnostic::user(format!(
                "'{buffer}' of dimensions {:?} does not fit into registers",
                b.dims
            ))
            .hint("merge the loops of the stages that make and use it, so that it shrinks to a tile"));
        }
    }
    let mut placed = nest.clone();
    placed.buffers[id].space = space;
    Ok(placed)
}
