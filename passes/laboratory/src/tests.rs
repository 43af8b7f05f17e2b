//! Every rule of the file, through its gates.

use super::*;
use mlcc_rewriting::{
    Mode,
    facts::Facts,
    properties::Properties,
    recognisers,
    rule::{self, Proof, Rule},
    rules,
};

#[test]
fn the_rule_file_is_well_formed() {
    let rules = rules().expect("parses");
    assert!(rules.len() >= 150, "{} rules", rules.len());
}

#[test]
fn every_rule_passes_the_gates() {
    let failures = gates::check_all(rules().expect("parses"), gates::INSTANCES).failures;
    assert!(failures.is_empty(), "{} rules fail:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn every_axiom_passes_the_gates() {
    let axioms = axioms().expect("parses");
    assert!(axioms.iter().all(|a| a.proof == Proof::Axiom));
    let failures = gates::check_all(axioms, gates::INSTANCES).failures;
    assert!(failures.is_empty(), "{} axioms fail:\n{}", failures.len(), failures.join("\n"));
}

/// The failures that the gates report for rules of a text.
fn failures(text: &str) -> Vec<String> {
    gates::check_all(&rule::parse(text).expect(text), 200).failures
}

#[test]
fn planted_wrong_rules_are_caught() {
    let mut missed = Vec::new();
    // Each with a part of the message that must appear.
    for (what, text, message) in [
        ("a wrong value", "exact tested (=> (sum ?x ?x) (product 3 ?x) (float ?x))", "element"),
        (
            "a polynomial that is another one",
            "reassociating tested (= (sum (product ?x ?x) (product ?y ?y)) (product (sum ?x ?y) (sum ?x ?y)) (same-type ?x ?y))",
            "error in norm",
        ),
        (
            "a factor that rounding hides",
            "reassociating tested (=> (product ?x 1.0000001192092896) ?x (float ?x) (well-typed))",
            "in double precision",
        ),
        (
            "wrong but for sizes of 1",
            "exact tested (=> (reduce_max [axes [0] keepdims true] ?x) (reduce_min [axes [0] keepdims true] ?x) (= (rank ?x) 1))",
            "element",
        ),
        (
            "wrong for sizes of 1 only",
            "exact tested (=> (reduce_sum [axes ?a keepdims true] ?x) (product ?x (reduce_sum [axes ?a keepdims true] ?x))
               (= ?a [0]) (= (dims ?x) [1]))",
            "element",
        ),
        (
            "right where a size is 1, wrong for other matrices",
            "exact tested (=> (transpose [perm [1 0]] ?x) (reshape [shape [(dim ?x 1) (dim ?x 0)]] ?x) (= (rank ?x) 2))",
            "element",
        ),
        (
            "a type that is right for square matrices",
            "reassociating tested (=> (sum ?x (transpose [perm [1 0]] ?x)) (matmul (sum ?x ?x) (reciprocal (product ?x ?x))) (= (rank ?x) 2))",
            "rule",
        ),
        (
            "wrong for windows that are not square",
            "reassociating tested (=> (conv [strides ?s .. ?a] ?x ?w)
               (conv [strides ?s .. ?a] ?x (transpose [perm [0 1 3 2]] ?w)) (= (rank ?x) 4))",
            "element",
        ),
        (
            "a wrong stride",
            "reassociating tested (=> (conv [strides ?s pads ?p dilations ?d group ?g] ?x ?w)
               (conv [strides [1 1] pads ?p dilations ?d group ?g] (slice [starts [0 0 0 0] sizes (dims ?x) steps [1 1 1 1]] ?x) ?w)
               (= (rank ?x) 4) (all-are ?p 0))",
            "types",
        ),
        (
            "wrong where there are groups",
            "reassociating tested (differs nan signed-zero) (=> (conv [.. ?a] (product ?x ?g) ?w)
               (conv [.. ?a] ?x (product ?w (reshape [shape [1 (dim ?w 1) 1 1]] ?g)))
               (= (rank ?x) 4) (channels ?g 4 (dim ?w 1)) (= (dim ?g 0) (dim ?w 1)))",
            "rule",
        ),
        ("wrong at -0 only", "exact tested (=> (sum ?x 0) ?x (float ?x) (well-typed))", "Float(0.0) on the left and Float(-0.0)"),
        ("wrong at NaN only", "exact tested (=> (less ?x ?y) (not (greater_equal ?x ?y)))", "element"),
        ("wrong at infinities only", "reassociating tested (=> (product 0 (product ?x ?x)) (product 0 ?x) (float ?x))", "(differs"),
        (
            "wrong at NaN, which it does not state",
            "reassociating tested (=> (product 0 ?x) (sum (product 0 ?x) (product 0 (reciprocal (sum 1 (product ?x ?x))))) (float ?x))",
            "rule",
        ),
        ("an infinity more", "reassociating tested (=> ?x (div (product ?x ?x) ?x) (float ?x))", "element"),
        ("a wrong order that random numbers hide", "exact tested (=> (max ?x (min ?x ?y)) (max ?x (neg (abs ?y))) (float ?x) (same-type ?x ?y))", "element"),
        ("an order that is wrong for equal numbers", "exact tested (=> (less ?x ?y) (less_equal ?x ?y))", "element"),
        ("bounds that cross", "exact tested (=> (clip ?x ?l ?h) (max (min ?x ?h) ?l) (scalar ?l) (scalar ?h) (<= (rank ?l) (rank ?x)) (<= (rank ?h) (rank ?x)))", "element"),
        ("a wrong type", "exact tested (=> (reshape [shape ?s] ?x) ?x)", "types"),
        ("a type that is not stated", "exact tested (=> (product ?x 1) ?x)", "types"),
        ("types that need not be stated", "exact tested (=> (abs (abs ?x)) (abs ?x) (well-typed))", "says nothing"),
        ("wrong for integers", "reassociating tested (=> (reduce_mean [axes [0] keepdims true] (reduce_mean [axes [1] keepdims true] ?x)) (reduce_mean [axes [0 1] keepdims true] ?x) (= (rank ?x) 2))", "element"),
        ("the least integer", "exact tested (=> (relu (abs ?x)) (abs ?x))", "element"),
        (
            "a function within a thousandth, hidden by what is added",
            "(approximate 1e-9) tested (=> (sum 1 (tanh (product 0.001 ?x))) (sum 1 (product 0.001 ?x)) (float ?x) (well-typed))",
            "in double precision",
        ),
        ("a function that is equal nearly", "reassociating tested (=> (gelu [approximate none] ?x) (gelu [approximate tanh] ?x))", "error in norm"),
        ("a stated error that is too small", "(approximate 1e-8) tested (=> (gelu ?x) (product ?x 0.5 (sum 1 (erf (product ?x 0.70711)))))", "element"),
        ("a difference that there is not", "reassociating tested (differs nan) (=> (neg (neg ?x)) ?x (float ?x))", "no instance shows"),
        ("a permutation", "exact tested (=> (transpose [perm ?p] (transpose [perm ?q] ?x)) (transpose [perm (compose ?q ?p)] ?x))", "rule"),
        ("an axis", "exact tested (=> (softmax [axis ?k] ?x) (softmax [axis 0] ?x))", "element"),
        ("a sum of one operand, which no graph has", "exact tested (=> (abs (sum ?x)) (abs ?x))", "does not match what it describes"),
        ("an order of operands", "reassociating tested (=> (matmul ?a ?b) (matmul ?b ?a) (same-type ?a ?b))", "element"),
    ] {
        let found = failures(&format!("(rule wrong {text})"));
        if !found.iter().any(|f| f.contains(message)) {
            missed.push(format!("{what}: {found:?}"));
        }
    }
    assert!(
        missed.is_empty(),
        "missed, or found for another reason:
{}",
        missed.join(
            "
"
        )
    );
}

