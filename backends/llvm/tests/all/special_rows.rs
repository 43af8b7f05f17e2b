//! Rows with NaN and infinities: the compiled maxima and softmax agree with the interpreter.

use crate::{agree::agrees_on, nests::*};
use mlcc_ir::{
    dtype::DType,
    kernel::{Combine, Role},
    nest::{LoopNest, Mapping},
    scalar::{BinaryOp, Body, Constant, Inst, UnaryOp},
    tensor::{Element, Tensor, push_element},
};
use mlcc_llvm::Target;

const TARGETS: [&str; 3] = ["znver4", "x86-64-v4", "x86-64-v3"];

/// Rows of `n` numbers. Each row has a special number at another place, and the first and the last place are
/// included.
fn rows(dtype: DType, n: usize) -> (Tensor, usize) {
    let numbers = |i: usize| ((i * 37 + 11) % 101) as f64 / 16.0 - 4.0;
    let mut rows: Vec<Vec<f64>> = Vec::new();
    for special in [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for at in [0, n / 3, n / 2, n - 1] {
            let mut row: Vec<f64> = (0..n).map(numbers).collect();
            row[at] = special;
            // The next elements must not hide the special one.
            row[(at + n / 2) % n] = if at % 2 == 0 { special } else { 1e30 };
            rows.push(row);
        }
        rows.push(vec![special; n]);
    }
    let mut both: Vec<f64> = (0..n).map(numbers).collect();
    (both[0], both[n - 1]) = (f64::INFINITY, f64::NEG_INFINITY);
    rows.push(both);
    rows.push((0..n).map(numbers).collect());
    let mut data = Vec::new();
    rows.iter().flatten().for_each(|v| push_element(dtype, &mut data, Element::Float(*v)));
    (Tensor::new(dtype, vec![rows.len() as i64, n as i64], data.into()).unwrap(), rows.len())
}

fn constant(dtype: DType, value: f64) -> Body {
    let mut body = Body::default();
    body.push(Inst::Const(Constant::float(dtype, value)), dtype);
    body
}

fn extremum(dtype: DType, how: Combine, n: usize, rows: usize, lanes: u32) -> LoopNest {
    let (n, rows) = (n.to_string(), rows.to_string());
    let buffers =
        vec![buffer("x", dtype, &[&rows, &n], Role::Input), buffer("y", dtype, &[&rows], Role::Output)];
    let identity = if how == Combine::Max { f64::NEG_INFINITY } else { f64::INFINITY };
    let all = combine(1, &["%r"], how, read(0, &["%r", "%i"], dtype));
    let body =
        vec![put(1, &["%r"], constant(dtype, identity)), axis("i", &n, Mapping::Vector(lanes), vec![all])];
    nest("extremum", &[], buffers, vec![axis("r", &rows, Mapping::Parallel, body)])
}

/// Softmax by the inverse of the sum.
fn softmax(n: usize, rows: usize, lanes: u32) -> LoopNest {
    let (n, rows, f) = (n.to_string(), rows.to_string(), DType::F32);
    let buffers = vec![
        buffer("x", f, &[&rows, &n], Role::Input),
        buffer("y", f, &[&rows, &n], Role::Output),
        buffer("exp", f, &[&n], Role::Temporary),
        register("max", f, &[]),
        register("sum", f, &[]),
    ];
    let mut exponential = read(0, &["%r", "%j"], f);
    exponential.read(3, vec![], f);
    exponential.binary(BinaryOp::Sub, 0, 1);
    exponential.unary(UnaryOp::Exp, 2);
    let mut quotient = read(2, &["%l"], f);
    quotient.read(4, vec![], f);
    quotient.binary(BinaryOp::Div, 0, 1);
    let vector = |name: &str, store| axis(name, &n, Mapping::Vector(lanes), vec![store]);
    let body = vec![
        put(3, &[], constant(f, f64::NEG_INFINITY)),
        vector("i", combine(3, &[], Combine::Max, read(0, &["%r", "%i"], f))),
        put(4, &[], constant(f, 0.0)),
        vector("j", put(2, &["%j"], exponential)),
        vector("k", combine(4, &[], Combine::Add, read(2, &["%k"], f))),
        vector("l", put(1, &["%r", "%l"], quotient)),
    ];
    nest("softmax", &[], buffers, vec![axis("r", &rows, Mapping::Parallel, body)])
}

#[test]
fn extrema_keep_nan_and_infinities() {
    for dtype in [DType::F32, DType::F64, DType::F16] {
        for (n, lanes) in [(5, 16), (100, 16), (333, 16), (100, 32), (333, 32), (1000, 32), (999, 64)] {
            let (x, count) = rows(dtype, n);
            for how in [Combine::Max, Combine::Min] {
                for target in TARGETS {
                    let target = Target::named(target).unwrap();
                    agrees_on(&target, &extremum(dtype, how, n, count, lanes), &[], &[(0, x.clone())]);
                }
            }
        }
    }
}

#[test]
fn softmax_of_rows_with_nan_and_infinities() {
    for (n, lanes) in [(5, 16), (100, 16), (333, 32), (1000, 32), (999, 64)] {
        let (x, count) = rows(DType::F32, n);
        for target in TARGETS {
            agrees_on(&Target::named(target).unwrap(), &softmax(n, count, lanes), &[], &[(0, x.clone())]);
        }
    }
}
