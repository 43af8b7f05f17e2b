//! `fuse-attention`.

use crate::{graph_builder::GraphBuilder, program};
use mlcc_ir::{
    attributes::{Attr, Attrs},
    program::Program,
};
use mlcc_passes::fusion::{
    fuse_attention, fuse_epilogue, fuse_prologue, inline_elementwise, inline_movement,
};

/// Runs the passes in front of this one, then the pass.
fn run(program: &mut Program) -> usize {
    inline_movement::run(program);
    inline_elementwise::run(program);
    fuse_epilogue::run(program);
    fuse_prologue::run(program);
    fuse_attention::run(program)
}

fn along(axis: i64) -> Attrs {
    Attrs::new().with("axis", Attr::Int(axis))
}

fn permuted(order: [i64; 4]) -> Attrs {
    Attrs::new().with("perm", Attr::Ints(order.to_vec()))
}

#[test]
fn masked_attention_of_transposed_heads_is_one_kernel() {
    let mut b = GraphBuilder::new();
    let [q, k, v] = ["q", "k", "v"].map(|n| b.input(n, &[2, 13, 3, 5]));
    let (mask, scale) = (b.input("mask", &[2, 1, 13, 13]), b.input("scale", &[1]));
    let q = b.op_with("transpose", &[q], permuted([0, 2, 1, 3]));
    let k = b.op_with("transpose", &[k], permuted([0, 2, 3, 1]));
    let v = b.op_with("transpose", &[v], permuted([0, 2, 1, 3]));
    let s = b.op("matmul", &[q, k]);
    let s = b.op("mul", &[s, scale]);
    let s = b.op("add", &[s, mask]);
    let p = b.op_with("softmax", &[s], along(3));
    let o = b.op("matmul", &[p, v]);
    let out = b.op_with("transpose", &[o], permuted([0, 2, 1, 3]));
    let mut program = program::of(&b.finish(&[out]));
    assert_eq!(program::run_and_compare(&mut program, run), 2);
    let kernels = program::kernels(&program);
    assert_eq!(kernels.len(), 1);
    assert!(
        kernels[0].computes.iter().any(|c| &*c.name == "inverse"),
        "the quotient moves behind the product"
    );
}

#[test]
fn a_single_query_stays_three_kernels() {
    let mut b = GraphBuilder::new();
    let (q, k, v) = (b.input("q", &[3, 1, 5]), b.input("k", &[3, 5, 13]), b.input("v", &[3, 13, 5]));
    let s = b.op("matmul", &[q, k]);
    let p = b.op_with("softmax", &[s], along(2));
    let out = b.op("matmul", &[p, v]);
    let mut program = program::of(&b.finish(&[out]));
    assert_eq!(program::run_and_compare(&mut program, run), 0);
    assert_eq!(program::kernels(&program).len(), 3);
}

#[test]
fn weights_that_are_a_result_too_stay() {
    let mut b = GraphBuilder::new();
    let (q, k, v) = (b.input("q", &[9, 5]), b.input("k", &[5, 11]), b.input("v", &[11, 4]));
    let s = b.op("matmul", &[q, k]);
    let p = b.op_with("softmax", &[s], along(1));
    let out = b.op("matmul", &[p, v]);
    let mut program = program::of(&b.finish(&[out, p]));
    assert_eq!(program::run_and_compare(&mut program, run), 0);
}

#[test]
fn a_softmax_over_the_queries_stays() {
    let mut b = GraphBuilder::new();
    let (q, k, v) = (b.input("q", &[9, 5]), b.input("k", &[5, 11]), b.input("v", &[11, 4]));
    let s = b.op("matmul", &[q, k]);
    let p = b.op_with("softmax", &[s], along(0));
    let out = b.op("matmul", &[p, v]);
    let mut program = program::of(&b.finish(&[out]));
    assert_eq!(program::run_and_compare(&mut program, run), 0);
}

#[test]
fn rows_that_count_for_nothing_are_zero_behind_the_second_product() {
    // A row that is masked as a whole is NaN, and becomes 0: by the mask, or by the weights themselves.
    for by_mask in [true, false] {
        let mut b = GraphBuilder::new();
        let (q, k, v) = (b.input("q", &[3, 9, 5]), b.input("k", &[3, 5, 11]), b.input("v", &[3, 11, 4]));
        let mut mask = vec![0.0; 9 * 11];
        mask[2 * 11..3 * 11].fill(f32::NEG_INFINITY);
        let mask = b.constant(&[9, 11], &mask);
        let zero = b.constant(&[], &[0.0]);
        let s = b.op("matmul", &[q, k]);
        let s = b.op("add", &[s, mask]);
        let p = b.op_with("softmax", &[s], along(2));
        let nothing = if by_mask {
            let attrs = Attrs::new().with("axes", Attr::Ints(vec![1])).with("keepdims", Attr::Bool(true));
            let most = b.op_with("reduce_max", &[mask], attrs);
            let never = b.constant(&[], &[f32::NEG_INFINITY]);
            b.op("equal", &[most, never])
        } else {
            b.op("is_nan", &[p])
        };
        let p = b.op("where", &[nothing, zero, p]);
        let out = b.op("matmul", &[p, v]);
        let mut program = program::of(&b.finish(&[out]));
        assert!(program::run_and_compare(&mut program, run) >= 2);
        let attention = program::kernels(&program).into_iter().filter(|k| k.computes.len() > 4);
        assert_eq!(attention.count(), 1, "{by_mask}: {:#?}", program::kernels(&program));
        assert!(program::kernels(&program).len() <= 3, "{:#?}", program::kernels(&program));
    }
}
