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
mod expression;
mod extract;
mod facts;
mod functions;
pub mod gates;
mod import;
mod instantiate;
mod matching;
mod merge;
mod price;
mod properties;
mod rule;
mod saturate;
mod sexpr;
mod template;
mod term;

#[cfg(test)]
mod tests;

pub use expression::{Expression, Function};
pub use functions::FUNCTIONS;
pub use rule::{Difference, Exactness, Pattern, Proof, Rule};
pub use saturate::Limits;

use super::{eliminate_dead, fold_constants};
use crate::registry::{PassSpec, Run};
use mlcc_ir::{
    Name,
    diagnostic::Result,
    graph::{Graph, Location},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

/// The pass, with all rules.
pub const SPEC: PassSpec = PassSpec {
    name: "rewrite",
    summary: "rewrite by algebraic rules what is then cheaper, and fold what became constant",
    run: Run::Graph(|graph| Ok(run(graph, &Settings::default())?.changes())),
};

/// The rules that are searched with.
pub const RULES: &str = include_str!("rewrite/algebra.rules");
/// The properties of operators that rules are derived from.
pub const AXIOMS: &str = include_str!("rewrite/axioms.rules");

type Parsed = LazyLock<std::result::Result<Vec<Rule>, String>>;

static PARSED_RULES: Parsed = LazyLock::new(|| rule::parse(RULES).map_err(|d| d.to_string()));
static PARSED_AXIOMS: Parsed = LazyLock::new(|| rule::parse(AXIOMS).map_err(|d| d.to_string()));

/// Every rule that is searched with, in the order of the file.
///
/// # Errors
/// If the file is not well formed: a bug that a test would have found.
pub fn rules() -> Result<&'static [Rule]> {
    PARSED_RULES.as_deref().map_err(|message| mlcc_ir::diagnostic::Diagnostic::internal(message.clone()))
}

/// The properties of operators that rules are derived from, in the order of their file; those of a family of
/// operators once for each.
///
/// # Errors
/// If the file is not well formed: a bug that a test would have found.
pub fn axioms() -> Result<&'static [Rule]> {
    PARSED_AXIOMS.as_deref().map_err(|message| mlcc_ir::diagnostic::Diagnostic::internal(message.clone()))
}

/// Whether a rule, or both directions of an equation, can be left out by that name.
///
/// # Errors
/// If the rule file is damaged.
pub fn is_rule(name: &str) -> Result<bool> {
    Ok(name == merge::NAME || rules()?.iter().any(|r| *r.name == *name))
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
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Which rules.
    pub mode: Mode,
    /// Rules left out, by name.
    pub disabled: Vec<String>,
    /// Limits of the search.
    pub limits: Limits,
}

/// What was done to a block.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockReport {
    /// How many blocks of the graph were rewritten in this way.
    pub blocks: usize,
    /// Seconds before and after, on the nominal machine that prices are of.
    pub before: f64,
    /// See `before`.
    pub after: f64,
    /// The rules that the result needs, each with where it was applied.
    pub applied: Vec<(Name, Location)>,
    /// Why the result was not compared with the original by executing both; `None` if it was, and agreed.
    pub unchecked: Option<&'static str>,
}

/// A rewrite that was found wrong by executing the block before and after.
#[derive(Clone, Debug, PartialEq)]
pub struct Dropped {
    /// Relative error in norm.
    pub error: f64,
    /// The rules that it needed: at least one is wrong, or was applied wrongly.
    pub applied: Vec<(Name, Location)>,
}

/// What was done to a graph.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Rewritten blocks, equal ones once.
    pub blocks: Vec<BlockReport>,
    /// What was left as it was because the rewrite is wrong.
    pub dropped: Vec<Dropped>,
}

impl Report {
    /// Number of blocks rewritten.
    #[must_use]
    pub fn changes(&self) -> usize {
        self.blocks.iter().map(|b| b.blocks).sum()
    }
}

