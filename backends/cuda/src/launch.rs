//! The launch of a nest: grid, blocks, shared memory.

use mlcc_ir::{
    Name,
    diagnostic::{Diagnostic, Result},
    expr::Expr,
    nest::{LoopNest, Mapping, Node, Space},
};
use std::fmt;

/// Threads that a block may have.
const MAX_THREADS: i64 = 1024;
/// Shared memory in bytes that every block may have without a special request.
pub(crate) const MAX_SHARED: i64 = 48 << 10;

/// The launch of a kernel. A grid in which some extent is 0 is not launched.
#[derive(Clone, Debug, PartialEq)]
pub struct Launch {
    /// Blocks along each dimension, over the nest's symbols.
    pub grid: [Expr; 3],
    /// Threads of a block along each dimension.
    pub block: [u32; 3],
    /// Static shared memory of a block, in bytes. It is part of the code and must not be given at the launch.
    pub shared_bytes: u32,
    /// Parameters of the entry after its operands: values of these symbols, each an `i64`.
    pub symbols: Vec<Name>,
}

impl Launch {
    /// The launch of a nest.
    ///
    /// # Errors
    /// If loops over one dimension of the grid or the block disagree, or the block is beyond what a GPU
    /// allows.
    pub fn of(nest: &LoopNest) -> Result<Launch> {
        let mut found: [[Option<Expr>; 3]; 2] = Default::default();
        let mut wrong = None;
        nest.visit(&mut |node| {
            let Node::Loop(l) = node else { return };
            let (side, d) = match l.mapping {
                Mapping::Block(d) => (0, d),
                Mapping::Thread(d) => (1, d),
                _ => return,
            };
            match found[side].get_mut(usize::from(d)) {
                Some(slot) if slot.as_ref().is_none_or(|e| *e == l.extent) => *slot = Some(l.extent.clone()),
                _ => wrong = Some(l.axis.clone()),
            }
        });
        let fail = |what: String| Err(Diagnostic::internal(format!("kernel '{}': {what}", nest.name)));
        if let Some(axis) = wrong {
            return fail(format!("axis '{axis}' does not fit the launch's other axes"));
        }
        let [grid, threads] = found.map(|side| side.map(|e| e.unwrap_or(Expr::from(1))));
        let mut block = [1; 3];
        for (size, extent) in block.iter_mut().zip(&threads) {
            match extent.as_const().filter(|n| (1..=MAX_THREADS).contains(n)) {
                Some(n) => *size = n as u32,
                None => return fail(format!("{extent} threads along a dimension of a block")),
            }
        }
        if block.iter().map(|&n| i64::from(n)).product::<i64>() > MAX_THREADS {
            return fail(format!("{block:?} threads in a block"));
        }
        let Some(shared) = shared_bytes(nest) else {
            return fail("a buffer that threads share has no constant size".to_owned());
        };
        if shared > MAX_SHARED {
            return fail(format!("{shared} bytes of shared memory in a block"));
        }
        Ok(Launch { grid, block, shared_bytes: shared as u32, symbols: nest.symbols.clone() })
    }
}

/// Bytes that the threads of a block share; `None` if a buffer has no constant size.
pub(crate) fn shared_bytes(nest: &LoopNest) -> Option<i64> {
    let shared = nest.buffers.iter().filter(|b| b.space == Space::Shared);
    shared
        .map(|b| {
            let size = b.dims.iter().try_fold(b.dtype.size() as i64, |n, d| n.checked_mul(d.as_const()?))?;
            // Each buffer begins at a multiple of 16 bytes.
            size.checked_add(15).map(|size| size / 16 * 16)
        })
        .try_fold(0i64, |sum, size| sum.checked_add(size?))
}

impl fmt::Display for Launch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([gx, gy, gz], [bx, by, bz]) = (&self.grid, self.block);
        write!(f, "grid ({gx}, {gy}, {gz}) block ({bx}, {by}, {bz}) shared {} bytes", self.shared_bytes)?;
        if !self.symbols.is_empty() {
            write!(f, " symbols ({})", self.symbols.join(", "))?;
        }
        Ok(())
    }
}
