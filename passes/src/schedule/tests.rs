//! What primitives refuse and why, and the text form of schedules. Other tests show that primitives keep the
//! values, where decisions use them: in the interpreters and in machine code.

use super::*;
use mlcc_ir::{
    dtype::DType,
    expr::Expr,
    kernel::{Axis, AxisKind, Combine, Compute, Kernel, KernelTensor, Role},
    nest::{Mapping, Node},
    scalar::{BinaryOp, Body, Constant, Inst},
    types::TensorType,
};

mod rows;
mod values;

fn axes(list: &[(&str, i64, AxisKind)]) -> Vec<Axis> {
    list.iter()
        .map(|(name, extent, kind)| Axis { name: (*name).into(), extent: Expr::from(*extent), kind: *kind })
        .collect()
}

fn tensor(name: &str, dims: &[i64], role: Role) -> KernelTensor {
    KernelTensor { name: name.into(), ty: TensorType::of(DType::F32, dims), role }
}

fn at(names: &[&str]) -> Vec<Expr> {
    names.iter().map(|n| Expr::axis(n)).collect()
}

/// `acc = a @ b` of 20 by 30 by 10, `y = acc + acc`.
fn product() -> LoopNest {
    use AxisKind::{Parallel, Reduction};
    let mut body = Body::default();
    let a = body.read(0, at(&["m", "k"]), DType::F32);
    let b = body.read(1, at(&["k", "n"]), DType::F32);
    body.binary(BinaryOp::Mul, a, b);
    let mut twice = Body::default();
    let v = twice.read(3, at(&["m", "n"]), DType::F32);
    twice.binary(BinaryOp::Add, v, v);
    let (m, n, k) = (("m", 20, Parallel), ("n", 30, Parallel), ("k", 10, Reduction));
    let compute = |name: &str, list: &[_], target, body, combine| Compute {
        name: name.into(),
        axes: axes(list),
        target,
        write: at(&["m", "n"]),
        body,
        combine,
    };
    naive(&Kernel {
        name: "product".into(),
        nodes: vec![],
        tensors: vec![
            tensor("a", &[20, 10], Role::Input),
            tensor("b", &[10, 30], Role::Input),
            tensor("y", &[20, 30], Role::Output),
            tensor("acc", &[20, 30], Role::Temporary),
        ],
        computes: vec![
            compute("mm", &[m, n, k], 3, body, Some(Combine::Add)),
            compute("twice", &[m, n], 2, twice, None),
        ],
    })
    .unwrap()
}

fn after(nest: &LoopNest, steps: &str) -> LoopNest {
    let schedule: Schedule = steps.replace("; ", "\n").parse().unwrap();
    apply(nest, &schedule, &mut |_, _| {}).unwrap()
}

/// The message with which the last step is refused.
fn refusal(steps: &str) -> String {
    let (before, last) = steps.rsplit_once("; ").unwrap_or(("", steps));
    let nest = after(&product(), before);
    last.parse::<Step>().unwrap().apply(&nest).unwrap_err().message
}

fn find<'a>(nest: &'a LoopNest, axis: &str) -> &'a mlcc_ir::nest::Loop {
    tree::find_loop(&nest.body, axis).unwrap()
}

