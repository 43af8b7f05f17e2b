//! A rule's two sides at one choice of shapes, attributes and element types.

use super::sample::{Hint, Random, Sampler, TINY};
use egg::Id;
use mlcc_ir::{dtype::DType, graph::Graph};
use mlcc_rewriting::{
    facts::{Classes, Leaf},
    graph_of, instantiate,
    matching::{self, Match},
    rule::{Exactness, Rule},
};

/// The result of a choice.
pub(super) enum Sampled {
    /// There is no left side, or the guard does not accept it.
    Nothing,
    /// The guard accepts it, but the search would not find it.
    Unmatched,
    /// The guard accepts it, but the right side is ill-typed or has another type than the left one. Holds the
    /// types of the leaves.
    Refused(String),
    /// Both sides.
    Instance(Box<Instance>),
}

/// Both sides of a rule in one e-graph without any unions.
pub(super) struct Instance {
    pub(super) classes: Classes,
    pub(super) left: Id,
    pub(super) right: Id,
}

/// The scope of the choices.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Floats of 32 bits, and other element types.
    AllTypes,
    /// Floats of 32 bits, few enough to try all values.
    Tiny,
}

/// Makes one choice.
pub(super) fn sample(rule: &Rule, random: &mut Random, scope: Scope) -> Sampled {
    let dtype = match scope {
        Scope::AllTypes => element_type(rule, random),
        Scope::Tiny => DType::F32,
    };
    let mut sampler = Sampler::new(random);
    sampler.dtype = dtype;
    if scope == Scope::Tiny {
        sampler.sizes = TINY;
    }
    let Some(left) = sampler.build(&rule.left, Hint::default()) else { return Sampled::Nothing };
    let Sampler { mut classes, bindings, .. } = sampler;
    if !rule.guard.iter().all(|g| g.holds(&classes, &bindings)) {
        return Sampled::Nothing;
    }
    classes.rebuild();
    // A left side that is one variable describes every tensor. Such rules are axioms, and the search does not
    // use them.
    let is_found = || matching::search(&classes, rule, usize::MAX).iter().any(|(root, _)| *root == left);
    if rule.left.op().is_some() && !is_found() {
        return Sampled::Unmatched;
    }
    let matched = Match { bindings, ..Match::default() };
    let right = instantiate::replacement(&mut classes, &rule.right, &matched, left, "");
    match right.filter(|r| classes[*r].data.ty == classes[left].data.ty) {
        Some(right) => Sampled::Instance(Box::new(Instance { classes, left, right })),
        None => {
            let what = match right {
                Some(right) => format!("{} and {}", classes[left].data.ty, classes[right].data.ty),
                None => "the right side is ill-typed".to_owned(),
            };
            Sampled::Refused(format!("{what}, leaves {}", types(&classes.analysis.leaves)))
        }
    }
}

/// Rules that change bits are not applied to floats of 16 bits.
fn element_type(rule: &Rule, random: &mut Random) -> DType {
    match random.below(16) {
        0 | 1 => DType::I32,
        2 => DType::U8,
        3 if rule.class == Exactness::Exact => DType::F16,
        4 if rule.class == Exactness::Exact => DType::BF16,
        _ => DType::F32,
    }
}

/// Types of leaves, for messages.
pub(super) fn types(leaves: &[Leaf]) -> String {
    let shown = |leaf: &Leaf| match leaf.uniform {
        Some(value) => format!("{} of {value:?}", leaf.ty),
        None => leaf.ty.to_string(),
    };
    leaves.iter().map(shown).collect::<Vec<_>>().join(", ")
}

impl Instance {
    /// Both sides as graphs over all leaves.
    pub(super) fn sides(&self) -> Option<(Graph, Graph)> {
        Some((graph_of(&self.classes, &[self.left])?, graph_of(&self.classes, &[self.right])?))
    }

    pub(super) fn leaves(&self) -> &[Leaf] {
        &self.classes.analysis.leaves
    }
}
