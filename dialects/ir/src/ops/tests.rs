//! Tests of inference: shapes, known values, messages.

use super::*;
use crate::{attributes::Attr, diagnostic::Fault, dtype::DType};

fn e(text: &str) -> Expr {
    text.parse().unwrap()
}

fn ty(text: &str) -> TensorType {
    let mut parts: Vec<&str> = text.split('x').collect();
    let dtype = DType::from_mlir_name(parts.pop().unwrap()).unwrap();
    TensorType::new(dtype, parts.into_iter().map(e).collect())
}

fn attrs(list: &[(&str, Attr)]) -> Attrs {
    list.iter().fold(Attrs::new(), |a, (name, value)| a.with(name, value.clone()))
}

fn exprs(list: &[&str]) -> Attr {
    Attr::Exprs(list.iter().map(|t| e(t)).collect())
}

/// Results of an operator on operands of these types, as text.
fn types(op: &str, list: &[(&str, Attr)], operands: &[&str]) -> Result<Vec<String>> {
    let tys: Vec<TensorType> = operands.iter().map(|t| ty(t)).collect();
    let operands: Vec<_> = tys.iter().map(|ty| Some(Operand { ty, known: None, constant: None })).collect();
    Ok(infer(op, &attrs(list), &operands)?.into_iter().map(|r| r.ty.to_string()).collect())
}

fn message(op: &str, list: &[(&str, Attr)], operands: &[&str]) -> String {
    types(op, list, operands).unwrap_err().to_string()
}

/// Known values of an operator's result. The elements of its operands are known.
fn known(op: &str, list: &[(&str, Attr)], operands: &[(&str, &[&str])]) -> Option<String> {
    let held: Vec<(TensorType, Vec<Expr>)> =
        operands.iter().map(|(t, k)| (ty(t), k.iter().map(|t| e(t)).collect())).collect();
    let operands: Vec<_> =
        held.iter().map(|(ty, known)| Some(Operand { ty, known: Some(known), constant: None })).collect();
    infer(op, &attrs(list), &operands).unwrap().swap_remove(0).known.map(|k| format!("{k:?}"))
}

#[test]
fn a_pool_rounds_its_windows_towards_zero_and_a_convolution_refuses() {
    let windows = |size: i64, stride: i64| {
        let attrs = [("kernel", Attr::Ints(vec![5])), ("strides", Attr::Ints(vec![stride]))];
        let attrs = attrs.into_iter().fold(Attrs::new(), |a, (name, value)| a.with(name, value));
        let x = TensorType::of(DType::F32, &[1, 1, size]);
        let operand = Operand { ty: &x, known: None, constant: None };
        infer("max_pool", &attrs, &[Some(operand)]).map(|r| r[0].ty.dims[2].as_const())
    };
    assert_eq!(windows(5, 1).unwrap(), Some(1));
    assert_eq!(windows(3, 3).unwrap(), Some(1));
    assert!(windows(3, 2).unwrap_err().message.contains("spans 5 elements"));
    assert!(windows(4, 1).unwrap_err().message.contains("spans 5 elements"));
}

#[test]
fn definitions_are_sorted_and_unique() {
    let names: Vec<_> = definitions().iter().map(|d| d.name).collect();
    assert!(names.windows(2).all(|w| w[0] < w[1]), "{names:?}");
    assert!(definition("conv").is_some() && definition("convolve").is_none());
}

#[test]
fn elementwise_operators_broadcast() {
    assert_eq!(types("add", &[], &["nx1x4xf32", "3x4xf32"]).unwrap(), ["(n)x3x4xf32"]);
    assert_eq!(types("add", &[], &["nxf32", "7xf32"]).unwrap(), ["7xf32"]);
    assert_eq!(types("less", &[], &["2x3xf16", "f16"]).unwrap(), ["2x3xi1"]);
    assert_eq!(types("where", &[], &["nx1xi1", "1xmxi64", "i64"]).unwrap(), ["(n)x(m)xi64"]);
    let error = types("add", &[], &["nxf32", "mxf32"]).unwrap_err();
    assert!(error.message.contains("sizes 'n' and 'm' cannot broadcast"), "{error}");
    assert!(error.hint.unwrap().contains("--shape"));
    assert!(message("add", &[], &["2x3xf32", "2x4xf32"]).contains("sizes 3 and 4"));
    assert!(message("add", &[], &["2xf32", "2xf64"]).contains("must have the element type of operand 'a'"));
    assert!(message("exp", &[], &["2xi32"]).contains("floating-point elements for 'graph.exp'"));
    assert_eq!(types("cast", &[("to", Attr::DType(DType::I8))], &["nxf32"]).unwrap(), ["(n)xi8"]);
}