#[test]
fn refusals_say_why() {
    let cases = [
        ("split(mm.x, 4)", "split(mm.x, 4): there is no axis 'mm.x'"),
        ("split(mm.m, 0)", "split(mm.m, 0): a loop cannot be split by 0"),
        ("vectorize(mm.n, 16); split(mm.n, 4)", "split(mm.n, 4): axis 'mm.n' is vectors of 16 already"),
        ("reorder(mm.m, twice.n)", "reorder(mm.m, twice.n): the loops are not nested in each other"),
        (
            "split(mm.n, 16); reorder(mm.n.i, mm.n.o)",
            "reorder(mm.n.i, mm.n.o): the extent of 'mm.n.i' depends on 'mm.n.o', which would lie inside",
        ),
        ("fuse(mm.m, mm.k)", "fuse(mm.m, mm.k): the loop in 'mm.m' is 'mm.n'"),
        ("fuse(mm.n, mm.k)", "fuse(mm.n, mm.k): 'mm.n' is serial and 'mm.k' is a reduction"),
        (
            "parallel(mm.m)",
            "parallel(mm.m): 'mm.m' is not the outermost loop around everything inside other parallel loops",
        ),
        ("vectorize(mm.n, 12)", "vectorize(mm.n, 12): vectors of 12 elements: not a power of two up to 64"),
        (
            "split(twice.m, 3); unroll(twice.m.i)",
            "unroll(twice.m.i): 'twice.m.i' has min(3, -%twice.m.o * 3 + 20) iterations: not a constant of \
             at most 64",
        ),
        (
            "bind(mm.k, block.0)",
            "bind(mm.k, block.0): iterations over 'mm.k' meet in the same elements of 'acc'",
        ),
        ("merge(mm.m, twice.n)", "merge(mm.m, twice.n): 'mm.m' and 'twice.n' do not lie in the same loop"),
        (
            "reorder(twice.n, twice.m); merge(mm.m, twice.n)",
            "merge(mm.m, twice.n): 'mm.m' has 20 iterations and 'twice.n' 30",
        ),
        (
            "merge(mm.init.m, twice.m)",
            "merge(mm.init.m, twice.m): other nodes lie between 'mm.init.m' and 'twice.m'",
        ),
        (
            "reorder(twice.n, twice.m); split(twice.n, 20); merge(mm.m, twice.n.o)",
            "merge(mm.m, twice.n.o): 'mm.m' has 20 iterations and 'twice.n.o' 2",
        ),
        ("cache_read(acc, mm.m, mm.n)", "cache_read(acc, mm.m, mm.n): 'acc' is written by this kernel"),
        (
            "cache_read(b, mm.m, mm.n)",
            "cache_read(b, mm.m, mm.n): 'b' is read at elements that depend on 'mm.k'",
        ),
        ("cache_write(a)", "cache_write(a): 'a' is not written by this kernel alone"),
        ("cache_write(y)", "cache_write(y): 'y' is not written by one reduction"),
        ("pack(y, mm.n)", "pack(y, mm.n): 'y' is not an operand that can be packed"),
        ("place(b, register)", "place(b, register): 'b' is in the caller's memory"),
        (
            "split(mm.m, 200); place(nothing, scratch)",
            "place(nothing, scratch): there is no buffer 'nothing'",
        ),
        (
            "tensorize(mm.m, mm.n, mm.k, 16)",
            "tensorize(mm.m, mm.n, mm.k, 16): 'acc' does not lie in registers",
        ),
        ("permute(a, 1, 0)", "permute(a, 1, 0): 'a' is in the caller's memory"),
        ("permute(acc, 1, 1)", "permute(acc, 1, 1): 'acc' has 2 dimensions to put in order"),
        ("skip(a)", "skip(a): 'a' is not read outside of its bounds"),
        ("clip(mm.k)", "clip(mm.k): no guard of all stores in 'mm.k' bounds the axis"),
        (
            "peel(mm.k, 10, 1)",
            "peel(mm.k, 10, 1): 'mm.k' has 10 iterations: not a constant of 10 and 1 or more",
        ),
        ("peel(mm.k, 10, 10)", "peel(mm.k, 10, 10): 10 and 10 iterations cannot be peeled, only 16 in all"),
        ("vectorize(mm.n, 16); peel(mm.n, 1, 1)", "peel(mm.n, 1, 1): axis 'mm.n' is vectors of 16 already"),
    ];
    for (steps, message) in cases {
        assert_eq!(refusal(steps), message);
    }
}

#[test]
fn loops_of_other_iterations_are_not_merged() {
    // The sums of a row are complete only when the row is.
    let message = refusal("reorder(mm.k, mm.m); merge(mm.init.m, mm.k)");
    assert_eq!(message, "merge(mm.init.m, mm.k): 'mm.init.m' has 20 iterations and 'mm.k' 10");
    // Half the columns, and half the rows of them.
    let message =
        refusal("split(mm.n, 15); reorder(mm.n.o, mm.m); split(twice.m, 10); merge(mm.n.o, twice.m.o)");
    assert_eq!(
        message,
        "merge(mm.n.o, twice.m.o): 'acc' is not made and used in the same iteration of 'mm.n.o' and \
         'twice.m.o'"
    );
}

