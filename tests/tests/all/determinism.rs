//! The same model and flags give the same bytes: twice, on any number of threads, under any name.

use crate::{models, project::Project};

fn artifact(project: &Project, arguments: &[&str]) -> Vec<u8> {
    project.succeed(&[&["compile", "model.onnx", "-o", "out.mlcc"], arguments].concat());
    project.read("out.mlcc")
}

#[test]
fn artifacts_are_equal_over_runs_and_threads() {
    for network in [models::mlp(), models::conv_net(), models::attention()] {
        let project = Project::with(&network.model);
        let first = artifact(&project, &["--jobs", "1"]);
        for jobs in ["1", "2", "7"] {
            assert!(artifact(&project, &["--jobs", jobs]) == first, "{} with --jobs {jobs}", network.name);
        }
        // In another folder, by another process, with the dumps written on the way.
        let other = Project::with(&network.model);
        assert!(artifact(&other, &["--dump-ir", "ir"]) == first, "{} elsewhere", network.name);
    }
}

#[test]
fn what_is_compiled_decides_the_bytes() {
    let project = Project::with(&models::dynamic(1).model);
    let [open, fixed] = [&[][..], &["--shape", "x=3x13"]].map(|arguments| artifact(&project, arguments));
    assert!(open != fixed, "a fixed shape must show");
}
