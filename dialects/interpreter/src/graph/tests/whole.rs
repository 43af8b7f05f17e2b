//! Whole graphs: symbols, the order of operators, errors with their place.

use crate::{
    graph::run,
    testing::{attrs, expr, f32s},
};
use mlcc_ir::{
    attributes::Attr,
    dtype::DType,
    graph::{Def, Graph, Location, Node, ValueId},
    types::TensorType,
};

fn add_node(
    graph: &mut Graph,
    op: &str,
    list: &[(&str, Attr)],
    operands: &[ValueId],
    ty: TensorType,
) -> ValueId {
    let result = graph.add_value(op, ty, Def::Node);
    graph.nodes.push(Node {
        op: op.into(),
        attrs: attrs(list),
        operands: operands.iter().map(|&o| Some(o)).collect(),
        results: vec![result],
        regions: Vec::new(),
        location: Location { node: op.into(), op_type: op.into() },
    });
    result
}

/// `relu(x + w)` as one row, with `x` of `n` by 2 elements.
fn graph() -> Graph {
    let mut graph = Graph::default();
    let ty = TensorType::new(DType::F32, vec![expr("n"), expr("2")]);
    let x = graph.add_value("x", ty.clone(), Def::Input(0));
    graph.inputs.push(x);
    let w = graph.add_constant("w", f32s(&[2], &[-1.0, 1.0]));
    let sum = add_node(&mut graph, "add", &[], &[x, w], ty.clone());
    let relu = add_node(&mut graph, "relu", &[], &[sum], ty);
    let row = TensorType::new(DType::F32, vec![expr("n * 2")]);
    let shape = [("shape", Attr::Exprs(vec![expr("n * 2")]))];
    let flat = add_node(&mut graph, "reshape", &shape, &[relu], row);
    graph.outputs.push(("y".into(), flat));
    graph
}

#[test]
fn symbols_are_bound_by_the_inputs() {
    let x = f32s(&[3, 2], &[-1.0, 0.0, 1.0, 2.0, 3.0, -5.0]);
    let y = run(&graph(), &[x]).unwrap().swap_remove(0);
    assert_eq!((y.dims.clone(), y.to_f64()), (vec![6], vec![0.0, 1.0, 0.0, 3.0, 2.0, 0.0]));
    let y = run(&graph(), &[f32s(&[0, 2], &[])]).unwrap().swap_remove(0);
    assert_eq!(y.dims, [0]);
}

#[test]
fn wrong_inputs_and_failing_operators_are_named() {
    let error = run(&graph(), &[f32s(&[3, 3], &[0.0; 9])]).unwrap_err();
    assert!(error.message.contains("input 'x': the tensor is 3x3xf32, but must be (n)x2xf32"), "{error}");
    assert!(run(&graph(), &[]).unwrap_err().message.contains("has 1 inputs, but 0 are given"));
    let mut broken = graph();
    broken.nodes[1].op = "gelatine".into();
    let error = run(&broken, &[f32s(&[1, 2], &[0.0; 2])]).unwrap_err();
    assert_eq!(error.location.unwrap().node, "relu".into());
}
