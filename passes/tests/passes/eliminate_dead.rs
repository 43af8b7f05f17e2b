//! `eliminate-dead`.

use crate::graph_builder::GraphBuilder;
use mlcc_passes::graph::eliminate_dead::run;

#[test]
fn an_unused_chain_goes_and_a_used_one_stays() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", &[3, 5]);
    let kept = b.op("relu", &[x]);
    let dead = b.op("exp", &[x]);
    b.op("neg", &[dead]);
    let mut graph = b.finish(&[kept]);
    assert_eq!(run(&mut graph), 2);
    assert_eq!(graph.nodes.len(), 1);
    assert_eq!(graph.values.len(), 2);
    assert_eq!(graph.outputs[0].1, graph.nodes[0].results[0]);
}
