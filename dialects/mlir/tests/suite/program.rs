//! The tensor level's text form: programs and kernels read back as the same values.

use super::random::Random;
use mlcc_ir::{
    Name,
    dtype::DType,
    expr::Expr,
    graph::Location,
    kernel::{Axis, AxisKind, Combine, Compute, Kernel, KernelTensor, Role},
    program::{Program, ProgramTensor, Step, Storage, Symbol, SymbolSource},
    requirement::{Condition, Requirement},
    scalar::{BinaryOp, Body, Constant, Inst, Predicate, UnaryOp},
    tensor::Tensor,
    types::TensorType,
};
use mlcc_mlir::{MlirContext, weights::WeightStore};
use std::sync::Arc;

fn axis(name: &str, extent: impl Into<Expr>, kind: AxisKind) -> Axis {
    Axis { name: name.into(), extent: extent.into(), kind }
}

fn tensor(name: &str, dtype: DType, dims: Vec<Expr>, role: Role) -> KernelTensor {
    KernelTensor { name: name.into(), ty: TensorType::new(dtype, dims), role }
}

/// Softmax over the last dimension, in three steps.
pub(crate) fn softmax() -> Kernel {
    let n = Expr::symbol("n");
    let (i, k) = (Expr::axis("i"), Expr::axis("k"));
    let mut max = Body::default();
    max.read(0, vec![i.clone(), k.clone()], DType::F32);
    let mut exp = Body::default();
    let (x, m) =
        (exp.read(0, vec![i.clone(), k.clone()], DType::F32), exp.read(1, vec![i.clone()], DType::F32));
    let difference = exp.binary(BinaryOp::Sub, x, m);
    exp.unary(UnaryOp::Exp, difference);
    let sum = exp.clone();
    let mut quotient = exp.clone();
    let s = quotient.read(2, vec![i.clone()], DType::F32);
    quotient.binary(BinaryOp::Div, 3, s);
    let rows = axis("i", 4, AxisKind::Parallel);
    let reduced = axis("k", n.clone(), AxisKind::Reduction);
    let columns = axis("k", n.clone(), AxisKind::Parallel);
    let compute = |name: &str, axes: &[&Axis], target, write: &[&Expr], body, combine| Compute {
        name: name.into(),
        axes: axes.iter().map(|a| (*a).clone()).collect(),
        target,
        write: write.iter().map(|e| (*e).clone()).collect(),
        body,
        combine,
    };
    Kernel {
        name: "softmax".into(),
        nodes: vec!["Softmax_12".into()],
        tensors: vec![
            tensor("x", DType::F32, vec![4.into(), n.clone()], Role::Input),
            tensor("max", DType::F32, vec![4.into()], Role::Temporary),
            tensor("sum", DType::F32, vec![4.into()], Role::Temporary),
            tensor("y", DType::F32, vec![4.into(), n], Role::Output),
        ],
        computes: vec![
            compute("max", &[&rows, &reduced], 1, &[&i], max, Some(Combine::Max)),
            compute("sum", &[&rows, &reduced], 2, &[&i], sum, Some(Combine::Add)),
            compute("y", &[&rows, &columns], 3, &[&i, &k], quotient, None),
        ],
    }
}

/// A row of a table added to by index, reads with a value outside.
fn scatter() -> Kernel {
    let (i, j) = (Expr::axis("i"), Expr::axis("j"));
    let mut body = Body::default();
    let at = body.read(0, vec![i.clone()], DType::I64);
    let zero = Constant::int(DType::I64, 0);
    let zero = body.constant(zero);
    let negative = body.compare(Predicate::Lt, at, zero);
    let size = body.push(Inst::Index(Expr::symbol("rows")), DType::I64);
    let wrapped = body.binary(BinaryOp::Add, at, size);
    let index = body.select(negative, wrapped, at);
    let outside = Some(Constant::float(DType::F16, -0.5));
    let read =
        Inst::Read { tensor: 1, index: vec![i.clone() - 1.into(), Expr::value(index) + j.clone()], outside };
    body.push(read, DType::F16);
    let value = body.result;
    body.cast(value, DType::F32);
    Kernel {
        name: "scatter".into(),
        nodes: vec![],
        tensors: vec![
            tensor("index", DType::I64, vec![8.into()], Role::Input),
            tensor("update", DType::F16, vec![8.into(), 16.into()], Role::Input),
            tensor("table", DType::F32, vec![Expr::symbol("rows"), 16.into()], Role::InOut),
        ],
        computes: vec![Compute {
            name: "table".into(),
            axes: vec![axis("i", 8, AxisKind::Sequential), axis("j", 16, AxisKind::Parallel)],
            target: 2,
            write: vec![Expr::value(index), j],
            body,
            combine: Some(Combine::Add),
        }],
    }
}

