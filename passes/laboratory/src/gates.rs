//! The gates that every rule and every axiom passes before it ships, run by `cargo xtask rules --check` and by the
//! tests.
//!
//! A rule's left side is instantiated at random ([`instance`]) with tiny shapes (sizes of 1, odd ones,
//! unequal ones, strides, groups, windows that are not square), element types and attributes. The rule's
//! guard accepts an instance or not. Then:
//!
//! 1. *Types*: wherever the guard holds, the right side has the type of the left one. A rule whose guard
//!    leaves this check to the engine says so (`well-typed`).
//! 2. *Values*, in the interpreter, by the rule's class; and by the kind of its operators ([`kind`]).
//!
//!    | What is compared | exact | reassociating | approximate |
//!    |---|---|---|---|
//!    | every bit: random numbers, zeros of both signs, NaN, infinities, extreme numbers; floats of 16 bits too | yes | | |
//!    | every bit of integers, which wrap | yes | yes | yes |
//!    | single precision, in norm | | yes | yes |
//!    | double precision ([`wide`]), each element | | 1e-9 | the error that is stated |
//!    | NaN, infinities and zeros' signs: they differ only as the rule says (`differs`), and do | | yes | yes |
//!    | where the left side is a number for numbers, so is the right side | yes | yes | yes |
//!    | sums and products only: modulo a prime ([`modular`]) | yes | yes | |
//!    | order only: all choices of values from a small domain ([`order`]) | yes | yes | yes |
//! 3. *Derivation* from the axioms ([`derive`]).
//! 4. Claims about elements (signs, integers) are confirmed by executing random terms ([`check_properties`]).
//!    Random graphs keep their values, bit for bit if only exact rules are allowed ([`check_graphs`]).

mod derivation;
mod graphs;
mod instance;
mod kind;
mod modular;
mod order;
mod properties;
mod random;
pub(super) mod sample;
mod values;
mod wide;

pub use derivation::derive;
pub use graphs::{Summary, check_graphs, random_graph};
#[cfg(test)]
pub(super) use properties::check_claims;
pub use properties::check_properties;

use instance::{Instance, Sampled, Scope, types};
use kind::Kind;
use mlcc_ir::{Name, graph::Graph, tensor::Tensor};
use mlcc_rewriting::{
    expression::Expression,
    rule::{Difference, Exactness, Rule},
};
use sample::Random;
use std::collections::{BTreeMap, BTreeSet};
use values::Values;

/// Instances of a rule that must be found and agree.
pub const INSTANCES: usize = 24;
/// Instances that show all differences that a rule may have.
const ENOUGH: usize = 100;
/// Attempts to find them.
const ATTEMPTS: usize = 60_000;
/// Largest difference of numbers in double precision if the sides are equal over the reals.
const ROUNDING: f64 = 1e-9;
/// Largest difference in single precision of results that are numbers for few small inputs.
const SINGLE: f64 = 1e-4;

/// The findings about a rule that passed the gates.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    /// Instances whose values were compared.
    pub instances: usize,
    /// Points modulo a prime.
    pub residues: usize,
    /// Choices of values of tiny instances.
    pub choices: usize,
    /// Instances that the guard accepts and whose sides have different types, and the first of them.
    pub refused: usize,
    first_refused: Option<String>,
    /// Differences between the sides that were observed.
    pub observed: BTreeSet<Difference>,
}

/// Puts a rule through the gates of its values; returns how many instances were compared.
///
/// # Errors
/// The error in the rule, with an instance that shows it.
pub fn check(rule: &Rule, instances: usize) -> Result<usize, String> {
    let audit = audit(rule, instances, ATTEMPTS)?;
    stated(rule, &audit)?;
    Ok(audit.instances)
}

/// As [`check`], for a candidate that states no differences between its sides yet, with a given number of
/// attempts to find instances.
pub(super) fn check_within(rule: &Rule, instances: usize, attempts: usize) -> Result<usize, String> {
    audit(rule, instances, attempts).map(|audit| audit.instances)
}

