//! Products with an operand that a stage in front makes: either side, transposed or not, with batches, odd
//! and symbolic sizes, several kinds of bodies.

use crate::{
    check::{check, check_on, host},
    kernels::{binary, kernel, read, unary},
};
use mlcc_ir::{
    dtype::DType,
    kernel::{Combine, Kernel, Role},
    nest::{LoopNest, Node},
    scalar::{BinaryOp, Body, Inst, UnaryOp},
};
use mlcc_machine::Machine;

/// A product of `m` by `n` results and depth `k`, with one computed side.
#[derive(Clone, Copy)]
struct Product<'a> {
    batch: Option<&'a str>,
    m: &'a str,
    n: &'a str,
    k: &'a str,
    /// The columns are made, else the rows.
    columns: bool,
    /// The made operand lies the other way around, and so does the tensor it is made of.
    turned: (bool, bool),
    /// The other operand has batches too.
    both: bool,
    body: What,
}

/// The computation of an element.
#[derive(Clone, Copy, PartialEq)]
enum What {
    /// From two elements and one of a vector along the reduction: a norm's scale.
    Sum,
    /// From an integer: a quantised weight.
    Cast,
    /// By a function.
    Exp,
}

impl Product<'_> {
    fn kernel(self) -> Kernel {
        let Product { batch, m, n, k, columns, turned, both, body } = self;
        let own = if columns { ("n", n) } else { ("m", m) };
        let of = |dims: &[(&str, &str)], index: bool| {
            let part = |(a, e): &(&str, &str)| if index { format!("%{a}") } else { (*e).to_owned() };
            dims.iter().map(part).collect::<Vec<_>>().join(";")
        };
        let batches: Vec<(&str, &str)> = batch.iter().map(|b| ("b", *b)).collect();
        let place = |turned: bool| {
            let pair = if columns != turned { [("k", k), own] } else { [own, ("k", k)] };
            [&batches[..], &pair].concat()
        };
        let (made, parts) = (place(turned.0), place(turned.1));
        let other = if columns { [("m", m), ("k", k)] } else { [("k", k), ("n", n)] };
        let other = if both { [&batches[..], &other].concat() } else { other.to_vec() };
        let results = [&batches[..], &[("m", m), ("n", n)]].concat();
        let axes = |dims: &[(&str, &str)]| {
            dims.iter().map(|(a, e)| format!("{a}={e}")).collect::<Vec<_>>().join(" ")
        };
        let at = of(&parts, true);
        let element = match body {
            What::Sum => {
                binary(BinaryOp::Mul, binary(BinaryOp::Add, read(0, &at), read(1, &at)), read(3, "%k"))
            }
            What::Exp => unary(UnaryOp::Exp, binary(BinaryOp::Mul, read(0, &at), read(3, "%k"))),
            What::Cast => {
                let mut b = Body::default();
                let whole = b.read(1, crate::kernels::index(&at), DType::I8);
                b.push(Inst::Cast(whole), DType::F32);
                binary(BinaryOp::Mul, b, read(3, "%k"))
            }
        };
        let second = if body == What::Cast { DType::I8 } else { DType::F32 };
        let product = binary(BinaryOp::Mul, read(2, &of(&other, true)), read(5, &of(&made, true)));
        let result = of(&results, true);
        kernel("made")
            .input("x", &of(&parts, false))
            .typed("z", &of(&parts, false), Role::Input, second)
            .input("other", &of(&other, false))
            .input("scale", k)
            .output("y", &of(&results, false))
            .temporary("t", &of(&made, false))
            .temporary("acc", &of(&results, false))
            .compute("make", &axes(&made), ("t", &of(&made, true)), element, None)
            .compute(
                "matmul",
                &format!("{} +k={k}", axes(&results)),
                ("acc", &result),
                product,
                Some(Combine::Add),
            )
            .compute("tanh", &axes(&results), ("y", &result), unary(UnaryOp::Tanh, read(6, &result)), None)
            .done()
    }
}

