//! Recognises operators that a model spells out in primitives: norms, softmax, activations.
//!
//! ```text
//! mean = reduce_mean(x), d = x - mean, v = reduce_mean(d * d),           =>   y = layer_norm(x, g, b)
//! y = d / sqrt(v + 1e-5) * g + b
//! ```
//!
//! A recognised operator is never worse than its parts, so the pass runs under every setting.

use super::rewrite::{Prices, Report, finish};
use crate::{
    config::Config,
    registry::{PassSpec, Run},
};
use mlcc_ir::{diagnostic::Result, graph::Graph};

/// The pass.
pub const SPEC: PassSpec = PassSpec {
    name: "recognise",
    summary: "operators that are spelled out in primitives become one",
    traits: &[],
    run: Run::Graph(|graph, context| {
        let report = run(graph, context.config)?;
        context.events.rewritten(&report);
        Ok(report.changes())
    }),
};

/// Runs the pass. Of the rewriting settings, only the limits and the list of disabled rules matter.
///
/// # Errors
/// If a rule file is damaged.
pub fn run(graph: &mut Graph, config: &Config) -> Result<Report> {
    let outcome = mlcc_rewriting::recognise(graph, &config.rewrites, &Prices::new(config, &|_| None))?;
    finish(graph, outcome)
}
