//! Artifacts that are none, are damaged, or are of another version: refused before anything runs.

use mlcc_tests::{DType, Tensor};

use crate::{
    models,
    project::{CPU, Project},
};

const USER: i32 = 1;

/// Where the format's version stands: after the magic number.
const VERSION: usize = 8;

/// A project with `model.mlcc`, its input, and the artifact's bytes.
fn compiled() -> (Project, Vec<u8>) {
    let network = models::mlp();
    let project = Project::with(&network.model);
    project.write_inputs(&[network.input]);
    project.succeed(&[&["compile", "model.onnx"], CPU].concat());
    let bytes = project.read("model.mlcc");
    (project, bytes)
}

#[test]
fn files_that_are_no_artifacts() {
    let (project, _) = compiled();
    project.write("empty.mlcc", b"");
    project
        .write("text.mlcc", b"This is not an artifact, it is a sentence that is long enough to hold one.\n");
    project.write("model_as_artifact.mlcc", &project.read("model.onnx"));
    std::fs::create_dir(project.path("folder.mlcc")).unwrap();
    for name in ["empty", "text", "model_as_artifact", "folder", "missing"] {
        let file = format!("{name}.mlcc");
        let text = project.failure(USER, &["run", &file, "--input", "input_0.npy"]);
        insta::assert_snapshot!(format!("artifact_{name}"), text);
        project.failure(USER, &["inspect", &file]);
        project.failure(USER, &["bench", &file]);
    }
}

#[test]
fn an_artifact_of_another_version() {
    let (project, mut bytes) = compiled();
    bytes[VERSION] += 1;
    project.write("model.mlcc", &bytes);
    let text = project.failure(USER, &["run", "model.mlcc", "--input", "input_0.npy"]);
    assert!(text.contains("version 3"), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn an_artifact_cut_anywhere() {
    let (project, bytes) = compiled();
    for sixteenths in 0..16 {
        let length = bytes.len() * sixteenths / 16;
        project.write("cut.mlcc", &bytes[..length]);
        project.failure(USER, &["run", "cut.mlcc", "--input", "input_0.npy"]);
    }
    project.write("cut.mlcc", &bytes[..bytes.len() - 1]);
    let text = project.failure(USER, &["run", "cut.mlcc", "--input", "input_0.npy"]);
    // The size of code differs between versions of LLVM.
    let [cut, whole] = [bytes.len() - 1, bytes.len()].map(|length| length.to_string());
    insta::assert_snapshot!(text.replace(&cut, "[CUT]").replace(&whole, "[WHOLE]"));
}

#[test]
fn a_flipped_byte_is_found() {
    let (project, bytes) = compiled();
    assert!(project.succeed(&["inspect", "model.mlcc", "--verify"]).contains("verified"));
    for at in (0..bytes.len()).step_by(bytes.len() / 60) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        project.write("damaged.mlcc", &damaged);

        for arguments in
            [["inspect", "damaged.mlcc", "--verify"], ["run", "damaged.mlcc", "--input=input_0.npy"]]
        {
            let outcome = project.call(&arguments);
            assert_eq!(outcome.code, Some(USER), "byte {at}: {outcome}");
            outcome.expect_failure(USER);
        }
    }
}

#[test]
fn damaged_code_never_runs() {
    let (project, bytes) = compiled();
    // Kernels end with this instruction.
    let mut damaged = bytes.clone();
    let code = bytes.windows(3).rposition(|part| part == [0xc5, 0xf8, 0x77]).expect("a `vzeroupper`");
    damaged[code] ^= 0x10;
    project.write("damaged.mlcc", &damaged);
    insta::assert_snapshot!(project.failure(USER, &["run", "damaged.mlcc", "--input", "input_0.npy"]));
}

#[test]
fn damaged_weights_are_refused_unless_they_are_trusted() {
    let (project, mut bytes) = compiled();
    // A bias is stored as it is; it stands in the artifact once.
    let bias = Tensor::random(DType::F32, &[33], 3);
    let at = bytes.windows(16).position(|part| part == &bias.bytes()[..16]).expect("the bias");
    bytes[at] ^= 0x10;
    project.write("damaged.mlcc", &bytes);
    project.failure(USER, &["inspect", "damaged.mlcc", "--verify"]);
    let run = ["run", "damaged.mlcc", "--input", "input_0.npy"];
    insta::assert_snapshot!(project.failure(USER, &run));
    project.failure(USER, &["bench", "damaged.mlcc"]);
    project.succeed(&[&run[..], &["--trust-weights"]].concat());
    project.succeed(&["bench", "damaged.mlcc", "--runs", "1", "--trust-weights"]);
    // A trusted file is checked like any other in all but its weights.
    bytes[20] ^= 1;
    project.write("damaged.mlcc", &bytes);
    project.failure(USER, &[&run[..], &["--trust-weights"]].concat());
}
