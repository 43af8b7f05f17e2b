//! What the command line takes, shows and advises, whatever the model.

use mlcc_tests::{Attribute, DType, Model, Node, Tensor, npy, onnx};

use crate::{
    bad_calls::shell,
    models,
    project::{CPU, Project},
};

const USER: i32 = 1;

/// `y = relu(x)` of `x`, f32, batch x 3.
fn relu() -> Model {
    let shape = ["batch".into(), 3.into()];
    Model::new(18).input("x", DType::F32, &shape).node(Node::new("Relu", &["x"], &["y"])).output(
        "y",
        DType::F32,
        &shape,
    )
}

#[test]
fn an_artifact_goes_to_stdout() {
    let project = Project::with(&models::mlp().model);
    project.succeed(&["compile", "model.onnx"]);
    let outcome = shell(&project, "$MLCC compile model.onnx -o - > piped.mlcc");
    outcome.expect_success();
    assert!(outcome.stderr.starts_with("wrote to stdout ("), "{outcome}");
    assert_eq!(project.read("piped.mlcc"), project.read("model.mlcc"));
    assert!(!project.path("-").exists());
    let arguments = ["compile", "model.onnx", "--emit", "obj", "-o", "-"];
    insta::assert_snapshot!(project.failure(USER, &arguments));
    let arguments = ["compile", "model.onnx", "--explain-rewrites", "-o", "-"];
    insta::assert_snapshot!(project.failure(USER, &arguments));
    let left = shell(&project, "{ sleep 0.2; $MLCC compile model.onnx -o -; echo code $? >&2; } | true");
    assert!(left.stderr.contains("code 0\n") && !left.stderr.contains("panicked"), "{left}");
}

#[test]
fn what_compiles_on_the_fly_takes_the_options_of_compiling() {
    let network = models::dynamic(4);
    let project = Project::with(&network.model);
    project.write_inputs(&[network.input]);
    for options in [
        &["--shape", "x=4x13"][..],
        &["--shape", "n=1..4", "-O0"],
        &["--rewrites", "off", "--disable-pass", "fuse-epilogue", "--exact-conv", "--jobs", "1"],
        &["--max-weight-growth", "1", "--disable-rewrite", "strassen-products", "-O1"],
    ] {
        let call = ["run", "model.onnx", "--input", "input_0.npy", "--output-dir", "out"];
        project.succeed(&[&call[..], options].concat());
        let output = npy::read(&project.path("out/output_0.npy")).unwrap();
        crate::project::assert_close("run", &[output], &network.output);
    }
    // Sizes that are given need no input.
    let bench = ["bench", "model.onnx", "--runs", "1", "--threads", "1"];
    let text = project.succeed(&[&bench[..], &["--shape", "n=4"]].concat());
    assert!(text.contains("(1 run, 1 thread; "), "{text}");
    for (name, arguments) in [
        ("fixed", vec!["run", "model.onnx", "--shape", "n=5", "--input", "input_0.npy"]),
        ("pass", vec!["bench", "model.onnx", "--disable-pass", "fuse-everything"]),
    ] {
        insta::assert_snapshot!(format!("on_the_fly_{name}"), project.failure(USER, &arguments));
    }
}

#[test]
fn an_artifact_is_compiled_already() {
    let project = Project::with(&relu());
    project.succeed(&["compile", "model.onnx"]);
    for (name, arguments) in [
        ("shape", vec!["run", "model.mlcc", "--shape", "batch=4", "--input", "4x3xf32=1"]),
        ("level", vec!["bench", "model.mlcc", "-O1", "--input", "4x3xf32=1"]),
    ] {
        insta::assert_snapshot!(format!("compiled_already_{name}"), project.failure(USER, &arguments));
    }
}

