//! The gates that every rule passes before it ships, run by `cargo xtask rules --check` and by the tests.
//!
//! A rule's left side is instantiated at random ([`sample`]) with tiny shapes (sizes of 1, odd ones, unequal ones,
//! strides, groups), which its guard accepts or not; then both sides are executed by the reference interpreter:
//!
//! | Class | Small integers | Random numbers | NaN, infinities, zeros of both signs |
//! |---|---|---|---|
//! | exact | every bit | every bit | every bit |
//! | reassociating | equal, where only sums and products occur | 1e-5 in norm | |
//! | approximate | 1e-5 in norm | 1e-5 in norm | |
//!
//! Infinities and NaN are compared for exact rules only: another order of sums may make one of the other.
//!
//! Small integers make the arithmetic of sums and products exact, so equality there is equality of polynomials at
//! random points: by the Schwartz-Zippel lemma, a wrong rule is found with the first few samples.

mod graphs;
pub(super) mod sample;

pub use graphs::random_graph;

use super::{
    check,
    extract::Choice,
    facts::Classes,
    instantiate,
    matching::{self, Match},
    origins::Origins,
    rule::{Exactness, Pattern, Rule},
    saturate::{BuiltIn, Limits, saturate},
    shrink::Shrink,
    template,
};
use egg::Id;
use mlcc_ir::{
    Name,
    dtype::DType,
    graph::Graph,
    tensor::{Element, Tensor, push_element},
};
use sample::{Random, Sampler};

/// Instances of a rule that must be found and agree.
pub const INSTANCES: usize = 24;
/// Attempts to find them.
const ATTEMPTS: usize = 60_000;
/// Relative error in norm that rounding may make.
const TOLERANCE: f64 = 1e-5;

/// Square of the size of results below which most has cancelled.
const CANCELLED: f64 = 0.05;

/// Values that leaves are filled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Values {
    Integers,
    Reals,
    Special,
}

/// Puts a rule through the gates; how many instances were compared.
///
/// # Errors
/// What is wrong with the rule, with the instance that shows it.
pub fn check(rule: &Rule, instances: usize) -> Result<usize, String> {
    check_within(rule, instances, ATTEMPTS)
}

/// As [`check`], with so many attempts to find instances.
pub(super) fn check_within(rule: &Rule, instances: usize, attempts: usize) -> Result<usize, String> {
    let mut random = Random::new(&rule.name);
    let mut accepted = 0;
    for _ in 0..attempts {
        if accepted == instances {
            break;
        }
        accepted += usize::from(instance(rule, &mut random)?);
    }
    if accepted == 0 {
        return Err(format!("rule '{}': its guard accepts no instance in {attempts} attempts", rule.name));
    }
    Ok(accepted)
}

/// One instance: whether the guard accepts it.
fn instance(rule: &Rule, random: &mut Random) -> Result<bool, String> {
    let mut sampler = Sampler::new(random);
    let Some(root) = sampler.build(&rule.left, sample::Hint::default()) else { return Ok(false) };
    let Sampler { mut classes, bindings, .. } = sampler;
    if !rule.guard.iter().all(|g| g.holds(&classes, &bindings)) {
        return Ok(false);
    }
    classes.rebuild();
    if matching::search(&classes, rule, usize::MAX).iter().all(|(found, _)| *found != root) {
        return Err(format!(
            "rule '{}' ({}): its left side does not match what it describes",
            rule.name, rule.text
        ));
    }
    let matched = Match { bindings, ..Match::default() };
    let Some(new) = instantiate::replacement(&mut classes, &rule.right, &matched, root, "") else {
        return Ok(false);
    };
    // The engine refuses a replacement of another type: such an instance is outside of the rule's domain.
    if classes[root].data.ty != classes[new].data.ty {
        return Ok(false);
    }
    let Some((left, right)) = side(&classes, root).zip(side(&classes, new)) else { return Ok(false) };
    let polynomial = is_polynomial(&rule.left) && is_polynomial(&rule.right);
    for values in [Values::Integers, Values::Reals, Values::Special] {
        if values == Values::Special && rule.class != Exactness::Exact {
            continue;
        }
        let inputs = fill(&classes, values, random);
        let run = |graph: &Graph| mlcc_interpreter::graph::run(graph, &inputs).ok()?.into_iter().next();
        let Some((wanted, found)) = run(&left).zip(run(&right)) else { return Ok(false) };
        if let Some(what) = disagreement(rule.class, values, polynomial, &wanted, &found) {
            let shapes: Vec<String> = inputs.iter().map(|t| t.ty().to_string()).collect();
            return Err(format!(
                "rule '{}' ({}): {what} with {values:?}, leaves {}",
                rule.name,
                rule.text,
                shapes.join(", ")
            ));
        }
    }
    Ok(true)
}

