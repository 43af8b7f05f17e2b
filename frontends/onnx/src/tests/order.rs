//! Nodes in any order, and cycles.

use super::models::{FLOAT, graph, imported, model, node, operators, value};
use crate::{
    order::{Order, sorted},
    proto::{GraphProto, NodeProto},
};

fn order_of(texts: &[&str]) -> Order {
    sorted(&texts.iter().map(|text| node(text, vec![])).collect::<Vec<_>>())
}

#[test]
fn nodes_in_order_stay_and_others_come_after_what_they_need() {
    assert_eq!(order_of(&["a = F(x)", "b = F(x)", "c = F(b, a)"]).sorted, [0, 1, 2]);
    assert_eq!(order_of(&["c = F(b, a)", "x2 = F(x)", "b = F(x2)", "a = F(x)"]).sorted, [1, 2, 3, 0]);
}

#[test]
fn what_a_branch_takes_from_outside_comes_first() {
    let branch = GraphProto { node: vec![node("z = F(late, own)", vec![])], ..GraphProto::default() };
    let nodes = [node("y = If(c)", vec![graph("then_branch", branch)]), node("late = F(x)", vec![])];
    assert_eq!(sorted(&nodes).sorted, [1, 0]);
}

#[test]
fn cycles_are_found_and_leave_the_rest_in_order() {
    let order = order_of(&["a = F(c)", "b = F(a)", "c = F(b)", "d = F(x)", "e = F(e)", "f = F(d, a)"]);
    assert_eq!(order.cycles, [vec![0, 2, 1], vec![4]]);
    assert_eq!(order.sorted, [3, 5]);
}

#[test]
fn a_long_chain_takes_no_stack() {
    let texts: Vec<String> = (0..200_000).map(|i| format!("v{i} = F(v{})", i + 1)).collect();
    let nodes: Vec<NodeProto> = texts.iter().map(|text| node(text, vec![])).collect();
    assert_eq!(sorted(&nodes).sorted.first(), Some(&199_999));
}

#[test]
fn a_model_whose_nodes_are_in_any_order_is_imported() {
    let nodes = [node("y = Neg(b)", vec![]), node("b = Relu(a)", vec![]), node("a = Abs(x)", vec![])];
    let with = |nodes: Vec<NodeProto>| {
        model(
            18,
            GraphProto {
                input: vec![value("x", FLOAT, "n 4")],
                output: vec![value("y", FLOAT, "n 4")],
                node: nodes,
                ..GraphProto::default()
            },
        )
    };
    let found = imported(&with(nodes.to_vec())).unwrap().graph;
    let found: Vec<_> = operators(&found).into_iter().map(|(op, _)| op).collect();
    assert_eq!(found, ["abs", "relu", "neg"]);
    let mut cyclic = nodes.to_vec();
    cyclic[2] = node("a = Add(x, y)", vec![]);
    let found = imported(&with(cyclic)).unwrap_err();
    let messages: Vec<_> = found.iter().map(|d| d.message.as_str()).collect();
    assert_eq!(messages, ["nodes 'Neg_y', 'Relu_b', 'Add_a' need each other's results"]);
}
