//! The ONNX node tests: writing them as directories, and running mlcc over them.
//!
//! `testdata/conformance/expected.txt` holds what must hold: how many cases there are, how many pass at
//! least and how many fail at most. The floor may only rise.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::host;
use crate::process;
use crate::setup::python;
use crate::stamp::Stamp;
use crate::steps::Session;
use crate::workspace::Workspace;

/// All cases together end within this time, or something hangs.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// Arguments of `cargo xtask conformance-data`.
#[derive(clap::Args)]
pub(crate) struct DataArgs {
    /// The folder to write node/NAME/model.onnx and node/NAME/test_data_set_K/ to
    out: PathBuf,
}

/// Runs `cargo xtask conformance-data`.
pub(crate) fn write_data(workspace: &Workspace, args: &DataArgs) -> Result<()> {
    dump(workspace, &args.out)
}

fn dump(workspace: &Workspace, out: &std::path::Path) -> Result<()> {
    let python = python::ensure(workspace, python::TEST_TOOLS)?;
    process::run(Command::new(python).arg(script(workspace)).arg(out))
}

fn script(workspace: &Workspace) -> PathBuf {
    workspace.root.join("testdata/conformance/dump.py")
}

/// Runs every node test through `mlcc test` and compares the counts with what is expected.
pub(crate) fn check(session: &Session) -> Result<()> {
    let workspace = session.workspace;
    let file = workspace.root.join("testdata/conformance/expected.txt");
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let expected = Expected::parse(&text).with_context(|| format!("in {}", file.display()))?;

    let folder = workspace.build().join("conformance");
    let requirements = workspace.root.join(python::TEST_TOOLS);
    let stamp = Stamp::new(folder.join("stamp"), &[&script(workspace), &requirements], "")?;
    if !stamp.is_current() {
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        dump(workspace, &folder)?;
        stamp.write()?;
    }

    let mlcc = workspace.build_mlcc()?;
    let log = workspace.build().join("conformance.log");
    let mut command = Command::new(mlcc);
    command.arg("test").arg(folder.join("node")).stdin(Stdio::null());
    if let Some(threads) = host::chosen_threads() {
        command.args(["--threads", &threads]);
    }
    // To a file, and not through a pipe, which would have to be drained while we wait.
    command.stdout(std::fs::File::create(&log)?);
    eprintln!("$ {} > {}", process::line(&command), log.display());
    let mut child = command.spawn().context("cannot start mlcc")?;
    let status = process::wait(&mut child, LIMIT).context("`mlcc test`")?;
    let output = std::fs::read_to_string(&log)?;
    let last = output.trim_end().lines().last().unwrap_or_default();
    let counts = Counts::parse(last).with_context(|| {
        format!("`mlcc test` ended with {status} and the line {last:?}; its output is in {}", log.display())
    })?;
    println!("{last}");
    // A case that fails is the only reason for another status than 0.
    if !status.success() && counts.failed == 0 {
        bail!("`mlcc test` ended with {status} though no case failed");
    }
    if counts.compiled_only > 0 {
        session.note(format!("conformance: {} cases compiled only", counts.compiled_only));
    }
    expected.compare(&counts).with_context(|| format!("its output is in {}", log.display()))
}

/// What must hold.
#[derive(Debug, PartialEq)]
struct Expected {
    cases: usize,
    least_passed: usize,
    most_failed: usize,
}

/// What the last line of `mlcc test` says.
#[derive(Debug, PartialEq)]
struct Counts {
    passed: usize,
    failed: usize,
    unsupported: usize,
    /// Cases whose code this machine cannot execute.
    compiled_only: usize,
}

