//! `cargo xtask test`: runs the steps, times them, and ends with a summary.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::builder::PossibleValuesParser;

use crate::host::{self, Host};
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
    /// Stop after a step that failed, instead of trying all and listing what failed
    #[arg(long)]
    fail_fast: bool,
    #[command(flatten)]
    host: Host,
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
    /// Not asked for, or a step that it needs had failed.
    NotRun,
}

/// What the steps came to.
#[derive(Default)]
struct Results {
    outcomes: Vec<(&'static str, Outcome)>,
    /// Why steps failed, or could not run.
    problems: Vec<String>,
}

/// Runs `cargo xtask test`; the last line that it prints is `N passed, N failed`, in steps.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    // The steps start programs that read the choice of a host from their environment.
    if let Some(code) = args.host.restart()? {
        return Ok(code);
    }
    let session = Session::new(workspace, args.zoo);
    if let Some(choice) = host::choice() {
        session.note(choice);
    }
    let results = run_steps(STEPS, &session, args);
    for note in session.notes() {
        println!("\n{note}");
    }
    print!("\n{}", summary(&results));
    let failed = results.outcomes.iter().any(|(_, outcome)| matches!(outcome, Outcome::Failed(_)));
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Tries every step that is wanted, unless one that it needs failed: one failure does not hide the others.
fn run_steps(steps: &[Step], session: &Session, args: &Args) -> Results {
    let mut results = Results::default();
    for step in steps {
        let failed = results.outcomes.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Failed(_)));
        let failed: Vec<&str> = failed.map(|(name, _)| *name).collect();
        let missing = step.needs.iter().find(|name| failed.contains(*name));
        let stopped = args.fail_fast && !failed.is_empty();
        let outcome = if !is_wanted(step.name, args) || stopped {
            Outcome::NotRun
        } else if let Some(missing) = missing {
            results.problems.push(format!("{}: not run, for it needs {missing}", step.name));
            Outcome::NotRun
        } else {
            run_step(step, session, &mut results.problems)
        };
        results.outcomes.push((step.name, outcome));
    }
    results
}

fn run_step(step: &Step, session: &Session, problems: &mut Vec<String>) -> Outcome {
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
            let problem = process::describe(&error);
            eprintln!("error: {problem}");
            problems.push(format!("{}: {problem}", step.name));
            eprintln!("{}: failed after {:.1} s", step.name, elapsed.as_secs_f64());
            Outcome::Failed(elapsed)
        }
    }
}

fn is_wanted(name: &str, args: &Args) -> bool {
    let contains = |list: &[String]| list.iter().any(|one| one == name);
    (args.only.is_empty() || contains(&args.only)) && !contains(&args.skip)
}

/// The table of all steps, what failed and why, and the counts as its last line.
fn summary(Results { outcomes, problems }: &Results) -> String {
    let mut text = String::new();
    for (name, outcome) in outcomes {
        let line = match outcome {
            Outcome::Passed(time) => format!("{name:12} passed  {:7.1} s\n", time.as_secs_f64()),
            Outcome::Failed(time) => format!("{name:12} FAILED  {:7.1} s\n", time.as_secs_f64()),
            Outcome::NotRun => format!("{name:12} not run\n"),
        };
        text.push_str(&line);
    }
    for problem in problems {
        text.push_str(&format!("\n{problem}\n"));
    }
    if !problems.is_empty() {
        text.push('\n');
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
        Step { name: "good", needs: &[], run: |_| Ok(()) },
        Step { name: "bad", needs: &["good"], run: |_| Err(anyhow::anyhow!("broken")) },
        Step { name: "late", needs: &[], run: |_| Ok(()) },
        Step { name: "built", needs: &["bad"], run: |_| Ok(()) },
    ];

    fn results(only: &[&str], skip: &[&str], fail_fast: bool) -> Results {
        let workspace = Workspace { root: PathBuf::new(), target: PathBuf::new(), packages: Vec::new() };
        let session = Session::new(&workspace, Zoo::Small);
        let owned = |list: &[&str]| list.iter().map(|&one| one.to_owned()).collect();
        let host = Host::default();
        let args = Args { only: owned(only), skip: owned(skip), fail_fast, host, zoo: Zoo::Small };
        run_steps(SAMPLE, &session, &args)
    }

    fn outcomes(only: &[&str], skip: &[&str], fail_fast: bool) -> Vec<char> {
        let letter = |outcome| match outcome {
            Outcome::Passed(_) => 'p',
            Outcome::Failed(_) => 'f',
            Outcome::NotRun => '-',
        };
        let outcomes = results(only, skip, fail_fast).outcomes.into_iter();
        outcomes.map(|(_, outcome)| letter(outcome)).collect()
    }

    #[test]
    fn a_failure_hides_no_other_step_but_those_that_need_it() {
        assert_eq!(outcomes(&[], &[], false), ['p', 'f', 'p', '-']);
        assert_eq!(outcomes(&[], &[], true), ['p', 'f', '-', '-']);
        assert_eq!(results(&[], &[], false).problems, ["bad: broken", "built: not run, for it needs bad"]);
    }

    #[test]
    fn steps_are_chosen_or_left_out() {
        assert_eq!(outcomes(&["late"], &[], false), ['-', '-', 'p', '-']);
        assert_eq!(outcomes(&[], &["bad"], false), ['p', '-', 'p', 'p']);
    }

    #[test]
    fn the_summary_ends_with_the_counts() {
        let time = Duration::from_millis(1250);
        let outcomes =
            vec![("a", Outcome::Passed(time)), ("b", Outcome::Failed(time)), ("c", Outcome::NotRun)];
        let text = summary(&Results { outcomes, problems: vec!["b: broken".to_owned()] });
        assert_eq!(
            text,
            "a            passed      1.2 s\nb            FAILED      1.2 s\nc            not run\n\n\
             b: broken\n\n1 passed, 1 failed\n"
        );
    }
}
