//! `rfactor(axis)`: a reduction keeps the iterations over one of its axes apart, in partial results in
//! scratch memory. A stage of its own combines them.
//!
//! ```text
//! for s.init.m: y[s.init.m] = 0             for s.init.k.i for s.init.m: y.partial[s.init.k.i, s.init.m] = 0
//! for s.m                                   for s.m
//!   for s.k.o                                 for s.k.o
//!     for s.k.i                        =>       for s.k.i
//!       y[s.m] += x[s.m, 8 s.k.o + s.k.i]         y.partial[s.k.i, s.m] += x[s.m, 8 s.k.o + s.k.i]
//!                                           for s.final.init.m: y[s.final.init.m] = 0
//!                                           for s.final.m for s.final.k.i
//!                                             y[s.final.m] += y.partial[s.final.k.i, s.final.m]
//! ```
//!
//! The axis is free afterwards: it may be unrolled, run in vectors, or lie outside of others, and its
//! iterations accumulate independently of each other. Legal for a reduction in a stage of its own. The
//! operations that combine values (sum, product, maximum, minimum, and, or) allow any order and grouping. For
//! sums and products of floating-point numbers this changes the rounding. Each partial result sums fewer
//! numbers, so its error is not larger than before. A partial result of no values is the identity.
//!
//! Source: Suriana, Adams, Kamil, "Parallel Associative Reductions in Halide".

use super::{
    map_axis::describe,
    ranges::Ranges,
    tree::{find_loop, fresh_buffer, map_exprs, no_axis, writes},
};
use mlcc_ir::{
    Name,
    diagnostic::{Diagnostic, Result},
    expr::Expr,
    kernel::Role,
    nest::{
        Buffer, Loop, LoopNest, Mapping, Node, Space, Store,
        names::{AxisName, Purpose, StageName},
    },
    scalar::{Body, Inst},
};

/// Keeps the iterations over `axis` apart.
///
/// # Errors
/// If the axis is no reduction's, its stage is merged with others, or the written elements depend on values.
pub fn rfactor(nest: &LoopNest, axis: &str) -> Result<LoopNest> {
    let refuse = |why: String| Err(Diagnostic::user(why));
    let found = find_loop(&nest.body, axis).ok_or_else(|| no_axis(nest, axis))?;
    if found.mapping != Mapping::Reduction {
        return refuse(format!("'{axis}' is {}, not a reduction's axis", describe(found.mapping)));
    }
    let with_axis = |node: &Node| find_loop(std::slice::from_ref(node), axis).is_some();
    let stages: Vec<usize> = (0..nest.body.len()).filter(|&n| with_axis(&nest.body[n])).collect();
    let &[at] = &stages[..] else {
        return refuse(format!("'{axis}' lies in several stages"));
    };
    let Some((_, store)) = perfect(&nest.body[at]) else {
        return refuse(format!(
            "'{axis}' lies in more than one stage's loops: factor before stages are merged"
        ));
    };
    let target = &nest.buffers[store.buffer];
    if store.checked || store.index.iter().any(Expr::uses_values) {
        return refuse(format!("'{}' is written at elements that depend on values", target.name));
    }
    if reads(store, store.buffer) {
        return refuse(format!("'{}' is read where it is combined", target.name));
    }
    let writers: Vec<usize> = (0..nest.body.len()).filter(|&n| writes(&nest.body[n], store.buffer)).collect();
    let init = match &writers[..] {
        &[init, last] if last == at => perfect(&nest.body[init]).filter(|(_, s)| s.combine.is_none()),
        _ => None,
    };
    let Some((kept, identity)) = init else {
        return refuse(format!("'{}' is not initialised by one stage and combined by another", target.name));
    };

    // There are at most as many partial results as iterations of the axis.
    let mut ranges = Ranges::default();
    let count = iterations(&nest.body[at], axis, &mut ranges);
    let Some(count) = count else {
        return refuse(format!("the number of iterations of '{axis}' depends on other axes without a bound"));
    };
    let names = Names::of(axis, &kept);
    let partial = nest.buffers.len();
    let buffer = Buffer {
        name: fresh_buffer(nest, &format!("{}.partial", target.name)),
        dims: std::iter::once(count.clone()).chain(target.dims.iter().cloned()).collect(),
        role: Role::Temporary,
        space: Space::Scratch,
        packed: false,
        ..target.clone()
    };
    let along = |axis: &Name, extent: &Expr, mapping: Mapping, body: Node| {
        Node::Loop(Loop { axis: axis.clone(), extent: extent.clone(), mapping, body: vec![body] })
    };

    let clear = into_partial(&nest.body[writers[0]], partial, &names.init);
    let clear = along(&names.init, &count, Mapping::Serial, clear);
    let sum = free(&into_partial(&nest.body[at], partial, axis), axis);
    let final_init = names.renamed(&kept, Purpose::FinalInitial, Node::Store(identity.clone()));
    let combined = {
        let mut body = Body::default();
        let index = std::iter::once(Expr::axis(&names.last)).chain(identity.index.iter().cloned()).collect();
        body.read(partial, index, target.dtype);
        let store = Store { body, combine: store.combine, ..identity.clone() };
        let inner = along(&names.last, &count, Mapping::Reduction, Node::Store(store));
        names.renamed(&kept, Purpose::Final, inner)
    };
    let mut out = nest.clone();
    out.buffers.push(buffer);
    out.body[writers[0]] = clear;
    out.body.splice(at..=at, [sum, final_init, combined]);
    Ok(out)
}

