//! A rewritten block, independent of its place: it can replace every equal block.

use super::{
    block::Block,
    cost,
    extract::Choice,
    facts::Classes,
    origins::Origins,
    term::{Term, special},
};
use egg::Id;
use mlcc_ir::{
    Name,
    attributes::{Attr, Attrs},
    expr::Expr,
    graph::{Def, Graph, Node, ValueId},
    ops::{self, OpTrait},
    tensor::Tensor,
    types::TensorType,
};
use std::collections::{BTreeMap, BTreeSet};

/// A value of a template.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Source {
    /// The block's leaf of that number.
    Leaf(usize),
    /// A constant that rules made, or a small one of the model.
    Constant(Tensor),
    /// The result of the template's node of that number.
    Node(usize),
}

impl Source {
    fn node(&self) -> Option<usize> {
        match self {
            Source::Node(at) => Some(*at),
            _ => None,
        }
    }
}

/// An operator of a template.
#[derive(Clone, Debug)]
pub(super) struct TemplateNode {
    pub(super) op: Name,
    pub(super) attrs: Attrs,
    pub(super) operands: Vec<Option<Source>>,
    pub(super) ty: TensorType,
    /// Whether it can be computed when the model is compiled.
    pub(super) weight: bool,
    /// The node of the block whose value, or a part of it, it computes: the new operator comes from this
    /// node.
    pub(super) origin: usize,
    /// The node of the block whose value it computes wholly.
    pub(super) value: Option<usize>,
}

/// A rewritten block.
#[derive(Clone, Debug)]
pub(super) struct Template {
    pub(super) nodes: Vec<TemplateNode>,
    pub(super) outputs: Vec<Source>,
}

/// The chosen terms as operators.
pub(super) fn template(
    classes: &Classes,
    choice: &Choice,
    outputs: &[Id],
    origins: &Origins,
) -> Option<Template> {
    let mut made = Made {
        classes,
        origins,
        template: Template { nodes: Vec::new(), outputs: Vec::new() },
        sources: BTreeMap::new(),
    };
    // Depth first without recursion: terms may nest as deep as the model.
    let mut stack: Vec<(Id, usize)> = outputs.iter().rev().map(|o| (classes.find(*o), 0)).collect();
    // For terms on the way from an output, the innermost term of the block itself is the origin of a new one.
    while let Some((id, origin)) = stack.pop() {
        let origin = origins.values.get(&id).copied().unwrap_or(origin);
        if made.sources.contains_key(&id) {
            continue;
        }
        let term = choice.get(&id)?;
        let missing: Vec<Id> = term
            .operands
            .iter()
            .map(|o| classes.find(*o))
            .filter(|o| !made.sources.contains_key(o))
            .collect();
        if missing.is_empty() {
            let product = || Some((term.head.op.clone(), classes.find(*term.operands.first()?)));
            let similar = || product().and_then(|key| origins.operators.get(&key).copied());
            let origin = if origins.products.contains(&id) { origin } else { similar().unwrap_or(origin) };
            let source = made.emit(choice, id, term, origin)?;
            if let (Source::Node(at), Some(own)) = (&source, origins.values.get(&id)) {
                made.template.nodes[*at].value = Some(*own);
            }
            made.sources.insert(id, source);
        } else {
            stack.push((id, origin));
            stack.extend(missing.into_iter().rev().map(|o| (o, origin)));
        }
    }
    made.template.outputs =
        outputs.iter().map(|o| made.sources.get(&classes.find(*o)).cloned()).collect::<Option<_>>()?;
    Some(made.template)
}

struct Made<'a> {
    classes: &'a Classes,
    origins: &'a Origins,
    template: Template,
    sources: BTreeMap<Id, Source>,
}

/// An operand of an operator under construction.
#[derive(Clone)]
struct Part {
    source: Source,
    ty: TensorType,
    weight: bool,
}

