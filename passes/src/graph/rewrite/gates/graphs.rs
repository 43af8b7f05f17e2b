//! Random graphs that rules apply to: left sides of rules within left sides of rules.

use super::{
    Values, fill,
    sample::{Hint, Random, Sampler},
    side,
};
use crate::graph::rewrite::rule::Rule;
use mlcc_ir::{
    graph::{Def, Graph},
    tensor::Tensor,
};

/// The graph of a seed with inputs for it; `None` where what was drawn does not fit together.
#[must_use]
pub fn random_graph(rules: &[Rule], seed: u64) -> Option<(Graph, Vec<Tensor>)> {
    let mut random = Random::new(&format!("graph {seed}"));
    let rule = &rules[random.below(rules.len())];
    let mut sampler = Sampler::new(&mut random);
    sampler.nested = (rules, 3);
    let root = sampler.build(&rule.left, Hint::default())?;
    let classes = sampler.classes;
    let mut graph = side(&classes, root)?;
    let tensors = fill(&classes, Values::Reals, &mut random);
    // Weights become constants, the rest inputs.
    let leaves = std::mem::take(&mut graph.inputs);
    let mut inputs = Vec::new();
    for (at, id) in leaves.into_iter().enumerate() {
        let tensor = tensors.get(at)?.clone();
        let def = if classes.analysis.leaves[at].weight {
            Def::Constant(tensor)
        } else {
            inputs.push(tensor);
            graph.inputs.push(id);
            Def::Input(inputs.len() - 1)
        };
        graph.value_mut(id).def = def;
    }
    (!graph.nodes.is_empty()).then_some((graph, inputs))
}
