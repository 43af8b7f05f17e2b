//! Elementary functions over the whole range of floats, in units in the last place.

use crate::{nests::*, run::run_with};
use mlcc_interpreter::scalar;
use mlcc_ir::{
    dtype::DType,
    kernel::Role,
    nest::{LoopNest, Mapping},
    scalar::UnaryOp,
    tensor::{Element, Tensor, push_element},
};
use mlcc_llvm::{Options, Target};

/// Every function with the error that the crate states for `f32` and `f64`.
const FUNCTIONS: [(UnaryOp, f64, f64); 16] = [
    (UnaryOp::Exp, 2.0, 4.0),
    (UnaryOp::Log, 2.0, 4.0),
    (UnaryOp::Sqrt, 0.5, 0.5),
    (UnaryOp::Sin, 1.0, 4.0),
    (UnaryOp::Cos, 1.0, 4.0),
    (UnaryOp::Tan, 1.0, 4.0),
    (UnaryOp::Asin, 1.0, 4.0),
    (UnaryOp::Acos, 1.0, 4.0),
    (UnaryOp::Atan, 1.0, 4.0),
    (UnaryOp::Sinh, 1.0, 4.0),
    (UnaryOp::Cosh, 1.0, 4.0),
    (UnaryOp::Tanh, 4.0, 4.0),
    (UnaryOp::Asinh, 1.0, 4.0),
    (UnaryOp::Acosh, 1.0, 4.0),
    (UnaryOp::Atanh, 1.0, 4.0),
    (UnaryOp::Erf, 6.0, 4.0),
];

unsafe extern "C" {
    safe fn acosh(x: f64) -> f64;
    safe fn asinh(x: f64) -> f64;
    safe fn atanh(x: f64) -> f64;
    safe fn erf(x: f64) -> f64;
}

/// The C library's value, within one unit. It is used if Rust's or the interpreter's value is less
/// exact.
fn reference(op: UnaryOp, x: f64) -> f64 {
    match op {
        UnaryOp::Acosh => acosh(x),
        UnaryOp::Asinh => asinh(x),
        UnaryOp::Atanh => atanh(x),
        UnaryOp::Erf => erf(x),
        _ => scalar::unary_float(op, x).unwrap(),
    }
}

fn tensor(dtype: DType, values: &[f64]) -> Tensor {
    let mut data = Vec::new();
    values.iter().for_each(|v| push_element(dtype, &mut data, Element::Float(*v)));
    Tensor::new(dtype, vec![values.len() as i64], data.into()).unwrap()
}

/// A nest with one output for each function, all of the same input.
fn all_functions(dtype: DType, n: usize) -> LoopNest {
    let n = n.to_string();
    let mut buffers = vec![buffer("x", dtype, &[&n], Role::Input)];
    let mut stores = Vec::new();
    for (i, (op, ..)) in FUNCTIONS.iter().enumerate() {
        buffers.push(buffer(&format!("{op:?}"), dtype, &[&n], Role::Output));
        let mut body = read(0, &["%i"], dtype);
        body.unary(*op, 0);
        stores.push(put(i + 1, &["%i"], body));
    }
    nest("functions", &[], buffers, vec![axis("i", &n, Mapping::Vector(16), stores)])
}

/// Size of a unit in the last place at a finite value, denormals included.
fn unit(dtype: DType, value: f64) -> f64 {
    let (bits, least) = if dtype == DType::F32 { (23, -149) } else { (52, -1074) };
    let exponent = if value == 0.0 { -1100 } else { value.abs().log2().floor() as i32 };
    2f64.powi((exponent - bits).max(least).max(-1022))
        * if least < -1022 && exponent - bits < -1022 { 0.25 } else { 1.0 }
}

/// The smallest normal number.
fn least_normal(dtype: DType) -> f64 {
    if dtype == DType::F32 { f64::from(f32::MIN_POSITIVE) } else { f64::MIN_POSITIVE }
}

