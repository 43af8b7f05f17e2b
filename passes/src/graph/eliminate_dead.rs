//! Removes operators whose results nobody uses, and values that nothing refers to.
//!
//! Operators have no side effects, so an unused one can always go.

use crate::registry::{PassSpec, Run};
use mlcc_ir::graph::{Def, Graph, Value, ValueId};

/// The pass.
pub const SPEC: PassSpec = PassSpec {
    name: "eliminate-dead",
    summary: "remove operators whose results nobody uses",
    traits: &[],
    run: Run::Graph(|graph, _| Ok(run(graph))),
};

/// Runs the pass; returns the number of operators removed.
pub fn run(graph: &mut Graph) -> usize {
    let before = graph.nodes.len();
    let mut used = vec![false; graph.values.len()];
    graph.outputs.iter().for_each(|(_, o)| used[o.0 as usize] = true);
    let mut keep = vec![false; before];
    for (at, node) in graph.nodes.iter().enumerate().rev() {
        keep[at] = node.results.iter().any(|r| used[r.0 as usize]);
        if keep[at] {
            node.operands.iter().flatten().for_each(|o| used[o.0 as usize] = true);
            for value in node.regions.iter().flat_map(|r| &r.values) {
                if let Def::Captured(outer) = value.def {
                    used[outer.0 as usize] = true;
                }
            }
        }
    }
    let mut flags = keep.iter();
    graph.nodes.retain(|_| *flags.next().expect("a flag a node"));
    compact_values(graph);
    before - graph.nodes.len()
}

/// Renumbers the values so that only those in use remain; inputs always do.
fn compact_values(graph: &mut Graph) {
    let mut used: Vec<bool> = graph.use_counts().iter().map(|&n| n > 0).collect();
    graph.inputs.iter().for_each(|i| used[i.0 as usize] = true);
    graph.nodes.iter().flat_map(|n| &n.results).for_each(|r| used[r.0 as usize] = true);
    let mut map = vec![ValueId(u32::MAX); used.len()];
    let mut kept: Vec<Value> = Vec::with_capacity(used.len());
    for (old, value) in std::mem::take(&mut graph.values).into_iter().enumerate() {
        if used[old] {
            map[old] = ValueId(kept.len() as u32);
            kept.push(value);
        }
    }
    graph.values = kept;
    let renumber = |id: &mut ValueId| *id = map[id.0 as usize];
    graph.inputs.iter_mut().for_each(renumber);
    graph.outputs.iter_mut().for_each(|(_, o)| renumber(o));
    for node in &mut graph.nodes {
        node.operands.iter_mut().flatten().for_each(renumber);
        node.results.iter_mut().for_each(renumber);
        for value in node.regions.iter_mut().flat_map(|r| &mut r.values) {
            if let Def::Captured(outer) = &mut value.def {
                renumber(outer);
            }
        }
    }
}
