//! Contractions (placeholder until the template lands).
use super::plan::Plan;
use crate::machine::Machine;
use mlcc_ir::{Name, kernel::Kernel, nest::LoopNest};

pub(super) fn plan(
    _kernel: &Kernel,
    _naive: &LoopNest,
    _constants: &[Name],
    _machine: &Machine,
) -> Option<(&'static str, Plan)> {
    None
}
