//! What the environment decides, and what it must not: locale, terminal, time zone, home, variables of others.

use mlcc_tests::{Outcome, program};
use serde_json::Value;
use std::process::Command;

use crate::{
    models,
    project::{CPU, Project},
};

const USER: i32 = 1;

/// Calls `mlcc` with variables of the environment; an empty value unsets one.
fn call(project: &Project, variables: &[(&str, &str)], arguments: &[&str]) -> Outcome {
    let mut command = Command::new(program::binary());
    command.args(arguments);
    for (name, value) in variables {
        if value.is_empty() {
            command.env_remove(name);
        } else {
            command.env(name, value);
        }
    }
    program::run(&project.path(""), command)
}

#[test]
fn a_variable_names_the_cpu_that_host_stands_for() {
    let project = Project::with(&models::conv_net().model);
    let emit = ["compile", "model.onnx", "--emit", "asm"];
    for cpu in ["x86-64-v3", "znver4", "sapphirerapids", "neoverse-n1"] {
        let named = project.succeed(&[&emit[..], &["--target-cpu", cpu]].concat());
        for spelled in [&[][..], &["--target-cpu", "host"]] {
            let as_host = call(&project, &[("MLCC_HOST_CPU", cpu)], &[&emit[..], spelled].concat());
            assert!(as_host.expect_success().stdout == named, "{cpu}");
        }
        // What is named otherwise stays so.
        let other = call(&project, &[("MLCC_HOST_CPU", cpu)], &[&emit[..], CPU].concat());
        assert_eq!(other.expect_success().stdout == named, cpu == CPU[1], "{cpu}");
    }
    for (cpu, code) in [("pdp11", USER), ("x86-64", 2)] {
        let refused = call(&project, &[("MLCC_HOST_CPU", cpu)], &["compile", "model.onnx"]);
        refused.expect_failure(code);
        assert!(refused.stderr.contains(cpu) || refused.stderr.contains("'host'"), "{refused}");
        assert!(refused.stderr.contains("hint: "), "{refused}");
    }
}

#[test]
fn a_machine_says_whether_it_runs_code_for_a_cpu() {
    let project = Project::new();
    // No machine is of both architectures.
    let other = if cfg!(target_arch = "x86_64") { "neoverse-n1" } else { "znver4" };
    for variables in [&[("MLCC_HOST_CPU", other)][..], &[]] {
        let arguments = ["machine", "check", "--target-cpu", other];
        let refused = call(&project, variables, &arguments[..if variables.is_empty() { 4 } else { 2 }]);
        refused.expect_failure(USER);
        assert!(refused.stderr.contains("this machine is"), "{refused}");
    }
    let own = call(&project, &[("MLCC_HOST_CPU", "")], &["machine", "check"]);
    assert!(own.expect_success().stdout.starts_with("this machine runs code for the CPU '"), "{own}");
}

#[test]
fn a_variable_is_the_number_of_threads_where_none_is_given() {
    let project = Project::with(&models::mlp().model);
    let bench = ["bench", "model.onnx", "--runs", "3", "--json"];
    let threads = |value: &str, arguments: &[&str]| {
        let variables = [("MLCC_THREADS", value), ("MLCC_HOST_CPU", "")];
        let outcome = call(&project, &variables, &[&bench[..], arguments].concat());
        let report: Value = serde_json::from_str(&outcome.expect_success().stdout).expect("JSON");
        report["threads"].as_u64().expect("a number")
    };
    assert_eq!(threads("1", &[]), 1);
    assert_eq!(threads("16", &[]), 16);
    assert_eq!(threads("16", &["--threads", "3"]), 3);
    assert!(threads("", &[]) >= 1);
    for value in ["0", "many", "1,5"] {
        for arguments in [&bench[..], &["compile", "model.onnx"]] {
            let refused = call(&project, &[("MLCC_THREADS", value)], arguments);
            refused.expect_failure(USER);
            assert!(
                refused.stderr.contains("MLCC_THREADS is '") && refused.stderr.contains("hint: "),
                "{refused}"
            );
        }
    }
}

#[test]
fn nothing_else_in_the_environment_changes_what_is_written() {
    let network = models::mlp();
    let project = Project::with(&network.model);
    project.write_inputs(&[network.input]);
    let common = ["compile", "model.onnx", "-o", "out.mlcc"];
    let compile = [&common[..], CPU].concat();
    let calls: [&[&str]; 7] = [
        &compile,
        &["inspect", "out.mlcc", "--verify", "--plan"],
        &["run", "out.mlcc", "--input", "input_0.npy"],
        &["run", "out.mlcc", "--input", "3x17xf32=1.5"],
        // Texts of the system, of the command line, and a number that is none.
        &["run", "absent.mlcc"],
        &["run", "--no-such-flag"],
        &["run", "out.mlcc", "--input", "3x17xf32=1,5"],
    ];
    let results = |variables: &[(&str, &str)]| {
        calls.map(|arguments| {
            let outcome = call(&project, variables, arguments);
            // What is said of a success are times.
            let error = if outcome.code == Some(0) { String::new() } else { outcome.stderr };
            (outcome.code, outcome.stdout, error, project.read("out.mlcc"))
        })
    };
    let plain = results(&[]);
    for variables in [
        &[("LANG", "de_DE.UTF-8"), ("LC_ALL", "de_DE.UTF-8"), ("LANGUAGE", "de")][..],
        &[("LC_ALL", "C"), ("LANG", "")],
        &[("COLUMNS", "20"), ("LINES", "5"), ("TERM", "dumb")],
        &[("TZ", "Asia/Kathmandu"), ("HOME", ""), ("USER", "")],
        &[("RUST_LOG", "trace"), ("RUST_BACKTRACE", "full")],
        &[("OMP_NUM_THREADS", "7"), ("RAYON_NUM_THREADS", "7"), ("MLCC_THREADS", "16")],
        &[("MLCC_THREADS", "1")],
    ] {
        for ((plain, result), arguments) in plain.iter().zip(results(variables)).zip(calls) {
            let text = |(code, output, error, _): &(Option<i32>, String, String, Vec<u8>)| {
                format!("exit code {code:?}\n{output}{error}")
            };
            assert!(*plain == result, "{variables:?} {arguments:?}\n{}\n{}", text(plain), text(&result));
        }
    }
}
