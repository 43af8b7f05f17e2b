//! Rewrites that are always good and never change a value beyond rounding of constants.
//!
//! | Before | After |
//! |---|---|
//! | `reshape`, `expand`, `cast`, `transpose`, `slice`, `pad`, `concat` that changes nothing | its operand |
//! | `reshape` of `reshape` | one `reshape` |
//! | `transpose` of `transpose` | one `transpose` |
//! | `where` with a constant condition that is the same everywhere | the operand it chooses |
//! | `batch_norm` with constant statistics | `mul` and `add` of constants |
//!
//! Each rule removes an operator or makes one cheaper, so repetition ends.

use crate::{
    registry::{PassSpec, Run},
    requirements,
};
use mlcc_ir::{
    attributes::{Attr, Attrs},
    graph::{Graph, Node, ValueId},
    ops::{self, OpTrait},
    tensor::Tensor,
};

/// The pass.
pub const SPEC: PassSpec = PassSpec {
    name: "canonicalise",
    summary: "rewrites that are always good",
    traits: &[],
    run: Run::Graph(|graph, _| Ok(run(graph))),
};

/// Runs the pass; returns the number of rewrites.
pub fn run(graph: &mut Graph) -> usize {
    let mut rewrites = 0;
    for at in 0..graph.nodes.len() {
        if let Some(operand) = does_nothing(graph, &graph.nodes[at]) {
            graph.replace_uses(graph.nodes[at].results[0], operand);
            rewrites += 1;
        } else if let Some((inner, rewritten)) = compose(graph, at) {
            requirements::keep(graph, &inner);
            graph.nodes[at] = rewritten;
            rewrites += 1;
        }
    }
    let mut at = 0;
    while at < graph.nodes.len() {
        if let Some(nodes) = affine_batch_norm(graph, at) {
            let added = nodes.len();
            graph.nodes.splice(at..=at, nodes);
            at += added;
            rewrites += 1;
        } else {
            at += 1;
        }
    }
    // Without a rewrite, any dead node was dead before, and `eliminate-dead` removes it.
    if rewrites > 0 {
        super::eliminate_dead::run(graph);
    }
    rewrites
}

/// The operand that equals the node's only result.
fn does_nothing(graph: &Graph, node: &Node) -> Option<ValueId> {
    if let Some(chosen) = chosen(graph, node) {
        return Some(chosen);
    }
    let ([Some(operand), ..], [result]) = (&node.operands[..], &node.results[..]) else { return None };
    if graph.value(*operand).ty != graph.value(*result).ty {
        return None;
    }
    let nothing = match &*node.op {
        "transpose" => node.attrs.ints("perm")?.iter().enumerate().all(|(i, &p)| i as i64 == p),
        "slice" => node.attrs.ints("steps")?.iter().all(|&s| s == 1),
        "pad" => node.attrs.exprs("pads")?.iter().all(|p| p.is(0)),
        op => ops::is(op, OpTrait::IdentityByType),
    };
    nothing.then_some(*operand)
}

/// The operand that a `where` takes all its elements from.
fn chosen(graph: &Graph, node: &Node) -> Option<ValueId> {
    let ("where", [Some(condition), yes, no], [result]) = (&*node.op, &node.operands[..], &node.results[..])
    else {
        return None;
    };
    let condition = graph.constant(*condition)?.to_i64();
    let (first, rest) = condition.split_first()?;
    let operand = if *first == 0 { *no } else { *yes }?;
    let all = rest.iter().all(|c| (*c == 0) == (*first == 0));
    (all && graph.value(operand).ty == graph.value(*result).ty).then_some(operand)
}

/// `reshape(reshape(x))` and `transpose(transpose(x))` as one: the inner node, and the node that replaces
/// both.
fn compose(graph: &Graph, at: usize) -> Option<(Node, Node)> {
    let node = &graph.nodes[at];
    let operand = node.operands.first().copied().flatten()?;
    let inner = graph.nodes[..at].iter().rev().find(|n| n.results.contains(&operand))?;
    if inner.op != node.op {
        return None;
    }
    let mut merged = node.clone();
    merged.operands[0] = inner.operands[0];
    match &*node.op {
        "reshape" => {}
        "transpose" => {
            let (outer, inner) = (node.attrs.ints("perm")?, inner.attrs.ints("perm")?);
            let perm: Option<Vec<i64>> =
                outer.iter().map(|&p| inner.get(usize::try_from(p).ok()?).copied()).collect();
            merged.attrs = Attrs::new().with("perm", Attr::Ints(perm?));
        }
        _ => return None,
    }
    Some((inner.clone(), merged))
}

/// `scale * (x - mean) / sqrt(variance + epsilon) + bias` as `x * a + b`, `a` and `b` computed in f64.
fn affine_batch_norm(graph: &mut Graph, at: usize) -> Option<Vec<Node>> {
    let node = graph.nodes[at].clone();
    if &*node.op != "batch_norm" || node.results.len() != 1 {
        return None;
    }
    let x = node.operands[0]?;
    let ty = graph.value(x).ty.clone();
    let mut parameters = Vec::new();
    for operand in node.operands.get(1..5)? {
        parameters.push(graph.constant((*operand)?)?.to_f64());
    }
    let [scale, bias, mean, variance] = &parameters[..] else { return None };
    let channels = scale.len();
    if ty.dtype != mlcc_ir::dtype::DType::F32 || [bias, mean, variance].iter().any(|p| p.len() != channels) {
        return None;
    }
    // A symbolic number of channels must equal the parameters' number. The product and the sum would not
    // demand it.
    if ty.dims.get(1).is_none_or(|d| !d.is(channels as i64)) {
        return None;
    }
    let epsilon = node.attrs.float("epsilon", 1e-5);
    let a: Vec<f64> = (0..channels).map(|c| scale[c] / (variance[c] + epsilon).sqrt()).collect();
    let b: Vec<f32> = (0..channels).map(|c| (bias[c] - mean[c] * a[c]) as f32).collect();
    let a: Vec<f32> = a.iter().map(|&v| v as f32).collect();
    let mut dims = vec![1; ty.rank().saturating_sub(1)];
    *dims.first_mut()? = channels as i64;
    let result = node.results[0];
    let name = graph.value(result).name.clone();
    let a = graph.add_constant(format!("{name}.scale"), Tensor::from_f32(&dims, &a));
    let b = graph.add_constant(format!("{name}.shift"), Tensor::from_f32(&dims, &b));
    let scaled = graph.add_value(format!("{name}.scaled"), ty, mlcc_ir::graph::Def::Node);
    let operator = |op: &str, operands: [ValueId; 2], result| Node {
        op: op.into(),
        attrs: Attrs::new(),
        operands: operands.into_iter().map(Some).collect(),
        results: vec![result],
        regions: Vec::new(),
        location: node.location.clone(),
    };
    Some(vec![operator("mul", [x, a], scaled), operator("add", [scaled, b], result)])
}