/// Checks that a rule states the differences that were observed between its sides.
fn stated(rule: &Rule, audit: &Audit) -> Result<(), String> {
    let unstated: Vec<&str> =
        audit.observed.iter().filter(|d| !rule.differs.contains(d)).map(|d| d.name()).collect();
    if unstated.is_empty() {
        return Ok(());
    }
    Err(format!(
        "rule '{}' ({}): its sides differ in a way that it does not state: (differs {})",
        rule.name,
        rule.text,
        unstated.join(" ")
    ))
}

fn audit(rule: &Rule, instances: usize, attempts: usize) -> Result<Audit, String> {
    let mut random = Random::new(&rule.name);
    let mut audit = Audit::default();
    let kind = kind::of(rule);
    let failed = |what: String| format!("rule '{}' ({}): {what}", rule.name, rule.text);
    for _ in 0..attempts {
        if audit.instances == instances {
            break;
        }
        match instance::sample(rule, &mut random, Scope::AllTypes) {
            Sampled::Nothing => {}
            Sampled::Unmatched => {
                return Err(failed("its left side does not match what it describes".into()));
            }
            Sampled::Refused(what) => {
                audit.refused += 1;
                audit.first_refused.get_or_insert(what);
            }
            Sampled::Instance(instance) => {
                compare(rule, kind, &instance, &mut random, &mut audit).map_err(failed)?
            }
        }
    }
    if audit.instances == 0 {
        return Err(format!("rule '{}': its guard accepts no instance in {attempts} attempts", rule.name));
    }
    if kind == Kind::Order {
        order::check(rule, &mut audit).map_err(failed)?;
    }
    Ok(audit)
}

/// Compares the sides of an instance, in each of the ways that the rule's class and kind ask for.
fn compare(
    rule: &Rule,
    kind: Kind,
    instance: &Instance,
    random: &mut Random,
    audit: &mut Audit,
) -> Result<(), String> {
    let Some((left, right)) = instance.sides() else { return Ok(()) };
    let leaves = instance.leaves();
    let at = |values: Values, what: String| format!("{what} with {values:?}, leaves {}", types(leaves));
    let floats = leaves.iter().all(|l| l.ty.dtype.is_float() || l.ty.dtype == mlcc_ir::dtype::DType::Bool);
    let finite = leaves.iter().all(|l| l.uniform.is_none_or(f64::is_finite));
    let run = |graph: &Graph, inputs: &[Tensor]| -> Option<Tensor> {
        mlcc_interpreter::graph::run(graph, inputs).ok()?.into_iter().next()
    };
    const FILLS: [Values; 8] = [
        Values::Integers,
        Values::Reals,
        Values::Zeros,
        Values::Zeros,
        Values::Special,
        Values::Special,
        Values::Special,
        Values::Extreme,
    ];
    for values in FILLS {
        if values == Values::Extreme && floats && rule.class != Exactness::Exact {
            continue;
        }
        let inputs = values::fill(leaves, values, false, random);
        // If the interpreter cannot compute the left side, nothing is compared. A right side that fails alone
        // is wrong.
        let Some(wanted) = run(&left, &inputs) else { return Ok(()) };
        let Some(found) = run(&right, &inputs) else {
            return Err(at(values, "the right side cannot be computed".into()));
        };
        // Integers wrap, so a rule that is true of all numbers is true of their bits.
        if rule.class == Exactness::Exact || !floats {
            if let Some(what) = values::differing_bits(&wanted, &found) {
                return Err(at(values, what));
            }
            continue;
        }
        let (wanted, found) = (wanted.to_f64(), found.to_f64());
        match values {
            Values::Zeros | Values::Special => {
                let error = rule.error.max(SINGLE);
                let mut differences = BTreeSet::new();
                values::compare(&wanted, &found, error, &mut differences).map_err(|what| at(values, what))?;
                audit.observed.extend(differences);
            }
            _ if finite => {
                values::compare_in_norm(&wanted, &found).map_err(|what| at(values, what))?;
            }
            _ => {}
        }
        if values == Values::Zeros && finite {
            numbers_stay(&wanted, &found).map_err(|what| at(values, what))?;
        }
    }
    audit.instances += 1;
    if !floats || !finite {
        return Ok(());
    }
    if rule.class != Exactness::Exact {
        for values in [Values::Reals, Values::Positive] {
            let inputs = values::fill(leaves, values, true, random);
            let Some(wanted) = run(&wide::widen(&left), &inputs) else { break };
            let Some(found) = run(&wide::widen(&right), &inputs) else { break };
            let error = rule.error.max(ROUNDING);
            let mut differences = BTreeSet::new();
            let compared = values::compare(&wanted.to_f64(), &found.to_f64(), error, &mut differences);
            compared
                .and_then(|()| numbers_stay(&wanted.to_f64(), &found.to_f64()))
                .map_err(|what| at(values, format!("{what} in double precision")))?;
        }
    }
    // Sides that are equal over the reals are equal as rational functions.
    if kind == Kind::Rational
        && rule.class != Exactness::Approximate
        && let Some([wanted, found]) = modular::run([&left, &right], leaves, random)
    {
        audit.residues += 1;
        if let Some(what) = values::differing_bits(&wanted, &found) {
            return Err(format!("{what} modulo a prime, leaves {}", types(leaves)));
        }
    }
    Ok(())
}

