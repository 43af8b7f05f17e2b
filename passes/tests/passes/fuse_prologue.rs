//! `fuse-prologue`.

use crate::{graph_builder::GraphBuilder, program};
use mlcc_ir::attributes::{Attr, Attrs};
use mlcc_passes::fusion::fuse_prologue::run;

#[test]
fn a_scaled_sum_becomes_a_stage_of_softmax() {
    let mut b = GraphBuilder::new();
    let (x, mask) = (b.input("x", &[2, 3, 7]), b.input("mask", &[2, 1, 7]));
    let s = b.op("add", &[x, mask]);
    let out = b.op_with("softmax", &[s], Attrs::new().with("axis", Attr::Int(2)));
    let mut program = program::of(&b.finish(&[out]));
    assert_eq!(program::run_and_compare(&mut program, run), 1);
    assert_eq!(program::kernels(&program).len(), 1);
}

#[test]
fn nothing_goes_in_front_of_a_product() {
    let mut b = GraphBuilder::new();
    let (x, w) = (b.input("x", &[5, 3]), b.input("w", &[3, 4]));
    let e = b.op("exp", &[x]);
    let out = b.op("matmul", &[e, w]);
    let mut program = program::of(&b.finish(&[out]));
    assert_eq!(program::run_and_compare(&mut program, run), 0);
}
