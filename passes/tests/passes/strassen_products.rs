//! `strassen-products`.

use crate::{graph_builder::GraphBuilder, program};
use mlcc_ir::{
    attributes::{Attr, Attrs},
    graph::ValueId,
    kernel::Role,
    program::{Program, Storage},
};
use mlcc_machine::{Machine, StrassenRates};
use mlcc_passes::{
    fusion::{fuse_epilogue, inline_elementwise, inline_movement},
    layout::assign_layouts,
    strassen::{
        cost::Sizes,
        strassen_products::{run, run_with},
    },
};

fn values(count: i64, scale: f32) -> Vec<f32> {
    (0..count).map(|i| ((i * 37 % 101) as f32 / 50.0 - 1.0) * scale).collect()
}

fn fused(b: GraphBuilder, outputs: &[ValueId]) -> Program {
    let mut program = program::of(&b.finish(outputs));
    inline_movement::run(&mut program);
    inline_elementwise::run(&mut program);
    fuse_epilogue::run(&mut program);
    assign_layouts::run(&mut program);
    program
}

/// The work behind a product.
#[derive(Clone, Copy, PartialEq)]
enum After {
    Nothing,
    /// Bias, a function, and a residual.
    Layer,
    /// The matrix itself is added: it is square.
    Own,
}

/// `x w` for `x` of any rank.
fn product(rows: &[i64], terms: i64, columns: i64, after: After) -> Program {
    let rows: Vec<String> = rows.iter().map(ToString::to_string).collect();
    symbolic_product(&rows.iter().map(String::as_str).collect::<Vec<_>>(), terms, columns, after)
}

/// The same, with rows that may be symbols.
fn symbolic_product(rows: &[&str], terms: i64, columns: i64, after: After) -> Program {
    let mut b = GraphBuilder::new();
    let of = |b: &mut GraphBuilder, name: &str, last: i64| {
        b.symbolic_input(name, &rows.iter().copied().chain([&*last.to_string()]).collect::<Vec<_>>())
    };
    let x = of(&mut b, "x", terms);
    let w = b.constant(&[terms, columns], &values(terms * columns, 0.3));
    let mut y = b.op("matmul", &[x, w]);
    if after == After::Layer {
        let bias = b.constant(&[columns], &values(columns, 0.4));
        let r = of(&mut b, "r", columns);
        y = b.op("add", &[y, bias]);
        y = b.op("tanh", &[y]);
        y = b.op("add", &[y, r]);
    }
    if after == After::Own {
        y = b.op("add", &[y, x]);
    }
    fused(b, &[y])
}

fn always(program: &mut Program) -> usize {
    run_with(program, f64::INFINITY, &|_| Some(1.0))
}

fn by_estimate(program: &mut Program) -> usize {
    run(program, &StrassenRates::of(&Machine::usual()), 2.0).len()
}

#[test]
fn a_product_becomes_seven_of_quarters() {
    let mut program = product(&[12], 10, 14, After::Nothing);
    assert_eq!(program::run_and_compare(&mut program, always), 1);
    let kernels = program::kernels(&program);
    let names: Vec<&str> = kernels.iter().map(|k| &*k.name).collect();
    assert_eq!(names, ["matmul_quarters", "matmul_products", "matmul_combined"]);
    let dims = |k: usize, role: Role| {
        let tensor = kernels[k].tensors.iter().find(|t| t.role == role);
        tensor.and_then(|t| t.ty.static_dims()).expect("a static tensor")
    };
    assert_eq!(dims(0, Role::Output), [7, 6, 5]);
    assert_eq!(dims(1, Role::Output), [7, 6, 7]);
    let weights = program.tensors.iter().find(|t| t.name.ends_with(".strassen"));
    assert_eq!(weights.and_then(|t| t.ty.static_dims()).expect("transformed weights"), [7, 5, 7]);
}

