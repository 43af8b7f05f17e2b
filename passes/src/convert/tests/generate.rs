//! Generators.

use super::harness::*;
use mlcc_ir::{
    attributes::Attr,
    dtype::DType,
    expr::Expr,
    graph::{Def, Graph},
    tensor::Tensor,
};

#[test]
fn ranges() {
    for dtype in FLOATS.into_iter().chain([I16, I32, I64]) {
        let a = attrs(&[("length", ints(&[7]))]);
        let (start, delta) = (between(dtype, &[], 1.0, 4.0), between(dtype, &[], 1.0, 3.0));
        assert_agrees_as("range", &a, &[start, delta], &[As::Inputs, As::Constants]);
    }
}

#[test]
fn eye_one_hot_and_trilu() {
    for k in [-2, 0, 1, 9] {
        for dtype in [F32, F16, I32, Bool] {
            let a = attrs(&[
                ("rows", ints(&[4])),
                ("cols", ints(&[5])),
                ("k", Attr::Int(k)),
                ("dtype", Attr::DType(dtype)),
            ]);
            assert_agrees("eye", &a, &[]);
        }
        for upper in [true, false] {
            let a = attrs(&[("upper", Attr::Bool(upper)), ("k", Attr::Int(k))]);
            assert_agrees_as("trilu", &a, &[f32s(&[2, 4, 5])], &[As::Inputs, As::Symbolic]);
            for dtype in DType::ALL {
                assert_agrees("trilu", &a, &[any(dtype, &[4, 5])]);
            }
        }
    }
    for axis in 0..3 {
        let a = attrs(&[("axis", Attr::Int(axis)), ("depth", ints(&[4]))]);
        let index = i64s(&[2, 3], &[0, -1, 3, 7, -4, -9]);
        assert_agrees_as("one_hot", &a, &[index.clone(), f32s(&[2])], &ALL_ROLES);
        assert_agrees("one_hot", &a, &[index, any(I32, &[2])]);
        let floats = Tensor::from_f32(&[2, 3], &[0.0, -1.0, 3.0, 7.0, 2.0, 1.0]);
        assert_agrees("one_hot", &a, &[floats, f32s(&[2])]);
    }
}

#[test]
fn symbolic_sizes_become_tensors() {
    let mut g = Graph { name: "sizes".into(), ..Graph::default() };
    let n = Expr::symbol("n");
    let ty = mlcc_ir::types::TensorType::new(F32, vec![n.clone(), Expr::from(3)]);
    let x = g.add_value("x", ty, Def::Input(0));
    g.inputs.push(x);
    let values = Attr::Exprs(vec![n.clone() * Expr::from(2), Expr::from(7), n.floor_div(&Expr::from(2))]);
    let several = add_node(&mut g, "dims", &attrs(&[("values", values)]), &[])[0];
    let one = attrs(&[("values", Attr::Exprs(vec![n])), ("scalar", Attr::Bool(true))]);
    let one = add_node(&mut g, "dims", &one, &[])[0];
    let fixed = add_node(&mut g, "dims", &attrs(&[("values", ints(&[2, 3]))]), &[])[0];
    // Known through an operator: the sum is not computed from its operands.
    let sum = add_node(&mut g, "add", &attrs(&[]), &[Some(one), Some(one)])[0];
    g.outputs = [several, one, fixed, sum].into_iter().map(|v| ("y".into(), v)).collect();
    let program = assert_graph_agrees(&g, &[f32s(&[5, 3])]);
    assert!(program.steps.len() <= 4, "{:?}", program.steps);
}
