//! Matrix products and convolutions.

use crate::{
    check::{check, check_on, host},
    kernels::{Conv, binary, conv, kernel, matmul, read, read_or},
};
use mlcc_ir::{
    expr::Expr,
    kernel::{Combine, Kernel},
    nest::{LoopNest, Mapping, Node, Space},
    scalar::BinaryOp,
};
use mlcc_machine::Machine;

fn count(nest: &LoopNest, wanted: &dyn Fn(&Node) -> bool) -> usize {
    let mut found = 0;
    nest.visit(&mut |n| found += usize::from(wanted(n)));
    found
}

fn has_tile(nest: &LoopNest) -> bool {
    count(nest, &|n| matches!(n, Node::Tile(_))) > 0
}

fn is_parallel(nest: &LoopNest) -> bool {
    count(nest, &|n| matches!(n, Node::Loop(l) if l.mapping == Mapping::Parallel)) > 0
}

#[test]
fn products_with_a_constant_right_side_are_packed() {
    for (m, n, k) in
        [("64", "128", "96"), ("37", "70", "29"), ("1", "201", "33"), ("5", "3", "7"), ("130", "16", "1")]
    {
        for transposed in [false, true] {
            let (decision, nest) = check(&matmul(m, n, k, transposed, true), &[1, 2], &[]);
            // A reduction of one point is no reduction.
            if k != "1" {
                assert_eq!(&*decision.variant, "packed", "{m} {n} {k}");
                assert!(has_tile(&nest));
            }
        }
    }
}

#[test]
fn products_of_two_activations_read_or_copy_columns() {
    let (decision, _) = check(&matmul("33", "50", "70", false, true), &[], &[]);
    assert_eq!(&*decision.variant, "direct");
    let (decision, _) = check(&matmul("33", "50", "70", true, false), &[], &[]);
    assert_eq!(&*decision.variant, "panel");
    // Larger than two second caches: a copy pays if many rows read it.
    let small = Machine { l2_bytes: 16 << 10, ..host() };
    for (rows, variant) in [("257", "panel"), ("33", "direct")] {
        let (decision, _) = check_on(&small, &matmul(rows, "93", "101", false, true), &[], &[]);
        assert_eq!(&*decision.variant, variant);
    }
    check(&matmul("1", "50", "70", true, false), &[], &[]);
    check(&matmul("50", "1", "70", false, false), &[], &[]);
}

#[test]
fn symbolic_sizes_stay_right() {
    for (m, n, k) in [(1, 1, 1), (13, 70, 5), (40, 64, 33)] {
        let sizes = [("a", m), ("b", n), ("c", k)];
        for transposed in [false, true] {
            check(&matmul("a", "b", "c", transposed, true), &[], &sizes);
            check(&matmul("a", "45", "31", transposed, true), &[1], &sizes);
        }
    }
}

#[test]
fn attention_products_have_batches() {
    let scores = kernel("qk")
        .input("q", "b;19;3;24")
        .input("k", "b;19;3;24")
        .output("y", "b;3;19;19")
        .compute(
            "matmul",
            "i0=b i1=3 m=19 n=19 +k=24",
            ("y", "%i0;%i1;%m;%n"),
            binary(BinaryOp::Mul, read(0, "%i0;%m;%i1;%k"), read(1, "%i0;%n;%i1;%k")),
            Some(Combine::Add),
        )
        .done();
    let (decision, nest) = check(&scores, &[], &[("b", 2)]);
    assert_eq!(&*decision.variant, "panel");
    assert!(has_tile(&nest));
    let values = kernel("pv")
        .input("p", "2;3;19;21")
        .input("v", "2;21;3;24")
        .output("y", "2;19;3;24")
        .compute(
            "matmul",
            "i0=2 m=19 i1=3 n=24 +k=21",
            ("y", "%i0;%m;%i1;%n"),
            binary(BinaryOp::Mul, read(0, "%i0;%i1;%m;%k"), read(1, "%i0;%k;%i1;%n")),
            Some(Combine::Add),
        )
        .done();
    let (decision, nest) = check(&values, &[], &[]);
    assert_eq!(&*decision.variant, "direct");
    assert!(has_tile(&nest));
}

#[test]
fn convolutions_of_odd_sizes() {
    let base = Conv { n: "2", groups: 1, m: 10, c: 5, size: ("13", "11"), kernel: 3, stride: 1 };
    for c in [
        base,
        Conv { stride: 2, ..base },
        Conv { kernel: 1, ..base },
        Conv { kernel: 1, stride: 2, ..base },
        Conv { kernel: 7, stride: 2, c: 3, size: ("30", "31"), ..base },
        Conv { groups: 3, m: 4, ..base },
        Conv { groups: 3, m: 4, kernel: 1, ..base },
        Conv { m: 24, c: 4, n: "1", size: ("28", "28"), ..base },
        Conv { kernel: 5, size: ("1", "40"), ..base },
    ] {
        let (decision, nest) = check(&conv(c), &[1, 2], &[]);
        assert!(has_tile(&nest), "{}\n{}", decision.variant, decision.schedule);
    }
}

