//! The cheapest terms by integer programming, behind the greedy choice.
//!
//! The greedy choice looks at one class at a time. So it never takes a term that pays only if several classes
//! share it: one product instead of three, where each class needs a slice of it. Here each term is a variable
//! of 0 or 1, each class that is needed has one term, and the sum of the terms' costs is least. If a solution
//! has a cycle, the cycle is cut. The search starts from the greedy choice, and keeps it if it finds nothing
//! better within its limits, which are counts.

use super::{
    cost,
    extract::{self, Choice, Extraction},
    facts::Classes,
    term::Term,
};
use egg::Id;
use microlp::{
    ComparisonOp, LinearExpr, OptimizationDirection, Problem, SolveOptions, SolveOutcome, Variable,
};
use mlcc_machine::KernelRates;
use std::collections::{BTreeMap, BTreeSet};

/// With more terms than this, the greedy choice stays.
const MAX_TERMS: usize = 1200;
/// Nodes of the branch and bound search.
const MAX_NODES: u64 = 200;
/// Most solutions with a cycle before the search gives up.
const MAX_ROUNDS: usize = 24;
/// Costs are seconds; the solver's tolerances are made for numbers of about 1.
const UNIT: f64 = 1e6;

/// A choice that is cheaper than the greedy one; `None` if there is none or it was not found.
pub(super) fn improve(
    rates: &KernelRates,
    classes: &Classes,
    outputs: &[Id],
    allowed: &dyn Fn(&Term) -> bool,
    greedy: &Extraction,
) -> Option<Choice> {
    let roots: BTreeSet<Id> =
        outputs.iter().map(|o| classes.find(*o)).filter(|r| !is_free(classes, *r)).collect();
    let candidates = candidates(rates, classes, &roots, allowed, greedy.total)?;
    // Where no class has a second term, there is nothing to choose.
    if candidates.values().all(|terms| terms.len() < 2) {
        return None;
    }
    let mut program = IntegerProgram::new(classes, &roots, &candidates, greedy);
    for _ in 0..MAX_ROUNDS {
        let choice = program.solve(classes, &roots)?;
        match extract::cycle(classes, &choice, outputs) {
            None => return complete(rates, classes, outputs, choice, greedy),
            Some(cycle) => program.cut(&choice, &cycle),
        }
    }
    None
}

/// Whether a class is computed when the model is compiled: the greedy choice is good enough for such classes.
fn is_free(classes: &Classes, id: Id) -> bool {
    classes[id].data.weight
}

/// Operands of a term that are computed when the model runs.
fn operands(classes: &Classes, term: &Term) -> BTreeSet<Id> {
    term.operands.iter().map(|o| classes.find(*o)).filter(|o| !is_free(classes, *o)).collect()
}

/// The terms that a choice cheaper than `most` may have, by class; `None` if they are too many.
fn candidates(
    rates: &KernelRates,
    classes: &Classes,
    roots: &BTreeSet<Id>,
    allowed: &dyn Fn(&Term) -> bool,
    most: f64,
) -> Option<BTreeMap<Id, Vec<Candidate>>> {
    let mut found: BTreeMap<Id, Vec<Candidate>> = BTreeMap::new();
    let mut pending: Vec<Id> = roots.iter().copied().collect();
    while let Some(id) = pending.pop() {
        if found.contains_key(&id) {
            continue;
        }
        let class = &classes[id];
        let mut terms: Vec<Candidate> = class
            .nodes
            .iter()
            .filter(|t| allowed(t))
            .map(|term| Candidate {
                term: term.clone(),
                own: cost::of_term(rates, classes, term, &class.data.ty, class.data.weight),
                operands: operands(classes, term),
            })
            .filter(|c| !c.operands.contains(&id))
            .collect();
        terms.sort_by(|a, b| a.term.cmp(&b.term));
        pending.extend(terms.iter().flat_map(|t| t.operands.iter().copied()));
        found.insert(id, terms);
    }
    let least = least(&found);
    for terms in found.values_mut() {
        terms.retain(|t| t.least(&least) <= most);
        let all = terms.clone();
        let mut at = 0;
        // A term that needs more classes than another and costs no less is never better.
        terms.retain(|t| {
            at += 1;
            !all.iter().enumerate().any(|(other, o)| {
                let no_worse = o.own <= t.own && o.operands.is_subset(&t.operands);
                let equal = o.own >= t.own && o.operands == t.operands;
                no_worse && (!equal || other < at - 1)
            })
        });
    }
    (found.values().map(Vec::len).sum::<usize>() <= MAX_TERMS).then_some(found)
}

/// A term that may be chosen.
#[derive(Clone)]
struct Candidate {
    term: Term,
    own: f64,
    operands: BTreeSet<Id>,
}