impl Made<'_> {
    fn emit(&mut self, choice: &Choice, id: Id, term: &Term, origin: usize) -> Option<Source> {
        let attrs = &term.head.attrs;
        match &*term.head.op {
            special::LEAF => Some(Source::Leaf(usize::try_from(attrs.int("index", -1)).ok()?)),
            special::CONSTANT => match attrs.get("value")? {
                Attr::Tensor(tensor) => Some(Source::Constant(tensor.clone())),
                _ => None,
            },
            special::SUM | special::PRODUCT => self.chain(choice, id, term, origin),
            op => {
                let places = term.head.places(&term.operands);
                let parts: Vec<Option<Part>> = places
                    .into_iter()
                    .map(|o| o.map_or(Some(None), |o| self.part(o).map(Some)))
                    .collect::<Option<_>>()?;
                let ty = self.classes[id].data.ty.clone();
                Some(self.node(op, attrs.clone(), parts, (ty, origin)).source)
            }
        }
    }

    fn part(&self, id: Id) -> Option<Part> {
        let id = self.classes.find(id);
        let facts = &self.classes[id].data;
        Some(Part { source: self.sources.get(&id)?.clone(), ty: facts.ty.clone(), weight: facts.weight })
    }

    /// An operator of that type, made of that node of the block.
    fn node(
        &mut self,
        op: &str,
        attrs: Attrs,
        parts: Vec<Option<Part>>,
        (ty, origin): (TensorType, usize),
    ) -> Part {
        let weight = parts.iter().flatten().all(|p| p.weight);
        let operands = parts.into_iter().map(|p| p.map(|p| p.source)).collect();
        self.template.nodes.push(TemplateNode {
            op: op.into(),
            attrs,
            operands,
            ty: ty.clone(),
            weight,
            origin,
            value: None,
        });
        Part { source: Source::Node(self.template.nodes.len() - 1), ty, weight }
    }

    /// A sum or product as operators of two operands. Operands that are computed when the model is compiled
    /// come first, so that they become one constant, and small operands come before large ones. Negated
    /// operands are subtracted.
    fn chain(&mut self, choice: &Choice, id: Id, term: &Term, origin: usize) -> Option<Source> {
        let is_sum = &*term.head.op == special::SUM;
        let mut parts: Vec<(Part, bool)> = Vec::new();
        let mut operands: Vec<Id> = term.operands.iter().map(|o| self.classes.find(*o)).collect();
        // Sums and products of the model itself stay in their order.
        if let Some(own) = self.origins.operands.get(&id) {
            let place = |id: &Id| own.iter().position(|o| o == id).unwrap_or(own.len());
            operands.sort_by_key(place);
        }
        for id in operands {
            let chosen = choice.get(&id)?;
            let negated = is_sum && &*chosen.head.op == "neg" && !self.classes[id].data.weight;
            let part = if negated { self.part(chosen.operands[0])? } else { self.part(id)? };
            parts.push((part, negated));
        }
        // Stable: equal ones keep the order of their ids.
        parts.sort_by_key(|(part, negated)| (!part.weight, *negated));
        let (weights, others): (Vec<_>, Vec<_>) = parts.into_iter().partition(|(p, _)| p.weight);
        let mut folded: Option<(Part, bool)> = None;
        for part in weights {
            folded = Some(match folded {
                None => part,
                Some(sum) => (self.pair(is_sum, sum, part, origin)?, false),
            });
        }
        // The constant joins last, as an epilogue of the operators before.
        let mut all = others;
        all.extend(folded);
        if all.first().is_some_and(|(_, negated)| *negated) {
            let positive = all.iter().position(|(_, negated)| !negated);
            match positive {
                Some(at) => all.swap(0, at),
                None => {
                    let (first, _) = all[0].clone();
                    let ty = first.ty.clone();
                    all[0] = (self.node("neg", Attrs::new(), vec![Some(first)], (ty, origin)), false);
                }
            }
        }
        let mut parts = all.into_iter();
        let mut sum = parts.next()?;
        for part in parts {
            sum = (self.pair(is_sum, sum, part, origin)?, false);
        }
        Some(sum.0.source)
    }

    fn pair(
        &mut self,
        is_sum: bool,
        (a, _): (Part, bool),
        (b, negated): (Part, bool),
        origin: usize,
    ) -> Option<Part> {
        let dims = mlcc_ir::ops::broadcast(&a.ty.dims, &b.ty.dims).ok()?;
        let ty = TensorType::new(a.ty.dtype, dims);
        let op = if !is_sum {
            "mul"
        } else if negated {
            "sub"
        } else {
            "add"
        };
        Some(self.node(op, Attrs::new(), vec![Some(a), Some(b)], (ty, origin)))
    }
}

impl Template {
    /// Number of operators that run with the model, without those that move nothing.
    pub(super) fn operators(&self) -> usize {
        self.nodes.iter().filter(|n| !n.weight && !ops::is(&n.op, OpTrait::View)).count()
    }

