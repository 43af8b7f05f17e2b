//! Elementwise operators: of one operand, broadcasting, conversions.

use super::{
    Inferred,
    call::{Call, result},
    definition::{
        AttrDef, AttrKind, NONE, OpDef, OpTrait, OperandDef, PLAIN, X, Y, attr, one, opt, optional,
    },
    known,
};
use crate::{
    diagnostic::{Diagnostic, Result},
    dtype::DType,
    expr::Expr,
    types::TensorType,
};

const AB: &[OperandDef] = &[one("a"), one("b")];

const FLOAT_UNARY: &[(&str, &str)] = &[
    ("exp", "e to the power of x"),
    ("log", "natural logarithm"),
    ("sqrt", "square root"),
    ("reciprocal", "1 / x"),
    ("sin", "sine"),
    ("cos", "cosine"),
    ("tan", "tangent"),
    ("asin", "inverse sine"),
    ("acos", "inverse cosine"),
    ("atan", "inverse tangent"),
    ("sinh", "hyperbolic sine"),
    ("cosh", "hyperbolic cosine"),
    ("tanh", "hyperbolic tangent"),
    ("asinh", "inverse hyperbolic sine"),
    ("acosh", "inverse hyperbolic cosine"),
    ("atanh", "inverse hyperbolic tangent"),
    ("erf", "error function"),
    ("floor", "greatest integer not above x"),
    ("ceil", "least integer not below x"),
    ("round", "nearest integer, halves to even"),
    ("sigmoid", "1 / (1 + exp(-x))"),
    ("softplus", "log(1 + exp(x))"),
    ("softsign", "x / (1 + |x|)"),
    ("hard_swish", "x * max(0, min(1, x / 6 + 0.5))"),
    ("mish", "x * tanh(softplus(x))"),
];

const PARAMETRIC: &[(&str, &str, &[AttrDef])] = &[
    ("leaky_relu", "x where x >= 0, else alpha * x", &[attr("alpha", AttrKind::Float)]),
    ("elu", "x where x >= 0, else alpha * (exp(x) - 1)", &[attr("alpha", AttrKind::Float)]),
    (
        "selu",
        "gamma * (x where x > 0, else alpha * (exp(x) - 1))",
        &[attr("alpha", AttrKind::Float), attr("gamma", AttrKind::Float)],
    ),
    ("celu", "max(0, x) + min(0, alpha * (exp(x / alpha) - 1))", &[attr("alpha", AttrKind::Float)]),
    ("thresholded_relu", "x where x > alpha, else 0", &[attr("alpha", AttrKind::Float)]),
    (
        "hard_sigmoid",
        "max(0, min(1, alpha * x + beta))",
        &[attr("alpha", AttrKind::Float), attr("beta", AttrKind::Float)],
    ),
    ("swish", "x * sigmoid(alpha * x)", &[attr("alpha", AttrKind::Float)]),
    (
        "gelu",
        "x * normal distribution function of x, or its tanh approximation",
        &[opt("approximate", AttrKind::Str)],
    ),
    (
        "shrink",
        "x + bias where x < -lambd, x - bias where x > lambd, else 0",
        &[attr("bias", AttrKind::Float), attr("lambd", AttrKind::Float)],
    ),
];

const ARITHMETIC: &[(&str, &str)] = &[
    ("add", "a + b"),
    ("sub", "a - b"),
    ("mul", "a * b"),
    ("div", "a / b; integers truncate"),
    ("pow", "a to the power of b"),
    ("min", "the smaller one; NaN if either is"),
    ("max", "the larger one; NaN if either is"),
    ("prelu", "a where a >= 0, else a * b"),
];

const COMPARISONS: &[(&str, &str)] = &[
    ("equal", "a == b"),
    ("less", "a < b"),
    ("less_equal", "a <= b"),
    ("greater", "a > b"),
    ("greater_equal", "a >= b"),
];

