//! The call of `TopK`, and inputs with a default.

use crate::builder::Builder;
use mlcc_format::{Call, DType, Expr, Instruction, RuntimeFunction};
use mlcc_runtime::{Error, Model, TensorRef};

/// The `k` greatest elements of each row of `x`, with these attributes; the second output is of this type.
fn model(attributes: &[i64], k: i64, positions: DType) -> Model {
    let mut b = Builder::new();
    let (rows, columns) = (b.input_dim("rows", 0, 0), b.input_dim("columns", 0, 1));
    let x = b.input("x", DType::F32, &[rows.clone(), columns]);
    let best = [rows, Expr::Const(k)];
    let values = b.output("values", DType::F32, &best);
    let indices = b.output("indices", positions, &best);
    b.push(Instruction::Call(Call {
        function: RuntimeFunction::TopK,
        buffers: vec![x, values, indices],
        attributes: attributes.to_vec(),
    }));
    b.load(2)
}

#[test]
fn rows_are_shared_among_threads() {
    let (rows, columns, k) = (37usize, 1000usize, 3usize);
    let x: Vec<f32> = (0..rows * columns).map(|i| ((i * 7919) % 10_007) as f32).collect();
    let model = model(&[1, 1], k as i64, DType::I64);
    let outputs = model.run_owned(&[TensorRef::new(&[rows as i64, columns as i64], &x)]).expect("runs");
    let (values, indices) = (outputs[0].elements::<f32>().unwrap(), outputs[1].elements::<i64>().unwrap());
    for row in 0..rows {
        let line = &x[row * columns..][..columns];
        let mut order: Vec<usize> = (0..columns).collect();
        order.sort_by(|&a, &b| line[b].total_cmp(&line[a]));
        for (rank, &at) in order[..k].iter().enumerate() {
            assert_eq!((values[row * k + rank], indices[row * k + rank]), (line[at], at as i64));
        }
    }
    // The best elements of an empty tensor.
    let outputs = model.run_owned(&[TensorRef::new(&[0, 1000], &[0f32; 0])]).expect("runs");
    assert_eq!(outputs[0].dims(), [0, 3]);
}

#[test]
fn calls_that_make_no_sense_are_errors() {
    let x = [1f32; 6];
    let mut refused = Vec::new();
    for (attributes, k, positions, shape) in [
        (vec![1, 1], 4, DType::I64, [2, 3]),
        (vec![2, 1], 3, DType::I64, [2, 3]),
        (vec![-1, 1], 3, DType::I64, [2, 3]),
        (vec![1], 3, DType::I64, [2, 3]),
        (vec![1, 1], 3, DType::I32, [2, 3]),
        (vec![0, 1], 2, DType::I64, [2, 3]),
    ] {
        let error = model(&attributes, k, positions).run_owned(&[TensorRef::new(&shape, &x)]);
        let Err(Error::Size { problem, .. }) = error else { panic!("{attributes:?} {k} {positions:?}") };
        refused.push(problem);
    }
    assert_eq!(refused.len(), 6);
}

#[test]
fn a_result_never_lies_in_the_operand() {
    let mut b = Builder::new();
    let x = b.arena("x", DType::I64, 4);
    let y = b.output("y", DType::I64, &[Expr::Const(4)]);
    b.push(Instruction::Copy { dst: x, src: x });
    b.push(Instruction::Call(Call {
        function: RuntimeFunction::TopK,
        buffers: vec![x, x, y],
        attributes: vec![0, 1],
    }));
    // The plan is refused either when it is loaded or when it runs.
    if let Ok(model) = b.try_load(1) {
        assert!(model.run_owned(&[]).is_err());
    }
}

#[test]
fn inputs_with_a_default_are_given_all_or_not_at_all() {
    let mut b = Builder::new();
    let x = b.input("x", DType::F32, &[Expr::Const(2)]);
    let w = b.input("w", DType::F32, &[Expr::Const(2)]);
    let default = b.constant("w.default", &[3.0, 4.0]);
    b.manifest.signature.inputs[1].default = Some(default);
    for (name, from) in [("y", x), ("z", w)] {
        let to = b.output(name, DType::F32, &[Expr::Const(2)]);
        b.push(Instruction::Copy { dst: to, src: from });
    }
    let model = b.load(1);
    assert_eq!(model.default_input(0).map(|t| t.dims.to_vec()), None);
    assert_eq!(model.default_input(1).map(|t| t.dims.to_vec()), Some(vec![2]));
    let (one, two) = ([1f32, 2.0], [5f32, 6.0]);
    let run = |inputs: &[TensorRef<'_>]| {
        model.run_owned(inputs).map(|outputs| outputs[1].elements::<f32>().unwrap().to_vec())
    };
    let tensor = |values| TensorRef::new(&[2], values);
    assert_eq!(run(&[tensor(&one)]).unwrap(), [3.0, 4.0]);
    assert_eq!(run(&[tensor(&one), tensor(&two)]).unwrap(), two);
    assert!(matches!(run(&[]), Err(Error::Count { .. })));
    assert_eq!(model.output_shapes(&[&[2]]).unwrap().len(), 2);
}

#[test]
fn a_default_that_is_no_constant_of_its_type_is_refused() {
    for wrong in [0u32, 99] {
        let mut b = Builder::new();
        let x = b.input("x", DType::F32, &[Expr::Const(2)]);
        b.manifest.signature.inputs[0].default = Some(wrong);
        let y = b.output("y", DType::F32, &[Expr::Const(2)]);
        b.push(Instruction::Copy { dst: y, src: x });
        assert!(b.try_load(1).is_err(), "{wrong}");
    }
}
