//! Copies that turn rows into columns.

use crate::{
    check::{check, check_on, host},
    kernels::{kernel, read},
};
use mlcc_ir::kernel::Kernel;
use mlcc_machine::Machine;

/// `y[index] = x[..]` with the axes' extents in the order of `y`; `x` lies in the order `order` of them.
fn transpose(extents: &[&str], order: &[usize]) -> Kernel {
    let point =
        |axes: &mut dyn Iterator<Item = usize>| axes.map(|d| format!("%i{d}")).collect::<Vec<_>>().join(";");
    let axes: Vec<String> = extents.iter().enumerate().map(|(d, e)| format!("i{d}={e}")).collect();
    let x_dims: Vec<&str> = order.iter().map(|&d| extents[d]).collect();
    let index = point(&mut order.iter().copied());
    kernel("transpose")
        .input("x", &x_dims.join(";"))
        .output("y", &extents.join(";"))
        .compute("transpose", &axes.join(" "), ("y", &point(&mut (0..extents.len()))), read(0, &index), None)
        .done()
}

#[test]
fn rows_become_columns_in_squares() {
    for (extents, order) in [
        (&["64", "48"][..], &[1, 0][..]),
        (&["37", "61"], &[1, 0]),
        (&["401", "307"], &[1, 0]),
        // Channels first and last; a batch.
        (&["2", "7", "9", "19"], &[0, 3, 1, 2]),
        (&["2", "19", "7", "9"], &[0, 2, 3, 1]),
        // Three channels fill no vector.
        (&["2", "7", "9", "3"], &[0, 3, 1, 2]),
        (&["11", "6", "13"], &[2, 1, 0]),
        (&["5", "17", "6", "21"], &[3, 1, 2, 0]),
    ] {
        let (decision, _) = check(&transpose(extents, order), &[], &[]);
        assert_eq!(&*decision.variant, "transposed", "{extents:?} {order:?}");
    }
}

#[test]
fn symbolic_sizes_may_be_smaller_than_a_square() {
    let k = transpose(&["2", "m", "n"], &[0, 2, 1]);
    for (m, n) in [(1, 1), (3, 70), (70, 3), (300, 65), (64, 64)] {
        let (decision, _) = check(&k, &[], &[("m", m), ("n", n)]);
        assert_eq!(&*decision.variant, "transposed");
    }
}

#[test]
fn narrow_sources_and_other_machines() {
    // Lines of the source that are shorter than a vector.
    let (decision, _) = check(&transpose(&["2", "3", "50"], &[0, 2, 1]), &[], &[]);
    assert_ne!(&*decision.variant, "transposed");
    // A copy that keeps the order is no transposition.
    let (decision, _) = check(&transpose(&["5", "6", "40"], &[1, 0, 2]), &[], &[]);
    assert_ne!(&*decision.variant, "transposed");
    for vector_bits in [128, 256] {
        let machine = Machine { vector_bits, ..host() };
        check_on(&machine, &transpose(&["37", "61"], &[1, 0]), &[], &[]);
    }
}
