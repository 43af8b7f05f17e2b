//! Finding rules: all small terms are enumerated, and equal ones become candidates. Candidates that follow
//! from others are dropped, and the remaining ones pass the gates.
//!
//! 1. [`vocabulary`] lists the operators, constants and attributes that terms are made of. Written rules are
//!    no input. Only axioms are, to derive the rules that were found.
//! 2. [`enumerate`] makes all terms up to a number of operators, bottom up, and finds those with equal values in the
//!    environments of [`environment`].
//! 3. [`candidates`] makes rules of them: from more operators to fewer, with canonical names. The guard is
//!    the weakest one of a short list that passes the gates.
//! 4. A candidate that follows from rules kept so far ([`entail`]) is dropped. This leaves a small set, as in
//!    Ruler (Nandi et al., OOPSLA 2021).
//! 5. Each rule that is kept passes the gates of all rules. It is `derived` if it follows from the axioms.
//! 6. [`compare`] lists the written rules that were found, and the found rules that nobody had written.
//!
//! All limits are counts, so the findings do not depend on the clock.

mod candidates;
mod compare;
mod entail;
mod enumerate;
mod environment;
mod notation;
mod report;
mod vocabulary;

#[cfg(test)]
mod tests;

pub use compare::{Comparison, Statement, Written, compare};
pub use report::{Summary, markdown, summary};

use crate::gates;
use candidates::Candidate;
use mlcc_ir::{Name, diagnostic::Result};
use mlcc_rewriting::rule::{Proof, Rule};
use std::collections::{BTreeMap, BTreeSet};

/// The extent of the enumeration.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Terms of one operator fewer.
    pub small: bool,
    /// Only families of these names; all if empty.
    pub families: Vec<String>,
    /// Instances that the gates compare of each rule that is kept.
    pub instances: usize,
}

/// A rule that was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The rule; both directions of an equation.
    pub rules: Vec<Rule>,
    /// The family of terms in which it was found.
    pub family: &'static str,
    /// Both directions, if the other one is a rule: other rules may follow from these.
    equal: Vec<Rule>,
    space: vocabulary::Space,
}

/// The counts of each step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Terms that were evaluated, by family.
    pub families: Vec<FamilyCounts>,
    /// Candidates: pairs of terms with equal values, each once.
    pub candidates: usize,
    /// Candidates that a gate refused under every guard.
    pub refused: usize,
}

/// Counts of a family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FamilyCounts {
    /// Its name.
    pub name: &'static str,
    /// Terms that were evaluated.
    pub terms: usize,
    /// Terms that differ from all smaller ones.
    pub distinct: usize,
    /// Pairs of equal terms.
    pub pairs: usize,
}

/// The findings of the generator.
#[derive(Clone, Debug, Default)]
pub struct Generated {
    /// Rules. None of them follows from those before it.
    pub found: Vec<Found>,
    /// Further findings, which follow from these rules.
    pub dropped: Vec<Found>,
    /// The counts of the work.
    pub counts: Counts,
}

/// Enumerates terms, and finds rules. Rules are derived from `axioms`.
///
/// # Errors
/// If a template of the vocabulary is not well formed: a bug that a test would have found.
pub fn generate(settings: &Settings, axioms: &[&Rule]) -> Result<Generated> {
    let mut generated = Generated::default();
    let (mut pairs, mut operators) = (Vec::new(), BTreeMap::new());
    for family in vocabulary::families(settings.small)? {
        if !settings.families.is_empty() && !settings.families.iter().any(|f| f == family.name) {
            continue;
        }
        let found = enumerate::enumerate(&family);
        operators.insert(family.name, family.mnemonics());
        generated.counts.families.push(FamilyCounts {
            name: family.name,
            terms: found.terms,
            distinct: found.distinct,
            pairs: found.pairs.len(),
        });
        pairs.extend(found.pairs.into_iter().map(|pair| (family.name, family.space, pair)));
    }
    let candidates = candidates::candidates(pairs);
    generated.counts.candidates = candidates.len();
    for (number, candidate) in candidates.iter().enumerate() {
        let name = format!("found-{number}");
        let operators = operators.get(candidate.family);
        match examine(&generated.found, candidate, operators, &name, settings.instances)? {
            Outcome::Kept(found) => generated.found.push(found),
            Outcome::Implied(found) => generated.dropped.push(found),
            Outcome::Refused => generated.counts.refused += 1,
        }
        if number % 1000 == 999 {
            tracing::info!(
                "{} of {} candidates, {} kept",
                number + 1,
                candidates.len(),
                generated.found.len()
            );
        }
    }
    for found in &mut generated.found {
        if entail::is_derived(&found.rules[0], axioms) {
            found.rules.iter_mut().for_each(|r| r.proof = Proof::Derived);
        }
    }
    Ok(generated)
}

/// The outcome for a candidate.
enum Outcome {
    Kept(Found),
    Implied(Found),
    Refused,
}

/// Number of instances that expose most wrong candidates.
const FEW: usize = 6;
/// Attempts to find instances.
const ATTEMPTS: usize = 6000;

/// Puts a candidate through the gates with the weakest guard that passes them, and checks whether it follows
/// from the kept rules about the `operators` of its family.
fn examine(
    kept: &[Found],
    candidate: &Candidate,
    operators: Option<&BTreeSet<Name>>,
    name: &str,
    instances: usize,
) -> Result<Outcome> {
    let environments = environment::environments(candidate.space);
    let concerns = |f: &&Found| {
        let known = notation::all_mnemonics(&f.rules[0]);
        operators.is_none_or(|operators| known.is_subset(operators))
    };
    for guard in candidates::guards(candidate) {
        let conditions = candidates::weakest_first(candidate, &guard);
        // Few instances are cheap, and most candidates are wrong or follow from others. A candidate that is
        // wrong under the strictest conditions is wrong under any.
        let Some(strictest) = conditions.last() else { continue };
        if !passes(&candidates::rules(candidate, name, strictest)?, FEW) {
            continue;
        }
        for conditions in &conditions {
            let found = Found {
                rules: candidates::rules(candidate, name, conditions)?,
                equal: candidates::directions(candidate, name, conditions)?,
                family: candidate.family,
                space: candidate.space,
            };
            if !passes(&found.rules, FEW) {
                continue;
            }
            let known = kept.iter().filter(concerns).flat_map(|f| &f.equal);
            let known: Vec<&Rule> = known.filter(|r| r.class <= candidate.class).collect();
            if entail::follows(&environments, &found.rules[0], &known) {
                return Ok(Outcome::Implied(found));
            }
            if passes(&found.rules, instances) {
                return Ok(Outcome::Kept(found));
            }
        }
    }
    Ok(Outcome::Refused)
}

/// Whether rules pass the gates on that many instances, or on as many as there are.
fn passes(rules: &[Rule], instances: usize) -> bool {
    rules.iter().all(|r| gates::check_within(r, instances, ATTEMPTS).is_ok_and(|n| n >= FEW))
}
