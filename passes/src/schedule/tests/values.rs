//! `rfactor`, `compute_at` and `tile`: values stay, on odd sizes, and a refusal says why.

use super::*;
use mlcc_interpreter::{Symbols, compare, nest::run};
use mlcc_ir::contract::Contract;
use mlcc_ir::tensor::{Element, Tensor, element_count, push_element};

fn random(dtype: DType, dims: &[i64], seed: u64) -> Tensor {
    let mut state = seed;
    let mut bytes = Vec::new();
    for _ in 0..element_count(dims).unwrap() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let value = (state >> 40) as f64 / f64::from(1u32 << 23) - 1.0;
        let int = Element::Int((value * 40.0) as i64);
        push_element(dtype, &mut bytes, if dtype.is_float() { Element::Float(value) } else { int });
    }
    Tensor::new(dtype, dims.to_vec(), bytes.into()).unwrap()
}

/// Asserts that two nests give the same values on random inputs.
#[track_caller]
fn assert_same(before: &LoopNest, after: &LoopNest, symbols: &[(&str, i64)]) {
    after.check("schedule").unwrap_or_else(|e| panic!("{e}"));
    let symbols: Symbols = symbols.iter().map(|(n, v)| ((*n).into(), *v)).collect();
    let inputs = |nest: &LoopNest| -> Vec<Tensor> {
        let given = nest.buffers.iter().filter(|b| b.role == Role::Input);
        let size = |d: &Expr| {
            d.evaluate(&|a| match a {
                mlcc_ir::expr::Atom::Symbol(n) => symbols.get(n).copied(),
                _ => None,
            })
        };
        given
            .enumerate()
            .map(|(i, b)| {
                let dims: Vec<i64> = b.dims.iter().map(|d| size(d).unwrap()).collect();
                random(b.dtype, &dims, 11 + i as u64)
            })
            .collect()
    };
    let want = run(before, &symbols, &inputs(before), 1).unwrap();
    let got = run(after, &symbols, &inputs(after), 1).unwrap_or_else(|e| panic!("{e}"));
    for (g, w) in got.iter().zip(&want) {
        let error = compare(g, w);
        assert!(error <= 1e-6, "error {error}");
    }
}

/// `y[m] = combine over k, l of x[m, k, l] * x[m, k, l]`, of `dims`.
fn reduction(dtype: DType, combine: Combine, dims: [Expr; 3]) -> LoopNest {
    use AxisKind::{Parallel, Reduction};
    let mut body = Body::default();
    let x = body.read(0, at(&["m", "k", "l"]), dtype);
    body.binary(BinaryOp::Mul, x, x);
    let [m, k, l] = dims;
    let axis = |name: &str, extent: &Expr, kind| Axis { name: name.into(), extent: extent.clone(), kind };
    let tensor = |name: &str, dims: Vec<Expr>, role| KernelTensor {
        name: name.into(),
        ty: TensorType::new(dtype, dims),
        role,
    };
    naive(&Kernel {
        name: "reduction".into(),
        nodes: vec![],
        tensors: vec![
            tensor("x", vec![m.clone(), k.clone(), l.clone()], Role::Input),
            tensor("y", vec![m.clone()], Role::Output),
        ],
        computes: vec![Compute {
            name: "sum".into(),
            axes: vec![axis("m", &m, Parallel), axis("k", &k, Reduction), axis("l", &l, Reduction)],
            target: 1,
            write: at(&["m"]),
            body,
            combine: Some(combine),
        }],
    })
    .unwrap()
}

fn sizes(m: i64, k: i64, l: i64) -> [Expr; 3] {
    [m, k, l].map(Expr::from)
}

#[test]
fn partial_results_combine_to_the_whole() {
    for (dtype, combine) in [
        (DType::F32, Combine::Add),
        (DType::F64, Combine::Mul),
        (DType::F32, Combine::Max),
        (DType::I32, Combine::Min),
        (DType::I64, Combine::Add),
    ] {
        let nest = reduction(dtype, combine, sizes(5, 13, 3));
        for steps in [
            "rfactor(sum.k)",
            "rfactor(sum.l)",
            // 13 is no multiple of 4: the last partial result combines fewer.
            "split(sum.k, 4); rfactor(sum.k.i)",
            "split(sum.k, 4); rfactor(sum.k.o)",
            "split(sum.k, 4); rfactor(sum.k.i); remainder(sum.k.o, sum.k.i); unroll(sum.k.i)",
            "split(sum.k, 4); rfactor(sum.k.i); rfactor(sum.l)",
            "cache_write(y); rfactor(sum.k)",
        ] {
            assert_same(&nest, &after(&nest, steps), &[]);
        }
    }
}

