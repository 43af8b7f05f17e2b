//! Algebraic rewriting as a pass. The rules and the search are `mlcc-rewriting`'s; this module adds the costs
//! of kernels.
//!
//! ```text
//! q = matmul(x, wq), k = matmul(x, wk)   =>   qk = matmul(x, concat(wq, wk)), q = qk[:, :n], k = qk[:, n:]
//! ```

mod price;

pub use mlcc_rewriting::{
    Applied, BlockReport, Declined, Dropped, Limits, Mode, Report, Settings, TRANSFORMATIONS, is_known,
};
pub use price::Measured;

use super::{eliminate_dead, fold_constants};
use crate::{
    config::Config,
    registry::{PassSpec, Run},
};
use mlcc_ir::{diagnostic::Result, graph::Graph};
use mlcc_rewriting::{Outcome, weight_growth::constant_bytes};
pub(super) use price::Prices;

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

/// Rewrites a graph.
///
/// # Errors
/// If the rule file is damaged.
pub fn run(graph: &mut Graph, config: &Config) -> Result<Report> {
    run_measured(graph, config, &|_| None)
}

/// Rewrites a graph by measured prices where there are any.
///
/// # Errors
/// If the rule file is damaged.
pub fn run_measured(graph: &mut Graph, config: &Config, measured: &Measured<'_>) -> Result<Report> {
    let before = constant_bytes(graph);
    let outcome = mlcc_rewriting::rewrite(graph, &config.rewrites, &Prices::new(config, measured))?;
    let mut report = finish(graph, outcome)?;
    report.weight_growth = constant_bytes(graph).saturating_sub(before);
    Ok(report)
}

/// Computes the weights that rules made, and removes operators and values that are no longer used.
pub(super) fn finish(graph: &mut Graph, Outcome { report, weights }: Outcome) -> Result<Report> {
    if !report.blocks.is_empty() {
        fold_constants::run_for(graph, &weights)?;
        eliminate_dead::run(graph);
    }
    Ok(report)
}
