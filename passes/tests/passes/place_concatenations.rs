//! `place-concatenations`.

use crate::{graph_builder::GraphBuilder, program};
use mlcc_ir::attributes::{Attr, Attrs};
use mlcc_passes::layout::place_concatenations::run;

#[test]
fn parts_are_written_where_the_whole_lies() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", &[2, 3, 5]);
    let (e, n) = (b.op("exp", &[x]), b.op("neg", &[x]));
    let whole = b.op_with("concat", &[e, n], Attrs::new().with("axis", Attr::Int(1)));
    let out = b.op("abs", &[whole]);
    let mut program = program::of(&b.finish(&[out]));
    assert_eq!(program::run_and_compare(&mut program, run), 2);
    // exp, neg and abs: nothing is copied.
    assert_eq!(program::kernels(&program).len(), 3);
}

/// Several kernels write the whole, and nothing says which of them wrote a part last.
#[test]
fn parts_of_several_kernels_are_copied() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", &[2, 3, 5]);
    let parts: Vec<_> = (0..150).map(|_| b.op("exp", &[x])).collect();
    let whole = b.op_with("concat", &parts, Attrs::new().with("axis", Attr::Int(1)));
    let out = b.op("abs", &[whole]);
    let mut program = program::of(&b.finish(&[out]));
    // Ten kernels copy up to 16 parts each.
    assert_eq!(program.steps.len(), 150 + 10 + 1);
    assert_eq!(program::run_and_compare(&mut program, run), 0);
    assert_eq!(program.steps.len(), 150 + 10 + 1);
}

#[test]
fn a_longer_concatenation_holds_the_shorter_ones() {
    let mut b = GraphBuilder::new();
    let axis = || Attrs::new().with("axis", Attr::Int(2));
    let x = b.input("x", &[2, 4, 3]);
    let a = b.op("exp", &[x]);
    let c = b.op("neg", &[a]);
    let first = b.op_with("concat", &[a, c], axis());
    let d = b.op("abs", &[first]);
    let second = b.op_with("concat", &[a, c, d], axis());
    let out = b.op("neg", &[second]);
    let mut program = program::of(&b.finish(&[out]));
    run_twice_and_count(&mut program);
}

/// `abs` reads the first whole and makes a part of the second one. If this part were placed, one tensor would
/// be both an operand that is read and one that is written. So this part alone is copied.
fn run_twice_and_count(program: &mut mlcc_ir::program::Program) {
    let placed = program::run_and_compare(program, run);
    assert!(placed >= 2, "{placed} tensors are placed");
    for kernel in program::kernels(program) {
        assert!(kernel.computes.len() < 3, "'{}' copies all its parts", kernel.name);
    }
}

#[test]
fn inputs_are_copied() {
    let mut b = GraphBuilder::new();
    let (x, y) = (b.input("x", &[2, 3]), b.input("y", &[2, 4]));
    let whole = b.op_with("concat", &[x, y], Attrs::new().with("axis", Attr::Int(1)));
    let out = b.op("exp", &[whole]);
    let mut program = program::of(&b.finish(&[out]));
    assert_eq!(program::run_and_compare(&mut program, run), 0);
}
