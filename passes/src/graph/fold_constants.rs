//! Evaluates operators whose operands are constants, through the reference interpreter, and replaces
//! integer results that inference knows by constants.

use crate::registry::{PassSpec, Run};
use mlcc_ir::{
    attributes::Attr,
    diagnostic::Result,
    graph::{Def, Graph},
    tensor::{Element, Tensor, element_count, push_element},
};

/// Results larger than this many bytes are folded only if they are no larger than their operands.
const MAX_BYTES: usize = 1 << 20;
/// Results beyond this size are never folded.
const MAX_FOLDED_BYTES: usize = 1 << 28;

/// The pass.
pub const SPEC: PassSpec = PassSpec {
    name: "fold-constants",
    summary: "evaluate operators whose operands are constants",
    run: Run::Graph(run),
};

/// Runs the pass; returns the number of operators folded.
///
/// # Errors
/// If evaluating an operator fails: an index out of range in the model itself.
pub fn run(graph: &mut Graph) -> Result<usize> {
    let mut folded = vec![false; graph.nodes.len()];
    for (at, folded) in folded.iter_mut().enumerate() {
        let node = &graph.nodes[at];
        if let Some(values) = known_results(graph, at) {
            for (result, tensor) in node.results.clone().into_iter().zip(values) {
                graph.value_mut(result).def = Def::Constant(tensor);
            }
            *folded = true;
            continue;
        }
        let symbolic = node.attrs.0.values().any(is_symbolic);
        if !node.regions.is_empty() || node.results.is_empty() || symbolic || node.op.starts_with("random") {
            continue;
        }
        let operands: Option<Vec<Option<Tensor>>> = node
            .operands
            .iter()
            .map(|o| o.map_or(Some(None), |id| graph.constant(id).cloned().map(Some)))
            .collect();
        let Some(operands) = operands else { continue };
        let types: Vec<_> = node.results.iter().map(|r| graph.value(*r).ty.clone()).collect();
        let read: usize = operands.iter().flatten().map(|t| t.data.len()).sum();
        let written: Option<usize> =
            types.iter().map(|t| element_count(&t.static_dims()?)?.checked_mul(t.dtype.size())).sum();
        let fits = |bytes: usize| bytes <= MAX_BYTES.max(read) && bytes <= MAX_FOLDED_BYTES;
        if !written.is_some_and(fits) {
            continue;
        }
        // A kernel reads a transposed operand at other addresses, and packs a constant one anyway.
        if &*node.op == "transpose" && read > MAX_BYTES {
            continue;
        }
        // A matrix product of large constants would take the interpreter minutes: it is left to the
        // compiled program.
        if matches!(&*node.op, "matmul" | "conv" | "conv_transpose" | "einsum") && read > MAX_BYTES {
            continue;
        }
        let results = mlcc_interpreter::graph::evaluate(&node.op, &node.attrs, &operands, &types)
            .map_err(|d| d.at(&node.location))?;
        for (result, tensor) in node.results.clone().into_iter().zip(results) {
            let value = graph.value_mut(result);
            value.known = mlcc_ir::graph::known_elements(&tensor);
            value.def = Def::Constant(tensor);
        }
        *folded = true;
    }
    let mut flags = folded.iter();
    graph.nodes.retain(|_| !*flags.next().expect("a flag a node"));
    Ok(folded.iter().filter(|f| **f).count())
}

/// Whether an attribute depends on sizes that are known only when the model runs.
fn is_symbolic(attr: &Attr) -> bool {
    matches!(attr, Attr::Exprs(values) if values.iter().any(|e| e.as_const().is_none()))
}

/// The results of a node as constants, where inference knows every element.
fn known_results(graph: &Graph, at: usize) -> Option<Vec<Tensor>> {
    let constant = |id: &mlcc_ir::graph::ValueId| {
        let value = graph.value(*id);
        let elements: Vec<i64> = value.known.as_ref()?.iter().map(|e| e.as_const()).collect::<Option<_>>()?;
        let mut data = Vec::with_capacity(elements.len() * value.ty.dtype.size());
        elements.iter().for_each(|&e| push_element(value.ty.dtype, &mut data, Element::Int(e)));
        Tensor::new(value.ty.dtype, value.ty.static_dims()?, data.into())
    };
    let results = &graph.nodes[at].results;
    if results.is_empty() { None } else { results.iter().map(constant).collect() }
}
