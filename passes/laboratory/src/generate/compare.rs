//! A comparison of the found rules with the written ones.

use super::{
    Found, Generated,
    entail::{follows, follows_at_random, is_derived},
    environment::environments,
    notation::{self, operators},
    vocabulary::{self, Family},
};
use crate::gates;
use mlcc_ir::{Name, diagnostic::Result};
use mlcc_rewriting::{
    expression::Expression,
    rule::{Exactness, Pattern, Proof, Rule},
};
use std::collections::BTreeSet;

/// Whether a written rule was found.
#[derive(Clone, Debug, PartialEq)]
pub enum Written {
    /// By one rule: on every instance, both sides are equal by it alone.
    ByOne(usize),
    /// In the same words, but dropped since it follows from other found rules. Its number is among the
    /// dropped.
    Dropped(usize),
    /// By several rules together.
    BySeveral,
    /// Not found, with the reason.
    No(String),
}

/// A rule that is written.
#[derive(Clone, Debug)]
pub struct Statement {
    /// Its name.
    pub name: Name,
    /// Whether an axiom says the same, word for word except names and guards. An axiom of a family of
    /// operators is about each of them.
    pub is_axiom: bool,
    /// Whether the rule that was found for it follows from the axioms.
    pub is_derived: bool,
}

/// The found rules beside the exact written ones.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// Each exact written rule.
    pub written: Vec<(Statement, Written)>,
    /// Found rules, by number, that do not follow from the written ones.
    pub unwritten: Vec<usize>,
}

/// Compares the findings with the written rules, and these with the axioms.
///
/// # Errors
/// If the vocabulary is damaged.
pub fn compare(generated: &Generated, rules: &[Rule], axioms: &[Rule]) -> Result<Comparison> {
    let stated: BTreeSet<(String, String)> =
        axioms.iter().map(|a| notation::canonical(&a.left, &a.right)).collect();
    let is_axiom = |rule: &Rule| {
        stated.contains(&notation::canonical(&rule.left, &rule.right))
            || stated.contains(&notation::canonical(&rule.right, &rule.left))
    };
    let axioms: Vec<&Rule> = axioms.iter().collect();
    let families = vocabulary::families(false)?;
    let found: Vec<&Rule> = generated.found.iter().flat_map(|f| &f.equal).collect();
    let exact: Vec<&Rule> = found.iter().copied().filter(|r| r.class == Exactness::Exact).collect();
    let commuting: Vec<&Rule> = exact.iter().copied().filter(|r| swaps(r)).collect();
    let mut comparison = Comparison::default();
    for rule in rules {
        // For an equation, one direction says it all.
        if rule.class != Exactness::Exact || rule.name.ends_with("-reversed") {
            continue;
        }
        let written = match by_one(&generated.found, &commuting, rule) {
            Some(number) => Written::ByOne(number),
            None => match dropped(&generated.dropped, rule) {
                Some(number) => Written::Dropped(number),
                None if follows_at_random(rule, &exact) => Written::BySeveral,
                None => Written::No(reason(rule, &families)),
            },
        };
        let is_derived = match written {
            Written::ByOne(number) => generated.found[number].rules[0].proof == Proof::Derived,
            Written::Dropped(number) => is_derived(&generated.dropped[number].rules[0], &axioms),
            Written::BySeveral | Written::No(_) => false,
        };
        let statement = Statement { name: rule.name.clone(), is_axiom: is_axiom(rule), is_derived };
        comparison.written.push((statement, written));
    }
    for (number, found) in generated.found.iter().enumerate() {
        let class = found.rules[0].class;
        let known: Vec<&Rule> = rules.iter().filter(|r| r.class <= class).collect();
        if !follows(&environments(found.space), &found.rules[0], &known) {
            comparison.unwritten.push(number);
        }
    }
    Ok(comparison)
}

