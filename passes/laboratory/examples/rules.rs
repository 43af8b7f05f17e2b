//! Puts every rewrite rule through its gates: `cargo xtask rules --check`.

use mlcc_laboratory::{axioms, gates};
use mlcc_rewriting::{Mode, Rule, rule::Proof, rules};
use std::{collections::BTreeSet, process::ExitCode};

/// Instances of each rule that are compared: more than the unit tests take.
const INSTANCES: usize = 200;
/// Random terms that are executed to confirm facts about them.
const TERMS: usize = 4000;
/// Random graphs that are rewritten and compared.
const GRAPHS: usize = 10_000;
/// Random graphs that are rewritten with exact rules only.
const EXACT_GRAPHS: usize = 5000;

#[expect(clippy::print_stdout, reason = "a program for the terminal")]
fn main() -> ExitCode {
    let (rules, axioms) = match rules().and_then(|rules| Ok((rules, axioms()?))) {
        Ok(parsed) => parsed,
        Err(error) => {
            println!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let mut failures: Vec<String> = Vec::new();
    for (what, rules) in [("axioms", axioms), ("rules", rules)] {
        let totals = gates::check_all(rules, INSTANCES);
        println!(
            "{} {what}, {} of which leave types to the engine; compared at {} instances, {} points modulo a prime, \
             {} choices of ordered values",
            rules.len(),
            totals.well_typed,
            totals.instances,
            totals.residues,
            totals.choices
        );
        failures.extend(totals.failures);
    }
    let mut derived = 0;
    for (at, rule) in rules.iter().enumerate().filter(|(_, r)| r.proof == Proof::Derived) {
        // Any rule before this one may be used to derive it.
        let known: Vec<&Rule> = axioms.iter().chain(&rules[..at]).collect();
        match gates::derive(rule, &known) {
            Ok(()) => derived += 1,
            Err(what) => failures.push(what),
        }
    }
    let statements: BTreeSet<_> = axioms.iter().map(|a| &a.schema).collect();
    println!(
        "{derived} rules derived from {} axioms ({} with the operators of families and both directions)",
        statements.len(),
        axioms.len()
    );
    match gates::check_properties(TERMS) {
        Ok(claims) => println!("{claims} claims about elements confirmed"),
        Err(what) => failures.push(what),
    }
    for (mode, graphs, what) in [
        (Mode::All, GRAPHS, "up to rounding"),
        (Mode::Exact, EXACT_GRAPHS, "bit for bit, with exact rules only"),
    ] {
        match gates::check_graphs(rules, graphs, mode) {
            Ok(summary) => println!(
                "{} random graphs compared {what}, {} of them rewritten",
                summary.compared, summary.rewritten
            ),
            Err(what) => failures.push(what),
        }
    }
    println!("{} failures", failures.len());
    failures.iter().for_each(|f| println!("{f}"));
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
