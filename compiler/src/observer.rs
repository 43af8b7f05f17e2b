//! What a compilation tells while it runs: what dumps, timings, progress and `--explain-rewrites` are made from.

use crate::{codegen::ScheduledKernel, phase::Phase};
use mlcc_ir::{diagnostic::Result, graph::Graph};
use mlcc_passes::registry::Events;
use std::time::Duration;

/// Is told what happens: by passes as [`Events`], and what is between them.
pub trait Observer: Events + Send {
    /// A model was read.
    ///
    /// # Errors
    /// To stop the compilation.
    fn imported(&mut self, _graph: &Graph) -> Result<()> {
        Ok(())
    }

    /// The kernels have loops.
    ///
    /// # Errors
    /// To stop the compilation.
    fn scheduled(&mut self, _kernels: &[ScheduledKernel]) -> Result<()> {
        Ok(())
    }

    /// A phase has ended after `time`.
    fn after_phase(&mut self, _phase: Phase, _time: Duration) {}

    /// `done` of `total` kernels have been compiled.
    fn progress(&mut self, _done: usize, _total: usize) {}
}

/// Nobody listens.
impl Observer for () {}