#[test]
fn odd_rows_and_terms_are_filled_with_zeros() {
    for (rows, terms) in [(5, 8), (6, 7), (3, 3), (13, 11), (2, 2)] {
        for after in [After::Nothing, After::Layer] {
            let mut program = product(&[rows], terms, 6, after);
            assert_eq!(program::run_and_compare(&mut program, always), 1, "{rows} rows, {terms} terms");
        }
    }
}

#[test]
fn rows_may_be_symbolic() {
    for rows in [&["batch", "6"][..], &["batch", "7"], &["batch"], &["batch", "1"], &["batch", "length"]] {
        for after in [After::Nothing, After::Layer] {
            let mut program = symbolic_product(rows, 7, 6, after);
            assert_eq!(program::run_and_compare(&mut program, always), 1, "{rows:?}");
        }
    }
    let mut columns = GraphBuilder::new();
    let (x, w) = (columns.symbolic_input("x", &["4", "n"]), columns.symbolic_input("w", &["n", "6"]));
    let y = columns.op("matmul", &[x, w]);
    assert_eq!(program::run_and_compare(&mut fused(columns, &[y]), always), 0);
}

#[test]
fn symbolic_rows_gain_at_every_size() {
    let mut program = symbolic_product(&["batch", "128"], 768, 768, After::Nothing);
    assert_eq!(by_estimate(&mut program), 1);
    // A batch of one row, or of eight, waits for the weights.
    let mut program = symbolic_product(&["batch"], 768, 768, After::Nothing);
    assert_eq!(by_estimate(&mut program), 0);
    program.ranges.insert("batch".into(), "128..".parse().unwrap());
    assert_eq!(by_estimate(&mut program), 1);
}

#[test]
fn odd_columns_stay() {
    let mut program = product(&[8], 8, 7, After::Nothing);
    assert_eq!(program::run_and_compare(&mut program, always), 0);
}

#[test]
fn what_follows_the_product_follows_the_combination() {
    for rows in [&[1i64, 9][..], &[2, 7], &[3, 4, 5]] {
        let mut program = product(rows, 6, 8, After::Layer);
        assert_eq!(program::kernels(&program).len(), 1);
        assert_eq!(program::run_and_compare(&mut program, always), 1, "{rows:?}");
        assert_eq!(program::kernels(&program).len(), 3);
    }
}

#[test]
fn the_matrix_may_be_added_to_the_product() {
    let mut program = product(&[7], 6, 6, After::Own);
    assert_eq!(program::run_and_compare(&mut program, always), 1);
}

#[test]
fn products_of_one_matrix_share_its_quarters() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", &[9, 8]);
    let outputs: Vec<_> = (0..3)
        .map(|i| {
            let w = b.constant(&[8, 6], &values(48, 0.2 + i as f32));
            b.op("matmul", &[x, w])
        })
        .collect();
    let mut program = fused(b, &outputs);
    assert_eq!(program::run_and_compare(&mut program, always), 3);
    assert_eq!(program::kernels(&program).len(), 1 + 3 * 2);
}

#[test]
fn convolutions_of_single_pixels_are_products() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", &[2, 6, 5, 7]);
    let x = b.op("tanh", &[x]);
    let w = b.constant(&[8, 6, 1, 1], &values(48, 0.3));
    let bias = b.constant(&[8], &values(8, 0.3));
    let attrs = || {
        Attrs::new()
            .with("pads", Attr::Ints(vec![0; 4]))
            .with("strides", Attr::Ints(vec![1; 2]))
            .with("dilations", Attr::Ints(vec![1; 2]))
            .with("group", Attr::Int(1))
    };
    let y = b.op_with("conv", &[x, w, bias], attrs());
    let y = b.op("tanh", &[y]);
    let last = b.constant(&[3, 8, 1, 1], &values(24, 0.2));
    let y = b.op_with("conv", &[y, last], attrs());
    let mut program = fused(b, &[y]);
    let before = program::kernels(&program).len();
    // The last one has three filters.
    assert_eq!(program::run_and_compare(&mut program, always), 1);
    assert_eq!(program::kernels(&program).len(), before + 2);
}

