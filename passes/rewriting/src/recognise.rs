//! Recognises operators that a model spells out in primitives: norms, softmax, activations.
//!
//! The rules of `recognition.rules` are applied to the terms of a block until nothing new is found. Of all
//! graphs that compute the same, the one with the fewest operators is taken. Nothing is measured: a
//! recognised operator is never worse than its parts, so the pass runs under every setting.

use super::{
    block::Block,
    check,
    cost::Prices,
    extract::{self, Extraction},
    facts::Facts,
    history::History,
    import,
    optimise::{Optimised, Rewritten},
    origins::Origins,
    recognisers,
    report::BlockReport,
    rewrite::{Outcome, rewrite_blocks},
    rule::Rule,
    saturate::{BuiltIn, saturate},
    settings::{Mode, Settings},
    template,
    term::{Term, special},
};
use mlcc_ir::{diagnostic::Result, graph::Graph};

/// Recognises operators. Of the settings, only the limits and the list of disabled rules matter.
///
/// # Errors
/// If a rule file is damaged.
pub fn recognise(graph: &mut Graph, settings: &Settings, prices: &dyn Prices) -> Result<Outcome> {
    let rules: Vec<&Rule> = recognisers()?.iter().filter(|r| !settings.leaves_out(r)).collect();
    // Recognition adds no weights.
    Ok(rewrite_blocks(graph, 0.0, &|graph, block, _| Optimised {
        rewritten: recognised(graph, block, &rules, (settings, prices)),
        declined: Vec::new(),
    }))
}

/// Advantage of a block's own term over another one with as many operators.
const OWN: f64 = 0.01;

fn recognised(
    graph: &Graph,
    block: &Block,
    rules: &[&Rule],
    (settings, prices): (&Settings, &dyn Prices),
) -> Option<Rewritten> {
    let original = template::original(graph, block)?;
    let mut imported = import::import(graph, block)?;
    let built_in = BuiltIn { flatten: true, merge: false, narrow: true };
    let firings = saturate(&mut imported.classes, &imported.nodes, rules, built_in, settings.limits);
    let classes = &imported.classes;
    if firings.is_empty() || !classes.analysis.conflicts.is_empty() {
        return None;
    }
    let history = History::of(&imported, firings);
    let origins = Origins::of(graph, block, &imported);
    let price = |term: &Term, facts: &Facts| {
        operators(term, facts) + if history.rule_of(term).is_some() { OWN } else { 0.0 }
    };
    let own = |term: &Term| history.rule_of(term).is_none();
    let before = extract::cheapest(classes, &imported.outputs, &price, &own)?.total;
    let Extraction { choice, total: after, .. } =
        extract::cheapest(classes, &imported.outputs, &price, &|_| true)?;
    // The gain is a whole operator at least: preferences add up.
    if after > before - 0.5 {
        return None;
    }
    let template = template::template(classes, &choice, &imported.outputs, &origins)?.prune().in_order();
    let applied = history.applied(&choice, |id| origins.location(graph, block, classes.find(id)));
    let (before, after) = (original.price(block, prices)?, template.price(block, prices)?);
    let verdict = check::check(&original, &template, block, Mode::All);
    let report = BlockReport { blocks: 0, before, after, applied, unchecked: None };
    Some(Rewritten { template, verdict, growth: 0.0, report })
}

/// The number of operators that a term stands for.
fn operators(term: &Term, facts: &Facts) -> f64 {
    if facts.weight {
        return 0.0;
    }
    match &*term.head.op {
        special::LEAF | special::CONSTANT => 0.0,
        special::SUM | special::PRODUCT => (term.operands.len() - 1) as f64,
        _ => 1.0,
    }
}
