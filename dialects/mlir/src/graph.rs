//! The graph level and the `graph` dialect.

mod read;
mod write;

pub(crate) use read::verify;
pub(crate) use write::tensor_data;

use crate::{
    context::MlirContext,
    read::{Weights, error},
    weights::WeightSource,
};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    graph::Graph,
};

impl MlirContext {
    /// The text of a graph, with its provenance. Constants of more than [`crate::weights::MAX_INLINE`] elements
    /// are references; [`crate::weights::WeightStore::of_graph`] holds their data.
    ///
    /// # Errors
    /// If the graph is malformed.
    pub fn print_graph(&self, graph: &Graph) -> Result<String> {
        self.pretty(&write::module(graph)?, true)
    }

    /// Reads a graph. Values are numbered in the text's order: inputs, then constants and results.
    ///
    /// # Errors
    /// If the text is not MLIR (with line and column), not a graph, or a weight is not at hand.
    pub fn parse_graph(&self, text: &str, weights: &dyn WeightSource) -> Result<Graph> {
        let module = self.parse(text, "graph")?;
        let mut functions = module.op().body(0).filter(|op| op.name() == "func.func");
        let function = functions.next();
        let function =
            function.ok_or_else(|| Diagnostic::user("graph: expected a 'func.func' that holds the model"))?;
        if let Some(second) = functions.next() {
            return Err(error(second, "a graph is one function"));
        }
        read::function(function, Weights::From(weights))
    }
}
