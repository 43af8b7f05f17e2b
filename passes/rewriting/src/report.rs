//! A report for the user about the rewriting of a graph.

use mlcc_ir::{Name, graph::Location};
use std::fmt;

/// A rule that a result needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// Its name.
    pub rule: Name,
    /// Where it was applied.
    pub places: Vec<Location>,
    /// Seconds by which the block's price is higher without the rule. `None` if nothing was found without it,
    /// or if it only pays together with others.
    pub saved: Option<f64>,
}

/// The rewriting of a block.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockReport {
    /// How many blocks of the graph were rewritten in this way.
    pub blocks: usize,
    /// Seconds before and after, on one core of the target by estimate.
    pub before: f64,
    /// See `before`.
    pub after: f64,
    /// The rules that the result needs.
    pub applied: Vec<Applied>,
    /// The reason why executing both did not compare the result with the original; `None` if they were
    /// compared and agreed.
    pub unchecked: Option<&'static str>,
}

/// A rewrite that was found wrong by executing the block before and after.
#[derive(Clone, Debug, PartialEq)]
pub struct Dropped {
    /// Relative error in norm.
    pub error: f64,
    /// The rules that it needed. At least one of them is wrong, or was applied wrongly.
    pub applied: Vec<Applied>,
}

/// A rewrite that was found but left out, because it does not pay.
#[derive(Clone, Debug, PartialEq)]
pub struct Declined {
    /// The number of blocks of the graph in which it was found.
    pub blocks: usize,
    /// The rule.
    pub rule: Name,
    /// The places where it could be applied.
    pub places: Vec<Location>,
    /// Seconds by which it makes the block slower, by estimate. Negative: it is faster, but by too little.
    /// Infinite: it exceeds a bound, such as the growth of the weights.
    pub costs: f64,
}

/// The rewriting of a graph.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Rewritten blocks, equal ones once.
    pub blocks: Vec<BlockReport>,
    /// Rewrites that were dropped because they are wrong.
    pub dropped: Vec<Dropped>,
    /// Products of one operand that could be merged, in equal blocks once.
    pub declined: Vec<Declined>,
    /// Bytes by which weights have grown; negative if they shrank.
    pub weight_growth: i64,
}

impl Report {
    /// Number of blocks rewritten.
    #[must_use]
    pub fn changes(&self) -> usize {
        self.blocks.iter().map(|b| b.blocks).sum()
    }
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places: Vec<String> = self.places.iter().map(Location::to_string).collect();
        write!(f, "{} at {}", self.rule, places.join(", "))
    }
}
