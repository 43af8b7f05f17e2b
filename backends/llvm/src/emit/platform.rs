//! The differences between the machines that run loop nests: the names of points of the GPU's grid, the
//! place of shared memory, the way in which threads wait.

use super::builder::{Builder, Val};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    nest::{LoopNest, Mapping},
};

/// The machine-specific part of emission.
pub trait Platform {
    /// The point of a [`Mapping::Block`] or [`Mapping::Thread`] axis at which this thread runs, as an
    /// `i64`.
    ///
    /// # Errors
    /// If there are no such axes on the machine.
    fn point<'c>(&self, b: &Builder<'c>, mapping: Mapping) -> Result<Val<'c>>;

    /// Address of the [`mlcc_ir::nest::Space::Shared`] buffer `id` of the nest.
    ///
    /// # Errors
    /// If the machine has no shared memory, or not enough.
    fn shared<'c>(&self, b: &Builder<'c>, nest: &LoopNest, id: usize) -> Result<Val<'c>>;

    /// All threads of a block wait for each other.
    ///
    /// # Errors
    /// If the machine has no such threads.
    fn barrier(&self, b: &Builder<'_>) -> Result<()>;

    /// Bits of a vector register. They decide the number of accumulators of a contraction.
    fn vector_bits(&self) -> u32;

    /// Whether there are instructions that access only some lanes of a vector.
    fn has_masks(&self) -> bool;
}

/// A CPU with vector registers of a given size.
#[derive(Clone, Copy, Debug)]
pub struct Cpu {
    /// 512, 256 or 128.
    pub vector_bits: u32,
    /// Whether the CPU has masked loads, stores and gathers.
    pub masks: bool,
}

fn absent(what: &str) -> Diagnostic {
    Diagnostic::internal(format!("the nest is scheduled for a GPU: {what} reached the CPU's emitter"))
}

impl Platform for Cpu {
    fn point<'c>(&self, _: &Builder<'c>, mapping: Mapping) -> Result<Val<'c>> {
        Err(absent(&format!("a loop mapped to {mapping:?}")))
    }

    fn shared<'c>(&self, _: &Builder<'c>, nest: &LoopNest, id: usize) -> Result<Val<'c>> {
        Err(absent(&format!("the shared buffer '{}'", nest.buffers[id].name)))
    }

    fn barrier(&self, _: &Builder<'_>) -> Result<()> {
        Err(absent("a barrier"))
    }

    fn vector_bits(&self) -> u32 {
        self.vector_bits
    }

    fn has_masks(&self) -> bool {
        self.masks
    }
}
