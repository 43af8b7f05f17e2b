//! Control flow: what the blocks compute.

use super::harness::*;
use crate::convert::graph_to_tensor;
use mlcc_interpreter::program;
use mlcc_ir::{
    contract::Contract,
    graph::{Def, Graph, Location, Node, ValueId},
    tensor::Tensor,
};

fn bool_scalar(value: bool) -> Tensor {
    Tensor::new(Bool, vec![], vec![u8::from(value)].into()).unwrap()
}

/// Appends a control-flow node with results of the given types.
fn add_control(
    g: &mut Graph,
    op: &str,
    operands: Vec<Option<ValueId>>,
    regions: Vec<Graph>,
    results: &[&[i64]],
) {
    let results: Vec<ValueId> = results
        .iter()
        .enumerate()
        .map(|(i, d)| g.add_value(format!("r{i}"), ty(F32, d), Def::Node))
        .collect();
    g.outputs = results.iter().map(|&r| ("y".into(), r)).collect();
    g.nodes.push(Node {
        op: op.into(),
        attrs: attrs(&[]),
        operands,
        results,
        regions,
        location: Location { node: op.into(), op_type: op.into() },
    });
}

fn run(g: &Graph, inputs: &[Tensor]) -> Vec<Tensor> {
    let lowered = graph_to_tensor(g).unwrap();
    lowered.check("convert").unwrap();
    program::run(&lowered, inputs).unwrap()
}

#[test]
fn one_of_two_blocks_runs() {
    let mut g = Graph::default();
    let condition = g.add_value("condition", ty(Bool, &[]), Def::Input(0));
    let x = g.add_value("x", ty(F32, &[3]), Def::Input(1));
    g.inputs = vec![condition, x];
    let block = |op: Option<&str>| {
        let mut b = Graph::default();
        let x = b.add_value("outer", ty(F32, &[3]), Def::Captured(x));
        let y = op.map_or(x, |op| add_node(&mut b, op, &attrs(&[]), &[Some(x)])[0]);
        b.outputs = vec![("y".into(), y)];
        b
    };
    add_control(&mut g, "if", vec![Some(condition)], vec![block(Some("neg")), block(None)], &[&[3]]);
    let x = Tensor::from_f32(&[3], &[1.0, 2.0, -3.0]);
    assert_eq!(run(&g, &[bool_scalar(true), x.clone()])[0].to_f64(), [-1.0, -2.0, 3.0]);
    assert_eq!(run(&g, &[bool_scalar(false), x])[0].to_f64(), [1.0, 2.0, -3.0]);
}

/// Fibonacci numbers: `(a, b) = (b, a + b)`, scanning `a`.
#[test]
fn a_loop_carries_swaps_and_scans() {
    let mut body = Graph::default();
    let iteration = body.add_value("i", ty(I64, &[]), Def::Input(0));
    let go_on = body.add_value("cond", ty(Bool, &[]), Def::Input(1));
    let a = body.add_value("a", ty(F32, &[2]), Def::Input(2));
    let b = body.add_value("b", ty(F32, &[2]), Def::Input(3));
    body.inputs = vec![iteration, go_on, a, b];
    let sum = add_node(&mut body, "add", &attrs(&[]), &[Some(a), Some(b)])[0];
    body.outputs = [go_on, b, sum, a].into_iter().map(|v| ("o".into(), v)).collect();

    let mut g = Graph::default();
    let a = g.add_value("a", ty(F32, &[2]), Def::Input(0));
    let b = g.add_value("b", ty(F32, &[2]), Def::Input(1));
    g.inputs = vec![a, b];
    let count = g.add_constant("count", i64s(&[], &[5]));
    let always = g.add_constant("always", bool_scalar(true));
    let operands = vec![Some(count), Some(always), Some(a), Some(b)];
    add_control(&mut g, "loop", operands, vec![body], &[&[2], &[2], &[5, 2]]);
    let results = run(&g, &[Tensor::from_f32(&[2], &[0.0, 1.0]), Tensor::from_f32(&[2], &[1.0, 1.0])]);
    assert_eq!(results[0].to_f64(), [5.0, 8.0]);
    assert_eq!(results[1].to_f64(), [8.0, 13.0]);
    assert_eq!(results[2].to_f64(), [0.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 5.0]);
}

/// A condition computed by the body ends the loop: doubling while below 20.
#[test]
fn a_condition_ends_a_loop() {
    let mut body = Graph::default();
    let iteration = body.add_value("i", ty(I64, &[]), Def::Input(0));
    let go_on = body.add_value("cond", ty(Bool, &[]), Def::Input(1));
    let x = body.add_value("x", ty(F32, &[]), Def::Input(2));
    body.inputs = vec![iteration, go_on, x];
    let twice = add_node(&mut body, "add", &attrs(&[]), &[Some(x), Some(x)])[0];
    let limit = body.add_constant("limit", Tensor::from_f32(&[], &[20.0]));
    let below = add_node(&mut body, "less", &attrs(&[]), &[Some(twice), Some(limit)])[0];
    body.outputs = [below, twice].into_iter().map(|v| ("o".into(), v)).collect();
    let mut g = Graph::default();
    let x = g.add_value("x", ty(F32, &[]), Def::Input(0));
    g.inputs = vec![x];
    let count = g.add_constant("count", i64s(&[], &[100]));
    add_control(&mut g, "loop", vec![Some(count), None, Some(x)], vec![body], &[&[]]);
    assert_eq!(run(&g, &[Tensor::from_f32(&[], &[3.0])])[0].to_f64(), [24.0]);
}
