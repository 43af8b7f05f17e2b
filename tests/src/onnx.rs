//! Small ONNX models, built in Rust and written as the protobuf message `ModelProto`.
//!
//! Only what tests use; the field numbers are those of `onnx.proto` (<https://github.com/onnx/onnx>).
//! Nothing is checked: many tests are about models that are wrong.

mod wire;

use std::path::Path;

use crate::tensor::{DType, Tensor};
use wire::Message;

/// A model: a graph and the operator sets it uses.
#[derive(Clone, Debug)]
pub struct Model {
    opset: i64,
    graph: Graph,
}

/// A graph: a model's, or the body of a control-flow operator.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    inputs: Vec<Value>,
    outputs: Vec<Value>,
    weights: Vec<Weight>,
    external: Vec<External>,
    nodes: Vec<Node>,
}

/// The name and type of an input or output.
#[derive(Clone, Debug)]
struct Value {
    name: String,
    /// `TensorProto.DataType`
    data_type: i64,
    /// None where the model leaves it open, even the rank.
    shape: Option<Vec<Dim>>,
}

impl Value {
    fn new(name: &str, dtype: DType, shape: &[Dim]) -> Self {
        Self { name: name.to_owned(), data_type: data_type(dtype), shape: Some(shape.to_vec()) }
    }
}

/// A weight by its parts, which need not fit each other.
#[derive(Clone, Debug)]
struct Weight {
    name: String,
    data_type: i64,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// A weight whose bytes lie in another file.
#[derive(Clone, Debug)]
struct External {
    name: String,
    dtype: DType,
    shape: Vec<usize>,
    entries: Vec<(String, String)>,
}

/// A dimension: a size or a symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dim {
    /// Known.
    Size(usize),
    /// Known when the model runs; equal names are equal sizes.
    Symbol(String),
}

impl From<usize> for Dim {
    fn from(size: usize) -> Self {
        Self::Size(size)
    }
}

impl From<&str> for Dim {
    fn from(name: &str) -> Self {
        Self::Symbol(name.to_owned())
    }
}

/// The value of a node's attribute.
#[derive(Clone, Debug)]
pub enum Attribute {
    /// `INT`
    Int(i64),
    /// `FLOAT`
    Float(f32),
    /// `STRING`
    String(String),
    /// `INTS`
    Ints(Vec<i64>),
    /// `FLOATS`
    Floats(Vec<f32>),
    /// `TENSOR`
    Tensor(Tensor),
    /// `GRAPH`
    Graph(Graph),
}

/// An operator applied to values.
#[derive(Clone, Debug)]
pub struct Node {
    operator: String,
    domain: String,
    name: String,
    inputs: Vec<String>,
    outputs: Vec<String>,
    attributes: Vec<(String, Attribute)>,
}

impl Node {
    /// A node of the standard domain, named after its first output. An empty input is a left-out one.
    #[must_use]
    pub fn new(operator: &str, inputs: &[&str], outputs: &[&str]) -> Self {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Self {
            operator: operator.to_owned(),
            domain: String::new(),
            name: outputs.first().map(|name| format!("make_{name}")).unwrap_or_default(),
            inputs: owned(inputs),
            outputs: owned(outputs),
            attributes: Vec::new(),
        }
    }

    /// Sets the node's name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Sets the node's domain.
    #[must_use]
    pub fn domain(mut self, domain: &str) -> Self {
        domain.clone_into(&mut self.domain);
        self
    }

    /// Adds an attribute.
    #[must_use]
    pub fn attribute(mut self, name: &str, value: Attribute) -> Self {
        self.attributes.push((name.to_owned(), value));
        self
    }

    fn encode(&self) -> Message {
        let mut message = Message::default();
        message.texts(1, &self.inputs).texts(2, &self.outputs);
        message.text(3, &self.name).text(4, &self.operator);
        for (name, value) in &self.attributes {
            message.message(5, &value.encode(name));
        }
        if !self.domain.is_empty() {
            message.text(7, &self.domain);
        }
        message
    }
}

