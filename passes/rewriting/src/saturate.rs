//! Applies rules until nothing new is found or a limit is reached. Limits are counts, so that the result does
//! not depend on the clock.

use super::{
    facts::{self, Classes},
    instantiate,
    matching::{self, Match},
    merge,
    rule::{Exactness, Rule},
    term::{Term, special},
    transformations::FLATTEN,
};
use egg::Id;
use mlcc_ir::{Name, dtype::DType};

/// Limits of a search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Rounds over all rules.
    pub iterations: usize,
    /// Terms of an e-graph.
    pub terms: usize,
    /// Matches of a rule in a round.
    pub matches: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { iterations: 8, terms: 20_000, matches: 400 }
    }
}

/// An application of a rule that made new terms.
#[derive(Clone, Debug)]
pub struct Firing {
    pub(super) rule: Name,
    /// The class whose term was rewritten.
    pub(super) root: Id,
    /// The terms that the left side matched.
    pub(super) matched: Vec<Term>,
    /// The terms that did not exist before.
    pub(super) made: Vec<Term>,
}

impl Firing {
    pub(super) fn of(rule: &str, root: Id, matched: Vec<Term>) -> Firing {
        Firing { rule: rule.into(), root, matched, made: Vec::new() }
    }
}

/// Nested sums are not merged into one with more operands than this.
const MAX_OPERANDS: usize = 8;

/// The transformations besides the rules.
#[derive(Clone, Copy, Debug)]
pub struct BuiltIn {
    /// Whether sums of sums may become one sum, which changes the order of additions.
    pub flatten: bool,
    /// Whether products of one operand may become one product.
    pub merge: bool,
    /// Whether rules that round differently apply to elements of 16 bits, whose rounding errors are large. It
    /// is set where rules save rounding, as for an operator that takes the place of its parts.
    pub narrow: bool,
}

/// Applies the rules; returns what they made, in order. `own`: the classes that the block itself computes.
pub fn saturate(
    classes: &mut Classes,
    own: &[Id],
    rules: &[&Rule],
    built_in: BuiltIn,
    limits: Limits,
) -> Vec<Firing> {
    let mut firings = Vec::new();
    for _ in 0..limits.iterations {
        let before = (classes.total_number_of_nodes(), classes.number_of_classes());
        let mut found: Vec<(&Rule, Id, Match)> = Vec::new();
        for rule in rules {
            let matches = matching::search(classes, rule, limits.matches);
            let allowed = matches
                .into_iter()
                .filter(|(root, _)| rule.class == Exactness::Exact || built_in.rounds(classes, *root));
            found.extend(allowed.map(|(root, matched)| (*rule, root, matched)));
        }
        for (rule, root, matched) in found {
            if classes.total_number_of_nodes() > limits.terms {
                break;
            }
            let op = rule.left.op().cloned().unwrap_or_else(|| "".into());
            let new = instantiate::replacement(classes, &rule.right, &matched, root, &op);
            record(classes, &mut firings, Firing::of(&rule.name, root, matched.terms), new);
        }
        if built_in.flatten {
            for (root, term) in nested(classes, built_in) {
                let new = facts::add(classes, term.1);
                record(classes, &mut firings, Firing::of(FLATTEN.name, root, vec![term.0]), new);
            }
        }
        let groups = if built_in.merge { merge::search(classes, own) } else { Vec::new() };
        for merged in groups {
            merge::apply(classes, &merged, &mut firings);
        }
        classes.rebuild();
        if (classes.total_number_of_nodes(), classes.number_of_classes()) == before
            || classes.total_number_of_nodes() > limits.terms
        {
            break;
        }
    }
    firings
}

/// Unites the classes if their types agree, and notes the new terms, if there are any.
pub(super) fn record(classes: &mut Classes, firings: &mut Vec<Firing>, firing: Firing, new: Option<Id>) {
    let made = std::mem::take(&mut classes.analysis.born);
    let root = firing.root;
    let Some(new) = new.filter(|&n| classes[n].data.ty == classes[root].data.ty) else { return };
    classes.union(root, new);
    if !made.is_empty() {
        firings.push(Firing { made, ..firing });
    }
}

impl BuiltIn {
    /// Whether a change of rounding is harmless: elements of 16 bits are rounded after each operator, with
    /// large errors.
    fn rounds(self, classes: &Classes, id: Id) -> bool {
        self.narrow || !matches!(classes[id].data.ty.dtype, DType::F16 | DType::BF16)
    }
}

/// Sums with a sum among their operands (and products likewise): the class, the term, and the term without
/// the inner one.
fn nested(classes: &Classes, built_in: BuiltIn) -> Vec<(Id, (Term, Term))> {
    let mut found = Vec::new();
    for op in [special::SUM, special::PRODUCT] {
        let mut roots: Vec<Id> = classes.classes_for_op(&op.into()).into_iter().flatten().collect();
        roots.sort_unstable();
        for root in roots.into_iter().filter(|r| built_in.rounds(classes, *r)) {
            for term in classes[root].nodes.iter().filter(|t| &*t.head.op == op) {
                for (at, operand) in term.operands.iter().enumerate() {
                    for inner in classes[*operand].nodes.iter().filter(|t| t.head == term.head) {
                        if term.operands.len() + inner.operands.len() - 1 > MAX_OPERANDS
                            || inner.operands.contains(operand)
                            || inner.operands.contains(&root)
                        {
                            continue;
                        }
                        let mut operands = term.operands.clone();
                        operands.remove(at);
                        operands.extend(&inner.operands);
                        found.push((root, (term.clone(), Term::new(term.head.clone(), operands))));
                    }
                }
            }
        }
    }
    found
}
