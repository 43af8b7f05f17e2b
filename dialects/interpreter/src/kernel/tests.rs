//! Kernels against the graph's operators, and the errors that the interpreter must find.

use super::run;
use crate::{
    Symbols, compare,
    testing::{Random, evaluate, expr, f32s, i64s, ints},
};
use mlcc_ir::{
    attributes::Attr,
    dtype::DType,
    expr::Expr,
    kernel::{Axis, AxisKind, Combine, Compute, Kernel, KernelTensor, Role},
    scalar::{BinaryOp, Body, Constant, Inst, UnaryOp},
    types::TensorType,
};

use AxisKind::{Parallel, Reduction, Sequential};

fn tensor(name: &str, dtype: DType, dims: &[&str], role: Role) -> KernelTensor {
    let dims = dims.iter().map(|d| expr(d)).collect();
    KernelTensor { name: name.into(), ty: TensorType::new(dtype, dims), role }
}

fn compute(
    name: &str,
    axes: &[(&str, &str, AxisKind)],
    (target, write): (usize, &[&str]),
    body: Body,
    combine: Option<Combine>,
) -> Compute {
    let axis = |(name, extent, kind): &(&str, &str, AxisKind)| Axis {
        name: (*name).into(),
        extent: expr(extent),
        kind: *kind,
    };
    Compute {
        name: name.into(),
        axes: axes.iter().map(axis).collect(),
        target,
        write: write.iter().map(|e| expr(e)).collect(),
        body,
        combine,
    }
}

fn at(index: &[&str]) -> Vec<Expr> {
    index.iter().map(|e| expr(e)).collect()
}

fn kernel(tensors: Vec<KernelTensor>, computes: Vec<Compute>) -> Kernel {
    Kernel { name: "test".into(), nodes: Vec::new(), tensors, computes }
}

fn symbols(list: &[(&str, i64)]) -> Symbols {
    list.iter().map(|(name, value)| ((*name).into(), *value)).collect()
}

fn product(a: (usize, &[&str]), b: (usize, &[&str]), outside: Option<Constant>) -> Body {
    let mut body = Body::default();
    let x = body.push(Inst::Read { tensor: a.0, index: at(a.1), outside }, DType::F32);
    let y = body.read(b.0, at(b.1), DType::F32);
    body.binary(BinaryOp::Mul, x, y);
    body
}

#[test]
fn a_matrix_product_agrees_with_the_operator() {
    let body = product((0, &["%i", "%k"]), (1, &["%k", "%j"]), None);
    let axes = [("i", "m", Parallel), ("j", "5", Parallel), ("k", "7", Reduction)];
    let matmul = kernel(
        vec![
            tensor("a", DType::F32, &["m", "7"], Role::Input),
            tensor("b", DType::F32, &["7", "5"], Role::Input),
            tensor("y", DType::F32, &["m", "5"], Role::Output),
        ],
        vec![compute("matmul", &axes, (2, &["%i", "%j"]), body, Some(Combine::Add))],
    );
    let mut random = Random(7);
    let operands = [random.tensor(DType::F32, &[3, 7]), random.tensor(DType::F32, &[7, 5])];
    let got = run(&matmul, &symbols(&[("m", 3)]), &operands).unwrap();
    assert!(compare(&got[0], &evaluate("matmul", &[], &operands)[0]) < 1e-7);
    let error = run(&matmul, &symbols(&[]), &operands).unwrap_err();
    assert!(error.message.contains("symbol 'm' in 'm' has no value"), "{error}");
    let error = run(&matmul, &symbols(&[("m", 4)]), &operands).unwrap_err();
    assert!(error.message.contains("'a' is f32 of [4, 7], but the tensor is 3x7xf32"), "{error}");
}

