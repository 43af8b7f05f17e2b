//! Algebraic rewriting: equality saturation over blocks of the graph with rules that are data.
//!
//! A block's operators become terms of an e-graph ([`import`]); rules ([`rule`], read from `algebra.rules`) add equal
//! terms until nothing new is found or a count is reached ([`saturate`]); the cheapest terms are chosen
//! ([`extract`]), priced as the kernels that fusion makes of them ([`price`]), and put in place of the block where
//! they are cheaper than it ([`template`]). Equal blocks are rewritten once.

mod attributes;
mod block;
mod check;
mod cost;
mod exact;
mod expression;
mod extract;
mod facts;
mod functions;
pub mod gates;
pub mod generate;
mod history;
mod import;
mod instantiate;
mod matching;
mod merge;
mod numbers;
mod optimise;
mod origins;
mod price;
mod properties;
pub mod recognise;
mod report;
mod rule;
mod saturate;
mod sexpr;
mod shrink;
mod standalone;
mod template;
mod term;
pub mod transformations;

#[cfg(test)]
mod tests;

pub use cost::Rates;
pub use expression::{Expression, Function};
pub use functions::FUNCTIONS;
pub use price::Measured;
pub use report::{Applied, BlockReport, Declined, Dropped, Report};
pub use rule::{Difference, Exactness, Pattern, Proof, Rule};
pub use saturate::Limits;
pub use transformations::{TRANSFORMATIONS, Transformation};

use self::{optimise::Means, price::Prices};
use super::{eliminate_dead, fold_constants};
use crate::{
    config::Config,
    registry::{PassSpec, Run},
    weight_growth,
};
use mlcc_ir::{
    diagnostic::Result,
    graph::{Def, Graph, ValueId},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

/// The pass, with all rules.
pub const SPEC: PassSpec = PassSpec {
    name: "rewrite",
    summary: "rewrite by algebraic rules what is then cheaper, and fold what became constant",
    traits: &[],
    run: Run::Graph(|graph, context| {
        let report = run(graph, context.config)?;
        graph.origin.weight_growth = graph.origin.weight_growth.saturating_add(report.weight_growth);
        context.events.rewritten(&report);
        Ok(report.changes())
    }),
};

/// The rule files: the algebra, and what recognises operators that are spelled out.
const RULES: [&str; 2] = [include_str!("rewrite/algebra.rules"), include_str!("rewrite/recognition.rules")];
/// The properties of operators that rules are derived from.
pub const AXIOMS: &str = include_str!("rewrite/axioms.rules");

type Parsed<T> = LazyLock<std::result::Result<T, String>>;

/// All rules, and where those that recognise operators begin.
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
static PARSED_AXIOMS: Parsed<Vec<Rule>> = LazyLock::new(|| rule::parse(AXIOMS).map_err(|d| d.to_string()));

fn damaged(message: &str) -> mlcc_ir::diagnostic::Diagnostic {
    mlcc_ir::diagnostic::Diagnostic::internal(message)
}

/// Every rule that is searched with, in the order of the files.
///
/// # Errors
/// If a file is not well formed: a bug that a test would have found.
pub fn rules() -> Result<&'static [Rule]> {
    PARSED_RULES.as_ref().map(|(rules, _)| &rules[..]).map_err(|m| damaged(m))
}

/// The rules that recognise operators, which are applied under every setting.
///
/// # Errors
/// As [`rules`].
pub fn recognisers() -> Result<&'static [Rule]> {
    PARSED_RULES.as_ref().map(|(rules, first)| &rules[*first..]).map_err(|m| damaged(m))
}

/// The properties of operators that rules are derived from, in the order of their file; those of a family of
/// operators once for each.
///
/// # Errors
/// If the file is not well formed: a bug that a test would have found.
pub fn axioms() -> Result<&'static [Rule]> {
    PARSED_AXIOMS.as_deref().map_err(|m| damaged(m))
}

/// Whether a rule, both directions of an equation, or what is no rule can be left out by that name.
///
/// # Errors
/// If the rule file is damaged.
pub fn is_known(name: &str) -> Result<bool> {
    Ok(TRANSFORMATIONS.iter().any(|t| t.name == name) || rules()?.iter().any(|r| *r.name == *name))
}

/// Which rules may be applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// All rules.
    #[default]
    All,
    /// Rules that leave every bit as it is.
    Exact,
    /// None: only the folds that are always good, which are passes of their own.
    Off,
}

/// What a user chooses.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Which rules.
    pub mode: Mode,
    /// Rules left out, by name.
    pub disabled: Vec<String>,
    /// Limits of the search.
    pub limits: Limits,
    /// How many times their bytes all weights may have.
    pub max_weight_growth: f64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            mode: Mode::default(),
            disabled: Vec::new(),
            limits: Limits::default(),
            max_weight_growth: weight_growth::DEFAULT,
        }
    }
}

impl Settings {
    /// Whether what is no rule is wanted.
    #[must_use]
    pub fn allows(&self, transformation: &Transformation) -> bool {
        self.allows_class(transformation.class) && !self.disabled.iter().any(|d| d == transformation.name)
    }