impl Candidate {
    /// The least cost of the term: its dearest operand must be there too.
    fn least(&self, least: &BTreeMap<Id, f64>) -> f64 {
        let of = |o: &Id| least.get(o).copied().unwrap_or(f64::INFINITY);
        self.own + self.operands.iter().map(of).fold(0.0, f64::max)
    }
}

/// The least cost of each class.
fn least(candidates: &BTreeMap<Id, Vec<Candidate>>) -> BTreeMap<Id, f64> {
    let mut least = BTreeMap::new();
    loop {
        let mut changed = false;
        for (id, terms) in candidates {
            let best = terms.iter().map(|t| t.least(&least)).fold(f64::INFINITY, f64::min);
            if best < least.get(id).copied().unwrap_or(f64::INFINITY) {
                least.insert(*id, best);
                changed = true;
            }
        }
        if !changed {
            return least;
        }
    }
}

struct IntegerProgram<'a> {
    problem: Problem,
    candidates: &'a BTreeMap<Id, Vec<Candidate>>,
    variables: BTreeMap<Id, Vec<Variable>>,
    start: Vec<(Variable, f64)>,
}

impl<'a> IntegerProgram<'a> {
    fn new(
        classes: &Classes,
        roots: &BTreeSet<Id>,
        candidates: &'a BTreeMap<Id, Vec<Candidate>>,
        greedy: &Extraction,
    ) -> IntegerProgram<'a> {
        let mut problem = Problem::new(OptimizationDirection::Minimize);
        let mut variables: BTreeMap<Id, Vec<Variable>> = BTreeMap::new();
        let mut start = Vec::new();
        for (id, terms) in candidates {
            for term in terms {
                let variable = problem.add_binary_var(term.own * UNIT);
                start.push((variable, f64::from(u8::from(greedy.choice.get(id) == Some(&term.term)))));
                variables.entry(*id).or_default().push(variable);
            }
        }
        let one_of = |id: &Id, factor: f64| {
            let mut sum = LinearExpr::empty();
            variables.get(id).into_iter().flatten().for_each(|v| sum.add(*v, factor));
            sum
        };
        for root in roots {
            problem.add_constraint(one_of(root, 1.0), ComparisonOp::Eq, 1.0);
        }
        // If a term of one class is chosen and it needs another class, that class has a term too.
        for (id, terms) in candidates {
            let needed: BTreeSet<Id> = terms.iter().flat_map(|t| t.operands.iter().copied()).collect();
            for operand in needed.iter().filter(|o| !roots.contains(&classes.find(**o))) {
                let mut users = one_of(operand, -1.0);
                for (term, variable) in terms.iter().zip(&variables[id]) {
                    if term.operands.contains(operand) {
                        users.add(*variable, 1.0);
                    }
                }
                problem.add_constraint(users, ComparisonOp::Le, 0.0);
            }
        }
        IntegerProgram { problem, candidates, variables, start }
    }

    /// The terms that outputs need, from the best solution found.
    fn solve(&self, classes: &Classes, roots: &BTreeSet<Id>) -> Option<Choice> {
        let mut options = SolveOptions::default();
        options.node_limit = Some(MAX_NODES);
        options.warm_start = Some(self.start.clone());
        let solution = match self.problem.solve_with(options) {
            Ok(SolveOutcome::Solution(solution)) => solution,
            Ok(_) => return None,
            Err(error) => {
                tracing::debug!(%error, "the integer program has no solution");
                return None;
            }
        };
        let mut choice = Choice::new();
        let mut pending: Vec<Id> = roots.iter().copied().collect();
        while let Some(id) = pending.pop() {
            if choice.contains_key(&id) {
                continue;
            }
            let chosen = self.variables.get(&id)?.iter().position(|v| solution.var_value(*v) > 0.5)?;
            let term = &self.candidates[&id][chosen];
            pending.extend(term.operands.iter().map(|o| classes.find(*o)));
            choice.insert(id, term.term.clone());
        }
        Some(choice)
    }

    /// Forbids the chosen terms of these classes together.
    fn cut(&mut self, choice: &Choice, cycle: &[Id]) {
        let mut sum = LinearExpr::empty();
        for id in cycle {
            let chosen = self.candidates[id].iter().position(|t| choice.get(id) == Some(&t.term));
            if let Some(at) = chosen {
                sum.add(self.variables[id][at], 1.0);
            }
        }
        self.problem.add_constraint(sum, ComparisonOp::Le, cycle.len() as f64 - 1.0);
    }
}

