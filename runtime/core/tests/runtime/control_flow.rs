//! Branches and loops.

use crate::builder::{self, Builder, launch, random, region, relative_error};
use mlcc_format::{DType, Expr, Instruction, Loop};
use mlcc_runtime::TensorRef;

#[test]
fn a_branch_follows_its_condition() {
    const N: i64 = 33;
    let mut b = Builder::new();
    let dims = [Expr::Const(N)];
    let condition = b.input("condition", DType::Bool, &[]);
    let x = b.input("x", DType::F32, &dims);
    let y = b.output("y", DType::F32, &dims);
    let (add, reverse) = (b.kernel("add", builder::add), b.kernel("reverse", builder::reverse));
    let then = b.block(vec![region(vec![launch(add, &[x, x, y], 2, N)])]);
    let otherwise = b.block(vec![region(vec![launch(reverse, &[x, y], 1, N)])]);
    b.push(Instruction::If { condition, then, otherwise });
    let model = b.load(2);
    let x = random(3, N as usize);
    for flag in [1u8, 0, 1] {
        let mut condition = TensorRef::new(&[], std::slice::from_ref(&flag));
        condition.dtype = DType::Bool;
        let y = model.run_owned(&[condition, TensorRef::new(&[N], &x)]).expect("runs").remove(0);
        let expected: Vec<f32> = match flag {
            1 => x.iter().map(|x| x + x).collect(),
            _ => x.iter().rev().map(|x| 2.0 * x).collect(),
        };
        assert!(relative_error(y.elements().expect("f32"), &expected) < 1e-6, "condition {flag}");
    }
}

/// `while y < limit, at most trips times: y += step`, counting iterations.
#[test]
fn a_loop_ends_by_count_or_condition() {
    let mut b = Builder::new();
    let trips = b.input("trips", DType::I64, &[]);
    let step = b.input("step", DType::F32, &[]);
    let limit = b.input("limit", DType::F32, &[]);
    let zero = b.constant("zero", &[0.0]);
    let sum = b.output("sum", DType::F32, &[]);
    let last = b.output("last", DType::I64, &[]);
    let next = b.arena("next", DType::F32, 1);
    let keep = b.arena("keep", DType::Bool, 1);
    let (add, less) = (b.kernel("add", builder::add), b.kernel("less", builder::less));
    let compare = || region(vec![launch(less, &[sum, limit, keep], 2, 1)]);
    let body = b.block(vec![
        region(vec![launch(add, &[sum, step, next], 2, 1)]),
        Instruction::Copy { dst: sum, src: next },
        compare(),
    ]);
    b.push(Instruction::Copy { dst: sum, src: zero });
    b.push(compare());
    b.push(Instruction::Loop(Loop {
        trip_count: Some(trips),
        condition: Some(keep),
        iteration: Some(last),
        body,
    }));
    let model = b.load(2);
    for (trips, step, limit, sum, iterations) in [
        (10i64, 1.0f32, 100.0f32, 10.0f32, 10),
        (10, 1.0, 3.5, 4.0, 4),
        (0, 1.0, 9.0, 0.0, 0),
        (5, 1.0, 0.0, 0.0, 0),
        (-3, 1.0, 9.0, 0.0, 0),
    ] {
        let inputs = [
            TensorRef::new(&[], std::slice::from_ref(&trips)),
            TensorRef::new(&[], std::slice::from_ref(&step)),
            TensorRef::new(&[], std::slice::from_ref(&limit)),
        ];
        let outputs = model.run_owned(&inputs).expect("runs");
        assert_eq!(outputs[0].elements::<f32>(), Some(&[sum][..]), "{trips} trips, limit {limit}");
        if iterations > 0 {
            assert_eq!(outputs[1].elements::<i64>(), Some(&[iterations - 1][..]));
        }
    }
}
