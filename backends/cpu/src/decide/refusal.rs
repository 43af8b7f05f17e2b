//! Why a template leaves a kernel to the next one.

use mlcc_ir::diagnostic::Diagnostic;
use std::fmt;

/// The reason for which a template does not take a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(String);

/// What a template makes of a kernel, or why it does not.
pub(super) type Planned<T> = Result<T, Refusal>;

impl Refusal {
    pub(super) fn new(why: impl Into<String>) -> Refusal {
        Refusal(why.into())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A step of the schedule that is not legal.
impl From<Diagnostic> for Refusal {
    fn from(why: Diagnostic) -> Refusal {
        Refusal(why.message)
    }
}

/// Leaves a kernel for a reason.
pub(super) fn refuse<T>(why: impl Into<String>) -> Planned<T> {
    Err(Refusal::new(why))
}

/// A part of a kernel that a template needs, or the reason why it has none.
pub(super) trait OrRefuse<T> {
    fn or_refuse(self, why: &str) -> Planned<T>;
}

impl<T> OrRefuse<T> for Option<T> {
    fn or_refuse(self, why: &str) -> Planned<T> {
        self.ok_or_else(|| Refusal::new(why))
    }
}
