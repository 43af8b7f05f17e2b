//! Executes a block before and after rewriting, on random inputs, with the reference interpreter. A wrong
//! rule, or a right one applied wrongly, then costs only its rewrite.
//!
//! Sizes are shrunk so that this takes milliseconds ([`super::shrink`]), in leaves and in attributes. Inference
//! decides whether the result is still both graphs.

use super::{
    block::Block,
    facts::{Leaf, uniform},
    settings::Mode,
    shrink::{Shrink, Sizes},
    standalone,
    template::{Source, Template},
};
use mlcc_ir::{
    dtype::DType,
    expr::Expr,
    graph::{Graph, ValueId},
    tensor::{Element, Tensor, push_element},
};

/// The outcome of a check.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    /// Outputs agree.
    Equal,
    /// They differ, by this relative error in norm.
    Differs(f64),
    /// It could not be executed within the budget, for this reason.
    Unchecked(&'static str),
}

/// The allowed difference between results.
#[derive(Clone, Copy)]
struct Bound {
    /// Greatest relative error in norm.
    error: f64,
    /// Errors are measured against this size if a result is smaller. If numbers of about 1 cancel, the rest
    /// is rounding.
    small: f64,
}

impl Bound {
    /// The bound for the widest steps between neighbouring numbers: interpreters round to the type after each
    /// operator.
    fn of(graphs: [&Graph; 2]) -> Bound {
        let values = graphs.into_iter().flat_map(|g| &g.values);
        let wider = |most: Bound, bits| Bound { error: most.error.max(8.0 * 0.5f64.powi(bits)), small: 1.0 };
        values.fold(Bound { error: 2e-5, small: 1e-2 }, |most, value| match value.ty.dtype {
            DType::F16 => wider(most, 11),
            DType::BF16 => wider(most, 8),
            _ => most,
        })
    }
}
/// Multiply-adds that an execution may take.
const BUDGET: f64 = 5e7;

/// Numbers of the block that may be sizes. A sum divided by the number of its terms is a mean at that size
/// only.
fn counts(before: &Template, block: &Block) -> Vec<i64> {
    let operands = before.nodes.iter().flat_map(|n| n.operands.iter().flatten());
    let numbers = operands.filter_map(|operand| match operand {
        Source::Constant(tensor) => uniform(tensor),
        Source::Leaf(at) => block.facts[*at].uniform,
        Source::Node(_) => None,
    });
    numbers.flat_map(|n| [n as i64, (1.0 / n).round() as i64]).collect()
}

/// Compares a block's two forms. Every bit must agree if only exact rules were allowed.
pub(super) fn check(before: &Template, after: &Template, block: &Block, mode: Mode) -> Verdict {
    let leaves = block.facts.iter().map(|l| &l.ty);
    let nodes = before.nodes.iter().chain(&after.nodes).map(|n| &n.ty);
    let sizes = Sizes::of(leaves.chain(nodes), &counts(before, block));
    let pair = |shrink: &Shrink| {
        let graph = |template| standalone::at_sizes(template, &block.facts, shrink);
        graph(before).zip(graph(after))
    };
    let types = |g: &Graph| g.outputs.iter().map(|(_, o)| g.value(*o).ty.clone()).collect::<Vec<_>>();
    let price = |shrink: &Shrink| {
        let (first, second) = pair(shrink)?;
        (types(&first) == types(&second)).then(|| work(&first).max(work(&second)))
    };
    // A slice that took the rest of a dimension should still take it: rules rely on this, and inference does
    // not see it.
    let rests = pair(&Shrink::new()).map(|(first, second)| [rests(&first), rests(&second)]);
    let price_with_rests = |shrink: &Shrink| {
        let (first, second) = pair(shrink)?;
        rests.as_ref().filter(|[a, b]| *a == self::rests(&first) && *b == self::rests(&second))?;
        price(shrink)
    };
    let shrunk = sizes.shrink_until(BUDGET, &price_with_rests).or_else(|| sizes.shrink_until(BUDGET, &price));
    match shrunk.as_ref().and_then(pair) {
        Some((first, second)) => compare(&first, &second, block, mode),
        None => Verdict::Unchecked("no sizes that are small enough"),
    }
}

/// Whether the slices of a graph take all that follows their starts, dimension by dimension.
fn rests(graph: &Graph) -> Vec<bool> {
    let mut found = Vec::new();
    for node in graph.nodes.iter().filter(|n| &*n.op == "slice") {
        let Some(operand) = node.operands.first().copied().flatten() else { continue };
        let list = |name: &str| node.attrs.exprs(name).unwrap_or_default();
        let steps = node.attrs.ints("steps").unwrap_or_default();
        for (((start, size), step), dim) in
            list("starts").iter().zip(&list("sizes")).zip(steps).zip(&graph.value(operand).ty.dims)
        {
            let end = start.clone() + size.clone() * Expr::from(*step);
            found.push((dim.clone() - end).as_const().is_some_and(|left| left <= 0));
        }
    }
    found
}

