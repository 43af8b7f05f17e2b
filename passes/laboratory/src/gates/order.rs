//! Checks rules about order at every choice of values from a small ordered domain.

use super::{
    Audit,
    instance::{Sampled, Scope, sample, types},
    sample::Random,
    values::{compare, differing_bits},
};
use mlcc_ir::{
    dtype::DType,
    graph::Graph,
    tensor::{Element, Tensor, push_element},
};
use mlcc_rewriting::{
    facts::Leaf,
    rule::{Exactness, Rule},
};

/// Number of instances for which all values are tried.
const INSTANCES: usize = 4;
/// Attempts to find them.
const ATTEMPTS: usize = 4000;
/// Choices of values of one instance.
const CHOICES: usize = 5000;
/// Domains; the first that leaves few enough choices is taken.
const DOMAINS: [&[f64]; 4] = [
    &[f64::NAN, f64::NEG_INFINITY, -1.5, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 2.5, f64::INFINITY],
    &[f64::NAN, f64::NEG_INFINITY, -1.0, -0.0, 0.0, 0.5, f64::INFINITY],
    &[f64::NAN, -1.0, -0.0, 0.0],
    &[-1.0, 1.0],
];

/// Tries all values of a few tiny instances, if the rule has any.
pub(super) fn check(rule: &Rule, audit: &mut Audit) -> Result<(), String> {
    let mut random = Random::new(&format!("{} exhaustively", rule.name));
    let mut tried = 0;
    for _ in 0..ATTEMPTS {
        if tried == INSTANCES {
            break;
        }
        let Sampled::Instance(instance) = sample(rule, &mut random, Scope::Tiny) else { continue };
        let Some((left, right)) = instance.sides() else { continue };
        let leaves = instance.leaves();
        let Some(choices) = choices(leaves) else { continue };
        for choice in 0..choices.count {
            let inputs = choices.inputs(leaves, choice);
            let run = |graph: &Graph| mlcc_interpreter::graph::run(graph, &inputs).ok()?.into_iter().next();
            let Some((wanted, found)) = run(&left).zip(run(&right)) else { break };
            let compared = match rule.class {
                Exactness::Exact => differing_bits(&wanted, &found).map_or(Ok(()), Err),
                _ => compare(&wanted.to_f64(), &found.to_f64(), rule.error, &mut audit.observed),
            };
            if let Err(what) = compared {
                let values: Vec<Vec<f64>> = inputs.iter().map(Tensor::to_f64).collect();
                return Err(format!("{what} at {values:?}, leaves {}", types(leaves)));
            }
        }
        audit.choices += choices.count;
        tried += 1;
    }
    Ok(())
}

struct Choices {
    domain: &'static [f64],
    count: usize,
}

fn choices(leaves: &[Leaf]) -> Option<Choices> {
    let (mut numbers, mut conditions) = (0, 0);
    for leaf in leaves {
        let elements = usize::try_from(leaf.ty.static_dims()?.iter().product::<i64>()).ok()?;
        match leaf.ty.dtype {
            DType::Bool => conditions += elements,
            _ if leaf.uniform.is_none() => numbers += elements,
            _ => {}
        }
    }
    DOMAINS.into_iter().find_map(|domain| {
        let count = domain
            .len()
            .checked_pow(u32::try_from(numbers).ok()?)?
            .checked_mul(2usize.checked_pow(u32::try_from(conditions).ok()?)?)?;
        (count <= CHOICES).then_some(Choices { domain, count })
    })
}

impl Choices {
    /// The leaves' values in choice number `number`: its digits.
    fn inputs(&self, leaves: &[Leaf], mut number: usize) -> Vec<Tensor> {
        let mut digit = |base: usize| {
            let digit = number % base;
            number /= base;
            digit
        };
        let mut tensors = Vec::new();
        for leaf in leaves {
            let dims = leaf.ty.static_dims().unwrap_or_default();
            let mut data = Vec::new();
            for _ in 0..dims.iter().product::<i64>() {
                let element = match (leaf.ty.dtype, leaf.uniform) {
                    (DType::Bool, _) => Element::Int(digit(2) as i64),
                    (_, Some(value)) => Element::Float(value),
                    _ => Element::Float(self.domain[digit(self.domain.len())]),
                };
                push_element(leaf.ty.dtype, &mut data, element);
            }
            tensors.extend(Tensor::new(leaf.ty.dtype, dims, data.into()));
        }
        tensors
    }
}
