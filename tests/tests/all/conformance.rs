//! `test`: ONNX test directories, of which one passes, one fails, one is unsupported.

use mlcc_tests::{DType, Model, Node, Tensor, onnx};

use crate::project::Project;

/// Writes the test directory `name` of `y = OPERATOR(x)`.
fn write_test(project: &Project, name: &str, operator: &str, sets: &[(Tensor, Tensor)]) {
    let folder = project.path(name);
    let dims: Vec<_> = sets[0].0.shape().iter().map(|&size| size.into()).collect();
    std::fs::create_dir_all(&folder).unwrap();
    Model::new(18)
        .input("x", DType::F32, &dims)
        .node(Node::new(operator, &["x"], &["y"]).named("node"))
        .output("y", DType::F32, &dims)
        .write(&folder.join("model.onnx"))
        .unwrap();
    for (i, (input, output)) in sets.iter().enumerate() {
        let data = folder.join(format!("test_data_set_{i}"));
        std::fs::create_dir(&data).unwrap();
        onnx::write_tensor(&data.join("input_0.pb"), input).unwrap();
        onnx::write_tensor(&data.join("output_0.pb"), output).unwrap();
    }
}

fn vector(values: [f32; 4]) -> Tensor {
    Tensor::f32(&[4], values)
}

/// Data on which `Relu` passes.
fn relu() -> (Tensor, Tensor) {
    (vector([-1.0, 0.0, 1.5, f32::NAN]), vector([0.0, 0.0, 1.5, f32::NAN]))
}

#[test]
fn each_verdict_is_counted() {
    let project = Project::new();
    let wrong = (vector([1.0; 4]), vector([1.0, 1.0, 1.1, 1.0]));
    write_test(&project, "tests/test_relu", "Relu", &[relu(), relu()]);
    write_test(&project, "tests/test_second_set_fails", "Relu", &[relu(), wrong]);
    write_test(&project, "tests/test_unsupported", "Bernoulli", &[relu()]);
    let outcome = project.call(&["test", "tests", "--report", "report.txt"]);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    insta::assert_snapshot!(outcome.stdout);
    assert!(outcome.stdout.starts_with(&project.read_text("report.txt")), "{outcome}");
    let quiet = project.call(&["test", "tests", "--quiet"]);
    assert_eq!(quiet.stdout.lines().count(), 2, "{quiet}");
}

#[test]
fn what_is_unsupported_is_no_failure() {
    let project = Project::new();
    write_test(&project, "test_relu", "Relu", &[relu()]);
    write_test(&project, "test_unsupported", "Bernoulli", &[relu()]);
    let text = project.succeed(&["test", "test_relu", "test_unsupported"]);
    assert!(text.ends_with("\n1 passed, 0 failed, 1 unsupported\n"), "{text}");
}

#[test]
fn outputs_must_be_equal_in_type_shape_and_special_values() {
    let input = vector([1.0, 2.0, 3.0, f32::INFINITY]);
    for (name, output) in [
        ("shape", Tensor::f32(&[1, 4], [1.0, 2.0, 3.0, f32::INFINITY])),
        ("dtype", Tensor::i64(&[4], [1, 2, 3, 4])),
        ("nan", vector([1.0, 2.0, f32::NAN, f32::INFINITY])),
        ("infinity", vector([1.0, 2.0, 3.0, f32::MAX])),
        ("sign", vector([1.0, 2.0, 3.0, f32::NEG_INFINITY])),
        ("tolerance", vector([1.0, 2.0, 3.01, f32::INFINITY])),
    ] {
        let project = Project::new();
        write_test(&project, name, "Relu", &[(input.clone(), output)]);
        let outcome = project.call(&["test", name]);
        assert_eq!(outcome.code, Some(1), "{outcome}");
        assert!(outcome.stdout.ends_with("\n0 passed, 1 failed, 0 unsupported\n"), "{outcome}");
    }
}

#[test]
fn tolerances_are_the_callers() {
    let project = Project::new();
    write_test(&project, "near", "Relu", &[(vector([1.0; 4]), vector([1.01; 4]))]);
    assert_eq!(project.call(&["test", "near"]).code, Some(1));
    project.succeed(&["test", "near", "--rtol", "0.02"]);
    project.succeed(&["test", "near", "--atol", "0.02"]);
}

#[test]
fn a_folder_without_tests_is_an_error() {
    let project = Project::new();
    std::fs::create_dir(project.path("empty")).unwrap();
    insta::assert_snapshot!("no_tests", project.failure(1, &["test", "empty"]));
    insta::assert_snapshot!("no_folder", project.failure(1, &["test", "missing"]));
}

#[test]
fn a_damaged_test_fails_alone() {
    let project = Project::new();
    write_test(&project, "tests/a", "Relu", &[relu()]);
    write_test(&project, "tests/b", "Relu", &[relu()]);
    write_test(&project, "tests/c", "Relu", &[relu()]);
    project.write("tests/a/model.onnx", b"no model");
    project.write("tests/b/test_data_set_0/input_0.pb", b"no tensor");
    let outcome = project.call(&["test", "tests"]);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(outcome.stdout.ends_with("\n1 passed, 2 failed, 0 unsupported\n"), "{outcome}");
}