#[test]
fn calls_are_checked_against_definitions() {
    assert!(message("add", &[], &["2xf32"]).contains("operand 'b' of 'graph.add' is missing"));
    assert!(message("abs", &[], &["2xf32", "2xf32"]).contains("takes at most 1 operands"));
    assert!(message("softmax", &[], &["2xf32"]).contains("attribute 'axis' of 'graph.softmax' is missing"));
    assert!(message("abs", &[("axis", Attr::Int(0))], &["2xf32"]).contains("no attribute 'axis'"));
    assert!(message("softmax", &[("axis", Attr::Float(0.0))], &["2xf32"]).contains("must be Int"));
    assert_eq!(types("frobnicate", &[], &[]).unwrap_err().fault, Fault::Unsupported);
    let huge = &[("shape", Attr::Ints(vec![1 << 40, 1 << 40]))];
    assert!(message("expand", huge, &["f32"]).contains("too large"));
}

#[test]
fn matmul_follows_numpy() {
    assert_eq!(types("matmul", &[], &["bx1x5x4xf32", "7x4x6xf32"]).unwrap(), ["(b)x7x5x6xf32"]);
    assert_eq!(types("matmul", &[], &["4xf32", "2x4x6xf32"]).unwrap(), ["2x6xf32"]);
    assert_eq!(types("matmul", &[], &["4xf32", "4xf32"]).unwrap(), ["f32"]);
    let transposed = &[("transpose_a", Attr::Bool(true)), ("transpose_b", Attr::Bool(true))];
    assert_eq!(types("matmul", transposed, &["4xnxf32", "6x4xf32"]).unwrap(), ["(n)x6xf32"]);
    assert!(message("matmul", &[], &["2x3xf32", "4x5xf32"]).contains("sizes 3 and 4 cannot be contracted"));
    let equation = |t: &str| [("equation", Attr::Str(t.into()))];
    assert_eq!(
        types("einsum", &equation("b...i,...ij->b...j"), &["2x3x4xf32", "3x4x5xf32"]).unwrap(),
        ["2x3x5xf32"]
    );
    assert_eq!(types("einsum", &equation("ij,jk"), &["2x3xf32", "3xnxf32"]).unwrap(), ["2x(n)xf32"]);
    assert!(message("einsum", &equation("ij->ik"), &["2x3xf32"]).contains("no operand has"));
}

#[test]
fn convolutions_and_pools_count_windows() {
    let conv = |stride: i64, pad: i64, group: i64| {
        [
            ("strides", Attr::Ints(vec![stride; 2])),
            ("pads", Attr::Ints(vec![pad; 4])),
            ("group", Attr::Int(group)),
        ]
    };
    assert_eq!(
        types("conv", &conv(2, 3, 1), &["nx3x224xhxf32", "64x3x7x7xf32", "64xf32"]).unwrap(),
        ["(n)x64x112x(floordiv(h + 1, 2))xf32"]
    );
    assert!(message("conv", &conv(1, 0, 2), &["1x4x8x8xf32", "4x4x3x3xf32"]).contains("sizes 4 and 8"));
    assert!(message("conv", &conv(1, 0, 1), &["1x4x2x8xf32", "4x4x3x3xf32"]).contains("spans 3 elements"));
    assert_eq!(
        types("conv_transpose", &conv(2, 1, 1), &["1x4x5xwxf32", "4x6x3x3xf32"]).unwrap(),
        ["1x6x9x(w * 2 - 1)xf32"]
    );
    let pool = [
        ("kernel", Attr::Ints(vec![3, 3])),
        ("strides", Attr::Ints(vec![2, 2])),
        ("ceil_mode", Attr::Bool(true)),
    ];
    assert_eq!(types("max_pool", &pool, &["1x1x6x7xf32"]).unwrap(), ["1x1x3x3xf32", "1x1x3x3xi64"]);
    // The third window would begin behind the input: 2 * 2 = 4 elements.
    let wide =
        [("kernel", Attr::Ints(vec![1])), ("strides", Attr::Ints(vec![2])), ("ceil_mode", Attr::Bool(true))];
    assert_eq!(types("average_pool", &wide, &["1x1x4xf32"]).unwrap(), ["1x1x2xf32"]);
}

