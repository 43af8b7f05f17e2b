//! `canonicalise`.

use crate::graph_builder::GraphBuilder;
use mlcc_ir::attributes::{Attr, Attrs};
use mlcc_passes::graph::canonicalise::run;

#[test]
fn transposes_compose_and_vanish() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", &[2, 3, 5]);
    let perm = |p: [i64; 3]| Attrs::new().with("perm", Attr::Ints(p.to_vec()));
    let t = b.op_with("transpose", &[x], perm([2, 0, 1]));
    let u = b.op_with("transpose", &[t], perm([1, 2, 0]));
    let out = b.op("relu", &[u]);
    let mut graph = b.finish(&[out]);
    run(&mut graph);
    run(&mut graph);
    assert_eq!(graph.nodes.len(), 1, "{:?}", graph.nodes);
    assert_eq!(graph.nodes[0].operands[0], Some(graph.inputs[0]));
}

#[test]
fn batch_norm_with_constants_is_affine() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", &[1, 3, 2, 2]);
    let [scale, bias, mean, variance] =
        [[1.5, -2.0, 0.25], [0.1, 0.2, 0.3], [3.0, -1.0, 0.5], [0.7, 2.0, 1.3]].map(|v| b.constant(&[3], &v));
    let attrs = Attrs::new().with("epsilon", Attr::Float(1e-3));
    let out = b.op_with("batch_norm", &[x, scale, bias, mean, variance], attrs);
    let mut graph = b.finish(&[out]);
    assert_eq!(run(&mut graph), 1);
    assert_eq!(graph.nodes.iter().map(|n| &*n.op).collect::<Vec<_>>(), ["mul", "add"]);
    let a = graph.constant(graph.nodes[0].operands[1].unwrap()).unwrap().to_f64();
    let shift = graph.constant(graph.nodes[1].operands[1].unwrap()).unwrap().to_f64();
    let want = 1.5 / (0.701f64).sqrt();
    assert!((a[0] - want).abs() < 1e-6 && (shift[0] - (0.1 - 3.0 * want)).abs() < 1e-5);
}

#[test]
fn a_choice_that_is_the_same_everywhere_is_made() {
    for truth in [0u8, 1] {
        let mut b = GraphBuilder::new();
        let (x, y) = (b.input("x", &[2, 3]), b.input("y", &[2, 3]));
        let condition = |bits: &[u8]| {
            mlcc_ir::tensor::Tensor::new(mlcc_ir::dtype::DType::Bool, vec![2, 1], bits.to_vec().into())
        };
        let all = b.tensor(condition(&[truth, truth]).expect("a tensor"));
        let some = b.tensor(condition(&[truth, 1 - truth]).expect("a tensor"));
        let chosen = b.op("where", &[all, x, y]);
        let mixed = b.op("where", &[some, x, y]);
        let out = b.op("sub", &[chosen, mixed]);
        let mut graph = b.finish(&[out]);
        assert_eq!(run(&mut graph), 1);
        assert_eq!(graph.nodes.iter().map(|n| &*n.op).collect::<Vec<_>>(), ["where", "sub"]);
        assert_eq!(graph.nodes[1].operands[0], Some(graph.inputs[1 - usize::from(truth)]));
    }
}
