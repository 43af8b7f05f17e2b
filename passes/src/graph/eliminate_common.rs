//! Merges operators that compute the same from the same: equal mnemonic, attributes, operands and
//! result types.

use crate::registry::{PassSpec, Run, Trait};
use mlcc_ir::graph::{Graph, ValueId};
use std::collections::HashMap;

/// The pass.
pub const SPEC: PassSpec = PassSpec {
    name: "eliminate-common",
    summary: "merge operators that compute the same from the same",
    // Rewriting starts from unique terms.
    traits: &[Trait::Algebraic],
    run: Run::Graph(|graph, _| Ok(run(graph))),
};

/// Runs the pass; returns the number of operators removed. Users of their results read the first such
/// operator's results instead.
pub fn run(graph: &mut Graph) -> usize {
    // Looked up by key only, never iterated: the order of a hash map cannot show.
    let mut seen: HashMap<String, Vec<usize>> = HashMap::new();
    let mut same: Vec<ValueId> = (0..graph.values.len()).map(|i| ValueId(i as u32)).collect();
    let mut removed = vec![false; graph.nodes.len()];
    for (at, gone) in removed.iter_mut().enumerate() {
        let node = &mut graph.nodes[at];
        for operand in node.operands.iter_mut().flatten() {
            *operand = same[operand.0 as usize];
        }
        if !node.regions.is_empty() {
            continue;
        }
        let key = format!("{} {:?}", node.op, node.operands);
        let candidates = seen.entry(key).or_default();
        let node = &graph.nodes[at];
        let types = |n: &[ValueId]| n.iter().map(|r| graph.value(*r).ty.clone()).collect::<Vec<_>>();
        let twin = candidates.iter().copied().find(|&c| {
            let other = &graph.nodes[c];
            other.attrs == node.attrs && types(&other.results) == types(&node.results)
        });
        match twin {
            Some(twin) => {
                *gone = true;
                for (gone, kept) in node.results.iter().zip(&graph.nodes[twin].results) {
                    same[gone.0 as usize] = *kept;
                }
            }
            None => candidates.push(at),
        }
    }
    for (from, to) in same.iter().enumerate() {
        if to.0 as usize != from {
            graph.replace_uses(ValueId(from as u32), *to);
        }
    }
    let mut flags = removed.iter();
    graph.nodes.retain(|_| !*flags.next().expect("a flag a node"));
    removed.iter().filter(|r| **r).count()
}
