//! Schedules and PTX for NVIDIA GPUs.
//!
//! [`schedule()`] binds the axes of a kernel's loop nest to blocks and threads; [`Launch`] is how such
//! a nest is launched.

pub mod launch;
#[cfg(test)]
mod samples;
mod schedule;

pub use launch::Launch;
pub use schedule::schedule;
