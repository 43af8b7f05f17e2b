//! Candidate rules: pairs of equal terms in one order, with canonical names, each once.

use super::{
    enumerate::Pair,
    notation::{Variables, operators, renamed},
    vocabulary::Space,
};
use mlcc_ir::{
    Name,
    diagnostic::Result,
    ops::{self, Arity},
};
use mlcc_rewriting::rule::{Difference, Exactness, Pattern, Rule, parse};
use std::collections::{BTreeMap, BTreeSet};

/// A rule that may hold.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) class: Exactness,
    pub(super) left: Pattern,
    pub(super) right: Pattern,
    /// Whether it may be applied in both directions: both sides have as many operators and bind all variables.
    pub(super) both: bool,
    /// The family of terms in which it was found, and the space of their values.
    pub(super) family: &'static str,
    pub(super) space: Space,
}

impl Candidate {
    /// Both sides as text.
    pub(super) fn text(&self) -> String {
        let arrow = if self.both { "=" } else { "=>" };
        format!("{} {arrow} {}", self.left, self.right)
    }
}

/// Candidates of all families. Those that imply others come first: few operators, few numbers, many
/// variables.
pub(super) fn candidates(pairs: Vec<(&'static str, Space, Pair)>) -> Vec<Candidate> {
    let mut seen = BTreeSet::new();
    let mut all: Vec<(_, Candidate)> = Vec::new();
    for (family, space, pair) in pairs {
        if let Some(candidate) = oriented((family, space), &pair) {
            let text = candidate.text();
            if seen.insert(text.clone()) {
                let variables = Variables::of(&candidate.left);
                let rank = (
                    candidate.class,
                    operators(&candidate.left),
                    operators(&candidate.right),
                    variables.numbers,
                    restricted(&variables),
                    std::cmp::Reverse(variables.tensors.len() + variables.bound.len()),
                    text,
                );
                all.push((rank, candidate));
            }
        }
    }
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    all.into_iter().map(|(_, candidate)| candidate).collect()
}

/// Variables that do not stand for every tensor or every attribute.
fn restricted(variables: &Variables) -> usize {
    let special = |name: &&Name| matches!(&***name, "c" | "w" | "i" | "d" | "f" | "n" | "h");
    variables.tensors.iter().chain(&variables.bound).filter(special).count()
}

/// A pair as a rule from the side with more operators to the other, if that side binds all variables.
fn oriented((family, space): (&'static str, Space), pair: &Pair) -> Option<Candidate> {
    let class = if pair.exact { Exactness::Exact } else { Exactness::Reassociating };
    let (forward, backward) = (binds(&pair.left, &pair.right), binds(&pair.right, &pair.left));
    let same = operators(&pair.left) == operators(&pair.right);
    let (left, right) = match (forward, same && backward) {
        (true, _) => (&pair.left, &pair.right),
        (false, true) => (&pair.right, &pair.left),
        (false, false) => return None,
    };
    // A term without variables is a constant, and constants are folded anyway.
    if Variables::of(left).tensors.is_empty() {
        return None;
    }
    let listed = variadic(left, right).or_else(|| variadic(right, left));
    let (left, right) = listed.unwrap_or_else(|| (left.clone(), right.clone()));
    let names = canonical_names(&left);
    let (left, right) = (renamed(&left, &names), renamed(&right, &names));
    let both = same && forward && backward && !has_list(&left);
    Some(Candidate { class, left, right, both, family, space })
}

/// Whether matching `left` gives a value to every variable of `right`.
fn binds(left: &Pattern, right: &Pattern) -> bool {
    let (l, r) = (Variables::of(left), Variables::of(right));
    let has = |list: &[Name], names: &[Name]| names.iter().all(|n| list.contains(n));
    l.used.is_empty()
        && matches!(left, Pattern::Apply { .. })
        && has(&l.tensors, &r.tensors)
        && has(&l.bound, &r.bound)
        && has(&l.bound, &r.used)
}

/// New names, within each sort in the order of their first occurrence.
fn canonical_names(left: &Pattern) -> BTreeMap<Name, Name> {
    const SORTS: &[&[&str]] = &[&["x", "y", "z"], &["u", "v", "g"], &["p", "q"], &["a", "b"], &["s", "t"]];
    let variables = Variables::of(left);
    let mut names = BTreeMap::new();
    for sort in SORTS {
        let occurring = variables.tensors.iter().chain(&variables.bound).filter(|n| sort.contains(&&***n));
        for (old, new) in occurring.zip(*sort) {
            names.insert(old.clone(), (*new).into());
        }
    }
    names
}

/// If `f(op(x, y))` equals `op(f(x), f(y))` and `op` takes any number of operands, the rule is stated for all
/// numbers of them.
fn variadic(left: &Pattern, right: &Pattern) -> Option<(Pattern, Pattern)> {
    let Pattern::Apply { op, attrs, others, operands: bodies, tail: None } = right else { return None };
    let last = ops::definition(op)?.operands.last()?;
    if last.arity != Arity::Variadic || bodies.len() < 2 {
        return None;
    }
    // The operator on the left, among variables only.
    let mut variables = Vec::new();
    let list: Name = "xs".into();
    let left = replace(
        left,
        &|p| match p {
            Pattern::Apply { op: inner, operands, .. } if inner == op => Some(operands.clone()),
            _ => None,
        },
        &list,
        &mut variables,
    )?;
    let [first, ..] = &variables[..] else { return None };
    let it = |name: &Name| BTreeMap::from([(name.clone(), Name::from("it"))]);
    let body = renamed(&bodies[0], &it(first));
    let alike = variables.len() == bodies.len()
        && bodies
            .iter()
            .zip(&variables)
            .all(|(b, v)| renamed(b, &it(v)) == body && Variables::of(b).tensors == [v.clone()]);
    let outside = Variables::of(&left).tensors.iter().any(|v| variables.contains(v));
    if !alike || outside || matches!(body, Pattern::Variable(_)) {
        return None;
    }
    let each = Pattern::Each { list, body: Box::new(body) };
    let right = Pattern::Apply {
        op: op.clone(),
        attrs: attrs.clone(),
        others: others.clone(),
        operands: vec![each],
        tail: None,
    };
    Some((left, right))
}

/// The pattern with the operands of the first wanted operator as a list. The operands must be distinct
/// variables.
fn replace(
    pattern: &Pattern,
    wanted: &dyn Fn(&Pattern) -> Option<Vec<Pattern>>,
    list: &Name,
    variables: &mut Vec<Name>,
) -> Option<Pattern> {
    let Pattern::Apply { op, attrs, others, operands, tail } = pattern else { return None };
    let apply = |operands, tail| Pattern::Apply {
        op: op.clone(),
        attrs: attrs.clone(),
        others: others.clone(),
        operands,
        tail,
    };
    if let Some(found) = wanted(pattern) {
        for operand in found {
            let Pattern::Variable(name) = operand else { return None };
            if variables.contains(&name) {
                return None;
            }
            variables.push(name);
        }
        return Some(apply(Vec::new(), Some(list.clone())));
    }
    let [only] = &operands[..] else { return None };
    let inner = replace(only, wanted, list, variables)?;
    Some(apply(vec![inner], tail.clone()))
}

/// The conditions under which a rule holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Conditions {
    /// The guard, in the notation of the rule file.
    pub(super) guard: Vec<String>,
    /// The differences that the sides may have.
    differs: Vec<Difference>,
}

/// Possible additions to a guard, from nothing to the most: both sides must have the same type; elements are
/// floats; and, if the rule is not exact, differences that the sides may have.
pub(super) fn weakest_first(candidate: &Candidate, guard: &[String]) -> Vec<Conditions> {
    let variables = Variables::of(&candidate.left);
    let float = variables.tensors.iter().find(|n| matches!(&***n, "x" | "y" | "z" | "c"));
    let differences: &[&[Difference]] = match candidate.class {
        Exactness::Exact => &[&[]],
        _ => &[&[], &[Difference::SignedZero], &Difference::ALL],
    };
    let mut all = Vec::new();
    for differs in differences {
        for (is_float, well_typed) in [(false, false), (false, true), (true, false), (true, true)] {
            let mut guard = guard.to_vec();
            match float {
                Some(name) if is_float => guard.push(format!("(float ?{name})")),
                None if is_float => continue,
                _ => {}
            }
            if well_typed {
                guard.push("(well-typed)".into());
            }
            all.push(Conditions { guard, differs: differs.to_vec() });
        }
    }
    all
}

/// Guards to try, from none to the strictest: conditions on attributes' variables, then relations between
/// operands' shapes.
pub(super) fn guards(candidate: &Candidate) -> Vec<Vec<String>> {
    let variables = Variables::of(&candidate.left);
    let has = |name: &str| variables.bound.iter().any(|n| &**n == name);
    let mut sorts = Vec::new();
    for (name, guard) in [
        ("w", "(swaps-last-two ?w)"),
        ("i", "(is-identity ?i)"),
        ("d", "(= ?d (dims ?x))"),
        ("f", "(all-are ?f 0)"),
        ("n", "(= ?n (dims ?x))"),
        ("h", "(all-are ?h 1)"),
        ("b", "(disjoint ?a ?b)"),
    ] {
        if has(name) && (name != "b" || has("a")) {
            sorts.push(guard.to_owned());
        }
    }
    let tensors: Vec<&Name> =
        variables.tensors.iter().filter(|n| matches!(&***n, "x" | "y" | "z" | "u" | "v" | "g")).collect();
    let pairs = |relation: &dyn Fn(&Name, &Name) -> String| -> Vec<String> {
        tensors.windows(2).map(|w| relation(w[0], w[1])).collect()
    };
    let mut shapes = vec![Vec::new()];
    if tensors.len() >= 2 {
        shapes.push(pairs(&|a, b| format!("(= (rank ?{a}) (rank ?{b}))")));
        shapes.push(pairs(&|a, b| format!("(= (dims ?{a}) (dims ?{b}))")));
    }
    let mut scalars = vec![Vec::new()];
    if variables.tensors.iter().any(|n| &**n == "c") {
        let first = tensors.first().map_or("c", |n| &***n);
        scalars = vec![
            vec!["(scalar ?c)".to_owned()],
            vec!["(scalar ?c)".to_owned(), format!("(<= (rank ?c) (rank ?{first}))")],
            vec!["(scalar ?c)".to_owned(), "(= (rank ?c) 0)".to_owned()],
        ];
    }
    let mut all: Vec<Vec<String>> = Vec::new();
    for scalar in &scalars {
        for shape in &shapes {
            for sorts in [&Vec::new(), &sorts] {
                let guard = [&sorts[..], &scalar[..], &shape[..]].concat();
                if !all.contains(&guard) {
                    all.push(guard);
                }
            }
        }
    }
    all
}

/// The candidate under conditions in both directions, as far as each binds all variables.
pub(super) fn directions(candidate: &Candidate, name: &str, conditions: &Conditions) -> Result<Vec<Rule>> {
    let both = binds(&candidate.right, &candidate.left) && !has_list(&candidate.left);
    rules(&Candidate { both, ..candidate.clone() }, name, conditions)
}

fn has_list(pattern: &Pattern) -> bool {
    match pattern {
        Pattern::Apply { operands, tail, .. } => tail.is_some() || operands.iter().any(has_list),
        Pattern::Each { .. } => true,
        _ => false,
    }
}

/// The candidate as rules under conditions.
pub(super) fn rules(candidate: &Candidate, name: &str, conditions: &Conditions) -> Result<Vec<Rule>> {
    let class = candidate.class.name();
    let arrow = if candidate.both { "=" } else { "=>" };
    let guard: String = conditions.guard.iter().map(|g| format!(" {g}")).collect();
    let names: Vec<&str> = conditions.differs.iter().map(|d| d.name()).collect();
    let differs = if names.is_empty() { String::new() } else { format!(" (differs {})", names.join(" ")) };
    let Candidate { left, right, .. } = candidate;
    parse(&format!("(rule {name} {class} tested{differs} ({arrow} {left} {right}{guard}))"))
}
