//! Questions about the form of patterns.

use mlcc_ir::{Name, ops};
use mlcc_rewriting::{
    expression::Expression,
    rule::{Pattern, Rule},
    term::special,
};
use std::collections::{BTreeMap, BTreeSet};

/// Operators of a pattern; a sum of three operands counts as two.
pub(super) fn operators(pattern: &Pattern) -> usize {
    match pattern {
        Pattern::Apply { op, operands, .. } => {
            let own = if matches!(&**op, special::SUM | special::PRODUCT) { operands.len() - 1 } else { 1 };
            own + operands.iter().map(operators).sum::<usize>()
        }
        Pattern::Each { body, .. } => operators(body),
        _ => 0,
    }
}

/// Mnemonics in a pattern, outermost first.
pub(super) fn mnemonics(pattern: &Pattern, into: &mut Vec<Name>) {
    match pattern {
        Pattern::Apply { op, operands, .. } => {
            into.push(op.clone());
            operands.iter().for_each(|o| mnemonics(o, into));
        }
        Pattern::Each { body, .. } => mnemonics(body, into),
        _ => {}
    }
}

/// Mnemonics in both sides of a rule.
pub(super) fn all_mnemonics(rule: &Rule) -> BTreeSet<Name> {
    let mut found = Vec::new();
    mnemonics(&rule.left, &mut found);
    mnemonics(&rule.right, &mut found);
    found.into_iter().collect()
}

/// The variables of a pattern.
#[derive(Debug, Default)]
pub(super) struct Variables {
    /// Variables of tensors, in the order of their first occurrence.
    pub(super) tensors: Vec<Name>,
    /// Variables of attributes that an occurrence binds.
    pub(super) bound: Vec<Name>,
    /// Variables of attributes that occur within expressions.
    pub(super) used: Vec<Name>,
    /// Count of numbers.
    pub(super) numbers: usize,
}

impl Variables {
    pub(super) fn of(pattern: &Pattern) -> Variables {
        let mut found = Variables::default();
        found.visit(pattern);
        found
    }

    fn visit(&mut self, pattern: &Pattern) {
        let push = |list: &mut Vec<Name>, name: &Name| {
            if !list.contains(name) {
                list.push(name.clone());
            }
        };
        match pattern {
            Pattern::Variable(name) => push(&mut self.tensors, name),
            Pattern::Number(_) => self.numbers += 1,
            Pattern::Absent => {}
            Pattern::Each { body, .. } => self.visit(body),
            Pattern::Apply { attrs, others, operands, .. } => {
                for (_, expression) in attrs {
                    match expression {
                        Expression::Variable(name) => push(&mut self.bound, name),
                        Expression::Call(_, arguments) => {
                            let mut names = Vec::new();
                            arguments.iter().for_each(|a| within(a, &mut names));
                            names.iter().for_each(|n| push(&mut self.used, n));
                        }
                        _ => {}
                    }
                }
                others.iter().for_each(|o| push(&mut self.bound, o));
                operands.iter().for_each(|o| self.visit(o));
            }
        }
    }
}

fn within(expression: &Expression, into: &mut Vec<Name>) {
    match expression {
        Expression::Variable(name) => into.push(name.clone()),
        Expression::Call(_, arguments) => arguments.iter().for_each(|a| within(a, into)),
        _ => {}
    }
}

/// A pattern with other names of variables. Names that are not in the map stay.
pub(super) fn renamed(pattern: &Pattern, names: &BTreeMap<Name, Name>) -> Pattern {
    let new = |name: &Name| names.get(name).unwrap_or(name).clone();
    match pattern {
        Pattern::Variable(name) => Pattern::Variable(new(name)),
        Pattern::Number(value) => Pattern::Number(*value),
        Pattern::Absent => Pattern::Absent,
        Pattern::Each { list, body } => {
            Pattern::Each { list: list.clone(), body: Box::new(renamed(body, names)) }
        }
        Pattern::Apply { op, attrs, others, operands, tail } => Pattern::Apply {
            op: op.clone(),
            attrs: attrs.iter().map(|(n, e)| (n.clone(), renamed_expression(e, names))).collect(),
            others: others.as_ref().map(new),
            operands: operands.iter().map(|o| renamed(o, names)).collect(),
            tail: tail.clone(),
        },
    }
}

fn renamed_expression(expression: &Expression, names: &BTreeMap<Name, Name>) -> Expression {
    match expression {
        Expression::Variable(name) => Expression::Variable(names.get(name).unwrap_or(name).clone()),
        Expression::Call(function, arguments) => {
            Expression::Call(function, arguments.iter().map(|a| renamed_expression(a, names)).collect())
        }
        other => other.clone(),
    }
}

/// Both sides with names in the order of their first occurrence, so that rules that differ only in names are
/// equal. Attributes that an operator does not have are not named.
pub(super) fn canonical(left: &Pattern, right: &Pattern) -> (String, String) {
    let mut names = BTreeMap::new();
    let variables = Variables::of(left);
    let (tensors, attributes) = (variables.tensors.iter(), variables.bound.iter());
    for (prefix, list) in [("x", tensors.collect::<Vec<_>>()), ("a", attributes.collect())] {
        for (at, name) in list.into_iter().enumerate() {
            names.insert(name.clone(), Name::from(format!("{prefix}{at}")));
        }
    }
    let text = |pattern| plain(&renamed(pattern, &names)).to_string();
    (text(left), text(right))
}

/// The pattern without `[.. ?a]` where an operator has no attributes.
fn plain(pattern: &Pattern) -> Pattern {
    match pattern {
        Pattern::Apply { op, attrs, others, operands, tail } => Pattern::Apply {
            op: op.clone(),
            attrs: attrs.clone(),
            others: others.clone().filter(|_| ops::definition(op).is_none_or(|d| !d.attributes.is_empty())),
            operands: operands.iter().map(plain).collect(),
            tail: tail.clone(),
        },
        Pattern::Each { list, body } => Pattern::Each { list: list.clone(), body: Box::new(plain(body)) },
        other => other.clone(),
    }
}
