//! Puts every rewrite rule through its gates: `cargo xtask rules --check`.

use mlcc_passes::graph::rewrite::{self, Proof, Rule, gates};
use std::{collections::BTreeSet, process::ExitCode};

/// Instances of each rule that are compared: more than the unit tests take.
const INSTANCES: usize = 200;
/// Random graphs that are rewritten and compared.
const GRAPHS: usize = 10_000;

#[expect(clippy::print_stdout, reason = "a program for the terminal")]
fn main() -> ExitCode {
    let (rules, axioms) = match rewrite::rules().and_then(|rules| Ok((rules, rewrite::axioms()?))) {
        Ok(parsed) => parsed,
        Err(error) => {
            println!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let (mut failures, mut instances, mut derived) = (Vec::new(), 0, 0);
    for axiom in axioms {
        match gates::check(axiom, INSTANCES) {
            Ok(count) => instances += count,
            Err(what) => failures.push(what),
        }
    }
    for (at, rule) in rules.iter().enumerate() {
        match gates::check(rule, INSTANCES) {
            Ok(count) => instances += count,
            Err(what) => failures.push(what),
        }
        if rule.proof == Proof::Derived {
            // What stands before a rule may be used to derive it.
            let known: Vec<&Rule> = axioms.iter().chain(&rules[..at]).collect();
            match gates::derive(rule, &known) {
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
    let statements: BTreeSet<_> = axioms.iter().map(|a| &a.schema).collect();
    println!(
        "{} rules, {derived} of them derived from {} axioms ({} with the operators of families); \
         {instances} instances compared; {} failures",
        rules.len(),
        statements.len(),
        axioms.len(),
        failures.len()
    );
    failures.iter().for_each(|f| println!("{f}"));
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