#[test]
fn a_split_that_does_not_divide_ends_early() {
    let nest = after(&product(), "split(twice.n, 16)");
    assert_eq!(find(&nest, "twice.n.o").extent, Expr::from(2));
    assert_eq!(find(&nest, "twice.n.i").extent, "min(16, 30 - %twice.n.o * 16)".parse().unwrap());
    let nest = after(&nest, "predicate(twice.n.i, 8)");
    let inner = find(&nest, "twice.n.i");
    assert_eq!(inner.extent, Expr::from(16));
    let Node::Store(store) = &inner.body[0] else { panic!("a store") };
    assert_eq!(store.guards, [(Expr::axis("twice.n.i"), "30 - %twice.n.o * 16".parse().unwrap())]);
}

#[test]
fn blocks_whose_last_part_is_shorter_are_parallel() {
    let mut alone = product();
    alone.body.drain(..2);
    let steps = "fuse(twice.m, twice.n); split(twice.m_n, 200); split(twice.m_n.i, 48)";
    let nest = after(&alone, steps);
    // The end is the loop's extent, or a guard: 5 blocks of 48 are no more than 200 either way.
    let ends = after(&nest, "parallel(twice.m_n.o)");
    assert_eq!(ends.tiles(), Expr::from(3));
    let guarded = after(&nest, "predicate(twice.m_n.i.i, 16); parallel(twice.m_n.o)");
    assert_eq!(guarded.tiles(), Expr::from(3));
    // Without the guard the blocks do overlap.
    let mut wide = after(&nest, "predicate(twice.m_n.i.i, 16)");
    tree::each_store(&mut wide.body, &mut |s| s.guards.clear());
    let parallel: Step = "parallel(twice.m_n.o)".parse().unwrap();
    let message = parallel.apply(&wide).unwrap_err().message;
    assert_eq!(
        message,
        "parallel(twice.m_n.o): iterations over 'twice.m_n.o' meet in the same elements of 'y'"
    );
}

#[test]
fn fusing_flattens_what_only_the_pair_indexes() {
    let nest = after(&product(), "fuse(twice.m, twice.n); fuse(mm.init.m, mm.init.n)");
    assert_eq!(nest.buffers[2].dims, [Expr::from(600)]);
    assert_eq!(nest.buffers[3].dims, [Expr::from(600)], "the accumulator too");
    assert_eq!(nest.buffers[0].dims, [Expr::from(20), Expr::from(10)]);
    assert_eq!(find(&nest, "twice.m_n").extent, Expr::from(600));
}

#[test]
fn merging_shrinks_temporaries_to_a_tile() {
    let steps = "split(mm.init.m, 6); split(mm.m, 6); split(twice.m, 6); merge(mm.m.o, mm.init.m.o); \
                 merge(mm.m.o, twice.m.o)";
    let nest = after(&product(), steps);
    assert_eq!(nest.buffers[3].dims, [Expr::from(6), Expr::from(30)]);
    let nest = after(&nest, "parallel(mm.m.o)");
    assert_eq!(nest.tiles(), Expr::from(4));
    assert_eq!(find(&nest, "mm.m.o").mapping, Mapping::Parallel);
}

