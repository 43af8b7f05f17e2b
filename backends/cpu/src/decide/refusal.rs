//! Reasons for which a template leaves a kernel to the next one.

pub(super) use mlcc_passes::schedule::Reason;

/// The result of a template on a kernel, or the reason why it has none.
pub(super) type Planned<T> = Result<T, Reason>;

/// Leaves a kernel that is of another kind.
pub(super) fn refuse<T>(why: impl Into<String>) -> Planned<T> {
    Err(Reason::OtherKind(why.into()))
}

/// Leaves a kernel to a template that is faster.
pub(super) fn leave<T>(why: impl Into<String>) -> Planned<T> {
    Err(Reason::Slower(why.into()))
}

/// A part of a kernel that a template needs, or the reason why the kernel has none.
pub(super) trait OrRefuse<T> {
    fn or_refuse(self, why: &str) -> Planned<T>;
}

impl<T> OrRefuse<T> for Option<T> {
    fn or_refuse(self, why: &str) -> Planned<T> {
        self.ok_or_else(|| Reason::OtherKind(why.to_owned()))
    }
}
