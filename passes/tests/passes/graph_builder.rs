//! Builds small graphs for tests.

use mlcc_ir::{
    attributes::Attrs,
    dtype::DType,
    graph::{Def, Graph, Location, Node, Value, ValueId},
    ops::{Operand, infer},
    tensor::Tensor,
    types::TensorType,
};

pub(crate) struct GraphBuilder {
    graph: Graph,
}

impl GraphBuilder {
    pub(crate) fn new() -> GraphBuilder {
        GraphBuilder { graph: Graph { name: "test".into(), ..Graph::default() } }
    }

    pub(crate) fn input(&mut self, name: &str, dims: &[i64]) -> ValueId {
        self.input_of(name, DType::F32, dims)
    }

    /// An input of `f32` whose dimensions are expressions.
    pub(crate) fn symbolic_input(&mut self, name: &str, dims: &[&str]) -> ValueId {
        let dims = dims.iter().map(|d| d.parse().expect("an expression")).collect();
        let number = self.graph.inputs.len();
        let id = self.graph.add_value(name, TensorType::new(DType::F32, dims), Def::Input(number));
        self.graph.inputs.push(id);
        id
    }

    /// An input of any type.
    pub(crate) fn input_of(&mut self, name: &str, dtype: DType, dims: &[i64]) -> ValueId {
        let number = self.graph.inputs.len();
        let id = self.graph.add_value(name, TensorType::of(dtype, dims), Def::Input(number));
        self.graph.inputs.push(id);
        id
    }

    pub(crate) fn constant(&mut self, dims: &[i64], values: &[f32]) -> ValueId {
        self.tensor(Tensor::from_f32(dims, values))
    }

    /// A constant of any type.
    pub(crate) fn tensor(&mut self, tensor: Tensor) -> ValueId {
        let name = format!("c{}", self.graph.values.len());
        self.graph.add_constant(name, tensor)
    }

    pub(crate) fn op(&mut self, op: &str, operands: &[ValueId]) -> ValueId {
        self.op_with(op, operands, Attrs::new())
    }

    /// An operator with attributes.
    pub(crate) fn op_with(&mut self, op: &str, operands: &[ValueId], attrs: Attrs) -> ValueId {
        let operands: Vec<Option<ValueId>> = operands.iter().copied().map(Some).collect();
        self.op_optional(op, &operands, attrs)
    }

    /// An operator with operands that may be absent.
    pub(crate) fn op_optional(&mut self, op: &str, operands: &[Option<ValueId>], attrs: Attrs) -> ValueId {
        let views: Vec<_> = operands.iter().map(|o| o.map(|id| Operand::of(&self.graph, id))).collect();
        let inferred = infer(op, &attrs, &views).expect("the test's operator is well formed").remove(0);
        let name = format!("{op}{}", self.graph.values.len());
        let result = self.graph.add_value(name.clone(), inferred.ty, Def::Node);
        self.graph.nodes.push(Node {
            op: op.into(),
            attrs,
            operands: operands.to_vec(),
            results: vec![result],
            regions: Vec::new(),
            location: Location { node: name.into(), op_type: op.into() },
        });
        result
    }

    pub(crate) fn value(&self, id: ValueId) -> &Value {
        self.graph.value(id)
    }

    pub(crate) fn finish(mut self, outputs: &[ValueId]) -> Graph {
        self.graph.outputs = outputs.iter().map(|o| (self.graph.value(*o).name.clone(), *o)).collect();
        self.graph
    }
}