pub(super) fn define(into: &mut Vec<OpDef>) {
    let mut unary = |name, summary, attributes, infer| {
        into.push(OpDef { name, summary, operands: X, results: Y, attributes, traits: PLAIN, infer });
    };
    for (name, summary) in FLOAT_UNARY {
        unary(name, summary, NONE, float_unary);
    }
    for (name, summary, attributes) in PARAMETRIC {
        unary(name, summary, attributes, float_unary);
    }
    unary("neg", "-x", NONE, numeric_unary);
    unary("abs", "magnitude of x", NONE, numeric_unary);
    unary("sign", "-1, 0 or 1; NaN stays", NONE, numeric_unary);
    unary("relu", "max(0, x); NaN stays", NONE, numeric_unary);
    unary("not", "logical negation", NONE, logical_unary);
    unary("bitwise_not", "all bits inverted", NONE, bitwise_unary);
    unary("is_nan", "whether x is not a number", NONE, classify);
    const IS_INF: &[AttrDef] =
        &[opt("detect_negative", AttrKind::Bool), opt("detect_positive", AttrKind::Bool)];
    unary("is_inf", "whether x is an infinity of a wanted sign", IS_INF, classify);
    let conversions = [
        ("cast", "conversion to another element type"),
        ("bit_cast", "the same bits as another element type of the same size"),
    ];
    into.extend(conversions.map(|(name, summary)| OpDef {
        name,
        summary,
        operands: X,
        results: Y,
        attributes: const { &[attr("to", AttrKind::DType)] },
        traits: const { &[OpTrait::IdentityByType] },
        infer: cast,
    }));
    let mut binary = |name, summary, attributes, infer| {
        into.push(OpDef { name, summary, operands: AB, results: Y, attributes, traits: PLAIN, infer });
    };
    for (name, summary) in ARITHMETIC {
        binary(name, summary, NONE, arithmetic);
    }
    let fmod = const { &[opt("fmod", AttrKind::Bool)] };
    binary("mod", "remainder with the sign of b, or of a with fmod", fmod, arithmetic);
    for (name, summary) in COMPARISONS {
        binary(name, summary, NONE, comparison);
    }
    for (name, summary) in [("and", "logical and"), ("or", "logical or"), ("xor", "logical exclusive or")] {
        binary(name, summary, NONE, logical);
    }
    binary("bitwise_and", "and of each bit", NONE, bitwise);
    binary("bitwise_or", "or of each bit", NONE, bitwise);
    binary("bitwise_xor", "exclusive or of each bit", NONE, bitwise);
    binary("shift_left", "a shifted towards the high bits by b", NONE, bitwise);
    binary("shift_right", "a shifted towards the low bits by b", NONE, bitwise);
    into.push(OpDef {
        name: "where",
        summary: "x where the condition holds, else y",
        operands: const { &[one("condition"), one("x"), one("y")] },
        results: Y,
        attributes: NONE,
        traits: PLAIN,
        infer: select,
    });
    into.push(OpDef {
        name: "clip",
        summary: "x limited to min..max, both scalars",
        operands: const { &[one("x"), optional("min"), optional("max")] },
        results: Y,
        attributes: NONE,
        traits: PLAIN,
        infer: clip,
    });
}

fn float_unary(call: &Call<'_>) -> Result<Vec<Inferred>> {
    call.expect_float(0)?;
    if call.def.name == "gelu" {
        call.choice("approximate", &["none", "tanh"])?;
    }
    same(call)
}

fn numeric_unary(call: &Call<'_>) -> Result<Vec<Inferred>> {
    call.expect_dtype(0, |d| d != DType::Bool, "numeric")?;
    let mut results = same(call)?;
    if let Some(elements) = known::of(call, 0) {
        let ty = &results[0].ty;
        let apply = |e: Expr| match call.def.name {
            "neg" => known::arithmetic("sub", false, ty.dtype, &Expr::from(0), &e),
            "abs" | "relu" if known::is_non_negative(&e) => Some(e),
            "abs" => e.as_const().and_then(i64::checked_abs).map(Expr::from),
            "relu" => known::arithmetic("max", false, ty.dtype, &Expr::from(0), &e),
            _ => e.as_const().map(|v| Expr::from(v.signum())),
        };
        results[0].known = elements.into_iter().map(apply).collect();
    }
    Ok(results)
}

fn logical_unary(call: &Call<'_>) -> Result<Vec<Inferred>> {
    call.expect_dtype(0, |d| d == DType::Bool, "bool")?;
    let mut results = same(call)?;
    let invert = |e: Expr| e.as_const().map(|v| Expr::from(1 - v));
    results[0].known = known::of(call, 0).and_then(|e| e.into_iter().map(invert).collect());
    Ok(results)
}

fn bitwise_unary(call: &Call<'_>) -> Result<Vec<Inferred>> {
    call.expect_int(0)?;
    same(call)
}

fn classify(call: &Call<'_>) -> Result<Vec<Inferred>> {
    call.expect_float(0)?;
    Ok(result(DType::Bool, call.ty(0)?.dims.clone()))
}

fn same(call: &Call<'_>) -> Result<Vec<Inferred>> {
    let ty = call.ty(0)?;
    Ok(result(ty.dtype, ty.dims.clone()))
}

fn cast(call: &Call<'_>) -> Result<Vec<Inferred>> {
    let ty = call.ty(0)?;
    let to = call.attrs.dtype("to").unwrap_or(ty.dtype);
    if call.def.name == "bit_cast" {
        if to.size() != ty.dtype.size() {
            return Err(call.error(0, format!("cannot be read as {to}, which has another size")));
        }
        return Ok(result(to, ty.dims.clone()));
    }
    let known = known::of(call, 0).filter(|elements| match to {
        // The assumption: a symbolic size fits any integer type that is as wide as sizes are in
        // practice.
        DType::I64 | DType::I32 | DType::U64 | DType::U32 => {
            elements.iter().all(|e| e.as_const().is_none_or(|v| known::fits(to, v)))
        }
        _ => elements.iter().all(|e| e.as_const().is_some_and(|v| known::fits(to, v))),
    });
    Ok(vec![Inferred { ty: TensorType::new(to, ty.dims.clone()), known }])
}