/// Multiply-adds of a graph, roughly.
fn work(graph: &Graph) -> f64 {
    let elements = |id: ValueId| graph.value(id).ty.elements().as_const().unwrap_or(i64::MAX) as f64;
    graph
        .nodes
        .iter()
        .map(|node| {
            let result = elements(node.results[0]);
            let second = node.operands.get(1).copied().flatten();
            match (&*node.op, second) {
                ("matmul", Some(b)) => {
                    let columns = graph.value(b).ty.dims.last().and_then(Expr::as_const).unwrap_or(1).max(1);
                    result * elements(b) / columns as f64
                }
                ("conv" | "conv_transpose", Some(w)) => {
                    let outputs = graph.value(w).ty.dims[0].as_const().unwrap_or(1).max(1);
                    result * elements(w) / outputs as f64
                }
                _ => result * 4.0,
            }
        })
        .sum()
}

fn compare(first: &Graph, second: &Graph, block: &Block, mode: Mode) -> Verdict {
    let bound = Bound::of([first, second]);
    let mut reason = "outputs that are not numbers";
    // If most results are NaN (a root of negative numbers), positive inputs may say more. If indices do not
    // fit, zeros do.
    for (low, indices) in [(-1.0, 3.0), (0.25, 3.0), (-1.0, 1.0)] {
        let leaves = first.inputs.iter().enumerate();
        let inputs: Option<Vec<Tensor>> =
            leaves.map(|(at, i)| random(first, *i, &block.facts[at], at, (low, indices))).collect();
        let Some(inputs) = inputs else { return Verdict::Unchecked("sizes that depend on data") };
        let run = |graph: &Graph| {
            let ran = mlcc_interpreter::graph::run(graph, &inputs);
            ran.inspect_err(|error| tracing::debug!(%error, "a block cannot be executed")).ok()
        };
        let (Some(wanted), Some(found)) = (run(first), run(second)) else {
            reason = "the interpreter refuses the block";
            continue;
        };
        let mut worst = 0.0f64;
        let mut same = true;
        let (mut numbers, mut all) = (0, 0);
        for (w, f) in wanted.iter().zip(&found) {
            let (w, f) = (w.to_f64(), f.to_f64());
            all += w.len();
            numbers += w.iter().filter(|v| v.is_finite()).count();
            worst = worst.max(difference(&w, &f, bound.small));
            same &= w.iter().zip(&f).all(|(w, f)| w.to_bits() == f.to_bits() || w.is_nan() && f.is_nan());
        }
        if worst > bound.error || mode == Mode::Exact && !same {
            return Verdict::Differs(worst);
        }
        if numbers * 2 >= all {
            return Verdict::Equal;
        }
    }
    Verdict::Unchecked(reason)
}

/// Relative error in norm, where the norm counts as that of numbers of size `small` at least. Infinite if one
/// is a number and the other is not.
fn difference(wanted: &[f64], found: &[f64], small: f64) -> f64 {
    let (mut error, mut norm) = (0.0, 0.0);
    for (w, f) in wanted.iter().zip(found) {
        if w.is_finite() && f.is_finite() {
            error += (w - f).powi(2);
            norm += w.powi(2);
        } else if !(w.is_nan() && f.is_nan() || w == f) {
            return f64::INFINITY;
        }
    }
    let least = small.powi(2) * wanted.len() as f64;
    (error / norm.max(least).max(f64::MIN_POSITIVE)).sqrt()
}

/// A tensor for a leaf: random numbers between `low` and 1, indices below `indices`, or its one known value.
fn random(graph: &Graph, id: ValueId, leaf: &Leaf, at: usize, (low, indices): (f64, f64)) -> Option<Tensor> {
    let ty = &graph.value(id).ty;
    let dims = ty.static_dims()?;
    let count = dims.iter().product::<i64>();
    let mut state = 0x9e37_79b9_7f4a_7c15u64.wrapping_mul(at as u64 + 1);
    let mut data = Vec::new();
    for _ in 0..count {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let unit = (state >> 40) as f64 / (1u64 << 24) as f64;
        let value = leaf.uniform.unwrap_or(low + (1.0 - low) * unit);
        let element = match ty.dtype {
            d if d.is_float() => Element::Float(value),
            DType::Bool => Element::Int(i64::from(unit < 0.5)),
            _ => Element::Int((unit * indices) as i64),
        };
        push_element(ty.dtype, &mut data, element);
    }
    Tensor::new(ty.dtype, dims, data.into())
}
