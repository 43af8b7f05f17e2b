//! `fold-constants`.

use crate::graph_builder::GraphBuilder;
use mlcc_passes::graph::fold_constants::run;

#[test]
fn a_sum_of_constants_is_computed() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", &[3]);
    let (c, d) = (b.constant(&[3], &[1.0, 2.0, 3.5]), b.constant(&[1], &[10.0]));
    let sum = b.op("add", &[c, d]);
    let out = b.op("mul", &[x, sum]);
    let mut graph = b.finish(&[out]);
    assert_eq!(run(&mut graph).unwrap(), 1);
    assert_eq!(graph.constant(sum).unwrap().to_f64(), [11.0, 12.0, 13.5]);
    assert_eq!(graph.nodes.len(), 1);
}
