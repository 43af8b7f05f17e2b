//! One block: searched for equal terms, the cheapest chosen, priced and compared with what the block was.

use super::{
    Mode, Settings,
    block::Block,
    check, exact, extract,
    facts::Classes,
    history::History,
    import, merge,
    origins::Origins,
    price,
    report::BlockReport,
    rule::Rule,
    saturate::{self, BuiltIn},
    template::{self, Template},
    term::Term,
};
use egg::Id;
use mlcc_ir::{Name, graph::Graph};
use std::collections::{BTreeMap, BTreeSet};

/// A block's result: what takes its place.
pub(super) struct Rewritten {
    pub(super) template: Template,
    pub(super) verdict: check::Verdict,
    pub(super) report: BlockReport,
}

/// A price must fall by this part at least: prices are estimates, and what is as good is left alone, unless fewer
/// operators do.
const GAIN: f64 = 0.01;
/// What is computed when the model is compiled may take this many operations a block.
const MAX_FOLDING: f64 = 20e9;
/// Weights may grow by this factor and this many bytes.
const MAX_GROWTH: (f64, f64) = (1.25, 1e6);

/// Rewrites a block; `None` if nothing is gained.
pub(super) fn optimise(
    graph: &Graph,
    block: &Block,
    rules: &[&Rule],
    settings: &Settings,
) -> Option<Rewritten> {
    let original = template::original(graph, block)?;
    let before = price::of_template(&original, block)?;
    let mut imported = import::import(graph, block)?;
    let enabled = |name: &str| !settings.disabled.iter().any(|d| d == name);
    let built_in = BuiltIn {
        flatten: settings.mode == Mode::All && enabled(saturate::FLATTEN),
        merge: enabled(merge::NAME),
        narrow: false,
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
    let search = Search {
        block,
        classes,
        outputs: &imported.outputs,
        history: History::of(&imported, firings),
        origins: Origins::of(graph, block, &imported),
        original: &original,
    };
    let (best, saved) = search.best()?;
    let after = best.price;
    let simpler = best.template.operators() < original.operators() && after <= before;
    if !after.is_finite() || !simpler && after > before * (1.0 - GAIN) {
        return None;
    }
    let mut applied = search
        .history
        .applied(&best.extraction.choice, |id| search.origins.location(graph, block, classes.find(id)));
    for entry in &mut applied {
        entry.saved = saved.get(&entry.rule).map(|price| price - best.price).filter(|s| s.is_finite());
    }
    let verdict = check::check(&original, &best.template, block, settings.mode);
    let report = BlockReport { blocks: 0, before, after, applied, unchecked: None };
    Some(Rewritten { template: best.template, verdict, report })
}

/// A saturated block from which terms are chosen.
struct Search<'a> {
    block: &'a Block,
    classes: &'a Classes,
    outputs: &'a [Id],
    history: History<'a>,
    origins: Origins,
    original: &'a Template,
}

/// Terms for a block, as a template and priced.
struct Attempt {
    extraction: extract::Extraction,
    template: Template,
    /// Seconds; infinite where compiling would take too long or weights would grow too much.
    price: f64,
}

impl Search<'_> {
    /// The cheapest terms, and what the block would cost without each of the rules that they need.
    fn best(&self) -> Option<(Attempt, BTreeMap<Name, f64>)> {
        let mut banned = BTreeSet::new();
        let mut best = self.greedy(&banned)?;
        let mut without = BTreeMap::new();
        // Rules that do not pay once fusion is seen are left out, one after the other.
        for rule in self.rules_of(&best.extraction.choice) {
            let mut also = banned.clone();
            also.insert(rule.clone());
            let Some(other) = self.greedy(&also) else { continue };
            let no_worse =
                other.price <= best.price && other.template.operators() <= best.template.operators();
            if no_worse || (best.price.is_infinite() && other.price.is_finite()) {
                best = other;
                banned = also;
            } else {
                without.insert(rule, other.price);
            }
        }
        let allowed = |term: &Term| self.is_allowed(term, &banned);
        if let Some(choice) = exact::improve(self.classes, self.outputs, &allowed, &best.extraction)
            && let Some(other) = self.attempt(extract::Extraction { choice, ..best.extraction.clone() })
            && other.price < best.price
        {
            best = other;
        }
        Some((best, without))
    }

    /// The greedy choice without some rules.
    fn greedy(&self, banned: &BTreeSet<Name>) -> Option<Attempt> {
        let allowed = |term: &Term| self.is_allowed(term, banned);
        self.attempt(extract::extract(self.classes, self.outputs, &allowed)?)
    }

    fn is_allowed(&self, term: &Term, banned: &BTreeSet<Name>) -> bool {
        self.history.rule_of(term).is_none_or(|rule| !banned.contains(rule))
    }

    fn attempt(&self, extraction: extract::Extraction) -> Option<Attempt> {
        let template =
            template::template(self.classes, &extraction.choice, self.outputs, &self.origins)?.prune();
        let in_bounds = folds_in_bounds(self.original, &template, self.block);
        let price = if in_bounds { price::of_template(&template, self.block)? } else { f64::INFINITY };
        Some(Attempt { extraction, template, price })
    }

    fn rules_of(&self, choice: &extract::Choice) -> BTreeSet<Name> {
        self.history.used(choice).map(|f| f.rule.clone()).collect()
    }
}

/// Whether the work at compile time and the growth of the weights stay in bounds.
fn folds_in_bounds(before: &Template, after: &Template, block: &Block) -> bool {
    after.folding() - before.folding() <= MAX_FOLDING
        && after.weight_bytes(block) <= before.weight_bytes(block) * MAX_GROWTH.0 + MAX_GROWTH.1
}
