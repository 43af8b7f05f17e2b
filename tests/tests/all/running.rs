//! `run` and `bench`: inputs in each form, outputs in each form, and times.

use mlcc_tests::{DType, Model, Node, Tensor, npy, onnx, program};
use serde_json::Value;

use crate::{models, project::Project};

/// `y = a - b` of 2 x 3, and `z = -c` of i64.
fn subtraction() -> Project {
    let shape = [2.into(), 3.into()];
    let model = Model::new(18)
        .input("a", DType::F32, &shape)
        .input("b", DType::F32, &shape)
        .input("c", DType::I64, &[3.into()])
        .node(Node::new("Sub", &["a", "b"], &["y"]))
        .node(Node::new("Neg", &["c"], &["z"]))
        .output("y", DType::F32, &shape)
        .output("z", DType::I64, &[3.into()]);
    let project = Project::with(&model);
    project.succeed(&["compile", "model.onnx"]);
    project
}

#[test]
fn inputs_by_position_by_name_and_as_files() {
    let project = subtraction();
    let a = Tensor::random(DType::F32, &[2, 3], 1);
    let b = Tensor::f32(&[2, 3], [1.0, 2.0, 3.0, 4.0, 5.0, -6.5]);
    npy::write(&project.path("a.npy"), &a).unwrap();
    onnx::write_tensor(&project.path("a.pb"), &a).unwrap();
    let values = a.to_f64().into_iter().zip(b.to_f64()).map(|(a, b)| a as f32 - b as f32);
    let want = [Tensor::f32(&[2, 3], values), Tensor::i64(&[3], [-7, 0, 9])];
    let literal_b = "2x3xf32=1,2,3,4,5,-6.5";
    let literal_c = "3xi64=7,0,-9";
    let named = |name: &str, value: &str| format!("{name}={value}");
    let calls = [
        vec!["a.npy".to_owned(), literal_b.to_owned(), literal_c.to_owned()],
        vec!["a.pb".to_owned(), literal_b.to_owned(), literal_c.to_owned()],
        vec![named("c", literal_c), named("b", literal_b), named("a", "a.npy")],
        // What is named leaves the others their order.
        vec![named("b", literal_b), "a.pb".to_owned(), literal_c.to_owned()],
    ];
    for call in calls {
        let mut arguments = vec!["run", "model.mlcc", "--output-dir", "out"];
        call.iter().for_each(|input| arguments.extend(["--input", input]));
        assert_eq!(project.succeed(&arguments), "", "with --output-dir nothing is printed");
        for (i, want) in want.iter().enumerate() {
            let got = npy::read(&project.path(&format!("out/output_{i}.npy"))).unwrap();
            assert_eq!(&got, want, "{call:?}");
        }
        std::fs::remove_dir_all(project.path("out")).unwrap();
    }
}

