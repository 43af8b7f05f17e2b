//! A graph, rewritten block by block.

use super::{
    block, check,
    cost::Prices,
    optimise::{self, Means},
    report::{Applied, Declined, Dropped, Report},
    rule::Rule,
    rules,
    settings::{Mode, Settings},
    weight_growth,
};
use mlcc_ir::{
    diagnostic::Result,
    graph::{Graph, ValueId},
};
use std::collections::{BTreeMap, BTreeSet};

/// The outcome for a graph. Operators that nothing uses any more are still in it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The report of the work done.
    pub report: Report,
    /// Values that rules compute from weights, to be computed when the model is compiled.
    pub weights: BTreeSet<ValueId>,
}

/// Rewrites a graph by the rules that the settings allow, wherever the prices show a gain.
///
/// # Errors
/// If the rule file is damaged.
pub fn rewrite(graph: &mut Graph, settings: &Settings, prices: &dyn Prices) -> Result<Outcome> {
    if settings.mode == Mode::Off {
        return Ok(Outcome::default());
    }
    let rules: Vec<&Rule> = rules()?.iter().filter(|r| settings.allows_rule(r)).collect();
    let bytes = weight_growth::constant_bytes(graph) as f64;
    let allowance = weight_growth::allowance(bytes, settings.max_weight_growth);
    Ok(rewrite_blocks(graph, allowance, &|graph, block, allowance| {
        optimise::optimise(graph, block, &Means { rules: &rules, settings, prices, allowance })
    }))
}

/// The replacement of a block, if the weights of each such block grow by at most this many bytes.
pub(super) type Rewrite<'a> = dyn Fn(&Graph, &block::Block, f64) -> optimise::Optimised + 'a;

/// Rewrites a graph block by block, equal blocks once, while weights grow by no more than `allowance` bytes.
pub(super) fn rewrite_blocks(graph: &mut Graph, mut allowance: f64, rewrite: &Rewrite<'_>) -> Outcome {
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
    let mut weights = BTreeSet::new();
    // From the last to the first, so that the ranges of later blocks stay right.
    for block in blocks.iter().rev() {
        let Some(Some(rewritten)) = results.get_mut(&*block.key) else { continue };
        let (nodes, replaced) = rewritten.template.instantiate(graph, block);
        let folded = rewritten.template.folded();
        let computed = nodes.iter().zip(folded).filter(|(_, folded)| *folded);
        weights.extend(computed.flat_map(|(n, _)| n.results.iter().copied()));
        graph.nodes.splice(block.nodes.clone(), nodes);
        for (from, to) in replaced {
            graph.replace_uses(from, to);
        }
        rewritten.report.blocks += 1;
    }
    for block in &blocks {
        if let Some(Some(rewritten)) = results.remove(&*block.key) {
            report.blocks.push(rewritten.report);
        }
    }
    Outcome { report, weights }
}

/// Passes on a rewrite unless it is known to be wrong. A wrong one goes into the report, with a loud message.
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
