//! Names of dimensions.

use super::models::{FLOAT, model, value, with_options};
use crate::{DimSpec, ImportOptions, proto::GraphProto};

/// The type of an input `x` whose dimensions have these names, with these given shapes.
fn typed(dims: [&str; 4], shapes: &[&str]) -> String {
    let mut input = value("x", FLOAT, "a a a a");
    if let Some(crate::proto::type_proto::Value::Tensor(tensor)) = &mut input.ty.as_mut().unwrap().value {
        for (dim, name) in tensor.shape.as_mut().unwrap().dim.iter_mut().zip(dims) {
            dim.value = Some(crate::proto::dimension::Value::Symbol(name.into()));
        }
    }
    let graph = GraphProto {
        output: vec![value("x", FLOAT, "? ? ? ?")],
        input: vec![input],
        ..GraphProto::default()
    };
    let shapes = shapes.iter().map(|shape| DimSpec::parse_shape(shape).unwrap()).collect();
    let graph = with_options(&model(18, graph), &ImportOptions { shapes, ..ImportOptions::default() });
    let graph = graph.unwrap().graph;
    graph.value(graph.inputs[0]).ty.to_string()
}

#[test]
fn names_of_dimensions_that_say_nothing_are_different_symbols() {
    let with = |dims| typed(dims, &[]);
    assert_eq!(with(["?", "?", "", " "]), "(x_d0)x(x_d1)x(x_d2)x(x_d3)xf32");
    assert_eq!(with(["None", "unknown", "-1", "*"]), "(x_d0)x(x_d1)x(x_d2)x(x_d3)xf32");
    // Different names stay different, and equal names stay equal.
    assert_eq!(with(["a-b", "a_b", "a-b", "x_d3"]), "(a_b)x(a_b_2)x(a_b)x(x_d3)xf32");
    assert_eq!(with(["?", "x_d0", "n", "n"]), "(x_d0_2)x(x_d0)x(n)x(n)xf32");
}

#[test]
fn a_fixed_size_is_of_the_one_dimension_that_is_named() {
    let with = |shape| typed(["?", "x_d0", "?", "n"], &[shape]);
    assert_eq!(with("x_d0=4"), "(x_d0_2)x4x(x_d2)x(n)xf32");
    assert_eq!(with("x_d0_2=4"), "4x(x_d0)x(x_d2)x(n)xf32");
    assert_eq!(with("x=?x4x?x?"), "(x_d0_2)x4x(x_d2)x(n)xf32");
    assert_eq!(with("x=4x?x?x?"), "4x(x_d0)x(x_d2)x(n)xf32");
    assert_eq!(with("x_d2=4"), "(x_d0_2)x(x_d0)x4x(n)xf32");
}
