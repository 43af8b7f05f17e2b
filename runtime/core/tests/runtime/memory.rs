//! Memory: sizes out of bounds are errors, the arena and scratch serve every thread.

use crate::builder::{self, Builder, launch, random, region};
use mlcc_format::{DType, Expr, Instruction, Place};
use mlcc_runtime::{Error, TensorRef};

/// An `[n, m]` input of no elements, and a heap buffer of `m` squared.
fn square(tensor: &TensorRef<'_>) -> Result<(), Error> {
    let mut b = Builder::new();
    let (n, m) = (b.input_dim("n", 0, 0), b.input_dim("m", 0, 1));
    b.input("x", DType::F32, &[n, m.clone()]);
    let heap = b.buffer("square", DType::F32, &[m.clone(), m], Place::Heap);
    b.push(Instruction::Alloc(heap));
    b.load(1).run_owned(&[*tensor]).map(drop)
}

#[test]
fn sizes_beyond_the_machine_are_errors() {
    let empty: [f32; 0] = [];
    square(&TensorRef::new(&[0, 1000], &empty)).expect("4 MB are there");
    let error = square(&TensorRef::new(&[0, 1 << 26], &empty)).expect_err("16 PB are not");
    assert!(matches!(&error, Error::OutOfMemory { what, .. } if what.contains("square")), "{error}");
    let error = square(&TensorRef::new(&[0, 1 << 40], &empty)).expect_err("more than 64 bits");
    assert!(matches!(&error, Error::Size { what, .. } if what.contains("square")), "{error}");
}

#[test]
fn an_arena_beyond_the_machine_is_an_error() {
    let mut b = Builder::new();
    b.plan.arena_bytes = 1 << 55;
    assert!(matches!(b.load(1).context(), Err(Error::OutOfMemory { .. })));
}

/// Each tile sums a row in the scratch of its thread: shared scratch would mix the rows.
#[test]
fn scratch_is_per_thread() {
    unsafe extern "C" fn row_sums(
        buffers: *const *mut u8,
        sizes: *const i64,
        scratch: *mut u8,
        begin: i64,
        end: i64,
    ) {
        // SAFETY: the launch has one size, `columns` elements of scratch, and rows `0..tiles`.
        unsafe {
            let columns = *sizes as usize;
            let (x, y) = ((*buffers).cast::<f32>(), (*buffers.add(1)).cast::<f32>());
            let scratch = scratch.cast::<f32>();
            for row in begin as usize..end as usize {
                scratch.copy_from_nonoverlapping(x.add(row * columns), columns);
                std::thread::yield_now();
                *y.add(row) = (0..columns).map(|i| *scratch.add(i)).sum();
            }
        }
    }
    let mut b = Builder::new();
    let (n, m) = (b.input_dim("n", 0, 0), b.input_dim("m", 0, 1));
    let x = b.input("x", DType::F32, &[n.clone(), m.clone()]);
    let y = b.output("y", DType::F32, std::slice::from_ref(&n));
    let kernel = b.kernel("row_sums", row_sums);
    let launch =
        mlcc_format::Launch { tiles: n, scratch_bytes: m.clone() * 4, ..launch(kernel, &[x, y], 1, m) };
    b.push(region(vec![launch]));
    let model = b.load(4);
    for (n, m) in [(50, 10), (200, 999), (3, 20_000), (7, 1)] {
        let x = random(n as u64, n * m);
        let y = model.run_owned(&[TensorRef::new(&[n as i64, m as i64], &x)]).expect("runs").remove(0);
        let expected: Vec<f32> = x.chunks(m).map(|row| row.iter().sum()).collect();
        assert_eq!(y.elements::<f32>(), Some(&expected[..]));
    }
}

#[test]
fn views_of_the_arena_share_its_memory() {
    let mut b = Builder::new();
    let x = b.input("x", DType::F32, &[Expr::Const(32)]);
    let base = b.arena("base", DType::F32, 64);
    let upper =
        b.buffer("upper", DType::F32, &[Expr::Const(32)], Place::View { of: base, byte_offset: 128.into() });
    let lower =
        b.buffer("lower", DType::F32, &[Expr::Const(32)], Place::View { of: base, byte_offset: 0.into() });
    let middle =
        b.buffer("middle", DType::F32, &[Expr::Const(8)], Place::View { of: upper, byte_offset: 16.into() });
    let y = b.output("y", DType::F32, &[]);
    let z = b.output("z", DType::F32, &[Expr::Const(8)]);
    let (reverse, sum) = (b.kernel("reverse", builder::reverse), b.kernel("sum", builder::weighted_sum));
    b.push(Instruction::Copy { dst: lower, src: x });
    b.push(region(vec![launch(reverse, &[lower, upper], 1, 32)]));
    let one_tile = mlcc_format::Launch { tiles: Expr::Const(1), ..launch(sum, &[base, y], 1, 64) };
    b.push(region(vec![one_tile]));
    b.push(Instruction::Copy { dst: z, src: middle });
    let model = b.load(2);
    let x: Vec<f32> = random(5, 32);
    let outputs = model.run_owned(&[TensorRef::new(&[32], &x)]).expect("runs");
    let all: Vec<f32> = x.iter().copied().chain(x.iter().rev().map(|x| 2.0 * x)).collect();
    let expected: f64 = all.iter().enumerate().map(|(i, x)| (i + 1) as f64 * f64::from(*x)).sum();
    let got = f64::from(outputs[0].elements::<f32>().expect("f32")[0]);
    assert!((got - expected).abs() <= 1e-6 * expected.abs(), "{got} {expected}");
    assert_eq!(outputs[1].elements::<f32>(), Some(&all[36..44]));
}