#[test]
fn inputs_have_the_names_that_they_have() {
    let project = Project::with(&relu());
    project.succeed(&["compile", "model.onnx"]);
    let x = Tensor::f32(&[1, 3], [1.0, -2.0, 3.0]);
    npy::write(&project.path("x.npy"), &x).unwrap();
    npy::write(&project.path("size=1.npy"), &x).unwrap();
    for (name, input) in [("file", "foo=x.npy"), ("missing_file", "foo=y.pb"), ("literal", "foo=1x3xf32=1")] {
        let arguments = ["run", "model.mlcc", "--input", input];
        insta::assert_snapshot!(format!("no_input_{name}"), project.failure(USER, &arguments));
    }
    // A file whose name has an equals sign is a file.
    for input in ["size=1.npy", "x=size=1.npy", "x=x.npy"] {
        let text = project.succeed(&["run", "model.mlcc", "--input", input]);
        assert_eq!(text, "y f32 [1, 3]: 1, 0, 3\n", "{input}");
    }
    let arguments = ["run", "model.mlcc", "--input", "x.npy", "--input", "x.npy"];
    insta::assert_snapshot!("one_input", project.failure(USER, &arguments));
}

#[test]
fn arrays_of_another_type_come_with_advice() {
    let project = Project::with(&relu());
    project.succeed(&["compile", "model.onnx"]);
    let f64s = Tensor::random(DType::F64, &[2, 3], 1);
    let bytes = Tensor::new(DType::U8, &[2, 3], vec![1; 6]).unwrap();
    npy::write(&project.path("f64.npy"), &f64s).unwrap();
    npy::write(&project.path("u8.npy"), &bytes).unwrap();
    onnx::write_tensor(&project.path("f64.pb"), &f64s).unwrap();
    npy::write(&project.path("f32.npy"), &Tensor::random(DType::F32, &[2, 3], 1)).unwrap();
    let swapped = |from: &[u8], to: &[u8]| {
        let good = project.read("f32.npy");
        let at = good.windows(from.len()).position(|w| w == from).expect("the header has it");
        [&good[..at], to, &good[at + from.len()..]].concat()
    };
    project.write("big_endian.npy", &swapped(b"<f4", b">f4"));
    project.write("columns_first.npy", &swapped(b"'fortran_order': False", b"'fortran_order': True "));
    for (name, input) in [
        ("f64", "f64.npy"),
        ("u8", "x=u8.npy"),
        ("pb", "f64.pb"),
        ("literal", "2x3xi64=1"),
        ("big_endian", "big_endian.npy"),
        ("columns_first", "columns_first.npy"),
    ] {
        let arguments = ["run", "model.mlcc", "--input", input];
        insta::assert_snapshot!(format!("type_{name}"), project.failure(USER, &arguments));
    }
}

#[test]
fn numbers_are_printed_with_the_digits_that_they_have() {
    let project = Project::with(&relu());
    project.succeed(&["compile", "model.onnx"]);
    let text = project.succeed(&["run", "model.mlcc", "--input", "1x3xf32=0.1,16777216,1e-20"]);
    assert_eq!(text, "y f32 [1, 3]: 0.1, 16777216, 1e-20\n");
}

/// `y = x * w + s`, of dimensions with names.
fn named_dimensions() -> Model {
    let shape = ["batch".into(), 3.into(), "height".into()];
    Model::new(18)
        .input("x", DType::F32, &shape)
        .input("s", DType::F32, &["batch".into(), 1.into(), 1.into()])
        .node(Node::new("Add", &["x", "s"], &["y"]))
        .output("y", DType::F32, &shape)
}

