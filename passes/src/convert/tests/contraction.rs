//! Matrix products, einsum, convolutions.

use super::harness::*;
use mlcc_ir::{
    attributes::Attr,
    kernel::Combine,
    program::{Program, Step},
    scalar::Inst,
};

#[test]
fn matmul_broadcasts_and_transposes() {
    let shapes: [(&[i64], &[i64]); 9] = [
        (&[5, 7], &[7, 3]),
        (&[2, 5, 7], &[7, 3]),
        (&[5, 7], &[2, 7, 3]),
        (&[2, 1, 5, 7], &[3, 7, 4]),
        (&[7], &[7, 3]),
        (&[5, 7], &[7]),
        (&[7], &[7]),
        (&[2, 5, 7], &[7]),
        (&[7], &[2, 7, 3]),
    ];
    for (a, b) in shapes {
        assert_agrees_as("matmul", &attrs(&[]), &[f32s(a), f32s(b)], &ALL_ROLES);
    }
    for (ta, tb) in [(true, false), (false, true), (true, true)] {
        let a = attrs(&[("transpose_a", Attr::Bool(ta)), ("transpose_b", Attr::Bool(tb))]);
        let (da, db) = (if ta { [2, 7, 5] } else { [2, 5, 7] }, if tb { [2, 3, 7] } else { [2, 7, 3] });
        assert_agrees("matmul", &a, &[f32s(&da), f32s(&db)]);
    }
    for dtype in FLOATS.into_iter().chain([I32, I64, U32, U64]) {
        assert_agrees("matmul", &attrs(&[]), &[any(dtype, &[5, 7]), any(dtype, &[7, 3])]);
    }
}

#[test]
fn einsum_equations() {
    let cases: [(&str, &[&[i64]]); 10] = [
        ("bij,bjk->bik", &[&[2, 3, 5], &[2, 5, 4]]),
        ("bhid,bhjd->bhij", &[&[2, 3, 4, 5], &[2, 3, 6, 5]]),
        ("ij->ji", &[&[3, 5]]),
        ("ij->", &[&[3, 5]]),
        ("ii->i", &[&[4, 4]]),
        ("i,j->ij", &[&[3], &[5]]),
        ("...ij,...jk->...ik", &[&[2, 3, 5], &[5, 4]]),
        ("ij,jk", &[&[3, 5], &[5, 4]]),
        ("ij,jk,kl->il", &[&[3, 5], &[5, 4], &[4, 2]]),
        ("b...,b...->...", &[&[2, 3, 5], &[2, 3, 5]]),
    ];
    for (equation, shapes) in cases {
        let operands: Vec<_> = shapes.iter().map(|d| f32s(d)).collect();
        assert_agrees_as("einsum", &attrs(&[("equation", text(equation))]), &operands, &ALL_ROLES);
    }
}

fn conv_attrs(strides: &[i64], pads: &[i64], dilations: &[i64], group: i64) -> mlcc_ir::attributes::Attrs {
    attrs(&[
        ("strides", ints(strides)),
        ("pads", ints(pads)),
        ("dilations", ints(dilations)),
        ("group", Attr::Int(group)),
    ])
}

#[test]
fn convolutions_of_one_to_three_dimensions() {
    assert_agrees("conv", &conv_attrs(&[2], &[1, 2], &[1], 1), &[f32s(&[2, 3, 11]), f32s(&[4, 3, 3])]);
    let a = conv_attrs(&[2, 1], &[1, 0, 1, 2], &[1, 2], 1);
    assert_agrees_as("conv", &a, &[f32s(&[2, 3, 9, 11]), f32s(&[4, 3, 3, 2]), f32s(&[4])], &ALL_ROLES);
    let a = conv_attrs(&[1, 2, 1], &[1, 1, 0, 0, 1, 2], &[1, 1, 1], 1);
    assert_agrees("conv", &a, &[f32s(&[1, 2, 5, 7, 6]), f32s(&[3, 2, 3, 2, 3])]);
    // Grouped, depthwise (also with a multiplier), pointwise.
    let a = |group| conv_attrs(&[1, 1], &[1, 1, 1, 1], &[1, 1], group);
    assert_agrees("conv", &a(2), &[f32s(&[2, 6, 7, 5]), f32s(&[4, 3, 3, 3]), f32s(&[4])]);
    assert_agrees("conv", &a(6), &[f32s(&[2, 6, 7, 5]), f32s(&[6, 1, 3, 3]), f32s(&[6])]);
    assert_agrees("conv", &a(3), &[f32s(&[2, 3, 7, 5]), f32s(&[6, 1, 3, 3])]);
    let pointwise = |group| conv_attrs(&[2, 2], &[0, 0, 0, 0], &[1, 1], group);
    assert_agrees("conv", &pointwise(1), &[f32s(&[2, 6, 7, 5]), f32s(&[4, 6, 1, 1])]);
    assert_agrees("conv", &pointwise(6), &[f32s(&[2, 6, 7, 5]), f32s(&[6, 1, 1, 1]), f32s(&[6])]);
    // Negative padding cuts the input.
    assert_agrees("conv", &conv_attrs(&[1], &[-1, -2], &[1], 1), &[f32s(&[2, 3, 11]), f32s(&[4, 3, 3])]);
    for dtype in FLOATS {
        assert_agrees(
            "conv",
            &a(1),
            &[any(dtype, &[1, 3, 5, 7]), any(dtype, &[2, 3, 3, 3]), any(dtype, &[2])],
        );
    }
}