#[test]
fn products_of_two_computed_matrices_stay() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", &[8, 8]);
    let y = b.input("y", &[8, 8]);
    let z = b.op("matmul", &[x, y]);
    let mut program = fused(b, &[z]);
    assert_eq!(program::run_and_compare(&mut program, always), 0);
}

#[test]
fn the_estimate_takes_large_products_only() {
    assert_eq!(by_estimate(&mut product(&[512], 512, 512, After::Nothing)), 1);
    assert_eq!(by_estimate(&mut product(&[64], 48, 48, After::Nothing)), 0);
    assert_eq!(by_estimate(&mut product(&[4], 512, 512, After::Nothing)), 0);
}

/// Two products. The second one gains more for each byte.
fn two() -> Program {
    let mut b = GraphBuilder::new();
    let x = b.input("x", &[8, 1024]);
    let first = b.constant(&[1024, 512], &values(1024 * 512, 0.1));
    let second = b.constant(&[1024, 512], &values(1024 * 512, 0.2));
    let z = b.input("z", &[16, 1024]);
    let outputs = [b.op("matmul", &[x, first]), b.op("matmul", &[z, second])];
    fused(b, &outputs)
}

#[test]
fn weights_grow_no_more_than_allowed() {
    let by_rows = |sizes: &Sizes| Some(sizes.rows[0] as f64);
    let transformed = |program: &Program| -> Vec<String> {
        let is = |t: &&mlcc_ir::program::ProgramTensor| {
            matches!(t.storage, Storage::Constant(_)) && t.name.ends_with(".strassen")
        };
        program.tensors.iter().filter(is).map(|t| t.name.to_string()).collect()
    };
    // Each of the two matrices has 2 MiB and grows by 1.5; one MiB is free.
    for (growth, count) in [(1.0, 0), (1.1, 0), (1.125, 1), (1.4, 1), (1.5, 2)] {
        let mut program = two();
        assert_eq!(run_with(&mut program, growth, &by_rows), count, "{growth}");
        let found = transformed(&program);
        assert_eq!(found.len(), count);
        if count == 1 {
            let kernels = program::kernels(&program);
            let rows =
                kernels.iter().find(|k| k.name.ends_with("_quarters")).map(|k| k.tensors[0].ty.clone());
            assert_eq!(rows.and_then(|t| t.static_dims()), Some(vec![16, 1024]));
        }
    }
}

#[test]
fn weights_that_something_else_reads_count_in_full() {
    let mut b = GraphBuilder::new();
    let (x, z) = (b.input("x", &[8, 512]), b.input("z", &[512, 512]));
    let w = b.constant(&[512, 512], &values(512 * 512, 0.1));
    let outputs = [b.op("matmul", &[x, w]), b.op("sub", &[w, z])];
    let mut program = fused(b, &outputs);
    // One MiB of weights would grow by 1.75 MiB, not by 0.75.
    assert_eq!(run_with(&mut program, 1.7, &|_| Some(1.0)), 0);
    assert_eq!(run_with(&mut program, 1.8, &|_| Some(1.0)), 1);
}

#[test]
fn what_rewrites_before_have_added_counts() {
    // The matrix has 2.25 MiB and grows by 1.69 MiB. Half of its former size, and one MiB, are allowed.
    for (grown, count) in [(0, 1), (1 << 18, 1), (1 << 19, 0), (-(1 << 20), 1)] {
        let mut b = GraphBuilder::new();
        let x = b.input("x", &[128, 768]);
        let w = b.constant(&[768, 768], &values(768 * 768, 0.1));
        let y = b.op("matmul", &[x, w]);
        let mut program = fused(b, &[y]);
        program.origin.weight_growth = grown;
        let changed = run(&mut program, &StrassenRates::of(&Machine::usual()), 1.5);
        assert_eq!(changed.len(), count, "{grown}");
        if let Some(changed) = changed.first() {
            let sizes = changed.sizes.clone().map(|size| size.as_const());
            assert_eq!((sizes, changed.growth), ([128, 768, 768].map(Some), 3 * 768 * 768));
            assert!(changed.gain > 0.0);
        }
    }
}