/// The choice with the terms that it needs of weights; `None` if it is no cheaper than the greedy one.
fn complete(
    rates: &KernelRates,
    classes: &Classes,
    outputs: &[Id],
    mut choice: Choice,
    greedy: &Extraction,
) -> Option<Choice> {
    let own = |(id, term): (&Id, &Term)| {
        cost::of_term(rates, classes, term, &classes[*id].data.ty, classes[*id].data.weight)
    };
    if choice.iter().map(own).sum::<f64>() >= greedy.total - 1e-12 {
        return None;
    }
    let mut pending: Vec<Id> = outputs.iter().map(|o| classes.find(*o)).collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = pending.pop() {
        if !seen.insert(id) {
            continue;
        }
        if is_free(classes, id) {
            choice.insert(id, greedy.best.get(&id)?.clone());
        }
        pending.extend(choice.get(&id)?.operands.iter().map(|o| classes.find(*o)));
    }
    extract::cycle(classes, &choice, outputs).is_none().then_some(choice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        facts::{self, Known, Leaf},
        term::{Head, special},
    };
    use mlcc_ir::{
        attributes::{Attr, Attrs},
        dtype::DType,
        types::TensorType,
    };
    use mlcc_machine::Machine;

    fn leaf(classes: &mut Classes, dims: &[i64], weight: bool) -> Id {
        let index = classes.analysis.leaves.len() as i64;
        let ty = TensorType::of(DType::F32, dims);
        classes.analysis.leaves.push(Leaf { ty, known: None, weight, uniform: None });
        let head = Head::new(special::LEAF, Attrs::new().with("index", Attr::Int(index)), u64::MAX);
        facts::add(classes, Term::new(head, Vec::new())).expect("well typed")
    }

    fn apply(classes: &mut Classes, op: &str, attrs: Attrs, operands: &[Id]) -> Id {
        let operands: Vec<Option<Id>> = operands.iter().copied().map(Some).collect();
        facts::apply(classes, op, attrs, &operands).expect("well typed")
    }

    fn count(choice: &Choice, op: &str) -> usize {
        choice.values().filter(|t| &*t.head.op == op).count()
    }

    /// Three products of one small operand. One alone is cheaper than the product with all weights, but three
    /// together are not. Beside them, two classes could be each other's negation.
    fn merged() -> (Classes, Vec<Id>) {
        let mut classes = Classes::new(Known::default());
        let x = leaf(&mut classes, &[1, 8], false);
        let weights: Vec<Id> = (0..3).map(|_| leaf(&mut classes, &[8, 4], true)).collect();
        let all = apply(&mut classes, "concat", Attrs::new().with("axis", Attr::Int(1)), &weights);
        let whole = apply(&mut classes, "matmul", Attrs::new(), &[x, all]);
        let mut outputs = Vec::new();
        for (at, weight) in weights.into_iter().enumerate() {
            let product = apply(&mut classes, "matmul", Attrs::new(), &[x, weight]);
            let attrs = Attrs::new()
                .with("starts", Attr::Ints(vec![0, 4 * at as i64]))
                .with("sizes", Attr::Ints(vec![1, 4]))
                .with("steps", Attr::Ints(vec![1, 1]));
            let part = apply(&mut classes, "slice", attrs, &[whole]);
            classes.union(product, part);
            outputs.push(product);
        }
        let first = apply(&mut classes, "exp", Attrs::new(), &[x]);
        let second = apply(&mut classes, "neg", Attrs::new(), &[first]);
        let back = apply(&mut classes, "neg", Attrs::new(), &[second]);
        classes.union(first, back);
        classes.rebuild();
        outputs.extend([first, second]);
        (classes, outputs)
    }

    #[test]
    fn what_several_classes_share_is_found_and_cycles_are_cut() {
        let (classes, outputs) = merged();
        let greedy = extract::extract(&KernelRates::of(&Machine::usual()), &classes, &outputs, &|_| true)
            .expect("extracts");
        assert_eq!(count(&greedy.choice, "matmul"), 3);
        let choice = improve(&KernelRates::of(&Machine::usual()), &classes, &outputs, &|_| true, &greedy)
            .expect("is cheaper");
        assert_eq!((count(&choice, "matmul"), count(&choice, "slice"), count(&choice, "exp")), (1, 3, 1));
        assert!(extract::cycle(&classes, &choice, &outputs).is_none());
    }

    #[test]
    fn what_is_not_allowed_is_not_chosen() {
        let (classes, outputs) = merged();
        let allowed = |term: &Term| &*term.head.op != "slice";
        let greedy = extract::extract(&KernelRates::of(&Machine::usual()), &classes, &outputs, &allowed)
            .expect("extracts");
        assert!(
            improve(&KernelRates::of(&Machine::usual()), &classes, &outputs, &allowed, &greedy).is_none()
        );
    }

    #[test]
    fn cycles_are_found() {
        let (classes, outputs) = merged();
        let mut choice = extract::extract(&KernelRates::of(&Machine::usual()), &classes, &outputs, &|_| true)
            .expect("extracts")
            .choice;
        assert_eq!(extract::cycle(&classes, &choice, &outputs), None);
        let first = classes.find(outputs[3]);
        let back = classes[first].nodes.iter().find(|t| &*t.head.op == "neg").expect("is a negation too");
        choice.insert(first, back.clone());
        assert_eq!(extract::cycle(&classes, &choice, &outputs).map(|c| c.len()), Some(2));
    }
}
