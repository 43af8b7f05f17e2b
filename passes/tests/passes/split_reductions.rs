//! `split-reductions`.

use crate::{graph_builder::GraphBuilder, program};
use mlcc_ir::{
    attributes::{Attr, Attrs},
    kernel::AxisKind,
    program::Program,
};
use mlcc_machine::Threads;
use mlcc_passes::fusion::{
    fuse_epilogue,
    split_reductions::{decide, run},
};

/// Threads for which small tensors are large.
const SMALL: Threads = Threads { cores: 4, kernel_work: 8, lanes: 4 };

fn split(program: &mut Program) -> usize {
    run(program, &SMALL)
}

fn axes(list: &[i64]) -> Attrs {
    Attrs::new().with("axes", Attr::Ints(list.to_vec())).with("keepdims", Attr::Bool(false))
}

fn reduced(op: &str, dims: &[i64], over: &[i64]) -> Program {
    let mut b = GraphBuilder::new();
    let x = b.input("x", dims);
    let out = b.op_with(op, &[x], axes(over));
    program::of(&b.finish(&[out]))
}

#[test]
fn long_reductions_run_in_parts() {
    for op in ["reduce_sum", "reduce_max", "reduce_min", "reduce_mean"] {
        // Everything, rows, columns; 251 is prime, so that a remainder is left for any parts.
        for (dims, over) in [
            (&[17, 251][..], &[0, 1][..]),
            (&[2, 251], &[1]),
            (&[251, 3], &[0]),
            (&[3, 5, 64], &[0, 2]),
            (&[256], &[0]),
        ] {
            let mut program = reduced(op, dims, over);
            let before = program::kernels(&program).len();
            assert_eq!(program::run_and_compare(&mut program, split), 1, "{op} of {dims:?} over {over:?}");
            assert_eq!(program::kernels(&program).len(), before + 1);
            let first = &program::kernels(&program)[0].computes[0];
            assert_eq!((&*first.axes[0].name, first.axes[0].kind), ("part", AxisKind::Parallel));
            // Once is enough.
            assert_eq!(split(&mut program), 0, "{op} of {dims:?} over {over:?}");
        }
    }
}

#[test]
fn parts_that_divide_leave_nothing_over() {
    let program = reduced("reduce_sum", &[2, 600], &[1]);
    let parts = decide(program::kernels(&program)[0], &SMALL, &program.ranges).unwrap();
    assert_eq!((&*parts.axis, parts.left), ("i1", 0));
    assert_eq!(parts.count * parts.length, 600);
    // A part for each of few threads, or for each of many.
    assert!(parts.count % 2 == 0, "{parts:?}");
}

#[test]
fn what_follows_the_sum_follows_its_parts() {
    let mut b = GraphBuilder::new();
    let (x, bias) = (b.input("x", &[2, 333]), b.input("bias", &[2]));
    let sum = b.op_with("reduce_sum", &[x], axes(&[1]));
    let shifted = b.op("add", &[sum, bias]);
    let out = b.op("tanh", &[shifted]);
    let mut program = program::of(&b.finish(&[out]));
    assert!(fuse_epilogue::run(&mut program) > 0);
    assert_eq!(program::kernels(&program).len(), 1);
    assert_eq!(program::run_and_compare(&mut program, split), 1);
    assert_eq!(program::kernels(&program).len(), 2);
    assert_eq!(program::kernels(&program)[0].computes.len(), 1);
}

#[test]
fn what_is_not_cut_may_be_symbolic() {
    for (dims, over) in [(&["n", "251"][..], &[1][..]), (&["251", "n"], &[0]), (&["n", "3", "251"], &[0, 2])]
    {
        let mut b = GraphBuilder::new();
        let x = b.symbolic_input("x", dims);
        let out = b.op_with("reduce_mean", &[x], axes(over));
        let mut program = program::of(&b.finish(&[out]));
        assert_eq!(program::run_and_compare(&mut program, split), 1, "{dims:?} over {over:?}");
    }
    // Rows for every thread, if there are enough.
    let mut b = GraphBuilder::new();
    let x = b.symbolic_input("x", &["n", "251"]);
    let out = b.op_with("reduce_sum", &[x], axes(&[1]));
    let mut program = program::of(&b.finish(&[out]));
    program.ranges.insert("n".into(), "64..".parse().unwrap());
    assert_eq!(program::run_and_compare(&mut program, |p| run(p, &SMALL)), 0);
    // A symbolic axis is not cut.
    let mut b = GraphBuilder::new();
    let x = b.symbolic_input("x", &["2", "n"]);
    let out = b.op_with("reduce_sum", &[x], axes(&[1]));
    assert_eq!(program::run_and_compare(&mut program::of(&b.finish(&[out])), split), 0);
}

#[test]
fn products_of_small_matrices_with_much_to_sum() {
    let mut b = GraphBuilder::new();
    let (x, y) = (b.input("x", &[3, 1001]), b.input("y", &[1001, 5]));
    let out = b.op("matmul", &[x, y]);
    let mut program = program::of(&b.finish(&[out]));
    assert_eq!(program::run_and_compare(&mut program, split), 1);
}

#[test]
fn reductions_stay_where_threads_have_work_or_little_is_summed() {
    for (dims, over) in [
        // Rows for every thread.
        (&[64, 100][..], &[1][..]),
        // Columns for every thread.
        (&[30, 128], &[0]),
        // Little to sum.
        (&[60], &[0]),
        (&[2, 20], &[1]),
    ] {
        let mut program = reduced("reduce_sum", dims, over);
        assert_eq!(program::run_and_compare(&mut program, split), 0, "{dims:?} over {over:?}");
    }
    // Several reductions that need each other's results.
    let mut b = GraphBuilder::new();
    let x = b.input("x", &[1, 999]);
    let out = b.op_with("softmax", &[x], Attrs::new().with("axis", Attr::Int(1)));
    let mut program = program::of(&b.finish(&[out]));
    assert_eq!(program::run_and_compare(&mut program, split), 0);
}
