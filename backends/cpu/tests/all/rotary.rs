//! Rotary embeddings: features of a pair that lie half a row apart, and neighbours, which vectors read from a window
//! of memory and shuffle.

use crate::{
    check::check,
    kernels::{binary, kernel, read},
};
use mlcc_ir::{
    kernel::Kernel,
    nest::{LoopNest, Mapping, Node},
    scalar::{BinaryOp, Body},
};

/// `x[own] cos[pair] op x[other] sin[pair]` of rows.
fn turned(op: BinaryOp, [own, other, pair]: [&str; 3]) -> Body {
    let product = |x: Body, t: Body| binary(BinaryOp::Mul, x, t);
    binary(
        op,
        product(read(0, &format!("%h;%s;{own}")), read(1, &format!("%s;{pair}"))),
        product(read(0, &format!("%h;%s;{other}")), read(2, &format!("%s;{pair}"))),
    )
}

/// A kernel over 3 heads of 7 rows, which reads `rotated` features of `size`.
fn rows(rotated: i64, size: i64) -> crate::kernels::Build {
    let table = format!("7;{}", rotated / 2);
    kernel("rotary_embedding")
        .input("x", &format!("3;7;{size}"))
        .input("cos", &table)
        .input("sin", &table)
        .output("y", &format!("3;7;{rotated}"))
}

fn neighbours(rotated: i64, size: i64) -> Kernel {
    let other = "%f + 1 - mod(%f, 2) * 2";
    let body = turned(BinaryOp::Add, ["%f", other, "floordiv(%f, 2)"]);
    rows(rotated, size)
        .compute("rotate", &format!("h=3 s=7 f={rotated}"), ("y", "%h;%s;%f"), body, None)
        .done()
}

fn halves(rotated: i64, size: i64) -> Kernel {
    let half = rotated / 2;
    let second = format!("%p + {half}");
    let axes = format!("h=3 s=7 p={half}");
    rows(rotated, size)
        .compute("first", &axes, ("y", "%h;%s;%p"), turned(BinaryOp::Sub, ["%p", &second, "%p"]), None)
        .compute(
            "second",
            &axes,
            ("y", &format!("%h;%s;{second}")),
            turned(BinaryOp::Add, [&second, "%p", "%p"]),
            None,
        )
        .done()
}

fn vectors(nest: &LoopNest) -> Vec<String> {
    let mut found = Vec::new();
    nest.visit(&mut |n| {
        if let Node::Loop(l) = n
            && matches!(l.mapping, Mapping::Vector(_))
        {
            // Parts of a split axis count as the axis.
            found.push(l.axis.trim_end_matches(".i").to_owned());
        }
    });
    found
}

#[test]
fn neighbours_are_shuffled() {
    // Whole vectors, a remainder, a few features of many, and more than are emitted one after the other.
    for (rotated, size) in [(32, 32), (80, 80), (24, 37), (10, 10), (2, 5), (208, 211)] {
        let (_, nest) = check(&neighbours(rotated, size), &[], &[]);
        if rotated >= 24 {
            assert_eq!(vectors(&nest), ["rotate.f"], "{rotated} of {size}");
        }
    }
}

#[test]
fn halves_are_read_in_order() {
    for (rotated, size) in [(32, 32), (80, 80), (24, 37), (10, 10), (2, 5), (208, 211)] {
        let (_, nest) = check(&halves(rotated, size), &[], &[]);
        if rotated >= 24 {
            assert_eq!(vectors(&nest), ["first.p", "second.p"], "{rotated} of {size}");
        }
    }
}