/// Checks all functions, both with denormal numbers and with denormals taken for zeros.
fn check(dtype: DType, values: &[f64], skip: impl Fn(UnaryOp, f64) -> bool) {
    for keep_denormals in [true, false] {
        check_with(dtype, values, &skip, keep_denormals);
    }
}

fn check_with(dtype: DType, values: &[f64], skip: &dyn Fn(UnaryOp, f64) -> bool, keep_denormals: bool) {
    let x = tensor(dtype, values);
    let empty = tensor(dtype, &vec![7.0; values.len()]);
    let operands: Vec<_> =
        std::iter::once(x.clone()).chain(FUNCTIONS.iter().map(|_| empty.clone())).collect();
    let options = Options { keep_denormals, ..Options::default() };
    let nest = all_functions(dtype, values.len());
    let Some(results) = run_with(&Target::host().unwrap(), &options, &nest, &operands, &[]) else { return };
    let denormal = |x: f64| x != 0.0 && x.abs() < least_normal(dtype);
    let mut failures = Vec::new();
    for ((op, single, double), result) in FUNCTIONS.iter().zip(&results[1..]) {
        let bound = if dtype == DType::F32 { *single } else { *double };
        let (mut worst, mut at) = (0.0f64, 0.0);
        for i in 0..values.len() {
            let (v, got) = (x.get(i).to_f64(), result.get(i).to_f64());
            if skip(*op, v) {
                continue;
            }
            let error_at = |v: f64| {
                let exact = reference(*op, v);
                let want = scalar::round(dtype, exact);
                // A denormal result may be anything between its exact value and zero.
                let flushed = !keep_denormals && denormal(exact) && got.abs() <= least_normal(dtype);
                if got.is_nan() != want.is_nan() {
                    f64::INFINITY
                } else if want.is_nan() || got == want || flushed {
                    0.0
                } else {
                    (got - exact).abs() / unit(dtype, exact)
                }
            };
            let mut error = error_at(v);
            if !keep_denormals && denormal(v) {
                error = error.min(error_at(0f64.copysign(v)));
            }
            if error > worst {
                (worst, at) = (error, v);
            }
        }
        if worst > bound + 0.5 {
            failures.push(format!("{op:?} of {dtype} errs by {worst:.2} units at {at:e}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

const SPECIAL: [f64; 18] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
    0.5,
    -0.5,
    2.0,
    1e-45,
    -1e-45,
    1.2e-38,
    -1.2e-38,
    88.7,
    -103.9,
    3.4e38,
    -3.4e38,
];

#[test]
fn functions_of_f32_keep_their_bounds_over_all_floats() {
    // All bit patterns by a prime step, and dense values where functions are interesting.
    let everywhere = (0..1u64 << 32).step_by(16_411).map(|bits| f64::from(f32::from_bits(bits as u32)));
    let dense = (-100_000..100_000).map(|i| f64::from(i) * 9.7e-5);
    let wide = (-40_000..40_000).map(|i| f64::from(i) * 2.6e-3);
    let values: Vec<f64> = SPECIAL.into_iter().chain(everywhere).chain(dense).chain(wide).collect();
    check(DType::F32, &values, |_, _| false);
}

#[test]
fn functions_of_f64_keep_their_bounds() {
    let everywhere = (0..60_000u64).map(|i| f64::from_bits(i.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    let dense = (-60_000..60_000).map(|i| f64::from(i) * 1.6e-4 + 1e-9);
    let wide = (-40_000..40_000).map(|i| f64::from(i) * 1.9e-2);
    let values: Vec<f64> = SPECIAL.into_iter().chain(everywhere).chain(dense).chain(wide).collect();
    check(DType::F64, &values, |op, v| {
        matches!(op, UnaryOp::Sin | UnaryOp::Cos | UnaryOp::Tan) && v.is_finite() && v.abs() > 2f64.powi(30)
    });
}
