//! Elementwise kernels, rows, windows, and kernels that must stay serial.

use crate::{
    check::check,
    kernels::{binary, kernel, read, read_or, softmax, unary},
};
use mlcc_ir::{
    dtype::DType,
    expr::Expr,
    kernel::{Combine, Role},
    nest::{LoopNest, Mapping, Node},
    scalar::{BinaryOp, Body, Inst, UnaryOp},
    size_range::SizeRanges,
};
use mlcc_machine::Machine;

fn mappings(nest: &LoopNest) -> Vec<Mapping> {
    let mut all = Vec::new();
    nest.visit(&mut |n| {
        if let Node::Loop(l) = n {
            all.push(l.mapping);
        }
    });
    all
}

fn is_vectorised(nest: &LoopNest) -> bool {
    mappings(nest).iter().any(|m| matches!(m, Mapping::Vector(_)))
}

#[test]
fn contiguous_elementwise_is_one_vector_loop() {
    let relu = kernel("neg")
        .input("x", "3;5;7;11")
        .output("y", "3;5;7;11")
        .compute(
            "neg",
            "a=3 b=5 c=7 d=11",
            ("y", "%a;%b;%c;%d"),
            unary(UnaryOp::Neg, read(0, "%a;%b;%c;%d")),
            None,
        )
        .done();
    let (decision, nest) = check(&relu, &[], &[]);
    assert_eq!(&*decision.variant, "columns");
    assert_eq!(mappings(&nest).len(), 1, "{}", decision.schedule);
    assert!(is_vectorised(&nest));
}

#[test]
fn broadcasts_and_transpositions() {
    let k = kernel("mix")
        .input("x", "n;21;13;w")
        .input("b", "21")
        .input("t", "w;13;21")
        .output("y", "n;21;13;w")
        .compute(
            "mix",
            "n=n c=21 h=13 w=w",
            ("y", "%n;%c;%h;%w"),
            binary(
                BinaryOp::Add,
                binary(BinaryOp::Mul, read(0, "%n;%c;%h;%w"), read(1, "%c")),
                read(2, "%w;%h;%c"),
            ),
            None,
        )
        .done();
    for (n, w) in [(1, 1), (2, 17), (3, 64)] {
        let (_, nest) = check(&k, &[], &[("n", n), ("w", w)]);
        assert!(is_vectorised(&nest));
    }
}

#[test]
fn large_elementwise_runs_in_parallel() {
    let k = kernel("exp")
        .input("x", "70000")
        .output("y", "70000")
        .compute("exp", "i=70000", ("y", "%i"), unary(UnaryOp::Exp, read(0, "%i")), None)
        .done();
    let (_, nest) = check(&k, &[], &[]);
    assert!(mappings(&nest).contains(&Mapping::Parallel));
    assert!(nest.tiles().as_const().unwrap() >= 2);
}

#[test]
fn softmax_of_rows() {
    let (decision, nest) = check(&softmax("37", "29"), &[], &[]);
    assert_eq!(&*decision.variant, "rows");
    let row = nest.buffers.iter().find(|b| *b.name == *"exp").unwrap();
    assert_eq!(row.dims, [Expr::from(29)], "the temporary shrinks to a row");
    for (r, c) in [(1, 1), (5, 100), (64, 7)] {
        check(&softmax("r", "c"), &[], &[("r", r), ("c", c)]);
    }
}

#[test]
fn sums_of_what_a_vector_loop_makes() {
    // Only one loop reads the squares, and it joins theirs: each lane has a square of its own.
    for n in ["3", "12", "17", "64", "n"] {
        let k = kernel("sum_of_squares")
            .input("x", &format!("5;{n}"))
            .temporary("q", &format!("5;{n}"))
            .output("y", "5")
            .compute(
                "square",
                &format!("i=5 j={n}"),
                ("q", "%i;%j"),
                binary(BinaryOp::Mul, read(0, "%i;%j"), read(0, "%i;%j")),
                None,
            )
            .compute("sum", &format!("i=5 +j={n}"), ("y", "%i"), read(1, "%i;%j"), Some(Combine::Add))
            .done();
        check(&k, &[], &[("n", 37)]);
    }
}

fn reduce(axes: &str, write: &str, out: &str, combine: Combine) -> mlcc_ir::kernel::Kernel {
    kernel("reduce")
        .input("x", "4;10;9;13")
        .output("y", out)
        .compute("reduce", axes, ("y", write), read(0, "%a;%b;%c;%d"), Some(combine))
        .done()
}