#[test]
fn transposed_convolutions() {
    assert_agrees(
        "conv_transpose",
        &conv_attrs(&[2], &[1, 0], &[1], 1),
        &[f32s(&[2, 3, 5]), f32s(&[3, 4, 3])],
    );
    let a = conv_attrs(&[2, 3], &[1, 0, 1, 2], &[1, 2], 1);
    assert_agrees_as(
        "conv_transpose",
        &a,
        &[f32s(&[2, 3, 4, 5]), f32s(&[3, 4, 3, 2]), f32s(&[4])],
        &ALL_ROLES,
    );
    let a = conv_attrs(&[1, 2], &[0, 0, 0, 0], &[1, 1], 2).with("output_padding", ints(&[0, 1]));
    assert_agrees("conv_transpose", &a, &[f32s(&[2, 6, 4, 5]), f32s(&[6, 2, 3, 3]), f32s(&[4])]);
    // Sizes that are multiples of the strides, with kernels that are and are not.
    for (kernel, pads) in
        [([4, 2], [1, 0, 1, 0]), ([3, 3], [1, 1, 0, 0]), ([2, 2], [0; 4]), ([1, 2], [0, 1, -1, -1])]
    {
        let a = conv_attrs(&[2, 2], &pads, &[1, 1], 1);
        let operands = [f32s(&[2, 3, 4, 5]), f32s(&[3, 4, kernel[0], kernel[1]]), f32s(&[4])];
        assert_agrees_as("conv_transpose", &a, &operands, &ALL_ROLES);
    }
    let a = conv_attrs(&[2, 1, 2], &[0; 6], &[1, 1, 1], 1);
    assert_agrees("conv_transpose", &a, &[f32s(&[1, 2, 3, 4, 2]), f32s(&[2, 3, 2, 2, 1])]);
}

/// The first kernel of the program for an operator on static inputs.
fn lowered(op: &str, a: &mlcc_ir::attributes::Attrs, operands: &[mlcc_ir::tensor::Tensor]) -> Program {
    let operands: Vec<_> = operands.iter().cloned().map(Some).collect();
    let (g, inputs) = single(op, a, &operands, As::Inputs);
    assert_graph_agrees(&g, &inputs)
}

#[test]
fn a_contraction_is_one_reduction_of_a_product_of_reads() {
    let padded = conv_attrs(&[1, 1], &[1, 1, 1, 1], &[1, 1], 1);
    let cases = [
        ("matmul", attrs(&[]), vec![f32s(&[2, 5, 7]), f32s(&[7, 3])], "i0 m n k", 0),
        ("conv", padded, vec![f32s(&[1, 3, 5, 5]), f32s(&[4, 3, 3, 3]), f32s(&[4])], "n m h w c kh kw", 1),
        (
            "conv",
            conv_attrs(&[2, 2], &[0; 4], &[1, 1], 6),
            vec![f32s(&[1, 6, 5, 5]), f32s(&[6, 1, 3, 3])],
            "n g h w kh kw",
            0,
        ),
    ];
    for (op, a, operands, axes, checked) in cases {
        let program = lowered(op, &a, &operands);
        let [Step::Kernel { kernel, .. }] = &program.steps[..] else { panic!("{op}: {:?}", program.steps) };
        let reductions: Vec<_> = kernel.computes.iter().filter(|c| c.is_reduction()).collect();
        let [compute] = reductions[..] else { panic!("{op}: {kernel:?}") };
        let names: Vec<&str> = compute.axes.iter().map(|a| &*a.name).collect();
        assert_eq!(names.join(" "), axes);
        assert_eq!(compute.combine, Some(Combine::Add));
        let kinds: Vec<&Inst> = compute.body.insts.iter().map(|(i, _)| i).collect();
        assert!(matches!(kinds[..], [Inst::Read { .. }, Inst::Read { .. }, Inst::Binary(..)]), "{kinds:?}");
        let outside = kinds.iter().filter(|i| matches!(i, Inst::Read { outside: Some(_), .. })).count();
        assert_eq!(outside, checked, "{op}: reads that may leave their operand");
    }
}
