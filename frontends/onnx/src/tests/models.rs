//! Small models for tests.

use crate::{
    ImportOptions, Imported, import_bytes,
    proto::{
        AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
        TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto, attribute_kind, dimension, type_proto,
    },
};
use bytes::Bytes;
use mlcc_ir::{
    attributes::{Attr, Attrs},
    diagnostic::Diagnostic,
    expr::Expr,
    graph::{Graph, Node},
    types::TensorType,
};
use prost::Message;

/// `FLOAT`.
pub(super) const FLOAT: i32 = 1;
/// `INT64`.
pub(super) const INT64: i32 = 7;
/// `BOOL`.
pub(super) const BOOL: i32 = 9;

/// An input or output; dimensions are sizes, names, or `?`. `*` stands for an unknown rank.
pub(super) fn value(name: &str, elem_type: i32, dims: &str) -> ValueInfoProto {
    let dimension = |text: &str| DimensionProto {
        value: match (text, text.parse()) {
            ("?", _) => None,
            (_, Ok(size)) => Some(dimension::Value::Size(size)),
            (name, Err(_)) => Some(dimension::Value::Symbol(name.into())),
        },
    };
    let shape =
        (dims != "*").then(|| TensorShapeProto { dim: dims.split_whitespace().map(dimension).collect() });
    let tensor = TensorTypeProto { elem_type, shape };
    ValueInfoProto {
        name: name.into(),
        ty: Some(TypeProto { value: Some(type_proto::Value::Tensor(tensor)) }),
    }
}

/// A node: `"y z = Op(a, , b)"`.
pub(super) fn node(text: &str, attribute: Vec<AttributeProto>) -> NodeProto {
    let (outputs, call) = text.split_once('=').expect("a node has outputs");
    let (op, inputs) = call.trim().trim_end_matches(')').split_once('(').expect("a node has operands");
    let input = match inputs.trim() {
        "" => Vec::new(),
        inputs => inputs.split(',').map(|i| i.trim().to_owned()).collect(),
    };
    NodeProto {
        input,
        output: outputs.split_whitespace().map(str::to_owned).collect(),
        op_type: op.to_owned(),
        attribute,
        ..NodeProto::default()
    }
}

pub(super) fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.into(), i, kind: attribute_kind::INT, ..AttributeProto::default() }
}

pub(super) fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    let ints = ints.to_vec();
    AttributeProto { name: name.into(), ints, kind: attribute_kind::INTS, ..AttributeProto::default() }
}

pub(super) fn float(name: &str, f: f32) -> AttributeProto {
    AttributeProto { name: name.into(), f, kind: attribute_kind::FLOAT, ..AttributeProto::default() }
}

pub(super) fn floats(name: &str, floats: &[f32]) -> AttributeProto {
    let floats = floats.to_vec();
    AttributeProto { name: name.into(), floats, kind: attribute_kind::FLOATS, ..AttributeProto::default() }
}

pub(super) fn text(name: &str, s: &str) -> AttributeProto {
    let s = Bytes::copy_from_slice(s.as_bytes());
    AttributeProto { name: name.into(), s, kind: attribute_kind::STRING, ..AttributeProto::default() }
}

pub(super) fn graph(name: &str, g: GraphProto) -> AttributeProto {
    AttributeProto { name: name.into(), g: Some(g), kind: attribute_kind::GRAPH, ..AttributeProto::default() }
}

/// A weight of integers.
pub(super) fn int_weight(name: &str, dims: &[i64], values: &[i64]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: INT64,
        int64_data: values.to_vec(),
        ..TensorProto::default()
    }
}

/// A weight of floats, in raw bytes.
pub(super) fn float_weight(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: FLOAT,
        raw_data: Some(raw.into()),
        ..TensorProto::default()
    }
}

/// A model of one graph.
pub(super) fn model(opset: i64, graph: GraphProto) -> ModelProto {
    ModelProto {
        ir_version: 10,
        producer_name: "test".into(),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: opset }],
        ..ModelProto::default()
    }
}

/// Imports a model with default options.
pub(super) fn imported(model: &ModelProto) -> Result<Imported, Vec<Diagnostic>> {
    with_options(model, &ImportOptions::default())
}

pub(super) fn with_options(
    model: &ModelProto,
    options: &ImportOptions<'_>,
) -> Result<Imported, Vec<Diagnostic>> {
    import_bytes(model.encode_to_vec().into(), None, options)
}

/// The graph of one ONNX node over float inputs and integer weights.
pub(super) fn graph_of(
    opset: i64,
    node: NodeProto,
    inputs: &[(&str, &str)],
    weights: &[(&str, &[i64])],
) -> Graph {
    let graph = GraphProto {
        input: inputs.iter().map(|(name, dims)| value(name, FLOAT, dims)).collect(),
        output: node.output.iter().map(|name| ValueInfoProto { name: name.clone(), ty: None }).collect(),
        initializer: weights.iter().map(|(n, v)| int_weight(n, &[v.len() as i64], v)).collect(),
        node: vec![node],
        ..GraphProto::default()
    };
    match imported(&model(opset, graph)) {
        Ok(imported) => imported.graph,
        Err(diagnostics) => panic!("{diagnostics:?}"),
    }
}

/// Operators with the types of their results, attributes left out.
pub(super) fn listing(graph: &Graph) -> Vec<String> {
    let line = |node: &Node| {
        let types: Vec<_> = node.results.iter().map(|&r| graph.value(r).ty.to_string()).collect();
        format!("{} {}", node.op, types.join(" "))
    };
    graph.nodes.iter().map(line).collect()
}

/// Operators and attributes, to compare graphs from different opsets.
pub(super) fn operators(graph: &Graph) -> Vec<(String, Attrs)> {
    graph.nodes.iter().map(|n| (n.op.to_string(), n.attrs.clone())).collect()
}

/// The type of output `i`.
pub(super) fn output_type(graph: &Graph, i: usize) -> &TensorType {
    &graph.value(graph.outputs[i].1).ty
}

/// An attribute of symbolic integers.
pub(super) fn exprs(node: &Node, name: &str) -> Vec<Expr> {
    match node.attrs.get(name) {
        Some(Attr::Exprs(values)) => values.clone(),
        other => panic!("attribute '{name}' is {other:?}"),
    }
}
