//! Blocks: ranges of a graph's nodes that are rewritten at a time.
//!
//! A graph is cut where few values are alive, so that related nodes stay together in a block. Equal blocks (a
//! transformer's layers) are rewritten once. Nodes that a rule cannot look into (control flow, operators with
//! several results, random numbers) lie between blocks.

use super::facts::{Leaf, uniform};
use mlcc_ir::{
    graph::{Def, Graph, Node, ValueId},
    ops::{self, OpTrait},
};
use std::{collections::BTreeMap, fmt::Write, ops::Range};

/// Blocks have at least this many nodes if the graph has: smaller blocks would cut through the patterns of
/// rules.
const MIN_NODES: usize = 48;
/// Most nodes of a block: it ends here at the latest, wherever that is.
const MAX_NODES: usize = 160;
/// Constants of up to this many elements are part of a block. Larger ones are weights, and only their type
/// matters.
pub(super) const MAX_CONSTANT: usize = 16;

/// A range of nodes and what goes into and out of it.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// Nodes.
    pub nodes: Range<usize>,
    /// Values that its nodes read and that are not small constants, in order of their first use.
    pub leaves: Vec<ValueId>,
    /// Facts about the leaves.
    pub facts: Vec<Leaf>,
    /// Values that it computes and others read.
    pub outputs: Vec<ValueId>,
    /// Equal keys mean that two blocks compute the same from their leaves.
    pub key: String,
}

/// The blocks of a graph in order. Nodes that no rule can look into are in none.
#[must_use]
pub(super) fn blocks(graph: &Graph) -> Vec<Block> {
    let alive = Alive::of(graph);
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

/// The end of the block that starts at `start`, `run` at the latest. A block must be large enough first. It
/// ends behind the first node with only one value of its own alive, or else the fewest, if a later product
/// needs these values or something behind a product. If there is no such node, it ends behind the first with
/// the fewest. Values from before the block (a mask that every layer reads) do not count, so equal layers are
/// cut alike.
fn cut(alive: &Alive, start: usize, run: usize) -> usize {
    if run - start <= MIN_NODES {
        return run;
    }
    let last = run.min(start + MAX_NODES);
    let candidates = start + MIN_NODES - 1..last;
    let older: Vec<usize> = alive.ends_of_values_before(start);
    let own = |n: usize| alive.count[n] - older.iter().filter(|end| **end > n).count();
    let fewest = candidates.clone().map(own).min().unwrap_or(0).max(1);
    let mut thin = candidates.filter(|&n| own(n) <= fewest);
    let first = thin.clone().next();
    let end = thin.find(|&n| alive.reaches_product(n)).or(first).map_or(run, |n| n + 1);
    if run - end < MIN_NODES / 2 && run - start <= MAX_NODES { run } else { end }
}

/// Whether a rule cannot look into a node.
fn is_opaque(node: &Node) -> bool {
    node.results.len() != 1 || !node.regions.is_empty()
}

/// The values that are alive behind each node.
struct Alive {
    /// How many computed values are still needed.
    count: Vec<usize>,
    /// The first node at which one of these values is needed no more.
    until: Vec<usize>,
    /// How many nodes up to this one are products of matrices.
    products: Vec<usize>,
    /// For each value with a user, the node that computes it and its last user.
    spans: Vec<(usize, usize)>,
}

impl Alive {
    fn of(graph: &Graph) -> Alive {
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
        let mut alive =
            Alive { count: Vec::new(), until: Vec::new(), products: Vec::new(), spans: Vec::new() };
        // The number of values whose last user is this node.
        let mut ends: BTreeMap<usize, usize> = BTreeMap::new();
        let (mut count, mut products) = (0, 0);
        for (at, node) in graph.nodes.iter().enumerate() {
            count -= ends.remove(&at).unwrap_or(0);
            for last in node.results.iter().map(|r| last[r.0 as usize]).filter(|l| *l > at) {
                *ends.entry(last).or_default() += 1;
                count += 1;
                alive.spans.push((at, last));
            }
            products += usize::from(ops::is(&node.op, OpTrait::Product));
            alive.count.push(count);
            alive.until.push(ends.first_key_value().map_or(graph.nodes.len(), |(end, _)| *end));
            alive.products.push(products);
        }
        alive
    }

    /// The last users of the values that are alive when this node starts.
    fn ends_of_values_before(&self, node: usize) -> Vec<usize> {
        let before = self.spans.iter().take_while(|(birth, _)| *birth < node);
        before.map(|(_, end)| *end).filter(|end| *end >= node).collect()
    }

    /// Whether a product lies between a node and the last user of each value that is alive behind it. Parts
    /// of one operator that is spelled out read each other without a product between them.
    fn reaches_product(&self, node: usize) -> bool {
        self.products.get(self.until[node]).is_none_or(|before| *before > self.products[node])
    }
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

/// The view that a block has of a value from outside.
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
