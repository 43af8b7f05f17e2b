//! Movement of elements, padding.

use super::harness::*;
use mlcc_ir::{attributes::Attr, dtype::DType, program::Step, tensor::Tensor};

#[test]
fn reshape_and_transpose() {
    for dtype in DType::ALL {
        assert_agrees_as(
            "reshape",
            &attrs(&[("shape", ints(&[5, 12]))]),
            &[any(dtype, &[3, 4, 5])],
            &[As::Inputs],
        );
        assert_agrees_as(
            "transpose",
            &attrs(&[("perm", ints(&[2, 0, 1]))]),
            &[any(dtype, &[3, 4, 5])],
            &[As::Inputs],
        );
    }
    for perm in [[0, 2, 1], [1, 0, 2], [2, 1, 0], [0, 1, 2]] {
        let a = attrs(&[("perm", ints(&perm))]);
        assert_agrees_as("transpose", &a, &[f32s(&[3, 4, 5])], &[As::Inputs, As::Symbolic]);
        assert_agrees_as("transpose", &a, &[f32s(&[3, 1, 5])], &[As::Inputs, As::Symbolic]);
    }
}

#[test]
fn concat_along_each_axis() {
    for axis in 0..3 {
        let mut second = [3, 4, 5];
        second[axis] = 2;
        let a = attrs(&[("axis", Attr::Int(axis as i64))]);
        let operands = [f32s(&[3, 4, 5]), f32s(&second), f32s(&[3, 4, 5])];
        assert_agrees_as("concat", &a, &operands, &ALL_ROLES);
    }
    assert_agrees("concat", &attrs(&[("axis", Attr::Int(1))]), &[f32s(&[3, 4]), f32s(&[3, 0])]);
    assert_agrees("concat", &attrs(&[("axis", Attr::Int(1))]), &[f32s(&[3, 4])]);
    assert_agrees("concat", &attrs(&[("axis", Attr::Int(1))]), &[f32s(&[3, 0]), f32s(&[3, 0])]);
    assert_agrees("concat", &attrs(&[("axis", Attr::Int(0))]), &[f32s(&[2, 0]), f32s(&[1, 0])]);
    for dtype in DType::ALL {
        assert_agrees(
            "concat",
            &attrs(&[("axis", Attr::Int(0))]),
            &[any(dtype, &[2, 3]), any(dtype, &[1, 3])],
        );
    }
}

#[test]
fn a_concatenation_of_many_parts_is_several_kernels() {
    let parts: Vec<_> = (0..150).map(|i| f32s(&[2, [1, 3, 0][i % 3], 2])).collect();
    assert_agrees_as("concat", &attrs(&[("axis", Attr::Int(1))]), &parts, &ALL_ROLES);
}

fn slice(starts: &[i64], sizes: &[i64], steps: &[i64]) -> mlcc_ir::attributes::Attrs {
    attrs(&[("starts", ints(starts)), ("sizes", ints(sizes)), ("steps", ints(steps))])
}

#[test]
fn slices_forwards_and_backwards() {
    let x = f32s(&[4, 5, 6]);
    for a in [
        slice(&[1, 0, 0], &[2, 5, 6], &[1, 1, 1]),
        slice(&[1, 2, 0], &[1, 2, 6], &[1, 1, 1]),
        slice(&[3, 1, 2], &[1, 1, 3], &[-1, 2, 1]),
        slice(&[0, 1, 0], &[4, 3, 6], &[1, 1, 1]),
        slice(&[3, 4, 5], &[4, 3, 3], &[-1, -2, -2]),
        slice(&[0, 0, 1], &[4, 5, 2], &[1, 1, 3]),
        slice(&[0, 0, 0], &[0, 5, 6], &[1, 1, 1]),
    ] {
        assert_agrees_as("slice", &a, std::slice::from_ref(&x), &[As::Inputs, As::Symbolic]);
    }
}

#[test]
fn a_contiguous_slice_is_a_view() {
    let (g, inputs) = single("slice", &slice(&[1, 0], &[2, 5], &[1, 1]), &[Some(f32s(&[4, 5]))], As::Inputs);
    let program = assert_graph_agrees(&g, &inputs);
    assert!(matches!(program.steps[..], [Step::Copy { .. }]), "{:?}", program.steps);
}

#[test]
fn expand_tile_and_reverse() {
    for shape in [&[3, 4, 5][..], &[2, 3, 4, 5], &[1, 3, 4, 1]] {
        let a = attrs(&[("shape", ints(shape))]);
        assert_agrees_as("expand", &a, &[f32s(&[3, 4, 1])], &[As::Inputs, As::Symbolic]);
    }
    assert_agrees("expand", &attrs(&[("shape", ints(&[3, 2]))]), &[f32s(&[])]);
    for dtype in DType::ALL {
        assert_agrees("expand", &attrs(&[("shape", ints(&[4, 3, 5]))]), &[any(dtype, &[3, 1])]);
        assert_agrees("tile", &attrs(&[("repeats", ints(&[2, 1, 3]))]), &[any(dtype, &[3, 2, 5])]);
    }
    assert_agrees_as(
        "tile",
        &attrs(&[("repeats", ints(&[2, 3]))]),
        &[f32s(&[3, 4])],
        &[As::Inputs, As::Symbolic],
    );
    for (batch, time) in [(1, 0), (0, 1)] {
        let a = attrs(&[("batch_axis", Attr::Int(batch)), ("time_axis", Attr::Int(time))]);
        let lens = i64s(&[4], &[1, 4, 2, 3]);
        assert_agrees_as("reverse_sequence", &a, &[f32s(&[4, 4, 3]), lens], &ALL_ROLES);
    }
}

#[test]
fn padding_in_every_mode() {
    for mode in ["constant", "reflect", "edge", "wrap"] {
        let pads = if mode == "reflect" { [2, 0, 3, 1, 0, 2] } else { [2, 0, 3, 1, 0, 5] };
        let a = attrs(&[("pads", ints(&pads)), ("mode", text(mode))]);
        assert_agrees_as("pad", &a, &[f32s(&[4, 3, 5])], &[As::Inputs, As::Symbolic]);
        for dtype in DType::ALL {
            assert_agrees("pad", &a, &[any(dtype, &[4, 3, 5])]);
        }
    }
    let a = attrs(&[("pads", ints(&[1, -1, -1, 2])), ("mode", text("constant"))]);
    let value = Tensor::from_f32(&[], &[1.5]);
    assert_agrees_as("pad", &a, &[f32s(&[4, 5]), value], &ALL_ROLES);
    let a = attrs(&[("pads", ints(&[0, 0, 0, 0])), ("mode", text("constant"))]);
    assert_agrees("pad", &a, &[f32s(&[4, 5])]);
}
