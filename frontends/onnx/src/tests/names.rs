//! Names of dimensions.

use super::models::{FLOAT, imported, model, value};
use crate::proto::GraphProto;

#[test]
fn names_of_dimensions_that_say_nothing_are_different_symbols() {
    let with = |dims: [&str; 4]| {
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
        let graph = imported(&model(18, graph)).unwrap().graph;
        graph.value(graph.inputs[0]).ty.to_string()
    };
    assert_eq!(with(["?", "?", "", " "]), "(x_d0)x(x_d1)x(x_d2)x(x_d3)xf32");
    assert_eq!(with(["None", "unknown", "-1", "*"]), "(x_d0)x(x_d1)x(x_d2)x(x_d3)xf32");
    // Names that differ stay different, and names that are the same stay one.
    assert_eq!(with(["a-b", "a_b", "a-b", "x_d3"]), "(a_b)x(a_b_2)x(a_b)x(x_d3)xf32");
    assert_eq!(with(["?", "x_d0", "n", "n"]), "(x_d0_2)x(x_d0)x(n)x(n)xf32");
}
