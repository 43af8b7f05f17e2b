//! Finding and running the built `mlcc`.
//!
//! The tests do not build it: `cargo xtask test` does before it runs them, and
//! `cargo build --release -p mlcc` does for a run of the tests alone.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The variable that names the program to test.
pub const VARIABLE: &str = "MLCC_BINARY";

/// The time within which a call must end: far more than any test takes, so that only a hang exceeds it.
const LIMIT: Duration = Duration::from_secs(120);

/// The program to test: `MLCC_BINARY`, or the release build of the target folder that this test lies in.
///
/// # Panics
/// Where neither is there; the message says how to build it. A test cannot go on without it.
#[must_use]
pub fn binary() -> PathBuf {
    let named = std::env::var_os(VARIABLE).map(PathBuf::from);
    let found = named.or_else(|| beside(&std::env::current_exe().ok()?)).filter(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!("no mlcc to test\n\nhint: run `cargo build --release -p mlcc`, or set {VARIABLE} to its path")
    })
}

/// The release build in the target folder of a test at TARGET/PROFILE/deps/NAME. The profile of the test
/// may be another: what is tested is always the release build.
fn beside(test: &Path) -> Option<PathBuf> {
    Some(test.parent()?.parent()?.parent()?.join("release/mlcc"))
}

/// A folder of this test's own, which goes when the value is dropped.
///
/// # Panics
/// Where the system gives none.
#[must_use]
pub fn temporary_folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("mlcc-test-").tempdir().expect("a temporary folder can be made")
}

/// What became of a call.
#[derive(Debug)]
pub struct Outcome {
    /// The exit code; none where a signal ended the process.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Outcome {
    /// Asserts that the call succeeded.
    ///
    /// # Panics
    /// Where it did not, with all that it wrote.
    pub fn expect_success(&self) -> &Self {
        assert_eq!(self.code, Some(0), "{self}");
        self
    }

    /// Asserts that the call failed with this exit code, by a diagnostic and not by a panic or a signal.
    ///
    /// # Panics
    /// Where it did not, with all that it wrote.
    pub fn expect_failure(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{self}");
        assert!(!self.stderr.contains("panicked at"), "{self}");
        assert!(!self.stderr.trim().is_empty(), "no diagnostic: {self}");
        self
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let code = self.code.map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"));
        write!(f, "mlcc ended with {code}\n-- stdout\n{}\n-- stderr\n{}", self.stdout, self.stderr)
    }
}

/// Runs `mlcc` in a folder.
///
/// # Panics
/// Where there is no `mlcc`, or where it hangs.
#[must_use]
pub fn mlcc(folder: &Path, arguments: &[&str]) -> Outcome {
    let mut command = Command::new(binary());
    command.args(arguments);
    run(folder, command)
}

/// Whether this machine runs code for what `host` stands for, as the runtime decides when it loads an artifact:
/// `MLCC_HOST_CPU` may name a CPU that has more.
#[must_use]
pub fn runs_host_code() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| mlcc(Path::new("."), &["machine", "check"]).code == Some(0))
}

/// Runs `mlcc` in a folder, with `host` standing for the CPU of this machine whatever the environment says.
///
/// # Panics
/// As [`mlcc`].
#[must_use]
pub fn mlcc_for_this_machine(folder: &Path, arguments: &[&str]) -> Outcome {
    let mut command = Command::new(binary());
    command.args(arguments).env_remove("MLCC_HOST_CPU");
    run(folder, command)
}

/// Says that code was compiled but not run, and counts it where `cargo xtask test` asks for that.
///
/// # Panics
/// Where the file of the count cannot be written.
pub fn compiled_only(arguments: &[&str]) {
    let line = format!("compiled only: mlcc {}: not code for this machine\n", arguments.join(" "));
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os("MLCC_COMPILED_ONLY") {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the count can be written");
    }
}

/// Runs a program in a folder, with nothing to read, without colours in what it writes and without logs.
///
/// # Panics
/// Where it cannot be started, or hangs.
#[must_use]
pub fn run(folder: &Path, command: Command) -> Outcome {
    run_within(folder, command, LIMIT)
}

fn run_within(folder: &Path, mut command: Command, limit: Duration) -> Outcome {
    command.current_dir(folder).env("NO_COLOR", "1").env_remove("MLCC_LOG");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    // Read while it runs: a full pipe would stop it.
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            break status;
        }
        if start.elapsed() > limit {
            // It may end by itself just now; then there is nothing to kill.
            let _ = child.kill();
            let _ = child.wait();
            panic!("{command:?} still ran after {} s", limit.as_secs_f64());
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let text = |reader: Reader| reader.join().expect("a reader does not panic");
    Outcome { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

type Reader = std::thread::JoinHandle<String>;

fn drain(pipe: Option<impl Read + Send + 'static>) -> Reader {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            pipe.read_to_end(&mut bytes).expect("a pipe can be read");
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn the_binary_lies_in_the_target_folder_of_the_test() {
        let test = Path::new("/t/debug/deps/cli-123");
        assert_eq!(beside(test).unwrap(), Path::new("/t/release/mlcc"));
    }

    #[test]
    fn an_outcome_holds_code_and_both_outputs() {
        let folder = temporary_folder();
        let outcome = run(folder.path(), shell("pwd; echo problem >&2; exit 3"));
        assert_eq!(Path::new(outcome.stdout.trim()), folder.path().canonicalize().unwrap());
        outcome.expect_failure(3);
        assert_eq!(outcome.stderr, "problem\n");
    }

    #[test]
    fn much_output_does_not_block() {
        let outcome = run(Path::new("/"), shell("head -c 1000000 /dev/zero | tr '\\0' x"));
        assert_eq!(outcome.expect_success().stdout.len(), 1_000_000);
    }

    #[test]
    #[should_panic(expected = "still ran after")]
    fn a_hang_is_a_failure() {
        let _ = run_within(Path::new("/"), shell("exec sleep 60"), Duration::from_millis(20));
    }

    #[test]
    #[should_panic(expected = "a signal")]
    fn a_signal_is_no_clean_failure() {
        run(Path::new("/"), shell("kill -ABRT $$")).expect_failure(134);
    }
}