#[test]
fn reductions_over_any_axes() {
    for combine in [Combine::Add, Combine::Max, Combine::Mul] {
        for (axes, write, out) in [
            ("a=4 b=10 c=9 +d=13", "%a;%b;%c", "4;10;9"),
            ("a=4 b=10 +c=9 +d=13", "%a;%b", "4;10"),
            ("a=4 +b=10 c=9 d=13", "%a;%c;%d", "4;9;13"),
            ("+a=4 +b=10 +c=9 +d=13", "", ""),
            ("+a=4 b=10 +c=9 d=13", "%b;%d", "10;13"),
        ] {
            let (decision, nest) = check(&reduce(axes, write, out, combine), &[], &[]);
            assert!(is_vectorised(&nest), "{axes}: {}", decision.schedule);
        }
    }
}

#[test]
fn pooling_and_depthwise_windows() {
    for (size, out, stride) in [(19, 19, 1), (20, 10, 2), (33, 17, 2)] {
        let at = format!("%n;%c;%h * {stride} + %kh - 1;%w * {stride} + %kw - 1");
        let axes = format!("n=2 c=5 h={out} w={out} +kh=3 +kw=3");
        let dims = format!("2;5;{size};{size}");
        let pool = kernel("pool")
            .input("x", &dims)
            .output("y", &format!("2;5;{out};{out}"))
            .compute("pool", &axes, ("y", "%n;%c;%h;%w"), read_or(0, &at, -1e30), Some(Combine::Max))
            .done();
        let (_, nest) = check(&pool, &[], &[]);
        assert!(is_vectorised(&nest));
        let depthwise = kernel("depthwise")
            .input("x", &dims)
            .input("w", "5;3;3")
            .output("y", &format!("2;5;{out};{out}"))
            .compute(
                "conv",
                &axes,
                ("y", "%n;%c;%h;%w"),
                binary(BinaryOp::Mul, read_or(0, &at, 0.0), read(1, "%c;%kh;%kw")),
                Some(Combine::Add),
            )
            .done();
        let (_, nest) = check(&depthwise, &[1], &[]);
        assert!(is_vectorised(&nest));
    }
}

#[test]
fn integers_and_doubles() {
    for dtype in [DType::I64, DType::U8, DType::F64, DType::I32] {
        let mut body = Body::default();
        let x = body.read(0, vec![Expr::axis("i"), Expr::axis("j")], dtype);
        body.binary(BinaryOp::Add, x, x);
        let k = kernel("double")
            .typed("x", "13;37", Role::Input, dtype)
            .typed("y", "13;37", Role::Output, dtype)
            .compute("double", "i=13 j=37", ("y", "%i;%j"), body, None)
            .done();
        check(&k, &[], &[]);
    }
}

#[test]
fn a_scatter_stays_in_order() {
    let mut body = Body::default();
    let at = body.push(Inst::Read { tensor: 0, index: vec![Expr::axis("i")], outside: None }, DType::I64);
    body.read(1, vec![Expr::axis("i"), Expr::axis("j")], DType::F32);
    let k = kernel("scatter")
        .typed("at", "40", Role::Input, DType::I64)
        .input("x", "40;9")
        .tensor("y", "30;9", Role::InOut)
        .compute("scatter", "!i=40 j=9", ("y", &format!("${at};%j")), body, None)
        .done();
    let (decision, nest) = check(&k, &[], &[]);
    assert!(!mappings(&nest).contains(&Mapping::Parallel), "{}", decision.schedule);
}

#[test]
fn only_outputs_beyond_the_caches_are_streamed() {
    let machine = Machine::named("znver4").unwrap();
    for (rows, streamed) in [("100", vec![]), ("12000", vec![1])] {
        let (_, nest) =
            mlcc_cpu::schedule(&softmax(rows, "1000"), &[], &SizeRanges::default(), &machine).unwrap();
        assert_eq!(nest.streamed, streamed, "{rows} rows");
    }
}

#[test]
fn merged_vector_loops_keep_an_element_for_each_lane() {
    // A convolution of groups of one channel with windows of one point is no reduction. The value and its
    // epilogue are two stages, whose vector loops merge.
    for width in [5, 16, 88, 101] {
        let k = kernel("conv")
            .input("x", &format!("1;3;{width}"))
            .input("w", "6")
            .input("bias", "6")
            .output("y", &format!("1;6;{width}"))
            .temporary("acc", &format!("1;6;{width}"))
            .compute(
                "conv",
                &format!("g=3 m=2 w={width}"),
                ("acc", "0;%g * 2 + %m;%w"),
                binary(BinaryOp::Mul, read(0, "0;%g;%w"), read(1, "%g * 2 + %m")),
                None,
            )
            .compute(
                "bias",
                &format!("g=3 m=2 w={width}"),
                ("y", "0;%g * 2 + %m;%w"),
                binary(BinaryOp::Add, read(4, "0;%g * 2 + %m;%w"), read(2, "%g * 2 + %m")),
                None,
            )
            .done();
        let (_, nest) = check(&k, &[1, 2], &[]);
        assert!(is_vectorised(&nest));
    }
}