#[test]
fn a_padded_convolution_agrees_with_the_operator() {
    let zero = Some(Constant::float(DType::F32, 0.0));
    let x = ["%n", "%g * 2 + %c", "%y * 2 + %ky - 1", "%x * 2 + %kx - 1"];
    let w = ["%g * 3 + %m", "%c", "%ky", "%kx"];
    let axes = [
        ("n", "2", Parallel),
        ("g", "2", Parallel),
        ("m", "3", Parallel),
        ("y", "4", Parallel),
        ("x", "3", Parallel),
        ("c", "2", Reduction),
        ("ky", "3", Reduction),
        ("kx", "3", Reduction),
    ];
    let body = product((0, &x), (1, &w), zero);
    let write = ["%n", "%g * 3 + %m", "%y", "%x"];
    let conv = |body: Body| {
        kernel(
            vec![
                tensor("x", DType::F32, &["2", "4", "7", "5"], Role::Input),
                tensor("w", DType::F32, &["6", "2", "3", "3"], Role::Input),
                tensor("y", DType::F32, &["2", "6", "4", "3"], Role::Output),
            ],
            vec![compute("conv", &axes, (2, &write), body, Some(Combine::Add))],
        )
    };
    let mut random = Random(8);
    let operands = [random.tensor(DType::F32, &[2, 4, 7, 5]), random.tensor(DType::F32, &[6, 2, 3, 3])];
    let got = run(&conv(body), &symbols(&[]), &operands).unwrap();
    let list = [("strides", ints(&[2, 2])), ("pads", ints(&[1; 4])), ("group", Attr::Int(2))];
    assert!(compare(&got[0], &evaluate("conv", &list, &operands)[0]) < 1e-7);
    // Without a value for the padding the first read is out of bounds.
    let error = run(&conv(product((0, &x), (1, &w), None)), &symbols(&[]), &operands).unwrap_err();
    assert!(error.message.contains("compute 'conv': read out of bounds: 'x' at [0, 0, -1, -1]"), "{error}");
}

/// Softmax over the second dimension, in four computes with temporaries.
fn softmax() -> Kernel {
    let rows = ("i", "n", Parallel);
    let (over, along) = (("j", "6", Reduction), ("j", "6", Parallel));
    let mut max = Body::default();
    max.read(0, at(&["%i", "%j"]), DType::F32);
    let mut exp = Body::default();
    let (x, m) = (exp.read(0, at(&["%i", "%j"]), DType::F32), exp.read(1, at(&["%i"]), DType::F32));
    let shifted = exp.binary(BinaryOp::Sub, x, m);
    exp.unary(UnaryOp::Exp, shifted);
    let mut sum = Body::default();
    sum.read(2, at(&["%i", "%j"]), DType::F32);
    let mut divide = Body::default();
    let (e, s) = (divide.read(2, at(&["%i", "%j"]), DType::F32), divide.read(3, at(&["%i"]), DType::F32));
    divide.binary(BinaryOp::Div, e, s);
    kernel(
        vec![
            tensor("x", DType::F32, &["n", "6"], Role::Input),
            tensor("max", DType::F32, &["n"], Role::Temporary),
            tensor("exp", DType::F32, &["n", "6"], Role::Temporary),
            tensor("sum", DType::F32, &["n"], Role::Temporary),
            tensor("y", DType::F32, &["n", "6"], Role::Output),
        ],
        vec![
            compute("max", &[rows, over], (1, &["%i"]), max, Some(Combine::Max)),
            compute("exp", &[rows, along], (2, &["%i", "%j"]), exp, None),
            compute("sum", &[rows, over], (3, &["%i"]), sum, Some(Combine::Add)),
            compute("divide", &[rows, along], (4, &["%i", "%j"]), divide, None),
        ],
    )
}

#[test]
fn a_softmax_of_several_computes_agrees_with_the_operator() {
    let x = Random(9).tensor(DType::F32, &[5, 6]);
    let got = run(&softmax(), &symbols(&[("n", 5)]), std::slice::from_ref(&x)).unwrap();
    let want = evaluate("softmax", &[("axis", Attr::Int(1))], std::slice::from_ref(&x));
    assert!(compare(&got[0], &want[0]) < 1e-6);
    let mut unordered = softmax();
    unordered.computes.swap(1, 2);
    let error = run(&unordered, &symbols(&[("n", 5)]), &[x]).unwrap_err();
    assert!(error.message.contains("'exp' is read before it is written"), "{error}");
}

