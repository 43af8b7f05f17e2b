//! The networks compute what they should: as artifacts, and compiled on the fly.

use crate::{
    models::{self, Network},
    project::{Project, assert_close},
};

#[test]
fn artifacts_compute_what_the_reference_does() {
    for Network { name, model, input, output } in models::all() {
        let project = Project::with(&model);
        project.write_inputs(&[input]);
        project.succeed(&["compile", "model.onnx"]);
        assert_close(name, &project.run("model.mlcc", 1), &output);
    }
}

#[test]
fn every_optimisation_level_computes_the_same() {
    for Network { name, model, input, output } in models::all() {
        let project = Project::with(&model);
        project.write_inputs(&[input]);
        for level in ["-O0", "-O1", "-O2", "-O3"] {
            project.succeed(&["compile", "model.onnx", level]);
            assert_close(&format!("{name} {level}"), &project.run("model.mlcc", 1), &output);
        }
    }
}

#[test]
fn a_model_runs_without_an_artifact_and_leaves_none() {
    let Network { model, input, output, .. } = models::mlp();
    let project = Project::with(&model);
    project.write_inputs(&[input]);
    assert_close("on the fly", &project.run("model.onnx", 1), &output);
    assert!(!project.path("model.mlcc").exists());
}

#[test]
fn one_artifact_runs_at_three_shapes() {
    let project = Project::with(&models::dynamic(1).model);
    project.succeed(&["compile", "model.onnx"]);
    for batch in [1, 2, 37] {
        let Network { input, output, .. } = models::dynamic(batch);
        project.write_inputs(&[input]);
        assert_close(&format!("batch {batch}"), &project.run("model.mlcc", 1), &output);
    }
}

#[test]
fn a_fixed_shape_computes_the_same_and_refuses_others() {
    let Network { model, input, output, .. } = models::dynamic(5);
    let project = Project::with(&model);
    project.write_inputs(&[input]);
    project.succeed(&["compile", "model.onnx", "--shape", "x=5x13"]);
    assert_close("fixed shape", &project.run("model.mlcc", 1), &output);
    let refused = project.call(&["run", "model.mlcc", "--input", "4x13xf32=1"]);
    refused.expect_failure(1);
}

#[test]
fn code_for_another_cpu_computes_the_same() {
    let Network { model, input, output, .. } = models::conv_net();
    let project = Project::with(&model);
    project.write_inputs(&[input]);
    for cpu in ["x86-64-v3", "haswell"] {
        project.succeed(&["compile", "model.onnx", "--target-cpu", cpu]);
        assert_close(cpu, &project.run("model.mlcc", 1), &output);
    }
}
