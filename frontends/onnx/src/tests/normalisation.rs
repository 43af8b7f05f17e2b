//! One operator in several opsets gives the same graph.

use super::models::{
    FLOAT, float, float_weight, graph_of, imported, int, ints, listing, model, node, operators, output_type,
    text, value,
};
use crate::proto::{GraphProto, NodeProto};
use mlcc_ir::{attributes::Attr, diagnostic::Fault, graph::Graph};

const X: &[(&str, &str)] = &[("x", "2 3 4")];

/// Asserts that two spellings are the same operators on `x: 2x3x4`.
fn assert_same(old: (i64, NodeProto), new: (i64, NodeProto), weights: &[(&str, &[i64])]) {
    let (old, new) = (graph_of(old.0, old.1, X, weights), graph_of(new.0, new.1, X, weights));
    assert!(!old.nodes.is_empty());
    assert_eq!(operators(&old), operators(&new));
    assert_eq!(output_type(&old, 0), output_type(&new, 0));
}

/// A node of an old opset, one of a newer, the weights of the newer.
type Case = (NodeProto, i64, NodeProto, i64, &'static [(&'static str, &'static [i64])]);

#[test]
fn attributes_that_became_operands() {
    let cases: [Case; 8] = [
        (
            node("y = Unsqueeze(x)", vec![ints("axes", &[0, 4])]),
            11,
            node("y = Unsqueeze(x, a)", vec![]),
            13,
            &[("a", &[0, -1])],
        ),
        (
            node("y = Slice(x)", vec![ints("axes", &[2]), ints("starts", &[1]), ints("ends", &[-1])]),
            9,
            node("y = Slice(x, s, e, a)", vec![]),
            10,
            &[("s", &[1]), ("e", &[3]), ("a", &[-1])],
        ),
        (
            node("y = Pad(x)", vec![ints("pads", &[0, 1, 0, 0, 0, 2]), text("mode", "reflect")]),
            2 + 5,
            node("y = Pad(x, p)", vec![text("mode", "reflect")]),
            11,
            &[("p", &[0, 1, 0, 0, 0, 2])],
        ),
        (
            node("y = Pad(x)", vec![ints("pads", &[0, 1, 0, 0, 0, 2])]),
            7,
            node("y = Pad(x, p, , a)", vec![]),
            18,
            &[("p", &[1, 0, 0, 2]), ("a", &[1, 2])],
        ),
        (
            node("y = ReduceSum(x)", vec![ints("axes", &[-1, 0])]),
            11,
            node("y = ReduceSum(x, a)", vec![]),
            13,
            &[("a", &[0, 2])],
        ),
        (
            node("y = ReduceMean(x)", vec![ints("axes", &[1]), int("keepdims", 0)]),
            13,
            node("y = ReduceMean(x, a)", vec![int("keepdims", 0)]),
            18,
            &[("a", &[1])],
        ),
        (
            node("y z = Split(x)", vec![int("axis", 2), ints("split", &[1, 3])]),
            11,
            node("y z = Split(x, s)", vec![int("axis", -1)]),
            13,
            &[("s", &[1, 3])],
        ),
        (
            node("y i = TopK(x)", vec![int("k", 2)]),
            7,
            node("y i = TopK(x, k)", vec![int("axis", 2)]),
            11,
            &[("k", &[2])],
        ),
    ];
    for (old, old_opset, new, new_opset, weights) in cases {
        assert_same((old_opset, old), (new_opset, new), weights);
    }
}

#[test]
fn squeeze_without_axes_takes_all_ones() {
    let graph = graph_of(13, node("y = Squeeze(x)", vec![]), &[("x", "1 n 1 3")], &[]);
    assert_eq!(output_type(&graph, 0).to_string(), "(n)x3xf32");
}

#[test]
fn old_softmax_is_over_all_dimensions_from_the_axis_on() {
    let old = graph_of(12, node("y = Softmax(x)", vec![]), X, &[]);
    assert_eq!(listing(&old), ["reshape 2x12xf32", "softmax 2x12xf32", "reshape 2x3x4xf32"]);
    let new = graph_of(13, node("y = Softmax(x)", vec![]), X, &[]);
    assert_eq!(listing(&new), ["softmax 2x3x4xf32"]);
    assert_eq!(new.nodes[0].attrs.get("axis"), Some(&Attr::Int(2)));
}

#[test]
fn reductions_without_axes() {
    let all = graph_of(18, node("y = ReduceMax(x)", vec![int("keepdims", 0)]), X, &[]);
    assert_eq!(output_type(&all, 0).to_string(), "f32");
    let none = graph_of(18, node("y = ReduceMax(x)", vec![int("noop_with_empty_axes", 1)]), X, &[]);
    assert!(none.nodes.is_empty());
    let squares = graph_of(18, node("y = ReduceSumSquare(x)", vec![int("noop_with_empty_axes", 1)]), X, &[]);
    assert_eq!(listing(&squares), ["mul 2x3x4xf32"]);
}

/// A node over `x: 2x3x4x4` and float weights.
fn with_floats(opset: i64, node: NodeProto, weights: &[(&str, &[i64], &[f32])]) -> Graph {
    let graph = GraphProto {
        input: vec![value("x", FLOAT, "2 3 4 4")],
        output: vec![crate::proto::ValueInfoProto { name: "y".into(), ty: None }],
        initializer: weights.iter().map(|(n, d, v)| float_weight(n, d, v)).collect(),
        node: vec![node],
        ..GraphProto::default()
    };
    imported(&model(opset, graph)).unwrap().graph
}

#[test]
fn clip_bounds() {
    let bounds = |graph: &Graph| -> Vec<Option<f64>> {
        let clip = graph.nodes.last().unwrap();
        assert_eq!(&*clip.op, "clip");
        clip.operands.iter().skip(1).map(|o| o.map(|id| graph.constant(id).unwrap().to_f64()[0])).collect()
    };
    let old = with_floats(7, node("y = Clip(x)", vec![float("max", 6.0), float("min", 0.0)]), &[]);
    assert_eq!(bounds(&old), [Some(0.0), Some(6.0)]);
    let new = with_floats(13, node("y = Clip(x, , m)", vec![]), &[("m", &[], &[6.0])]);
    assert_eq!(bounds(&new), [None, Some(6.0)]);
    assert!(with_floats(7, node("y = Clip(x)", vec![]), &[]).nodes.is_empty());
}

#[test]
fn gemm_is_a_product_with_what_its_factors_need() {
    let weights: &[(&str, &[i64], &[f32])] = &[("a", &[2, 2], &[1.0; 4]), ("c", &[2], &[1.0; 2])];
    let plain = with_floats(13, node("y = Gemm(a, a, c)", vec![int("transB", 1)]), weights);
    assert_eq!(listing(&plain), ["matmul 2x2xf32", "add 2x2xf32"]);
    assert!(plain.nodes[0].attrs.bool("transpose_b", false));
    let scaled = node("y = Gemm(a, a, c)", vec![float("alpha", 0.5), float("beta", 0.25)]);
    let scaled = with_floats(13, scaled, weights);
    assert_eq!(listing(&scaled), ["matmul 2x2xf32", "mul 2x2xf32", "mul 2xf32", "add 2x2xf32"]);
    let without = with_floats(13, node("y = Gemm(a, a, c)", vec![float("beta", 0.0)]), weights);
    assert_eq!(listing(&without), ["matmul 2x2xf32"]);
}

#[test]
fn resize_before_and_after_coordinate_modes() {
    let scales: &[(&str, &[i64], &[f32])] = &[("s", &[4], &[1.0, 1.0, 2.0, 2.0])];
    let upsample = with_floats(9, node("y = Upsample(x, s)", vec![text("mode", "linear")]), scales);
    let resize = with_floats(10, node("y = Resize(x, s)", vec![text("mode", "linear")]), scales);
    assert_eq!(operators(&upsample), operators(&resize));
    let newest = with_floats(19, node("y = Resize(x, , s)", vec![text("mode", "linear")]), scales);
    let mode = |g: &Graph| g.nodes[0].attrs.str("coordinate_mode", "").to_owned();
    assert_eq!([mode(&resize), mode(&newest)], ["asymmetric", "half_pixel"]);
    assert_eq!(output_type(&newest, 0).to_string(), "2x3x8x8xf32");
}

#[test]
fn batch_normalization_of_training_is_refused_or_decomposed() {
    let one: &[f32] = &[1.0; 3];
    let weights: &[(&str, &[i64], &[f32])] = &[("p", &[3], one)];
    let inference = with_floats(9, node("y = BatchNormalization(x, p, p, p, p)", vec![]), weights);
    assert_eq!(listing(&inference), ["batch_norm 2x3x4x4xf32"]);
    let graph = GraphProto {
        input: vec![value("x", FLOAT, "2 3 4 4")],
        initializer: vec![float_weight("p", &[3], one)],
        node: vec![node("y m = BatchNormalization(x, p, p, p, p)", vec![])],
        ..GraphProto::default()
    };
    let found = imported(&model(9, graph)).unwrap_err();
    assert_eq!(found[0].fault, Fault::Unsupported);
    let training = node("y m v = BatchNormalization(x, p, p, p, p)", vec![int("training_mode", 1)]);
    let training = with_floats(15, training, weights);
    assert_eq!(listing(&training)[0], "reduce_mean 1x3x1x1xf32");
}

#[test]
fn transposed_convolution_meets_its_output_shape() {
    let weights: &[(&str, &[i64], &[f32])] = &[("w", &[3, 1, 3, 3], &[0.5; 27])];
    for (attributes, size) in [
        (vec![ints("strides", &[2, 2]), ints("output_shape", &[9, 8])], "9x8"),
        (vec![ints("strides", &[3, 3]), ints("output_shape", &[13, 14])], "13x14"),
        (vec![ints("strides", &[2, 2]), text("auto_pad", "SAME_UPPER")], "8x8"),
        // If windows are shorter than the stride, nothing is padded and nothing is added.
        (vec![ints("strides", &[5, 5]), text("auto_pad", "SAME_LOWER")], "18x18"),
        (vec![ints("strides", &[2, 2]), text("auto_pad", "VALID")], "9x9"),
        (vec![ints("strides", &[2, 2]), ints("pads", &[1, 1, 0, 0])], "8x8"),
    ] {
        let graph = with_floats(22, node("y = ConvTranspose(x, w)", attributes), weights);
        assert_eq!(output_type(&graph, 0).to_string(), format!("2x1x{size}xf32"));
    }
}