#[test]
fn a_dimension_is_given_by_its_name_wherever_it_is() {
    let project = Project::with(&named_dimensions());
    let listing = |shapes: &[&str]| {
        let shapes: Vec<&str> = shapes.iter().flat_map(|s| ["--shape", *s]).collect();
        project.succeed(&[&["compile", "model.onnx"], CPU, &shapes].concat());
        let text = project.succeed(&["inspect", "model.mlcc"]);
        let lines = text.lines().filter(|l| ["input", "output", "symbols"].iter().any(|w| l.starts_with(w)));
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    insta::assert_snapshot!("dimensions_open", listing(&[]));
    insta::assert_snapshot!("dimensions_fixed", listing(&["batch=4"]));
    insta::assert_snapshot!("dimensions_ranges", listing(&["batch=1..8", "x=?x3x20..99"]));
    for (name, shapes) in [
        ("unknown", vec!["width=4"]),
        ("several", vec!["batch=4x3"]),
        ("two_sizes", vec!["batch=4", "x=5x3x7"]),
        ("rank", vec!["x=4x3"]),
    ] {
        let shapes: Vec<&str> = shapes.iter().flat_map(|s| ["--shape", *s]).collect();
        let arguments = [&["compile", "model.onnx"], &shapes[..]].concat();
        insta::assert_snapshot!(format!("dimension_{name}"), project.failure(USER, &arguments));
    }
}

#[test]
fn advice_on_shapes_names_the_inputs() {
    // Two sizes that must be equal, and a size that must be known.
    let concat = Model::new(18)
        .input("a", DType::F32, &["n".into(), 2.into()])
        .input("b", DType::F32, &["m".into(), 2.into()])
        .node(Node::new("Concat", &["a", "b"], &["y"]).named("join").attribute("axis", Attribute::Int(1)))
        .output("y", DType::F32, &["k".into(), 4.into()]);
    let conv = Model::new(18)
        .input("image", DType::F32, &[1.into(), 3.into(), "h".into(), "w".into()])
        .input("filters", DType::F32, &[4.into(), 3.into(), "size".into(), "size".into()])
        .node(Node::new("Conv", &["image", "filters"], &["y"]).named("conv"))
        .output("y", DType::F32, &[1.into(), 4.into(), "i".into(), "j".into()]);
    for (name, model, code) in [("equal", concat, USER), ("known", conv, 2)] {
        let text = Project::with(&model).failure(code, &["compile", "model.onnx"]);
        insta::assert_snapshot!(format!("shape_advice_{name}"), text);
    }
}

#[test]
fn files_of_another_kind_are_named() {
    let project = Project::with(&relu());
    npy::write(&project.path("x.npy"), &Tensor::f32(&[1, 3], [1.0; 3])).unwrap();
    project.succeed(&["compile", "model.onnx", "--emit", "graph", "-o", "graph.mlir"]);
    project.write("notes.txt", b"a note");
    for (name, arguments) in [
        ("inspect_model", vec!["inspect", "model.onnx"]),
        ("inspect_dump", vec!["inspect", "graph.mlir"]),
        ("inspect_array", vec!["inspect", "x.npy"]),
        ("inspect_text", vec!["inspect", "notes.txt"]),
        ("run_dump", vec!["run", "graph.mlir"]),
        ("compile_array", vec!["compile", "x.npy"]),
    ] {
        insta::assert_snapshot!(format!("kind_{name}"), project.failure(USER, &arguments));
    }
    project.succeed(&["compile", "model.onnx"]);
    insta::assert_snapshot!("kind_compile_artifact", project.failure(USER, &["compile", "model.mlcc"]));
}

#[test]
fn no_colours_go_into_files_and_pipes() {
    let project = Project::with(&relu());
    for call in ["-vvv compile model.onnx", "compile --fast", "compile --help", "inspect model.onnx"] {
        let outcome = shell(&project, &format!("unset NO_COLOR; $MLCC {call}; true"));
        let written = outcome.stdout + &outcome.stderr;
        assert!(!written.is_empty() && !written.contains('\u{1b}'), "{call}: {written:?}");
    }
}

#[test]
fn one_of_a_thing_is_one_thing() {
    let project = Project::with(&relu());
    let outcome = project.call(&["compile", "model.onnx"]);
    let wrote = outcome.expect_success().stderr.lines().next().unwrap_or_default().to_owned();
    assert!(wrote.contains(": 1 kernel launch of 1 kernel, 0 views, 0 runtime calls;"), "{wrote}");
    let listing = project.succeed(&["inspect", "model.mlcc"]);
    assert!(listing.contains("steps     1 kernel launch, 0 views, 0 runtime calls\n"), "{listing}");
    let error = project.failure(USER, &["run", "model.mlcc", "--input", "1x3xf32=1,2"]);
    assert!(error.contains("2 values for 3 elements"), "{error}");
    let error = project.failure(USER, &["run", "model.mlcc", "--input", "1xf32=1,2"]);
    assert!(error.contains("2 values for 1 element\n"), "{error}");
}