/// What came of random graphs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Graphs that were compared.
    pub compared: usize,
    /// Graphs of these that were rewritten.
    pub rewritten: usize,
}

/// Rewrites `count` random graphs and compares them with what they were, in the interpreter.
///
/// # Errors
/// With the first seed whose graphs disagree.
pub fn check_graphs(rules: &[Rule], count: usize) -> Result<Summary, String> {
    let mut summary = Summary::default();
    for seed in 0.. {
        if summary.compared == count {
            break;
        }
        let Some((graph, inputs)) = random_graph(rules, seed) else { continue };
        let Some(wanted) = mlcc_interpreter::graph::run(&graph, &inputs).ok() else { continue };
        // Infinite numbers (divisions by zero) may become none at all: rules are about numbers.
        if wanted.iter().any(|t| t.to_f64().iter().any(|v| !v.is_finite())) {
            continue;
        }
        let mut after = graph.clone();
        let settings = super::Settings::default();
        let mut report = super::recognise::run(&mut after, &settings)
            .map_err(|e| format!("seed {seed}: recognising: {e}"))?;
        let rewritten = super::run(&mut after, &settings).map_err(|e| format!("seed {seed}: {e}"))?;
        report.blocks.extend(rewritten.blocks);
        report.dropped.extend(rewritten.dropped);
        let applied: Vec<String> =
            report.blocks.iter().flat_map(|b| b.applied.iter().map(|a| a.rule.to_string())).collect();
        let failed = |what: String| format!("seed {seed}, rules {}: {what}", applied.join(", "));
        if let Some(dropped) = report.dropped.first() {
            let rules: Vec<&str> = dropped.applied.iter().map(|a| &*a.rule).collect();
            return Err(format!("seed {seed}: dropped with error {}: {}", dropped.error, rules.join(", ")));
        }
        let found = mlcc_interpreter::graph::run(&after, &inputs).map_err(|e| failed(e.to_string()))?;
        for (w, f) in wanted.iter().zip(&found) {
            if let Some(what) = disagreement(Exactness::Approximate, Values::Reals, false, w, f) {
                return Err(failed(what));
            }
        }
        summary.compared += 1;
        summary.rewritten += usize::from(report.changes() > 0);
    }
    Ok(summary)
}

/// Terms of an e-graph in which a derivation is looked for.
const DERIVATION: Limits = Limits { iterations: 8, terms: 6000, matches: 400 };
/// Instances whose derivation is looked for.
const DERIVATIONS: usize = 4;

/// Whether a rule follows from others: both sides of an instance meet in an e-graph that only they are applied in.
/// Of `known`, those that the rule names are taken (all, if it names none) which change no more bits than it does.
///
/// # Errors
/// With the instance that cannot be derived.
pub fn derive(rule: &Rule, known: &[&Rule]) -> Result<(), String> {
    let named = |name: &Name, r: &Rule| r.schema == *name || r.name == *name;
    for name in &rule.from {
        match known.iter().find(|r| named(name, r)) {
            None => return Err(format!("rule '{}': there is no axiom or earlier rule '{name}'", rule.name)),
            Some(r) if r.class > rule.class => {
                return Err(format!("rule '{}' cannot follow from '{name}', which is less exact", rule.name));
            }
            Some(_) => {}
        }
    }
    let usable = |r: &&Rule| {
        r.class <= rule.class && (rule.from.is_empty() || rule.from.iter().any(|name| named(name, r)))
    };
    let usable: Vec<&Rule> = known.iter().copied().filter(usable).collect();
    let mut random = Random::new(&rule.name);
    let mut derived = 0;
    for _ in 0..ATTEMPTS {
        let mut sampler = Sampler::new(&mut random);
        let Some(root) = sampler.build(&rule.left, sample::Hint::default()) else { continue };
        let Sampler { mut classes, bindings, .. } = sampler;
        if !rule.guard.iter().all(|g| g.holds(&classes, &bindings)) {
            continue;
        }
        let matched = Match { bindings, ..Match::default() };
        let Some(new) = instantiate::replacement(&mut classes, &rule.right, &matched, root, "") else {
            continue;
        };
        if classes[root].data.ty != classes[new].data.ty {
            continue;
        }
        classes.rebuild();
        classes.analysis.born.clear();
        let built_in = BuiltIn { flatten: rule.class != Exactness::Exact, merge: false };
        saturate(&mut classes, &[], &usable, built_in, DERIVATION);
        if classes.find(root) != classes.find(new) {
            let leaves: Vec<String> = classes.analysis.leaves.iter().map(|l| l.ty.to_string()).collect();
            return Err(format!("rule '{}' is not derived, leaves {}", rule.name, leaves.join(", ")));
        }
        derived += 1;
        if derived == DERIVATIONS {
            break;
        }
    }
    if derived == 0 { Err(format!("rule '{}': its guard accepts no instance", rule.name)) } else { Ok(()) }
}

