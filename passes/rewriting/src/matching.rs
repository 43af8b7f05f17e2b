//! Finding a rule's left side in the e-graph.

use super::{
    attributes,
    expression::{Expression, Value},
    facts::Classes,
    numbers::is_number,
    rule::{Binding, Bindings, Pattern, Rule},
    term::Term,
};
use egg::Id;
use mlcc_ir::{attributes::Attrs, ops};

/// One way in which a pattern matches a class.
#[derive(Clone, Debug, Default)]
pub struct Match {
    /// Values of the variables.
    pub bindings: Bindings,
    /// Terms that were matched, to record the cause of later terms.
    pub terms: Vec<Term>,
    /// Operands of the outermost sum or product that the pattern leaves out: they stay.
    pub rest: Vec<Id>,
}

/// Most matches of a pattern in one class; no more are looked for.
const MAX_PER_CLASS: usize = 48;

/// Every match of a rule whose guard holds: the class and the match, in the order of ids.
#[must_use]
pub fn search(classes: &Classes, rule: &Rule, limit: usize) -> Vec<(Id, Match)> {
    let mut found = Vec::new();
    let mut roots: Vec<Id> = match rule.left.op() {
        Some(op) => classes.classes_for_op(op).into_iter().flatten().collect(),
        // A variable alone matches every class, in derivations only.
        None => classes.classes().map(|c| c.id).collect(),
    };
    roots.sort_unstable();
    for root in roots {
        for matched in match_class(classes, &rule.left, root, vec![Match::default()], true) {
            if rule.guard.iter().all(|g| g.holds(classes, &matched.bindings)) {
                found.push((root, matched));
            }
        }
        if found.len() >= limit {
            break;
        }
    }
    found.truncate(limit);
    found
}

fn match_class(classes: &Classes, pattern: &Pattern, id: Id, states: Vec<Match>, root: bool) -> Vec<Match> {
    let id = classes.find(id);
    match pattern {
        Pattern::Variable(name) => {
            let bind = |mut state: Match| match state.bindings.class(name) {
                Some(bound) => (classes.find(bound) == id).then_some(state),
                None => {
                    state.bindings.set(name, Binding::Class(id));
                    Some(state)
                }
            };
            states.into_iter().filter_map(bind).collect()
        }
        Pattern::Number(value) => {
            let data = &classes[id].data;
            let equal = data.uniform.is_some_and(|u| is_number(u, *value, data.ty.dtype));
            if equal { states } else { Vec::new() }
        }
        Pattern::Absent | Pattern::Each { .. } => Vec::new(),
        Pattern::Apply { .. } => {
            let mut found = Vec::new();
            for term in &classes[id].nodes {
                found.extend(match_term(classes, pattern, term, &states, root));
                if found.len() >= MAX_PER_CLASS {
                    break;
                }
            }
            found.truncate(MAX_PER_CLASS);
            found
        }
    }
}

fn match_term(classes: &Classes, pattern: &Pattern, term: &Term, states: &[Match], root: bool) -> Vec<Match> {
    let Pattern::Apply { op, attrs, others, operands, tail } = pattern else { return Vec::new() };
    if term.head.op != *op {
        return Vec::new();
    }
    // An attribute that is computed from operands without a match yet is compared after these are matched.
    let bindings = states.first().map(|s| &s.bindings);
    let waits =
        |(_, value): &Attribute| bindings.is_some_and(|bindings| value.is_computed_from_unbound(bindings));
    let mut states: Vec<Match> = states
        .iter()
        .filter_map(|s| match_attrs(classes, term, (attrs, &waits), others.as_ref(), s.clone()))
        .collect();
    if states.is_empty() {
        return states;
    }
    states.iter_mut().for_each(|s| s.terms.push(term.clone()));
    if term.head.is_sorted() && tail.is_none() {
        return match_unordered(classes, operands, &term.operands, states, root);
    }
    let places = term.head.places(&term.operands);
    let fits = if tail.is_some() { places.len() > operands.len() } else { places.len() == operands.len() };
    // Absent operands at the end need not be written.
    let padded = || (operands.len()..places.len()).all(|i| places[i].is_none());
    if !(fits || tail.is_none() && places.len() > operands.len() && padded()) {
        return Vec::new();
    }
    for (i, operand) in operands.iter().enumerate() {
        states = match (operand, places.get(i).copied().flatten()) {
            (Pattern::Absent, None) => states,
            (Pattern::Absent, Some(_)) | (_, None) => return Vec::new(),
            (operand, Some(id)) => match_class(classes, operand, id, states, false),
        };
        if states.is_empty() {
            return states;
        }
    }
    for (name, expression) in attrs.iter().filter(|a| waits(a)) {
        let Some(value) = term.head.attrs.get(name).and_then(Value::of) else { return Vec::new() };
        states.retain_mut(|s| unify(classes, expression, &value, &mut s.bindings));
    }
    if let Some(list) = tail {
        let rest: Vec<Id> = places[operands.len()..].iter().flatten().map(|&id| classes.find(id)).collect();
        states.iter_mut().for_each(|s| s.bindings.set(list, Binding::Classes(rest.clone())));
    }
    states
}

