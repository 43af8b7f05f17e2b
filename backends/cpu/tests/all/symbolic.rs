//! Kernels with symbolic sizes: right at odd ones, and divided among threads at any size.

use crate::{
    check::check,
    kernels::{Conv, conv, matmul, softmax},
};
use mlcc_cpu::schedule;
use mlcc_ir::{
    expr::Atom,
    kernel::Kernel,
    nest::{LoopNest, Node},
    size_range::SizeRanges,
};
use mlcc_machine::Machine;

/// Kernels in which `n` counts images or rows, and which operands are constants.
fn kernels() -> Vec<(Kernel, Vec<usize>)> {
    let image = Conv { n: "n", groups: 1, m: 32, c: 16, size: ("14", "14"), kernel: 3, stride: 1 };
    vec![
        (softmax("n", "300"), vec![]),
        (matmul("n", "80", "64", false, true), vec![1, 2]),
        (conv(Conv { kernel: 1, ..image }), vec![1, 2]),
        (conv(image), vec![1, 2]),
        (conv(Conv { groups: 8, m: 4, c: 2, ..image }), vec![1, 2]),
    ]
}

fn nest(kernel: &Kernel, constants: &[usize], range: &str) -> LoopNest {
    let mut ranges = SizeRanges::default();
    ranges.insert("n".into(), range.parse().unwrap());
    schedule(kernel, constants, &ranges, &Machine::named("znver4").unwrap()).unwrap().1
}

fn tiles(nest: &LoopNest, n: i64) -> i64 {
    nest.tiles().evaluate(&|a| matches!(a, Atom::Symbol(_)).then_some(n)).unwrap()
}

#[test]
fn symbolic_loops_are_parallel_and_never_cut() {
    for (kernel, constants) in kernels() {
        let nest = nest(&kernel, &constants, "0..");
        let least = tiles(&nest, 1);
        assert!(least >= 1, "{}", kernel.name);
        if *kernel.name == *"matmul" {
            // Rows of a register tile are one part.
            assert!(tiles(&nest, 64) >= 4 * least, "{least} parts of one row, {} of 64", tiles(&nest, 64));
            continue;
        }
        for n in [2, 3, 5, 8, 64] {
            assert!(tiles(&nest, n) >= n, "{}: {} parts for {n}", kernel.name, tiles(&nest, n));
        }
    }
}

#[test]
fn symbolic_kernels_are_right_at_odd_sizes() {
    for (kernel, constants) in kernels() {
        for n in [1, 2, 3, 5, 17] {
            check(&kernel, &constants, &[("n", n)]);
        }
    }
}

#[test]
fn ranges_reach_decisions() {
    let (kernel, constants) = (matmul("n", "96", "64", false, true), [1, 2]);
    let rows = |range: &str| {
        let mut rows = 0;
        nest(&kernel, &constants, range).visit(&mut |node| {
            if let Node::Tile(tile) = node {
                rows = rows.max(tile.rows);
            }
        });
        rows
    };
    // A tile with no more rows than the kernel can have.
    assert!(rows("1..4") <= 4, "{} rows", rows("1..4"));
    assert!(rows("256..") >= 6, "{} rows", rows("256.."));
    let of = |range: &str| nest(&kernel, &constants, range).ranges.get("n").to_string();
    assert_eq!(of("1..4"), "1..4");
}
