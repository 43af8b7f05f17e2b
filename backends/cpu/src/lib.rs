//! Schedules and code for CPUs.
//!
//! [`decide`] chooses a variant and a schedule for a kernel on a [`mlcc_machine::Machine`]. [`schedule`]
//! applies the decision, and [`replay`] applies one given by the caller. Decisions are data: the same kernel,
//! machine and constants give the same decision.

pub mod decide;

pub use decide::{decide, replay, schedule};

/// The machine for what code is made for.
#[must_use]
pub fn machine_of(target: &mlcc_llvm::Target) -> mlcc_machine::Machine {
    let features: Vec<&str> = target.features.iter().map(String::as_str).collect();
    mlcc_machine::Machine::for_cpu(&target.cpu, &features)
}
