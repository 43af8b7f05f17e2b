//! `fuse-operand`.

use crate::{graph_builder::GraphBuilder, program};
use mlcc_ir::{
    attributes::{Attr, Attrs},
    kernel::Role,
};
use mlcc_passes::fusion::fuse_operand::run;

fn permuted(b: &mut GraphBuilder, x: mlcc_ir::graph::ValueId, perm: &[i64]) -> mlcc_ir::graph::ValueId {
    b.op_with("transpose", &[x], Attrs::new().with("perm", Attr::Ints(perm.to_vec())))
}

fn convolution(pad: i64) -> Attrs {
    let ones = || Attr::Ints(vec![1, 1]);
    let attrs = Attrs::new().with("strides", ones()).with("dilations", ones()).with("group", Attr::Int(1));
    attrs.with("pads", Attr::Ints(vec![pad; 4]))
}

#[test]
fn a_sum_becomes_a_stage_in_front_of_the_columns() {
    let mut b = GraphBuilder::new();
    let (a, x, y) = (b.input("a", &[17, 3]), b.input("x", &[3, 7]), b.input("y", &[3, 7]));
    let s = b.op("add", &[x, y]);
    let out = b.op("matmul", &[a, s]);
    let mut program = program::of(&b.finish(&[out]));
    assert_eq!(program::run_and_compare(&mut program, run), 1);
    let kernels = program::kernels(&program);
    assert_eq!((kernels.len(), kernels[0].computes.len()), (1, 2));
    let made = kernels[0].computes[0].target;
    assert_eq!(kernels[0].tensors[made].role, Role::Temporary, "the sum lies in no memory of the program");
    // The product is still one of two reads, for the micro-kernel.
    assert_eq!(kernels[0].computes[1].body.insts.len(), 3);
}

#[test]
fn rows_are_made_where_the_columns_are_contiguous() {
    let mut b = GraphBuilder::new();
    let (x, scale, w) = (b.input("x", &[2, 5, 3]), b.input("scale", &[3]), b.input("w", &[3, 7]));
    let s = b.op("mul", &[x, scale]);
    let out = b.op("matmul", &[s, w]);
    let mut program = program::of(&b.finish(&[out]));
    assert_eq!(program::run_and_compare(&mut program, run), 1);

    // Columns that have to be copied too would be copied for each block of rows.
    let mut b = GraphBuilder::new();
    let (x, scale, w) = (b.input("x", &[5, 3]), b.input("scale", &[3]), b.input("w", &[7, 3]));
    let s = b.op("mul", &[x, scale]);
    let turned = permuted(&mut b, w, &[1, 0]);
    let out = b.op("matmul", &[s, turned]);
    let mut program = program::of(&b.finish(&[out]));
    mlcc_passes::fusion::inline_movement::run(&mut program);
    assert_eq!(program::run_and_compare(&mut program, run), 0);
}

#[test]
fn of_two_operands_the_larger_is_made() {
    let mut b = GraphBuilder::new();
    let (x, y) = (b.input("x", &[17, 3]), b.input("y", &[3, 70]));
    let (x, y) = (b.op("relu", &[x]), b.op("relu", &[y]));
    let out = b.op("matmul", &[x, y]);
    let mut program = program::of(&b.finish(&[out]));
    assert_eq!(program::run_and_compare(&mut program, run), 1);
    let kernels = program::kernels(&program);
    assert_eq!(kernels.len(), 2);
    let made = kernels[1].computes[0].target;
    assert_eq!(kernels[1].tensors[made].ty.static_dims(), Some(vec![3, 70]));
}

#[test]
fn few_rows_read_columns_that_a_cache_holds_in_place() {
    for (rows, fused) in [(15, 0), (16, 1)] {
        let mut b = GraphBuilder::new();
        let (a, x) = (b.input("a", &[rows, 3]), b.input("x", &[3, 7]));
        let e = b.op("relu", &[x]);
        let out = b.op("matmul", &[a, e]);
        let mut program = program::of(&b.finish(&[out]));
        assert_eq!(program::run_and_compare(&mut program, run), fused, "{rows} rows");
    }
}

#[test]
fn what_others_read_or_windows_read_stays() {
    let mut b = GraphBuilder::new();
    let (a, x) = (b.input("a", &[17, 3]), b.input("x", &[3, 7]));
    let e = b.op("relu", &[x]);
    let (out, other) = (b.op("matmul", &[a, e]), b.op("neg", &[e]));
    let mut program = program::of(&b.finish(&[out, other]));
    assert_eq!(program::run_and_compare(&mut program, run), 0);

    let mut b = GraphBuilder::new();
    let (x, w) = (b.input("x", &[1, 3, 6, 6]), b.input("w", &[4, 3, 3, 3]));
    let e = b.op("relu", &[x]);
    let out = b.op_with("conv", &[e, w], convolution(1));
    let mut program = program::of(&b.finish(&[out]));
    assert_eq!(program::run_and_compare(&mut program, run), 0);
}

#[test]
fn a_product_with_itself_takes_it_as_it_is() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", &[25, 25]);
    let e = b.op("relu", &[x]);
    let out = b.op("matmul", &[e, e]);
    let mut program = program::of(&b.finish(&[out]));
    assert_eq!(program::run_and_compare(&mut program, run), 0);
}

#[test]
fn a_convolution_by_single_elements_is_a_product() {
    let mut b = GraphBuilder::new();
    let (x, scale, w) =
        (b.input("x", &[2, 3, 4, 5]), b.input("scale", &[2, 3, 1, 1]), b.input("w", &[17, 3, 1, 1]));
    let s = b.op("mul", &[x, scale]);
    let out = b.op_with("conv", &[s, w], convolution(0));
    let mut program = program::of(&b.finish(&[out]));
    assert_eq!(program::run_and_compare(&mut program, run), 1);
}
