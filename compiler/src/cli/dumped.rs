//! Reading dumps: the text of a level, with the weights that it refers to.
//!
//! Large constants stand in a dump by identity. Their bytes come from the model that it was made from, as imported and
//! as each pass left them.

use super::one;
use crate::{observer::Observer, options::Options, phase::Phase, session::Session};
use mlcc_ir::{
    contract::{Contract, Verified, check_types},
    diagnostic::{Diagnostic, Fault},
    graph::Graph,
    program::Program,
};
use mlcc_mlir::{MlirContext, weights::WeightStore};
use mlcc_passes::registry::{Events, IrRef};
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
    pub(super) fn graph(&self, options: &Options) -> Result<Verified<Graph>, Vec<Diagnostic>> {
        let graph = MlirContext::new()
            .parse_graph(&self.text, &self.weights(options)?)
            .map_err(|d| self.explain(d))?;
        check_types(&graph).map_err(|d| self.explain(d))?;
        self.verified(graph)
    }

    /// The text as a program of the tensor level.
    pub(super) fn program(&self, options: &Options) -> Result<Verified<Program>, Vec<Diagnostic>> {
        let program = MlirContext::new()
            .parse_program(&self.text, &self.weights(options)?)
            .map_err(|d| self.explain(d))?;
        self.verified(program)
    }

    fn verified<T: Contract>(&self, ir: T) -> Result<Verified<T>, Vec<Diagnostic>> {
        Verified::new(ir, "reading the dump").map_err(|mut d| {
            // What a person wrote is no bug of ours.
            (d.fault, d.hint) = (Fault::User, None);
            self.explain(d)
        })
    }

    fn weights(&self, options: &Options) -> Result<WeightStore, Vec<Diagnostic>> {
        let weights = WeightStore::new();
        if !self.text.contains(REFERENCE) {
            return Ok(weights);
        }
        let Some(model) = &self.weights else {
            let message = format!("'{}' refers to weights that are not in it", self.file.display());
            return Err(one(Diagnostic::user(message)
                .hint("name the model that it was dumped from with --weights MODEL.onnx")));
        };
        let mut collected = Collected(weights);
        let mut session = Session::new(options, &mut collected).map_err(one)?;
        let imported = session.import(model)?;
        session.run(imported, Phase::Tensor).map_err(one)?;
        Ok(collected.0)
    }

    /// A problem of the text, with the file that it is in.
    fn explain(&self, mut diagnostic: Diagnostic) -> Vec<Diagnostic> {
        diagnostic.message = format!("'{}': {}", self.file.display(), diagnostic.message);
        one(diagnostic)
    }
}

/// The constants that a compilation meets.
struct Collected(WeightStore);

impl Events for Collected {
    fn after_pass(&mut self, _: &str, changes: usize, ir: IrRef<'_>) -> Result<(), Diagnostic> {
        match ir {
            _ if changes == 0 => {}
            IrRef::Graph(graph) => self.0.add_graph(graph),
            IrRef::Program(program) => self.0.add_program(program),
        }
        Ok(())
    }
}

impl Observer for Collected {
    fn imported(&mut self, graph: &Graph) -> Result<(), Diagnostic> {
        self.0.add_graph(graph);
        Ok(())
    }
}
