//! The kind of operators in a rule. It decides how the rule's values are compared.

use mlcc_rewriting::{
    rule::{Pattern, Rule},
    term::special,
};

/// Operators that move elements, or make elements that no function computes: they belong to every kind.
const MOVING: &[&str] =
    &["transpose", "reshape", "slice", "concat", "expand", "pad", "gather", "eye", "identity", "where"];
/// Operators whose results are rational functions of their operands.
const RATIONAL: &[&str] = &[
    special::SUM,
    special::PRODUCT,
    "neg",
    "div",
    "reciprocal",
    "matmul",
    "conv",
    "reduce_sum",
    "reduce_mean",
];
/// Operators that only compare elements, choose among them, change their signs or round them to integers.
const ORDER: &[&str] = &[
    "max",
    "min",
    "relu",
    "clip",
    "neg",
    "abs",
    "sign",
    "floor",
    "ceil",
    "round",
    "not",
    "and",
    "or",
    "xor",
    "less",
    "less_equal",
    "greater",
    "greater_equal",
    "equal",
    "reduce_max",
    "reduce_min",
    "max_pool",
];

/// A kind of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Sums, products and quotients: equal as rational functions, so equal modulo a prime.
    Rational,
    /// Comparisons and choices: equal on all of a small ordered domain.
    Order,
    /// Anything else: equal in double precision up to the stated error.
    Transcendental,
}

/// The kind of a rule.
pub(super) fn of(rule: &Rule) -> Kind {
    let only = |operators: &[&str]| uses_only(&rule.left, operators) && uses_only(&rule.right, operators);
    if only(RATIONAL) {
        Kind::Rational
    } else if only(ORDER) {
        Kind::Order
    } else {
        Kind::Transcendental
    }
}

fn uses_only(pattern: &Pattern, operators: &[&str]) -> bool {
    match pattern {
        Pattern::Apply { op, operands, .. } => {
            (operators.contains(&&**op) || MOVING.contains(&&**op))
                && operands.iter().all(|o| uses_only(o, operators))
        }
        Pattern::Each { body, .. } => uses_only(body, operators),
        Pattern::Variable(_) | Pattern::Number(_) | Pattern::Absent => true,
    }
}
