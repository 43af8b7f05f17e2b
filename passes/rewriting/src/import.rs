//! A block as terms of an e-graph.
//!
//! Sums and products are terms of any number of operands, so no rule is needed for their order. A difference
//! is a sum with a negation.

use super::{
    block::{Block, MAX_CONSTANT},
    facts::{self, Classes, Known},
    instantiate::n_ary,
    term::{Head, Term, special},
};
use egg::Id;
use mlcc_ir::{
    attributes::{Attr, Attrs},
    graph::{Graph, Node, ValueId},
};
use std::collections::BTreeMap;

/// A block in an e-graph.
pub(super) struct Imported {
    pub(super) classes: Classes,
    /// Classes of the block's outputs.
    pub(super) outputs: Vec<Id>,
    /// Class of each node's result.
    pub(super) nodes: Vec<Id>,
    /// Classes of each node's operands that are present, in order.
    pub(super) operands: Vec<Vec<Id>>,
    /// The block's own terms.
    pub(super) terms: Vec<Term>,
}

/// The e-graph of a block; `None` if terms cannot express one of its nodes.
pub(super) fn import(graph: &Graph, block: &Block) -> Option<Imported> {
    let mut classes = Classes::new(Known { leaves: block.facts.clone(), ..Known::default() });
    let mut ids: BTreeMap<ValueId, Id> = BTreeMap::new();
    for (index, leaf) in block.leaves.iter().enumerate() {
        let attrs = Attrs::new().with("index", Attr::Int(index as i64));
        let id = facts::add(&mut classes, Term::new(Head::new(special::LEAF, attrs, u64::MAX), Vec::new()))?;
        ids.insert(*leaf, id);
    }
    let mut nodes = Vec::with_capacity(block.nodes.len());
    let mut all_operands = Vec::with_capacity(block.nodes.len());
    for node in &graph.nodes[block.nodes.clone()] {
        let mut operands = Vec::with_capacity(node.operands.len());
        for operand in &node.operands {
            let Some(value) = operand else {
                operands.push(None);
                continue;
            };
            if !ids.contains_key(value) {
                let tensor = graph.constant(*value).filter(|t| t.elements() <= MAX_CONSTANT)?;
                ids.insert(*value, facts::add_constant(&mut classes, tensor.clone())?);
            }
            operands.push(ids.get(value).copied());
        }
        let id = add_node(&mut classes, node, &operands)?;
        let result = *node.results.first()?;
        if classes[id].data.ty != graph.value(result).ty {
            return None;
        }
        ids.insert(result, id);
        nodes.push(id);
        all_operands.push(operands.into_iter().flatten().collect());
    }
    classes.rebuild();
    let outputs = block.outputs.iter().map(|o| ids.get(o).copied()).collect::<Option<_>>()?;
    let terms = std::mem::take(&mut classes.analysis.born);
    Some(Imported { classes, outputs, nodes, operands: all_operands, terms })
}

fn add_node(classes: &mut Classes, node: &Node, operands: &[Option<Id>]) -> Option<Id> {
    match (&*node.op, operands) {
        ("identity", [Some(x)]) => Some(*x),
        ("add", [Some(a), Some(b)]) => n_ary(classes, special::SUM, vec![*a, *b]),
        ("mul", [Some(a), Some(b)]) => n_ary(classes, special::PRODUCT, vec![*a, *b]),
        ("sub", [Some(a), Some(b)]) if classes[*b].data.ty.dtype.is_float() => {
            let negative = facts::apply(classes, "neg", Attrs::new(), &[Some(*b)])?;
            n_ary(classes, special::SUM, vec![*a, negative])
        }
        (op, operands) => facts::apply(classes, op, node.attrs.clone(), operands),
    }
}
