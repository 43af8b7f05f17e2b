//! Horizontal merges. Products of one operand with several weights (queries, keys and values; gate and up;
//! parallel convolutions) become one product with the weights side by side, a whole group at once. Pairwise
//! rules would multiply: every subset of a group would be a term.

use super::{
    facts::{self, Classes},
    saturate::{Firing, record},
    term::Term,
    transformations::MERGE_PRODUCTS,
};
use egg::Id;
use mlcc_ir::{
    attributes::{Attr, Attrs},
    expr::Expr,
};
use std::collections::{BTreeMap, BTreeSet};

/// Products of one operand.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// The class of each product and its term.
    products: Vec<(Id, Term)>,
}

/// Groups of at least two products of the same operand with different weights, by operator and attributes.
/// Only products of the block itself (`own`) are merged; otherwise, the forms of a product that rules made
/// would be merged with it.
pub(super) fn search(classes: &Classes, own: &[Id]) -> Vec<Group> {
    let own: BTreeSet<Id> = own.iter().map(|id| classes.find(*id)).collect();
    let mut groups: BTreeMap<(Id, String), Vec<(Id, Term)>> = BTreeMap::new();
    for op in ["matmul", "conv"] {
        let mut roots: Vec<Id> = classes.classes_for_op(&op.into()).into_iter().flatten().collect();
        roots.sort_unstable();
        for root in roots.into_iter().filter(|r| own.contains(r)) {
            for term in &classes[root].nodes {
                if &*term.head.op == op
                    && let Some(key) = key(classes, term)
                    && !is_slice(classes, root)
                {
                    let group = groups.entry((classes.find(term.operands[0]), key)).or_default();
                    // One product of a class is enough: others are equal.
                    if group.iter().all(|(id, t)| *id != root && t.operands[1] != term.operands[1]) {
                        group.push((root, term.clone()));
                    }
                }
            }
        }
    }
    groups.into_values().filter(|g| g.len() > 1).map(|products| Group { products }).collect()
}

/// The common key of a group's products; `None` if a term cannot be merged.
fn key(classes: &Classes, term: &Term) -> Option<String> {
    let weight = &classes[term.operands[1]].data;
    if !weight.weight
        || classes[term.operands[0]].data.weight
        || !term.operands[2..].iter().all(|o| classes[*o].data.weight)
    {
        return None;
    }
    let attrs = &term.head.attrs;
    match &*term.head.op {
        "matmul" => {
            let plain = weight.ty.rank() == 2
                && classes[term.operands[0]].data.ty.rank() >= 2
                && !attrs.bool("transpose_a", false);
            plain.then(|| format!("matmul {:?}", term.head))
        }
        _ => {
            let kernel = &weight.ty.dims[2..];
            (attrs.int("group", 1) == 1).then(|| format!("conv {:?} {kernel:?}", term.head))
        }
    }
}

/// Whether a class is already a part of something larger.
fn is_slice(classes: &Classes, id: Id) -> bool {
    classes[id].nodes.iter().any(|t| &*t.head.op == "slice")
}

/// Adds the merged product and its parts.
pub(super) fn apply(classes: &mut Classes, group: &Group, firings: &mut Vec<Firing>) {
    let matched: Vec<Term> = group.products.iter().map(|(_, t)| t.clone()).collect();
    let first = &matched[0];
    let is_conv = &*first.head.op == "conv";
    let transposed = first.head.attrs.bool("transpose_b", false);
    let axis = i64::from(!is_conv && !transposed);
    let concat = |classes: &mut Classes, place: usize, axis: i64| {
        let parts: Vec<Option<Id>> = matched.iter().map(|t| t.operands.get(place).copied()).collect();
        facts::apply(classes, "concat", Attrs::new().with("axis", Attr::Int(axis)), &parts)
    };
    let sizes: Vec<Expr> =
        matched.iter().map(|t| classes[t.operands[1]].data.ty.dims[axis as usize].clone()).collect();
    let Some(weights) = concat(classes, 1, axis) else { return };
    let mut operands = vec![Some(first.operands[0]), Some(weights)];
    if first.operands.len() > 2 {
        let Some(bias) = concat(classes, 2, 0) else { return };
        operands.push(Some(bias));
    }
    let attrs = first.head.attrs.clone();
    let Some(whole) = facts::apply(classes, &first.head.op.clone(), attrs, &operands) else { return };
    let dims = classes[whole].data.ty.dims.clone();
    let channel = if is_conv { 1 } else { dims.len() - 1 };
    let mut start = Expr::from(0);
    for ((root, term), size) in group.products.iter().zip(sizes) {
        let mut starts = vec![Expr::from(0); dims.len()];
        let mut extents = dims.clone();
        starts[channel] = start.clone();
        extents[channel] = size.clone();
        start = start + size;
        let attrs = Attrs::new()
            .with("starts", Attr::Exprs(starts))
            .with("sizes", Attr::Exprs(extents))
            .with("steps", Attr::Ints(vec![1; dims.len()]));
        let part = facts::apply(classes, "slice", attrs, &[Some(whole)]);
        record(classes, firings, Firing::of(MERGE_PRODUCTS.name, *root, vec![term.clone()]), part);
    }
}
