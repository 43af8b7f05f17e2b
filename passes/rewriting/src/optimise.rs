//! One block: searches for equal terms, chooses the cheapest, prices it and compares it with the original
//! block.

use super::{
    block::Block,
    check,
    cost::Prices,
    exact, extract,
    facts::Classes,
    history::History,
    import,
    origins::Origins,
    report::{BlockReport, Declined},
    rule::Rule,
    saturate::{self, BuiltIn},
    settings::Settings,
    template::{self, Template},
    term::Term,
    transformations::{FLATTEN, MERGE_PRODUCTS},
    weight_growth,
};
use egg::Id;
use mlcc_ir::{
    Name,
    graph::{Graph, Location},
};
use mlcc_machine::KernelRates;
use std::collections::{BTreeMap, BTreeSet};

/// The replacement of a block.
pub(super) struct Rewritten {
    pub(super) template: Template,
    pub(super) verdict: check::Verdict,
    /// Bytes by which its weights grow.
    pub(super) growth: f64,
    pub(super) report: BlockReport,
}

/// The means of rewriting a block.
pub(super) struct Means<'a> {
    pub(super) rules: &'a [&'a Rule],
    pub(super) settings: &'a Settings,
    pub(super) prices: &'a dyn Prices,
    /// Bytes by which its weights may grow.
    pub(super) allowance: f64,
}

/// A price must fall by this part at least. Prices are estimates, so an equally good block is left alone,
/// unless fewer operators do.
const GAIN: f64 = 0.01;
/// Most operations of a block that may run when the model is compiled.
const MAX_FOLDING: f64 = 20e9;

/// The outcome for a block.
#[derive(Default)]
pub(super) struct Optimised {
    /// `None` if nothing is gained.
    pub(super) rewritten: Option<Rewritten>,
    /// Merges that were found but do not pay.
    pub(super) declined: Vec<Declined>,
}

/// Rewrites a block.
pub(super) fn optimise(graph: &Graph, block: &Block, means: &Means<'_>) -> Optimised {
    searched(graph, block, means).unwrap_or_default()
}

/// The same; `None` if the block cannot be searched.
fn searched(graph: &Graph, block: &Block, means: &Means<'_>) -> Option<Optimised> {
    let Means { rules, settings, prices, .. } = means;
    let original = template::original(graph, block)?;
    let before = original.price(block, *prices)?;
    let mut imported = import::import(graph, block)?;
    let built_in = BuiltIn {
        flatten: settings.allows(&FLATTEN),
        merge: settings.allows(&MERGE_PRODUCTS),
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
        means,
        block,
        classes,
        outputs: &imported.outputs,
        history: History::of(&imported, firings),
        origins: Origins::of(graph, block, &imported),
        original: &original,
    };
    let (best, saved) = search.best()?;
    let location = |id| search.origins.location(graph, block, classes.find(id));
    let declined = search.declined(&best, &location);
    let after = best.price;
    let simpler = best.template.operators() < original.operators() && after <= before;
    if !after.is_finite() || !simpler && after > before * (1.0 - GAIN) {
        return Some(Optimised { rewritten: None, declined });
    }
    let mut applied = search.history.applied(&best.extraction.choice, location);
    for entry in &mut applied {
        entry.saved = saved.get(&entry.rule).map(|price| price - best.price).filter(|s| s.is_finite());
    }
    let verdict = check::check(&original, &best.template, block, settings.mode);
    let growth = best.template.weight_bytes(block) - original.weight_bytes(block);
    let report = BlockReport { blocks: 0, before, after, applied, unchecked: None };
    let rewritten = Some(Rewritten { template: best.template, verdict, growth, report });
    Some(Optimised { rewritten, declined })
}

/// A saturated block from which terms are chosen.
struct Search<'a> {
    means: &'a Means<'a>,
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
    /// Seconds; infinite if compiling would take too long or weights would grow too much.
    price: f64,
}

impl Search<'_> {
    /// The cheapest terms, and what the block would cost without each of the rules that they need.
    fn best(&self) -> Option<(Attempt, BTreeMap<Name, f64>)> {
        let mut banned = BTreeSet::new();
        let mut best = self.greedy(&banned)?;
        let mut without = BTreeMap::new();
        // Rules that do not pay in view of fusion are left out, one after the other.
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
        if let Some(choice) =
            exact::improve(self.rates(), self.classes, self.outputs, &allowed, &best.extraction)
            && let Some(other) = self.attempt(extract::Extraction { choice, ..best.extraction.clone() })
            && other.price < best.price
        {
            best = other;
        }
        Some((best, without))
    }

    /// The cost of merging each group of products that is not merged: the price of the block with the group's
    /// products as parts of one.
    fn declined(&self, best: &Attempt, location: &dyn Fn(Id) -> Location) -> Vec<Declined> {
        let merges = self.history.merges();
        let untaken = merges.into_iter().filter(|(whole, _)| !best.extraction.choice.contains_key(whole));
        let forced = |(whole, products): (Id, Vec<Id>)| {
            let is_part = |t: &Term| {
                &*t.head.op == "slice" && t.operands.iter().any(|o| self.classes.find(*o) == whole)
            };
            let others: BTreeSet<&Term> =
                products.iter().flat_map(|p| &self.classes[*p].nodes).filter(|t| !is_part(t)).collect();
            let allowed = |term: &Term| !others.contains(term);
            let extraction = extract::extract(self.rates(), self.classes, self.outputs, &allowed)?;
            let merged = extraction.choice.contains_key(&whole);
            let costs = self.attempt(extraction)?.price - best.price;
            let places = products.into_iter().map(location).collect();
            merged.then(|| Declined { blocks: 0, rule: MERGE_PRODUCTS.name.into(), places, costs })
        };
        untaken.filter_map(forced).collect()
    }

    /// The greedy choice without some rules.
    fn greedy(&self, banned: &BTreeSet<Name>) -> Option<Attempt> {
        let allowed = |term: &Term| self.is_allowed(term, banned);
        self.attempt(extract::extract(self.rates(), self.classes, self.outputs, &allowed)?)
    }

    fn is_allowed(&self, term: &Term, banned: &BTreeSet<Name>) -> bool {
        self.history.rule_of(term).is_none_or(|rule| !banned.contains(rule))
    }

    fn attempt(&self, extraction: extract::Extraction) -> Option<Attempt> {
        let template =
            template::template(self.classes, &extraction.choice, self.outputs, &self.origins)?.prune();
        let price = if self.folds_in_bounds(&template) {
            template.price(self.block, self.means.prices)?
        } else {
            f64::INFINITY
        };
        Some(Attempt { extraction, template, price })
    }

    /// Whether the work at compile time and the growth of the weights stay in bounds. The growth is bounded
    /// for the block's own weights and for the model's, so that the first blocks leave something for the
    /// others.
    fn folds_in_bounds(&self, template: &Template) -> bool {
        let Means { settings, allowance, .. } = self.means;
        let own = self.original.weight_bytes(self.block);
        let growth = template.weight_bytes(self.block) - own;
        let most = allowance.min(weight_growth::allowance(own, settings.max_weight_growth));
        template.folding() - self.original.folding() <= MAX_FOLDING && growth <= most.max(0.0)
    }

    fn rates(&self) -> &KernelRates {
        self.means.prices.rates()
    }

    fn rules_of(&self, choice: &extract::Choice) -> BTreeSet<Name> {
        self.history.used(choice).map(|f| f.rule.clone()).collect()
    }
}
