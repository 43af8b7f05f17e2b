//! Reading dumps: the text of a level, with the weights that it refers to.
//!
//! Large constants stand in a dump by identity. Their bytes come from the model that it was made from,
//! as imported and as the graph passes left them.

use super::one;
use crate::pipeline::{self, Options, Silent};
use mlcc_ir::{
    diagnostic::{Diagnostic, Fault},
    graph::Graph,
    program::{Program, Storage},
};
use mlcc_mlir::{MlirContext, weights::WeightStore};
use mlcc_passes::{contract, registry::Config};
use std::path::{Path, PathBuf};

/// How a constant that is not in the text begins.
const REFERENCE: &str = "#graph.weight<";

/// A dump and where its weights are.
pub(super) struct Dump {
    /// Its text.
    pub(super) text: String,
    file: PathBuf,
    weights: Option<PathBuf>,
}

impl Dump {
    /// Reads the text of `file`; `weights` is the ONNX model that it was made from.
    pub(super) fn read(file: &Path, weights: Option<&Path>) -> Result<Dump, Vec<Diagnostic>> {
        let text = std::fs::read_to_string(file)
            .map_err(|e| one(Diagnostic::user(format!("cannot read '{}': {e}", file.display()))))?;
        Ok(Dump { text, file: file.to_path_buf(), weights: weights.map(Path::to_path_buf) })
    }

    /// The text as a graph.
    pub(super) fn graph(&self, config: &Config, options: &Options) -> Result<Graph, Vec<Diagnostic>> {
        let graph = MlirContext::new()
            .parse_graph(&self.text, &self.weights(config, options)?)
            .map_err(|d| self.explain(d))?;
        contract::check_types(&graph).map_err(|d| self.explain(d))?;
        Ok(graph)
    }

    /// The text as a program of the tensor level.
    pub(super) fn program(&self, config: &Config, options: &Options) -> Result<Program, Vec<Diagnostic>> {
        let program = MlirContext::new()
            .parse_program(&self.text, &self.weights(config, options)?)
            .map_err(|d| self.explain(d))?;
        contract::check_program(&program, "reading the dump").map_err(|mut d| {
            // What a person wrote is no bug of ours.
            (d.fault, d.hint) = (Fault::User, None);
            self.explain(d)
        })?;
        Ok(program)
    }

    fn weights(&self, config: &Config, options: &Options) -> Result<WeightStore, Vec<Diagnostic>> {
        let mut weights = WeightStore::new();
        if !self.text.contains(REFERENCE) {
            return Ok(weights);
        }
        let Some(model) = &self.weights else {
            let message = format!("'{}' refers to weights that are not in it", self.file.display());
            return Err(one(Diagnostic::user(message)
                .hint("name the model that it was dumped from with --weights MODEL.onnx")));
        };
        let mut graph = pipeline::import(model, options, &mut Silent)?.graph;
        weights.add_graph(&graph);
        pipeline::run_graph(&mut graph, &mut { *config }, options, &mut Silent).map_err(one)?;
        weights.add_graph(&graph);
        let program = mlcc_passes::convert::graph_to_tensor(&graph).map_err(one)?;
        for tensor in &program.tensors {
            if let Storage::Constant(tensor) = &tensor.storage {
                weights.add(tensor);
            }
        }
        Ok(weights)
    }

    /// A problem of the text, with the file that it is in.
    fn explain(&self, mut diagnostic: Diagnostic) -> Vec<Diagnostic> {
        diagnostic.message = format!("'{}': {}", self.file.display(), diagnostic.message);
        one(diagnostic)
    }
}
