//! `cargo xtask test`: runs the steps, times them, and ends with a summary.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::builder::PossibleValuesParser;

use crate::process;
use crate::steps::{STEPS, Session, Step, Zoo};
use crate::workspace::Workspace;

/// Arguments of `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only these steps
    #[arg(long, value_name = "STEP", value_delimiter = ',', value_parser = step_names())]
    only: Vec<String>,
    /// Leave these steps out
    #[arg(long, value_name = "STEP", value_delimiter = ',', value_parser = step_names(), conflicts_with = "only")]
    skip: Vec<String>,
    /// Go on after a step that failed
    #[arg(long)]
    keep_going: bool,
    /// How many networks to compare with ONNX Runtime
    #[arg(long, value_enum, default_value_t = Zoo::All)]
    zoo: Zoo,
}

fn step_names() -> PossibleValuesParser {
    PossibleValuesParser::new(STEPS.iter().map(|step| step.name))
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Passed(Duration),
    Failed(Duration),
    /// Not asked for, or an earlier step had failed.
    NotRun,
}

/// Runs `cargo xtask test`; the last line that it prints is `N passed, N failed`, in steps.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let session = Session { workspace, zoo: args.zoo };
    let outcomes = run_steps(STEPS, &session, args);
    print!("\n{}", summary(&outcomes));
    let failed = outcomes.iter().any(|(_, outcome)| matches!(outcome, Outcome::Failed(_)));
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn run_steps(steps: &[Step], session: &Session, args: &Args) -> Vec<(&'static str, Outcome)> {
    let mut stopped = false;
    let mut outcomes = Vec::new();
    for step in steps {
        let outcome =
            if stopped || !is_wanted(step.name, args) { Outcome::NotRun } else { run_step(step, session) };
        stopped |= matches!(outcome, Outcome::Failed(_)) && !args.keep_going;
        outcomes.push((step.name, outcome));
    }
    outcomes
}

fn run_step(step: &Step, session: &Session) -> Outcome {
    eprintln!("\n== {}", step.name);
    let start = Instant::now();
    let result = (step.run)(session);
    let elapsed = start.elapsed();
    match result {
        Ok(()) => {
            eprintln!("{}: passed in {:.1} s", step.name, elapsed.as_secs_f64());
            Outcome::Passed(elapsed)
        }
        Err(error) => {
            eprintln!("error: {}", process::describe(&error));
            eprintln!("{}: failed after {:.1} s", step.name, elapsed.as_secs_f64());
            Outcome::Failed(elapsed)
        }
    }
}

fn is_wanted(name: &str, args: &Args) -> bool {
    let contains = |list: &[String]| list.iter().any(|one| one == name);
    (args.only.is_empty() || contains(&args.only)) && !contains(&args.skip)
}

/// The table of all steps, and the counts as its last line.
fn summary(outcomes: &[(&'static str, Outcome)]) -> String {
    let mut text = String::new();
    for (name, outcome) in outcomes {
        let line = match outcome {
            Outcome::Passed(time) => format!("{name:12} passed  {:7.1} s\n", time.as_secs_f64()),
            Outcome::Failed(time) => format!("{name:12} FAILED  {:7.1} s\n", time.as_secs_f64()),
            Outcome::NotRun => format!("{name:12} not run\n"),
        };
        text.push_str(&line);
    }
    let passed = outcomes.iter().filter(|(_, one)| matches!(one, Outcome::Passed(_))).count();
    let failed = outcomes.iter().filter(|(_, one)| matches!(one, Outcome::Failed(_))).count();
    text.push_str(&format!("{passed} passed, {failed} failed\n"));
    text
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    const SAMPLE: &[Step] = &[
        Step { name: "good", run: |_| Ok(()) },
        Step { name: "bad", run: |_| Err(anyhow::anyhow!("broken")) },
        Step { name: "late", run: |_| Ok(()) },
    ];

    fn outcomes(only: &[&str], skip: &[&str], keep_going: bool) -> Vec<char> {
        let workspace = Workspace { root: PathBuf::new(), target: PathBuf::new(), packages: Vec::new() };
        let session = Session { workspace: &workspace, zoo: Zoo::Small };
        let owned = |list: &[&str]| list.iter().map(|&one| one.to_owned()).collect();
        let args = Args { only: owned(only), skip: owned(skip), keep_going, zoo: Zoo::Small };
        let letter = |outcome| match outcome {
            Outcome::Passed(_) => 'p',
            Outcome::Failed(_) => 'f',
            Outcome::NotRun => '-',
        };
        run_steps(SAMPLE, &session, &args).into_iter().map(|(_, outcome)| letter(outcome)).collect()
    }

    #[test]
    fn a_failure_stops_unless_told_otherwise() {
        assert_eq!(outcomes(&[], &[], false), ['p', 'f', '-']);
        assert_eq!(outcomes(&[], &[], true), ['p', 'f', 'p']);
    }

    #[test]
    fn steps_are_chosen_or_left_out() {
        assert_eq!(outcomes(&["late"], &[], false), ['-', '-', 'p']);
        assert_eq!(outcomes(&[], &["bad"], false), ['p', '-', 'p']);
    }

    #[test]
    fn the_summary_ends_with_the_counts() {
        let time = Duration::from_millis(1250);
        let text =
            summary(&[("a", Outcome::Passed(time)), ("b", Outcome::Failed(time)), ("c", Outcome::NotRun)]);
        assert_eq!(
            text,
            "a            passed      1.2 s\nb            FAILED      1.2 s\nc            not run\n1 passed, 1 failed\n"
        );
    }
}
