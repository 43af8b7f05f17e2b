//! One block: searched for equal terms, the cheapest chosen, priced and compared with what the block was.

use super::{
    Mode, Settings,
    block::Block,
    check, exact, extract,
    facts::Classes,
    import, merge, price,
    report::{Applied, BlockReport},
    rule::Rule,
    saturate::{self, BuiltIn, Firing},
    template::{self, Origins, Template},
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
        births: births(classes, &firings, &imported.terms),
        firings: &firings,
        origins: origins(graph, block, classes, &imported.nodes),
        original: &original,
    };
    let (best, saved) = search.best()?;
    let after = best.price;
    let simpler = best.template.operators() < original.operators() && after <= before;
    if !after.is_finite() || !simpler && after > before * (1.0 - GAIN) {
        return None;
    }
    let applied = search.applied(&best, &saved, graph);
    let verdict = check::check(&original, &best.template, block);
    let report = BlockReport { blocks: 0, before, after, applied, unchecked: None };
    Some(Rewritten { template: best.template, verdict, report })
}

/// Where new operators of a block come from.
fn origins(graph: &Graph, block: &Block, classes: &Classes, nodes: &[Id]) -> Origins {
    let mut origins = Origins::default();
    for (at, id) in nodes.iter().enumerate() {
        origins.values.entry(classes.find(*id)).or_insert(at);
        let node = &graph.nodes[block.nodes.start + at];
        if matches!(&*node.op, "matmul" | "conv" | "conv_transpose" | "einsum") {
            let term = classes[*id].nodes.iter().find(|t| t.head.op == node.op);
            if let Some(first) = term.and_then(|t| t.operands.first()) {
                origins.operators.entry((node.op.clone(), classes.find(*first))).or_insert(at);
            }
        }
    }
    origins
}

/// A saturated block from which terms are chosen.
struct Search<'a> {
    block: &'a Block,
    classes: &'a Classes,
    outputs: &'a [Id],
    firings: &'a [Firing],
    /// Which firing made each term that the block did not have.
    births: BTreeMap<Term, usize>,
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
        self.attempt(extract::extract(self.classes, self.outputs, &|term| self.is_allowed(term, banned))?)
    }

    fn is_allowed(&self, term: &Term, banned: &BTreeSet<Name>) -> bool {
        self.births.get(term).is_none_or(|f| !banned.contains(&self.firings[*f].rule))
    }

    fn attempt(&self, extraction: extract::Extraction) -> Option<Attempt> {
        let template =
            template::template(self.classes, &extraction.choice, self.outputs, &self.origins)?.prune();
        let in_bounds = folds_in_bounds(self.original, &template, self.block);
        let price = if in_bounds { price::of_template(&template, self.block)? } else { f64::INFINITY };
        Some(Attempt { extraction, template, price })
    }

    fn rules_of(&self, choice: &extract::Choice) -> BTreeSet<Name> {
        self.used(choice).iter().map(|f| self.firings[*f].rule.clone()).collect()
    }

    /// The rules that a result needs, with where they were applied and what the block would cost more without them.
    fn applied(&self, best: &Attempt, without: &BTreeMap<Name, f64>, graph: &Graph) -> Vec<Applied> {
        let mut applied: Vec<Applied> = Vec::new();
        for firing in self.used(&best.extraction.choice) {
            let Firing { rule, root, .. } = &self.firings[firing];
            let node = self.origins.values.get(&self.classes.find(*root)).copied().unwrap_or(0);
            let place = graph.nodes[self.block.nodes.start + node].location.clone();
            match applied.iter_mut().find(|a| a.rule == *rule) {
                Some(entry) if entry.places.contains(&place) => {}
                Some(entry) => entry.places.push(place),
                None => {
                    let saved = without.get(rule).map(|price| price - best.price).filter(|s| s.is_finite());
                    applied.push(Applied { rule: rule.clone(), places: vec![place], saved });
                }
            }
        }
        applied
    }

    /// The firings that a choice depends on, in order: those that made its terms, and those that made what these
    /// matched.
    fn used(&self, choice: &extract::Choice) -> BTreeSet<usize> {
        use egg::Language;
        let born = |term: &Term| {
            let canonical = term.clone().map_children(|id| self.classes.find(id));
            self.births.get(&canonical).copied()
        };
        let mut used = BTreeSet::new();
        let mut pending: Vec<usize> = choice.values().filter_map(born).collect();
        while let Some(at) = pending.pop() {
            if used.insert(at) {
                pending.extend(self.firings[at].matched.iter().filter_map(born));
            }
        }
        used
    }
}

/// Whether the work at compile time and the growth of the weights stay in bounds.
fn folds_in_bounds(before: &Template, after: &Template, block: &Block) -> bool {
    after.folding() - before.folding() <= MAX_FOLDING
        && after.weight_bytes(block) <= before.weight_bytes(block) * MAX_GROWTH.0 + MAX_GROWTH.1
}

/// Which firing made each term that the block did not have.
fn births(classes: &Classes, firings: &[Firing], own: &[Term]) -> BTreeMap<Term, usize> {
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
