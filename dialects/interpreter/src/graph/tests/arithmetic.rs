//! Elementwise operators, contractions, reductions, quantisation.

use crate::compare;
use crate::testing::{
    Random, assert_close, attrs, evaluate, f32s, i64s, ints, numbers, tensor, text, try_evaluate,
};
use mlcc_ir::{attributes::Attr, dtype::DType};

#[test]
fn elementwise_operators_broadcast_and_keep_their_type() {
    let (a, b) = (f32s(&[2, 1], &[1.0, 2.0]), f32s(&[3], &[10.0, 20.0, 30.0]));
    assert_eq!(numbers("add", &[], &[a.clone(), b.clone()]), [11.0, 21.0, 31.0, 12.0, 22.0, 32.0]);
    let less = evaluate("less", &[], &[b, f32s(&[], &[20.0])]);
    assert_eq!((less[0].dtype, less[0].to_i64()), (DType::Bool, vec![1, 0, 0]));
    let condition = tensor(DType::Bool, &[2], &[1.0, 0.0]);
    assert_eq!(numbers("where", &[], &[condition, a, f32s(&[], &[7.0])]), [1.0, 7.0, 2.0, 7.0]);
    assert_eq!(numbers("div", &[], &[i64s(&[2], &[-7, 7]), i64s(&[1], &[2])]), [-3.0, 3.0]);
    assert_eq!(numbers("mod", &[], &[i64s(&[2], &[-7, 7]), i64s(&[1], &[3])]), [2.0, 1.0]);
    let fmod = [("fmod", Attr::Bool(true))];
    assert_eq!(numbers("mod", &fmod, &[i64s(&[2], &[-7, 7]), i64s(&[1], &[3])]), [-1.0, 1.0]);
    // An f32 sum is rounded to f32: 2^24 + 1 is not an f32.
    assert_eq!(numbers("add", &[], &[f32s(&[], &[16_777_216.0]), f32s(&[], &[1.0])]), [16_777_216.0]);
}

#[test]
fn activations_follow_their_formulas() {
    let x = f32s(&[3], &[-1.0, 0.0, 2.0]);
    let float = Attr::Float;
    let one = |op: &str, list: &[(&str, Attr)], want: &[f64]| {
        assert_close(&numbers(op, list, std::slice::from_ref(&x)), want);
    };
    one("relu", &[], &[0.0, 0.0, 2.0]);
    one("sigmoid", &[], &[0.268_941_421, 0.5, 0.880_797_078]);
    one("softplus", &[], &[0.313_261_688, std::f64::consts::LN_2, 2.126_928_011]);
    one("mish", &[], &[-0.303_401_461, 0.0, 1.943_958_959]);
    one("hard_swish", &[], &[-1.0 / 3.0, 0.0, 5.0 / 3.0]);
    one("leaky_relu", &[("alpha", float(0.1))], &[-0.1, 0.0, 2.0]);
    one("elu", &[("alpha", float(2.0))], &[-1.264_241_118, 0.0, 2.0]);
    one("selu", &[("alpha", float(2.0)), ("gamma", float(3.0))], &[-3.792_723_353, 0.0, 6.0]);
    one("celu", &[("alpha", float(2.0))], &[-0.786_938_681, 0.0, 2.0]);
    one("hard_sigmoid", &[("alpha", float(0.2)), ("beta", float(0.5))], &[0.3, 0.5, 0.9]);
    one("thresholded_relu", &[("alpha", float(1.0))], &[0.0, 0.0, 2.0]);
    one("swish", &[("alpha", float(1.0))], &[-0.268_941_421, 0.0, 1.761_594_156]);
    one("gelu", &[], &[-0.158_655_254, 0.0, 1.954_499_736]);
    one("gelu", &[("approximate", text("tanh"))], &[-0.158_808_009, 0.0, 1.954_597_694]);
    one("shrink", &[("bias", float(0.5)), ("lambd", float(1.5))], &[0.0, 0.0, 1.5]);
    one("softsign", &[], &[-0.5, 0.0, 2.0 / 3.0]);
    one("reciprocal", &[], &[-1.0, f64::INFINITY, 0.5]);
}

