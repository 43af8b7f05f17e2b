//! Whether a rule follows from others: both sides meet in an e-graph in which only the others are applied.

use super::{
    environment::{Environment, leaf_type},
    notation::{self, Variables},
};
use crate::gates::sample::{Hint, Random, Sampler};
use egg::Id;
use mlcc_ir::{
    Name,
    attributes::{Attr, Attrs},
    dtype::DType,
    types::TensorType,
};
use mlcc_rewriting::{
    facts::{self, Classes, Known, Leaf},
    instantiate,
    matching::Match,
    rule::{Binding, Bindings, Exactness, Pattern, Rule},
    saturate::{BuiltIn, Limits, saturate},
    term::{Head, Term, special},
};

/// Both sides of a rule in an e-graph.
pub(super) struct Instance {
    classes: Classes,
    left: Id,
    right: Id,
}

/// The effort of looking for a proof.
#[derive(Clone, Copy)]
struct Effort {
    rounds: usize,
    /// Limits of each round.
    limits: Limits,
}

/// For rules that most likely follow, or are kept anyway.
const LITTLE: Effort = Effort { rounds: 4, limits: Limits { iterations: 1, terms: 300, matches: 60 } };
/// For derivations from the axioms.
const MUCH: Effort = Effort { rounds: 6, limits: Limits { iterations: 1, terms: 800, matches: 100 } };

impl Instance {
    /// The instance on an environment's values; `None` if the guard does not hold there or a side has no
    /// type. `of_one_shape`: whether tensors have equal shapes; otherwise they have shapes that are
    /// broadcast.
    pub(super) fn at(environment: &Environment, rule: &Rule, of_one_shape: bool) -> Option<Instance> {
        let mut classes = Classes::new(Known::default());
        let mut bindings: Bindings = environment.attributes.clone();
        for name in Variables::of(&rule.left).tensors.iter().chain(&lists(rule)) {
            let mut ty = leaf_type(name, &environment.dims, DType::F32);
            if !of_one_shape && !matches!(&**name, "x" | "u" | "c") {
                // Other shapes have fewer dimensions, or sizes of 1.
                ty = match &**name {
                    "y" => TensorType::new(ty.dtype, ty.dims[1..].to_vec()),
                    _ => TensorType::of(ty.dtype, &vec![1; ty.dims.len()]),
                };
            }
            let id = leaf(&mut classes, ty)?;
            let is_list = lists(rule).contains(name);
            bindings.set(name, if is_list { Binding::Classes(vec![id, id]) } else { Binding::Class(id) });
        }
        let matched = Match { bindings, ..Match::default() };
        if !rule.guard.iter().all(|g| g.holds(&classes, &matched.bindings)) {
            return None;
        }
        // A number has the element type of a tensor.
        let float = leaf(&mut classes, TensorType::of(DType::F32, &[]))?;
        let left = instantiate::replacement(&mut classes, &rule.left, &matched, float, "")?;
        let right = instantiate::replacement(&mut classes, &rule.right, &matched, float, "")?;
        Instance { classes, left, right }.typed()
    }

    /// A random instance like those of the gates.
    pub(super) fn random(rule: &Rule, random: &mut Random) -> Option<Instance> {
        let mut sampler = Sampler::new(random);
        let left = sampler.build(&rule.left, Hint::default())?;
        let Sampler { mut classes, bindings, .. } = sampler;
        if !rule.guard.iter().all(|g| g.holds(&classes, &bindings)) {
            return None;
        }
        let matched = Match { bindings, ..Match::default() };
        let right = instantiate::replacement(&mut classes, &rule.right, &matched, left, "")?;
        Instance { classes, left, right }.typed()
    }

    fn typed(self) -> Option<Instance> {
        (self.classes[self.left].data.ty == self.classes[self.right].data.ty).then_some(self)
    }

    /// Whether the sides meet.
    fn meets(mut self, rules: &[&Rule], effort: Effort) -> bool {
        let classes = &mut self.classes;
        classes.rebuild();
        let flatten = rules.iter().any(|r| r.class != Exactness::Exact);
        for _ in 0..effort.rounds {
            let before = (classes.total_number_of_nodes(), classes.number_of_classes());
            saturate(classes, &[], rules, BuiltIn { flatten, merge: false, narrow: false }, effort.limits);
            if classes.find(self.left) == classes.find(self.right) {
                return true;
            }
            let after = (classes.total_number_of_nodes(), classes.number_of_classes());
            if after == before || after.0 > effort.limits.terms {
                break;
            }
        }
        false
    }
}