const PLAIN: Product<'_> = Product {
    batch: None,
    m: "37",
    n: "70",
    k: "29",
    columns: true,
    turned: (false, false),
    both: false,
    body: What::Sum,
};

fn has_tile(nest: &LoopNest) -> bool {
    let mut found = false;
    nest.visit(&mut |n| found |= matches!(n, Node::Tile(_)));
    found
}

/// Asserts that the nest has a tile and makes each element `times` times.
fn is_made(p: Product<'_>, constants: &[usize], sizes: &[(&str, i64)]) {
    let k = p.kernel();
    let (decision, nest) = check(&k, constants, sizes);
    let variant = if p.columns { "made-columns" } else { "made-rows" };
    assert_eq!(&*decision.variant, variant, "{}", decision.schedule);
    assert!(has_tile(&nest), "{}", decision.schedule);
}

#[test]
fn either_side_of_odd_sizes() {
    for (m, n, k) in [("37", "70", "29"), ("5", "128", "7"), ("130", "16", "3")] {
        for columns in [false, true] {
            for turned in [(false, false), (true, true), (false, true), (true, false)] {
                for body in [What::Sum, What::Cast, What::Exp] {
                    is_made(Product { m, n, k, columns, turned, body, ..PLAIN }, &[], &[]);
                }
            }
        }
    }
}

#[test]
fn rows_with_packed_columns() {
    for (m, n, k) in [("37", "70", "29"), ("64", "1200", "33"), ("1", "201", "33"), ("3", "1100", "64")] {
        is_made(Product { m, n, k, columns: false, ..PLAIN }, &[2], &[]);
    }
}

#[test]
fn few_rows_do_not_turn_columns_over() {
    for (m, turned) in [("1", false), ("2", false), ("1", true), ("2", true)] {
        let k = Product { m, turned: (turned, turned), ..PLAIN }.kernel();
        let (decision, _) = check(&k, &[], &[]);
        assert_eq!(&*decision.variant == "made-columns", !turned, "{}", decision.variant);
    }
}

#[test]
fn batches_of_one_operand_or_both() {
    for columns in [false, true] {
        for both in [false, true] {
            for m in ["37", "300"] {
                let batch = Some("3");
                is_made(Product { batch, m, columns, both, ..PLAIN }, &[], &[]);
                is_made(Product { batch, m, columns, both, turned: (true, false), ..PLAIN }, &[], &[]);
            }
        }
    }
}

#[test]
fn symbolic_rows_columns_and_batches() {
    for (m, n, b) in [(1, 1, 1), (13, 70, 2), (200, 64, 3)] {
        let sizes = [("a", m), ("c", n), ("d", b)];
        for columns in [false, true] {
            for both in [false, true] {
                let p = Product { m: "a", n: "c", batch: Some("d"), columns, both, ..PLAIN };
                is_made(p, &[], &sizes);
                is_made(Product { n: "45", ..p }, &[], &sizes);
            }
        }
    }
}

#[test]
fn few_blocks_are_divided_on_the_other_side() {
    // One panel of columns for many rows, one block of rows for many columns.
    for (m, n, columns) in [("1000", "64", true), ("16", "4000", false)] {
        let p = Product { m, n, k: "65", columns, ..PLAIN };
        let (decision, nest) = check(&p.kernel(), &[], &[]);
        assert!(nest.tiles().as_const().unwrap() >= 2, "{}", decision.schedule);
        is_made(p, &[], &[]);
    }
}

#[test]
fn narrower_vectors_and_small_caches() {
    let old = Machine::named("x86-64-v3").unwrap();
    let small = Machine { l2_bytes: 16 << 10, ..host() };
    for machine in [old, small] {
        for columns in [false, true] {
            for turned in [(false, false), (true, true)] {
                let k = Product { m: "131", n: "97", k: "65", columns, turned, ..PLAIN }.kernel();
                let (decision, nest) = check_on(&machine, &k, &[], &[]);
                assert!(has_tile(&nest), "{}", decision.schedule);
            }
        }
    }
}