#[test]
fn nan_is_kept_by_every_float_operator() {
    let nan = f32s(&[1], &[f64::NAN]);
    let ops = [
        "relu",
        "sigmoid",
        "softplus",
        "mish",
        "hard_swish",
        "softsign",
        "gelu",
        "exp",
        "sign",
        "erf",
        "round",
    ];
    for op in ops {
        assert!(numbers(op, &[], std::slice::from_ref(&nan))[0].is_nan(), "{op}");
    }
    let clipped = numbers("clip", &[], &[nan.clone(), f32s(&[], &[0.0]), f32s(&[], &[1.0])]);
    assert!(clipped[0].is_nan());
    assert_eq!(numbers("is_nan", &[], &[nan]), [1.0]);
    let infinities = f32s(&[3], &[f64::INFINITY, f64::NEG_INFINITY, 1.0]);
    let only_positive = [("detect_negative", Attr::Bool(false))];
    assert_eq!(numbers("is_inf", &only_positive, &[infinities]), [1.0, 0.0, 0.0]);
}

#[test]
fn matrix_products_follow_numpy() {
    let a = f32s(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let b = f32s(&[3, 2], &[1.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
    assert_eq!(numbers("matmul", &[], &[a.clone(), b.clone()]), [4.0, 5.0, 10.0, 11.0]);
    let both = [("transpose_a", Attr::Bool(true)), ("transpose_b", Attr::Bool(true))];
    let product = evaluate("matmul", &both, &[a.clone(), b.clone()]);
    assert_eq!(product[0].dims, [3, 3]);
    assert_eq!(product[0].to_f64(), [1.0, 4.0, 5.0, 2.0, 5.0, 7.0, 3.0, 6.0, 9.0]);
    let v = f32s(&[3], &[1.0, 1.0, 2.0]);
    assert_eq!(numbers("matmul", &[], &[a.clone(), v.clone()]), [9.0, 21.0]);
    assert_eq!(numbers("matmul", &[], &[v.clone(), v.clone()]), [6.0]);
    // The batch of one is broadcast.
    let batch = f32s(&[2, 1, 2], &[1.0, 0.0, 0.0, 1.0]);
    let m = f32s(&[1, 2, 2], &[1.0, 2.0, 3.0, 4.0]);
    assert_eq!(numbers("matmul", &[], &[batch, m]), [1.0, 2.0, 3.0, 4.0]);
    let equation = |t: &str| [("equation", text(t))];
    assert_eq!(numbers("einsum", &equation("ij,jk->ik"), &[a.clone(), b]), [4.0, 5.0, 10.0, 11.0]);
    assert_eq!(numbers("einsum", &equation("ij->j"), std::slice::from_ref(&a)), [5.0, 7.0, 9.0]);
    let square = f32s(&[2, 2], &[1.0, 2.0, 3.0, 4.0]);
    assert_eq!(numbers("einsum", &equation("ii->i"), std::slice::from_ref(&square)), [1.0, 4.0]);
    assert_eq!(numbers("einsum", &equation("...ij->...ji"), &[square]), [1.0, 3.0, 2.0, 4.0]);
    let wrapping = tensor(DType::I8, &[1, 2], &[100.0, 100.0]);
    assert_eq!(numbers("matmul", &[], &[wrapping.clone(), tensor(DType::I8, &[2, 1], &[1.0, 1.0])]), [-56.0]);
}

#[test]
fn large_products_agree_with_einstein_sums() {
    let mut random = Random(13);
    for (m, k, n) in [(3, 600, 131), (5, 1, 7), (2, 0, 40_000)] {
        let operands = [random.tensor(DType::F32, &[2, m, k]), random.tensor(DType::F32, &[2, k, n])];
        let got = evaluate("matmul", &[], &operands);
        let want = evaluate("einsum", &[("equation", text("bij,bjk->bik"))], &operands);
        assert!(compare(&got[0], &want[0]) < 1e-7, "{m} by {k} by {n}");
    }
}

#[test]
fn reductions_keep_or_drop_axes() {
    let x = f32s(&[2, 3], &[1.0, 5.0, 3.0, 4.0, 2.0, 6.0]);
    let over = |axes: &[i64], keep: bool| [("axes", ints(axes)), ("keepdims", Attr::Bool(keep))];
    assert_eq!(numbers("reduce_sum", &over(&[1], false), std::slice::from_ref(&x)), [9.0, 12.0]);
    assert_eq!(numbers("reduce_mean", &over(&[0], true), std::slice::from_ref(&x)), [2.5, 3.5, 4.5]);
    assert_eq!(numbers("reduce_max", &over(&[0, 1], false), std::slice::from_ref(&x)), [6.0]);
    assert_eq!(numbers("reduce_prod", &over(&[1], false), std::slice::from_ref(&x)), [15.0, 48.0]);
    let nothing = f32s(&[0, 2], &[]);
    assert_eq!(numbers("reduce_max", &over(&[0], false), &[nothing]), [f64::NEG_INFINITY; 2]);
    let arg = |last: bool| {
        [("axis", Attr::Int(0)), ("keepdims", Attr::Bool(false)), ("select_last", Attr::Bool(last))]
    };
    let ties = f32s(&[4], &[1.0, 3.0, 3.0, 2.0]);
    assert_eq!(numbers("arg_max", &arg(false), std::slice::from_ref(&ties)), [1.0]);
    assert_eq!(numbers("arg_max", &arg(true), std::slice::from_ref(&ties)), [2.0]);
    assert_eq!(numbers("arg_min", &arg(false), &[ties]), [0.0]);
    let axis = [("axis", Attr::Int(1))];
    // Large values do not overflow.
    let large = f32s(&[1, 2], &[1000.0, 1001.0]);
    assert_close(&numbers("softmax", &axis, std::slice::from_ref(&large)), &[0.268_941_42, 0.731_058_58]);
    assert_close(&numbers("log_softmax", &axis, &[large]), &[-1.313_261_7, -0.313_261_7]);
    assert_eq!(numbers("hardmax", &axis, std::slice::from_ref(&x)), [0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
    let sum =
        |e: bool, r: bool| [("axis", Attr::Int(1)), ("exclusive", Attr::Bool(e)), ("reverse", Attr::Bool(r))];
    assert_eq!(
        numbers("cumsum", &sum(false, false), std::slice::from_ref(&x)),
        [1.0, 6.0, 9.0, 4.0, 6.0, 12.0]
    );
    assert_eq!(numbers("cumsum", &sum(true, true), std::slice::from_ref(&x)), [8.0, 3.0, 0.0, 8.0, 6.0, 0.0]);
    assert_eq!(numbers("cumprod", &sum(true, false), &[x]), [1.0, 1.0, 5.0, 1.0, 4.0, 8.0]);
}

#[test]
fn quantisation_rounds_to_even_and_saturates() {
    let x = f32s(&[5], &[0.5, 1.5, 2.5, -300.0, 300.0]);
    let to = [("to", Attr::DType(DType::I8))];
    let zero = tensor(DType::I8, &[], &[1.0]);
    assert_eq!(
        numbers("quantize_linear", &to, &[x, f32s(&[], &[1.0]), zero]),
        [1.0, 3.0, 3.0, -128.0, 127.0]
    );
    let q = tensor(DType::U8, &[2, 2], &[10.0, 20.0, 30.0, 40.0]);
    let (scale, zero) = (f32s(&[2], &[0.5, 2.0]), tensor(DType::U8, &[2], &[10.0, 0.0]));
    let axis = [("axis", Attr::Int(1))];
    assert_eq!(numbers("dequantize_linear", &axis, &[q.clone(), scale, zero]), [0.0, 40.0, 10.0, 80.0]);
    let blocks = [("axis", Attr::Int(1)), ("block_size", Attr::Int(2))];
    let scale = f32s(&[2, 1], &[1.0, 0.5]);
    assert_eq!(numbers("dequantize_linear", &blocks, &[q, scale]), [10.0, 20.0, 15.0, 20.0]);
}

#[test]
fn results_of_another_type_are_refused() {
    let x = f32s(&[2], &[1.0, 2.0]);
    let wanted = [i64s(&[2], &[0, 0]).ty()];
    let error = crate::graph::evaluate("neg", &attrs(&[]), &[Some(x.clone())], &wanted).unwrap_err();
    assert!(error.message.contains("is 2xf32, not 2xi64"), "{error}");
    let error = try_evaluate("add", &attrs(&[]), &[Some(x), None]).unwrap_err();
    assert!(error.message.contains("operand 'b' of 'graph.add' is missing"), "{error}");
}
