//! `assign-layouts`.

use crate::{graph_builder::GraphBuilder, program};
use mlcc_ir::{
    attributes::{Attr, Attrs},
    graph::ValueId,
};
use mlcc_passes::{fusion::fuse_epilogue, layout::assign_layouts::run};

fn weights(b: &mut GraphBuilder, dims: &[i64]) -> ValueId {
    let n = dims.iter().product::<i64>();
    b.constant(dims, &(0..n).map(|i| (i * 7 % 11) as f32 / 11.0 - 0.4).collect::<Vec<_>>())
}

fn same_padding() -> Attrs {
    let pads = Attrs::new().with("group", Attr::Int(1)).with("pads", Attr::Ints(vec![1; 4]));
    pads.with("strides", Attr::Ints(vec![1; 2])).with("dilations", Attr::Ints(vec![1; 2]))
}

#[test]
fn channels_lie_innermost_from_convolution_to_convolution() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", &[2, 3, 6, 5]);
    let (k, l) = (weights(&mut b, &[7, 3, 3, 3]), weights(&mut b, &[4, 7, 3, 3]));
    let first = b.op_with("conv", &[x, k], same_padding());
    let active = b.op("exp", &[first]);
    let second = b.op_with("conv", &[active, l], same_padding());
    let out = b.op("neg", &[second]);
    let mut program = program::of(&b.finish(&[out]));
    fuse_epilogue::run(&mut program);
    assert_eq!(program::run_and_compare(&mut program, run), 1);
    let dims: Vec<_> = program.tensors.iter().map(|t| t.ty.static_dims().unwrap()).collect();
    assert!(dims.contains(&vec![2, 6, 5, 7]), "{dims:?}");
    // Tensors that the caller sees keep their order.
    assert!(program.outputs.iter().all(|(_, id)| dims[*id] == [2, 4, 6, 5]));
}

#[test]
fn matrix_products_have_nothing_to_change() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", &[2, 5, 6]);
    let (k, l) = (weights(&mut b, &[6, 7]), weights(&mut b, &[7, 4]));
    let first = b.op("matmul", &[x, k]);
    let out = b.op("matmul", &[first, l]);
    let mut program = program::of(&b.finish(&[out]));
    assert_eq!(program::run_and_compare(&mut program, run), 0);
}
