//! `merge(a, b)`: two loops of equal extent, one behind the other, become one, called `a`. The computation of
//! the second moves to the place of the first.
//!
//! ```text
//! for c.i in 0..n                     for c.i in 0..n
//!   t[c.i] = ..                 =>      t = ..
//! for d.i in 0..n                       y[c.i] = f(t)
//!   y[d.i] = f(t[d.i])
//! ```
//!
//! Legal if both loops touch an element in the same iteration whenever one writes it and the other touches it.
//! Nodes between the loops must be independent of one of them, and this one moves to the other. Temporaries
//! that now live within one iteration shrink to the size that one iteration needs, unless iterations are the
//! lanes of vectors.

use super::{
    access::{Access, accesses, separates},
    ranges::Ranges,
    shrink::shrink,
    tree::{no_axis, rewrite_bodies, substitute, with_body},
};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    expr::Expr,
    nest::{Loop, LoopNest, Mapping, Node},
};
use std::collections::BTreeSet;

/// Merges the loop over `b` into its neighbour over `a`; either may come first.
///
/// # Errors
/// If nodes between the loops keep them apart, or the loops differ, or one needs another iteration of the
/// other.
pub fn merge(nest: &LoopNest, a: &str, b: &str) -> Result<LoopNest> {
    for axis in [a, b] {
        super::tree::find_loop(&nest.body, axis).ok_or_else(|| no_axis(nest, axis))?;
    }
    let mut merged = false;
    let body = rewrite_bodies(nest.body.clone(), &mut Ranges::outside(nest), &mut |mut nodes, _| {
        let at = |nodes: &[Node], axis: &str| {
            nodes.iter().position(|n| matches!(n, Node::Loop(l) if *l.axis == *axis))
        };
        let (Some(x), Some(y)) = (at(&nodes, a), at(&nodes, b)) else { return Ok(nodes) };
        let (first, second) = (x.min(y), x.max(y));
        let passes = |moved: usize| nodes[first + 1..second].iter().all(|n| independent(&nodes[moved], n));
        // The first moves down to the second, or the second up to the first.
        let at = match (passes(first), passes(second)) {
            (true, _) => second - 1,
            (false, true) => first,
            _ => return Err(Diagnostic::user(format!("other nodes lie between '{a}' and '{b}'"))),
        };
        let after = nodes.remove(second);
        let before = nodes.remove(first);
        let (Node::Loop(l), Node::Loop(m)) = (&before, &after) else { return Ok(nodes) };
        nodes.insert(at, Node::Loop(join(nest, l, m, a)?));
        merged = true;
        Ok(nodes)
    })?;
    if !merged {
        return Err(Diagnostic::user(format!("'{a}' and '{b}' do not lie in the same loop")));
    }
    let merged = with_body(nest, body);
    // Lanes of a vector are different iterations at the same time: each needs its own element.
    let is_vector =
        super::tree::find_loop(&merged.body, a).is_some_and(|l| matches!(l.mapping, Mapping::Vector(_)));
    Ok(if is_vector { merged } else { shrink(merged, a) })
}

/// Whether nodes may change places: neither writes a buffer that the other touches.
fn independent(a: &Node, b: &Node) -> bool {
    let [a, b] = [a, b].map(std::slice::from_ref);
    if [a, b].iter().any(|nodes| contains_barrier(nodes)) {
        return false;
    }
    let (of_a, of_b) = (accesses(a), accesses(b));
    of_a.iter().all(|x| of_b.iter().all(|y| x.buffer != y.buffer || !x.write && !y.write))
}

fn contains_barrier(nodes: &[Node]) -> bool {
    nodes.iter().any(|node| match node {
        Node::Barrier => true,
        Node::Loop(l) => contains_barrier(&l.body),
        Node::Store(_) | Node::Tile(_) => false,
    })
}

fn join(nest: &LoopNest, first: &Loop, second: &Loop, name: &str) -> Result<Loop> {
    let axis = Expr::axis(name);
    let renamed =
        |l: &Loop| Loop { axis: name.into(), body: substitute(&l.body, &l.axis, &axis), ..l.clone() };
    let (a, b) = (renamed(first), renamed(second));
    if a.extent != b.extent {
        return Err(Diagnostic::user(format!(
            "'{}' has {} iterations and '{}' {}",
            first.axis, a.extent, second.axis, b.extent
        )));
    }
    if a.mapping != b.mapping {
        return Err(Diagnostic::user(format!(
            "'{}' and '{}' are mapped differently",
            first.axis, second.axis
        )));
    }
    // The range of the loop shows which accesses touch different parts of a buffer.
    let [of_a, of_b] = [&a, &b].map(|l| accesses(&[Node::Loop(l.clone())]));
    // A loop into which many were merged touches many buffers, the other one few.
    let few = if of_a.len() < of_b.len() { &of_a } else { &of_b };
    let shared: BTreeSet<usize> = few.iter().map(|x| x.buffer).collect();
    for (id, buffer) in shared.into_iter().map(|id| (id, &nest.buffers[id])) {
        let touches = |all: &[Access]| all.iter().any(|x| x.buffer == id);
        let writes = |all: &[Access]| all.iter().any(|x| x.buffer == id && x.write);
        if !(writes(&of_a) && touches(&of_b) || writes(&of_b) && touches(&of_a)) {
            continue;
        }
        let both: Vec<&Access> = of_a.iter().chain(&of_b).filter(|x| x.buffer == id).collect();
        if !a.extent.is(1) && !separates(buffer, name, &both) {
            return Err(Diagnostic::user(format!(
                "'{}' is not made and used in the same iteration of '{}' and '{}'",
                buffer.name, first.axis, second.axis
            )));
        }
    }
    let mut body = a.body;
    body.extend(b.body);
    Ok(Loop { body, ..a })
}
