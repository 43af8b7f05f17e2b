//! `fuse-epilogue`.

use crate::{graph_builder::GraphBuilder, program};
use mlcc_ir::attributes::{Attr, Attrs};
use mlcc_passes::fusion::fuse_epilogue::run;

#[test]
fn bias_residual_and_activation_follow_a_product() {
    let mut b = GraphBuilder::new();
    let (x, w) = (b.input("x", &[5, 3]), b.input("w", &[3, 7]));
    let (bias, residual) = (b.input("b", &[7]), b.input("r", &[5, 7]));
    let p = b.op("matmul", &[x, w]);
    let s = b.op("add", &[p, bias]);
    let r = b.op("add", &[residual, s]);
    let out = b.op("relu", &[r]);
    let mut program = program::of(&b.finish(&[out]));
    assert_eq!(program::run_and_compare(&mut program, run), 3);
    let kernels = program::kernels(&program);
    assert_eq!(kernels.len(), 1);
    assert_eq!(kernels[0].computes.len(), 2, "the product, and everything after it in one body");
    assert_eq!(kernels[0].nodes.len(), 4);
}

#[test]
fn a_transposed_reader_keeps_the_producers_axes() {
    let mut b = GraphBuilder::new();
    let (x, w) = (b.input("x", &[2, 5, 3]), b.input("w", &[3, 7]));
    let p = b.op("matmul", &[x, w]);
    let perm = Attrs::new().with("perm", Attr::Ints(vec![1, 0, 2]));
    let out = b.op_with("transpose", &[p], perm);
    let mut program = program::of(&b.finish(&[out]));
    assert_eq!(program::run_and_compare(&mut program, run), 1);
}

#[test]
fn a_contraction_keeps_the_lines_of_its_result() {
    let mut b = GraphBuilder::new();
    let (x, w) = (b.input("x", &[2, 5, 3]), b.input("w", &[3, 7]));
    let p = b.op("matmul", &[x, w]);
    let perm = Attrs::new().with("perm", Attr::Ints(vec![0, 2, 1]));
    let out = b.op_with("transpose", &[p], perm);
    let mut program = program::of(&b.finish(&[out]));
    assert_eq!(program::run_and_compare(&mut program, run), 0);
}

#[test]
fn a_reader_that_broadcasts_the_product_is_left_alone() {
    let mut b = GraphBuilder::new();
    let (x, w, y) = (b.input("x", &[1, 3]), b.input("w", &[3, 7]), b.input("y", &[5, 7]));
    let p = b.op("matmul", &[x, w]);
    let out = b.op("add", &[p, y]);
    let mut program = program::of(&b.finish(&[out]));
    assert_eq!(program::run_and_compare(&mut program, run), 0);
}

#[test]
fn a_product_with_two_readers_is_left_alone() {
    let mut b = GraphBuilder::new();
    let (x, w) = (b.input("x", &[4, 3]), b.input("w", &[3, 5]));
    let p = b.op("matmul", &[x, w]);
    let (r, t) = (b.op("relu", &[p]), b.op("tanh", &[p]));
    let mut program = program::of(&b.finish(&[r, t]));
    assert_eq!(program::run_and_compare(&mut program, run), 0);
}
