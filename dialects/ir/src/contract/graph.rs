//! Conditions that must hold for graphs.

use super::{Contract, broken, check_defaults};
use crate::{
    diagnostic::{Diagnostic, Result},
    graph::{Def, Graph},
    ops::{self, Operand},
    types::TensorType,
};

/// Import and graph level: every operand is defined before its use, and once; defaults fit their inputs.
impl Contract for Graph {
    fn check(&self, after: &str) -> Result<()> {
        check(self, after)
    }
}

fn check(graph: &Graph, after: &str) -> Result<()> {
    let mut defined: Vec<bool> = graph.values.iter().map(|v| v.def != Def::Node).collect();
    for node in &graph.nodes {
        for operand in node.operands.iter().flatten() {
            if !defined.get(operand.0 as usize).copied().unwrap_or(false) {
                return Err(broken(after, format!("'{}' uses a value before it is defined", node.op))
                    .at(&node.location));
            }
        }
        for result in &node.results {
            match defined.get_mut(result.0 as usize) {
                Some(d) if !*d => *d = true,
                _ => {
                    return Err(
                        broken(after, format!("'{}' defines a value twice", node.op)).at(&node.location)
                    );
                }
            }
        }
    }
    if let Some((name, _)) =
        graph.outputs.iter().find(|(_, o)| !defined.get(o.0 as usize).copied().unwrap_or(false))
    {
        return Err(broken(after, format!("output '{name}' is not defined")));
    }
    let inputs: Vec<&TensorType> = graph.inputs.iter().map(|id| &graph.value(*id).ty).collect();
    check_defaults(&graph.origin, &inputs, after)
}

/// Graph level, for graphs that a person may have written: the declared types are equal to the inferred
/// ones.
///
/// # Errors
/// With the first difference, as the user's.
pub fn check_types(graph: &Graph) -> Result<()> {
    for node in &graph.nodes {
        let operands: Vec<_> = node.operands.iter().map(|o| o.map(|id| Operand::of(graph, id))).collect();
        if !node.regions.is_empty() {
            continue;
        }
        let inferred = ops::infer(&node.op, &node.attrs, &operands).map_err(|d| d.at(&node.location))?;
        if inferred.len() < node.results.len() {
            let message = format!("'{}' has at most {} results", node.op, inferred.len());
            return Err(Diagnostic::user(message).at(&node.location));
        }
        for (result, inferred) in node.results.iter().zip(&inferred) {
            let declared = &graph.value(*result).ty;
            if *declared != inferred.ty {
                let message = format!("'{}' gives {}, not the declared {declared}", node.op, inferred.ty);
                return Err(Diagnostic::user(message).at(&node.location));
            }
        }
    }
    Ok(())
}
