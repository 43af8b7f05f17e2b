//! Every scalar instruction on every type, in vectors and one by one, against the interpreter's
//! definition.

use crate::{nests::*, run::run_on};
use mlcc_interpreter::scalar;
use mlcc_ir::{
    dtype::DType,
    kernel::Role,
    nest::{Mapping, Node},
    scalar::{BinaryOp, Body, Inst, Predicate, UnaryOp},
    tensor::{Element, Tensor, push_element},
};
use mlcc_llvm::Target;

const UNARY: [UnaryOp; 10] = [
    UnaryOp::Neg,
    UnaryOp::Abs,
    UnaryOp::Floor,
    UnaryOp::Ceil,
    UnaryOp::Round,
    UnaryOp::Trunc,
    UnaryOp::Sign,
    UnaryOp::Not,
    UnaryOp::IsNan,
    UnaryOp::Sqrt,
];
const BINARY: [BinaryOp; 14] = [
    BinaryOp::Add,
    BinaryOp::Sub,
    BinaryOp::Mul,
    BinaryOp::Div,
    BinaryOp::Mod,
    BinaryOp::Rem,
    BinaryOp::Pow,
    BinaryOp::Min,
    BinaryOp::Max,
    BinaryOp::And,
    BinaryOp::Or,
    BinaryOp::Xor,
    BinaryOp::Shl,
    BinaryOp::Shr,
];
const PREDICATES: [Predicate; 6] =
    [Predicate::Eq, Predicate::Ne, Predicate::Lt, Predicate::Le, Predicate::Gt, Predicate::Ge];

/// Values that show differences: small, extreme, special.
fn samples(dtype: DType, shift: usize) -> Vec<Element> {
    let mut values: Vec<Element> = if dtype.is_float() {
        let special = [
            0.0,
            -0.0,
            1.0,
            -1.0,
            0.5,
            -0.5,
            1.5,
            2.5,
            -2.5,
            3.0,
            1e-3,
            7.25,
            -1e4,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
            65504.0,
            3e38,
            1e-40,
            -6e-8,
            100.0,
            -0.75,
            255.5,
            -129.0,
        ];
        special.iter().map(|v| scalar::from_f64(dtype, *v)).collect()
    } else if dtype == DType::Bool {
        (0..24).map(|i| Element::Int(i / 2 % 2)).collect()
    } else {
        let (low, high) = dtype.limits();
        let edge = [low, low + 1, high, high - 1, 0, 1, 2, 3, 7, 31, 32, 63, 64, 100, -1, -2, -3, -7, -64];
        let more = [high / 2, low / 2, high / 3, 5, 8];
        edge.iter().chain(&more).map(|v| scalar::wrap(dtype, *v as i64)).collect()
    };
    values.rotate_left(shift % 24);
    values
}

/// All pairs of samples. Their number is not a multiple of any vector's lanes.
fn pairs(dtype: DType) -> (Vec<Element>, Vec<Element>) {
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for shift in 0..24 {
        left.extend(samples(dtype, 0));
        right.extend(samples(dtype, shift));
    }
    left.truncate(571);
    right.truncate(571);
    (left, right)
}

fn tensor(dtype: DType, values: &[Element]) -> Tensor {
    let mut data = Vec::new();
    values.iter().for_each(|v| push_element(dtype, &mut data, *v));
    Tensor::new(dtype, vec![values.len() as i64], data.into()).unwrap()
}

/// An instruction on two operands with what it should give; `bound` is a relative error.
struct Case {
    name: String,
    inst: Inst,
    result: DType,
    want: Vec<Element>,
    bound: f64,
}

fn close(got: Element, want: Element, bound: f64) -> bool {
    match (got, want) {
        (Element::Float(a), Element::Float(b)) => {
            a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= bound * b.abs()
        }
        _ => got == want,
    }
}