/// Names of the stages' axes.
struct Names {
    /// The reduction.
    of: Name,
    /// The axis in the stage that clears partial results, and in the stage that combines them.
    init: Name,
    last: Name,
}

impl Names {
    fn of(axis: &str, kept: &[&Loop]) -> Names {
        let values = |of: &str| StageName::new(of, Purpose::Values);
        let initial = kept.iter().find_map(|l| StageName::of_initial_axis(&l.axis));
        let own = initial.map(|(s, _)| values(&s.of)).and_then(|s| Some((s.own(axis)?, s)));
        let own = own.map(|(axis, stage)| (stage, axis)).or_else(|| StageName::of_axis(axis));
        let (StageName { of, .. }, axis) = own.unwrap_or_else(|| (values(axis), AxisName::new("k")));
        Names {
            init: StageName::new(&of, Purpose::Initial).axis(&axis),
            last: StageName::new(&of, Purpose::Final).axis(&axis),
            of,
        }
    }

    /// The loops of the initialising stage around `inner`, renamed for a stage with another purpose.
    fn renamed(&self, kept: &[&Loop], purpose: Purpose, inner: Node) -> Node {
        let [initial, stage] = [Purpose::Initial, purpose].map(|p| StageName::new(&self.of, p));
        kept.iter().rev().fold(inner, |inner, l| {
            let axis = stage.axis(&initial.own(&l.axis).unwrap_or_else(|| AxisName::new(&l.axis)));
            let inner = map_exprs(&inner, &|e| e.replace_axis(&l.axis, &Expr::axis(&axis)));
            Node::Loop(Loop { axis, body: vec![inner], ..(*l).clone() })
        })
    }
}

/// The loops around the only store, outermost first.
fn perfect(node: &Node) -> Option<(Vec<&Loop>, &Store)> {
    let (mut loops, mut node) = (Vec::new(), node);
    loop {
        match node {
            Node::Loop(l) => {
                let [inner] = &l.body[..] else { return None };
                loops.push(l);
                node = inner;
            }
            Node::Store(s) => return Some((loops, s)),
            Node::Tile(_) | Node::Barrier => return None,
        }
    }
}

/// The number of iterations over `axis`, or the largest number if it depends on other axes.
fn iterations(node: &Node, axis: &str, ranges: &mut Ranges) -> Option<Expr> {
    let Node::Loop(l) = node else { return None };
    if *l.axis == *axis {
        let depends = ranges.names().any(|name| l.extent.uses_axis(name));
        return if depends { ranges.upper_bound(&l.extent).map(Expr::from) } else { Some(l.extent.clone()) };
    }
    ranges.push(l);
    l.body.iter().find_map(|inner| iterations(inner, axis, ranges))
}

/// The stage with its store into the partial result of `axis`.
fn into_partial(node: &Node, partial: usize, axis: &str) -> Node {
    match node {
        Node::Loop(l) => {
            let body = l.body.iter().map(|n| into_partial(n, partial, axis)).collect();
            Node::Loop(Loop { body, ..l.clone() })
        }
        Node::Store(s) => {
            let index = std::iter::once(Expr::axis(axis)).chain(s.index.iter().cloned()).collect();
            Node::Store(Store { buffer: partial, index, ..s.clone() })
        }
        other => other.clone(),
    }
}

/// The stage with the loop over `axis` turned from a reduction into a parallel one.
fn free(node: &Node, axis: &str) -> Node {
    let Node::Loop(l) = node else { return node.clone() };
    let mapping = if *l.axis == *axis { Mapping::Serial } else { l.mapping };
    Node::Loop(Loop { mapping, body: l.body.iter().map(|n| free(n, axis)).collect(), ..l.clone() })
}

fn reads(store: &Store, buffer: usize) -> bool {
    store.body.insts.iter().any(|(i, _)| matches!(i, Inst::Read { tensor, .. } if *tensor == buffer))
}