/// Wherever the left side is a number, the right side must be one.
fn numbers_stay(wanted: &[f64], found: &[f64]) -> Result<(), String> {
    match wanted.iter().zip(found).position(|(w, f)| w.is_finite() && !f.is_finite()) {
        Some(at) => {
            Err(format!("element {at} is {:?} on the left and {:?} on the right", wanted[at], found[at]))
        }
        None => Ok(()),
    }
}

/// The results for all rules of a file.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Instances whose values were compared.
    pub instances: usize,
    /// Points modulo a prime at which rules about sums and products were compared.
    pub residues: usize,
    /// Choices of values at which rules about order were compared.
    pub choices: usize,
    /// Rules whose guard leaves the types to the engine.
    pub well_typed: usize,
    /// Errors in rules.
    pub failures: Vec<String>,
}

/// Puts all rules of a file through the gates of types and values. A rule must not claim too much either: if
/// its guard leaves types to the engine, or it states differences between the sides, these must occur.
#[must_use]
pub fn check_all(rules: &[Rule], instances: usize) -> Totals {
    let mut totals = Totals::default();
    // One instance of a schema is enough to show that a statement about the schema occurs.
    let mut schemas: BTreeMap<&Name, (&Rule, Audit)> = BTreeMap::new();
    for rule in rules {
        let audited = audit(rule, instances, ATTEMPTS);
        let audit = match audited.and_then(|audit| stated(rule, &audit).map(|()| audit)) {
            Ok(audit) => audit,
            Err(what) => {
                totals.failures.push(what);
                continue;
            }
        };
        totals.instances += audit.instances;
        totals.residues += audit.residues;
        totals.choices += audit.choices;
        let leaves_types = rule.guard.iter().any(is_well_typed);
        totals.well_typed += usize::from(leaves_types);
        if let Some(first) = audit.first_refused.as_ref().filter(|_| !leaves_types) {
            totals.failures.push(format!(
                "rule '{}' ({}): its guard accepts {} instances of {} whose sides have different types: {first}",
                rule.name,
                rule.text,
                audit.refused,
                audit.refused + audit.instances
            ));
        }
        let (_, all) = schemas.entry(&rule.schema).or_insert_with(|| (rule, Audit::default()));
        all.instances += audit.instances;
        all.refused += audit.refused;
        all.observed.extend(audit.observed);
    }
    for (name, (rule, audit)) in schemas {
        if audit.instances < ENOUGH {
            continue;
        }
        if rule.guard.iter().any(is_well_typed) && audit.refused == 0 {
            totals.failures.push(format!("rule '{name}': its types always agree: `well-typed` says nothing"));
        }
        for difference in rule.differs.iter().filter(|d| !audit.observed.contains(d)) {
            let word = difference.name();
            totals.failures.push(format!("rule '{name}': no instance shows (differs {word})"));
        }
    }
    totals
}

fn is_well_typed(guard: &Expression) -> bool {
    matches!(guard, Expression::Call(function, _) if function.name == "well-typed")
}
