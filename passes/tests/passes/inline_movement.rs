//! `inline-movement`.

use crate::{graph_builder::GraphBuilder, program};
use mlcc_ir::attributes::{Attr, Attrs};
use mlcc_passes::fusion::inline_movement::run;

fn perm(p: &[i64]) -> Attrs {
    Attrs::new().with("perm", Attr::Ints(p.to_vec()))
}

#[test]
fn a_transposition_goes_into_the_addresses_of_a_product() {
    let mut b = GraphBuilder::new();
    let (x, y) = (b.input("x", &[2, 5, 3]), b.input("y", &[2, 7, 3]));
    let t = b.op_with("transpose", &[y], perm(&[0, 2, 1]));
    let out = b.op("matmul", &[x, t]);
    let mut program = program::of(&b.finish(&[out]));
    assert_eq!(program::run_and_compare(&mut program, run), 1);
    assert_eq!(program::kernels(&program).len(), 1);
}

#[test]
fn a_transposition_goes_into_an_elementwise_reader() {
    let mut b = GraphBuilder::new();
    let (x, y) = (b.input("x", &[5, 3]), b.input("y", &[3, 5]));
    let t = b.op_with("transpose", &[x], perm(&[1, 0]));
    let out = b.op("sub", &[t, y]);
    let mut program = program::of(&b.finish(&[out]));
    assert_eq!(program::run_and_compare(&mut program, run), 1);
}

#[test]
fn arithmetic_is_not_a_movement() {
    let mut b = GraphBuilder::new();
    let (x, y) = (b.input("x", &[5, 3]), b.input("y", &[3, 4]));
    let e = b.op("exp", &[x]);
    let out = b.op("matmul", &[e, y]);
    let mut program = program::of(&b.finish(&[out]));
    assert_eq!(program::run_and_compare(&mut program, run), 0);
}
