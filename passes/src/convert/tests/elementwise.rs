//! Elementwise operators on every element type that they allow.

use super::harness::*;
use mlcc_ir::{attributes::Attr, dtype::DType, tensor::Tensor};

/// Values on which a function is defined.
fn domain(op: &str, dtype: DType) -> Tensor {
    let (low, high) = match op {
        "log" | "sqrt" | "reciprocal" => (0.1, 5.0),
        "asin" | "acos" | "atanh" => (-0.9, 0.9),
        "acosh" => (1.1, 4.0),
        "tan" => (-1.2, 1.2),
        _ => (-4.0, 4.0),
    };
    between(dtype, &[3, 7], low, high)
}

#[test]
fn functions_of_one_float() {
    let plain = [
        "neg",
        "abs",
        "exp",
        "log",
        "sqrt",
        "reciprocal",
        "sin",
        "cos",
        "tan",
        "asin",
        "acos",
        "atan",
        "sinh",
        "cosh",
        "tanh",
        "asinh",
        "acosh",
        "atanh",
        "erf",
        "floor",
        "ceil",
        "round",
        "sign",
        "relu",
        "sigmoid",
        "softplus",
        "softsign",
        "hard_swish",
        "mish",
    ];
    for op in plain {
        for dtype in FLOATS {
            assert_agrees(op, &attrs(&[]), &[domain(op, dtype)]);
        }
    }
}

#[test]
fn functions_with_parameters() {
    let float = Attr::Float;
    let cases = [
        ("leaky_relu", attrs(&[("alpha", float(0.13))])),
        ("elu", attrs(&[("alpha", float(1.3))])),
        ("selu", attrs(&[("alpha", float(1.6)), ("gamma", float(1.05))])),
        ("celu", attrs(&[("alpha", float(0.7))])),
        ("thresholded_relu", attrs(&[("alpha", float(0.6))])),
        ("hard_sigmoid", attrs(&[("alpha", float(0.3)), ("beta", float(0.4))])),
        ("swish", attrs(&[("alpha", float(1.7))])),
        ("swish", attrs(&[("alpha", float(1.0))])),
        ("gelu", attrs(&[("approximate", text("none"))])),
        ("gelu", attrs(&[("approximate", text("tanh"))])),
        ("shrink", attrs(&[("bias", float(0.3)), ("lambd", float(0.8))])),
    ];
    for (op, a) in &cases {
        for dtype in FLOATS {
            assert_agrees(op, a, &[domain(op, dtype)]);
        }
    }
}

#[test]
fn integers_and_booleans() {
    for dtype in INTS {
        for op in ["abs", "sign", "relu"] {
            assert_agrees(op, &attrs(&[]), &[any(dtype, &[3, 5])]);
        }
        assert_agrees("bitwise_not", &attrs(&[]), &[any(dtype, &[3, 5])]);
        if dtype.is_signed_int() {
            assert_agrees("neg", &attrs(&[]), &[any(dtype, &[3, 5])]);
        }
    }
    assert_agrees("not", &attrs(&[]), &[any(Bool, &[9])]);
    for op in ["and", "or", "xor", "equal"] {
        assert_agrees(op, &attrs(&[]), &[any(Bool, &[3, 1]), any(Bool, &[5])]);
    }
}

#[test]
fn classification_of_special_values() {
    let x = Tensor::from_f32(&[6], &[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -1.0, f32::MAX]);
    assert_agrees("is_nan", &attrs(&[]), std::slice::from_ref(&x));
    for (negative, positive) in [(true, true), (true, false), (false, true), (false, false)] {
        let a =
            attrs(&[("detect_negative", Attr::Bool(negative)), ("detect_positive", Attr::Bool(positive))]);
        assert_agrees("is_inf", &a, std::slice::from_ref(&x));
    }
    for op in ["relu", "max", "min", "sign"] {
        let operands = if op.starts_with('m') { vec![x.clone(), f32s(&[6])] } else { vec![x.clone()] };
        assert_agrees(op, &attrs(&[]), &operands);
    }
}