#[test]
fn a_factored_reduction_of_a_symbolic_length() {
    let n = Expr::symbol("n");
    let nest = reduction(DType::F32, Combine::Add, [Expr::from(3), n, Expr::from(2)]);
    for length in [1, 7, 16] {
        for steps in ["rfactor(sum.k)", "split(sum.k, 8); rfactor(sum.k.i)", "rfactor(sum.l)"] {
            assert_same(&nest, &after(&nest, steps), &[("n", length)]);
        }
    }
}

#[test]
fn a_factored_axis_is_free() {
    let nest = after(&product(), "split(mm.k, 4); rfactor(mm.k.i)");
    let buffer = nest.buffers.last().unwrap();
    assert_eq!((&*buffer.name, &buffer.dims[..]), ("acc.partial", &[4, 20, 30].map(Expr::from)[..]));
    assert_eq!(find(&nest, "mm.k.i").mapping, Mapping::Serial);
    assert_eq!(find(&nest, "mm.k.o").mapping, Mapping::Reduction);
    assert_eq!(find(&nest, "mm.final.k.i").mapping, Mapping::Reduction);
    // Vectors over a former reduction, each lane with a result of its own.
    let nest = after(&nest, "reorder(mm.k.o, mm.k.i); vectorize(mm.k.i, 4); vectorize(mm.final.k.i, 4)");
    assert_same(&product(), &nest, &[]);
    // The stages are merged as others are: nothing but an element's own partial results is alive.
    let merged = after(
        &product(),
        "rfactor(mm.k); reorder(mm.init.m, mm.init.k); reorder(mm.init.n, mm.init.k); merge(mm.m, mm.init.m); \
         merge(mm.m, mm.final.init.m); merge(mm.m, mm.final.m); merge(mm.m, twice.m); parallel(mm.m)",
    );
    assert_same(&product(), &merged, &[]);
    assert_eq!(merged.tiles(), Expr::from(20));
}

#[test]
fn what_cannot_be_factored_says_why() {
    let cases = [
        ("rfactor(mm.m)", "rfactor(mm.m): 'mm.m' is serial, not a reduction's axis"),
        ("rfactor(mm.x)", "rfactor(mm.x): there is no axis 'mm.x'"),
        (
            "vectorize(mm.k, 8); rfactor(mm.k)",
            "rfactor(mm.k): 'mm.k' is vectors of 8, not a reduction's axis",
        ),
        (
            "merge(mm.m, mm.init.m); rfactor(mm.k)",
            "rfactor(mm.k): 'mm.k' lies in more than one stage's loops: factor before stages are merged",
        ),
    ];
    for (steps, message) in cases {
        assert_eq!(refusal(steps), message);
    }
    // The reduction combines with the caller's values, so the sum of partial results has no start.
    let mut alone = reduction(DType::F32, Combine::Add, sizes(3, 4, 5));
    alone.body.remove(0);
    let message = rfactor(&alone, "sum.k").unwrap_err().message;
    assert_eq!(message, "'y' is not initialised by one stage and combined by another");
    // A scatter.
    let mut scatter = reduction(DType::F32, Combine::Add, sizes(3, 4, 5));
    tree::each_store(&mut scatter.body, &mut |s| s.checked |= s.combine.is_some());
    let message = rfactor(&scatter, "sum.k").unwrap_err().message;
    assert_eq!(message, "'y' is written at elements that depend on values");
}

/// `t[w] = x[w] + x[w]; y[w] = sum r: t[w * step + r] * f[r]`, of 3 points.
fn windows(step: i64, outputs: i64) -> LoopNest {
    use AxisKind::{Parallel, Reduction};
    let length = (outputs - 1) * step + 3;
    let mut double = Body::default();
    let v = double.read(0, at(&["w"]), DType::F32);
    double.binary(BinaryOp::Add, v, v);
    let mut sum = Body::default();
    let index: Expr = format!("%w * {step} + %r").parse().unwrap();
    let v = sum.read(3, vec![index], DType::F32);
    let f = sum.read(1, at(&["r"]), DType::F32);
    sum.binary(BinaryOp::Mul, v, f);
    let compute = |name: &str, list: &[_], target, body, combine| Compute {
        name: name.into(),
        axes: axes(list),
        target,
        write: at(&["w"]),
        body,
        combine,
    };
    naive(&Kernel {
        name: "windows".into(),
        nodes: vec![],
        tensors: vec![
            tensor("x", &[length], Role::Input),
            tensor("f", &[3], Role::Input),
            tensor("y", &[outputs], Role::Output),
            tensor("t", &[length], Role::Temporary),
        ],
        computes: vec![
            compute("double", &[("w", length, Parallel)], 3, double, None),
            compute("sum", &[("w", outputs, Parallel), ("r", 3, Reduction)], 2, sum, Some(Combine::Add)),
        ],
    })
    .unwrap()
}

