//! Programs: views, copies, control flow, calls.

use super::{run, run_with};
use crate::testing::{attrs, expr, f32s, try_evaluate};
use mlcc_ir::{
    dtype::DType,
    graph::Location,
    kernel::{Axis, AxisKind, Compute, Kernel, KernelTensor, Role},
    program::{Program, Step, Storage, Symbol, SymbolSource},
    scalar::{BinaryOp, Body, Constant},
    tensor::Tensor,
    types::TensorType,
};
use std::sync::Arc;

fn ty(dims: &[&str]) -> TensorType {
    TensorType::new(DType::F32, dims.iter().map(|d| expr(d)).collect())
}

/// `y[i] = x[i] + 1` for `n` elements.
fn increment(n: &str) -> Arc<Kernel> {
    let tensor = |name: &str, role| KernelTensor { name: name.into(), ty: ty(&[n]), role };
    let mut body = Body::default();
    let x = body.read(0, vec![expr("%i")], DType::F32);
    let one = body.constant(Constant::float(DType::F32, 1.0));
    body.binary(BinaryOp::Add, x, one);
    let axis = Axis { name: "i".into(), extent: expr(n), kind: AxisKind::Parallel };
    let write = vec![expr("%i")];
    let compute = Compute { name: "add".into(), axes: vec![axis], target: 1, write, body, combine: None };
    let tensors = vec![tensor("x", Role::Input), tensor("y", Role::Output)];
    Arc::new(Kernel { name: "add".into(), nodes: Vec::new(), tensors, computes: vec![compute] })
}

fn program() -> Program {
    let mut program = Program::default();
    program.symbols.push(Symbol { name: "n".into(), source: SymbolSource::InputDim { input: 0, dim: 0 } });
    let x = program.add_tensor("x", ty(&["n"]), Storage::Input(0));
    program.inputs.push(x);
    program
}

#[test]
fn views_share_the_memory_of_their_source() {
    let mut p = program();
    let both = p.add_tensor("both", ty(&["2", "n"]), Storage::Output(0));
    let first = p.add_tensor("first", ty(&["n"]), Storage::View { source: both, offset: expr("0") });
    let second = p.add_tensor("second", ty(&["n"]), Storage::View { source: both, offset: expr("n") });
    p.steps.push(Step::Copy { target: first, source: 0 });
    p.steps.push(Step::Kernel { kernel: increment("n"), operands: vec![first, second] });
    p.outputs.push(("y".into(), both));
    let y = run(&p, &[f32s(&[3], &[1.0, 2.0, 3.0])]).unwrap().swap_remove(0);
    assert_eq!((y.dims.clone(), y.to_f64()), (vec![2, 3], vec![1.0, 2.0, 3.0, 2.0, 3.0, 4.0]));
    let outside = p.add_tensor("outside", ty(&["n"]), Storage::View { source: both, offset: expr("n + 1") });
    p.steps.push(Step::Copy { target: outside, source: 0 });
    let error = run(&p, &[f32s(&[3], &[0.0; 3])]).unwrap_err();
    assert!(error.message.contains("the view 'outside' does not lie in its source"), "{error}");
}

#[test]
fn loops_and_branches() {
    let mut p = program();
    let scalar = |dtype| TensorType::new(dtype, Vec::new());
    let trips = Tensor::from_i64(&[], &[3]);
    let trips = p.add_tensor("trips", scalar(DType::I64), Storage::Constant(trips));
    let iteration = p.add_tensor("iteration", scalar(DType::I64), Storage::Intermediate);
    let no = Tensor::new(DType::Bool, vec![], vec![0].into()).unwrap();
    let no = p.add_tensor("no", scalar(DType::Bool), Storage::Constant(no));
    let sum = p.add_tensor("sum", ty(&["n"]), Storage::Intermediate);
    let next = p.add_tensor("next", ty(&["n"]), Storage::Intermediate);
    let step = vec![
        Step::Kernel { kernel: increment("n"), operands: vec![sum, next] },
        Step::Copy { target: sum, source: next },
    ];
    p.steps = vec![
        Step::Copy { target: sum, source: 0 },
        Step::Loop { trip_count: Some(trips), iteration, condition: None, body: step.clone() },
        Step::If { condition: no, then: step, otherwise: vec![] },
    ];
    p.outputs.extend([("sum".into(), sum), ("last".into(), iteration)]);
    let results = run(&p, &[f32s(&[2], &[1.0, 5.0])]).unwrap();
    assert_eq!((results[0].to_f64(), results[1].to_i64()), (vec![4.0, 8.0], vec![2]));
}

#[test]
fn calls_and_misuse() {
    let mut p = program();
    let y = p.add_tensor("y", ty(&["n"]), Storage::Output(0));
    p.outputs.push(("y".into(), y));
    let inputs = [f32s(&[2], &[1.0, -2.0])];
    assert!(run(&p, &inputs).unwrap_err().message.contains("'y' is read before it is written"));
    let location = Location { node: "n0".into(), op_type: "Neg".into() };
    p.steps.push(Step::Call {
        function: "neg".into(),
        inputs: vec![0],
        outputs: vec![y],
        attributes: vec![],
        location,
    });
    assert_eq!(run(&p, &inputs).unwrap_err().location.unwrap().node, "n0".into());
    let calls = |name: &str, inputs: &[Tensor], _: &[i64], _: &[TensorType]| {
        try_evaluate(name, &attrs(&[]), &inputs.iter().cloned().map(Some).collect::<Vec<_>>())
    };
    assert_eq!(run_with(&p, &inputs, &calls).unwrap()[0].to_f64(), [-1.0, 2.0]);
    p.steps.push(Step::Copy { target: 0, source: y });
    let error = run_with(&p, &inputs, &calls).unwrap_err();
    assert!(error.message.contains("'x' is written, but is an input"), "{error}");
    let error = run(&p, &[f32s(&[2, 1], &[0.0; 2])]).unwrap_err();
    assert!(error.message.contains("input 'x'"), "{error}");
}