/// Matches operands in any order. In an outermost sum, the remaining operands stay beside the match.
fn match_unordered(
    classes: &Classes,
    patterns: &[Pattern],
    operands: &[Id],
    states: Vec<Match>,
    root: bool,
) -> Vec<Match> {
    if patterns.len() > operands.len() || !root && patterns.len() != operands.len() {
        return Vec::new();
    }
    // States with the places that are taken.
    let mut partial: Vec<(Vec<usize>, Match)> = states.into_iter().map(|s| (Vec::new(), s)).collect();
    for pattern in patterns {
        let mut next = Vec::new();
        for (taken, state) in &partial {
            for (at, &operand) in operands.iter().enumerate() {
                // Equal operands are interchangeable: the first free one is enough.
                let same_before = (0..at).any(|b| operands[b] == operand && !taken.contains(&b));
                if taken.contains(&at) || same_before {
                    continue;
                }
                let mut taken = taken.clone();
                taken.push(at);
                let matched = match_class(classes, pattern, operand, vec![state.clone()], false);
                next.extend(matched.into_iter().map(|s| (taken.clone(), s)));
            }
            if next.len() > MAX_PER_CLASS {
                break;
            }
        }
        partial = next;
    }
    let finish = |(taken, mut state): (Vec<usize>, Match)| {
        if root {
            let left = operands.iter().enumerate().filter(|(i, _)| !taken.contains(i));
            state.rest = left.map(|(_, &id)| classes.find(id)).collect();
        }
        state
    };
    partial.into_iter().map(finish).collect()
}

/// An attribute of a pattern.
type Attribute = (mlcc_ir::Name, Expression);

fn match_attrs(
    classes: &Classes,
    term: &Term,
    (wanted, waits): (&[Attribute], &dyn Fn(&Attribute) -> bool),
    others: Option<&mlcc_ir::Name>,
    mut state: Match,
) -> Option<Match> {
    for (name, expression) in wanted.iter().filter(|a| !waits(a)) {
        let value = Value::of(term.head.attrs.get(name)?)?;
        if !unify(classes, expression, &value, &mut state.bindings) {
            return None;
        }
    }
    let given = |name: &str| wanted.iter().any(|(n, _)| &**n == name);
    if let Some(variable) = others {
        let mut rest = Attrs::new();
        for (name, value) in term.head.attrs.0.iter().filter(|(n, _)| !given(n)) {
            rest = rest.with(name, value.clone());
        }
        match state.bindings.get(variable) {
            Some(Binding::Attrs(bound)) if *bound != rest => return None,
            Some(Binding::Attrs(_)) => {}
            Some(_) => return None,
            None => state.bindings.set(variable, Binding::Attrs(rest)),
        }
        return Some(state);
    }
    let rank = term.operands.first().map_or(0, |o| classes[*o].data.ty.rank());
    let declared = ops::definition(&term.head.op).map_or(&[][..], |d| d.attributes);
    let default = |name: &str| {
        let found = term.head.attrs.get(name);
        found.is_none() || found == attributes::default(&term.head.op, name, rank).as_ref()
    };
    declared.iter().all(|a| given(a.name) || default(a.name)).then_some(state)
}

/// Whether an attribute has the value that a pattern states. Variables that stand alone or in a list are
/// bound to it.
fn unify(classes: &Classes, expression: &Expression, value: &Value, bindings: &mut Bindings) -> bool {
    match (expression, value) {
        (Expression::Variable(variable), value) if bindings.get(variable).is_none() => {
            bindings.set(variable, Binding::Value(value.clone()));
            true
        }
        (Expression::Call(function, items), Value::List(values)) if function.name == "list" => {
            items.len() == values.len()
                && items
                    .iter()
                    .zip(values)
                    .all(|(item, value)| unify(classes, item, &Value::Int(value.clone()), bindings))
        }
        (expression, value) => expression.evaluate(classes, bindings).as_ref() == Some(value),
    }
}
