//! The step `unit`: all tests of the workspace, and which of them failed.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::host;
use crate::process;
use crate::setup;
use crate::steps::Session;
use crate::workspace::Workspace;

/// The file to which tests write a line for each code that they compiled but could not run, because this machine lacks
/// features that it needs.
const COMPILED_ONLY: &str = "MLCC_COMPILED_ONLY";
/// Where nextest reports, by .config/nextest.toml, relative to the target folder.
const REPORT: &str = "nextest/default/junit.xml";
/// The machines that every run takes for the host besides the one that there is: an old one and a new one.
const HOSTS: [(&str, &str); 2] = [("x86-64-v3", "1"), ("sapphirerapids", "16")];
/// How many lines of what was compiled only are shown.
const SHOWN: usize = 5;

/// Runs the tests and the examples in the documentation; both, so that one failure does not hide the other.
pub(crate) fn check(session: &Session) -> Result<()> {
    let workspace = session.workspace;
    workspace.build_mlcc()?;
    let mut problems = run_tests(session, all_tests(workspace), "unit")?;
    if setup::has_nextest(workspace) {
        // Nextest leaves the examples in the documentation out.
        let words = ["test", "--workspace", "--release", "--doc", "--quiet", "--no-fail-fast"];
        if let Err(error) = process::run(workspace.cargo().args(words)) {
            problems.push(process::describe(&error));
        }
    }
    all_passed(&problems)
}

/// Runs the tests of the whole program again, with other machines taken for the host: none may depend on its CPU or
/// its number of threads. `--host-cpu` and `--threads` do so with everything.
pub(crate) fn check_hosts(session: &Session) -> Result<()> {
    let workspace = session.workspace;
    workspace.build_mlcc()?;
    let mut problems = Vec::new();
    for (cpu, threads) in HOSTS {
        let mut tests = test_command(workspace, &["--package", "mlcc-tests"]);
        tests.envs([(host::CPU, cpu), (host::THREADS, threads)]);
        problems.extend(run_tests(session, tests, &format!("{cpu} with {threads} threads"))?);
    }
    all_passed(&problems)
}

fn all_passed(problems: &[String]) -> Result<()> {
    if problems.is_empty() { Ok(()) } else { bail!("{}", problems.join("\n")) }
}

/// Runs tests, says what was compiled only, and returns what failed.
fn run_tests(session: &Session, mut tests: Command, what: &str) -> Result<Vec<String>> {
    eprintln!("tests: {what}");
    let (build, report) = (session.workspace.build(), session.workspace.target.join(REPORT));
    let file = build.join("compiled-only.txt");
    std::fs::create_dir_all(&build)?;
    std::fs::write(&file, "").with_context(|| format!("cannot write {}", file.display()))?;
    // That of an earlier run would be taken for this one's.
    if report.exists() {
        std::fs::remove_file(&report)?;
    }
    let mut problems = Vec::new();
    if let Err(error) = process::run(tests.env(COMPILED_ONLY, &file)) {
        let names = std::fs::read_to_string(&report).map(|text| failed(&text)).unwrap_or_default();
        problems.extend(names.into_iter().map(|name| format!("failed: {name} ({what})")));
        problems.push(process::describe(&error));
    }
    if let Some(note) = summary(&std::fs::read_to_string(&file)?) {
        session.note(format!("{what}: {note}"));
    }
    Ok(problems)
}

/// All tests of the workspace.
pub(crate) fn all_tests(workspace: &Workspace) -> Command {
    test_command(workspace, &["--workspace"])
}

/// Tests: by cargo-nextest where it is installed. All are run, whichever fail.
fn test_command(workspace: &Workspace, which: &[&str]) -> Command {
    let mut command = workspace.cargo();
    if setup::has_nextest(workspace) {
        command.args(["nextest", "run"]);
    } else {
        eprintln!("note: cargo-nextest is not installed, so `cargo test` runs the tests");
        command.arg("test");
    }
    command.args(which).args(["--release", "--no-fail-fast"]);
    // The tests of the whole program find it by this variable.
    command.env("MLCC_BINARY", workspace.mlcc());
    command
}

/// The tests that a report in JUnit's form calls failed, as `CRATE::BINARY NAME`.
fn failed(report: &str) -> Vec<String> {
    let attribute = |line: &str, name: &str| {
        let (_, rest) = line.split_once(&format!(" {name}=\""))?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    let (mut names, mut current) = (Vec::new(), String::new());
    for line in report.lines().map(str::trim_start) {
        if line.starts_with("<testcase ") {
            let part = |name| attribute(line, name).unwrap_or_default();
            current = format!("{} {}", part("classname"), part("name"));
        } else if (line.starts_with("<failure") || line.starts_with("<error")) && !names.contains(&current) {
            names.push(current.clone());
        }
    }
    names
}

/// What was compiled only: how much, and some of it; nothing where all was run.
fn summary(lines: &str) -> Option<String> {
    let count = lines.lines().count();
    if count == 0 {
        return None;
    }
    let mut distinct: Vec<_> = lines.lines().map(|line| line.trim_start_matches("compiled only: ")).collect();
    distinct.sort_unstable();
    distinct.dedup();
    let shown: String = distinct.iter().take(SHOWN).map(|line| format!("\n    {line}")).collect();
    let more = if distinct.len() > SHOWN { "\n    ..." } else { "" };
    Some(format!("compiled only, {count} times, since this machine lacks what the code needs:{shown}{more}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_tests_are_read_from_the_report() {
        let report = r#"<testsuites name="nextest-run" tests="3" failures="1" errors="1">
    <testsuite name="mlcc-tests::all" tests="3">
        <testcase name="running::good" classname="mlcc-tests::all" time="0.1">
        </testcase>
        <testcase name="running::bad" classname="mlcc-tests::all" time="0.1">
            <failure message="thread panicked" type="test failure">...</failure>
        </testcase>
        <testcase name="running::dead" classname="mlcc-tests::all" time="0.1">
            <failure type="test abort"/>
            <system-err>...</system-err>
        </testcase>"#;
        assert_eq!(failed(report), ["mlcc-tests::all running::bad", "mlcc-tests::all running::dead"]);
        assert!(failed("").is_empty());
    }

    #[test]
    fn what_is_compiled_only_is_counted() {
        assert_eq!(summary(""), None);
        let text = summary("compiled only: b\ncompiled only: a\ncompiled only: b\n").unwrap();
        assert!(text.starts_with("compiled only, 3 times") && text.ends_with(":\n    a\n    b"), "{text}");
    }
}