    /// Operations of the products that are computed when the model is compiled.
    pub(super) fn folding(&self) -> f64 {
        let operations = |node: &TemplateNode| {
            let inner = match node.operands.first() {
                Some(Some(Source::Node(at))) => self.nodes[*at].ty.dims.last().and_then(Expr::as_const),
                _ => None,
            };
            2.0 * cost::elements(&node.ty) * inner.unwrap_or(1 << 10) as f64
        };
        self.nodes.iter().filter(|n| n.weight && &*n.op == "matmul").map(operations).sum()
    }

    /// Whether each node is computed when the model is compiled, however large it is. A transposed weight
    /// that the block had already stays as it is, unless a new node needs it: kernels read it in either
    /// order.
    pub(super) fn folded(&self) -> Vec<bool> {
        let mut folded = vec![false; self.nodes.len()];
        for (at, node) in self.nodes.iter().enumerate().rev() {
            let stays = node.value.is_some() && &*node.op == "transpose";
            folded[at] |= node.weight && !stays;
            if folded[at] {
                for operand in node.operands.iter().flatten() {
                    if let Source::Node(n) = operand {
                        folded[*n] = true;
                    }
                }
            }
        }
        folded
    }

    /// Bytes of the weights that are read when the model runs.
    pub(super) fn weight_bytes(&self, block: &Block) -> f64 {
        let mut read: BTreeMap<(bool, usize), f64> = BTreeMap::new();
        for node in self.nodes.iter().filter(|n| !n.weight) {
            for operand in node.operands.iter().flatten() {
                match operand {
                    Source::Leaf(at) if block.facts[*at].weight => {
                        read.insert((false, *at), cost::bytes(&block.facts[*at].ty));
                    }
                    Source::Node(at) if self.nodes[*at].weight => {
                        read.insert((true, *at), cost::bytes(&self.nodes[*at].ty));
                    }
                    _ => {}
                }
            }
        }
        read.values().sum()
    }

    /// The same nodes in the order of their origins in the block, as far as operands allow.
    pub(super) fn in_order(self) -> Template {
        let mut waits: Vec<usize> = Vec::with_capacity(self.nodes.len());
        let mut readers: Vec<Vec<usize>> = vec![Vec::new(); self.nodes.len()];
        for (at, node) in self.nodes.iter().enumerate() {
            let read: BTreeSet<usize> = node.operands.iter().flatten().filter_map(Source::node).collect();
            waits.push(read.len());
            read.into_iter().for_each(|n| readers[n].push(at));
        }
        let key = |at: usize| (self.nodes[at].origin, at);
        let mut ready: BTreeSet<(usize, usize)> =
            (0..self.nodes.len()).filter(|&n| waits[n] == 0).map(key).collect();
        let mut order = Vec::with_capacity(self.nodes.len());
        while let Some((_, at)) = ready.pop_first() {
            order.push(at);
            for &reader in &readers[at] {
                waits[reader] -= 1;
                if waits[reader] == 0 {
                    ready.insert(key(reader));
                }
            }
        }
        let mut places = vec![0; order.len()];
        order.iter().enumerate().for_each(|(to, from)| places[*from] = to);
        let moved = |source: &Source| match source {
            Source::Node(n) => Source::Node(places[*n]),
            other => other.clone(),
        };
        let node = |from: &usize| {
            let node = &self.nodes[*from];
            let operands = node.operands.iter().map(|o| o.as_ref().map(moved)).collect();
            TemplateNode { operands, ..node.clone() }
        };
        Template {
            nodes: order.iter().map(node).collect(),
            outputs: self.outputs.iter().map(moved).collect(),
        }
    }

    /// Drops nodes that no output needs.
    pub(super) fn prune(mut self) -> Template {
        let mut needed = vec![false; self.nodes.len()];
        let mut mark = |source: &Source| {
            if let Source::Node(n) = source {
                needed[*n] = true;
            }
        };
        self.outputs.iter().for_each(&mut mark);
        for at in (0..self.nodes.len()).rev() {
            if needed[at] {
                for operand in self.nodes[at].operands.iter().flatten() {
                    if let Source::Node(n) = operand {
                        needed[*n] = true;
                    }
                }
            }
        }
        let mut renumbered = vec![0; needed.len()];
        let mut next = 0;
        for (at, needed) in needed.iter().enumerate() {
            renumbered[at] = next;
            next += usize::from(*needed);
        }
        let renumber = |source: &mut Source| {
            if let Source::Node(n) = source {
                *n = renumbered[*n];
            }
        };
        let mut flags = needed.iter();
        self.nodes.retain(|_| flags.next().copied().unwrap_or(false));
        self.nodes.iter_mut().flat_map(|n| n.operands.iter_mut().flatten()).for_each(renumber);
        self.outputs.iter_mut().for_each(renumber);
        self
    }