/// Types agree, names are odd, values and axes occur in indices.
pub(crate) fn random_body(random: &mut Random, ranks: &[usize], axes: &[Name]) -> Body {
    let mut body = Body::default();
    for _ in 0..4 + random.below(8) {
        let index = |random: &mut Random, body: &Body| {
            let mut e = random.expr(1);
            if !axes.is_empty() && random.chance() {
                e = e + Expr::axis(&random.pick(axes)) * Expr::from(random.below(3) as i64);
            }
            let ints: Vec<u32> =
                (0..body.insts.len() as u32).filter(|v| body.dtype(*v) == DType::I64).collect();
            if !ints.is_empty() && random.chance() {
                e = e.minimum(&Expr::value(random.pick(&ints)));
            }
            e
        };
        let dtype = random.pick(&DType::ALL);
        let last = body.result;
        match random.below(8) {
            0 => {
                let e = index(random, &body);
                body.push(Inst::Index(e), DType::I64);
            }
            1 | 2 => {
                let tensor = random.below(ranks.len());
                let index = (0..ranks[tensor]).map(|_| index(random, &body)).collect();
                let outside = random.chance().then(|| constant(random, dtype));
                body.push(Inst::Read { tensor, index, outside }, dtype);
            }
            n if n == 3 || body.insts.is_empty() => {
                let constant = constant(random, dtype);
                body.constant(constant);
            }
            4 => {
                body.unary(random.pick(&[UnaryOp::Neg, UnaryOp::IsNan, UnaryOp::Trunc]), last);
            }
            5 => {
                body.binary(random.pick(&[BinaryOp::Mod, BinaryOp::Shr, BinaryOp::And]), last, last);
            }
            6 => {
                let c = body.compare(random.pick(&[Predicate::Ne, Predicate::Ge]), last, last);
                body.select(c, last, last);
            }
            _ => {
                body.push(Inst::Cast(last), dtype);
            }
        }
    }
    body
}

fn constant(random: &mut Random, dtype: DType) -> Constant {
    if dtype.is_float() {
        Constant::float(dtype, random.float())
    } else {
        Constant::int(dtype, random.next() as i64)
    }
}

fn random_kernel(random: &mut Random) -> Kernel {
    let roles = [Role::Input, Role::Output, Role::InOut, Role::Temporary];
    let tensors: Vec<KernelTensor> = (0..1 + random.below(4))
        .map(|i| {
            let name = format!("{}#{i}", random.name());
            KernelTensor { name: name.as_str().into(), ty: random.ty(), role: random.pick(&roles) }
        })
        .collect();
    let ranks: Vec<usize> = tensors.iter().map(|t| t.ty.rank()).collect();
    let kinds = [AxisKind::Parallel, AxisKind::Reduction, AxisKind::Sequential];
    let computes = (0..random.below(3))
        .map(|_| {
            let axes: Vec<Axis> = (0..random.below(4))
                .map(|i| axis(&format!("a.{i}"), random.expr(2), random.pick(&kinds)))
                .collect();
            let names: Vec<Name> = axes.iter().map(|a| a.name.clone()).collect();
            let target = random.below(tensors.len());
            let body = random_body(random, &ranks, &names);
            let write = (0..ranks[target]).map(|_| random.expr(1)).collect();
            let combine = random.pick(&[None, Some(Combine::And), Some(Combine::Mul)]);
            Compute { name: random.name().into(), axes, target, write, body, combine }
        })
        .collect();
    Kernel {
        name: random.pick(&["k", "conv relu", ""]).into(),
        nodes: vec![random.name().into()],
        tensors,
        computes,
    }
}