/// One side of a rule as a graph over all leaves. Nothing has been united, so each class has one term.
fn side(classes: &Classes, root: Id) -> Option<Graph> {
    let mut choice = Choice::new();
    for class in classes.classes() {
        choice.insert(class.id, class.nodes.first()?.clone());
    }
    let template = template::template(classes, &choice, &[root], &Origins::default())?;
    check::build(&template, &classes.analysis.leaves, &Shrink::new())
}

/// Whether a pattern is sums and products and what moves elements: over integers it is computed without rounding.
fn is_polynomial(pattern: &Pattern) -> bool {
    const OPERATORS: &[&str] = &[
        "sum",
        "product",
        "neg",
        "matmul",
        "conv",
        "reduce_sum",
        "transpose",
        "reshape",
        "slice",
        "concat",
        "expand",
        "pad",
        "gather",
        "eye",
        "abs",
        "relu",
        "max",
        "min",
        "reduce_max",
        "reduce_min",
        "max_pool",
    ];
    match pattern {
        Pattern::Apply { op, operands, .. } => {
            OPERATORS.contains(&&**op) && operands.iter().all(is_polynomial)
        }
        Pattern::Each { body, .. } => is_polynomial(body),
        _ => true,
    }
}

fn fill(classes: &Classes, values: Values, random: &mut Random) -> Vec<Tensor> {
    const SPECIAL: [f64; 10] =
        [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0];
    let mut tensors = Vec::new();
    for leaf in &classes.analysis.leaves {
        let dims = leaf.ty.static_dims().unwrap_or_default();
        let mut data = Vec::new();
        for _ in 0..dims.iter().product::<i64>() {
            let element = match (leaf.ty.dtype, leaf.uniform) {
                (DType::Bool, _) => Element::Int(random.below(2) as i64),
                (_, Some(value)) => Element::Float(value),
                _ => Element::Float(match values {
                    Values::Integers => random.below(7) as f64 - 3.0,
                    Values::Reals => random.unit() * 2.0 - 1.0,
                    Values::Special => SPECIAL[random.below(SPECIAL.len())],
                }),
            };
            push_element(leaf.ty.dtype, &mut data, element);
        }
        tensors.extend(Tensor::new(leaf.ty.dtype, dims, data.into()));
    }
    tensors
}

fn disagreement(
    class: Exactness,
    values: Values,
    polynomial: bool,
    wanted: &Tensor,
    found: &Tensor,
) -> Option<String> {
    let (w, f) = (wanted.to_f64(), found.to_f64());
    let same_bits = |(a, b): (&f64, &f64)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
    match (class, values) {
        (Exactness::Exact, _) => {
            let at = w.iter().zip(&f).position(|p| !same_bits(p))?;
            Some(format!("element {at} is {:?} on the left and {:?} on the right", w[at], f[at]))
        }
        (Exactness::Reassociating, Values::Integers) if polynomial => {
            let at = w.iter().zip(&f).position(|(a, b)| a != b && !(a.is_nan() && b.is_nan()))?;
            Some(format!("element {at} is {:?} on the left and {:?} on the right", w[at], f[at]))
        }
        _ => {
            let (mut error, mut norm) = (0.0, 0.0);
            for (a, b) in w.iter().zip(&f) {
                if a.is_finite() && b.is_finite() {
                    error += (a - b).powi(2);
                    norm += a.powi(2);
                } else if !(a.is_nan() && b.is_nan() || a == b) {
                    return Some(format!("an element is {a:?} on the left and {b:?} on the right"));
                }
            }
            // Where most cancels, rounding is measured against what was summed: numbers of about 1.
            let relative = (error / f64::max(norm, CANCELLED * w.len() as f64)).sqrt();
            (relative > TOLERANCE).then(|| format!("the relative error in norm is {relative:.1e}"))
        }
    }
}