/// List variables of a rule's left side.
fn lists(rule: &Rule) -> Vec<Name> {
    fn visit(pattern: &Pattern, into: &mut Vec<Name>) {
        if let Pattern::Apply { operands, tail, .. } = pattern {
            into.extend(tail.clone());
            operands.iter().for_each(|o| visit(o, into));
        }
    }
    let mut found = Vec::new();
    visit(&rule.left, &mut found);
    found
}

/// A leaf without known facts, except that it may be a weight.
fn leaf(classes: &mut Classes, ty: TensorType) -> Option<Id> {
    let index = classes.analysis.leaves.len() as i64;
    classes.analysis.leaves.push(Leaf { ty, known: None, weight: true, uniform: None });
    let attrs = Attrs::new().with("index", Attr::Int(index));
    facts::add(classes, Term::new(Head::new(special::LEAF, attrs, u64::MAX), Vec::new()))
}

/// Whether a rule follows from others on the environments' values: on tensors of one shape and on broadcast
/// tensors, wherever it has an instance.
pub(super) fn follows(environments: &[Environment], rule: &Rule, rules: &[&Rule]) -> bool {
    let mut instances = 0;
    // Real environments have the same types as exact ones.
    for environment in environments.iter().filter(|e| e.exact) {
        let shapes: &[bool] =
            if Variables::of(&rule.left).tensors.len() > 1 { &[true, false] } else { &[true] };
        for &of_one_shape in shapes {
            if let Some(instance) = Instance::at(environment, rule, of_one_shape) {
                instances += 1;
                if !instance.meets(rules, LITTLE) {
                    return false;
                }
            }
        }
    }
    instances > 0
}

/// Random instances on which a rule must follow.
const INSTANCES: usize = 3;
/// Attempts to find them.
const ATTEMPTS: usize = 4000;

/// Whether a rule follows from others on random instances of it.
pub(super) fn follows_at_random(rule: &Rule, rules: &[&Rule]) -> bool {
    at_random(rule, rules, LITTLE)
}

fn at_random(rule: &Rule, rules: &[&Rule], effort: Effort) -> bool {
    let mut random = Random::new(&rule.name);
    let instances = (0..ATTEMPTS).filter_map(|_| Instance::random(rule, &mut random));
    let mut met = 0;
    for instance in instances.take(INSTANCES) {
        if !instance.meets(rules, effort) {
            return false;
        }
        met += 1;
    }
    met > 0
}

/// Whether a rule follows from the axioms about its operators. An exact rule must follow from exact axioms.
pub(super) fn is_derived(rule: &Rule, axioms: &[&Rule]) -> bool {
    let own = notation::all_mnemonics(rule);
    let mut operators = own.clone();
    let all = |pattern: &Pattern| {
        let mut operators = Vec::new();
        notation::mnemonics(pattern, &mut operators);
        operators
    };
    let exact: Vec<&Rule> = axioms.iter().copied().filter(|a| a.class <= rule.class).collect();
    // Operators reachable from those of the rule.
    for _ in 0..2 {
        let reached = exact.iter().filter(|a| all(&a.left).iter().all(|op| operators.contains(op)));
        let more: Vec<Name> = reached.filter(|a| a.left.op().is_some()).flat_map(|a| all(&a.right)).collect();
        operators.extend(more);
    }
    let relevant = |a: &&&Rule| all(&a.left).iter().all(|op| operators.contains(op));
    let rewriting: Vec<&Rule> =
        exact.iter().filter(|a| a.left.op().is_some()).filter(relevant).copied().collect();
    if at_random(rule, &rewriting, MUCH) {
        return true;
    }
    // Terms that may be introduced around any term, with the rule's own operators only.
    let introduced = exact
        .iter()
        .filter(|a| a.left.op().is_none() && all(&a.right).iter().all(|op| own.contains(op)))
        .copied();
    let every: Vec<&Rule> = rewriting.iter().copied().chain(introduced).collect();
    every.len() > rewriting.len() && at_random(rule, &every, MUCH)
}
