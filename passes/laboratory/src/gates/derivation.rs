//! Whether a rule follows from others.

use super::{
    ATTEMPTS,
    instance::{Instance, Sampled, Scope, sample, types},
    sample::Random,
};
use mlcc_ir::Name;
use mlcc_rewriting::{
    rule::{Exactness, Rule},
    saturate::{BuiltIn, Limits, saturate},
};

/// Terms of an e-graph in which a derivation is looked for.
const LIMITS: Limits = Limits { iterations: 8, terms: 6000, matches: 400 };
/// Instances whose derivation is looked for.
const INSTANCES: usize = 6;

/// Whether a rule follows from others: both sides of an instance meet in an e-graph in which only the others
/// are applied. The others are those of `known` that the rule names (all, if it names none) and that change
/// no more bits than the rule.
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
        if derived == INSTANCES {
            break;
        }
        let Sampled::Instance(instance) = sample(rule, &mut random, Scope::AllTypes) else { continue };
        let Instance { mut classes, left, right } = *instance;
        classes.rebuild();
        classes.analysis.born.clear();
        // Another order of additions is no bit-exact step.
        let built_in = BuiltIn { flatten: rule.class != Exactness::Exact, merge: false, narrow: false };
        saturate(&mut classes, &[], &usable, built_in, LIMITS);
        if classes.find(left) != classes.find(right) {
            return Err(format!(
                "rule '{}' is not derived, leaves {}",
                rule.name,
                types(&classes.analysis.leaves)
            ));
        }
        derived += 1;
    }
    if derived == 0 { Err(format!("rule '{}': its guard accepts no instance", rule.name)) } else { Ok(()) }
}
