//! The events of a running compilation. Dumps, timings, progress and `--explain-rewrites` are made from them.

use crate::{codegen::ScheduledKernel, phase::Phase};
use mlcc_ir::{diagnostic::Result, graph::Graph};
use mlcc_passes::registry::Events;
use std::time::Duration;

/// Receives the events of a compilation: those of passes as [`Events`], and those between passes.
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

/// An observer that ignores all events.
impl Observer for () {}
