//! `inspect`: what is in an artifact.

use serde_json::Value;

use crate::{
    models,
    project::{CPU, Project},
};

fn compiled(model: &mlcc_tests::Model, arguments: &[&str]) -> Project {
    let project = Project::with(model);
    project.succeed(&[&["compile", "model.onnx"], CPU, arguments].concat());
    project
}

/// The manifest.
fn manifest(project: &Project) -> Value {
    serde_json::from_str(&project.succeed(&["inspect", "model.mlcc", "--json"])).expect("JSON")
}

#[test]
fn the_listing_of_a_fixed_model() {
    let project = compiled(&models::mlp().model, &[]);
    insta::assert_snapshot!(project.succeed(&["inspect", "model.mlcc", "--verify"]));
}

#[test]
fn the_listing_of_a_model_with_symbols_and_flags() {
    let project = compiled(&models::dynamic(1).model, &["--shape", "x=1..64x13"]);
    insta::assert_snapshot!(project.succeed(&["inspect", "model.mlcc"]));
}

#[test]
fn each_node_that_computes_is_in_a_kernel() {
    let project = compiled(&models::conv_net().model, &[]);
    let listing = project.succeed(&["inspect", "model.mlcc"]);
    for node in ["conv", "conv/relu", "depthwise", "depthwise/relu6", "pool", "means", "classifier"] {
        let named = |line: &str| line.split(", ").any(|name| name.trim() == node);
        assert!(listing.lines().any(named), "{node} in\n{listing}");
    }
}

#[test]
fn the_manifest_is_json_and_agrees_with_the_listing() {
    let project = compiled(&models::mlp().model, &[]);
    let manifest = manifest(&project);
    assert_eq!(manifest["signature"]["inputs"][0]["name"], "x");
    assert_eq!(manifest["signature"]["outputs"][0]["name"], "y");
    let kernels = manifest["kernels"].as_array().expect("kernels").len();
    let listing = project.succeed(&["inspect", "model.mlcc"]);
    assert!(kernels > 0 && listing.contains(&format!("kernels   {kernels}\n")), "{listing}");
}

#[test]
fn the_weights_are_in_the_artifact_once() {
    let network = models::mlp();
    let project = compiled(&network.model, &[]);
    let listing = project.succeed(&["inspect", "model.mlcc"]);
    let line = listing.lines().find(|line| line.starts_with("weights")).expect("a line");
    let bytes: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    let elements = 17 * 33 + 33 + 33 * 10 + 10;
    // Panels are padded to whole vectors: here at most to double.
    assert!(bytes >= 4 * elements && bytes < 8 * elements, "{bytes} bytes for {elements} elements");
}

#[test]
fn decisions_are_shown_when_asked() {
    let project = compiled(&models::mlp().model, &[]);
    let decisions = project.succeed(&["inspect", "model.mlcc", "--decisions"]);
    assert!(decisions.contains("\n        vectorize("), "{decisions}");
    let refusal = "\n        not attention: it is not two products\n";
    assert!(decisions.contains(refusal), "{decisions}");
    let listing = project.succeed(&["inspect", "model.mlcc"]);
    assert!(!listing.contains("vectorize("), "{listing}");
}

#[test]
fn the_plan_has_a_launch_for_each_kernel() {
    let project = compiled(&models::mlp().model, &[]);
    let plan = project.succeed(&["inspect", "model.mlcc", "--plan"]);
    let launches = manifest(&project)["counts"]["kernels"].as_u64().expect("a count") as usize;
    assert!(plan.contains("block 0"), "{plan}");
    assert_eq!(plan.matches("Launch").count(), launches, "{plan}");
}