    /// Whether every bit of every value must stay.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.mode != Mode::All
    }

    /// Whether a rule is wanted.
    fn allows_rule(&self, rule: &Rule) -> bool {
        self.allows_class(rule.class) && !self.leaves_out(rule)
    }

    fn allows_class(&self, class: Exactness) -> bool {
        match self.mode {
            Mode::All => true,
            Mode::Exact => class == Exactness::Exact,
            Mode::Off => false,
        }
    }

    /// Whether a rule, or the equation that it is a direction of, is left out by name.
    fn leaves_out(&self, rule: &Rule) -> bool {
        let is = |name: &String| **name == *rule.name || rule.name.strip_suffix("-reversed") == Some(name);
        self.disabled.iter().any(is)
    }
}

/// Rewrites a graph.
///
/// # Errors
/// If the rule file is damaged.
pub fn run(graph: &mut Graph, config: &Config) -> Result<Report> {
    run_measured(graph, config, &|_| None)
}

/// Rewrites a graph by prices that are measured where there are any.
///
/// # Errors
/// If the rule file is damaged.
pub fn run_measured(graph: &mut Graph, config: &Config, measured: &Measured<'_>) -> Result<Report> {
    let settings = &config.rewrites;
    if settings.mode == Mode::Off {
        return Ok(Report::default());
    }
    let rules: Vec<&Rule> = rules()?.iter().filter(|r| settings.allows_rule(r)).collect();
    let prices = Prices::new(config, measured);
    let before = constant_bytes(graph);
    let allowance = weight_growth::allowance(before as f64, settings.max_weight_growth);
    let mut report = rewrite_blocks(graph, allowance, &|graph, block, allowance| {
        optimise::optimise(graph, block, &Means { rules: &rules, settings, prices, allowance })
    })?;
    report.weight_growth = constant_bytes(graph).saturating_sub(before);
    Ok(report)
}

/// Bytes of all constants that something reads.
fn constant_bytes(graph: &Graph) -> i64 {
    let inner = graph.nodes.iter().flat_map(|n| &n.regions).flat_map(|r| &r.values);
    let captured = inner.filter_map(|value| match value.def {
        Def::Captured(outer) => Some(outer),
        _ => None,
    });
    let operands = graph.nodes.iter().flat_map(|n| n.operands.iter().flatten().copied());
    let outputs = graph.outputs.iter().map(|(_, id)| *id);
    let read: BTreeSet<ValueId> = operands.chain(captured).chain(outputs).collect();
    read.iter()
        .filter_map(|id| graph.constant(*id))
        .fold(0, |sum: i64, t| sum.saturating_add(t.data.len() as i64))
}

/// What takes a block's place, if the weights of each such block grow by so many bytes at most.
type Rewrite<'a> = dyn Fn(&Graph, &block::Block, f64) -> optimise::Optimised + 'a;

/// Rewrites a graph block by block, equal blocks once, as long as weights grow by no more than `allowance` bytes.
fn rewrite_blocks(graph: &mut Graph, mut allowance: f64, rewrite: &Rewrite<'_>) -> Result<Report> {
    let blocks = block::blocks(graph);
    let mut report = Report::default();
    let mut results: BTreeMap<&str, Option<optimise::Rewritten>> = BTreeMap::new();
    for block in &blocks {
        if !results.contains_key(&*block.key) {
            let equal = blocks.iter().filter(|b| b.key == block.key).count();
            let optimise::Optimised { rewritten, declined } = rewrite(graph, block, allowance / equal as f64);
            report.declined.extend(declined.into_iter().map(|d| Declined { blocks: equal, ..d }));
            let rewritten = rewritten.and_then(|r| checked(r, &mut report));
            allowance -= rewritten.as_ref().map_or(0.0, |r| r.growth.max(0.0)) * equal as f64;
            results.insert(&block.key, rewritten);
        }
    }
    let mut constants = BTreeSet::new();
    // From the last to the first, so that the ranges of those to come stay right.
    for block in blocks.iter().rev() {
        let Some(Some(rewritten)) = results.get_mut(&*block.key) else { continue };
        let (nodes, replaced) = rewritten.template.instantiate(graph, block);
        let folded = rewritten.template.folded();
        let weights = nodes.iter().zip(folded).filter(|(_, folded)| *folded);
        constants.extend(weights.flat_map(|(n, _)| n.results.iter().copied()));
        graph.nodes.splice(block.nodes.clone(), nodes);
        for (from, to) in replaced {
            graph.replace_uses(from, to);
        }
        rewritten.report.blocks += 1;
    }
    if results.values().any(Option::is_some) {
        // What rules made of weights is there for these.
        fold_constants::run_for(graph, &constants)?;
        eliminate_dead::run(graph);
    }
    for block in &blocks {
        if let Some(Some(rewritten)) = results.remove(&*block.key) {
            report.blocks.push(rewritten.report);
        }
    }
    Ok(report)
}

/// A rewrite that is not known to be wrong; one that is goes into the report, and is said aloud.
fn checked(mut rewritten: optimise::Rewritten, report: &mut Report) -> Option<optimise::Rewritten> {
    match rewritten.verdict {
        check::Verdict::Equal => {}
        check::Verdict::Unchecked(reason) => {
            tracing::debug!(reason, "a rewrite was not executed");
            rewritten.report.unchecked = Some(reason);
        }
        check::Verdict::Differs(error) => {
            let applied = rewritten.report.applied;
            let rules: Vec<String> = applied.iter().map(Applied::to_string).collect();
            tracing::warn!(
                "a rewrite was dropped: executed before and after, the results differ by {error:e}; rules: {}. \
                 This is a bug in mlcc; please report it with the model",
                rules.join(", ")
            );
            report.dropped.push(Dropped { error, applied });
            return None;
        }
    }
    Some(rewritten)
}