fn random_steps(random: &mut Random, kernels: &[Arc<Kernel>], tensors: usize, depth: usize) -> Vec<Step> {
    (0..random.below(4))
        .map(|_| match random.below(if depth == 0 { 3 } else { 5 }) {
            0 => {
                let kernel = random.pick(kernels);
                let operands = (0..kernel.operands().count()).map(|_| random.below(tensors)).collect();
                Step::Kernel { kernel, operands }
            }
            1 => Step::Copy { target: random.below(tensors), source: random.below(tensors) },
            2 => Step::Call {
                function: random.name().into(),
                inputs: (0..random.below(3)).map(|_| random.below(tensors)).collect(),
                outputs: (0..random.below(3)).map(|_| random.below(tensors)).collect(),
                attributes: (0..random.below(3)).map(|_| random.next() as i64).collect(),
                location: Location { node: random.name().into(), op_type: "TopK".into() },
            },
            3 => Step::If {
                condition: random.below(tensors),
                then: random_steps(random, kernels, tensors, depth - 1),
                otherwise: random_steps(random, kernels, tensors, depth - 1),
            },
            _ => Step::Loop {
                trip_count: random.chance().then(|| random.below(tensors)),
                iteration: random.below(tensors),
                condition: random.chance().then(|| random.below(tensors)),
                body: random_steps(random, kernels, tensors, depth - 1),
            },
        })
        .collect()
}

pub(crate) fn random_program(random: &mut Random) -> Program {
    let mut program = Program { name: random.pick(&["net", "a b", ""]).into(), ..Program::default() };
    for i in 0..random.below(3) {
        let source = SymbolSource::InputDim { input: i, dim: random.below(4) };
        let name: Name = format!("s{i}").into();
        if random.chance() {
            program.ranges.insert(name.clone(), random.size_range());
        }
        program.symbols.push(Symbol { name, source });
    }
    for _ in 0..random.below(3) {
        let value = random.expr(2);
        let condition = match random.chance() {
            true => Condition::Equal(value, random.expr(2)),
            false => Condition::AtLeast(value, random.below(9) as i64),
        };
        program.requirements.push(Requirement { condition, message: random.name() });
    }
    for i in 0..1 + random.below(6) {
        let (name, ty) = (random.name().into(), random.ty());
        let (large, source) = (random.chance(), random.below(i + 1));
        let tensor = random.tensor(large);
        let (storage, ty) = match random.below(5) {
            0 => {
                program.inputs.push(program.tensors.len());
                (Storage::Input(program.inputs.len() - 1), ty)
            }
            1 => (Storage::Output(i), ty),
            2 => (Storage::Constant(tensor.clone()), tensor.ty()),
            3 if source < i => (Storage::View { source, offset: random.expr(2) }, ty),
            _ => (Storage::Intermediate, ty),
        };
        program.tensors.push(ProgramTensor { name, ty, storage });
    }
    let kernels: Vec<Arc<Kernel>> = (0..3).map(|_| Arc::new(random_kernel(random))).collect();
    program.steps = random_steps(random, &kernels, program.tensors.len(), 2);
    program.outputs.push((random.name().into(), random.below(program.tensors.len())));
    program
}

fn round_trip(context: &MlirContext, program: &Program) {
    let text = context.print_program(program).unwrap_or_else(|e| panic!("{e}\n{program:#?}"));
    let read = context.parse_program(&text, &WeightStore::of_program(program));
    let read = read.unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert!(read == *program, "{text}\n{read:#?}\n{program:#?}");
    assert_eq!(context.print_program(&read).unwrap(), text);
}

#[test]
fn random_programs_round_trip() {
    let context = MlirContext::new();
    for seed in 1..300 {
        round_trip(&context, &random_program(&mut Random::new(seed)));
    }
}