#[test]
fn pooling_padding_must_not_hold_a_whole_window() {
    let pool = |kernel: i64, dilation: i64, pads: [i64; 2]| {
        [
            ("kernel", Attr::Ints(vec![kernel])),
            ("dilations", Attr::Ints(vec![dilation])),
            ("pads", Attr::Ints(pads.to_vec())),
        ]
    };
    for op in ["max_pool", "average_pool"] {
        assert_eq!(types(op, &pool(3, 1, [2, 2]), &["1x2x5xf32"]).unwrap()[0], "1x2x7xf32");
        // Three elements two apart span five.
        assert_eq!(types(op, &pool(3, 2, [4, 4]), &["1x2x5xf32"]).unwrap()[0], "1x2x9xf32");
        for (kernel, dilation, pads) in [(3, 1, [3, 0]), (3, 1, [0, 3]), (1, 1, [1, 1]), (3, 2, [0, 5])] {
            let error = types(op, &pool(kernel, dilation, pads), &["1x2x5xf32"]).unwrap_err();
            assert!(error.message.contains("spatial dimension 0, where the window spans"), "{error}");
            assert!(error.message.contains("'pads'") && error.hint.is_some(), "{error}");
            assert_eq!(error.fault, Fault::User);
        }
    }
}

#[test]
fn tensors_beyond_any_memory_are_refused() {
    let expand = |dims: &[i64]| [("shape", Attr::Ints(dims.to_vec()))];
    // Exactly a tebibyte, and one row more.
    assert!(types("expand", &expand(&[1 << 20, 1 << 18]), &["f32"]).is_ok());
    assert!(message("expand", &expand(&[(1 << 20) + 1, 1 << 18]), &["f32"]).contains("too large"));
    assert!(message("expand", &expand(&[1 << 43]), &["f32"]).contains("too large"));
    assert_eq!(types("expand", &expand(&[0, 1 << 43]), &["f32"]).unwrap(), ["0x8796093022208xf32"]);
    let pads = [("pads", Attr::Ints(vec![0, 3 - (1 << 40)]))];
    assert!(
        message(
            "conv_transpose",
            &[&pads[..], &[("group", Attr::Int(1))]].concat(),
            &["1x1x3xf32", "1x1x3xf32"]
        )
        .contains("too large")
    );
}

#[test]
fn reductions_and_normalisations_keep_or_drop_axes() {
    let axes = |keep: bool| [("axes", Attr::Ints(vec![1, 2])), ("keepdims", Attr::Bool(keep))];
    assert_eq!(types("reduce_sum", &axes(true), &["nx3x4xf32"]).unwrap(), ["(n)x1x1xf32"]);
    assert_eq!(types("reduce_sum", &axes(false), &["nx3x4xf32"]).unwrap(), ["(n)xf32"]);
    assert!(message("reduce_sum", &axes(false), &["nx3xf32"]).contains("is 2, but the rank is 2"));
    let arg = [("axis", Attr::Int(1)), ("keepdims", Attr::Bool(false))];
    assert_eq!(types("arg_max", &arg, &["nx3xf32"]).unwrap(), ["(n)xi64"]);
    let norm = [("axis", Attr::Int(1)), ("epsilon", Attr::Float(1e-5))];
    assert_eq!(
        types("layer_norm", &norm, &["nx3x4xf16", "3x4xf16"]).unwrap(),
        ["(n)x3x4xf16", "(n)x1x1xf32", "(n)x1x1xf32"]
    );
    assert!(message("layer_norm", &norm, &["2x3x4xf16", "2x3xf16"]).contains("does not broadcast to"));
    let groups = [("groups", Attr::Int(2)), ("epsilon", Attr::Float(1e-5))];
    assert!(
        message("group_norm", &groups, &["2x3x4xf32", "3xf32", "3xf32"]).contains("must divide 3 channels")
    );
}

