//! `eliminate-common`.

use crate::graph_builder::GraphBuilder;
use mlcc_passes::graph::eliminate_common::run;

#[test]
fn equal_chains_are_merged_and_different_ones_are_not() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", &[4]);
    let (a, c) = (b.op("exp", &[x]), b.op("exp", &[x]));
    let (d, e) = (b.op("neg", &[a]), b.op("neg", &[c]));
    let f = b.op("abs", &[x]);
    let sum = b.op("add", &[d, e]);
    let out = b.op("add", &[sum, f]);
    let mut graph = b.finish(&[out]);
    assert_eq!(run(&mut graph), 2);
    let add = &graph.nodes[graph.nodes.len() - 2];
    assert_eq!(add.operands[0], add.operands[1]);
}