/// The broadcast of all present operands.
fn broadcast_all(call: &Call<'_>) -> Result<Vec<Expr>> {
    let mut dims = Vec::new();
    for operand in call.operands.iter().flatten() {
        dims = call.broadcast(&dims, &operand.ty.dims).map_err(|e| with_types(call, e))?;
    }
    Ok(dims)
}

fn with_types(call: &Call<'_>, mut error: Diagnostic) -> Diagnostic {
    let types: Vec<String> = call.operands.iter().flatten().map(|o| o.ty.to_string()).collect();
    error.message = format!("{} (operands {})", error.message, types.join(", "));
    error
}

/// The result's known elements, computed place by place from those of the operands.
fn known_result(
    call: &Call<'_>,
    dims: &[Expr],
    compute: &dyn Fn(&[Expr]) -> Option<Expr>,
) -> Option<Vec<Expr>> {
    let count = dims.iter().try_fold(1usize, |n, d| n.checked_mul(usize::try_from(d.as_const()?).ok()?))?;
    if dims.len() > 1 || count > known::MAX_KNOWN {
        return None;
    }
    let operands = (0..call.operands.len()).map(|i| known::of(call, i)).collect::<Option<Vec<_>>>()?;
    known::zip(&operands, count)?.iter().map(|places| compute(places)).collect()
}

fn arithmetic(call: &Call<'_>) -> Result<Vec<Inferred>> {
    call.expect_same_dtype(0, 1)?;
    let op = call.def.name;
    if !matches!(op, "min" | "max") {
        call.expect_dtype(0, |d| d != DType::Bool, "numeric")?;
    }
    let dtype = call.ty(0)?.dtype;
    let fmod = call.attrs.bool("fmod", false);
    if op == "mod" && dtype.is_float() && !fmod {
        return Err(call.error(0, "must have integer elements for 'graph.mod' without fmod"));
    }
    let dims = broadcast_all(call)?;
    let known = known_result(call, &dims, &|e| known::arithmetic(op, fmod, dtype, &e[0], &e[1]));
    Ok(vec![Inferred { ty: TensorType::new(dtype, dims), known }])
}

fn comparison(call: &Call<'_>) -> Result<Vec<Inferred>> {
    call.expect_same_dtype(0, 1)?;
    let dims = broadcast_all(call)?;
    let known = known_result(call, &dims, &|e| known::compare(call.def.name, &e[0], &e[1]));
    Ok(vec![Inferred { ty: TensorType::new(DType::Bool, dims), known }])
}

fn logical(call: &Call<'_>) -> Result<Vec<Inferred>> {
    call.expect_dtype(0, |d| d == DType::Bool, "bool")?;
    arithmetic_of_bools(call)
}

fn arithmetic_of_bools(call: &Call<'_>) -> Result<Vec<Inferred>> {
    call.expect_same_dtype(0, 1)?;
    let dims = broadcast_all(call)?;
    let known =
        known_result(call, &dims, &|e| known::arithmetic(call.def.name, false, DType::Bool, &e[0], &e[1]));
    Ok(vec![Inferred { ty: TensorType::new(DType::Bool, dims), known }])
}

fn bitwise(call: &Call<'_>) -> Result<Vec<Inferred>> {
    call.expect_int(0)?;
    call.expect_same_dtype(0, 1)?;
    Ok(result(call.ty(0)?.dtype, broadcast_all(call)?))
}

fn select(call: &Call<'_>) -> Result<Vec<Inferred>> {
    call.expect_dtype(0, |d| d == DType::Bool, "bool")?;
    call.expect_same_dtype(1, 2)?;
    let dims = broadcast_all(call)?;
    let known = known_result(call, &dims, &|e| match e[0].as_const() {
        Some(0) => Some(e[2].clone()),
        Some(_) => Some(e[1].clone()),
        None => (e[1] == e[2]).then(|| e[1].clone()),
    });
    Ok(vec![Inferred { ty: TensorType::new(call.ty(1)?.dtype, dims), known }])
}

fn clip(call: &Call<'_>) -> Result<Vec<Inferred>> {
    call.expect_dtype(0, |d| d != DType::Bool, "numeric")?;
    for i in 1..3 {
        call.expect_same_dtype(0, i)?;
        if call.optional(i).is_some_and(|o| !o.ty.elements().is(1)) {
            return Err(call.error(i, "must be a scalar"));
        }
    }
    let mut results = same(call)?;
    let dtype = results[0].ty.dtype;
    let bound = |i: usize| match call.optional(i) {
        Some(o) => known::elements(o).map(Some),
        None => Some(None),
    };
    if let (Some(x), Some(low), Some(high)) = (known::of(call, 0), bound(1), bound(2)) {
        let limit = |e: Expr, op: &str, bound: &Option<Vec<Expr>>| match bound.as_deref() {
            Some([bound]) => known::arithmetic(op, false, dtype, &e, bound),
            _ => Some(e),
        };
        results[0].known =
            x.into_iter().map(|e| limit(e, "max", &low).and_then(|e| limit(e, "min", &high))).collect();
    }
    Ok(results)
}
