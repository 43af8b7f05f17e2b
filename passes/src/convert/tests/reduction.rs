//! Reductions, softmax, cumulative sums, pooling.

use super::harness::*;
use mlcc_ir::attributes::Attr;

#[test]
fn reductions_over_axes() {
    for op in ["reduce_sum", "reduce_mean", "reduce_max", "reduce_min", "reduce_prod"] {
        for axes in [&[0][..], &[1], &[2], &[0, 2], &[0, 1, 2], &[]] {
            for keepdims in [true, false] {
                let a = attrs(&[("axes", ints(axes)), ("keepdims", Attr::Bool(keepdims))]);
                assert_agrees_as(op, &a, &[f32s(&[3, 4, 5])], &[As::Inputs, As::Symbolic]);
            }
        }
        for dtype in FLOATS.into_iter().chain(INTS) {
            let a = attrs(&[("axes", ints(&[1])), ("keepdims", Attr::Bool(false))]);
            assert_agrees(op, &a, &[any(dtype, &[3, 2, 5])]);
        }
    }
    for op in ["reduce_max", "reduce_min"] {
        assert_agrees(op, &attrs(&[("axes", ints(&[1]))]), &[any(Bool, &[9, 3])]);
    }
}

#[test]
fn softmax_and_its_logarithm() {
    for op in ["softmax", "log_softmax"] {
        for axis in 0..3 {
            let a = attrs(&[("axis", Attr::Int(axis))]);
            assert_agrees_as(op, &a, &[between(F32, &[3, 4, 5], -30.0, 30.0)], &[As::Inputs, As::Symbolic]);
        }
        for dtype in FLOATS {
            assert_agrees(op, &attrs(&[("axis", Attr::Int(1))]), &[any(dtype, &[3, 17])]);
        }
    }
}

#[test]
fn cumulative_sums_and_products() {
    for op in ["cumsum", "cumprod"] {
        for axis in 0..2 {
            for (exclusive, reverse) in [(false, false), (true, false), (false, true), (true, true)] {
                let a = attrs(&[
                    ("axis", Attr::Int(axis)),
                    ("exclusive", Attr::Bool(exclusive)),
                    ("reverse", Attr::Bool(reverse)),
                ]);
                assert_agrees_as(op, &a, &[f32s(&[4, 7])], &[As::Inputs, As::Symbolic]);
            }
        }
        for dtype in FLOATS.into_iter().chain(INTS) {
            assert_agrees(op, &attrs(&[("axis", Attr::Int(1))]), &[between(dtype, &[3, 4], 1.0, 4.0)]);
        }
        assert_agrees(op, &attrs(&[("axis", Attr::Int(0))]), &[f32s(&[0, 3])]);
    }
}

#[test]
fn a_pool_larger_than_its_input_by_less_than_a_stride_has_one_window() {
    for (kernel, stride, pads, dilation) in [(5, 3, [0, 0], 1), (5, 4, [1, 0], 1), (3, 3, [0, 1], 2)] {
        let a = attrs(&[
            ("kernel", ints(&[kernel])),
            ("strides", ints(&[stride])),
            ("pads", ints(&pads)),
            ("dilations", ints(&[dilation])),
        ]);
        for op in ["max_pool", "average_pool"] {
            assert_agrees_as(op, &a, &[f32s(&[2, 3, 3])], &[As::Inputs]);
        }
        let counted = a.clone().with("count_include_pad", Attr::Bool(true));
        assert_agrees_as("average_pool", &counted, &[f32s(&[2, 3, 3])], &[As::Inputs]);
    }
}

#[test]
fn pooling_with_padding_dilation_and_ceil_mode() {
    let base = |strides: &[i64], pads: &[i64], dilations: &[i64], ceil: bool| {
        attrs(&[
            ("kernel", ints(&[3, 2])),
            ("strides", ints(strides)),
            ("pads", ints(pads)),
            ("dilations", ints(dilations)),
            ("ceil_mode", Attr::Bool(ceil)),
        ])
    };
    let cases = [
        base(&[1, 1], &[0; 4], &[1, 1], false),
        base(&[2, 3], &[1, 0, 1, 1], &[1, 1], false),
        base(&[2, 2], &[1, 1, 1, 1], &[1, 1], true),
        base(&[2, 2], &[1, 1, 0, 1], &[2, 3], false),
        base(&[3, 2], &[0; 4], &[1, 1], true),
    ];
    for a in &cases {
        let x = || f32s(&[2, 3, 8, 11]);
        let roles = [As::Inputs, As::Symbolic];
        assert_agrees_as("max_pool", a, &[x()], &roles);
        assert_agrees_as("max_pool", &a.clone().with("storage_order", Attr::Int(1)), &[x()], &roles);
        assert_agrees_as("average_pool", a, &[x()], &roles);
        assert_agrees_as(
            "average_pool",
            &a.clone().with("count_include_pad", Attr::Bool(true)),
            &[x()],
            &roles,
        );
        for p in 1..4 {
            assert_agrees_as("lp_pool", &a.clone().with("p", Attr::Int(p)), &[x()], &roles);
        }
    }
    for dtype in FLOATS.into_iter().chain([I8, U8]) {
        assert_agrees("max_pool", &cases[1], &[any(dtype, &[1, 2, 7, 9])]);
    }
    for dtype in FLOATS {
        assert_agrees("average_pool", &cases[1], &[any(dtype, &[1, 2, 7, 9])]);
    }
    let line = attrs(&[("kernel", ints(&[3])), ("strides", ints(&[2])), ("pads", ints(&[1, 1]))]);
    let cube = attrs(&[
        ("kernel", ints(&[2, 1, 3])),
        ("strides", ints(&[1, 2, 1])),
        ("pads", ints(&[0, 0, 1, 1, 0, 1])),
    ]);
    for op in ["max_pool", "average_pool"] {
        assert_agrees(op, &line, &[f32s(&[2, 3, 9])]);
        assert_agrees(op, &cube, &[f32s(&[1, 2, 4, 5, 6])]);
    }
}