#[test]
fn symbolic_convolutions() {
    let base = Conv { n: "n", groups: 1, m: 9, c: 5, size: ("h", "w"), kernel: 3, stride: 1 };
    for (n, h, w) in [(1, 7, 9), (2, 1, 1), (3, 16, 33)] {
        let sizes = [("n", n), ("h", h), ("w", w)];
        let (_, nest) = check(&conv(base), &[1, 2], &sizes);
        assert!(has_tile(&nest));
        check(&conv(Conv { stride: 2, ..base }), &[1, 2], &sizes);
        check(&conv(Conv { kernel: 1, ..base }), &[1, 2], &sizes);
    }
}

#[test]
fn a_bound_that_is_far_from_the_size_takes_no_memory() {
    let base = Conv { n: "1", groups: 1, m: 9, c: 5, size: ("7", "min(1000000000,w)"), kernel: 3, stride: 1 };
    let (_, nest) = check(&conv(base), &[1, 2], &[("w", 11)]);
    let scratch: Vec<_> = nest.buffers.iter().filter(|b| b.space == Space::Scratch).collect();
    assert!(!scratch.is_empty(), "nothing is copied");
    for buffer in scratch {
        let constant: i64 = buffer.dims.iter().filter_map(Expr::as_const).product();
        assert!(constant < 1 << 20, "{}: {constant}", buffer.name);
    }
}

#[test]
fn narrower_vectors() {
    let machine = Machine::named("x86-64-v3").unwrap();
    let base = Conv { n: "1", groups: 1, m: 13, c: 5, size: ("13", "11"), kernel: 3, stride: 1 };
    for k in [matmul("37", "70", "29", false, true), conv(base), conv(Conv { kernel: 1, ..base })] {
        let (_, nest) = check_on(&machine, &k, &[1, 2], &[]);
        assert!(has_tile(&nest));
        assert_eq!(count(&nest, &|n| matches!(n, Node::Loop(l) if l.mapping == Mapping::Vector(16))), 0);
    }
}

#[test]
fn rows_and_columns_left_over_have_tiles_of_their_own() {
    let tiles = |nest: &LoopNest| {
        let mut sizes = Vec::new();
        nest.visit(&mut |n| {
            if let Node::Tile(t) = n {
                assert!(t.a_rows.is_none() && t.b_cols.is_none(), "a masked tile");
                sizes.push((t.rows, t.cols));
            }
        });
        sizes
    };
    // The tile, and so the number of registers, decides which sizes leave a remainder.
    let machine = Machine::named("znver4").unwrap();
    for (m, n, k) in [("197", "65", "33"), ("29", "70", "31"), ("15", "80", "9"), ("199", "129", "100")] {
        let (_, nest) = check_on(&machine, &matmul(m, n, k, false, true), &[1], &[]);
        assert!(tiles(&nest).len() > 1, "{m} {n} {k}: {:?}", tiles(&nest));
    }
    // Also if the number of rows is known only at run time.
    for rows in [1, 13, 14, 15, 197] {
        check(&matmul("a", "65", "33", false, true), &[1], &[("a", rows)]);
    }
}

#[test]
fn large_products_run_in_parallel() {
    let (_, nest) = check(&matmul("200", "192", "128", false, true), &[1], &[]);
    assert!(is_parallel(&nest));
}

#[test]
fn small_products_are_divided_where_it_pays() {
    // The machine's speed decides how much work a tile should be.
    let machine = Machine::named("znver4").unwrap();
    let tiles = |m, n, k| {
        let (_, nest) = check_on(&machine, &matmul(m, n, k, false, true), &[1], &[]);
        nest.tiles().as_const().unwrap()
    };
    // Few columns, few rows, and one row with columns that fill no whole panels.
    for (m, n, k) in [("61", "33", "160"), ("8", "1000", "65"), ("1", "1000", "400")] {
        let tiles = tiles(m, n, k);
        assert!(tiles == 2 || tiles >= 4, "{m} {n} {k}: {tiles} tiles");
    }
    assert_eq!(tiles("5", "70", "31"), 1);
}

#[test]
fn rows_that_no_cache_holds_come_in_blocks() {
    let machine = Machine { l2_bytes: 32 << 10, ..host() };
    for (m, n, k) in [("131", "97", "65"), ("187", "64", "63"), ("144", "192", "50")] {
        let (decision, nest) = check_on(&machine, &matmul(m, n, k, false, true), &[1], &[]);
        let [Node::Loop(outermost)] = &nest.body[..] else { panic!("{m} {n} {k}: not one loop") };
        assert!(outermost.axis.starts_with("matmul.m.o.o"), "{}", decision.schedule);
        assert!(has_tile(&nest));
    }
    // All rows stay in the cache.
    let (decision, _) = check_on(&machine, &matmul("67", "97", "65", false, true), &[1], &[]);
    assert!(!decision.schedule.to_string().contains("matmul.m.o.o, matmul.n.o"), "{}", decision.schedule);
}

