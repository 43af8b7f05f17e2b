//! The nodes of a block that new operators come from: their names, places and order.

use super::{block::Block, import::Imported};
use egg::Id;
use mlcc_ir::{
    Name,
    graph::{Graph, Location},
    ops::{self, OpTrait},
};
use std::collections::{BTreeMap, BTreeSet};

/// The nodes of a block that new operators come from.
#[derive(Clone, Debug, Default)]
pub(super) struct Origins {
    /// For each class, the node whose value it is.
    pub(super) values: BTreeMap<Id, usize>,
    /// The operands of that node, in its order.
    pub(super) operands: BTreeMap<Id, Vec<Id>>,
    /// Values that the block's own products compute.
    pub(super) products: BTreeSet<Id>,
    /// The first node with that operator and that first operand. A product that took in its surroundings is
    /// still that product.
    pub(super) operators: BTreeMap<(Name, Id), usize>,
}

impl Origins {
    pub(super) fn of(graph: &Graph, block: &Block, imported: &Imported) -> Origins {
        let classes = &imported.classes;
        let mut origins = Origins::default();
        for (at, id) in imported.nodes.iter().enumerate() {
            let own = classes.find(*id);
            origins.values.entry(own).or_insert(at);
            let operands = imported.operands[at].iter().map(|o| classes.find(*o)).collect();
            origins.operands.entry(own).or_insert(operands);
            let node = &graph.nodes[block.nodes.start + at];
            if ops::is(&node.op, OpTrait::Product) {
                origins.products.insert(own);
                let term = classes[own].nodes.iter().find(|t| t.head.op == node.op);
                if let Some(first) = term.and_then(|t| t.operands.first()) {
                    origins.operators.entry((node.op.clone(), classes.find(*first))).or_insert(at);
                }
            }
        }
        origins
    }

    /// The node of the model that a class comes from.
    pub(super) fn location(&self, graph: &Graph, block: &Block, class: Id) -> Location {
        let node = self.values.get(&class).copied().unwrap_or(0);
        graph.nodes[block.nodes.start + node].location.clone()
    }
}
