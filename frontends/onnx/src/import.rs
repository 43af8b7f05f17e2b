//! The walk over a model: inputs, weights, nodes in order, outputs.
//!
//! All problems are reported. A node that fails poisons its outputs, and the nodes that depend on them are skipped
//! without an error of their own. The model's own functions are inlined, and so are branches of an `If` with a
//! constant condition.

use crate::{
    ImportOptions, Imported, ModelInfo,
    attributes::Attributes,
    builder::Builder,
    call::{Call, malformed},
    defaults,
    external::ExternalData,
    order,
    proto::{
        FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, ValueInfoProto,
    },
    registry::{self, Import, NEWEST_OPSET, OLDEST_OPSET},
    scope::{Scopes, Slot},
    signature::{self, Signature, tensor_element_type},
    tensor::tensor_from_proto,
};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result, count},
    graph::{Def, Location, ValueId},
    tensor::Tensor,
};
use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
};

/// Further problems are not listed.
const MAX_DIAGNOSTICS: usize = 100;
/// Functions that call each other deeper than this are considered an endless recursion.
const MAX_NESTING: usize = 64;
/// More nodes, inlined functions included, are considered an attack.
const MAX_NODES: usize = 1_000_000;

/// Imports a decoded model.
///
/// # Errors
/// All problems found, at most [`MAX_DIAGNOSTICS`].
pub(crate) fn import_model(
    model: &ModelProto,
    folder: Option<&Path>,
    options: &ImportOptions<'_>,
) -> std::result::Result<Imported, Vec<Diagnostic>> {
    let graph = model.graph.as_ref().ok_or_else(|| {
        vec![Diagnostic::user("the file holds no graph").hint("it is damaged, or not an ONNX model")]
    })?;
    let mut imported = Err(Vec::new());
    for defaults in defaults::candidates(graph, model.ir_version) {
        imported = import_graph(model, graph, &defaults, folder, options);
        if imported.is_ok() {
            break;
        }
    }
    imported
}

/// Imports a model. These inputs have defaults; other initializers are constants.
fn import_graph(
    model: &ModelProto,
    graph: &GraphProto,
    defaults: &HashSet<&str>,
    folder: Option<&Path>,
    options: &ImportOptions<'_>,
) -> std::result::Result<Imported, Vec<Diagnostic>> {
    let opset = main_opset(&model.opset_import);
    let functions = model
        .functions
        .iter()
        .map(|f| ((domain(&f.domain), f.name.as_str(), f.overload.as_str()), f))
        .collect();
    let mut importer = Importer {
        builder: Builder::new(&graph.name, options.fold, ExternalData::new(folder)),
        scopes: Scopes::new(),
        functions,
        frame: Frame { attributes: Attributes::default(), opset, prefix: String::new() },
        nesting: 0,
        nodes: 0,
        diagnostics: Vec::new(),
        defaults: BTreeMap::new(),
    };
    if let Some(version) = opset
        && !(OLDEST_OPSET..=NEWEST_OPSET).contains(&version)
    {
        importer.report(Diagnostic::unsupported(format!("the model uses opset {version}")).hint(format!(
            "mlcc reads opsets {OLDEST_OPSET} to {NEWEST_OPSET}; onnx.version_converter converts a model"
        )));
        return Err(importer.diagnostics);
    }
    importer.model_graph(graph, defaults, options);
    if !importer.diagnostics.is_empty() {
        // Advice on shapes is more useful with the names of the inputs.
        let hints = importer.diagnostics.iter_mut().filter_map(|d| d.hint.as_mut());
        for hint in hints.filter(|hint| hint.contains("--shape")) {
            *hint = format!("{hint}; {}", signature::describe(&model_inputs(graph, defaults)));
        }
        return Err(importer.diagnostics);
    }
    let info = ModelInfo {
        opset: opset.unwrap_or_default(),
        ir_version: model.ir_version,
        producer: format!("{} {}", model.producer_name, model.producer_version).trim().to_owned(),
    };
    let Importer { builder, defaults, .. } = importer;
    Ok(Imported { graph: builder.graph, info, defaults })
}

/// The inputs of a model's graph. The graph's list may contain constants; those in `defaults` count as inputs all
/// the same.
pub(crate) fn model_inputs<'m>(graph: &'m GraphProto, defaults: &HashSet<&str>) -> Vec<&'m ValueInfoProto> {
    let weights = graph.initializer.iter().map(|t| t.name.as_str());
    let weights: HashSet<&str> = weights.filter(|name| !defaults.contains(name)).collect();
    graph.input.iter().filter(|i| !weights.contains(i.name.as_str())).collect()
}

