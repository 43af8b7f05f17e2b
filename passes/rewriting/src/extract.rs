//! Choosing one term of each class so that the whole is cheap. A term that several others use is counted once.
//!
//! The method is the greedy one over sets of classes (as in the extraction gym's `faster-greedy-dag`). A
//! class's cost set holds every class that its chosen term needs, and a term's cost is that of the union of
//! its operands' sets. Choices improve, in the order of ids, until none does.

use super::{
    cost,
    facts::{Classes, Facts},
    term::Term,
};
use egg::Id;
use mlcc_machine::KernelRates;
use std::collections::{BTreeMap, BTreeSet};

/// A term for each class that an output needs.
pub(super) type Choice = BTreeMap<Id, Term>;

/// A class's best term so far.
struct Best {
    term: Term,
    own: f64,
    total: f64,
    /// The classes that it needs, itself included, as a set of bits over dense indices.
    needs: Vec<u64>,
}

/// The choice of terms.
#[derive(Clone)]
pub(super) struct Extraction {
    /// A term for each class that an output needs.
    pub(super) choice: Choice,
    /// The cost of these terms, each counted once.
    pub(super) total: f64,
    /// The best term of every class, by itself.
    pub(super) best: Choice,
}

/// The cost of a term of a class with these facts, its operands not counted.
pub(super) type Price<'a> = dyn Fn(&Term, &Facts) -> f64 + 'a;

/// The terms found for these outputs that take the least time. `None` if a class has no finite one. `allowed`
/// excludes terms.
pub(super) fn extract(
    rates: &KernelRates,
    classes: &Classes,
    outputs: &[Id],
    allowed: &dyn Fn(&Term) -> bool,
) -> Option<Extraction> {
    let seconds = |term: &Term, facts: &Facts| cost::of_term(rates, classes, term, &facts.ty, facts.weight);
    cheapest(classes, outputs, &seconds, allowed)
}

/// The same by another price.
pub(super) fn cheapest(
    classes: &Classes,
    outputs: &[Id],
    price: &Price<'_>,
    allowed: &dyn Fn(&Term) -> bool,
) -> Option<Extraction> {
    let mut ids: Vec<Id> = classes.classes().map(|c| c.id).collect();
    ids.sort_unstable();
    let dense: BTreeMap<Id, usize> = ids.iter().enumerate().map(|(i, id)| (*id, i)).collect();
    let words = ids.len().div_ceil(64);
    let mut best: Vec<Option<Best>> = ids.iter().map(|_| None).collect();
    // Each round extends the known costs by one level at least, so more rounds than classes cannot help.
    for _ in 0..ids.len() {
        let mut changed = false;
        for (at, id) in ids.iter().enumerate() {
            let class = &classes[*id];
            let mut nodes: Vec<&Term> = class.nodes.iter().filter(|t| allowed(t)).collect();
            nodes.sort_unstable();
            for term in nodes {
                let operands: Option<Vec<usize>> =
                    term.operands.iter().map(|o| dense.get(&classes.find(*o)).copied()).collect();
                let Some(operands) = operands else { continue };
                if !operands.iter().all(|&o| {
                    o != at && best[o].as_ref().is_some_and(|b| b.needs[at / 64] >> (at % 64) & 1 == 0)
                }) {
                    continue;
                }
                let mut needs = vec![0u64; words];
                needs[at / 64] |= 1 << (at % 64);
                for &operand in &operands {
                    if let Some(b) = &best[operand] {
                        needs.iter_mut().zip(&b.needs).for_each(|(n, w)| *n |= w);
                    }
                }
                let own = price(term, &class.data);
                let total = own + others(&needs, at, &best);
                let better = best[at].as_ref().is_none_or(|b| total < b.total - 1e-15);
                if better {
                    best[at] = Some(Best { term: term.clone(), own, total, needs });
                    changed = true;
                }
            }
        }
        if !changed {
            break;
        }
    }
    let mut choice = Choice::new();
    let mut pending: Vec<Id> = outputs.iter().map(|o| classes.find(*o)).collect();
    let mut total = 0.0;
    while let Some(id) = pending.pop() {
        if choice.contains_key(&id) {
            continue;
        }
        let chosen = best[*dense.get(&id)?].as_ref()?;
        total += chosen.own;
        pending.extend(chosen.term.operands.iter().map(|o| classes.find(*o)));
        choice.insert(id, chosen.term.clone());
    }
    let best = ids.iter().zip(best).filter_map(|(id, b)| Some((*id, b?.term))).collect();
    cycle(classes, &choice, outputs).is_none().then_some(Extraction { choice, total, best })
}

/// The own costs of all classes of a set but one.
fn others(needs: &[u64], without: usize, best: &[Option<Best>]) -> f64 {
    let mut sum = 0.0;
    for (word, bits) in needs.iter().enumerate() {
        let mut bits = *bits;
        while bits != 0 {
            let at = word * 64 + bits.trailing_zeros() as usize;
            bits &= bits - 1;
            if at != without {
                sum += best[at].as_ref().map_or(0.0, |b| b.own);
            }
        }
    }
    sum
}

/// Classes in a cycle: each needs the next one, and the last needs the first. `None` if there is no cycle.
/// Choices were made one after the other, so a later one may need a class that an earlier one was part of.
pub(super) fn cycle(classes: &Classes, choice: &Choice, outputs: &[Id]) -> Option<Vec<Id>> {
    let mut done: BTreeSet<Id> = BTreeSet::new();
    for output in outputs {
        // The way from the output, with the operand that is to be visited next.
        let root = classes.find(*output);
        let mut way: Vec<(Id, usize)> = if done.contains(&root) { Vec::new() } else { vec![(root, 0)] };
        while let Some((id, next)) = way.last_mut() {
            let operand = choice.get(id).and_then(|t| t.operands.get(*next));
            *next += 1;
            let Some(operand) = operand.map(|o| classes.find(*o)) else {
                done.insert(*id);
                way.pop();
                continue;
            };
            if let Some(start) = way.iter().position(|(id, _)| *id == operand) {
                return Some(way[start..].iter().map(|(id, _)| *id).collect());
            }
            if !done.contains(&operand) {
                way.push((operand, 0));
            }
        }
    }
    None
}