#[test]
fn a_producer_moves_to_where_its_elements_are_read() {
    for (step, outputs) in [(1, 17), (2, 9), (3, 5)] {
        let nest = windows(step, outputs);
        for steps in [
            "compute_at(t, sum.w)",
            // 4 divides no number of outputs: the last block reads fewer elements than it could.
            "split(sum.w, 4); compute_at(t, sum.w.o)",
            "split(sum.w, 4); compute_at(t, sum.w.i)",
            "compute_at(t, sum.r)",
        ] {
            assert_same(&nest, &after(&nest, steps), &[]);
        }
        let moved = after(&nest, "split(sum.w, 4); compute_at(t, sum.w.o)");
        assert_eq!(moved.buffers[3].dims, [Expr::from(3 * step + 3)], "what 4 outputs read");
        assert_eq!(find(&moved, "double.w").extent, Expr::from(3 * step + 3));
    }
    // One after the other, and backwards.
    for order in ["%i", "19 - %i"] {
        let chained = chain(order);
        let moved = after(&chained, "split(c.i, 7); compute_at(e, c.i.o); compute_at(t, b.i)");
        assert_same(&chained, &moved, &[]);
        assert_eq!(moved.buffers[2].dims, []);
        assert_eq!(moved.buffers[3].dims, [Expr::from(7)]);
    }
}

#[test]
fn a_producer_stays_where_it_must() {
    let message = |nest: &LoopNest, steps: &str| {
        let (before, last) = steps.rsplit_once("; ").unwrap_or(("", steps));
        last.parse::<Step>().unwrap().apply(&after(nest, before)).unwrap_err().message
    };
    let nest = windows(1, 17);
    for (steps, why) in [
        ("compute_at(x, sum.w)", "compute_at(x, sum.w): 'x' is not a temporary of its threads"),
        ("compute_at(t, sum.q)", "compute_at(t, sum.q): there is no axis 'sum.q'"),
        (
            "compute_at(t, double.w)",
            "compute_at(t, double.w): 't' is read outside of 'double.w', or out of its bounds",
        ),
        (
            "split(double.w, 4); compute_at(t, sum.w)",
            "compute_at(t, sum.w): 't' is not made by one elementwise stage",
        ),
    ] {
        assert_eq!(message(&nest, steps), why);
    }
    let why = message(&product(), "compute_at(acc, twice.m)");
    assert_eq!(why, "compute_at(acc, twice.m): 'acc' is not made by one elementwise stage");
    // The input of `t` changes in between.
    let mut changes = chain("%i");
    let Node::Loop(mut again) = changes.body[0].clone() else { panic!("a loop") };
    again.axis = "again.i".into();
    again.body = tree::substitute(&again.body, "a.i", &Expr::axis("again.i"));
    changes.body.insert(2, Node::Loop(again));
    let why = message(&changes, "compute_at(e, c.i)");
    assert_eq!(why, "compute_at(e, c.i): 't', of which 'e' is made, changes before it is used");
}

#[test]
fn tiles_are_two_splits_and_an_order() {
    let by_hand =
        "split(twice.m, 6); split(twice.n, 16); reorder(twice.m.o, twice.n.o, twice.m.i, twice.n.i)";
    assert_eq!(after(&product(), "tile(twice.m, twice.n, 6, 16)"), after(&product(), by_hand));
    assert_same(&product(), &after(&product(), "tile(mm.m, mm.n, 7, 4)"), &[]);
    let message = refusal("tile(mm.m, twice.n, 4, 4)");
    assert_eq!(message, "tile(mm.m, twice.n, 4, 4): the loops are not nested in each other");
    assert_eq!(refusal("tile(mm.m, mm.n, 4, 0)"), "tile(mm.m, mm.n, 4, 0): a loop cannot be split by 0");
}
