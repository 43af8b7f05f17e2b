//! Initializers that are inputs.

use super::models::{FLOAT, INT64, float_weight, imported, int_weight, model, node, value};
use crate::proto::{GraphProto, ModelProto};

/// `y = x * w`, where `w` is an initializer with this number of elements and also an input.
fn scaled(ir_version: i64, elements: usize) -> ModelProto {
    let graph = GraphProto {
        input: vec![value("x", FLOAT, "n 1"), value("w", FLOAT, &elements.to_string())],
        output: vec![value("y", FLOAT, "n m")],
        initializer: vec![float_weight("w", &[elements as i64], &vec![0.5; elements])],
        node: vec![node("y = Mul(x, w)", vec![])],
        ..GraphProto::default()
    };
    ModelProto { ir_version, ..model(17, graph) }
}

#[test]
fn an_initializer_that_is_an_input_is_its_default() {
    let found = imported(&scaled(8, 4)).unwrap();
    assert_eq!(found.graph.inputs.len(), 2);
    assert_eq!(found.defaults.keys().collect::<Vec<_>>(), [&1]);
    assert_eq!(found.defaults[&1].to_f64(), [0.5; 4]);
}

#[test]
fn weights_of_old_files_and_of_exporters_that_list_them_all_are_constants() {
    // 4 bytes an element.
    for (ir_version, elements, inputs) in [(3, 4, 1), (4, 4, 2), (8, 16 << 10, 2), (8, 17 << 10, 1)] {
        let found = imported(&scaled(ir_version, elements)).unwrap();
        assert_eq!(found.graph.inputs.len(), inputs, "IR {ir_version}, {elements} elements");
        assert_eq!(found.defaults.len(), inputs - 1);
    }
    // If other initializers are not listed, the listed ones are meant as inputs.
    let mut chosen = scaled(8, 17 << 10);
    chosen.graph.as_mut().unwrap().initializer.push(float_weight("other", &[1], &[1.0]));
    assert_eq!(imported(&chosen).unwrap().graph.inputs.len(), 2);
}

#[test]
fn a_default_whose_value_import_needs_is_a_constant_and_others_are_not() {
    let mut model = scaled(8, 4);
    let graph = model.graph.as_mut().unwrap();
    graph.input.push(value("shape", INT64, "2"));
    graph.initializer.push(int_weight("shape", &[2], &[4, -1]));
    graph.node.push(node("z = Reshape(y, shape)", vec![]));
    graph.output.push(value("z", FLOAT, "4 n"));
    let found = imported(&model).unwrap();
    let names: Vec<_> = found.graph.inputs.iter().map(|&i| &*found.graph.value(i).name).collect();
    assert_eq!(names, ["x", "w"]);
}

#[test]
fn a_default_that_does_not_fit_its_input_is_a_constant() {
    let mut model = scaled(8, 4);
    model.graph.as_mut().unwrap().input[1] = value("w", FLOAT, "3");
    // As a constant it is right, whatever the input declares, as in ONNX Runtime with a warning.
    assert_eq!(imported(&model).unwrap().graph.inputs.len(), 1);
    model.graph.as_mut().unwrap().node[0] = node("y = Nothing(x)", vec![]);
    assert!(imported(&model).is_err());
}
