//! `reorder(a, b, ...)`: perfectly nested loops change places.
//!
//! The named loops take, in the given order, the places that they occupy together; loops between them that
//! are not named stay where they are. Legal if only reductions make iterations of the moved loops depend on
//! each other, and no extent uses an axis that would come to lie inside.

use super::{
    access::{Harmless, order_matters},
    tree::{find_loop, no_axis, rewrite_loops},
};
use mlcc_ir::{
    Name,
    diagnostic::{Diagnostic, Result},
    nest::{Loop, LoopNest, Node},
};

/// Reorders the loops.
///
/// # Errors
/// If the loops are not perfectly nested, or their order matters.
pub fn reorder(nest: &LoopNest, order: &[Name]) -> Result<LoopNest> {
    for axis in order {
        find_loop(&nest.body, axis).ok_or_else(|| no_axis(nest, axis))?;
    }
    // The outermost named loop has all others inside it.
    let outermost = order
        .iter()
        .find(|a| {
            let l = find_loop(&nest.body, a);
            l.is_some_and(|l| order.iter().all(|b| b == *a || find_loop(&l.body, b).is_some()))
        })
        .ok_or_else(|| Diagnostic::user("the loops are not nested in each other"))?;
    rewrite_loops(nest, outermost, &mut |l, _| {
        let mut chain: Vec<Loop> = Vec::new();
        let mut rest = vec![Node::Loop(l)];
        let mut left = order.len();
        while left > 0 {
            match <[Node; 1]>::try_from(rest) {
                Ok([Node::Loop(mut l)]) => {
                    left -= usize::from(order.contains(&l.axis));
                    rest = std::mem::take(&mut l.body);
                    chain.push(l);
                }
                _ => return Err(Diagnostic::user("the loops are not perfectly nested")),
            }
        }
        let harmless = Harmless { reductions: true, private: false };
        let first = chain.iter().map(|l| l.axis.clone()).collect::<Vec<_>>();
        for axis in &first {
            let inside = Node::Loop(Loop { body: wrap(&chain, rest.clone()), ..chain[0].clone() });
            if let Some(l) = find_loop(std::slice::from_ref(&inside), axis)
                && !l.extent.is(1)
                && let Some(why) = order_matters(nest, axis, &l.body, harmless)
            {
                return Err(Diagnostic::user(why));
            }
        }
        let mut places: Vec<Loop> = chain.clone();
        let mut next = order.iter();
        for place in &mut places {
            if order.contains(&place.axis)
                && let Some(wanted) = next.next()
                && let Some(l) = chain.iter().find(|l| l.axis == *wanted)
            {
                *place = l.clone();
            }
        }
        for (at, l) in places.iter().enumerate() {
            if let Some(inner) = places[at..].iter().find(|i| l.extent.uses_axis(&i.axis)) {
                return Err(Diagnostic::user(format!(
                    "the extent of '{}' depends on '{}', which would lie inside",
                    l.axis, inner.axis
                )));
            }
        }
        Ok(nested(&places, rest))
    })
}

/// The body of the first loop of a chain around `rest`.
fn wrap(chain: &[Loop], rest: Vec<Node>) -> Vec<Node> {
    nested(&chain[1..], rest)
}

/// The loops, outermost first, around `rest`.
pub(super) fn nested(loops: &[Loop], rest: Vec<Node>) -> Vec<Node> {
    loops.iter().rev().fold(rest, |body, l| vec![Node::Loop(Loop { body, ..l.clone() })])
}