/// `y[indices[i]] += updates[i]`.
fn scatter(kind: AxisKind, combine: Option<Combine>) -> Kernel {
    let mut body = Body::default();
    body.read(0, at(&["%i"]), DType::I64);
    body.read(1, at(&["%i"]), DType::F32);
    kernel(
        vec![
            tensor("indices", DType::I64, &["3"], Role::Input),
            tensor("updates", DType::F32, &["3"], Role::Input),
            tensor("y", DType::F32, &["4"], Role::InOut),
        ],
        vec![compute("scatter", &[("i", "3", kind)], (2, &["$0"]), body, combine)],
    )
}

#[test]
fn scatters_combine_skip_and_must_not_race() {
    let operands =
        |indices: [i64; 3]| [i64s(&[3], &indices), f32s(&[3], &[1.0, 2.0, 4.0]), f32s(&[4], &[10.0; 4])];
    let of = |kernel: &Kernel, indices| run(kernel, &symbols(&[]), &operands(indices)).map(|r| r[0].to_f64());
    let add = scatter(Parallel, Some(Combine::Add));
    assert_eq!(of(&add, [1, 1, 0]).unwrap(), [14.0, 13.0, 10.0, 10.0]);
    // An index out of bounds writes nothing.
    assert_eq!(of(&add, [1, 4, -1]).unwrap(), [10.0, 11.0, 10.0, 10.0]);
    assert_eq!(of(&scatter(Sequential, None), [2, 2, 0]).unwrap(), [4.0, 10.0, 2.0, 10.0]);
    let error = of(&scatter(Parallel, None), [2, 2, 0]).unwrap_err();
    assert!(error.message.contains("'y' at [2] is written by two points of the parallel axes"), "{error}");
}

#[test]
fn malformed_kernels_are_refused() {
    let one = |write: &str, axes: &[(&str, &str, AxisKind)], body: Body| {
        let tensors =
            vec![tensor("x", DType::F32, &["4"], Role::Input), tensor("y", DType::F32, &["4"], Role::Output)];
        let kernel = kernel(tensors, vec![compute("c", axes, (1, &[write]), body, None)]);
        run(&kernel, &symbols(&[]), &[f32s(&[4], &[0.0; 4])]).map_err(|e| e.message)
    };
    let mut copy = Body::default();
    copy.read(0, at(&["%i"]), DType::F32);
    let all = [("i", "4", Parallel)];
    assert!(one("%i", &all, copy.clone()).is_ok());
    assert!(one("%i + 1", &all, copy.clone()).unwrap_err().contains("write out of bounds: 'y' at [4]"));
    let some = one("%i", &[("i", "3", Parallel)], copy.clone()).unwrap_err();
    assert!(some.contains("element 3 of 'y' is never written"), "{some}");
    assert!(one("%j", &all, copy.clone()).unwrap_err().contains("axis 'j', which does not enclose it"));
    let mut mixed = copy.clone();
    let one_int = mixed.constant(Constant::int(DType::I32, 1));
    mixed.insts.push((Inst::Binary(BinaryOp::Add, 0, one_int), DType::F32));
    mixed.result = 2;
    assert!(one("%i", &all, mixed).unwrap_err().contains("has an operand of i32"));
    let forward = Body { insts: vec![(Inst::Unary(UnaryOp::Neg, 1), DType::F32)], result: 0 };
    assert!(one("%i", &all, forward).unwrap_err().contains("before it is computed"));
    // A recurrence along a parallel axis reads what another point writes.
    let mut recurrence = Body::default();
    let zero = Some(Constant::float(DType::F32, 0.0));
    recurrence.push(Inst::Read { tensor: 1, index: at(&["%i - 1"]), outside: zero }, DType::F32);
    assert!(one("%i", &all, recurrence.clone()).unwrap_err().contains("written by another"));
    assert!(one("%i", &[("i", "4", Sequential)], recurrence).is_ok());
}
