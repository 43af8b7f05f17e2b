//! What rewriting did to a graph, for its user.

use mlcc_ir::{Name, graph::Location};
use std::fmt;

/// A rule that a result needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// Its name.
    pub rule: Name,
    /// Where it was applied.
    pub places: Vec<Location>,
    /// Seconds by which the block's price is higher without the rule. `None` where nothing was found without it, or
    /// it only pays together with others.
    pub saved: Option<f64>,
}

/// What was done to a block.
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
    /// Why the result was not compared with the original by executing both; `None` if it was, and agreed.
    pub unchecked: Option<&'static str>,
}

/// A rewrite that was found wrong by executing the block before and after.
#[derive(Clone, Debug, PartialEq)]
pub struct Dropped {
    /// Relative error in norm.
    pub error: f64,
    /// The rules that it needed: at least one is wrong, or was applied wrongly.
    pub applied: Vec<Applied>,
}

/// Something that was found and left, because it does not pay.
#[derive(Clone, Debug, PartialEq)]
pub struct Declined {
    /// How many blocks of the graph it was found in.
    pub blocks: usize,
    /// The rule.
    pub rule: Name,
    /// Where it could be applied.
    pub places: Vec<Location>,
    /// Seconds by which it makes the block slower, by estimate (negative: faster, by too little); infinite where it exceeds a bound, such as the growth
    /// of the weights.
    pub costs: f64,
}

/// What was done to a graph.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Rewritten blocks, equal ones once.
    pub blocks: Vec<BlockReport>,
    /// What was left as it was because the rewrite is wrong.
    pub dropped: Vec<Dropped>,
    /// Products of one operand that could be merged, in equal blocks once.
    pub declined: Vec<Declined>,
    /// Bytes by which weights have grown; negative where they shrank.
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
