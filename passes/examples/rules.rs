//! Puts every rewrite rule through its gates: `cargo xtask rules --check`.

use mlcc_passes::graph::rewrite::{self, Proof, Rule, gates};
use std::process::ExitCode;

/// Instances of each rule that are compared: more than the unit tests take.
const INSTANCES: usize = 200;
/// Random graphs that are rewritten and compared.
const GRAPHS: usize = 10_000;

#[expect(clippy::print_stdout, reason = "a program for the terminal")]
fn main() -> ExitCode {
    let rules = match rewrite::rules() {
        Ok(rules) => rules,
        Err(error) => {
            println!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let axioms: Vec<&Rule> = rules.iter().filter(|r| r.proof == Proof::Axiom).collect();
    let (mut failures, mut instances, mut derived) = (Vec::new(), 0, 0);
    for rule in rules {
        match gates::check(rule, INSTANCES) {
            Ok(count) => instances += count,
            Err(what) => failures.push(what),
        }
        if rule.proof == Proof::Derived {
            match gates::derive(rule, &axioms) {
                Ok(()) => derived += 1,
                Err(what) => failures.push(what),
            }
        }
    }
    match gates::check_graphs(rules, GRAPHS) {
        Ok(summary) => {
            println!("{} random graphs compared, {} of them rewritten", summary.compared, summary.rewritten)
        }
        Err(what) => failures.push(what),
    }
    println!(
        "{} rules, {} of them axioms, {derived} derived; {instances} instances compared; {} failures",
        rules.len(),
        axioms.len(),
        failures.len()
    );
    failures.iter().for_each(|f| println!("{f}"));
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
