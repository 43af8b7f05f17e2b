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

fn shaped(dims: &[i64]) -> Attrs {
    Attrs::new().with("shape", Attr::Exprs(dims.iter().map(|&d| d.into()).collect()))
}

/// `x` of `[2, 3, 5, 4]` with each of its heads twice, by way of a reshape.
fn twice(b: &mut GraphBuilder, x: mlcc_ir::graph::ValueId) -> mlcc_ir::graph::ValueId {
    let y = b.op_with("reshape", &[x], shaped(&[2, 3, 1, 5, 4]));
    let y = b.op_with("expand", &[y], shaped(&[2, 3, 2, 5, 4]));
    b.op_with("reshape", &[y], shaped(&[2, 6, 5, 4]))
}

#[test]
fn heads_of_a_product_are_shared_behind_a_reshape() {
    let mut b = GraphBuilder::new();
    let (x, y) = (b.input("x", &[2, 6, 7, 5]), b.input("y", &[2, 3, 5, 4]));
    let y = twice(&mut b, y);
    let out = b.op("matmul", &[x, y]);
    let mut program = program::of(&b.finish(&[out]));
    assert_eq!(program::run_and_compare(&mut program, run), 1);
    assert_eq!(program::kernels(&program).len(), 1);
}

#[test]
fn what_else_reads_the_repeated_heads_keeps_them() {
    let mut b = GraphBuilder::new();
    let (x, y) = (b.input("x", &[2, 6, 7, 5]), b.input("y", &[2, 3, 5, 4]));
    let y = twice(&mut b, y);
    let product = b.op("matmul", &[x, y]);
    let other = b.op("exp", &[y]);
    let mut program = program::of(&b.finish(&[product, other]));
    assert_eq!(program::run_and_compare(&mut program, run), 0);
}

#[test]
fn factors_of_one_product_stay_tensors_of_their_own() {
    let mut b = GraphBuilder::new();
    let y = b.input("y", &[2, 3, 5, 4]);
    let (x, y) = (twice(&mut b, y), twice(&mut b, y));
    let x = b.op_with("transpose", &[x], perm(&[0, 1, 3, 2]));
    let out = b.op("matmul", &[x, y]);
    let mut program = program::of(&b.finish(&[out]));
    program::run_and_compare(&mut program, run);
    let product = *program::kernels(&program).last().expect("a product");
    assert_eq!(product.operands().count(), 3, "{product:?}");
}

#[test]
fn a_reshape_that_mixes_what_is_summed_stays() {
    let mut b = GraphBuilder::new();
    let (x, y) = (b.input("x", &[2, 3, 5, 4]), b.input("y", &[12, 7]));
    let t = b.op_with("transpose", &[x], perm(&[0, 2, 1, 3]));
    let t = b.op_with("reshape", &[t], shaped(&[10, 12]));
    let out = b.op("matmul", &[t, y]);
    let mut program = program::of(&b.finish(&[out]));
    assert_eq!(program::run_and_compare(&mut program, run), 0);
}