/// A block's result: what takes its place.
struct Rewritten {
    template: template::Template,
    verdict: check::Verdict,
    report: BlockReport,
}

/// Rewrites a graph.
///
/// # Errors
/// If the rule file is damaged.
pub fn run(graph: &mut Graph, settings: &Settings) -> Result<Report> {
    if settings.mode == Mode::Off {
        return Ok(Report::default());
    }
    let rules: Vec<&Rule> = rules()?.iter().filter(|r| allowed(r, settings)).collect();
    let blocks = block::blocks(graph);
    let mut report = Report::default();
    let mut results: BTreeMap<&str, Option<Rewritten>> = BTreeMap::new();
    for block in &blocks {
        if !results.contains_key(&*block.key) {
            let rewritten = rewrite_block(graph, block, &rules, settings);
            results.insert(&block.key, rewritten.and_then(|r| checked(r, &mut report)));
        }
    }
    let mut constants = BTreeSet::new();
    // From the last to the first, so that the ranges of those to come stay right.
    for block in blocks.iter().rev() {
        let Some(Some(rewritten)) = results.get_mut(&*block.key) else { continue };
        let (nodes, replaced) = rewritten.template.instantiate(graph, block);
        let weights = nodes.iter().zip(&rewritten.template.nodes).filter(|(_, t)| t.weight);
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
fn checked(mut rewritten: Rewritten, report: &mut Report) -> Option<Rewritten> {
    match rewritten.verdict {
        check::Verdict::Equal => {}
        check::Verdict::Unchecked(reason) => {
            tracing::debug!(reason, "a rewrite was not executed");
            rewritten.report.unchecked = Some(reason);
        }
        check::Verdict::Differs(error) => {
            let applied = rewritten.report.applied;
            let rules: Vec<String> = applied.iter().map(|(rule, at)| format!("{rule} at {at}")).collect();
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

fn allowed(rule: &Rule, settings: &Settings) -> bool {
    let disabled =
        settings.disabled.iter().any(|d| **d == *rule.name || rule.name.strip_suffix("-reversed") == Some(d));
    !disabled && (settings.mode == Mode::All || rule.class == Exactness::Exact)
}

/// Terms for a block, as a template and priced.
struct Attempt {
    choice: extract::Choice,
    template: template::Template,
    price: f64,
}

/// A price must fall by this part at least: prices are estimates, and what is as good is left alone, unless fewer
/// operators do.
const GAIN: f64 = 0.01;

fn rewrite_block(
    graph: &Graph,
    block: &block::Block,
    rules: &[&Rule],
    settings: &Settings,
) -> Option<Rewritten> {
    let original = template::original(graph, block)?;
    let before = price::of_template(&original, block)?;
    let mut imported = import::import(graph, block)?;
    let built_in = saturate::BuiltIn {
        flatten: settings.mode == Mode::All,
        merge: !settings.disabled.iter().any(|d| d == merge::NAME),
    };
    let firings =
        saturate::saturate(&mut imported.classes, &imported.nodes, rules, built_in, settings.limits);
    let classes = &imported.classes;
    if let Some(conflict) = classes.analysis.conflicts.first() {
        tracing::warn!(
            "a block is not rewritten: terms of types {conflict} were found equal. This is a bug in mlcc"
        );
        return None;
    }
    let births = births(classes, &firings, &imported.terms);
    let mut origins = template::Origins::default();
    for (at, id) in imported.nodes.iter().enumerate() {
        origins.values.entry(classes.find(*id)).or_insert(at);
        let node = &graph.nodes[block.nodes.start + at];
        if matches!(&*node.op, "matmul" | "conv" | "conv_transpose" | "einsum") {
            let term = classes[*id].nodes.iter().find(|t| t.head.op == node.op);
            if let Some(first) = term.and_then(|t| t.operands.first()) {
                origins.operators.entry((node.op.clone(), classes.find(*first))).or_insert(at);
            }
        }
    }
    let attempt = |banned: &BTreeSet<&str>| {
        let allowed =
            |term: &term::Term| births.get(term).is_none_or(|f| !banned.contains(&*firings[*f].rule));
        let (choice, _) = extract::extract(classes, &imported.outputs, &allowed)?;
        let template = template::template(classes, &choice, &imported.outputs, &origins)?.prune();
        let price = price::of_template(&template, block)?;
        Some(Attempt { choice, template, price })
    };
    let mut banned = BTreeSet::new();
    let mut best = attempt(&banned)?;
    // Rules that do not pay once fusion is seen are left out, one after the other.
    let used: BTreeSet<Name> = used_firings(classes, &best.choice, &births, &firings)
        .iter()
        .map(|f| firings[*f].rule.clone())
        .collect();
    for rule in &used {
        let mut without = banned.clone();
        without.insert(&**rule);
        if let Some(other) = attempt(&without)
            && other.price <= best.price
            && other.template.operators() <= best.template.operators()
        {
            best = other;
            banned = without;
        }
    }
    let Attempt { choice, template, price: after } = best;
    if !folds_in_bounds(&original, &template, block) {
        return None;
    }
    let simpler = template.operators() < original.operators() && after <= before;
    if !simpler && after > before * (1.0 - GAIN) {
        return None;
    }
    let location = |id: egg::Id| {
        let node = origins.values.get(&classes.find(id)).copied().unwrap_or(0);
        graph.nodes[block.nodes.start + node].location.clone()
    };
    let mut applied: Vec<(Name, Location)> = Vec::new();
    for firing in used_firings(classes, &choice, &births, &firings) {
        let entry = (firings[firing].rule.clone(), location(firings[firing].root));
        if !applied.contains(&entry) {
            applied.push(entry);
        }
    }
    let verdict = check::check(&original, &template, block);
    let report = BlockReport { blocks: 0, before, after, applied, unchecked: None };
    Some(Rewritten { template, verdict, report })
}

/// What is computed when the model is compiled may take this many operations a block.
const MAX_FOLDING: f64 = 20e9;
/// Weights may grow by this factor and this many bytes.
const MAX_GROWTH: (f64, f64) = (1.25, 1e6);

/// Whether the work at compile time and the growth of the weights stay in bounds.
fn folds_in_bounds(before: &template::Template, after: &template::Template, block: &block::Block) -> bool {
    after.folding() - before.folding() <= MAX_FOLDING
        && after.weight_bytes(block) <= before.weight_bytes(block) * MAX_GROWTH.0 + MAX_GROWTH.1
}

/// Which firing made each term that the block did not have.
fn births(
    classes: &facts::Classes,
    firings: &[saturate::Firing],
    own: &[term::Term],
) -> BTreeMap<term::Term, usize> {
    use egg::Language;
    let mut births = BTreeMap::new();
    for (at, firing) in firings.iter().enumerate() {
        for term in &firing.made {
            births.entry(term.clone().map_children(|id| classes.find(id))).or_insert(at);
        }
    }
    for term in own {
        births.remove(&term.clone().map_children(|id| classes.find(id)));
    }
    births
}

/// The firings that a choice depends on, in order: those that made its terms, and those that made what these
/// matched.
fn used_firings(
    classes: &facts::Classes,
    choice: &extract::Choice,
    births: &BTreeMap<term::Term, usize>,
    firings: &[saturate::Firing],
) -> Vec<usize> {
    use egg::Language;
    let canonical = |term: &term::Term| term.clone().map_children(|id| classes.find(id));
    let mut used = BTreeSet::new();
    let mut pending: Vec<usize> =
        choice.values().filter_map(|t| births.get(&canonical(t)).copied()).collect();
    while let Some(at) = pending.pop() {
        if used.insert(at) {
            pending.extend(firings[at].matched.iter().filter_map(|t| births.get(&canonical(t)).copied()));
        }
    }
    used.into_iter().collect()
}