impl Attribute {
    fn encode(&self, name: &str) -> Message {
        let mut message = Message::default();
        message.text(1, name);
        // The last field is the kind of the attribute, AttributeProto.AttributeType.
        match self {
            Self::Float(value) => message.float(2, *value).integer(20, 1),
            Self::Int(value) => message.integer(3, *value).integer(20, 2),
            Self::String(value) => message.bytes(4, value.as_bytes()).integer(20, 3),
            Self::Tensor(value) => message.message(5, &encode_tensor("", value)).integer(20, 4),
            Self::Graph(value) => message.message(6, &value.encode("body")).integer(20, 5),
            Self::Floats(values) => message.floats(7, values).integer(20, 6),
            Self::Ints(values) => message.integers(8, values).integer(20, 7),
        };
        message
    }
}

impl Graph {
    /// Adds an input.
    #[must_use]
    pub fn input(mut self, name: &str, dtype: DType, shape: &[Dim]) -> Self {
        self.inputs.push(Value::new(name, dtype, shape));
        self
    }

    /// Adds an output.
    #[must_use]
    pub fn output(mut self, name: &str, dtype: DType, shape: &[Dim]) -> Self {
        self.outputs.push(Value::new(name, dtype, shape));
        self
    }

    /// Adds a weight, an initializer in ONNX's words.
    #[must_use]
    pub fn weight(mut self, name: &str, value: Tensor) -> Self {
        self.weights.push(Weight {
            name: name.to_owned(),
            data_type: data_type(value.dtype()),
            shape: value.shape().to_vec(),
            bytes: value.bytes().to_vec(),
        });
        self
    }

    /// Adds a weight of which only `location`, `offset`, `length` or the like are given.
    #[must_use]
    pub fn external_weight(
        mut self,
        name: &str,
        dtype: DType,
        shape: &[usize],
        entries: &[(&str, &str)],
    ) -> Self {
        let entries = entries.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        self.external.push(External { name: name.to_owned(), dtype, shape: shape.to_vec(), entries });
        self
    }

    /// Adds a node; nodes stand in the order of execution.
    #[must_use]
    pub fn node(mut self, node: Node) -> Self {
        self.nodes.push(node);
        self
    }

    fn encode(&self, name: &str) -> Message {
        let mut message = Message::default();
        for node in &self.nodes {
            message.message(1, &node.encode());
        }
        message.text(2, name);
        for weight in &self.weights {
            let Weight { name, data_type, shape, bytes } = weight;
            message.message(5, &encode_parts(name, *data_type, shape, bytes));
        }
        for weight in &self.external {
            message.message(5, &weight.encode());
        }
        for value in &self.inputs {
            message.message(11, &value.encode());
        }
        for value in &self.outputs {
            message.message(12, &value.encode());
        }
        message
    }
}

impl Model {
    /// An empty model of an operator set.
    #[must_use]
    pub fn new(opset: i64) -> Self {
        Self { opset, graph: Graph::default() }
    }

    /// Adds an input.
    #[must_use]
    pub fn input(mut self, name: &str, dtype: DType, shape: &[Dim]) -> Self {
        self.graph = self.graph.input(name, dtype, shape);
        self
    }

    /// Adds an output.
    #[must_use]
    pub fn output(mut self, name: &str, dtype: DType, shape: &[Dim]) -> Self {
        self.graph = self.graph.output(name, dtype, shape);
        self
    }

    /// Adds a weight.
    #[must_use]
    pub fn weight(mut self, name: &str, value: Tensor) -> Self {
        self.graph = self.graph.weight(name, value);
        self
    }

    /// Adds an input of any of ONNX's element types, `TensorProto.DataType`, and of a rank that the model
    /// leaves open where no shape is given.
    #[must_use]
    pub fn input_of_type(mut self, name: &str, data_type: i64, shape: Option<&[Dim]>) -> Self {
        let shape = shape.map(<[Dim]>::to_vec);
        self.graph.inputs.push(Value { name: name.to_owned(), data_type, shape });
        self
    }

    /// Adds a weight whose bytes need not be those of its shape.
    #[must_use]
    pub fn weight_of_bytes(mut self, name: &str, dtype: DType, shape: &[usize], bytes: &[u8]) -> Self {
        self.graph.weights.push(Weight {
            name: name.to_owned(),
            data_type: data_type(dtype),
            shape: shape.to_vec(),
            bytes: bytes.to_vec(),
        });
        self
    }

    /// Adds a weight that lies in another file; see [`Graph::external_weight`].
    #[must_use]
    pub fn external_weight(
        mut self,
        name: &str,
        dtype: DType,
        shape: &[usize],
        entries: &[(&str, &str)],
    ) -> Self {
        self.graph = self.graph.external_weight(name, dtype, shape, entries);
        self
    }