fn check(dtype: DType, cases: &[Case]) {
    let (left, right) = pairs(dtype);
    let n = left.len();
    let (host, v3) = (Target::host().unwrap(), Target::named("x86-64-v3").unwrap());
    for (target, mapping) in
        [(host.clone(), Mapping::Vector(16)), (host, Mapping::Serial), (v3, Mapping::Vector(8))]
    {
        let extent = n.to_string();
        let mut buffers =
            vec![buffer("x", dtype, &[&extent], Role::Input), buffer("y", dtype, &[&extent], Role::Input)];
        let mut operands = vec![tensor(dtype, &left), tensor(dtype, &right)];
        let mut stores: Vec<Node> = Vec::new();
        for (i, case) in cases.iter().enumerate() {
            buffers.push(buffer(&format!("z{i}"), case.result, &[&extent], Role::Output));
            operands.push(tensor(case.result, &vec![Element::Int(1); n]));
            let mut body: Body = read(0, &["%i"], dtype);
            body.read(1, vec![e("%i")], dtype);
            body.push(case.inst.clone(), case.result);
            stores.push(put(i + 2, &["%i"], body));
        }
        let nest = nest(&format!("scalars_{dtype}"), &[], buffers, vec![axis("i", &extent, mapping, stores)]);
        let Some(results) = run_on(&target, &nest, &operands, &[]) else { continue };
        for (case, result) in cases.iter().zip(&results[2..]) {
            for i in 0..n {
                let got = result.get(i);
                assert!(
                    close(got, case.want[i], case.bound),
                    "{} of {dtype} {:?} and {:?} is {got:?}, not {:?} ({mapping:?})",
                    case.name,
                    left[i],
                    right[i],
                    case.want[i],
                );
            }
        }
    }
}

/// Relative size of one unit in the last place.
fn epsilon(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => f64::EPSILON,
        DType::F32 => f64::from(f32::EPSILON),
        DType::F16 => 2f64.powi(-10),
        _ => 2f64.powi(-7),
    }
}

#[test]
fn operations_of_every_type_are_right() {
    for dtype in DType::ALL {
        let (left, right) = pairs(dtype);
        let mut cases = Vec::new();
        for op in UNARY {
            let result = if op == UnaryOp::IsNan { DType::Bool } else { dtype };
            let want: Option<Vec<_>> = left.iter().map(|a| scalar::unary(op, dtype, *a)).collect();
            if let Some(want) = want {
                cases.push(Case {
                    name: format!("{op:?}"),
                    inst: Inst::Unary(op, 0),
                    result,
                    want,
                    bound: 0.0,
                });
            }
        }
        for op in BINARY {
            let want: Option<Vec<_>> =
                left.iter().zip(&right).map(|(a, b)| scalar::binary(op, dtype, *a, *b)).collect();
            // 16-bit floats are computed in f32, so an f32 rounding may come before theirs.
            let narrow = matches!(dtype, DType::F16 | DType::BF16);
            let bound = match op {
                BinaryOp::Pow if dtype.is_float() => 8.0 * epsilon(dtype),
                BinaryOp::Mod | BinaryOp::Div if narrow => epsilon(dtype),
                _ => 0.0,
            };
            if let Some(want) = want {
                let inst = Inst::Binary(op, 0, 1);
                cases.push(Case { name: format!("{op:?}"), inst, result: dtype, want, bound });
            }
        }
        for predicate in PREDICATES {
            let truth =
                |(a, b): (&Element, &Element)| Element::Int(i64::from(scalar::compare(predicate, *a, *b)));
            let want = left.iter().zip(&right).map(truth).collect();
            let (name, inst) = (format!("{predicate:?}"), Inst::Compare(predicate, 0, 1));
            cases.push(Case { name, inst, result: DType::Bool, want, bound: 0.0 });
        }
        check(dtype, &cases);
    }
}

#[test]
fn casts_between_all_types_are_right() {
    for from in DType::ALL {
        let (left, _) = pairs(from);
        let cases: Vec<_> = DType::ALL
            .into_iter()
            .filter(|to| *to != from)
            .map(|to| Case {
                name: format!("cast to {to}"),
                inst: Inst::Cast(0),
                result: to,
                want: left.iter().map(|v| scalar::cast(*v, to)).collect(),
                bound: 0.0,
            })
            .collect();
        check(from, &cases);
    }
}
