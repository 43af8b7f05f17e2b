//! Wrong arguments and inputs: the diagnostic says what is wrong and what would be right.

use std::process::Command;

use mlcc_tests::{DType, Model, Node, Outcome, Tensor, npy, program};

use crate::{
    models,
    project::{CPU, Project},
};

const USER: i32 = 1;
const UNSUPPORTED: i32 = 2;

/// A compiled model of two inputs: `left` f32 2 x 3, `right` i64 3.
fn two_inputs() -> Project {
    let model = Model::new(18)
        .input("left", DType::F32, &[2.into(), 3.into()])
        .input("right", DType::I64, &[3.into()])
        .node(Node::new("Relu", &["left"], &["y"]))
        .node(Node::new("Neg", &["right"], &["z"]))
        .output("y", DType::F32, &[2.into(), 3.into()])
        .output("z", DType::I64, &[3.into()]);
    let project = Project::with(&model);
    project.succeed(&["compile", "model.onnx"]);
    project
}

#[test]
fn inputs_that_do_not_fit_the_signature() {
    const LEFT: &str = "left=2x3xf32=1";
    const RIGHT: &str = "right=3xi64=1";
    let project = two_inputs();
    for (name, inputs) in [
        ("none", vec![]),
        ("one_missing", vec![RIGHT]),
        ("too_many", vec![LEFT, RIGHT, "3xi64=1"]),
        ("shape", vec!["left=2x4xf32=1", RIGHT]),
        ("rank", vec!["left=6xf32=1", RIGHT]),
        ("dtype", vec!["left=2x3xf64=1", RIGHT]),
        ("name", vec!["middle=2x3xf32=1", RIGHT]),
        ("given_twice", vec![LEFT, LEFT, RIGHT]),
    ] {
        let mut arguments = vec!["run", "model.mlcc"];
        inputs.iter().for_each(|input| arguments.extend(["--input", input]));
        insta::assert_snapshot!(format!("input_{name}"), project.failure(USER, &arguments));
    }
}

#[test]
fn a_symbol_stays_in_the_range_it_was_compiled_for() {
    let model = Model::new(18)
        .input("a", DType::F32, &["n".into(), 3.into()])
        .node(Node::new("Relu", &["a"], &["y"]))
        .output("y", DType::F32, &["n".into(), 3.into()]);
    let project = Project::with(&model);
    project.succeed(&["compile", "model.onnx", "--shape", "a=2..4x3"]);
    for size in [2, 4] {
        project.succeed(&["run", "model.mlcc", "--input", &format!("{size}x3xf32=1")]);
    }
    for size in [1, 5] {
        let arguments = ["run", "model.mlcc", "--input", &format!("{size}x3xf32=1")];
        insta::assert_snapshot!(format!("range_{size}"), project.failure(USER, &arguments));
    }
}

#[test]
fn a_dump_with_a_wrong_type_is_refused() {
    let project = Project::with(&models::mlp().model);
    project.succeed(&["compile", "model.onnx", "--dump-ir", "ir"]);
    let text = project.read_text("ir/00-import-import.mlir");
    let relu = text.lines().find(|line| line.contains("graph.relu")).expect("the network has a relu");
    let ty =
        &relu[relu.find("tensor<").unwrap()..][..relu[relu.find("tensor<").unwrap()..].find('>').unwrap()];
    let wider = ty.replacen('x', "0x", 1);
    project.write("wrong.mlir", text.replace(relu, &relu.replace(ty, &wider)).as_bytes());
    let arguments = ["compile", "wrong.mlir", "--from", "graph", "--weights", "model.onnx"];
    let error = project.failure(USER, &arguments);
    assert!(error.contains("relu") || error.contains("type"), "{error}");
}

#[test]
fn sizes_for_which_a_model_has_no_meaning_are_refused() {
    let expand = Model::new(18)
        .input("x", DType::F32, &["n".into()])
        .weight("shape", Tensor::i64(&[1], [4]))
        .node(Node::new("Expand", &["x", "shape"], &["y"]).named("expand"))
        .output("y", DType::F32, &[4.into()]);
    let project = Project::with(&expand);
    project.succeed(&["compile", "model.onnx"]);
    for size in [1, 4] {
        project.succeed(&["run", "model.mlcc", "--input", &format!("{size}xf32=1")]);
    }
    for size in [0, 2, 6] {
        let error = project.failure(USER, &["run", "model.mlcc", "--input", &format!("{size}xf32=1")]);
        assert!(error.contains("expand"), "{error}");
    }
}

#[test]
fn concat_needs_its_axis() {
    let model = Model::new(18)
        .input("a", DType::F32, &[2.into(), 3.into()])
        .node(Node::new("Concat", &["a", "a"], &["y"]).named("join"))
        .output("y", DType::F32, &[2.into(), 6.into()]);
    insta::assert_snapshot!(Project::with(&model).failure(USER, &["compile", "model.onnx"]));
}