/// The main domain has two names; both become one.
fn domain(name: &str) -> &str {
    if name == "ai.onnx" { "" } else { name }
}

fn main_opset(imports: &[OperatorSetIdProto]) -> Option<i64> {
    imports.iter().find(|o| domain(&o.domain).is_empty()).map(|o| o.version)
}

/// Where the walk is: in the model's graph or in the body of a function.
struct Frame<'m> {
    /// Attributes of the function's call.
    attributes: Attributes<'m>,
    /// Version of the main domain's operators.
    opset: Option<i64>,
    /// The prefix of the names of nodes and values: the function calls on the way.
    prefix: String,
}

pub(crate) struct Importer<'m> {
    builder: Builder<'m>,
    scopes: Scopes<'m>,
    /// The model's functions by domain, name and overload.
    functions: BTreeMap<(&'m str, &'m str, &'m str), &'m FunctionProto>,
    frame: Frame<'m>,
    nesting: usize,
    nodes: usize,
    diagnostics: Vec<Diagnostic>,
    /// Default values of inputs.
    defaults: BTreeMap<usize, Tensor>,
}

impl<'m> Importer<'m> {
    fn report(&mut self, diagnostic: Diagnostic) {
        if self.diagnostics.len() < MAX_DIAGNOSTICS {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Binds an ONNX name.
    fn define(&mut self, name: &'m str, slot: Slot) {
        if !self.scopes.define(name, slot) {
            self.report(malformed(format!("value '{name}' is defined more than once")));
        }
    }

    fn model_graph(&mut self, graph: &'m GraphProto, defaults: &HashSet<&str>, options: &ImportOptions<'_>) {
        let mut signature = Signature::new(options);
        let inputs = model_inputs(graph, defaults);
        signature.declare(&inputs);
        for problem in signature.learn_names(&inputs) {
            self.report(problem);
        }
        for input in &inputs {
            if let Err(d) = signature.learn(input) {
                self.report(d);
            }
        }
        for (i, input) in inputs.into_iter().enumerate() {
            let slot = match signature.input_type(input) {
                Ok(ty) => {
                    let id = self.builder.value(&input.name, ty, Def::Input(i));
                    self.builder.graph.inputs.push(id);
                    if let Some(tensor) = options.values.get(&input.name)
                        && let Err(d) = self.builder.specialise(id, tensor)
                    {
                        self.report(d);
                    }
                    Slot::Value(id)
                }
                Err(d) => {
                    self.report(d);
                    Slot::Poisoned
                }
            };
            self.define(&input.name, slot);
        }
        self.builder.graph.ranges = signature.ranges;
        for tensor in graph.initializer.iter().filter(|t| defaults.contains(t.name.as_str())) {
            if let Err(d) = self.default(tensor) {
                self.report(d);
            }
        }
        self.graph_body(graph, defaults);
        for output in &graph.output {
            match self.output(output) {
                Ok(Some(id)) => self.builder.graph.outputs.push((output.name.as_str().into(), id)),
                Ok(None) => {}
                Err(d) => self.report(d),
            }
        }
    }

    /// Keeps the default value of an input.
    fn default(&mut self, proto: &TensorProto) -> Result<()> {
        let tensor = tensor_from_proto(proto, &self.builder.external)?;
        let Some(Slot::Value(id)) = self.scopes.get(&proto.name) else { return Ok(()) };
        let value = self.builder.graph.value(id);
        let sizes_fit =
            value.ty.dims.iter().zip(&tensor.dims).all(|(d, n)| d.as_const().is_none_or(|d| d == *n));
        if value.ty.dtype != tensor.dtype || value.ty.rank() != tensor.dims.len() || !sizes_fit {
            let message =
                format!("input '{}' is of type {} but its default of {}", proto.name, value.ty, tensor.ty());
            return Err(malformed(message));
        }
        if let Def::Input(number) = value.def {
            self.defaults.insert(number, tensor);
        }
        Ok(())
    }

    /// An output's value; `None` if its import failed already.
    fn output(&self, output: &ValueInfoProto) -> Result<Option<ValueId>> {
        match self.scopes.get(&output.name) {
            Some(Slot::Value(id)) => {
                if output.ty.is_some() {
                    let declared = tensor_element_type(output, "output")?;
                    let found = self.builder.dtype(id);
                    if declared != found {
                        return Err(malformed(format!(
                            "output '{}' is declared as {declared} but computed as {found}",
                            output.name
                        )));
                    }
                }
                Ok(Some(id))
            }
            Some(Slot::Poisoned) => Ok(None),
            Some(Slot::Absent) | None => {
                Err(malformed(format!("output '{}' is never computed", output.name)))
            }
        }
    }

    /// Weights and nodes of a graph; an initializer in `defaults` is not a weight.
    fn graph_body(&mut self, graph: &'m GraphProto, defaults: &HashSet<&str>) {
        for tensor in graph.initializer.iter().filter(|t| !defaults.contains(t.name.as_str())) {
            let slot = match tensor_from_proto(tensor, &self.builder.external) {
                Ok(tensor_value) => Slot::Value(self.builder.constant(&tensor.name, tensor_value)),
                Err(d) => {
                    self.report(d);
                    Slot::Poisoned
                }
            };
            self.define(&tensor.name, slot);
        }
        for sparse in &graph.sparse_initializer {
            let Some(values) = &sparse.values else { continue };
            self.report(
                Diagnostic::unsupported(format!("weight '{}' is sparse", values.name))
                    .hint("export the model with dense weights"),
            );
            self.define(&values.name, Slot::Poisoned);
        }
        self.node_list(&graph.node);
    }

    fn node_list(&mut self, nodes: &'m [NodeProto]) {
        let order = order::sorted(nodes);
        for cycle in &order.cycles {
            self.report_cycle(cycle.iter().map(|&n| &nodes[n]).collect());
        }
        for node in order.sorted.into_iter().map(|n| &nodes[n]) {
            self.nodes += 1;
            if self.nodes > MAX_NODES || self.diagnostics.len() >= MAX_DIAGNOSTICS {
                if self.nodes == MAX_NODES + 1 {
                    self.report(Diagnostic::unsupported(format!(
                        "the model has more than {MAX_NODES} nodes"
                    )));
                }
                return;
            }
            self.node(node);
        }
    }

    /// Reports a cycle of nodes: each needs a result of the next one, and the last one a result of the first.
    fn report_cycle(&mut self, cycle: Vec<&'m NodeProto>) {
        const SHOWN: usize = 8;
        let locations: Vec<Location> = cycle.iter().take(SHOWN).map(|node| self.location(node)).collect();
        let names: Vec<String> = locations.iter().map(|location| format!("'{}'", location.node)).collect();
        let more =
            if cycle.len() > SHOWN { format!(" and {} more", cycle.len() - SHOWN) } else { String::new() };
        let message = match cycle.len() {
            1 => format!("node {} needs its own result", names[0]),
            _ => format!("nodes {}{more} need each other's results", names.join(", ")),
        };
        self.report(malformed(message).at(&locations[0]));
        for name in cycle.iter().flat_map(|node| &node.output).filter(|name| !name.is_empty()) {
            self.define(name, Slot::Poisoned);
        }
    }

    fn node(&mut self, node: &'m NodeProto) {
        let location = self.location(node);
        self.builder.location = location.clone();
        match self.node_results(node, &location) {
            Ok(slots) => {
                let missing = node.output.iter().skip(slots.len()).find(|name| !name.is_empty());
                if let Some(name) = missing {
                    self.report(malformed(format!("the operator has no result for '{name}'")).at(&location));
                }
                let rest = std::iter::repeat(Slot::Poisoned);
                for (name, slot) in node.output.iter().zip(slots.into_iter().chain(rest)) {
                    if !name.is_empty() {
                        self.define(name, slot);
                    }
                }
            }
            Err(diagnostic) => {
                if let Some(diagnostic) = diagnostic {
                    self.report(diagnostic.at(&location));
                }
                for name in node.output.iter().filter(|name| !name.is_empty()) {
                    self.define(name, Slot::Poisoned);
                }
            }
        }
    }

    fn location(&self, node: &NodeProto) -> Location {
        let first = node.output.iter().find(|name| !name.is_empty()).map_or("", |name| name);
        let own = if node.name.is_empty() { format!("{}_{first}", node.op_type) } else { node.name.clone() };
        Location { node: format!("{}{own}", self.frame.prefix).into(), op_type: node.op_type.as_str().into() }
    }

    /// The values of a node's outputs. An error without a diagnostic was reported where it arose.
    fn node_results(
        &mut self,
        node: &'m NodeProto,
        location: &Location,
    ) -> std::result::Result<Vec<Slot>, Option<Diagnostic>> {
        let arguments = self.arguments(node)?;
        let attributes = Attributes::resolve(&node.attribute, &self.frame.attributes);
        let key = (domain(&node.domain), node.op_type.as_str(), node.overload.as_str());
        if let Some(&function) = self.functions.get(&key) {
            return self.inline_function(function, attributes, &arguments, location);
        }
        let (operator, opset) = registry::find(node, self.frame.opset)?;
        if arguments.contains(&Slot::Poisoned) {
            return Err(None);
        }
        let inputs: Vec<Option<ValueId>> = arguments
            .into_iter()
            .map(|slot| match slot {
                Slot::Value(id) => Some(id),
                Slot::Absent | Slot::Poisoned => None,
            })
            .collect();
        if matches!(operator.import, Import::Branch) {
            return self.inline_branch(&attributes, &inputs);
        }
        let first_new = self.builder.graph.values.len();
        let mut call = Call {
            builder: &mut self.builder,
            attributes: &attributes,
            inputs: &inputs,
            outputs: &node.output,
            opset,
        };
        let results = operator.import(&mut call)?;
        // Results carry the model's names, unless they are values that had a name before.
        for (name, &id) in node.output.iter().zip(&results) {
            if id.0 as usize >= first_new && !name.is_empty() {
                let name = self.builder.unique_name(&format!("{}{name}", self.frame.prefix));
                self.builder.graph.value_mut(id).name = name;
            }
        }
        Ok(results.into_iter().map(Slot::Value).collect())
    }

    fn arguments(&self, node: &NodeProto) -> Result<Vec<Slot>> {
        let slot = |name: &String| match self.scopes.get(name) {
            _ if name.is_empty() => Ok(Slot::Absent),
            Some(slot) => Ok(slot),
            None => Err(malformed(format!("operand '{name}' is defined nowhere"))),
        };
        node.input.iter().map(slot).collect()
    }

    fn enter(&mut self) -> Result<()> {
        if self.nesting >= MAX_NESTING {
            return Err(malformed(format!("functions or branches are nested more than {MAX_NESTING} deep")));
        }
        self.nesting += 1;
        Ok(())
    }

    /// Imports a function's body in place of its call.
    fn inline_function(
        &mut self,
        function: &'m FunctionProto,
        attributes: Attributes<'m>,
        arguments: &[Slot],
        location: &Location,
    ) -> std::result::Result<Vec<Slot>, Option<Diagnostic>> {
        if arguments.len() > function.input.len() {
            return Err(Some(malformed(format!(
                "function '{}' takes {} but is called with {}",
                function.name,
                count(function.input.len(), "operand"),
                arguments.len()
            ))));
        }
        self.enter()?;
        let frame = Frame {
            attributes: attributes.with_defaults(&function.attribute_proto),
            opset: main_opset(&function.opset_import).or(self.frame.opset),
            prefix: format!("{}/", location.node),
        };
        let caller = std::mem::replace(&mut self.frame, frame);
        self.scopes.push(true);
        let absent = std::iter::repeat(Slot::Absent);
        for (name, slot) in function.input.iter().zip(arguments.iter().copied().chain(absent)) {
            self.define(name, slot);
        }
        self.node_list(&function.node);
        let results = function
            .output
            .iter()
            .map(|name| {
                self.scopes.get(name).ok_or_else(|| {
                    Some(malformed(format!(
                        "function '{}' never computes its output '{name}'",
                        function.name
                    )))
                })
            })
            .collect();
        self.scopes.pop();
        self.frame = caller;
        self.nesting -= 1;
        results
    }

    /// Imports the branch that a constant condition selects.
    fn inline_branch(
        &mut self,
        attributes: &Attributes<'m>,
        inputs: &[Option<ValueId>],
    ) -> std::result::Result<Vec<Slot>, Option<Diagnostic>> {
        let condition = inputs.first().copied().flatten().ok_or_else(|| malformed("operand 0 is missing"))?;
        let condition = self.builder.constant_value(condition).ok_or_else(|| {
            Diagnostic::unsupported("the condition of an If depends on the inputs' elements")
                .hint("control flow is not supported yet; export the model with a fixed branch")
        })?;
        if condition.elements() != 1 {
            return Err(Some(malformed("the condition of an If is not a single element")));
        }
        let name = if condition.get(0).to_i64() != 0 { "then_branch" } else { "else_branch" };
        let branch =
            attributes.graph(name)?.ok_or_else(|| malformed(format!("attribute '{name}' is missing")))?;
        self.enter()?;
        self.scopes.push(false);
        self.graph_body(branch, &HashSet::new());
        let results = branch
            .output
            .iter()
            .map(|output| {
                self.scopes
                    .get(&output.name)
                    .ok_or_else(|| Some(malformed(format!("output '{}' is never computed", output.name))))
            })
            .collect();
        self.scopes.pop();
        self.nesting -= 1;
        results
    }
}