#[test]
fn sizes_that_a_node_cannot_work_with_are_refused_when_they_are_known() {
    let reshape = Model::new(18)
        .input("x", DType::F32, &["n".into(), 3.into()])
        .weight("shape", Tensor::i64(&[2], [-1, 4]))
        .node(Node::new("Reshape", &["x", "shape"], &["y"]).named("Reshape_1"))
        .output("y", DType::F32, &["k".into(), 4.into()]);
    let arg_max = Model::new(18)
        .input("x", DType::F32, &["n".into(), 3.into()])
        .node(Node::new("ArgMax", &["x"], &["y"]).named("ArgMax_2"))
        .output("y", DType::I64, &[1.into(), 3.into()]);
    for (model, good, bad, message) in [
        (reshape, 4, 5, "n * 3 elements cannot be reshaped"),
        (arg_max, 2, 0, "n must not be 0 in ArgMax_2 (n = 0)"),
    ] {
        let project = Project::with(&model);
        project.succeed(&["compile", "model.onnx"]);
        project.write_inputs(&[good, bad].map(|n| Tensor::random(DType::F32, &[n, 3], 5)));
        project.succeed(&["run", "model.mlcc", "--input", "input_0.npy"]);
        let error = project.failure(1, &["run", "model.mlcc", "--input", "input_1.npy"]);
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn outputs_are_printed_shortened() {
    let project = subtraction();
    let inputs = ["--input", "2x3xf32=0.5", "--input", "2x3xf32=2", "--input", "3xi64=1,2,3"];
    let text = project.succeed(&[&["run", "model.mlcc"], &inputs[..]].concat());
    assert_eq!(text, "y f32 [2, 3]: -1.5, -1.5, -1.5, -1.5, -1.5, -1.5\nz i64 [3]: -1, -2, -3\n");
    let long = Project::with(&models::mlp().model);
    let text = long.succeed(&["run", "model.onnx", "--input", "3x17xf32=0"]);
    assert!(text.starts_with("y f32 [3, 10]: ") && text.ends_with(", ...\n"), "{text}");
}

#[test]
fn literals_name_types_as_signatures_do() {
    let model = Model::new(18)
        .input("x", DType::U8, &[3.into()])
        .input("m", DType::Bool, &[3.into()])
        .node(Node::new("Where", &["m", "x", "seven"], &["y"]))
        .node(Node::new("Not", &["m"], &["n"]))
        .weight("seven", Tensor::new(DType::U8, &[], vec![7]).expect("a byte"))
        .output("y", DType::U8, &[3.into()])
        .output("n", DType::Bool, &[3.into()]);
    let project = Project::with(&model);
    let inputs = ["--input", "3xu8=255,0,9", "--input", "m=3xbool=true,false,1"];
    let text = project.succeed(&[&["run", "model.onnx"], &inputs[..]].concat());
    assert_eq!(text, "y u8 [3]: 255, 7, 9\nn bool [3]: 0, 1, 0\n");
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let network = models::conv_net();
    let project = Project::with(&network.model);
    project.write_inputs(&[network.input]);
    project.succeed(&["compile", "model.onnx"]);
    let outputs = ["1", "2", "3"].map(|threads| {
        let arguments = ["--threads", threads, "--input", "input_0.npy", "--output-dir", "out"];
        project.succeed(&[&["run", "model.mlcc"], &arguments[..]].concat());
        npy::read(&project.path("out/output_0.npy")).unwrap()
    });
    assert_eq!(outputs[0], outputs[1]);
    assert_eq!(outputs[0], outputs[2]);
}

#[test]
fn an_artifact_runs_where_nothing_else_is() {
    let network = models::mlp();
    let project = Project::with(&network.model);
    project.succeed(&["compile", "model.onnx"]);
    let elsewhere = Project::new();
    elsewhere.write("moved.mlcc", &project.read("model.mlcc"));
    drop(project);
    elsewhere.write_inputs(&[network.input]);
    crate::project::assert_close("moved", &elsewhere.run("moved.mlcc", 1), &network.output);
}

#[test]
fn bench_reports_times_as_json() {
    let project = Project::with(&models::mlp().model);
    project.succeed(&["compile", "model.onnx"]);
    let arguments = ["bench", "model.mlcc", "--seconds", "0.05", "--threads", "2", "--json"];
    let report: Value = serde_json::from_str(&project.succeed(&arguments)).expect("one JSON object");
    let number = |key: &str| report[key].as_f64().unwrap_or_else(|| panic!("{key} in {report}"));
    let [min, median, p90, max] = ["min_ms", "median_ms", "p90_ms", "max_ms"].map(number);
    assert!(0.0 < min && min <= median && median <= p90 && p90 <= max, "{report}");
    // The mean is rounded.
    assert!(0.999 * min <= number("mean_ms") && number("mean_ms") <= 1.001 * max, "{report}");
    assert!(max < 10_000.0 && number("runs") >= 3.0, "{report}");
    assert_eq!(number("threads"), 2.0);
}

#[test]
fn bench_profiles_each_kernel() {
    let project = Project::with(&models::mlp().model);
    project.succeed(&["compile", "model.onnx"]);
    let text = project.succeed(&["bench", "model.mlcc", "--seconds", "0.02", "--profile"]);
    assert!(text.contains("median") && text.contains("GFLOP/s"), "{text}");
    assert!(text.contains("dense_1/matmul") && text.contains("dense_2/matmul"), "{text}");
}

#[test]
fn bench_needs_the_shape_of_a_dynamic_model() {
    let project = Project::with(&models::dynamic(1).model);
    insta::assert_snapshot!(project.failure(1, &["bench", "model.onnx"]));
    let text = project.succeed(&["bench", "model.onnx", "--seconds", "0.02", "--input", "9x13xf32=1"]);
    assert!(text.contains("median"), "{text}");
}

#[test]
fn talk_goes_to_stderr() {
    let project = Project::with(&models::mlp().model);
    let outcome = project.call(&["-vv", "compile", "model.onnx"]);
    outcome.expect_success();
    assert_eq!(outcome.stdout, "");
    for phase in ["import", "graph", "tensor", "loop", "llvm", "binary"] {
        assert!(outcome.stderr.contains(&format!("{phase} ")), "{outcome}");
    }
    let quiet = project.call(&["run", "model.mlcc", "--input", "3x17xf32=0"]);
    assert_eq!(quiet.expect_success().stderr, "");
    assert!(program::binary().is_file());
}