#[test]
fn wrong_axioms_are_caught_for_each_operator_of_a_family() {
    let text = "(family some (abs neg relu))
      (for $f some (rule moves-out exact axiom (=> ($f (neg ?x)) (neg ($f ?x)) (float ?x))))";
    let found = failures(text);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("moves-out:abs") && found[1].contains("moves-out:relu"), "{found:?}");
}

#[test]
fn wrong_facts_are_caught() {
    assert!(gates::check_properties(300).expect("true") > 10_000);
    let unsigned = Properties { not_negative: true, unsigned: true, integral: false };
    let not_negative = Properties { unsigned: false, ..unsigned };
    let integral = Properties { integral: true, ..Properties::default() };
    // The root of -0 is -0; a number a little below 0 rounds to -0; a mean of integers is no integer; a
    // minimum needs both.
    for (op, wrong) in [
        ("sqrt", unsigned),
        ("tanh", not_negative),
        ("reduce_mean", integral),
        ("min", not_negative),
        ("sum", not_negative),
        ("div", integral),
    ] {
        let claims = |facts: &Facts, of: &str| if of == op { wrong } else { facts.properties };
        let found = gates::check_claims(600, &claims).expect_err(op);
        assert!(found.contains(op), "{found}");
    }
}

#[test]
fn rules_are_refused_that_say_nothing_of_a_variable_or_state_what_cannot_be() {
    for (text, message) in [
        ("(rule r exact tested (=> (neg ?x) ?y))", "does not bind ?y"),
        (
            "(rule r exact tested (= (transpose [perm ?p] (transpose [perm (inverse ?p)] ?x)) ?x))",
            "does not bind ?p",
        ),
        ("(rule r exact tested (differs nan) (=> (neg ?x) ?x))", "an exact rule differs nowhere"),
        ("(rule r (approximate -1) tested (=> (neg ?x) ?x))", "expected exact"),
        ("(rule r exact (from) (=> (neg ?x) ?x))", "expected axiom"),
        ("(for $f nothing (rule r exact tested (=> ($f ?x) ?x)))", "there is no family 'nothing'"),
    ] {
        let error = rule::parse(text).expect_err(text).to_string();
        assert!(error.contains(message), "{text}: {error}");
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
    for (text, message) in [
        // Wrong, and not derivable from right rules.
        (
            "reassociating (from relu-as-maximum) (=> (matmul ?a (relu ?b)) (relu (matmul ?a ?b)) (float ?a))",
            "is not derived",
        ),
        // Right, but not derivable from these.
        ("exact (from order-commutes) (=> (max ?x ?x) ?x)", "is not derived"),
        (
            "reassociating (from minus-minus) (=> (neg (sum ?a ?b)) (sum (neg ?a) (neg ?b)) (float ?a))",
            "is not derived",
        ),
        // Exact rules need exact reasons.
        (
            "exact (from distributivity) (=> (product ?c (sum ?x ?y)) (sum (product ?c ?x) (product ?c ?y)))",
            "less exact",
        ),
        ("exact (from nothing) (=> (neg (neg ?x)) ?x)", "no axiom or earlier rule"),
    ] {
        let rule = rule::parse(&format!("(rule wrong {text})")).expect(text).remove(0);
        let error = gates::derive(&rule, &axioms).expect_err(text);
        assert!(error.contains(message), "{text}: {error}");
    }
}

#[test]
fn most_rules_are_derived_from_few_axioms() {
    let (rules, axioms) = (rules().expect("parses"), axioms().expect("parses"));
    let derived = |rules: &[Rule]| rules.iter().filter(|r| r.proof == Proof::Derived).count();
    // A rule that recognises an operator says how the operator is written. This does not follow from the
    // axioms.
    let searched = &rules[..rules.len() - recognisers().expect("parses").len()];
    assert!(derived(searched) * 10 >= searched.len() * 9, "{} of {}", derived(searched), searched.len());
    assert!(derived(rules) >= 200, "{} of {}", derived(rules), rules.len());
    assert!(rules.iter().all(|r| r.proof != Proof::Axiom), "axioms have a file of their own");
    assert!(
        rules.iter().all(|r| r.proof != Proof::Tested || !r.note.is_empty()),
        "why is a rule not derived?"
    );
    let statements: std::collections::BTreeSet<_> = axioms.iter().map(|a| &a.schema).collect();
    assert!(statements.len() <= 110, "{} axioms", statements.len());
}

#[test]
fn random_graphs_keep_their_values() {
    let summary = gates::check_graphs(rules().expect("parses"), 300, Mode::All).expect("agree");
    assert!(summary.rewritten > 30, "{summary:?}");
}

#[test]
fn random_graphs_keep_every_bit_by_exact_rules() {
    let summary = gates::check_graphs(rules().expect("parses"), 300, Mode::Exact).expect("agree");
    assert!(summary.rewritten > 30, "{summary:?}");
}
