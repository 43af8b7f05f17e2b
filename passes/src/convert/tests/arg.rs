//! Positions of extreme values.

use super::harness::*;
use mlcc_ir::{attributes::Attr, tensor::Tensor};

#[test]
fn arg_max_and_min_of_ties() {
    for op in ["arg_max", "arg_min"] {
        for axis in 0..2 {
            for (keepdims, last) in [(true, false), (false, true), (false, false), (true, true)] {
                let a = attrs(&[
                    ("axis", Attr::Int(axis)),
                    ("keepdims", Attr::Bool(keepdims)),
                    ("select_last", Attr::Bool(last)),
                ]);
                assert_agrees_as(op, &a, &[between(F32, &[5, 7], 0.0, 3.0)], &[As::Inputs, As::Symbolic]);
                for dtype in INTS.into_iter().chain(FLOATS) {
                    assert_agrees(op, &a, &[between(dtype, &[5, 9], 0.0, 3.0)]);
                }
                assert_agrees(op, &a, &[between(I32, &[5, 9], 0.0, 2.0)]);
            }
        }
    }
}

#[test]
fn arg_max_finds_nan() {
    let x = Tensor::from_f32(&[2, 3], &[1.0, f32::NAN, 7.0, 1.0, 2.0, 0.0]);
    assert_agrees("arg_max", &attrs(&[("axis", Attr::Int(1))]), &[x]);
}

#[test]
fn hardmax_marks_the_first() {
    for axis in 0..2 {
        for dtype in FLOATS {
            assert_agrees("hardmax", &attrs(&[("axis", Attr::Int(axis))]), &[any(dtype, &[4, 9])]);
        }
    }
    assert_agrees("hardmax", &attrs(&[("axis", Attr::Int(0))]), &[Tensor::from_f32(&[3], &[1.0, 2.0, 2.0])]);
}

#[test]
fn top_k_in_order() {
    for largest in [true, false] {
        for axis in 0..2 {
            let a = |k| {
                attrs(&[
                    ("k", ints(&[k])),
                    ("axis", Attr::Int(axis)),
                    ("largest", Attr::Bool(largest)),
                    ("sorted", Attr::Bool(true)),
                ])
            };
            for k in [0, 1, 3, 5] {
                assert_agrees_as("top_k", &a(k), &[f32s(&[5, 7])], &[As::Inputs, As::Symbolic]);
            }
            for dtype in INTS.into_iter().chain(FLOATS) {
                assert_agrees("top_k", &a(4), &[between(dtype, &[5, 9], 0.0, 4.0)]);
                // Lines that are too long to compare each element with every other.
                assert_agrees("top_k", &a(4), &[between(dtype, &[70, 65], 0.0, 4.0)]);
            }
            let special = [1.0, f32::NAN, f32::INFINITY, -1.0, f32::NAN, f32::NEG_INFINITY];
            assert_agrees("top_k", &a(1), &[Tensor::from_f32(&[2, 3], &special)]);
        }
    }
}
