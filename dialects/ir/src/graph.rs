//! The graph level: WHICH operators, on whole tensors.

use crate::{
    Name, attributes::Attrs, expr::Expr, origin::Origin, requirement::Requirement, size_range::SizeRanges,
    tensor::Tensor, types::TensorType,
};
use std::fmt;

/// Where an operator comes from: the ONNX node's name and operator.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location {
    /// The node's name, or one made from its first output where it has none.
    pub node: Name,
    /// The ONNX operator, such as `Conv`.
    pub op_type: Name,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node '{}'", self.node)?;
        if self.op_type.is_empty() { Ok(()) } else { write!(f, " ({})", self.op_type) }
    }
}

/// Index of a value in its [`Graph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub u32);

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Def {
    /// The graph's input of that number.
    Input(usize),
    /// A constant: a weight, mapped from the model's file or owned.
    Constant(Tensor),
    /// A result of a node; the node holds the value's id, so nothing needs to be looked up here.
    Node,
    /// A value of the enclosing graph, captured by the body of a control-flow operator.
    Captured(ValueId),
}

/// A tensor in a graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// Name in the ONNX file, or made from the operator's.
    pub name: Name,
    /// Element type and dimensions.
    pub ty: TensorType,
    /// Where it comes from.
    pub def: Def,
    /// Its elements as symbolic integers, if inference knows them (shapes and values computed from shapes).
    pub known: Option<Vec<Expr>>,
}

/// An operator applied to values.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The operator's mnemonic in the `graph` dialect, such as `conv`.
    pub op: Name,
    /// Attributes.
    pub attrs: Attrs,
    /// Operands; an optional one that is absent is `None`.
    pub operands: Vec<Option<ValueId>>,
    /// Results.
    pub results: Vec<ValueId>,
    /// Bodies of control-flow operators.
    pub regions: Vec<Graph>,
    /// The ONNX node it comes from.
    pub location: Location,
}

/// A graph of operators: nodes in an order in which operands come before their users.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    /// Name.
    pub name: Name,
    /// All values; a [`ValueId`] is an index.
    pub values: Vec<Value>,
    /// The inputs' values.
    pub inputs: Vec<ValueId>,
    /// The outputs: name and value.
    pub outputs: Vec<(Name, ValueId)>,
    /// Operators in order.
    pub nodes: Vec<Node>,
    /// The known ranges of the symbols' sizes; the model refuses to run at sizes outside of them.
    pub ranges: SizeRanges,
    /// Conditions on the sizes beyond those that the nodes demand. They come from nodes that were removed, and
    /// from operators that the importer took apart.
    pub requirements: Vec<Requirement>,
    /// Known facts about the model that the graph came from.
    pub origin: Origin,
}

impl Graph {
    /// A value of this graph.
    ///
    /// # Panics
    /// If the id is of another graph.
    #[must_use]
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.0 as usize]
    }

    /// A value of this graph, to change it.
    ///
    /// # Panics
    /// If the id is of another graph.
    pub fn value_mut(&mut self, id: ValueId) -> &mut Value {
        &mut self.values[id.0 as usize]
    }

    /// Adds a value.
    pub fn add_value(&mut self, name: impl Into<Name>, ty: TensorType, def: Def) -> ValueId {
        let known = match &def {
            Def::Constant(tensor) => known_elements(tensor),
            _ => None,
        };
        self.values.push(Value { name: name.into(), ty, def, known });
        ValueId((self.values.len() - 1) as u32)
    }

    /// Adds a constant.
    pub fn add_constant(&mut self, name: impl Into<Name>, tensor: Tensor) -> ValueId {
        self.add_value(name, tensor.ty(), Def::Constant(tensor))
    }

    /// The constant behind a value, if it is one.
    #[must_use]
    pub fn constant(&self, id: ValueId) -> Option<&Tensor> {
        match &self.value(id).def {
            Def::Constant(tensor) => Some(tensor),
            _ => None,
        }
    }

    /// Replaces every use of `from` by `to`, in nodes, their regions' captures and outputs.
    pub fn replace_uses(&mut self, from: ValueId, to: ValueId) {
        for node in &mut self.nodes {
            for operand in node.operands.iter_mut().flatten().filter(|o| **o == from) {
                *operand = to;
            }
            for region in &mut node.regions {
                for value in &mut region.values {
                    if value.def == Def::Captured(from) {
                        value.def = Def::Captured(to);
                    }
                }
            }
        }
        for (_, output) in self.outputs.iter_mut().filter(|(_, o)| *o == from) {
            *output = to;
        }
    }

    /// Number of uses of each value, in nodes, regions' captures and outputs.
    #[must_use]
    pub fn use_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.values.len()];
        for node in &self.nodes {
            node.operands.iter().flatten().for_each(|o| counts[o.0 as usize] += 1);
            for value in node.regions.iter().flat_map(|r| &r.values) {
                if let Def::Captured(outer) = value.def {
                    counts[outer.0 as usize] += 1;
                }
            }
        }
        self.outputs.iter().for_each(|(_, o)| counts[o.0 as usize] += 1);
        counts
    }
}

/// Larger constants are never looked at element by element.
const MAX_KNOWN: usize = 1024;

/// The elements of a small integer constant, as inference knows them.
#[must_use]
pub fn known_elements(tensor: &Tensor) -> Option<Vec<Expr>> {
    let small = tensor.elements() <= MAX_KNOWN && tensor.dims.len() <= 1;
    (small && tensor.dtype.is_int()).then(|| tensor.to_i64().into_iter().map(Expr::from).collect())
}
