//! Models that cannot be compiled: the diagnostic names the node or tensor, the reason and a way out.
//!
//! Exit code 2 is for a valid model that mlcc does not support, 1 for a model that is wrong.

use mlcc_tests::{Attribute, DType, Model, Node, Tensor};

use crate::{models, project::Project};

const USER: i32 = 1;
const UNSUPPORTED: i32 = 2;

/// What compiling the model says.
fn refusal(code: i32, model: &Model) -> String {
    Project::with(model).failure(code, &["compile", "model.onnx"])
}

/// `y = relu(x)`, both 2 x 3.
fn relu(opset: i64) -> Model {
    Model::new(opset)
        .input("x", DType::F32, &[2.into(), 3.into()])
        .node(Node::new("Relu", &["x"], &["y"]).named("act"))
        .output("y", DType::F32, &[2.into(), 3.into()])
}

/// A model with one node, whose two operands are inputs of these shapes.
fn binary(node: Node, a: &[usize], b: &[usize]) -> Model {
    let dims = |shape: &[usize]| shape.iter().map(|&size| size.into()).collect::<Vec<_>>();
    Model::new(18).input("a", DType::F32, &dims(a)).input("b", DType::F32, &dims(b)).node(node).output(
        "y",
        DType::F32,
        &dims(a),
    )
}

