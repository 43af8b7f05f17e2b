//! The kernels of Strassen's algorithm: sums of quarters, the products between them, and their combination.

use crate::{
    check::check_on,
    kernels::{binary, kernel, read, unary},
    rewritten::after,
};
use mlcc_ir::{
    kernel::{Combine, Kernel, Role},
    nest::Space,
    program::Program,
    scalar::{BinaryOp, UnaryOp},
};
use mlcc_machine::Machine;
use mlcc_passes::strassen::strassen_products::run_with;

/// `tanh(x w + b) + r` over batches of rows.
fn layer(batch: i64, rows: i64, columns: i64, terms: i64) -> Kernel {
    let free = format!("i={batch} m={rows} n={columns}");
    let out = format!("{batch};{rows};{columns}");
    let sum = binary(BinaryOp::Add, read(5, "%i;%m;%n"), read(2, "%n"));
    kernel("layer")
        .input("x", &format!("{batch};{rows};{terms}"))
        .input("w", &format!("{terms};{columns}"))
        .input("b", &format!("{columns}"))
        .input("r", &out)
        .output("y", &out)
        .temporary("acc", &out)
        .compute(
            "matmul",
            &format!("{free} +k={terms}"),
            ("acc", "%i;%m;%n"),
            binary(BinaryOp::Mul, read(0, "%i;%m;%k"), read(1, "%k;%n")),
            Some(Combine::Add),
        )
        .compute(
            "tanh",
            &free,
            ("y", "%i;%m;%n"),
            binary(BinaryOp::Add, unary(UnaryOp::Tanh, sum), read(3, "%i;%m;%n")),
            None,
        )
        .done()
}

fn strassen(program: &mut Program) -> usize {
    run_with(program, f64::INFINITY, &|_| Some(1.0))
}

#[test]
fn odd_sizes_go_through_registers() {
    let machine = Machine::named("znver4").unwrap();
    for (batch, rows, columns, terms) in
        [(1, 13, 34, 21), (2, 9, 64, 40), (1, 24, 96, 33), (3, 5, 18, 7), (1, 4, 32, 64)]
    {
        let kernels = after(layer(batch, rows, columns, terms), &["w", "b"], strassen);
        let variants: Vec<String> = kernels
            .iter()
            .map(|(kernel, constants)| {
                let (decision, nest) = check_on(&machine, kernel, constants, &[]);
                let mut temporaries = nest.buffers.iter().filter(|b| b.role == Role::Temporary);
                assert!(
                    temporaries.all(|b| b.space == Space::Register),
                    "{batch} {rows} {columns} {terms}: what {} makes goes through memory\n{}",
                    kernel.name,
                    decision.schedule
                );
                decision.variant.to_string()
            })
            .collect();
        assert_eq!(variants, ["transform", "packed", "transform"], "{batch} {rows} {columns} {terms}");
    }
}

#[test]
fn other_machines_and_single_pairs_stay_right() {
    for name in ["x86-64-v3", "x86-64-v4"] {
        let machine = Machine::named(name).unwrap();
        for (rows, columns, terms) in [(15, 22, 19), (2, 16, 64), (3, 2, 2)] {
            for (kernel, constants) in after(layer(1, rows, columns, terms), &["w", "b"], strassen) {
                check_on(&machine, &kernel, &constants, &[]);
            }
        }
    }
}
