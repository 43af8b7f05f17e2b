//! `simplify-scalars`.

use crate::{graph_builder::GraphBuilder, program};
use mlcc_ir::scalar::{BinaryOp, Inst};
use mlcc_passes::fusion::{
    inline_elementwise,
    simplify_scalars::{run, run_exact},
};

/// How often an operation occurs in the first kernel.
fn count(program: &mlcc_ir::program::Program, op: BinaryOp) -> usize {
    let insts = &program::kernels(program)[0].computes[0].body.insts;
    insts.iter().filter(|(inst, _)| matches!(inst, Inst::Binary(o, ..) if *o == op)).count()
}

#[test]
fn constant_divisors_and_factors_become_one_factor() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", &[3, 7]);
    let (root, half, scale) = (b.constant(&[], &[1.4]), b.constant(&[], &[0.5]), b.constant(&[], &[1.7]));
    let scaled = b.op("div", &[x, root]);
    let e = b.op("erf", &[scaled]);
    let halved = b.op("mul", &[half, e]);
    let out = b.op("mul", &[halved, scale]);
    let mut program = program::of(&b.finish(&[out]));
    inline_elementwise::run(&mut program);
    assert_eq!(program::run_and_compare(&mut program, run), 1);
    assert_eq!((count(&program, BinaryOp::Div), count(&program, BinaryOp::Mul)), (0, 2));
    assert_eq!(run(&mut program), 0, "nothing is left to do");
}

#[test]
fn a_product_that_is_used_elsewhere_stays() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", &[5]);
    let (two, three) = (b.constant(&[], &[2.1]), b.constant(&[], &[3.3]));
    let inner = b.op("mul", &[x, two]);
    let outer = b.op("mul", &[inner, three]);
    let out = b.op("add", &[inner, outer]);
    let mut program = program::of(&b.finish(&[out]));
    inline_elementwise::run(&mut program);
    program::run_and_compare(&mut program, run);
    assert_eq!(count(&program, BinaryOp::Mul), 2);
}

#[test]
fn what_is_rounded_is_divided_exactly() {
    let divided_by = |divisor: f32| {
        let mut b = GraphBuilder::new();
        let x = b.input("x", &[9]);
        let c = b.constant(&[], &[divisor]);
        let quotient = b.op("div", &[x, c]);
        let out = b.op("floor", &[quotient]);
        let mut program = program::of(&b.finish(&[out]));
        inline_elementwise::run(&mut program);
        program::run_and_compare(&mut program, run);
        count(&program, BinaryOp::Div)
    };
    assert_eq!((divided_by(41.0), divided_by(0.25)), (1, 0));
}

#[test]
fn where_no_bit_may_change_only_powers_of_two_stop_dividing() {
    let of = |divisor: f32| {
        let mut b = GraphBuilder::new();
        let x = b.input("x", &[9]);
        let (c, two, four) = (b.constant(&[], &[divisor]), b.constant(&[], &[2.0]), b.constant(&[], &[4.0]));
        let quotient = b.op("div", &[x, c]);
        let doubled = b.op("mul", &[quotient, two]);
        let out = b.op("mul", &[doubled, four]);
        let mut program = program::of(&b.finish(&[out]));
        inline_elementwise::run(&mut program);
        program::run_and_compare(&mut program, run_exact);
        (count(&program, BinaryOp::Div), count(&program, BinaryOp::Mul))
    };
    assert_eq!([of(255.0), of(0.25)], [(1, 2), (0, 3)]);
}
