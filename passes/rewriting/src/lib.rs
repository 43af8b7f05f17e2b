//! Algebraic rewriting: equality saturation over blocks of the graph with rules that are data.
//!
//! A block's operators become terms of an e-graph ([`import`]). Rules ([`rule`], read from `algebra.rules`)
//! add equal terms until nothing new is found or a count is reached ([`saturate`]). The cheapest terms are
//! chosen ([`extract`]) and priced by a caller that knows the resulting kernels ([`Prices`]). They replace
//! the block if they are cheaper ([`template`]). Equal blocks are rewritten once.
//!
//! `mlcc-passes` makes passes of [`rewrite()`] and [`recognise()`]. The other public items search for rules
//! and check them, outside every compilation.

pub mod attributes;
mod block;
mod check;
pub mod cost;
mod exact;
pub mod expression;
mod extract;
pub mod facts;
mod functions;
mod history;
mod import;
pub mod instantiate;
pub mod matching;
mod merge;
mod numbers;
mod optimise;
mod origins;
pub mod properties;
mod recognise;
mod report;
mod rewrite;
pub mod rule;
pub mod saturate;
mod settings;
mod sexpr;
mod shrink;
mod standalone;
mod template;
pub mod term;
mod transformations;
pub mod weight_growth;

pub use cost::Prices;
pub use functions::FUNCTIONS;
pub use recognise::recognise;
pub use report::{Applied, BlockReport, Declined, Dropped, Report};
pub use rewrite::{Outcome, rewrite};
pub use rule::Rule;
pub use saturate::Limits;
pub use settings::{Mode, Settings};
pub use standalone::graph_of;
pub use transformations::{FLATTEN, MERGE_PRODUCTS, STRASSEN_PRODUCTS, TRANSFORMATIONS, Transformation};

use mlcc_ir::diagnostic::{Diagnostic, Result};
use std::sync::LazyLock;

/// The rule files: the algebra, and the recognition of operators that are spelled out.
const RULES: [&str; 2] = [include_str!("algebra.rules"), include_str!("recognition.rules")];

type Parsed<T> = LazyLock<std::result::Result<T, String>>;

/// All rules, and the position of the first rule that recognises operators.
static PARSED_RULES: Parsed<(Vec<Rule>, usize)> = LazyLock::new(|| {
    let [algebra, recognition] = RULES.map(|text| rule::parse(text).map_err(|d| d.to_string()));
    let (mut rules, recognition) = (algebra?, recognition?);
    let first = rules.len();
    for rule in recognition {
        if rules.iter().any(|r| r.name == rule.name) {
            return Err(format!("there are two rules '{}'", rule.name));
        }
        rules.push(rule);
    }
    Ok((rules, first))
});

/// Every rule that is searched with, in the order of the files.
///
/// # Errors
/// If a file is not well formed: a bug that a test would have found.
pub fn rules() -> Result<&'static [Rule]> {
    PARSED_RULES.as_ref().map(|(rules, _)| &rules[..]).map_err(Diagnostic::internal)
}

/// The rules that recognise operators. They are applied under every setting.
///
/// # Errors
/// As [`rules`].
pub fn recognisers() -> Result<&'static [Rule]> {
    PARSED_RULES.as_ref().map(|(rules, first)| &rules[*first..]).map_err(Diagnostic::internal)
}

/// Whether something can be left out by this name: a rule, both directions of an equation, or a
/// transformation.
///
/// # Errors
/// If the rule file is damaged.
pub fn is_known(name: &str) -> Result<bool> {
    Ok(TRANSFORMATIONS.iter().any(|t| t.name == name) || rules()?.iter().any(|r| *r.name == *name))
}
