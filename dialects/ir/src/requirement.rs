//! Demands of a model on its symbolic sizes beyond its types.
//!
//! Inference takes conditions on trust that it cannot decide: for example, a symbol equals the constant that
//! it meets in an addition. Each such assumption is a [`Requirement`]. A graph's nodes make them
//! ([`crate::ops::requirements`]), a [`Program`](crate::program::Program) carries them, and every run checks
//! them before its first kernel.

use crate::{Name, expr::Expr};

/// A condition on symbolic sizes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Two sizes are equal.
    Equal(Expr, Expr),
    /// A size is at least a number.
    AtLeast(Expr, i64),
}

/// A condition, and the message for the case that it does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// What must hold.
    pub condition: Condition,
    /// The problem if the condition does not hold, and the node that demands it.
    pub message: String,
}

impl Condition {
    /// Whether the condition holds or fails for all sizes; `None` if the answer depends on symbols.
    #[must_use]
    pub fn decided(&self) -> Option<bool> {
        match self {
            Condition::Equal(a, b) if a == b => Some(true),
            Condition::Equal(a, b) => (a.clone() - b.clone()).as_const().map(|d| d == 0),
            Condition::AtLeast(value, least) => match value.as_const() {
                Some(value) => Some(value >= *least),
                None => {
                    let range = value.interval(&|_| crate::expr::Interval::ALL);
                    range.low.is_some_and(|low| low >= *least).then_some(true)
                }
            },
        }
    }

    /// The symbols on which it depends.
    #[must_use]
    pub fn symbols(&self) -> Vec<Name> {
        let mut names = Vec::new();
        match self {
            Condition::Equal(a, b) => {
                a.collect_symbols(&mut names);
                b.collect_symbols(&mut names);
            }
            Condition::AtLeast(value, _) => value.collect_symbols(&mut names),
        }
        names
    }
}
