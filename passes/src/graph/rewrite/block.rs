//! Blocks: ranges of a graph's nodes that are rewritten at a time.
//!
//! A graph is cut where few values are alive, so that a block holds what belongs together, and equal blocks (a
//! transformer's layers) are rewritten once. What a rule cannot look into (control flow, operators with several
//! results, random numbers) lies between blocks.

use super::facts::{Leaf, uniform};
use mlcc_ir::graph::{Def, Graph, Node, ValueId};
use std::{collections::BTreeMap, fmt::Write, ops::Range};

/// Blocks have at least this many nodes if the graph has: smaller ones would cut through what rules match.
const MIN_NODES: usize = 48;
/// A block ends at the latest here, wherever that is.
const MAX_NODES: usize = 160;
/// Constants of up to this many elements are part of a block, larger ones are weights that only their type
/// matters of.
pub(super) const MAX_CONSTANT: usize = 16;

/// A range of nodes and what goes into and out of it.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// Nodes.
    pub nodes: Range<usize>,
    /// Values that its nodes read and that are not small constants, in order of their first use.
    pub leaves: Vec<ValueId>,
    /// What is known of them.
    pub facts: Vec<Leaf>,
    /// Values that it computes and others read.
    pub outputs: Vec<ValueId>,
    /// Equal for blocks that compute the same from their leaves.
    pub key: String,
}

/// The blocks of a graph in order. Nodes that no rule can look into are in none.
#[must_use]
pub(super) fn blocks(graph: &Graph) -> Vec<Block> {
    let alive = alive_after(graph);
    let mut blocks = Vec::new();
    let mut start = 0;
    while start < graph.nodes.len() {
        if is_opaque(&graph.nodes[start]) {
            start += 1;
            continue;
        }
        let run =
            (start..graph.nodes.len()).find(|&n| is_opaque(&graph.nodes[n])).unwrap_or(graph.nodes.len());
        let end = cut(&alive, start, run);
        blocks.push(block(graph, start..end));
        start = end;
    }
    blocks
}

/// Where the block that starts at `start` ends, `run` at the latest: behind the first node with one value alive
/// once it is large enough, or else the one with the fewest.
fn cut(alive: &[usize], start: usize, run: usize) -> usize {
    if run - start <= MIN_NODES {
        return run;
    }
    let last = run.min(start + MAX_NODES);
    let candidates = start + MIN_NODES - 1..last;
    let first_single = candidates.clone().find(|&n| alive[n] <= 1);
    let fewest = || candidates.min_by_key(|&n| (alive[n], n));
    let end = first_single.or_else(fewest).map_or(run, |n| n + 1);
    if run - end < MIN_NODES / 2 && run - start <= MAX_NODES { run } else { end }
}

/// Whether a rule cannot look into a node.
fn is_opaque(node: &Node) -> bool {
    node.results.len() != 1 || !node.regions.is_empty() || node.op.starts_with("random")
}

/// How many computed values are still needed behind each node.
fn alive_after(graph: &Graph) -> Vec<usize> {
    let mut last = vec![0; graph.values.len()];
    for (at, node) in graph.nodes.iter().enumerate() {
        node.operands.iter().flatten().for_each(|o| last[o.0 as usize] = at);
        for value in node.regions.iter().flat_map(|r| &r.values) {
            if let Def::Captured(outer) = value.def {
                last[outer.0 as usize] = at;
            }
        }
    }
    graph.outputs.iter().for_each(|(_, o)| last[o.0 as usize] = graph.nodes.len());
    let mut change = vec![0isize; graph.nodes.len() + 1];
    for (at, node) in graph.nodes.iter().enumerate() {
        for result in node.results.iter().filter(|r| last[r.0 as usize] > at) {
            change[at] += 1;
            change[last[result.0 as usize]] -= 1;
        }
    }
    let mut alive = 0;
    change[..graph.nodes.len()]
        .iter()
        .map(|c| {
            alive += c;
            usize::try_from(alive).unwrap_or(0)
        })
        .collect()
}

fn block(graph: &Graph, nodes: Range<usize>) -> Block {
    let mut local: BTreeMap<ValueId, String> = BTreeMap::new();
    let (mut leaves, mut facts, mut key) = (Vec::new(), Vec::new(), String::new());
    for (at, node) in graph.nodes[nodes.clone()].iter().enumerate() {
        let _ = write!(key, "{} {:?}", node.op, node.attrs);
        for operand in &node.operands {
            let Some(id) = operand else {
                key.push_str(" _");
                continue;
            };
            if !local.contains_key(id) {
                let shown = match graph.constant(*id) {
                    Some(tensor) if tensor.elements() <= MAX_CONSTANT => {
                        format!("{tensor:?}{:?}", &tensor.data[..])
                    }
                    _ => {
                        let leaf = leaf(graph, *id);
                        let shown = format!("leaf{} {leaf:?}", leaves.len());
                        leaves.push(*id);
                        facts.push(leaf);
                        shown
                    }
                };
                local.insert(*id, shown);
            }
            let _ = write!(key, " {}", local[id]);
        }
        key.push('\n');
        node.results.iter().for_each(|r| drop(local.insert(*r, format!("%{at}"))));
    }
    let outputs = outputs(graph, &nodes);
    outputs.iter().for_each(|o| key.push_str(&local[o]));
    Block { nodes, leaves, facts, outputs, key }
}

/// What a block sees of a value from outside.
fn leaf(graph: &Graph, id: ValueId) -> Leaf {
    let value = graph.value(id);
    let constant = graph.constant(id);
    Leaf {
        ty: value.ty.clone(),
        known: value.known.clone(),
        weight: constant.is_some(),
        uniform: constant.and_then(uniform),
    }
}

fn outputs(graph: &Graph, nodes: &Range<usize>) -> Vec<ValueId> {
    let mut outside = vec![false; graph.values.len()];
    for (at, node) in graph.nodes.iter().enumerate() {
        if !nodes.contains(&at) {
            node.operands.iter().flatten().for_each(|o| outside[o.0 as usize] = true);
        }
        for value in node.regions.iter().flat_map(|r| &r.values) {
            if let Def::Captured(outer) = value.def {
                outside[outer.0 as usize] = true;
            }
        }
    }
    graph.outputs.iter().for_each(|(_, o)| outside[o.0 as usize] = true);
    let results = graph.nodes[nodes.clone()].iter().flat_map(|n| n.results.iter().copied());
    results.filter(|r| outside[r.0 as usize]).collect()
}