#[test]
fn movement_computes_dimensions() {
    assert_eq!(
        types("reshape", &[("shape", exprs(&["n * 3", "4"]))], &["nx3x4xf32"]).unwrap(),
        ["(n * 3)x4xf32"]
    );
    assert!(message("reshape", &[("shape", exprs(&["5"]))], &["4xf32"]).contains("of 4 elements"));
    assert_eq!(
        types("concat", &[("axis", Attr::Int(1))], &["nx3xf32", "nxmxf32"]).unwrap(),
        ["(n)x(m + 3)xf32"]
    );
    assert!(message("concat", &[("axis", Attr::Int(1))], &["2x3xf32", "4x3xf32"]).contains("dimension 0"));
    let slice = |start: i64, size: i64, step: i64| {
        [
            ("starts", Attr::Ints(vec![start])),
            ("sizes", Attr::Ints(vec![size])),
            ("steps", Attr::Ints(vec![step])),
        ]
    };
    assert_eq!(types("slice", &slice(4, 3, -2), &["5xf32"]).unwrap(), ["3xf32"]);
    assert!(message("slice", &slice(4, 4, -2), &["5xf32"]).contains("has no 4 elements from 4 on"));
    let pads = [("pads", Attr::Exprs(vec![e("1"), e("-2"), e("n"), e("0")]))];
    assert_eq!(types("pad", &pads, &["3x8xf32"]).unwrap(), ["(n + 4)x6xf32"]);
    assert!(message("pad", &[("pads", Attr::Ints(vec![-3, 0]))], &["2xf32"]).contains("negative size"));
    assert_eq!(types("transpose", &[("perm", Attr::Ints(vec![1, 0]))], &["2xnxf32"]).unwrap(), ["(n)x2xf32"]);
    assert!(message("transpose", &[("perm", Attr::Ints(vec![1, 1]))], &["2xnxf32"]).contains("axis 1 twice"));
    assert_eq!(
        types("expand", &[("shape", exprs(&["n", "1", "5"]))], &["4x1xf32"]).unwrap(),
        ["(n)x4x5xf32"]
    );
}

#[test]
fn indexing_replaces_axes() {
    let axis = |a| [("axis", Attr::Int(a))];
    assert_eq!(types("gather", &axis(1), &["2x3x4xf32", "nx5xi64"]).unwrap(), ["2x(n)x5x4xf32"]);
    assert!(message("gather", &axis(0), &["2xf32", "2xf32"]).contains("integer elements"));
    let batch = [("batch_dims", Attr::Int(1))];
    assert_eq!(types("gather_nd", &batch, &["2x3x4xf32", "2x7x1xi64"]).unwrap(), ["2x7x4xf32"]);
    assert_eq!(types("gather_nd", &[], &["2xf32", "2xnxi64"]).unwrap_err().fault, Fault::Unsupported);
    assert_eq!(types("scatter_nd", &[], &["4x5xf32", "3x1xi64", "3x5xf32"]).unwrap(), ["4x5xf32"]);
    assert!(message("scatter_nd", &[], &["4x5xf32", "3x1xi64", "3x4xf32"]).contains("sizes 5 and 4"));
    let top = [("k", exprs(&["2"])), ("axis", Attr::Int(1))];
    assert_eq!(types("top_k", &top, &["nx3xf32"]).unwrap(), ["(n)x2xf32", "(n)x2xi64"]);
    assert!(message("top_k", &top, &["3x1xf32"]).contains("only 1 elements"));
}