#[test]
fn a_symbol_has_one_size() {
    let model = Model::new(18)
        .input("a", DType::F32, &["n".into(), 3.into()])
        .input("b", DType::F32, &["n".into(), 3.into()])
        .node(Node::new("Add", &["a", "b"], &["y"]))
        .output("y", DType::F32, &["n".into(), 3.into()]);
    let project = Project::with(&model);
    project.succeed(&["compile", "model.onnx"]);
    let arguments = ["run", "model.mlcc", "--input", "2x3xf32=1", "--input", "4x3xf32=1"];
    insta::assert_snapshot!(project.failure(USER, &arguments));
}

#[test]
fn literals_that_are_malformed() {
    let project = two_inputs();
    for (name, literal) in [
        ("count", "2x3xf32=1,2,3,4"),
        ("number", "2x3xf32=one"),
        ("dtype", "2x3xf33=1"),
        ("dimension", "2xAxf32=1"),
        ("negative", "2x-3xf32=1"),
        ("range", "2x3xi8=300"),
        ("huge", "1000000x1000000x1000000xf32=0"),
        ("overflow", "4294967296x4294967296x4294967296xf32=0"),
        ("empty", ""),
    ] {
        let text = project.failure(USER, &["run", "model.mlcc", "--input", literal]);
        insta::assert_snapshot!(format!("literal_{name}"), text);
    }
}

#[test]
fn files_that_are_no_inputs() {
    let project = two_inputs();
    project.write("text.npy", b"1 2 3");
    project.write("text.pb", b"1 2 3");
    project.write("text.csv", b"1,2,3");
    npy::write(&project.path("good.npy"), &Tensor::random(DType::F32, &[2, 3], 1)).unwrap();
    let good = project.read("good.npy");
    project.write("cut.npy", &good[..good.len() - 3]);
    for name in ["text.npy", "text.pb", "text.csv", "cut.npy", "missing.npy", "missing.pb"] {
        let text = project.failure(USER, &["run", "model.mlcc", "--input", name]);
        insta::assert_snapshot!(format!("input_file_{}", name.replace('.', "_")), text);
    }
}

#[test]
fn shapes_that_are_malformed_or_contradict_the_model() {
    let project = Project::with(&models::dynamic(1).model);
    for (name, shape) in [
        ("no_name", "1x13"),
        ("dimension", "x=1xa"),
        ("negative", "x=-1x13"),
        ("range", "x=8..2x13"),
        ("rank", "x=1x13x1"),
        ("contradiction", "x=1x14"),
        ("input", "ghost=1x13"),
    ] {
        let text = project.failure(USER, &["compile", "model.onnx", "--shape", shape]);
        insta::assert_snapshot!(format!("shape_{name}"), text);
    }
}

#[test]
fn names_that_nothing_has() {
    let project = Project::with(&models::mlp().model);
    for (name, arguments) in [
        ("disabled_pass", vec!["compile", "model.onnx", "--disable-pass", "fuse-everything"]),
        ("cpu", vec!["compile", "model.onnx", "--target-cpu", "pdp11"]),
        ("phase", vec!["compile", "model.onnx", "--to", "melt"]),
        ("emit", vec!["compile", "model.onnx", "--emit", "wasm"]),
        ("flag", vec!["compile", "model.onnx", "--fast"]),
        ("command", vec!["optimise", "model.onnx"]),
        ("threads", vec!["run", "model.onnx", "--threads", "two"]),
    ] {
        insta::assert_snapshot!(format!("unknown_{name}"), project.failure(USER, &arguments));
    }
}

#[test]
fn no_arguments_show_the_help() {
    let outcome = Project::new().call(&[]);
    outcome.expect_failure(USER);
    assert!(outcome.stderr.contains("Usage: mlcc"), "{outcome}");
    for arguments in [vec!["--help"], vec!["compile", "--help"], vec!["--version"]] {
        assert!(Project::new().succeed(&arguments).contains("mlcc"));
    }
}

#[test]
fn combinations_without_sense() {
    let project = Project::with(&models::mlp().model);
    for (name, code, arguments) in [
        ("ptx_of_a_cpu", USER, vec!["compile", "model.onnx", "--emit", "ptx"]),
        ("artifact_for_a_gpu", UNSUPPORTED, vec!["compile", "model.onnx", "--target", "cuda"]),
        (
            "assembly_for_a_gpu",
            UNSUPPORTED,
            vec!["compile", "model.onnx", "--target", "cuda", "--emit", "asm"],
        ),
        ("backwards", USER, vec!["compile", "model.onnx", "--from", "tensor", "--to", "graph"]),
        (
            "no_decisions",
            USER,
            vec!["compile", "model.onnx", "--emit", "graph", "--dump-decisions", "decisions.txt"],
        ),
        ("from_loop", UNSUPPORTED, vec!["compile", "model.onnx", "--from", "loop"]),
        ("cpu_without_avx2", UNSUPPORTED, vec!["compile", "model.onnx", "--target-cpu", "x86-64"]),
        ("seconds", USER, vec!["bench", "model.onnx", "--seconds=-1"]),
    ] {
        insta::assert_snapshot!(format!("combination_{name}"), project.failure(code, &arguments));
    }
}

