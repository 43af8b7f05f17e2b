//! Schedules and code for CPUs.
//!
//! [`decide`] chooses a variant and a schedule for a kernel on a [`Machine`], [`schedule`] applies it, [`replay`] one
//! that is given.
//! Decisions are data: the same kernel, machine and constants give the same decision.

pub mod decide;
pub mod machine;

pub use decide::{decide, replay, schedule};
pub use machine::Machine;
