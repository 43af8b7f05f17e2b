//! A folder with models and values in it, and calls of `mlcc` there.

use std::path::{Path, PathBuf};

use mlcc_tests::{Model, Outcome, Tensor, npy, program};
use tempfile::TempDir;

/// A folder of one test's own.
pub(crate) struct Project {
    folder: TempDir,
}

/// The CPU for which snapshots are made: they must not depend on the machine that runs the tests.
pub(crate) const CPU: &[&str] = &["--target-cpu", "x86-64-v3"];

impl Project {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        Self { folder: program::temporary_folder() }
    }

    /// A folder with `model.onnx`.
    pub(crate) fn with(model: &Model) -> Self {
        let project = Self::new();
        model.write(&project.path("model.onnx")).expect("a model can be written");
        project
    }

    /// The path of a file in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).expect("a file can be written");
    }

    /// The bytes of a file.
    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The text of a file.
    pub(crate) fn read_text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Writes values as `input_0.npy` and so on.
    pub(crate) fn write_inputs(&self, inputs: &[Tensor]) {
        for (i, input) in inputs.iter().enumerate() {
            npy::write(&self.path(&format!("input_{i}.npy")), input).expect("an input can be written");
        }
    }

    /// Calls `mlcc`. Where this machine cannot run code for what `host` stands for, a model is compiled for that
    /// host first, and what the test runs and looks at is for this machine.
    pub(crate) fn call(&self, arguments: &[&str]) -> Outcome {
        let folder = self.folder.path();
        let command = arguments.iter().find(|argument| !argument.starts_with('-'));
        match command {
            Some(&"compile") if !program::runs_host_code() => {
                let outcome = program::mlcc(folder, arguments);
                if outcome.code != Some(0) {
                    return outcome;
                }
            }
            Some(&("run" | "bench" | "test")) if !program::runs_host_code() => {}
            _ => return program::mlcc(folder, arguments),
        }
        program::compiled_only(arguments);
        program::mlcc_for_this_machine(folder, arguments)
    }

    /// Calls `mlcc`, which must succeed; its standard output.
    pub(crate) fn succeed(&self, arguments: &[&str]) -> String {
        let outcome = self.call(arguments);
        outcome.expect_success();
        outcome.stdout
    }

    /// Runs a model or artifact on the written inputs, and reads its outputs.
    pub(crate) fn run(&self, file: &str, inputs: usize) -> Vec<Tensor> {
        let names: Vec<String> = (0..inputs).map(|i| format!("input_{i}.npy")).collect();
        let mut arguments = vec!["run", file, "--output-dir", "outputs"];
        for name in &names {
            arguments.extend(["--input", name]);
        }
        self.succeed(&arguments);
        let outputs = read_outputs(&self.path("outputs"));
        std::fs::remove_dir_all(self.path("outputs")).expect("the outputs can be removed");
        outputs
    }

    /// The text and exit code of a call that must fail with this code, without what differs from run to
    /// run.
    pub(crate) fn failure(&self, code: i32, arguments: &[&str]) -> String {
        let outcome = self.call(arguments);
        outcome.expect_failure(code);
        assert_eq!(outcome.stdout, "", "data from a call that failed: {outcome}");
        let folder = self.folder.path().to_string_lossy().into_owned();
        let stderr = outcome.stderr.replace(&folder, "[FOLDER]");
        format!("$ mlcc {}\n{}[exit code {code}]\n", arguments.join(" "), stderr)
    }
}

/// `output_0.npy` and so on.
fn read_outputs(folder: &Path) -> Vec<Tensor> {
    let paths = (0..).map(|i| folder.join(format!("output_{i}.npy"))).take_while(|path| path.exists());
    paths.map(|path| npy::read(&path).expect("an output is a .npy file")).collect()
}

/// Asserts that the only output agrees with `want` up to rounding, by relative error in norm.
#[track_caller]
pub(crate) fn assert_close(what: &str, outputs: &[Tensor], want: &Tensor) {
    let [got] = outputs else { panic!("{what}: {} outputs", outputs.len()) };
    match got.relative_error(want) {
        Ok(error) => assert!(error < 1e-6, "{what}: relative error {error:e}"),
        Err(difference) => panic!("{what}: {difference}"),
    }
}
