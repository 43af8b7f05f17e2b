//! Attention: products with a softmax between them, of odd sizes, with masks.

use crate::{
    check::{check, check_on},
    kernels::{binary, kernel, read, unary},
};
use mlcc_ir::{
    dtype::DType,
    expr::Expr,
    kernel::{Combine, Kernel},
    nest::{LoopNest, Mapping, Node, Space},
    scalar::{BinaryOp, Body, Constant, Inst, Predicate, UnaryOp},
};
use mlcc_machine::Machine;

/// The work on the scores.
#[derive(Clone, Copy, PartialEq)]
enum Mask {
    /// Nothing at all.
    Bare,
    /// They are scaled.
    None,
    /// A tensor of queries by keys is added.
    Added,
    /// One value a key is added.
    Keys,
    /// Keys behind the query are left out.
    Causal,
}

/// Sizes: batch, heads, queries, keys, depth, features.
type Sizes<'a> = [&'a str; 6];

/// Attention as `fuse-attention` makes it: keys and values of `heads` by `group` heads.
fn attention([b, h, q, s, k, d]: Sizes<'_>, mask: Mask, group: i64) -> Kernel {
    let kv = format!("{b};{s};floordiv({h}, {group});%D");
    let scaled = {
        let mut body = read(4, "%b;%h;%q;%s");
        let (v, c) = (body.result, body.constant(Constant::float(DType::F32, 0.25)));
        body.binary(BinaryOp::Mul, v, c);
        body
    };
    let (mask_dims, scores) = match mask {
        Mask::Bare | Mask::None => ("1".to_owned(), scaled),
        Mask::Added => (format!("{b};{q};{s}"), binary(BinaryOp::Add, scaled, read(3, "%b;%q;%s"))),
        Mask::Keys => (s.to_owned(), binary(BinaryOp::Add, scaled, read(3, "%s"))),
        Mask::Causal => ("1".to_owned(), causal(scaled)),
    };
    let head = format!("floordiv(%h, {group})");
    let free = format!("b={b} h={h} q={q}");
    let (mapped, rows) = (format!("{free} s={s}"), format!("{b};{h};{q}"));
    let all = format!("{rows};{s}");
    let product = |x: Body, y: Body| binary(BinaryOp::Mul, x, y);
    let one = {
        let mut body = Body::default();
        body.constant(Constant::float(DType::F32, 1.0));
        body
    };
    // The scores are tensor 5, scaled or not.
    let bare = mask == Mask::Bare;
    let products = if bare { "scores" } else { "products" };
    let build = kernel("attention")
        .input("queries", &format!("{b};{q};{h};{k}"))
        .input("keys", &kv.replace("%D", k))
        .input("values", &kv.replace("%D", d))
        .input("mask", &mask_dims)
        .temporary("products", &all)
        .temporary("scores", &all)
        .temporary("max", &rows)
        .temporary("exp", &all)
        .temporary("sum", &rows)
        .temporary("inverse", &rows)
        .temporary("weighted", &format!("{rows};{d}"))
        .output("y", &format!("{b};{q};{h};{d}"))
        .compute(
            "scores",
            &format!("{mapped} +k={k}"),
            (products, "%b;%h;%q;%s"),
            product(read(0, "%b;%q;%h;%k"), read(1, &format!("%b;%s;{head};%k"))),
            Some(Combine::Add),
        );
    let build =
        if bare { build } else { build.compute("mask", &mapped, ("scores", "%b;%h;%q;%s"), scores, None) };
    build
        .compute(
            "max",
            &format!("{free} +s={s}"),
            ("max", "%b;%h;%q"),
            read(5, "%b;%h;%q;%s"),
            Some(Combine::Max),
        )
        .compute(
            "exp",
            &mapped,
            ("exp", "%b;%h;%q;%s"),
            unary(UnaryOp::Exp, binary(BinaryOp::Sub, read(5, "%b;%h;%q;%s"), read(6, "%b;%h;%q"))),
            None,
        )
        .compute(
            "sum",
            &format!("{free} +s={s}"),
            ("sum", "%b;%h;%q"),
            read(7, "%b;%h;%q;%s"),
            Some(Combine::Add),
        )
        .compute(
            "inverse",
            &free,
            ("inverse", "%b;%h;%q"),
            binary(BinaryOp::Div, one, read(8, "%b;%h;%q")),
            None,
        )
        .compute(
            "values",
            &format!("{free} d={d} +s={s}"),
            ("weighted", "%b;%h;%q;%d"),
            product(read(7, "%b;%h;%q;%s"), read(2, &format!("%b;%s;{head};%d"))),
            Some(Combine::Add),
        )
        .compute(
            "scale",
            &format!("{free} d={d}"),
            ("y", "%b;%q;%h;%d"),
            product(read(10, "%b;%h;%q;%d"), read(9, "%b;%h;%q")),
            None,
        )
        .done()
}

