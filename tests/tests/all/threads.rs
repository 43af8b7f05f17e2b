//! Numbers of threads that are beyond reason, and systems that start fewer: errors, never an abort.

use std::process::Command;

use mlcc_tests::{Outcome, program};

use crate::{models, project::Project};

const USER: i32 = 1;

#[test]
fn a_number_of_threads_beyond_reason_is_refused_before_anything_is_compiled() {
    let project = Project::with(&models::mlp().model);
    for arguments in [
        ["run", "model.onnx", "--threads", "99999"],
        ["bench", "model.onnx", "--threads", "99999"],
        ["run", "missing.mlcc", "--threads", "18446744073709551615"],
    ] {
        let text = project.failure(USER, &arguments);
        assert!(text.contains(&format!("error: {} threads are beyond reason", arguments[3])), "{text}");
        assert!(text.contains("hint: 0 takes one for each CPU"), "{text}");
    }
}

/// Runs a line of shell in which `$MLCC` is the program.
fn shell(project: &Project, line: &str) -> Outcome {
    let mut command = Command::new("sh");
    command.args(["-c", line]).env("MLCC", program::binary());
    program::run(&project.path(""), command)
}

#[test]
#[cfg(target_os = "linux")]
fn threads_that_cannot_be_started_are_an_error() {
    let project = Project::with(&models::mlp().model);
    project.succeed(&["compile", "model.onnx"]);
    // Room for some of the stacks, which take 2 MiB each, and up to different places in the last one.
    for kilobytes in (1_000_000..1_400_000).step_by(50_123) {
        let line = format!("ulimit -v {kilobytes}; $MLCC bench model.mlcc --threads 1024 --runs 1");
        let outcome = shell(&project, &line);
        outcome.expect_failure(USER);
        assert!(outcome.stderr.contains("of 1024 threads: "), "{outcome}");
    }
    // A compilation takes no more threads than it has kernels, and does with fewer.
    project.succeed(&["compile", "model.onnx", "--jobs", "99999"]);
}

#[test]
fn more_threads_than_cpus_run_and_are_compared_with_what_the_cpus_attain() {
    let project = Project::with(&models::mlp().model);
    project.succeed(&["compile", "model.onnx"]);
    project.succeed(&["bench", "model.mlcc", "--threads", "300", "--runs", "2", "--profile"]);
}
