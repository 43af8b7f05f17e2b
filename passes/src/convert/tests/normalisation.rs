//! Normalisations and quantisation.

use super::harness::*;
use mlcc_ir::attributes::Attr;

fn epsilon() -> (&'static str, Attr) {
    ("epsilon", Attr::Float(1e-3))
}

#[test]
fn over_the_last_axes() {
    for axis in 0..3 {
        let shape = &[3, 4, 5][axis..];
        let a = attrs(&[("axis", Attr::Int(axis as i64)), epsilon()]);
        assert_agrees_as("layer_norm", &a, &[f32s(&[3, 4, 5]), f32s(shape), f32s(shape)], &ALL_ROLES);
        assert_agrees("layer_norm", &a, &[f32s(&[3, 4, 5])]);
        assert_agrees_as("rms_norm", &a, &[f32s(&[3, 4, 5]), f32s(shape)], &ALL_ROLES);
    }
    let a = attrs(&[("axis", Attr::Int(1)), epsilon()]);
    for dtype in FLOATS {
        assert_agrees("layer_norm", &a, &[any(dtype, &[3, 19]), any(dtype, &[19]), any(dtype, &[19])]);
        assert_agrees("rms_norm", &a, &[any(dtype, &[3, 19]), any(dtype, &[19])]);
    }
}

#[test]
fn over_channels() {
    for dtype in FLOATS {
        let c = || any(dtype, &[6]);
        let variance = between(dtype, &[6], 0.1, 3.0);
        let x = any(dtype, &[2, 6, 3, 5]);
        assert_agrees_as(
            "batch_norm",
            &attrs(&[epsilon()]),
            &[x.clone(), c(), c(), c(), variance],
            &[As::Inputs, As::Constants],
        );
        assert_agrees("instance_norm", &attrs(&[epsilon()]), &[x.clone(), c(), c()]);
        for groups in [1, 2, 3, 6] {
            assert_agrees(
                "group_norm",
                &attrs(&[("groups", Attr::Int(groups)), epsilon()]),
                &[x.clone(), c(), c()],
            );
        }
    }
    assert_agrees_as(
        "instance_norm",
        &attrs(&[epsilon()]),
        &[f32s(&[2, 6, 7]), f32s(&[6]), f32s(&[6])],
        &ALL_ROLES,
    );
    for size in [1, 2, 3, 5] {
        let a = attrs(&[
            ("size", Attr::Int(size)),
            ("alpha", Attr::Float(0.2)),
            ("beta", Attr::Float(0.7)),
            ("bias", Attr::Float(1.5)),
        ]);
        assert_agrees_as("lrn", &a, &[f32s(&[2, 7, 3, 4])], &[As::Inputs, As::Symbolic]);
    }
}

#[test]
fn quantisation_per_tensor_axis_and_block() {
    for to in [I8, U8, I16, U16] {
        let a = attrs(&[("to", Attr::DType(to)), ("axis", Attr::Int(1))]);
        let scale = |dims: &[i64]| between(F32, dims, 0.02, 0.3);
        let zero = |dims: &[i64]| between(to, dims, 0.0, 20.0);
        let x = between(F32, &[3, 4, 5], -9.0, 9.0);
        assert_agrees_as("quantize_linear", &a, &[x.clone(), scale(&[]), zero(&[])], &ALL_ROLES);
        assert_agrees("quantize_linear", &a, &[x.clone(), scale(&[4]), zero(&[4])]);
        assert_agrees("quantize_linear", &a, &[x.clone(), scale(&[4])]);
        let blocks = a.clone().with("block_size", Attr::Int(3));
        assert_agrees("quantize_linear", &blocks, &[x, scale(&[3, 2, 5]), zero(&[3, 2, 5])]);

        let d = attrs(&[("axis", Attr::Int(1))]);
        let q = any(to, &[3, 4, 5]);
        for scale_type in [F32, F16] {
            let scale = |dims: &[i64]| between(scale_type, dims, 0.02, 0.3);
            assert_agrees("dequantize_linear", &d, &[q.clone(), scale(&[]), zero(&[])]);
            assert_agrees("dequantize_linear", &d, &[q.clone(), scale(&[4]), zero(&[4])]);
            let blocks = d.clone().with("block_size", Attr::Int(2));
            assert_agrees("dequantize_linear", &blocks, &[q.clone(), scale(&[3, 2, 5])]);
        }
    }
}
