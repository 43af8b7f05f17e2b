//! `inline-elementwise`.

use crate::{graph_builder::GraphBuilder, program};
use mlcc_passes::fusion::inline_elementwise::run;

#[test]
fn a_chain_becomes_one_kernel() {
    let mut b = GraphBuilder::new();
    let (x, y) = (b.input("x", &[3, 7]), b.input("y", &[7]));
    let e = b.op("exp", &[x]);
    let s = b.op("add", &[e, y]);
    let out = b.op("tanh", &[s]);
    let mut program = program::of(&b.finish(&[out]));
    assert_eq!(program::run_and_compare(&mut program, run), 2);
    assert_eq!(program::kernels(&program).len(), 1);
}

#[test]
fn a_value_used_twice_by_one_kernel_is_computed_once() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", &[5, 3]);
    let e = b.op("exp", &[x]);
    let s = b.op("sigmoid", &[e]);
    let out = b.op("mul", &[e, s]);
    let mut program = program::of(&b.finish(&[out]));
    program::run_and_compare(&mut program, run);
    let reads = program::kernels(&program)[0].computes[0].reads().count();
    assert!(reads <= 2 && program::kernels(&program).len() <= 2);
}

#[test]
fn an_expensive_value_is_not_computed_again_for_every_broadcast() {
    let mut b = GraphBuilder::new();
    let (x, y) = (b.input("x", &[1, 7]), b.input("y", &[9, 7]));
    let e = b.op("exp", &[x]);
    let out = b.op("mul", &[e, y]);
    let mut program = program::of(&b.finish(&[out]));
    assert_eq!(program::run_and_compare(&mut program, run), 0);
}