#[test]
fn schedules_are_read_back_and_observed() {
    let text = "split(mm.m, 6)\nreorder(mm.n, mm.m.o)\nfuse(twice.m, twice.n)\nmerge(a.b, c.d)\n\
                parallel(x)\nvectorize(x.i, 16)\nunroll(x)\nbind(x, block.0)\nbind(y, thread.2)\n\
                predicate(x, 4)\ncache_read(b, mm.m.o, mm.k, mm.n)\ncache_write(y)\npack(b, mm.n, mm.k)\n\
                place(acc, register)\ntensorize(-, n, k, 16)\nskip(x)\nclip(conv.kh)\n\
                peel(conv.w.o, 1, 2)\npermute(acc, 1, 0)\ntile(mm.m, mm.n, 6, 16)\ncompute_at(t, c.i)\n\
                rfactor(mm.k.i)\npartition(conv.w.o)\n";
    let schedule: Schedule = text.parse().unwrap();
    assert_eq!(schedule.to_string(), text);
    assert_eq!(schedule.steps.len(), 23);
    let mut seen = Vec::new();
    let two: Schedule = "# a comment\nsplit(mm.m, 6)\n\nsplit(mm.n, 4)".parse().unwrap();
    apply(&product(), &two, &mut |step, nest| seen.push((step.to_string(), nest.clone()))).unwrap();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].0, "split(mm.m, 6)");
    assert_ne!(seen[0].1, seen[1].1);
}

#[test]
fn bad_text_is_refused() {
    let message = |text: &str| text.parse::<Step>().unwrap_err().message;
    assert_eq!(message("split"), "not a schedule step: 'split' (expected 'name(arguments)')");
    assert_eq!(message("split(a"), "not a schedule step: 'split(a' (expected ')' at the end)");
    assert_eq!(message("split(a)"), "not a schedule step: 'split(a)' (expected 2 arguments)");
    assert_eq!(message("split(a, b)"), "not a schedule step: 'split(a, b)' (expected a number)");
    assert_eq!(message("skew(a, 1)"), "not a schedule step: 'skew(a, 1)' (there is no primitive 'skew')");
    assert_eq!(message("unroll(a,)"), "not a schedule step: 'unroll(a,)' (an argument is empty)");
    assert_eq!(
        message("bind(a, warp.0)"),
        "not a schedule step: 'bind(a, warp.0)' (expected block.0 to thread.2)"
    );
}

#[test]
fn temporaries_take_another_order() {
    let nest = after(&product(), "permute(acc, 1, 0)");
    assert_eq!(nest.buffers[3].dims, [Expr::from(30), Expr::from(20)]);
    assert_eq!(sums(&nest.body)[0].index, at(&["mm.n", "mm.m"]));
}

/// `y[w] = combine over k of (x[w + k - 1] or outside) * f[k]`, of 20 outputs and 3 points.
fn window(outside: f64, combine: Combine) -> LoopNest {
    let mut body = Body::default();
    let index = vec!["%w + %k - 1".parse().unwrap()];
    let outside = Some(Constant::float(DType::F32, outside));
    let x = body.push(Inst::Read { tensor: 0, index, outside }, DType::F32);
    let f = body.read(1, at(&["k"]), DType::F32);
    body.binary(BinaryOp::Mul, x, f);
    naive(&Kernel {
        name: "window".into(),
        nodes: vec![],
        tensors: vec![
            tensor("x", &[20], Role::Input),
            tensor("f", &[3], Role::Input),
            tensor("y", &[20], Role::Output),
        ],
        computes: vec![Compute {
            name: "sum".into(),
            axes: axes(&[("w", 20, AxisKind::Parallel), ("k", 3, AxisKind::Reduction)]),
            target: 2,
            write: at(&["w"]),
            body,
            combine: Some(combine),
        }],
    })
    .unwrap()
}

/// The store of the sum inside loops, wherever the first one is.
fn sums(nodes: &[Node]) -> Vec<mlcc_ir::nest::Store> {
    nodes
        .iter()
        .flat_map(|node| match node {
            Node::Loop(l) => sums(&l.body),
            Node::Store(s) if s.combine.is_some() => vec![s.clone()],
            _ => vec![],
        })
        .collect()
}

#[test]
fn points_out_of_bounds_are_skipped_where_they_add_nothing() {
    let nest = after(&window(0.0, Combine::Add), "skip(x)");
    let [sum] = &sums(&nest.body)[..] else { panic!("one sum") };
    let position: Expr = "%sum.w + %sum.k - 1".parse().unwrap();
    assert_eq!(sum.guards, [(Expr::from(-1), position.clone()), (position, Expr::from(20))]);
    let skip: Step = "skip(x)".parse().unwrap();
    let message = |outside, combine| skip.apply(&window(outside, combine)).unwrap_err().message;
    assert_eq!(message(1.0, Combine::Add), "skip(x): what 'x' gives out of bounds changes 'y'");
    assert_eq!(message(0.0, Combine::Max), "skip(x): what 'x' gives out of bounds changes 'y'");
}