#[test]
fn broadcasting_arithmetic_on_every_type() {
    for dtype in FLOATS.into_iter().chain(INTS) {
        for op in
            ["add", "sub", "mul", "min", "max", "equal", "less", "less_equal", "greater", "greater_equal"]
        {
            assert_agrees(op, &attrs(&[]), &[any(dtype, &[3, 1, 5]), any(dtype, &[4, 1])]);
        }
        let divisor = between(dtype, &[4, 1], 1.0, 5.0);
        assert_agrees("div", &attrs(&[]), &[any(dtype, &[3, 1, 5]), divisor.clone()]);
        let fmod = attrs(&[("fmod", Attr::Bool(true))]);
        assert_agrees("mod", &fmod, &[any(dtype, &[3, 1, 5]), divisor.clone()]);
        if !dtype.is_float() {
            assert_agrees("mod", &attrs(&[]), &[any(dtype, &[3, 1, 5]), divisor]);
        }
        let (base, exponent) = (between(dtype, &[3, 5], 1.0, 3.0), between(dtype, &[5], 0.0, 4.0));
        assert_agrees("pow", &attrs(&[]), &[base, exponent]);
    }
    for dtype in INTS {
        for op in ["bitwise_and", "bitwise_or", "bitwise_xor"] {
            assert_agrees(op, &attrs(&[]), &[any(dtype, &[3, 5]), any(dtype, &[5])]);
        }
        for op in ["shift_left", "shift_right"] {
            assert_agrees(op, &attrs(&[]), &[any(dtype, &[3, 5]), between(dtype, &[5], 0.0, 4.0)]);
        }
    }
}

#[test]
fn operands_in_every_role() {
    for op in ["add", "mul", "less"] {
        assert_agrees_as(op, &attrs(&[]), &[f32s(&[3, 4, 5]), f32s(&[4, 1])], &ALL_ROLES);
        assert_agrees_as(op, &attrs(&[]), &[f32s(&[3, 4, 5]), f32s(&[])], &ALL_ROLES);
        assert_agrees_as(op, &attrs(&[]), &[f32s(&[]), f32s(&[])], &ALL_ROLES);
    }
    for exponent in [1.0, 2.0, 3.0, 0.5, -1.0] {
        let x = between(F32, &[3, 5], 0.2, 3.0);
        assert_agrees_as("pow", &attrs(&[]), &[x, Tensor::from_f32(&[], &[exponent])], &ALL_ROLES);
    }
}

#[test]
fn prelu_where_and_clip() {
    for dtype in FLOATS {
        assert_agrees("prelu", &attrs(&[]), &[any(dtype, &[2, 3, 4]), any(dtype, &[3, 1])]);
    }
    for dtype in DType::ALL {
        let operands = [any(Bool, &[3, 1]), any(dtype, &[3, 5]), any(dtype, &[5])];
        assert_agrees("where", &attrs(&[]), &operands);
        if dtype != Bool {
            let (low, high) = (between(dtype, &[], 1.0, 2.0), between(dtype, &[], 3.0, 4.0));
            assert_agrees_as("clip", &attrs(&[]), &[any(dtype, &[3, 7]), low, high], &ALL_ROLES);
        }
    }
    let only_high = [Some(f32s(&[3, 7])), None, Some(Tensor::from_f32(&[], &[0.5]))];
    let (g, inputs) = single("clip", &attrs(&[]), &only_high, As::Inputs);
    assert_graph_agrees(&g, &inputs);
}

#[test]
fn conversions_between_all_types() {
    for from in DType::ALL {
        for to in DType::ALL {
            let x = if from.is_float() && !to.is_float() && !to.is_signed_int() {
                between(from, &[3, 7], 0.0, 9.0)
            } else {
                any(from, &[3, 7])
            };
            assert_agrees("cast", &attrs(&[("to", Attr::DType(to))]), &[x]);
        }
    }
    assert_agrees("bit_cast", &attrs(&[("to", Attr::DType(I32))]), &[f32s(&[3, 7])]);
    assert_agrees("bit_cast", &attrs(&[("to", Attr::DType(F16))]), &[any(U16, &[3, 7])]);
}