impl Expected {
    /// Parses lines `key = number`, and `#` comments.
    fn parse(text: &str) -> Result<Self> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut found = std::collections::BTreeMap::new();
        for line in lines {
            let (key, number) =
                line.split_once('=').with_context(|| format!("{line:?} is not `key = number`"))?;
            let number: usize = number.trim().parse().with_context(|| format!("in {line:?}"))?;
            found.insert(key.trim(), number);
        }
        let mut take = |key| found.remove(key).with_context(|| format!("no {key}"));
        let expected = Self {
            cases: take("cases")?,
            least_passed: take("least_passed")?,
            most_failed: take("most_failed")?,
        };
        if let Some(key) = found.keys().next() {
            bail!("unknown key {key}");
        }
        Ok(expected)
    }

    fn compare(&self, counts: &Counts) -> Result<()> {
        let total = counts.passed + counts.failed + counts.unsupported + counts.compiled_only;
        if total != self.cases {
            bail!("{total} cases ended, but there are {}", self.cases);
        }
        if counts.failed > self.most_failed {
            bail!("{} cases failed, at most {} may", counts.failed, self.most_failed);
        }
        // What fails when it runs is unknown of those that only compile.
        if counts.passed + counts.compiled_only < self.least_passed {
            bail!("{} cases passed, at least {} must", counts.passed, self.least_passed);
        }
        Ok(())
    }
}

impl Counts {
    /// Parses `N passed, N failed, N unsupported`, and `, N compiled only` where there are such.
    fn parse(line: &str) -> Option<Self> {
        let mut parts = line.split(", ");
        let mut count = |word: &str| -> Option<usize> {
            let (number, name) = parts.next()?.split_once(' ')?;
            if name == word { number.parse().ok() } else { None }
        };
        let (passed, failed, unsupported) = (count("passed")?, count("failed")?, count("unsupported")?);
        let compiled_only = if line.ends_with(" unsupported") { 0 } else { count("compiled only")? };
        parts.next().is_none().then_some(Self { passed, failed, unsupported, compiled_only })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_parsed_or_refused() {
        let counts = |compiled_only| Counts { passed: 812, failed: 3, unsupported: 1069, compiled_only };
        assert_eq!(Counts::parse("812 passed, 3 failed, 1069 unsupported"), Some(counts(0)));
        assert_eq!(Counts::parse("812 passed, 3 failed, 1069 unsupported, 7 compiled only"), Some(counts(7)));
        for line in [
            "",
            "812 passed, 3 failed",
            "1 failed, 2 passed, 3 unsupported",
            "x passed, 1 failed, 2 unsupported",
            "1 passed, 1 failed, 2 unsupported, 3 compiled",
            "1 passed, 1 failed, 2 unsupported, 3 compiled only, 4 unsupported",
        ] {
            assert_eq!(Counts::parse(line), None, "{line}");
        }
    }

    #[test]
    fn the_expectations_are_parsed_or_refused() {
        let expected = Expected { cases: 10, least_passed: 8, most_failed: 1 };
        assert_eq!(
            Expected::parse("# comment\ncases = 10\n\nleast_passed = 8\nmost_failed=1\n").unwrap(),
            expected
        );
        let message = |text| Expected::parse(text).unwrap_err().to_string();
        assert_eq!(message("cases = 10"), "no least_passed");
        assert_eq!(message("cases = 1\nleast_passed = 1\nmost_failed = 0\nother = 2"), "unknown key other");
        assert_eq!(message("cases"), "\"cases\" is not `key = number`");
    }

    #[test]
    fn each_count_has_its_bound() {
        let expected = Expected { cases: 10, least_passed: 6, most_failed: 1 };
        let check = |passed, failed, unsupported| {
            let counts = Counts { passed, failed, unsupported, compiled_only: 0 };
            expected.compare(&counts).map_err(|error| error.to_string())
        };
        assert_eq!(check(6, 1, 3), Ok(()));
        assert_eq!(check(6, 1, 2), Err("9 cases ended, but there are 10".to_owned()));
        assert_eq!(check(6, 2, 2), Err("2 cases failed, at most 1 may".to_owned()));
        assert_eq!(check(5, 0, 5), Err("5 cases passed, at least 6 must".to_owned()));
    }

    #[test]
    fn the_committed_expectations_parse() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/conformance/expected.txt");
        Expected::parse(&std::fs::read_to_string(file).unwrap()).unwrap();
    }
}
