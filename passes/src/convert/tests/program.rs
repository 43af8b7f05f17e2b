//! Whole graphs: outputs of every kind, symbols, dead nodes, errors.

use super::harness::*;
use crate::convert::graph_to_tensor;
use mlcc_ir::{
    attributes::Attr,
    diagnostic::Fault,
    expr::Expr,
    graph::{Def, Graph, Location, Node},
    ops,
    program::{Step, Storage},
    types::TensorType,
};

fn graph_with_input(ty: TensorType) -> (Graph, mlcc_ir::graph::ValueId) {
    let mut g = Graph { name: "test".into(), ..Graph::default() };
    let x = g.add_value("x", ty, Def::Input(0));
    g.inputs.push(x);
    (g, x)
}

#[test]
fn outputs_may_be_inputs_constants_views_or_listed_twice() {
    let (mut g, x) = graph_with_input(ty(F32, &[3, 4]));
    let c = g.add_constant("c", f32s(&[2]));
    let flat = add_node(&mut g, "reshape", &attrs(&[("shape", ints(&[12]))]), &[Some(x)])[0];
    let sum = add_node(&mut g, "add", &attrs(&[]), &[Some(x), Some(x)])[0];
    let view = add_node(&mut g, "reshape", &attrs(&[("shape", ints(&[4, 3]))]), &[Some(sum)])[0];
    g.outputs = [x, c, flat, sum, sum, view].into_iter().map(|v| ("y".into(), v)).collect();
    let program = assert_graph_agrees(&g, &[f32s(&[3, 4])]);
    for (i, (_, tensor)) in program.outputs.iter().enumerate() {
        assert_eq!(program.tensors[*tensor].storage, Storage::Output(i));
    }
}

#[test]
fn nodes_without_use_are_left_out() {
    let (mut g, x) = graph_with_input(ty(F32, &[3]));
    add_node(&mut g, "exp", &attrs(&[]), &[Some(x)]);
    let y = add_node(&mut g, "relu", &attrs(&[]), &[Some(x)])[0];
    g.outputs = vec![("y".into(), y)];
    let program = assert_graph_agrees(&g, &[f32s(&[3])]);
    let [Step::Kernel { kernel, .. }] = &program.steps[..] else { panic!("{:?}", program.steps) };
    assert_eq!((&*kernel.name, &*kernel.nodes[0]), ("relu", "node1"));
}

#[test]
fn a_symbol_without_an_input_dimension_is_refused() {
    let n = Expr::symbol("n");
    let (mut g, x) = graph_with_input(TensorType::new(F32, vec![n * Expr::from(2)]));
    let y = add_node(&mut g, "relu", &attrs(&[]), &[Some(x)])[0];
    g.outputs = vec![("y".into(), y)];
    let error = graph_to_tensor(&g).unwrap_err();
    assert_eq!(error.fault, Fault::Unsupported);
    assert!(error.message.contains("'n'"), "{error}");
}

#[test]
fn an_unknown_operator_is_named_with_its_node() {
    let (mut g, x) = graph_with_input(ty(F32, &[3]));
    let y = g.add_value("y", ty(F32, &[3]), Def::Node);
    g.nodes.push(Node {
        op: "frobnicate".into(),
        attrs: attrs(&[]),
        operands: vec![Some(x)],
        results: vec![y],
        regions: Vec::new(),
        location: Location { node: "odd".into(), op_type: "Frobnicate".into() },
    });
    g.outputs = vec![("y".into(), y)];
    let error = graph_to_tensor(&g).unwrap_err();
    assert_eq!(error.fault, Fault::Unsupported);
    assert!(error.to_string().contains("node 'odd' (Frobnicate)"), "{error}");
    assert!(error.hint.is_some());
}

#[test]
fn every_operator_of_the_dialect_has_a_family() {
    let (g, x) = graph_with_input(ty(F32, &[2, 2, 2, 2]));
    for def in ops::definitions() {
        let mut g = g.clone();
        let y = g.add_value("y", ty(F32, &[2, 2, 2, 2]), Def::Node);
        g.nodes.push(Node {
            op: def.name.into(),
            attrs: attrs(&[("axis", Attr::Int(0))]),
            operands: vec![Some(x); 3],
            results: vec![y],
            regions: Vec::new(),
            location: Location { node: "n".into(), op_type: def.name.into() },
        });
        g.outputs = vec![("y".into(), y)];
        // Attributes are missing, so lowering may fail, but some family must know the operator.
        if let Err(error) = graph_to_tensor(&g) {
            assert!(!error.message.contains("cannot be compiled yet"), "{}", def.name);
        }
    }
}

#[test]
fn work_that_would_never_end_is_refused() {
    let product = |size: i64| {
        let mut g = Graph::default();
        let operand = g.add_value("x", ty(F32, &[size, size]), Def::Input(0));
        g.inputs.push(operand);
        let results = add_node(&mut g, "matmul", &attrs(&[]), &[Some(operand), Some(operand)]);
        g.nodes[0].location = Location { node: "MatMul_9".into(), op_type: "MatMul".into() };
        g.outputs.push(("y".into(), results[0]));
        graph_to_tensor(&g)
    };
    assert!(product(1 << 16).is_ok());
    let error = product(1 << 18).unwrap_err();
    assert!(error.message.contains("262144 x 262144 x 262144 values"), "{error}");
    assert!(error.to_string().contains("MatMul_9") && error.hint.is_some(), "{error}");
}
