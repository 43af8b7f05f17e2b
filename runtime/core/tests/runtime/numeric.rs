//! Models compute what they should: static and symbolic shapes, on any number of threads.

use crate::builder::{self, Builder, launch, random, region, relative_error};
use mlcc_format::{DType, Expr, Instruction, Place};
use mlcc_runtime::{Model, TensorMut, TensorRef};

/// `y = 2 * reverse(x + w) + w` over `n` elements, with both steps in one region.
pub(crate) fn static_model(n: i64, w: &[f32], threads: usize) -> Model {
    let mut b = Builder::new();
    let dims = [Expr::Const(n)];
    let x = b.input("x", DType::F32, &dims);
    let w = b.constant("w", w);
    let t = b.arena("t", DType::F32, n);
    let u = b.arena("u", DType::F32, n);
    let y = b.output("y", DType::F32, &dims);
    let (add, reverse) = (b.kernel("add", builder::add), b.kernel("reverse", builder::reverse));
    b.push(region(vec![
        launch(add, &[x, w, t], 2, n),
        launch(reverse, &[t, u], 1, n),
        launch(add, &[u, w, y], 2, n),
    ]));
    b.load(threads)
}

pub(crate) fn static_reference(x: &[f32], w: &[f32]) -> Vec<f32> {
    let n = x.len();
    (0..n).map(|i| 2.0 * (x[n - 1 - i] + w[n - 1 - i]) + w[i]).collect()
}

#[test]
fn steps_of_a_region_see_what_came_before() {
    for threads in [1, 2, 3] {
        for n in [1, 15, 16, 17, 1001, 40_009] {
            let w = random(1, n);
            let model = static_model(n as i64, &w, threads);
            let mut context = model.context().expect("memory");
            for seed in 0..5 {
                let x = random(seed + 2, n);
                let mut y = vec![f32::NAN; n];
                let dims = [n as i64];
                context
                    .run(&[TensorRef::new(&dims, &x)], &mut [TensorMut::new(&dims, &mut y)])
                    .expect("runs");
                let error = relative_error(&y, &static_reference(&x, &w));
                assert!(error < 1e-6, "{n} elements, {threads} threads: {error}");
            }
        }
    }
}

/// `y[N, 2L + 1] = reverse(x ++ x ++ rest)`: copies into symbolic views of a heap buffer.
fn symbolic_model(threads: usize) -> Model {
    let mut b = Builder::new();
    let (n, l) = (b.input_dim("N", 0, 0), b.input_dim("L", 0, 1));
    let x = b.input("x", DType::F32, &[n.clone(), l.clone()]);
    let z = b.input("z", DType::F32, std::slice::from_ref(&n));
    let out = [n.clone(), l.clone() * 2 + 1];
    let y = b.output("y", DType::F32, &out);
    let heap = b.buffer("joined", DType::F32, &out, Place::Heap);
    let size = n.clone() * l * 4;
    let view = |of, byte_offset| Place::View { of, byte_offset };
    let dims = b.plan.buffers[x as usize].dims.clone();
    let first = b.buffer("first", DType::F32, &dims, view(heap, Expr::Const(0)));
    let rest = b.buffer(
        "rest",
        DType::F32,
        &[n.clone() + dims[0].clone() * dims[1].clone()],
        view(heap, size.clone()),
    );
    let second = b.buffer("second", DType::F32, &dims, view(rest, Expr::Const(0)));
    let third = b.buffer("third", DType::F32, &[n], view(rest, size));
    let reverse = b.kernel("reverse", builder::reverse);
    b.push(Instruction::Alloc(heap));
    b.push(Instruction::Copy { dst: first, src: x });
    b.push(Instruction::Copy { dst: second, src: x });
    b.push(Instruction::Copy { dst: third, src: z });
    b.push(region(vec![launch(reverse, &[heap, y], 1, Expr::product(out))]));
    b.push(Instruction::Free(heap));
    b.load(threads)
}

#[test]
fn symbolic_shapes_and_views_follow_the_inputs() {
    for threads in [1, 2] {
        let model = symbolic_model(threads);
        assert_eq!(model.signature().outputs[0].shape_text(), "[N, L * 2 + 1]");
        let mut context = model.context().expect("memory");
        for (round, (n, l)) in
            [(2i64, 3i64), (1, 1), (5, 77), (5, 77), (300, 301), (0, 9), (4, 0), (2, 3)].iter().enumerate()
        {
            let x = random(round as u64, (n * l) as usize);
            let z = random(round as u64 + 50, *n as usize);
            let out = model.output_shapes(&[&[*n, *l], &[*n]]).expect("shapes");
            assert_eq!(out, [Some(vec![*n, 2 * l + 1])]);
            let (x_dims, z_dims) = ([*n, *l], [*n]);
            let inputs = [TensorRef::new(&x_dims, &x), TensorRef::new(&z_dims, &z)];
            let y = context.run_owned(&inputs).expect("runs").remove(0);
            assert_eq!(y.dims(), [*n, 2 * l + 1]);
            let expected: Vec<f32> = x.iter().chain(&x).chain(&z).rev().map(|value| 2.0 * value).collect();
            assert!(relative_error(y.elements().expect("f32"), &expected) < 1e-6, "{n} x {l}");
        }
        let heap = context.heap_statistics();
        assert_eq!(heap.live_bytes, 0);
        assert!(heap.reused >= 3, "{heap:?}");
    }
}

#[test]
fn large_copies_are_whole() {
    let mut b = Builder::new();
    let n = b.input_dim("n", 0, 0);
    let x = b.input("x", DType::U8, std::slice::from_ref(&n));
    let y = b.output("y", DType::U8, &[n]);
    b.push(Instruction::Copy { dst: y, src: x });
    let model = b.load(2);
    for n in [0i64, 1, 262_143, 262_144, 262_145, 3_000_001] {
        let x: Vec<u8> =
            random(n as u64, n as usize).iter().map(|value| (value * 100.0) as i8 as u8).collect();
        let y = model.run_owned(&[TensorRef::new(&[n], &x)]).expect("runs").remove(0);
        assert!(y.data() == x, "{n} bytes");
    }
}

#[test]
fn a_profile_counts_each_launch() {
    let w = random(1, 1000);
    let model = static_model(1000, &w, 2);
    let mut context = model.context().expect("memory");
    assert!(context.profile().is_empty());
    context.start_profile();
    let x = random(2, 1000);
    for _ in 0..3 {
        context.run_owned(&[TensorRef::new(&[1000], &x)]).expect("runs");
    }
    let profile = context.profile();
    assert_eq!(profile.iter().map(|p| (p.kernel, p.calls)).collect::<Vec<_>>(), [(0, 3), (1, 3), (0, 3)]);
    assert!(profile.iter().all(|p| p.nanoseconds > 0));
}