    /// The nodes that compute this template in a graph in place of a block. For each output of the block, the
    /// value that replaces it. An operator that computes a value of the block writes that very value.
    pub(super) fn instantiate(
        &self,
        graph: &mut Graph,
        block: &Block,
    ) -> (Vec<Node>, Vec<(ValueId, ValueId)>) {
        let originals: Vec<Node> = graph.nodes[block.nodes.clone()].to_vec();
        let mut own: BTreeMap<usize, ValueId> = BTreeMap::new();
        for (output, source) in block.outputs.iter().zip(&self.outputs) {
            if let Source::Node(n) = source {
                own.entry(*n).or_insert(*output);
            }
        }
        // A value has one writer.
        let mut taken: BTreeSet<ValueId> = own.values().copied().collect();
        let mut values: Vec<ValueId> = Vec::with_capacity(self.nodes.len());
        let mut nodes = Vec::with_capacity(self.nodes.len());
        for (at, node) in self.nodes.iter().enumerate() {
            let origin = &originals[node.origin];
            let operands: Vec<Option<ValueId>> = node
                .operands
                .iter()
                .map(|o| o.as_ref().map(|s| value_of(graph, block, &values, s)))
                .collect();
            let kept = || node.value.map(|of| originals[of].results[0]).filter(|id| taken.insert(*id));
            let result = own.get(&at).copied().or_else(kept).unwrap_or_else(|| {
                let base = graph.value(origin.results[0]).name.clone();
                graph.add_value(format!("{base}.{}{at}", node.op), node.ty.clone(), Def::Node)
            });
            values.push(result);
            nodes.push(Node {
                op: node.op.clone(),
                attrs: node.attrs.clone(),
                operands,
                results: vec![result],
                regions: Vec::new(),
                location: origin.location.clone(),
            });
        }
        let replaced = block
            .outputs
            .iter()
            .zip(&self.outputs)
            .map(|(output, source)| (*output, value_of(graph, block, &values, source)))
            .filter(|(from, to)| from != to)
            .collect();
        (nodes, replaced)
    }
}

fn value_of(graph: &mut Graph, block: &Block, values: &[ValueId], source: &Source) -> ValueId {
    match source {
        Source::Leaf(at) => block.leaves[*at],
        Source::Node(at) => values[*at],
        Source::Constant(tensor) => {
            // Names of constants may repeat.
            graph.add_constant("constant", tensor.clone())
        }
    }
}

/// The original block as a template, to compare a rewritten one with.
pub(super) fn original(graph: &Graph, block: &Block) -> Option<Template> {
    let mut sources: BTreeMap<ValueId, Source> =
        block.leaves.iter().enumerate().map(|(i, l)| (*l, Source::Leaf(i))).collect();
    let mut nodes: Vec<TemplateNode> = Vec::new();
    for (origin, node) in graph.nodes[block.nodes.clone()].iter().enumerate() {
        let mut weight = true;
        let mut operands = Vec::new();
        for operand in &node.operands {
            operands.push(match operand {
                None => None,
                Some(id) => {
                    let source = match (sources.get(id), graph.constant(*id)) {
                        (Some(source), _) => source.clone(),
                        (None, Some(tensor)) => Source::Constant(tensor.clone()),
                        (None, None) => return None,
                    };
                    weight &= match &source {
                        Source::Leaf(at) => block.facts[*at].weight,
                        Source::Constant(_) => true,
                        Source::Node(at) => nodes[*at].weight,
                    };
                    Some(source)
                }
            });
        }
        let result = *node.results.first()?;
        let ty = graph.value(result).ty.clone();
        nodes.push(TemplateNode {
            op: node.op.clone(),
            attrs: node.attrs.clone(),
            operands,
            ty,
            weight,
            origin,
            value: Some(origin),
        });
        sources.insert(result, Source::Node(origin));
    }
    let outputs = block.outputs.iter().map(|o| sources.get(o).cloned()).collect::<Option<_>>()?;
    Some(Template { nodes, outputs })
}
