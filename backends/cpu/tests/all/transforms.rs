//! The kernels of Winograd's algorithm: transforms of tiles, and the products between them.

use crate::{
    check::{check, check_on},
    kernels::{Build, binary, kernel, read, read_or, unary},
    rewritten::after,
};
use mlcc_ir::{
    kernel::{Combine, Kernel, Role},
    nest::{LoopNest, Space},
    program::Program,
    scalar::{BinaryOp, UnaryOp},
};
use mlcc_machine::Machine;
use mlcc_passes::winograd::{algorithm::Algorithm, winograd_convolution::run_with};
use std::sync::Arc;

/// Images, rows and columns of outputs, channels, filters, and padding before and after.
struct Sizes {
    images: i64,
    rows: i64,
    columns: i64,
    channels: i64,
    filters: i64,
    before: i64,
    after: i64,
}

/// `tanh(conv(x, w) + residual)`, channels last.
fn conv(s: &Sizes) -> Kernel {
    let Sizes { images: n, rows: h, columns: w, channels: c, filters: f, .. } = s;
    let (height, width) = (h + 2 - s.before - s.after, w + 2 - s.before - s.after);
    let free = format!("n={n} h={h} w={w} m={f}");
    let out = format!("{n};{h};{w};{f}");
    let at = |a: &str| format!("%{a} + %k{a} - {}", s.before);
    let x = read_or(0, &format!("%n;{};{};%c", at("h"), at("w")), 0.0);
    let sum = binary(BinaryOp::Add, read(4, "%n;%h;%w;%m"), read(2, "%n;%h;%w;%m"));
    let build: Build = kernel("conv")
        .input("x", &format!("{n};{height};{width};{c}"))
        .input("w", &format!("{f};{c};3;3"))
        .input("r", &out)
        .output("y", &out)
        .temporary("acc", &out);
    build
        .compute(
            "conv",
            &format!("{free} +kh=3 +kw=3 +c={c}"),
            ("acc", "%n;%h;%w;%m"),
            binary(BinaryOp::Mul, x, read(1, "%m;%c;%kh;%kw")),
            Some(Combine::Add),
        )
        .compute("tanh", &free, ("y", "%n;%h;%w;%m"), unary(UnaryOp::Tanh, sum), None)
        .done()
}

/// The kernels that a convolution becomes, each with its constants.
fn kernels(s: &Sizes, pass: fn(&mut Program) -> usize) -> Vec<(Arc<Kernel>, Vec<usize>)> {
    after(conv(s), &["w"], pass)
}

fn f2(program: &mut Program) -> usize {
    run_with(program, &|_| Some(Algorithm::F2))
}

fn f4(program: &mut Program) -> usize {
    run_with(program, &|_| Some(Algorithm::F4))
}

const ODD: Sizes = Sizes { images: 2, rows: 13, columns: 11, channels: 17, filters: 19, before: 1, after: 1 };

/// Whether nothing between the stages goes through memory.
fn stays_in_registers(nest: &LoopNest) -> bool {
    let mut temporaries = nest.buffers.iter().filter(|b| b.role == Role::Temporary);
    temporaries.all(|b| b.space == Space::Register)
}

#[test]
fn odd_sizes_go_through_registers() {
    for pass in [f2, f4] {
        for (before, after) in [(0, 0), (1, 1), (0, 1)] {
            let found = kernels(&Sizes { before, after, ..ODD }, pass);
            let variants: Vec<_> = found
                .iter()
                .map(|(kernel, constants)| {
                    let (decision, nest) =
                        check_on(&Machine::named("znver4").unwrap(), kernel, constants, &[]);
                    assert!(stays_in_registers(&nest));
                    decision.variant.to_string()
                })
                .collect();
            assert_eq!(variants, ["transform", "packed", "transform"]);
        }
    }
}

#[test]
fn whole_tiles_and_one_tile_stay_right() {
    for (rows, columns) in [(8, 4), (4, 12), (3, 5), (1, 1)] {
        for (kernel, constants) in kernels(&Sizes { images: 1, rows, columns, channels: 32, ..ODD }, f4) {
            check(&kernel, &constants, &[]);
        }
    }
}
