//! Writes operators out in primitives, as exporters do.
//!
//! A [`Spelling`] has one way for each operator; [`spell_out`] applies it to a graph of operators.

pub(crate) mod activations;
pub(crate) mod attention;
pub(crate) mod norms;
pub(crate) mod rotary;
pub(crate) mod softmax;

use crate::graph_builder::GraphBuilder;
use mlcc_ir::{
    attributes::{Attr, Attrs},
    dtype::DType,
    graph::{Def, Graph, Node, ValueId},
    tensor::{Element, Tensor, push_element},
};

/// A way to write an operator: its node in the old graph, its operands in the new one.
pub(crate) type Way = fn(&mut Writer, &Node, &[Option<ValueId>]) -> ValueId;

/// Ways by operator; an operator without one is copied.
pub(crate) type Spelling<'a> = &'a [(&'a str, Way)];

/// A graph under construction, with short names for the parts of spellings.
pub(crate) struct Writer {
    pub(crate) graph: GraphBuilder,
    /// Type of numbers.
    pub(crate) dtype: DType,
}

impl Writer {
    pub(crate) fn op(&mut self, op: &str, operands: &[ValueId]) -> ValueId {
        self.graph.op(op, operands)
    }

    pub(crate) fn number(&mut self, value: f64) -> ValueId {
        self.graph.tensor(tensor_of(self.dtype, &[], &[value]))
    }

    /// An operator of a tensor and a number.
    pub(crate) fn with(&mut self, op: &str, x: ValueId, value: f64) -> ValueId {
        let number = self.number(value);
        self.op(op, &[x, number])
    }

    /// A reduction over the last axis that keeps it.
    pub(crate) fn reduce(&mut self, op: &str, x: ValueId) -> ValueId {
        let axis = self.rank(x) - 1;
        let attrs = Attrs::new().with("axes", Attr::Ints(vec![axis])).with("keepdims", Attr::Bool(true));
        self.graph.op_with(op, &[x], attrs)
    }

    /// The same, but the reduction drops the axis and a reshape restores it, as `Unsqueeze` does.
    pub(crate) fn reduce_and_restore(&mut self, op: &str, x: ValueId) -> ValueId {
        let mut dims = self.dims(x);
        let axis = dims.len() - 1;
        dims[axis] = 1;
        let attrs =
            Attrs::new().with("axes", Attr::Ints(vec![axis as i64])).with("keepdims", Attr::Bool(false));
        let reduced = self.graph.op_with(op, &[x], attrs);
        self.reshape(reduced, &dims)
    }

    pub(crate) fn reshape(&mut self, x: ValueId, dims: &[i64]) -> ValueId {
        let shape = dims.iter().map(|&d| d.into()).collect();
        self.graph.op_with("reshape", &[x], Attrs::new().with("shape", Attr::Exprs(shape)))
    }

    pub(crate) fn transpose(&mut self, x: ValueId, perm: &[i64]) -> ValueId {
        self.graph.op_with("transpose", &[x], Attrs::new().with("perm", Attr::Ints(perm.to_vec())))
    }

    pub(crate) fn cast(&mut self, x: ValueId, to: DType) -> ValueId {
        self.graph.op_with("cast", &[x], Attrs::new().with("to", Attr::DType(to)))
    }

    pub(crate) fn dims(&self, x: ValueId) -> Vec<i64> {
        self.graph.value(x).ty.static_dims().expect("tests have fixed sizes")
    }

    pub(crate) fn rank(&self, x: ValueId) -> i64 {
        self.dims(x).len() as i64
    }
}

/// A tensor of floats of any type.
pub(crate) fn tensor_of(dtype: DType, dims: &[i64], values: &[f64]) -> Tensor {
    let mut data = Vec::new();
    values.iter().for_each(|v| push_element(dtype, &mut data, Element::Float(*v)));
    Tensor::new(dtype, dims.to_vec(), data.into()).expect("a tensor")
}

/// The graph with every operator of the spelling written out.
pub(crate) fn spell_out(graph: &Graph, spelling: Spelling<'_>) -> Graph {
    let dtype = graph.value(graph.inputs[0]).ty.dtype;
    let mut w = Writer { graph: GraphBuilder::new(), dtype };
    let mut values: Vec<Option<ValueId>> = vec![None; graph.values.len()];
    for id in &graph.inputs {
        let value = graph.value(*id);
        let dims = value.ty.static_dims().expect("tests have fixed sizes");
        values[id.0 as usize] = Some(w.graph.input_of(&value.name, value.ty.dtype, &dims));
    }
    for (value, new) in graph.values.iter().zip(&mut values) {
        if let Def::Constant(tensor) = &value.def {
            *new = Some(w.graph.tensor(tensor.clone()));
        }
    }
    for node in &graph.nodes {
        let operands: Vec<Option<ValueId>> =
            node.operands.iter().map(|o| o.and_then(|id| values[id.0 as usize])).collect();
        let result = match spelling.iter().find(|(op, _)| *op == &*node.op) {
            Some((_, way)) => way(&mut w, node, &operands),
            None => w.graph.op_optional(&node.op, &operands, node.attrs.clone()),
        };
        values[node.results[0].0 as usize] = Some(result);
    }
    let outputs: Vec<ValueId> =
        graph.outputs.iter().map(|(_, o)| values[o.0 as usize].expect("outputs are computed")).collect();
    w.graph.finish(&outputs)
}
