//! Every rule of the file, through its gates.

use super::*;

#[test]
fn the_rule_file_is_well_formed() {
    let rules = rules().expect("parses");
    assert!(rules.len() >= 150, "{} rules", rules.len());
}

#[test]
fn every_rule_passes_the_gates() {
    let failures: Vec<String> =
        rules().expect("parses").iter().filter_map(|r| gates::check(r, gates::INSTANCES).err()).collect();
    assert!(failures.is_empty(), "{} rules fail:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn every_axiom_passes_the_gates() {
    let axioms = axioms().expect("parses");
    assert!(axioms.iter().all(|a| a.proof == Proof::Axiom));
    let failures: Vec<String> =
        axioms.iter().filter_map(|r| gates::check(r, gates::INSTANCES).err()).collect();
    assert!(failures.is_empty(), "{} axioms fail:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn planted_wrong_rules_are_caught() {
    // One of each kind: a value, a shape that only sizes of 1 hide, a sign of zero, an infinity, an order, an
    // attribute.
    for text in [
        "(=> (sum ?x ?x) (product 3 ?x))",
        "(=> (matmul ?a ?b) (matmul ?b ?a))",
        "(=> (sum ?x 0) ?x)",
        "(=> (product ?x 0) (product 0 ?x ?x))",
        "(=> (max ?x ?y) ?x)",
        "(=> (transpose [perm ?p] (transpose [perm ?q] ?x)) (transpose [perm (compose ?q ?p)] ?x))",
        "(=> (softmax [axis ?k] ?x) (softmax [axis 0] ?x))",
        "(=> (relu (neg ?x)) (neg (relu ?x)))",
        "(=> (clip ?x ?l ?h) (max (min ?x ?h) ?l))",
    ] {
        let rule = &rule::parse(&format!("(rule wrong exact tested {text})")).expect(text)[0];
        assert!(gates::check(rule, 200).is_err(), "{text} passes");
    }
}

#[test]
fn derived_rules_follow_from_the_axioms() {
    let rules = rules().expect("parses");
    let axioms = axioms().expect("parses");
    let failures: Vec<String> = rules
        .iter()
        .enumerate()
        .filter(|(_, r)| r.proof == Proof::Derived)
        .filter_map(|(at, r)| gates::derive(r, &axioms.iter().chain(&rules[..at]).collect::<Vec<_>>()).err())
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn what_the_axioms_do_not_say_is_not_derived() {
    let axioms: Vec<&Rule> = axioms().expect("parses").iter().collect();
    let text = "(rule wrong reassociating derived (=> (matmul ?a (relu ?b)) (relu (matmul ?a ?b))))";
    assert!(gates::derive(&rule::parse(text).expect(text)[0], &axioms).is_err());
}

#[test]
fn random_graphs_keep_their_values() {
    let summary = gates::check_graphs(rules().expect("parses"), 300).expect("agree");
    assert!(summary.rewritten > 30, "{summary:?}");
}
