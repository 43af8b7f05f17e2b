//! An order of nodes: each node comes after the nodes whose results it needs.
//!
//! ONNX demands that order of files, but some tools write others. Nodes that are in order keep their places.

use crate::proto::{GraphProto, NodeProto};
use std::collections::{HashMap, HashSet};

/// Nodes in an order in which they can be imported.
pub(crate) struct Order {
    /// Indices of the nodes that are not part of a cycle.
    pub(crate) sorted: Vec<usize>,
    /// Cycles, each as the indices of its nodes. Each node needs a result of the next one; no node is in two
    /// cycles.
    pub(crate) cycles: Vec<Vec<usize>>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    New,
    /// Some of the nodes that it needs are being looked at.
    Open,
    Done,
    OnCycle,
}

/// Sorts the nodes of one graph or function.
pub(crate) fn sorted(nodes: &[NodeProto]) -> Order {
    let mut makers: HashMap<&str, usize> = HashMap::new();
    for (at, node) in nodes.iter().enumerate() {
        // A name that is defined twice is reported elsewhere.
        node.output.iter().filter(|n| !n.is_empty()).for_each(|n| _ = makers.entry(n).or_insert(at));
    }
    let needed: Vec<Vec<usize>> = nodes
        .iter()
        .map(|node| {
            let mut names = Vec::new();
            names_used(node, &mut names);
            names.iter().filter_map(|name| makers.get(name).copied()).collect()
        })
        .collect();
    let mut order = Order { sorted: Vec::with_capacity(nodes.len()), cycles: Vec::new() };
    let mut states = vec![State::New; nodes.len()];
    // Nodes on the way from the start of the search, each with the number of its needed nodes looked at so
    // far.
    let mut way: Vec<(usize, usize)> = Vec::new();
    for start in 0..nodes.len() {
        if states[start] == State::New {
            states[start] = State::Open;
            way.push((start, 0));
        }
        while let Some((node, looked)) = way.last_mut() {
            let node = *node;
            let Some(&next) = needed[node].get(*looked) else {
                if states[node] == State::Open {
                    states[node] = State::Done;
                    order.sorted.push(node);
                }
                way.pop();
                continue;
            };
            *looked += 1;
            match states[next] {
                State::New => {
                    states[next] = State::Open;
                    way.push((next, 0));
                }
                State::Open => {
                    let from = way.iter().position(|(n, _)| *n == next).unwrap_or(0);
                    let cycle: Vec<usize> = way[from..].iter().map(|(n, _)| *n).collect();
                    if cycle.iter().all(|n| states[*n] == State::Open) {
                        cycle.iter().for_each(|n| states[*n] = State::OnCycle);
                        order.cycles.push(cycle);
                    }
                }
                State::Done | State::OnCycle => {}
            }
        }
    }
    order
}

/// Names that a node reads: its operands, and the outer names that the graphs in its attributes use.
fn names_used<'m>(node: &'m NodeProto, into: &mut Vec<&'m str>) {
    into.extend(node.input.iter().filter(|n| !n.is_empty()).map(String::as_str));
    for attribute in &node.attribute {
        attribute.g.iter().for_each(|graph| names_from_outside(graph, into));
    }
}

fn names_from_outside<'m>(graph: &'m GraphProto, into: &mut Vec<&'m str>) {
    let own: HashSet<&str> = graph
        .input
        .iter()
        .map(|i| i.name.as_str())
        .chain(graph.initializer.iter().map(|t| t.name.as_str()))
        .chain(graph.node.iter().flat_map(|n| n.output.iter().map(String::as_str)))
        .collect();
    let mut used = Vec::new();
    graph.node.iter().for_each(|node| names_used(node, &mut used));
    used.extend(graph.output.iter().map(|o| o.name.as_str()));
    into.extend(used.into_iter().filter(|name| !own.contains(name)));
}