/// Whether a rule says that the operands of an operator may change places.
fn swaps(rule: &Rule) -> bool {
    let operands = |pattern: &Pattern| match pattern {
        Pattern::Apply { op, attrs, others: None, operands, tail: None } if attrs.is_empty() => {
            Some((op.clone(), operands.clone()))
        }
        _ => None,
    };
    let (Some((f, left)), Some((g, right))) = (operands(&rule.left), operands(&rule.right)) else {
        return false;
    };
    f == g && left.len() == 2 && left[0] != left[1] && left.iter().eq(right.iter().rev())
}

/// The first exact rule found that alone implies a written one. Operands may stand in any order if their
/// order does not matter.
fn by_one(found: &[Found], commuting: &[&Rule], rule: &Rule) -> Option<usize> {
    let wanted = notation::all_mnemonics(rule);
    let concerns = |found: &Found| notation::all_mnemonics(&found.rules[0]).is_subset(&wanted);
    found.iter().position(|f| {
        let rules: Vec<&Rule> = f.equal.iter().chain(commuting.iter().copied()).collect();
        f.rules[0].class == Exactness::Exact && concerns(f) && follows_at_random(rule, &rules)
    })
}

/// The dropped exact rule that says the same as a written one, except names and the guard, and passes the
/// gates.
fn dropped(dropped: &[Found], rule: &Rule) -> Option<usize> {
    let [there, back] = [(&rule.left, &rule.right), (&rule.right, &rule.left)]
        .map(|(left, right)| notation::canonical(left, right));
    dropped.iter().position(|d| {
        let own = notation::canonical(&d.rules[0].left, &d.rules[0].right);
        d.rules[0].class == Exactness::Exact
            && (own == there || own == back)
            && gates::check(&d.rules[0], gates::INSTANCES).is_ok()
    })
}

/// The reason why a written rule was not found, as far as its form tells.
fn reason(rule: &Rule, families: &[Family]) -> String {
    let known: BTreeSet<Name> = families.iter().flat_map(Family::mnemonics).collect();
    if let Some(op) = notation::all_mnemonics(rule).difference(&known).next() {
        return format!("`{op}` is not in the vocabulary");
    }
    let limit = families.iter().map(|f| f.operators).max().unwrap_or(0);
    if operators(&rule.left).max(operators(&rule.right)) > limit {
        return format!("more than {limit} operators");
    }
    let mut functions = BTreeSet::new();
    families.iter().flat_map(|f| &f.templates).for_each(|t| attribute_functions(t, &mut functions));
    let mut own = BTreeSet::new();
    attribute_functions(&rule.left, &mut own);
    attribute_functions(&rule.right, &mut own);
    if let Some(function) = own.difference(&functions).next() {
        return format!("attributes computed by `{function}` are not in the vocabulary");
    }
    let mut functions = BTreeSet::new();
    rule.guard.iter().for_each(|g| calls(g, &mut functions));
    match functions.into_iter().find(|f| GUARDS_NOT_MADE.contains(f)) {
        Some(guard) => format!("holds under a guard that is not tried: `{guard}`"),
        None => "not enumerated: operators of several families, or constants of others".into(),
    }
}

/// Guards that candidates never get.
const GUARDS_NOT_MADE: &[&str] = &[
    "positive",
    "power-of-two",
    "at-most",
    "not-negative",
    "finite",
    "index",
    "channels",
    "no-negative",
    "dim",
];

fn attribute_functions(pattern: &Pattern, into: &mut BTreeSet<&'static str>) {
    match pattern {
        Pattern::Apply { attrs, operands, .. } => {
            attrs.iter().for_each(|(_, e)| calls(e, into));
            operands.iter().for_each(|o| attribute_functions(o, into));
        }
        Pattern::Each { body, .. } => attribute_functions(body, into),
        _ => {}
    }
}

fn calls(expression: &Expression, into: &mut BTreeSet<&'static str>) {
    if let Expression::Call(function, arguments) = expression {
        into.insert(function.name);
        arguments.iter().for_each(|a| calls(a, into));
    }
}