#[test]
fn reductions_over_heads_need_not_be_contiguous() {
    // The rows of `x` are reduced over heads and features, which lie in the wrong order for one axis.
    let merged = kernel("heads")
        .input("x", "3;19;21")
        .input("w", "63;37")
        .output("y", "19;37")
        .compute(
            "matmul",
            "m=19 n=37 +d=21 +h=3",
            ("y", "%m;%n"),
            binary(BinaryOp::Mul, read(0, "%h;%m;%d"), read(1, "%h * 21 + %d;%n")),
            Some(Combine::Add),
        )
        .done();
    let (decision, nest) = check(&merged, &[1], &[]);
    assert_eq!(&*decision.variant, "packed");
    assert!(has_tile(&nest), "{}", decision.schedule);
}

/// A convolution of `c` channels to as many, whose epilogue adds the convolution's input. `from` and `to` are
/// the orders of the images' dimensions, such as `nchw`.
fn residual_convolution(c: i64, size: i64, taps: i64, from: &str, to: &str) -> Kernel {
    let along =
        |order: &str, of: &dyn Fn(char) -> String| order.chars().map(of).collect::<Vec<_>>().join(";");
    let dims = |d: char| match d {
        'n' => "2".to_owned(),
        'c' => c.to_string(),
        _ => size.to_string(),
    };
    let window = |d: char| match d {
        'n' | 'c' => format!("%{d}"),
        _ => format!("%{d} + %k{d} - {}", taps / 2),
    };
    let point = |d: char| if d == 'c' { "%m".to_owned() } else { format!("%{d}") };
    let free: Vec<String> =
        to.chars().map(|d| format!("{}={}", if d == 'c' { 'm' } else { d }, dims(d))).collect();
    let free = free.join(" ");
    let out = along(to, &point);
    let product = binary(BinaryOp::Mul, read_or(0, &along(from, &window), 0.0), read(1, "%m;%c;%kh;%kw"));
    kernel("conv")
        .input("x", &along(from, &dims))
        .input("w", &format!("{c};{c};{taps};{taps}"))
        .output("y", &along(to, &dims))
        .temporary("acc", &along(to, &dims))
        .compute(
            "conv",
            &format!("{free} +c={c} +kh={taps} +kw={taps}"),
            ("acc", &out),
            product,
            Some(Combine::Add),
        )
        .compute(
            "add",
            &free,
            ("y", &out),
            binary(BinaryOp::Add, read(3, &out), read(0, &along(from, &point))),
            None,
        )
        .done()
}

#[test]
fn convolutions_that_add_their_own_input_are_no_plain_loops() {
    for (from, to, variant) in
        [("nchw", "nhwc", "sliding"), ("nhwc", "nchw", "panel"), ("nchw", "nchw", "panel")]
    {
        for (c, size) in [(19, 13), (33, 7)] {
            let (decision, nest) = check(&residual_convolution(c, size, 3, from, to), &[1], &[]);
            assert_eq!(&*decision.variant, variant, "{c} {size} {from} {to}");
            assert_eq!(has_tile(&nest), variant == "panel");
        }
    }
}

#[test]
fn products_that_add_an_operand_have_tiles() {
    // Columns read directly and through a panel, with either operand added. Constant columns cannot be packed
    // if they are read twice.
    for operand in [0, 1] {
        for (transposed, constants) in
            [(false, &[][..]), (false, &[1][..]), (true, &[][..]), (true, &[1][..])]
        {
            let b_at = if transposed { "%n;%k" } else { "%k;%n" };
            let sum = binary(BinaryOp::Add, read(3, "%m;%n"), read(operand, "%m;%n"));
            let k = kernel("matmul")
                .input("a", "37;37")
                .input("b", "37;37")
                .output("y", "37;37")
                .temporary("acc", "37;37")
                .compute(
                    "matmul",
                    "m=37 n=37 +k=37",
                    ("acc", "%m;%n"),
                    binary(BinaryOp::Mul, read(0, "%m;%k"), read(1, b_at)),
                    Some(Combine::Add),
                )
                .compute("add", "m=37 n=37", ("y", "%m;%n"), sum, None)
                .done();
            let (decision, nest) = check(&k, constants, &[]);
            let variant = match (transposed, operand == 0 && !constants.is_empty()) {
                (_, true) => "packed",
                (false, _) => "direct",
                (true, _) => "panel",
            };
            assert_eq!(&*decision.variant, variant, "{operand} {transposed} {constants:?}");
            assert!(has_tile(&nest));
        }
    }
}
