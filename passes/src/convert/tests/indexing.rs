//! Gathers and scatters, including indices that no valid model has.

use super::harness::*;
use crate::convert::graph_to_tensor;
use mlcc_interpreter::program;
use mlcc_ir::{attributes::Attr, dtype::DType, tensor::Tensor};

#[test]
fn gathers_along_each_axis() {
    for axis in 0..3 {
        let a = attrs(&[("axis", Attr::Int(axis))]);
        for index in [i64s(&[2, 2], &[0, -1, 2, -3]), i64s(&[], &[1]), i64s(&[], &[-2]), i64s(&[1], &[2])] {
            assert_agrees_as("gather", &a, &[f32s(&[3, 4, 5]), index], &ALL_ROLES);
        }
    }
    for dtype in DType::ALL {
        let index = Tensor::new(I32, vec![2], [2i32, -1].map(i32::to_le_bytes).concat().into()).unwrap();
        assert_agrees("gather", &attrs(&[("axis", Attr::Int(0))]), &[any(dtype, &[3, 4]), index]);
    }
    assert_agrees_as(
        "gather",
        &attrs(&[("axis", Attr::Int(0))]),
        &[f32s(&[1, 4]), i64s(&[], &[0])],
        &ALL_ROLES,
    );
}

#[test]
fn regular_indices_need_no_table() {
    let axis = attrs(&[("axis", Attr::Int(1))]);
    for (index, regular) in [
        (vec![0, 0, 1, 1, 2, 2, 3, 3], true),
        (vec![0, 1, 2, 3, 0, 1, 2, 3], true),
        (vec![3, 3, 1, 1, 3, 3, 1, 1], true),
        (vec![-1, -2, -3], true),
        (vec![1, 3], true),
        (vec![0, 0, 1], true),
        (vec![0, 0, 1, 2], false),
        (vec![0, 1, 3], false),
        (vec![2, 2, 2], true),
    ] {
        let x = f32s(&[2, 4, 3]);
        let index = i64s(&[index.len() as i64], &index);
        assert_agrees_as("gather", &axis, &[x.clone(), index.clone()], &[As::Constants]);
        let (g, _) = single("gather", &axis, &[Some(x), Some(index.clone())], As::Constants);
        let program = graph_to_tensor(&g).unwrap();
        let tables = program.tensors.iter().filter(|t| t.ty.dtype == DType::I64).count();
        assert_eq!(tables == 0, regular, "{index:?}");
    }
}

#[test]
fn gathers_of_elements_and_tuples() {
    for axis in 0..2 {
        let a = attrs(&[("axis", Attr::Int(axis))]);
        let index = i64s(&[2, 3], &[0, -1, 2, 1, -3, 0]);
        assert_agrees_as("gather_elements", &a, &[f32s(&[3, 4]), index], &ALL_ROLES);
    }
    let a = |batch| attrs(&[("batch_dims", Attr::Int(batch))]);
    assert_agrees_as("gather_nd", &a(0), &[f32s(&[3, 4, 5]), i64s(&[2, 2], &[0, -1, 2, 3])], &ALL_ROLES);
    assert_agrees(
        "gather_nd",
        &a(0),
        &[f32s(&[3, 4]), i64s(&[2, 3, 2], &[0, 1, 1, -1, 2, 3, 0, 0, -3, 2, 1, 1])],
    );
    assert_agrees_as("gather_nd", &a(1), &[f32s(&[2, 3, 4]), i64s(&[2, 1], &[1, -1])], &ALL_ROLES);
    assert_agrees("gather_nd", &a(1), &[f32s(&[2, 3, 4]), i64s(&[2, 3, 1], &[1, -1, 0, 2, 2, 0])]);
}

#[test]
fn scatters_with_and_without_reduction() {
    for reduction in ["none", "add", "mul", "max", "min"] {
        for axis in 0..2 {
            let a = attrs(&[("axis", Attr::Int(axis)), ("reduction", text(reduction))]);
            let index = i64s(&[2, 3], &[0, -1, 2, 0, 1, 2]);
            let unique = i64s(&[2, 3], &[0, 1, 2, 2, 0, 1]);
            let index = if reduction == "none" { unique } else { index };
            assert_agrees_as("scatter_elements", &a, &[f32s(&[3, 4]), index, f32s(&[2, 3])], &ALL_ROLES);
        }
        let a = attrs(&[("reduction", text(reduction))]);
        let index = if reduction == "none" { [0, 2, 1] } else { [1, -2, 0] };
        assert_agrees_as(
            "scatter_nd",
            &a,
            &[f32s(&[3, 4]), i64s(&[3, 1], &index), f32s(&[3, 4])],
            &ALL_ROLES,
        );
        assert_agrees("scatter_nd", &a, &[f32s(&[3, 4]), i64s(&[2, 2], &[0, 1, 2, -1]), f32s(&[2])]);
    }
    for dtype in DType::ALL {
        let a = attrs(&[("reduction", text(if dtype == Bool { "none" } else { "add" }))]);
        assert_agrees("scatter_nd", &a, &[any(dtype, &[3, 4]), i64s(&[2, 1], &[0, 2]), any(dtype, &[2, 4])]);
    }
}

#[test]
fn hostile_indices_stay_in_bounds() {
    let wild = i64s(&[2, 2], &[i64::MIN, i64::MAX, -100, 100]);
    let axis = attrs(&[("axis", Attr::Int(0))]);
    let none = attrs(&[("axis", Attr::Int(0)), ("reduction", text("none"))]);
    let cases = [
        ("gather", axis.clone(), vec![f32s(&[3, 4]), wild.clone()]),
        ("gather_elements", axis, vec![f32s(&[3, 4]), wild.clone()]),
        ("gather_nd", attrs(&[]), vec![f32s(&[3, 4]), wild.clone()]),
        ("scatter_elements", none, vec![f32s(&[3, 4]), wild.clone(), f32s(&[2, 2])]),
        ("scatter_nd", attrs(&[]), vec![f32s(&[3, 4]), wild, f32s(&[2])]),
    ];
    for (op, a, operands) in cases {
        let scattered = op.starts_with("scatter");
        let operands: Vec<_> = operands.into_iter().map(Some).collect();
        let (g, inputs) = single(op, &a, &operands, As::Inputs);
        let results = program::run(&graph_to_tensor(&g).unwrap(), &inputs).unwrap();
        if scattered {
            assert_eq!(results[0], inputs[0], "{op}: nothing is written");
        } else {
            assert!(results[0].to_f64().iter().all(|v| *v == 0.0), "{op}: reads give 0");
        }
    }
}