#[test]
fn shapes_are_followed_through_arithmetic() {
    let shape: (&str, &[&str]) = ("4xi64", &["n", "3", "h", "w"]);
    assert_eq!(known("dims", &[("values", exprs(&["n", "2"]))], &[]).unwrap(), "[n, 2]");
    let index: (&str, &[&str]) = ("2xi64", &["0", "-1"]);
    assert_eq!(known("gather", &[("axis", Attr::Int(0))], &[shape, index]).unwrap(), "[n, w]");
    let slice =
        [("starts", Attr::Ints(vec![3])), ("sizes", Attr::Ints(vec![2])), ("steps", Attr::Ints(vec![-2]))];
    assert_eq!(known("slice", &slice, &[shape]).unwrap(), "[w, 3]");
    assert_eq!(known("mul", &[], &[shape, ("i64", &["2"])]).unwrap(), "[n * 2, 6, h * 2, w * 2]");
    assert_eq!(known("div", &[], &[("1xi64", &["h"]), ("i64", &["2"])]).unwrap(), "[floordiv(h, 2)]");
    assert_eq!(known("div", &[], &[("i64", &["-7"]), ("i64", &["2"])]).unwrap(), "[-3]");
    assert_eq!(known("div", &[], &[("i64", &["n - 7"]), ("i64", &["2"])]), None);
    let axes = [("axes", Attr::Ints(vec![0])), ("keepdims", Attr::Bool(false))];
    assert_eq!(known("reduce_prod", &axes, &[shape]).unwrap(), "[h * n * w * 3]");
    assert_eq!(known("equal", &[], &[shape, ("i64", &["-1"])]).unwrap(), "[0, 0, 0, 0]");
    assert_eq!(known("equal", &[], &[("i64", &["n"]), ("i64", &["1"])]), None);
    let condition: (&str, &[&str]) = ("2xi1", &["0", "1"]);
    assert_eq!(known("where", &[], &[condition, ("i64", &["5"]), ("2xi64", &["n", "m"])]).unwrap(), "[n, 5]");
    assert_eq!(
        known("concat", &[("axis", Attr::Int(0))], &[("1xi64", &["n"]), ("1xi64", &["4"])]).unwrap(),
        "[n, 4]"
    );
    assert_eq!(known("max", &[], &[("i64", &["n + 1"]), ("i64", &["1"])]).unwrap(), "[n + 1]");
    assert_eq!(known("cast", &[("to", Attr::DType(DType::I32))], &[("1xi64", &["n"])]).unwrap(), "[n]");
    assert_eq!(known("cast", &[("to", Attr::DType(DType::I8))], &[("1xi64", &["300"])]), None);
    assert_eq!(known("expand", &[("shape", exprs(&["3"]))], &[("i64", &["n"])]).unwrap(), "[n, n, n]");
    let range = [("length", exprs(&["3"]))];
    assert_eq!(known("range", &range, &[("i64", &["n"]), ("i64", &["2"])]).unwrap(), "[n, n + 2, n + 4]");
    assert_eq!(known("reshape", &[("shape", exprs(&["1"]))], &[("i64", &["n"])]).unwrap(), "[n]");
    assert_eq!(known("reshape", &[("shape", exprs(&["1", "1"]))], &[("1xi64", &["n"])]), None);
}

#[test]
fn rotary_embeddings_take_an_angle_for_each_pair_or_feature() {
    let of = |rotary_dim: i64, operands: &[&str]| {
        types("rotary_embedding", &[("rotary_dim", Attr::Int(rotary_dim))], operands)
            .map(|t| t[0].clone())
            .map_err(|e| e.to_string())
    };
    let message = |rotary_dim: i64, operands: &[&str]| of(rotary_dim, operands).unwrap_err();
    assert_eq!(of(6, &["bx3xsx6xf32", "bx1xsx3xf32", "sx6xf32"]).unwrap(), "(b)x3x(s)x6xf32");
    assert_eq!(of(4, &["7x6xf16", "2xf16", "7x4xf16"]).unwrap(), "7x6xf16");
    assert!(message(6, &["7x4xf32", "7x3xf32", "7x3xf32"]).contains("between 2 and 4"));
    assert!(message(3, &["7x4xf32", "7x3xf32", "7x3xf32"]).contains("must be even"));
    assert!(message(4, &["7x4xf32", "7x2xf32", "7x3xf32"]).contains("'sin' (7x3xf32) must have 2 angles"));
    assert!(message(4, &["7x4xf32", "5x2xf32", "7x2xf32"]).contains("'cos' (5x2xf32) does not broadcast"));
    assert!(message(4, &["7x4xf32", "1x7x2xf32", "7x2xf32"]).contains("does not broadcast"));
    assert!(message(4, &["7x4xf32", "7x2xf16", "7x2xf32"]).contains("element type"));
    assert!(message(4, &["7xdxf32", "7x2xf32", "7x2xf32"]).contains("number of features that is known"));
}