#[test]
fn clipping_makes_a_range_of_the_guards() {
    let nest = after(&window(0.0, Combine::Add), "skip(x); clip(sum.k)");
    let expected: Expr = "min(3, 21 - %sum.w) - max(0, 1 - %sum.w)".parse().unwrap();
    assert_eq!(find(&nest, "sum.k").extent, expected);
    assert!(sums(&nest.body)[0].guards.is_empty());
    // Not every store of the loop has the guard.
    let mut mixed = after(&window(0.0, Combine::Add), "skip(x)");
    let free = window(0.0, Combine::Add);
    let (Node::Loop(l), Node::Loop(m)) = (&mut mixed.body[1], &free.body[1]) else { panic!("loops") };
    let (Node::Loop(l), Node::Loop(m)) = (&mut l.body[0], &m.body[0]) else { panic!("loops") };
    l.body.extend(m.body.clone());
    let message = clip(&mixed, "sum.k").unwrap_err().message;
    assert_eq!(message, "no guard of all stores in 'sum.k' bounds the axis");
}

#[test]
fn peeled_iterations_leave_a_middle_without_guards() {
    let nest = after(&window(0.0, Combine::Add), "skip(x); peel(sum.w, 1, 1)");
    let guards: Vec<usize> = sums(&nest.body).iter().map(|s| s.guards.len()).collect();
    assert_eq!(guards, [1, 0, 1], "one side of each end");
    assert_eq!(find(&nest, "sum.w").extent, Expr::from(18));
    // Checks of reads go where they are certain.
    let nest = after(&window(0.0, Combine::Max), "peel(sum.w, 1, 1)");
    let checked = sums(&nest.body);
    let checked: Vec<bool> = checked
        .iter()
        .map(|s| s.body.insts.iter().any(|(i, _)| matches!(i, Inst::Read { outside: Some(_), .. })))
        .collect();
    assert_eq!(checked, [true, false, true]);
}

#[test]
fn partitions_need_no_conditions_in_the_middle_whatever_the_size() {
    let n: Expr = "n".parse().unwrap();
    let resize = |mut nest: LoopNest| {
        for buffer in [0, 2] {
            nest.buffers[buffer].dims = vec![n.clone()];
        }
        nest.body = nest
            .body
            .iter()
            .map(|node| tree::map_exprs(node, &|e| if e.is(20) { n.clone() } else { e.clone() }))
            .collect();
        nest.symbols = vec!["n".into()];
        nest
    };
    // Guards, and checks of reads.
    for (combine, steps) in [(Combine::Add, "skip(x); partition(sum.w)"), (Combine::Max, "partition(sum.w)")]
    {
        let nest = after(&resize(window(0.0, combine)), steps);
        assert_eq!(find(&nest, "sum.w.first").extent, "min(n, 1)".parse::<Expr>().unwrap());
        let conditions: Vec<bool> = sums(&nest.body)
            .iter()
            .map(|s| {
                let checked = |(i, _): &(Inst, DType)| matches!(i, Inst::Read { outside: Some(_), .. });
                !s.guards.is_empty() || s.body.insts.iter().any(checked)
            })
            .collect();
        assert_eq!(conditions, [true, false, true]);
    }
    // Every point is computed once, for images shorter than the window, too.
    let nest = after(&resize(window(0.0, Combine::Add)), "skip(x); partition(sum.w)");
    for size in 1..6 {
        let at =
            |e: &Expr| e.evaluate(&|a| matches!(a, mlcc_ir::expr::Atom::Symbol(_)).then_some(size)).unwrap();
        let parts = ["sum.w.first", "sum.w", "sum.w.last"].map(|axis| at(&find(&nest, axis).extent));
        assert!(
            parts.iter().all(|part| *part >= 0) && parts.iter().sum::<i64>() == size,
            "{size}: {parts:?}"
        );
    }
    assert!(refusal("partition(mm.m)").contains("no condition inside bounds 'mm.m'"));
}