#[test]
fn each_unsupported_operator_is_named() {
    let model = Model::new(18)
        .input("x", DType::F32, &[4.into(), 4.into()])
        .node(Node::new("Det", &["x"], &["d"]).named("head/det"))
        .node(Node::new("Relu", &["x"], &["r"]).named("head/relu"))
        .node(Node::new("Unique", &["r"], &["u"]).named("tail/unique"))
        .output("d", DType::F32, &[])
        .output("u", DType::F32, &["k".into()]);
    let text = refusal(UNSUPPORTED, &model);
    assert!(text.contains("head/det") && text.contains("tail/unique"), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn an_operator_of_another_domain() {
    let node = Node::new("FusedThing", &["a", "b"], &["y"]).domain("com.example").named("blocks.3/fused");
    insta::assert_snapshot!(refusal(UNSUPPORTED, &binary(node, &[2, 3], &[2, 3])));
}

#[test]
fn an_operator_that_no_opset_has() {
    let node = Node::new("Relux", &["a"], &["y"]).named("act");
    insta::assert_snapshot!(refusal(UNSUPPORTED, &binary(node, &[2, 3], &[2, 3])));
}

#[test]
fn element_types_that_are_not_supported() {
    for (name, number) in [("string", 8), ("complex64", 14), ("float8", 17)] {
        let model = Model::new(21)
            .input_of_type("x", number, Some(&[3.into()]))
            .node(Node::new("Identity", &["x"], &["y"]))
            .output("y", DType::F32, &[3.into()]);
        insta::assert_snapshot!(format!("element_type_{name}"), refusal(UNSUPPORTED, &model));
    }
}

#[test]
fn an_element_type_that_does_not_exist() {
    let model = Model::new(18)
        .input_of_type("x", 99, Some(&[3.into()]))
        .node(Node::new("Relu", &["x"], &["y"]))
        .output("y", DType::F32, &[3.into()]);
    insta::assert_snapshot!(refusal(USER, &model));
}

#[test]
fn opsets_before_and_after_what_is_read() {
    insta::assert_snapshot!("opset_too_old", refusal(UNSUPPORTED, &relu(6)));
    insta::assert_snapshot!("opset_too_new", refusal(UNSUPPORTED, &relu(1000)));
}

#[test]
fn an_input_of_unknown_rank() {
    let model = Model::new(18).input_of_type("x", 1, None).node(Node::new("Relu", &["x"], &["y"])).output(
        "y",
        DType::F32,
        &["n".into()],
    );
    let text = refusal(UNSUPPORTED, &model);
    insta::assert_snapshot!(text);
    // What the hint says is what helps.
    let project = Project::with(&model);
    project.succeed(&["compile", "model.onnx", "--shape", "x=2x3"]);
}

#[test]
fn shapes_that_do_not_fit() {
    let matmul = Node::new("MatMul", &["a", "b"], &["y"]).named("layer1/matmul");
    insta::assert_snapshot!("shapes_matmul", refusal(USER, &binary(matmul, &[3, 4], &[5, 6])));
    let add = Node::new("Add", &["a", "b"], &["y"]).named("layer1/add");
    insta::assert_snapshot!("shapes_add", refusal(USER, &binary(add, &[3, 4], &[3, 5])));
    let concat =
        Node::new("Concat", &["a", "b"], &["y"]).named("layer1/concat").attribute("axis", Attribute::Int(0));
    insta::assert_snapshot!("shapes_concat", refusal(USER, &binary(concat, &[3, 4], &[3, 5])));
}

#[test]
fn a_required_attribute_is_missing() {
    let cast = Node::new("Cast", &["a"], &["y"]).named("convert");
    insta::assert_snapshot!(refusal(USER, &binary(cast, &[3, 4], &[3, 4])));
}

#[test]
fn an_axis_beyond_the_rank() {
    let softmax = Node::new("Softmax", &["a"], &["y"]).named("probs").attribute("axis", Attribute::Int(5));
    insta::assert_snapshot!(refusal(USER, &binary(softmax, &[3, 4], &[3, 4])));
}

#[test]
fn a_value_that_nothing_computes() {
    let add = Node::new("Add", &["a", "ghost"], &["y"]).named("sum");
    insta::assert_snapshot!(refusal(USER, &binary(add, &[3, 4], &[3, 4])));
}

#[test]
fn an_output_that_nothing_computes() {
    let model = relu(18).output("z", DType::F32, &[1.into()]);
    insta::assert_snapshot!(refusal(USER, &model));
}

#[test]
fn raw_data_of_another_length() {
    let model = Model::new(18)
        .input("x", DType::F32, &[2.into(), 3.into()])
        .weight_of_bytes("bias", DType::F32, &[3], &[0; 11])
        .node(Node::new("Add", &["x", "bias"], &["y"]))
        .output("y", DType::F32, &[2.into(), 3.into()]);
    insta::assert_snapshot!(refusal(USER, &model));
}

#[test]
fn a_weight_larger_than_any_memory() {
    let model = Model::new(18)
        .input("x", DType::F32, &[3.into()])
        .weight_of_bytes("bias", DType::F32, &[1 << 40, 1 << 40, 3], &[0; 12])
        .node(Node::new("Add", &["x", "bias"], &["y"]))
        .output("y", DType::F32, &[3.into()]);
    insta::assert_snapshot!(refusal(USER, &model));
}

#[test]
fn files_that_are_no_models() {
    let project = Project::new();
    project.write("empty.onnx", b"");
    project.write("text.onnx", b"This is not a model, it is a sentence.\n");
    std::fs::create_dir(project.path("folder.onnx")).unwrap();
    for name in ["empty", "text", "folder", "missing"] {
        let file = format!("{name}.onnx");
        insta::assert_snapshot!(format!("file_{name}"), project.failure(USER, &["compile", &file]));
    }
}

#[test]
fn a_model_cut_anywhere_is_refused() {
    let bytes = models::mlp().model.encode();
    let project = Project::new();
    // The last field is the opset's; a cut on the border of a field leaves a well-formed message.
    for eighths in 1..8 {
        let length = bytes.len() * eighths / 8;
        project.write("cut.onnx", &bytes[..length]);
        let outcome = project.call(&["compile", "cut.onnx", "-o", "cut.mlcc"]);
        outcome.expect_failure(USER);
        assert!(!project.path("cut.mlcc").exists(), "an artifact of {length} bytes of a model");
    }
    project.write("cut.onnx", &bytes[..bytes.len() / 2]);
    insta::assert_snapshot!(project.failure(USER, &["compile", "cut.onnx"]));
}

/// `y = x + w` with `w` of four elements in another file.
fn external(entries: &[(&str, &str)]) -> Model {
    Model::new(18)
        .input("x", DType::F32, &[4.into()])
        .external_weight("w", DType::F32, &[4], entries)
        .node(Node::new("Add", &["x", "w"], &["y"]))
        .output("y", DType::F32, &[4.into()])
}

#[test]
fn external_data_beside_the_model_is_read() {
    let project = Project::with(&external(&[("location", "data/w.bin"), ("offset", "8"), ("length", "16")]));
    let w = Tensor::random(DType::F32, &[4], 1);
    std::fs::create_dir(project.path("data")).unwrap();
    project.write("data/w.bin", &[&[7; 8], w.bytes(), &[9; 5]].concat());
    project.write_inputs(&[Tensor::f32(&[4], [0.0; 4])]);
    assert_eq!(project.run("model.onnx", 1), [w]);
}

#[test]
fn external_data_elsewhere_is_refused() {
    let project = Project::new();
    std::fs::create_dir_all(project.path("model")).unwrap();
    std::fs::create_dir_all(project.path("secret")).unwrap();
    project.write("secret/w.bin", &[0; 16]);
    std::os::unix::fs::symlink("../secret/w.bin", project.path("model/link.bin")).unwrap();
    std::os::unix::fs::symlink("../secret", project.path("model/link")).unwrap();
    let absolute = project.path("secret/w.bin");
    let absolute = absolute.to_str().unwrap();
    for (name, location) in [
        ("parent", "../secret/w.bin"),
        ("inner_parent", "data/../../secret/w.bin"),
        ("absolute", absolute),
        ("link", "link.bin"),
        ("linked_folder", "link/w.bin"),
        ("nothing", ""),
        ("folder", "."),
    ] {
        external(&[("location", location)]).write(&project.path("model/model.onnx")).unwrap();
        let text = project.failure(USER, &["compile", "model/model.onnx"]);
        insta::assert_snapshot!(format!("external_{name}"), text);
    }
}

#[test]
fn external_data_that_does_not_fit() {
    let project = Project::new();
    project.write("w.bin", &[0; 16]);
    let location = ("location", "w.bin");
    for (name, entries) in [
        ("no_location", vec![]),
        ("missing", vec![("location", "absent.bin")]),
        ("too_short", vec![location, ("offset", "4")]),
        ("overflow", vec![location, ("offset", "18446744073709551600"), ("length", "16")]),
        ("beyond_64_bits", vec![location, ("offset", "18446744073709551616")]),
        ("negative", vec![location, ("offset", "-4")]),
        ("other_length", vec![location, ("length", "12")]),
    ] {
        external(&entries).write(&project.path("model.onnx")).unwrap();
        let text = project.failure(USER, &["compile", "model.onnx"]);
        insta::assert_snapshot!(format!("external_{name}"), text);
    }
}