fn example() -> Program {
    let mut program = Program { name: "net".into(), ..Program::default() };
    let (n, rows) = (Expr::symbol("n"), Expr::symbol("rows"));
    let dim = |input, dim| SymbolSource::InputDim { input, dim };
    program.symbols.push(Symbol { name: "n".into(), source: dim(0, 1) });
    program.symbols.push(Symbol { name: "rows".into(), source: dim(1, 0) });
    let ty = TensorType::new(DType::F32, vec![4.into(), n.clone()]);
    let table = TensorType::new(DType::F32, vec![rows, 16.into()]);
    let x = program.add_tensor("x", ty.clone(), Storage::Input(0));
    let t = program.add_tensor("table", table, Storage::Input(1));
    let at = program.add_tensor(
        "at",
        TensorType::of(DType::I64, &[8]),
        Storage::Constant(Tensor::from_i64(&[8], &[1; 8])),
    );
    let weight = Tensor::new(DType::F16, vec![8, 16], vec![0u8; 256].into()).unwrap();
    let u = program.add_tensor("update", weight.ty(), Storage::Constant(weight));
    let y = program.add_tensor("y", ty, Storage::Output(0));
    let v = program.add_tensor(
        "row",
        TensorType::new(DType::F32, vec![n.clone()]),
        Storage::View { source: y, offset: n * 2.into() },
    );
    let c = program.add_tensor("again", TensorType::of(DType::Bool, &[]), Storage::Intermediate);
    program.inputs = vec![x, t];
    let location = Location { node: "TopK_7".into(), op_type: "TopK".into() };
    let call = Step::Call {
        function: "top_k".into(),
        inputs: vec![v],
        outputs: vec![c],
        attributes: vec![5, 1],
        location,
    };
    program.steps = vec![
        Step::Kernel { kernel: Arc::new(softmax()), operands: vec![x, y] },
        call,
        Step::If {
            condition: c,
            then: vec![Step::Kernel { kernel: Arc::new(scatter()), operands: vec![at, u, t] }],
            otherwise: vec![],
        },
        Step::Loop {
            trip_count: Some(at),
            iteration: at,
            condition: None,
            body: vec![Step::Copy { target: y, source: x }],
        },
    ];
    program.outputs = vec![("y".into(), y)];
    program
}

#[test]
fn a_program_reads_well() {
    let context = MlirContext::new();
    let program = example();
    insta::assert_snapshot!(context.print_program(&program).unwrap());
    round_trip(&context, &program);
}

#[test]
fn a_kernel_called_twice_is_shared() {
    let context = MlirContext::new();
    let mut program = example();
    program.steps.push(program.steps[0].clone());
    let text = context.print_program(&program).unwrap();
    assert_eq!(text.matches("te.kernel @softmax").count(), 1);
    let read = context.parse_program(&text, &WeightStore::of_program(&program)).unwrap();
    match (&read.steps[0], &read.steps[4]) {
        (Step::Kernel { kernel: a, .. }, Step::Kernel { kernel: b, .. }) => assert!(Arc::ptr_eq(a, b)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn views_may_stand_before_what_they_view() {
    let context = MlirContext::new();
    let mut program = example();
    // The view takes the place of the tensor that it views.
    program.tensors.swap(4, 5);
    program.tensors[4].storage = Storage::View { source: 5, offset: 0.into() };
    let text = context.print_program(&program).unwrap();
    let read = context.parse_program(&text, &WeightStore::of_program(&program)).unwrap();
    assert_eq!(read.tensors[4].name, program.tensors[5].name);
    assert_eq!(read.outputs[0].1, 5);
}

#[test]
fn weights_are_bound_by_content() {
    let context = MlirContext::new();
    let program = example();
    let text = context.print_program(&program).unwrap();
    let error = context.parse_program(&text, &WeightStore::new()).unwrap_err();
    assert!(error.message.contains("pass the model or weights file"), "{error}");
    let file = WeightStore::of_program(&program).to_bytes();
    let store = WeightStore::from_bytes(&file.clone().into()).unwrap();
    assert!(context.parse_program(&text, &store).unwrap() == program);
    for length in 0..file.len() {
        assert!(WeightStore::from_bytes(&file[..length].to_vec().into()).is_err(), "{length} bytes");
    }
}