    /// Adds a node.
    #[must_use]
    pub fn node(mut self, node: Node) -> Self {
        self.graph = self.graph.node(node);
        self
    }

    /// The bytes of the file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut opset = Message::default();
        opset.text(1, "").integer(2, self.opset);
        let mut message = Message::default();
        // IR version 8 is the newest that asks for nothing more than is written here.
        message.integer(1, 8).text(2, "mlcc-tests").message(7, &self.graph.encode("test")).message(8, &opset);
        message.into_bytes()
    }

    /// Writes the file.
    ///
    /// # Errors
    /// Where the system refuses.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        std::fs::write(path, self.encode())
    }
}

impl Value {
    fn encode(&self) -> Message {
        let mut tensor = Message::default();
        tensor.integer(1, self.data_type);
        if let Some(dims) = &self.shape {
            let mut shape = Message::default();
            for dim in dims {
                let mut message = Message::default();
                match dim {
                    Dim::Size(size) => message.integer(1, *size as i64),
                    Dim::Symbol(name) => message.text(2, name),
                };
                shape.message(1, &message);
            }
            tensor.message(2, &shape);
        }
        let mut kind = Message::default();
        kind.message(1, &tensor);
        let mut message = Message::default();
        message.text(1, &self.name).message(2, &kind);
        message
    }
}

impl External {
    fn encode(&self) -> Message {
        let dims: Vec<_> = self.shape.iter().map(|&size| size as i64).collect();
        let mut message = Message::default();
        message.integers(1, &dims).integer(2, data_type(self.dtype)).text(8, &self.name);
        for (key, value) in &self.entries {
            let mut entry = Message::default();
            entry.text(1, key).text(2, value);
            message.message(13, &entry);
        }
        message.integer(14, 1);
        message
    }
}

/// Writes a value as `TensorProto`, in which ONNX's test directories hold inputs and outputs.
///
/// # Errors
/// Where the system refuses.
pub fn write_tensor(path: &Path, tensor: &Tensor) -> std::io::Result<()> {
    std::fs::write(path, encode_tensor("", tensor).into_bytes())
}

fn encode_tensor(name: &str, tensor: &Tensor) -> Message {
    encode_parts(name, data_type(tensor.dtype()), tensor.shape(), tensor.bytes())
}

fn encode_parts(name: &str, data_type: i64, shape: &[usize], bytes: &[u8]) -> Message {
    let dims: Vec<_> = shape.iter().map(|&size| size as i64).collect();
    let mut message = Message::default();
    message.integers(1, &dims).integer(2, data_type).text(8, name).bytes(9, bytes);
    message
}

/// The number of a dtype in `TensorProto.DataType`.
fn data_type(dtype: DType) -> i64 {
    match dtype {
        DType::F32 => 1,
        DType::U8 => 2,
        DType::I32 => 6,
        DType::I64 => 7,
        DType::Bool => 9,
        DType::F64 => 11,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The model of the test below, built and serialised by onnx 1.23.2.
    const EXPECTED: &str = "0808120a6d6c63632d74657374733a9b010a5c0a01780a000a01771201791a066d616b655f7922024f702a110a\
                            016918ffffffffffffffffff01a001022a0b0a0166150000003fa001012a090a0173220174a001032a0b0a016c\
                            400140ac02a001072a0b0a01673d0000c03fa001061204746573742a11080210014201774a080000803f000000\
                            c05a150a017812100a0e0801120a0a0312016e0a0308ac02620b0a017912060a040807120042040a001012";

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn a_model_has_the_bytes_that_the_onnx_package_gives_it() {
        let model = Model::new(18)
            .input("x", DType::F32, &["n".into(), 300.into()])
            .weight("w", Tensor::f32(&[2], [1.0, -2.0]))
            .node(
                Node::new("Op", &["x", "", "w"], &["y"])
                    .attribute("i", Attribute::Int(-1))
                    .attribute("f", Attribute::Float(0.5))
                    .attribute("s", Attribute::String("t".to_owned()))
                    .attribute("l", Attribute::Ints(vec![1, 300]))
                    .attribute("g", Attribute::Floats(vec![1.5])),
            )
            .output("y", DType::I64, &[]);
        assert_eq!(hex(&model.encode()), EXPECTED);
    }
}