/// The value, minus infinity where the key lies behind the query.
fn causal(mut body: Body) -> Body {
    let v = body.result;
    let key = body.push(Inst::Index(Expr::axis("s")), DType::I64);
    let query = body.push(Inst::Index(Expr::axis("q")), DType::I64);
    let seen = body.compare(Predicate::Le, key, query);
    let nothing = body.constant(Constant::float(DType::F32, f64::NEG_INFINITY));
    body.select(seen, v, nothing);
    body
}

fn count(nest: &LoopNest, wanted: &dyn Fn(&Node) -> bool) -> usize {
    let mut found = 0;
    nest.visit(&mut |n| found += usize::from(wanted(n)));
    found
}

fn is_attention(variant: &str, nest: &LoopNest) {
    assert_eq!(variant, "attention");
    assert_eq!(count(nest, &|n| matches!(n, Node::Tile(_))), 2);
    // Only the scores of a block of queries are kept. (Not every kernel here uses `products`.)
    let large = nest
        .buffers
        .iter()
        .filter(|b| b.space == Space::Scratch && b.dims.len() > 2 && &*b.name != "products");
    assert_eq!(large.count(), 0);
    assert!(nest.buffers.iter().all(|b| &*b.name != "exp"), "the weights take the scores' place");
}

#[test]
fn attention_of_odd_sizes_is_one_nest_of_two_tiles() {
    for [q, s, k, d] in [
        ["16", "16", "64", "64"],
        ["49", "49", "32", "32"],
        ["7", "7", "17", "17"],
        ["64", "130", "8", "80"],
        ["130", "33", "64", "3"],
        ["19", "1000", "5", "48"],
    ] {
        for mask in [Mask::Bare, Mask::None, Mask::Added, Mask::Keys, Mask::Causal] {
            let (decision, nest) = check(&attention(["1", "2", q, s, k, d], mask, 1), &[], &[]);
            is_attention(&decision.variant, &nest);
        }
    }
}

#[test]
fn attention_runs_in_parallel_over_heads_and_blocks_of_queries() {
    let (decision, nest) = check(&attention(["2", "3", "197", "197", "64", "64"], Mask::Added, 1), &[], &[]);
    is_attention(&decision.variant, &nest);
    let parallel = |n: &Node| matches!(n, Node::Loop(l) if l.mapping == Mapping::Parallel);
    assert!(count(&nest, &parallel) > 0);
}

#[test]
fn heads_share_keys_and_values_in_groups() {
    for group in [2, 4] {
        let (decision, nest) =
            check(&attention(["2", "4", "21", "40", "16", "24"], Mask::Added, group), &[], &[]);
        is_attention(&decision.variant, &nest);
    }
}

#[test]
fn attention_over_symbolic_lengths() {
    for (q, s) in [(1, 1), (7, 49), (64, 64), (130, 197)] {
        for mask in [Mask::None, Mask::Added, Mask::Causal] {
            let k = attention(["1", "2", "length", "total", "64", "64"], mask, 1);
            let (decision, nest) = check(&k, &[], &[("length", q), ("total", s)]);
            is_attention(&decision.variant, &nest);
        }
    }
}

#[test]
fn attention_on_smaller_vectors() {
    let machine = Machine::named("x86-64-v3").unwrap();
    for mask in [Mask::None, Mask::Added] {
        let (decision, nest) =
            check_on(&machine, &attention(["1", "2", "50", "77", "40", "24"], mask, 1), &[], &[]);
        is_attention(&decision.variant, &nest);
    }
}
