//! `machine measure`, and its profile as an input of compilations.

use serde_json::{Value, json};

use crate::{models, project::Project};

const USER: i32 = 1;

/// A profile of a machine with half a megabyte of cache, for any target.
fn profile() -> Value {
    let rates = json!({"gflops": 40.5, "read_gb_per_second": 11.0, "copy_gb_per_second": 9.5});
    json!({
        "mlcc_machine_profile": 1,
        "cpu": "somebody's",
        "cores": 3,
        "vector_bits": 256,
        "vector_registers": 16,
        "l1_bytes": 32768,
        "l1_ways": 8,
        "l2_bytes": 524_288,
        "last_cache_bytes": 524_288,
        "one_core": rates,
        "all_cores": rates,
    })
}

fn with(field: &str, value: Value) -> String {
    let mut changed = profile();
    changed[field] = value;
    changed.to_string()
}

#[test]
fn a_measured_profile_is_one_that_can_be_used() {
    let project = Project::with(&models::mlp().model);
    project.succeed(&["machine", "measure", "-o", "machine.json"]);
    let profile: Value = serde_json::from_str(&project.read_text("machine.json")).expect("JSON");
    let number = |pointer: &str| profile.pointer(pointer).and_then(Value::as_f64).expect(pointer);
    assert!(number("/cores") >= 1.0);
    assert!(number("/l1_bytes") <= number("/l2_bytes"));
    assert!(number("/l2_bytes") <= number("/last_cache_bytes"));
    // All cores together do not less than one, but for noise.
    assert!(number("/all_cores/gflops") > 0.5 * number("/one_core/gflops"));
    project.succeed(&["compile", "model.onnx", "--machine", "machine.json"]);
    let listing = project.succeed(&["inspect", "model.mlcc"]);
    let cpu = profile["cpu"].as_str().expect("a name");
    assert!(listing.contains(&format!("machine   {cpu}: ")), "{listing}");
}

#[test]
fn a_profile_decides_the_bytes_and_its_path_does_not() {
    let project = Project::with(&models::conv_net().model);
    let artifact = |arguments: &[&str]| {
        let common = ["compile", "model.onnx", "--target-cpu", "x86-64-v3", "-o", "out.mlcc"];
        project.succeed(&[&common, arguments].concat());
        project.read("out.mlcc")
    };
    project.write("machine.json", profile().to_string().as_bytes());
    let first = artifact(&["--machine", "machine.json", "--jobs", "1"]);
    std::fs::create_dir(project.path("elsewhere")).expect("a folder");
    project.write("elsewhere/machine.json", profile().to_string().as_bytes());
    assert!(artifact(&["--machine", "elsewhere/machine.json", "--jobs", "2"]) == first);
    let listing = project.succeed(&["inspect", "out.mlcc"]);
    let expected = "machine   somebody's: 256-bit vectors in 16 registers, caches of 32 KiB (8 ways), 512 KiB \
                    and 512 KiB, 40.5 GFLOP/s and 11.0 GB/s a core, 3 cores";
    assert!(listing.contains(expected), "{listing}");
    assert!(listing.contains("--machine machine.json"), "{listing}");
    assert!(artifact(&[]) != first, "the table's machine is another");
}

#[test]
fn bad_profiles_are_refused_with_the_field() {
    let project = Project::with(&models::mlp().model);
    let mut missing = profile();
    missing.as_object_mut().expect("an object").remove("l2_bytes");
    for (text, expected) in [
        (String::new(), "not JSON: EOF while parsing"),
        ("{} trailing".into(), "not JSON: trailing characters at line 1"),
        ("[1]".into(), "no field 'mlcc_machine_profile'"),
        (with("mlcc_machine_profile", json!(2)), "version 2, but this mlcc reads version 1"),
        (missing.to_string(), "missing field `l2_bytes`"),
        (with("cache", json!(1)), "unknown field `cache`"),
        (with("cores", json!("two")), "invalid type: string \"two\""),
        (with("cores", json!(0)), "field 'cores' is 0, expected 1 to 4096"),
        (with("l2_bytes", json!(16)), "field 'l2_bytes' is 16, expected 32768 to"),
        (with("vector_bits", json!(100)), "field 'vector_bits' is 100, expected 128, 256 or 512"),
        (with("cpu", json!("a\nb")), "field 'cpu' is no name"),
    ] {
        project.write("machine.json", text.as_bytes());
        for command in [&["compile", "model.onnx"][..], &["bench", "model.onnx", "--profile"]] {
            let answer = project.failure(USER, &[command, &["--machine", "machine.json"]].concat());
            assert!(answer.contains("machine profile 'machine.json': "), "{answer}");
            assert!(answer.contains(expected), "{expected}: {answer}");
            assert!(answer.contains("hint: "), "{answer}");
        }
    }
    let answer = project.failure(USER, &["compile", "model.onnx", "--machine", "absent.json"]);
    assert!(answer.contains("machine profile 'absent.json': No such file"), "{answer}");
    let answer = project.failure(USER, &["compile", "model.onnx", "--machine", "."]);
    assert!(answer.contains("machine profile '.': "), "{answer}");
    // Vectors that the code may not use.
    project.write("machine.json", with("vector_bits", json!(512)).as_bytes());
    let arguments = ["compile", "model.onnx", "--target-cpu", "x86-64-v3", "--machine", "machine.json"];
    let answer = project.failure(USER, &arguments);
    assert!(
        answer.contains("counts on vectors of that many bits: 512; code for 'x86-64-v3' has 256"),
        "{answer}"
    );
    let answer = project.failure(USER, &["machine", "measure", "-o", "no/such/folder.json"]);
    assert!(answer.contains("cannot write 'no/such/folder.json'"), "{answer}");
}

#[test]
fn bench_compares_with_a_profile() {
    let project = Project::with(&models::mlp().model);
    project.write("machine.json", profile().to_string().as_bytes());
    let arguments =
        ["bench", "model.onnx", "--runs", "3", "--threads", "1", "--profile", "--machine", "machine.json"];
    let table = project.succeed(&arguments);
    // 40.5 GFLOP/s.
    assert!(table.contains("GFLOP/s and 9.5 GB/s"), "{table}");
}
