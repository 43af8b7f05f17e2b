//! Evaluates operators with constant operands through the reference interpreter. Integer results that
//! inference knows become constants as well.

use crate::registry::{PassSpec, Run};
use mlcc_ir::{
    attributes::Attr,
    diagnostic::Result,
    dtype::DType,
    graph::{Def, Graph, Node, ValueId},
    ops::{self, OpTrait, Operand, infer},
    tensor::{Element, Tensor, element_count, push_element},
};
use std::collections::BTreeSet;

/// Results larger than this many bytes are folded only if they are no larger than their operands.
const MAX_BYTES: usize = 1 << 20;
/// Results beyond this size are never folded.
const MAX_FOLDED_BYTES: usize = 1 << 28;

/// The pass.
pub const SPEC: PassSpec = PassSpec {
    name: "fold-constants",
    summary: "evaluate operators whose operands are constants",
    traits: &[],
    run: Run::Graph(|graph, _| run(graph)),
};

/// Runs the pass; returns the number of operators folded.
///
/// # Errors
/// If evaluating an operator fails: an index out of range in the model itself.
pub fn run(graph: &mut Graph) -> Result<usize> {
    run_for(graph, &BTreeSet::new())
}

/// The same, but results in `wanted` may be larger than their operands.
///
/// # Errors
/// If evaluating an operator fails.
pub(super) fn run_for(graph: &mut Graph, wanted: &BTreeSet<ValueId>) -> Result<usize> {
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
        if !node.regions.is_empty() || node.results.is_empty() || symbolic {
            continue;
        }
        let operands: Option<Vec<Option<Tensor>>> = node
            .operands
            .iter()
            .map(|o| o.map_or(Some(None), |id| graph.constant(id).cloned().map(Some)))
            .collect();
        let Some(operands) = operands else {
            check(graph, node).map_err(|d| d.at(&node.location))?;
            continue;
        };
        let types: Vec<_> = node.results.iter().map(|r| graph.value(*r).ty.clone()).collect();
        let read: usize = operands.iter().flatten().map(|t| t.data.len()).sum();
        let written: Option<usize> =
            types.iter().map(|t| element_count(&t.static_dims()?)?.checked_mul(t.dtype.size())).sum();
        let is_wanted = node.results.iter().any(|r| wanted.contains(r));
        let fits = |bytes: usize| (is_wanted || bytes <= MAX_BYTES.max(read)) && bytes <= MAX_FOLDED_BYTES;
        if !written.is_some_and(fits) {
            continue;
        }
        // A kernel reads a transposed operand at other addresses, and packs a constant one anyway.
        if &*node.op == "transpose" && read > MAX_BYTES && !is_wanted {
            continue;
        }
        if let Some(product) = large_product(node, &operands) {
            graph.value_mut(node.results[0]).def = Def::Constant(product);
            *folded = true;
            continue;
        }
        // Other products of large constants would take the interpreter minutes: they are left to the
        // compiled program.
        if ops::is(&node.op, OpTrait::Product) && read > MAX_BYTES {
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

/// Refuses errors that only the new constants show, such as an index out of range.
fn check(graph: &Graph, node: &Node) -> Result<()> {
    let is_constant = |id: &ValueId| graph.constant(*id).is_some();
    if !node.operands.iter().flatten().any(is_constant) {
        return Ok(());
    }
    let operands: Vec<_> = node.operands.iter().map(|o| o.map(|id| Operand::of(graph, id))).collect();
    infer(&node.op, &node.attrs, &operands).map(|_| ())
}

/// Operations that a product of constants may take.
const MAX_OPERATIONS: f64 = 50e9;

/// The product of two matrices of `f32`, computed in `f64` and rounded once, as the interpreter does, but fast.
fn large_product(node: &Node, operands: &[Option<Tensor>]) -> Option<Tensor> {
    let [Some(a), Some(b)] = operands else { return None };
    let ([m, k], [_, n]) = (&a.dims[..], &b.dims[..]) else { return None };
    let flag = |name| node.attrs.bool(name, false);
    let is_plain = &*node.op == "matmul" && !flag("transpose_a") && !flag("transpose_b");
    let operations = 2.0 * *m as f64 * *k as f64 * *n as f64;
    if !is_plain || a.dtype != DType::F32 || b.dtype != DType::F32 || operations > MAX_OPERATIONS {
        return None;
    }
    let (rows, inner, columns) =
        (usize::try_from(*m).ok()?, usize::try_from(*k).ok()?, usize::try_from(*n).ok()?);
    let (left, right) = (a.to_f64(), b.to_f64());
    if Some(left.len()) != rows.checked_mul(inner) || Some(right.len()) != inner.checked_mul(columns) {
        return None;
    }
    let mut product = vec![0.0f64; rows.checked_mul(columns)?];
    // SAFETY: the pointers are of slices with rows * inner, inner * columns and rows * columns elements, as was just
    // checked, and the strides of row-major matrices stay within them. They fit in `isize`, since the slices do or
    // are empty, and nobody else has the product.
    unsafe {
        matrixmultiply::dgemm(
            rows,
            inner,
            columns,
            1.0,
            left.as_ptr(),
            *k as isize,
            1,
            right.as_ptr(),
            *n as isize,
            1,
            0.0,
            product.as_mut_ptr(),
            *n as isize,
            1,
        );
    }
    let rounded: Vec<f32> = product.into_iter().map(|v| v as f32).collect();
    Some(Tensor::from_f32(&[*m, *n], &rounded))
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