#[test]
fn remainder_takes_the_shorter_block_out() {
    let split = "split(twice.m, 6); split(twice.n, 8)";
    let peeled = after(&product(), &format!("{split}; remainder(twice.m.o, twice.m.i)"));
    assert_eq!(find(&peeled, "twice.m.o").extent, Expr::from(3));
    assert_eq!(find(&peeled, "twice.m.i").extent, Expr::from(6));
    let rest = find(&peeled, "twice.m.o.rest");
    assert_eq!(rest.extent, Expr::from(1));
    assert_eq!(tree::find_loop(&rest.body, "twice.m.i").unwrap().extent, Expr::from(2));

    // The split leaves no remainder, or the loop is not the one that was split.
    assert!(refusal("split(twice.m, 5); remainder(twice.m.o, twice.m.i)").contains("not what a split"));
    assert!(refusal(&format!("{split}; remainder(twice.m.o, twice.n.i)")).contains("not what a split"));
    assert!(refusal("split(twice.m, 6); parallel(twice.m.o)").contains("outermost"));
}

/// `t = x + x; e = t + t; y = e + e` of 20 elements; the second stage may read elsewhere.
fn chain(second: &str) -> LoopNest {
    let doubled = |tensor, index: Expr| {
        let mut body = Body::default();
        let v = body.read(tensor, vec![index], DType::F32);
        body.binary(BinaryOp::Add, v, v);
        body
    };
    let stage = |name: &str, target, body| Compute {
        name: name.into(),
        axes: axes(&[("i", 20, AxisKind::Parallel)]),
        target,
        write: at(&["i"]),
        body,
        combine: None,
    };
    naive(&Kernel {
        name: "chain".into(),
        nodes: vec![],
        tensors: vec![
            tensor("x", &[20], Role::Input),
            tensor("y", &[20], Role::Output),
            tensor("t", &[20], Role::Temporary),
            tensor("e", &[20], Role::Temporary),
        ],
        computes: vec![
            stage("a", 2, doubled(0, Expr::axis("i"))),
            stage("b", 3, doubled(2, second.parse().unwrap())),
            stage("c", 1, doubled(3, Expr::axis("i"))),
        ],
    })
    .unwrap()
}

#[test]
fn a_temporary_takes_the_place_of_what_it_is_made_of() {
    let aliased = alias(&chain("%i"), "e", "t").unwrap();
    assert_eq!(aliased.buffers.len(), 3);
    let refused = |nest: &LoopNest, a: &str, b: &str, why: &str| {
        let message = alias(nest, a, b).unwrap_err().message;
        assert!(message.contains(why), "{message}");
    };
    refused(&chain("19 - %i"), "e", "t", "not made from the element whose place it takes");
    refused(&chain("%i"), "t", "e", "");
    refused(&chain("%i"), "e", "x", "not two temporaries");
}

#[test]
fn temporaries_grow_by_what_lies_beyond_the_end() {
    let nest = predicate(&chain("%i"), "b.i", 16).unwrap();
    let size = |name: &str| nest.buffers.iter().find(|b| &*b.name == name).unwrap().dims[0].clone();
    assert_eq!((size("t"), size("e"), size("x")), (Expr::from(32), Expr::from(32), Expr::from(20)));
    let guards = |axis: &str| match super::tree::find_loop(&nest.body, axis).unwrap().body[..] {
        [Node::Store(ref s)] => s.guards.len(),
        _ => panic!("a store"),
    };
    assert_eq!((guards("b.i"), guards("c.i")), (0, 0));
    // A read of the caller's memory is guarded.
    let nest = predicate(&chain("%i"), "a.i", 16).unwrap();
    match super::tree::find_loop(&nest.body, "a.i").unwrap().body[..] {
        [Node::Store(ref s)] => assert_eq!(s.guards.len(), 1),
        _ => panic!("a store"),
    }
}
