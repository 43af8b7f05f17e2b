//! Whole graphs: symbols from the inputs' dimensions, then one operator after the other.

use super::evaluate;
use crate::{Symbols, evaluate_expr};
use mlcc_ir::{
    attributes::{Attr, Attrs},
    diagnostic::{Diagnostic, Result},
    expr::{Atom, Expr},
    graph::{Def, Graph, Node},
    tensor::Tensor,
    types::TensorType,
};

/// The outputs of a graph on these inputs.
///
/// # Errors
/// If the inputs do not have the graph's types, or an operator cannot be evaluated.
pub fn run(graph: &Graph, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
    if inputs.len() != graph.inputs.len() {
        return Err(Diagnostic::user(format!(
            "the graph has {} inputs, but {} are given",
            graph.inputs.len(),
            inputs.len()
        )));
    }
    let mut symbols = Symbols::new();
    for (&id, tensor) in graph.inputs.iter().zip(inputs) {
        let value = graph.value(id);
        bind(&mut symbols, &value.ty, tensor).map_err(|e| within(e, &format!("input '{}'", value.name)))?;
    }
    for (&id, tensor) in graph.inputs.iter().zip(inputs) {
        let value = graph.value(id);
        check(&symbols, &value.ty, tensor).map_err(|e| within(e, &format!("input '{}'", value.name)))?;
    }
    let mut held: Vec<Option<Tensor>> = graph.values.iter().map(|v| constant(&v.def)).collect();
    for (&id, tensor) in graph.inputs.iter().zip(inputs) {
        held[id.0 as usize] = Some(tensor.clone());
    }
    // A tensor is dropped after its last use.
    let mut uses = graph.use_counts();
    for node in &graph.nodes {
        let results = step(graph, node, &symbols, &held).map_err(|e| e.at(&node.location))?;
        for (&id, tensor) in node.results.iter().zip(results) {
            held[id.0 as usize] = Some(tensor);
        }
        for id in node.operands.iter().flatten() {
            let left = &mut uses[id.0 as usize];
            *left = left.saturating_sub(1);
            if *left == 0 {
                held[id.0 as usize] = None;
            }
        }
    }
    let output = |(name, id): &(mlcc_ir::Name, mlcc_ir::graph::ValueId)| {
        held[id.0 as usize]
            .clone()
            .ok_or_else(|| Diagnostic::internal(format!("output '{name}' is never computed")))
    };
    graph.outputs.iter().map(output).collect()
}

fn constant(def: &Def) -> Option<Tensor> {
    match def {
        Def::Constant(tensor) => Some(tensor.clone()),
        _ => None,
    }
}

fn within(mut error: Diagnostic, place: &str) -> Diagnostic {
    error.message = format!("{place}: {}", error.message);
    error
}

/// Binds the dimensions that are one symbol.
pub(crate) fn bind(symbols: &mut Symbols, ty: &TensorType, tensor: &Tensor) -> Result<()> {
    if ty.rank() != tensor.dims.len() || ty.dtype != tensor.dtype {
        return Err(Diagnostic::user(format!("the tensor is {}, but must be {ty}", tensor.ty())));
    }
    for (dim, &size) in ty.dims.iter().zip(&tensor.dims) {
        if let Some(Atom::Symbol(name)) = dim.as_atom() {
            symbols.entry(name.clone()).or_insert(size);
        }
    }
    Ok(())
}

/// Checks a tensor's type under the symbols' values.
pub(crate) fn check(symbols: &Symbols, ty: &TensorType, tensor: &Tensor) -> Result<()> {
    let dims = ty.dims.iter().map(|d| evaluate_expr(d, symbols)).collect::<Result<Vec<_>>>()?;
    if ty.dtype == tensor.dtype && dims == tensor.dims {
        return Ok(());
    }
    let wanted = TensorType::of(ty.dtype, &dims);
    Err(Diagnostic::user(format!("the tensor is {}, but must be {ty}, here {wanted}", tensor.ty())))
}

fn step(graph: &Graph, node: &Node, symbols: &Symbols, held: &[Option<Tensor>]) -> Result<Vec<Tensor>> {
    if !node.regions.is_empty() {
        return Err(Diagnostic::unsupported(format!("'graph.{}' cannot be evaluated", node.op)));
    }
    let operand = |id: &Option<mlcc_ir::graph::ValueId>| match id {
        None => Ok(None),
        Some(id) => match &held[id.0 as usize] {
            Some(tensor) => Ok(Some(tensor.clone())),
            None => Err(Diagnostic::internal(format!(
                "value '{}' is used before it is computed",
                graph.value(*id).name
            ))),
        },
    };
    let operands = node.operands.iter().map(operand).collect::<Result<Vec<_>>>()?;
    let ty = |id: &mlcc_ir::graph::ValueId| {
        let ty = &graph.value(*id).ty;
        let dims = ty.dims.iter().map(|d| evaluate_expr(d, symbols)).collect::<Result<Vec<_>>>()?;
        Ok(TensorType::of(ty.dtype, &dims))
    };
    let results = node.results.iter().map(ty).collect::<Result<Vec<_>>>()?;
    evaluate(&node.op, &bound(&node.attrs, symbols)?, &operands, &results)
}

/// The attributes with symbols replaced by their values.
fn bound(attrs: &Attrs, symbols: &Symbols) -> Result<Attrs> {
    let mut attrs = attrs.clone();
    for value in attrs.0.values_mut() {
        if let Attr::Exprs(exprs) = value {
            let values = exprs.iter().map(|e| evaluate_expr(e, symbols).map(Expr::from));
            *value = Attr::Exprs(values.collect::<Result<_>>()?);
        }
    }
    Ok(attrs)
}
