//! A small enumeration: its findings, and that all of them pass the gates.

use super::{
    candidates::Candidate,
    enumerate::{Pair, enumerate},
    vocabulary::{Space, families},
    *,
};
use crate::axioms;
use mlcc_rewriting::{
    rule::{Exactness, Pattern, parse_pattern},
    rules,
};

fn small(families: &[&str]) -> Generated {
    let families = families.iter().map(|f| (*f).to_owned()).collect();
    let settings = Settings { small: true, families, instances: 120 };
    generate(&settings, &axioms().expect("parses").iter().collect::<Vec<_>>()).expect("generates")
}

fn texts(generated: &Generated) -> Vec<String> {
    let text = |f: &Found| format!("{} => {}", f.rules[0].left, f.rules[0].right);
    generated.found.iter().map(text).collect()
}

fn pattern(text: &str) -> Pattern {
    parse_pattern(text).expect(text)
}

fn candidate(left: &str, right: &str) -> Candidate {
    let pair = Pair { exact: true, left: pattern(left), right: pattern(right) };
    let found = candidates::candidates(vec![("test", Space::Cubes, pair)]);
    found.into_iter().next().expect("binds its variables")
}

fn examined(left: &str, right: &str) -> Outcome {
    examine(&[], &candidate(left, right), None, "test", 200).expect("well formed")
}

#[test]
fn written_rules_are_found_and_what_is_found_passes_the_gates() {
    let generated = small(&["moved functions", "truth", "windows"]);
    let comparison =
        compare(&generated, rules().expect("parses"), axioms().expect("parses")).expect("compares");
    for name in [
        "relu-of-exp",
        "abs-of-abs",
        "neg-of-transpose",
        "sigmoid-of-reshape",
        "slice-of-relu",
        "tanh-of-concat",
        "not-of-not",
        "and-with-itself",
        "max-pool-of-relu",
    ] {
        let written = comparison.written.iter().find(|(s, _)| &*s.name == name);
        let found = written.is_some_and(|(_, w)| matches!(w, Written::ByOne(_) | Written::Dropped(_)));
        assert!(found, "{name}: {written:?}");
    }
    let derived = generated.found.iter().filter(|f| f.rules[0].proof == Proof::Derived).count();
    assert!(derived >= 50, "{derived}");
    for rule in generated.found.iter().flat_map(|f| &f.rules) {
        if let Err(what) = gates::check_within(rule, 100, 20_000) {
            panic!("{what}");
        }
    }
}

#[test]
fn what_is_found_does_not_depend_on_the_run() {
    let (first, second) = (small(&["truth", "windows"]), small(&["truth", "windows"]));
    assert_eq!(texts(&first), texts(&second));
    assert_eq!(first.counts, second.counts);
    assert!(texts(&first).contains(&"(and ?u (or ?u ?v)) => ?u".to_owned()), "{:?}", texts(&first));
}

#[test]
fn nothing_that_is_kept_follows_from_what_was_kept_before() {
    let generated = small(&["truth"]);
    let environments = environment::environments(Space::Vectors);
    for (at, found) in generated.found.iter().enumerate() {
        let before: Vec<&Rule> = generated.found[..at].iter().flat_map(|f| &f.equal).collect();
        assert!(!entail::follows(&environments, &found.rules[0], &before), "{}", found.rules[0].text);
    }
}

#[test]
fn wrong_candidates_are_refused() {
    for (left, right) in [
        ("(max ?x ?y)", "?x"),
        ("(transpose [perm ?p] (transpose [perm ?q] ?x))", "(transpose [perm (compose ?q ?p)] ?x)"),
        ("(sum ?x 0)", "?x"),
        ("(softmax [axis ?k] (neg ?x))", "(neg (softmax [axis ?k] ?x))"),
    ] {
        assert!(matches!(examined(left, right), Outcome::Refused), "{left} => {right}");
    }
}

#[test]
fn a_candidate_gets_the_weakest_guard_that_holds() {
    let Outcome::Kept(found) = examined("(transpose [perm ?i] ?x)", "?x") else { panic!("refused") };
    let guard: Vec<String> = found.rules[0].guard.iter().map(ToString::to_string).collect();
    assert_eq!(guard, ["(is-identity ?i)"]);
    let Outcome::Kept(found) = examined("(relu (transpose [perm ?p] ?x))", "(transpose [perm ?p] (relu ?x))")
    else {
        panic!("refused");
    };
    assert!(found.rules[0].guard.is_empty());
    assert_eq!(found.rules.len(), 2, "as many operators on both sides");
}

#[test]
fn bits_and_numbers_are_told_apart() {
    let family = families(true).expect("parses").into_iter().find(|f| f.name == "rounding").expect("there");
    let pairs = enumerate(&family).pairs;
    let class = |left: &str| {
        let pair = pairs.iter().find(|p| p.left == pattern(left)).expect(left);
        (pair.exact, pair.right.to_string())
    };
    // -0 + 0 is 0.
    assert_eq!(class("(sum ?x 0)"), (false, "?x".into()));
    assert_eq!(class("(product ?x 1)"), (true, "?x".into()));
}

#[test]
fn any_number_of_operands_is_taken_at_once() {
    let found = candidate("(neg (concat [axis ?k] ?y ?x))", "(concat [axis ?k] (neg ?y) (neg ?x))");
    assert_eq!(found.text(), "(neg (concat [axis ?k] ?xs...)) => (concat [axis ?k] (each ?xs... (neg ?it)))");
    let other = candidate("(neg (concat [axis ?k] ?y ?y))", "(concat [axis ?k] (neg ?y) (neg ?y))");
    assert_eq!(other.text(), "(neg (concat [axis ?k] ?x ?x)) => (concat [axis ?k] (neg ?x) (neg ?x))");
}

#[test]
fn patterns_read_back_as_they_were() {
    for rule in rules().expect("parses").iter().chain(axioms().expect("parses")) {
        for side in [&rule.left, &rule.right] {
            assert_eq!(*side, pattern(&side.to_string()), "{}", rule.name);
        }
    }
}

#[test]
fn families_have_operators_of_the_dialect_only_and_are_about_floats_and_conditions() {
    let all = families(false).expect("parses");
    let unary = all.iter().find(|f| f.name == "functions").expect("there").mnemonics();
    assert!(unary.len() >= 30, "{unary:?}");
    assert!(unary.contains("relu") && unary.contains("erf") && !unary.contains("not"), "{unary:?}");
    assert!(all.iter().all(|f| f.operators >= 2 && f.depth >= 2));
    assert_eq!(candidate("(relu ?x)", "(max ?x 0)").class, Exactness::Exact);
}