#[test]
fn places_that_cannot_be_written() {
    let project = Project::with(&models::mlp().model);
    project.write("file", b"");
    project.write_inputs(&[models::mlp().input]);
    project.succeed(&["compile", "model.onnx", "-o", "good.mlcc"]);
    std::fs::create_dir(project.path("folder.mlcc")).unwrap();
    for (name, arguments) in [
        ("missing_folder", vec!["compile", "model.onnx", "-o", "absent/model.mlcc"]),
        ("beneath_a_file", vec!["compile", "model.onnx", "-o", "file/model.mlcc"]),
        ("over_a_folder", vec!["compile", "model.onnx", "-o", "folder.mlcc"]),
        ("ir", vec!["compile", "model.onnx", "--emit", "graph", "-o", "absent/model.mlir"]),
        ("objects", vec!["compile", "model.onnx", "--emit", "obj", "-o", "file/objects"]),
        ("dumps", vec!["compile", "model.onnx", "--dump-ir", "file"]),
        ("outputs", vec!["run", "good.mlcc", "--input", "input_0.npy", "--output-dir", "file"]),
    ] {
        insta::assert_snapshot!(format!("unwritable_{name}"), project.failure(USER, &arguments));
    }
}

/// Runs a line of shell in which `$MLCC` is the program.
pub(crate) fn shell(project: &Project, line: &str) -> Outcome {
    let mut command = Command::new("sh");
    command.args(["-c", line]).env("MLCC", program::binary());
    program::run(&project.path(""), command)
}

#[test]
fn a_full_disk_is_an_error_and_a_reader_that_left_is_none() {
    let project = Project::with(&models::mlp().model);
    project.succeed(&["compile", "model.onnx"]);
    let full = shell(&project, "$MLCC inspect model.mlcc --plan > /dev/full");
    insta::assert_snapshot!(full.expect_failure(USER).stderr);
    for call in ["inspect model.mlcc --plan", "compile model.onnx --emit loop", "opt --list-passes"] {
        let left = shell(&project, &format!("{{ sleep 0.2; $MLCC {call}; echo code $? >&2; }} | true"));
        assert!(left.stderr.ends_with("code 0\n") && !left.stderr.contains("panicked"), "{call}: {left}");
    }
}

#[test]
fn texts_that_are_no_ir() {
    let project = Project::with(&models::mlp().model);
    project.write("prose.mlir", b"the quick brown fox\n");
    project.write("empty.mlir", b"");
    project.write("other.mlir", b"func.func @f() { return }\n");
    let graph = project.succeed(&["compile", "model.onnx", "--emit", "graph"]);
    project.write("graph.mlir", graph.as_bytes());
    project.write("operator.mlir", graph.replace("graph.relu", "graph.relux").as_bytes());
    project.write("value.mlir", graph.replace("graph.relu %h2", "graph.relu %ghost").as_bytes());
    project.write(
        "type.mlir",
        graph
            .replace("graph.relu %h2 : (tensor<3x33xf32>)", "graph.relu %h2 : (tensor<3x34xf32>)")
            .as_bytes(),
    );
    for (name, arguments) in [
        ("prose", vec!["opt", "prose.mlir"]),
        ("empty", vec!["opt", "empty.mlir"]),
        ("other_dialect", vec!["opt", "other.mlir"]),
        ("missing", vec!["opt", "missing.mlir"]),
        ("unknown_operator", vec!["opt", "operator.mlir", "--weights", "model.onnx"]),
        ("undefined_value", vec!["opt", "value.mlir", "--weights", "model.onnx"]),
        ("two_types", vec!["opt", "type.mlir", "--weights", "model.onnx"]),
        ("unknown_pass", vec!["opt", "graph.mlir", "--passes", "canonicalise,fuse-everything"]),
        (
            "other_level",
            vec!["opt", "graph.mlir", "--passes", "canonicalise,fuse-epilogue", "--weights", "model.onnx"],
        ),
        ("no_upstream_pass", vec!["opt", "graph.mlir", "--mlir-pipeline", "builtin.module(melt)"]),
        (
            "graph_as_tensor",
            vec!["compile", "graph.mlir", "--from", "tensor", "--weights", "model.onnx", "-o", "x.mlcc"],
        ),
        ("no_weights", vec!["compile", "graph.mlir", "--from", "graph", "-o", "x.mlcc"]),
        ("a_dump_as_a_model", vec!["compile", "graph.mlir", "-o", "x.mlcc"]),
    ] {
        insta::assert_snapshot!(format!("ir_{name}"), project.failure(USER, &arguments));
    }
    assert!(!project.path("x.mlcc").exists());
}

#[test]
fn weights_of_another_model() {
    let project = Project::with(&models::mlp().model);
    let graph = project.succeed(&[&["compile", "model.onnx", "--emit", "graph"], CPU].concat());
    project.write("graph.mlir", graph.as_bytes());
    models::attention().model.write(&project.path("other.onnx")).unwrap();
    let arguments = ["compile", "graph.mlir", "--from", "graph", "--weights", "other.onnx", "-o", "x.mlcc"];
    insta::assert_snapshot!(project.failure(USER, &arguments));
}
