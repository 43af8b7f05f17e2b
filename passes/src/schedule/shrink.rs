//! Shrinks temporaries that live within one iteration of a loop to the size that one iteration needs.

use super::{
    access::{Access, accesses},
    ranges::Ranges,
    tree::{each_store, find_loop},
};
use mlcc_ir::{
    Name,
    expr::Expr,
    kernel::Role,
    nest::{LoopNest, Node, Space},
    scalar::Inst,
};

/// Shrinks every temporary that is used only within the loop over `axis`.
pub(crate) fn shrink(mut nest: LoopNest, axis: &str) -> LoopNest {
    let mut path = Vec::new();
    if !path_to(&nest.body, axis, &mut path) {
        return nest;
    }
    let Some(inside) = find_loop(&nest.body, axis).map(|l| accesses(&l.body)) else { return nest };
    let all = accesses(&nest.body);
    for id in 0..nest.buffers.len() {
        let buffer = &nest.buffers[id];
        let own = buffer.role == Role::Temporary && buffer.space != Space::Global;
        let count = |of: &[Access]| of.iter().filter(|a| a.buffer == id).count();
        if !own || count(&inside) == 0 || count(&inside) != count(&all) {
            continue;
        }
        let of_buffer: Vec<&Access> = inside.iter().filter(|a| a.buffer == id).collect();
        if of_buffer.iter().any(|a| a.index.is_none()) {
            continue;
        }
        for d in (0..nest.buffers[id].dims.len()).rev() {
            if let Some((common, dim)) = shrunk_dim(&of_buffer, d, &path, &nest.buffers[id].dims[d]) {
                apply(&mut nest, id, d, &common, &dim);
            }
        }
    }
    nest
}

/// Names of the loops around and including the one over `axis`.
fn path_to(nodes: &[Node], axis: &str, path: &mut Vec<Name>) -> bool {
    for node in nodes {
        if let Node::Loop(l) = node {
            path.push(l.axis.clone());
            if *l.axis == *axis || path_to(&l.body, axis, path) {
                return true;
            }
            path.pop();
        }
    }
    false
}

/// The part of dimension `d`'s index that is fixed within one iteration, and the remaining size; `None` if
/// the dimension does not shrink.
fn shrunk_dim(accesses: &[&Access], d: usize, path: &[Name], dim: &Expr) -> Option<(Expr, Expr)> {
    let mut common: Option<Expr> = None;
    let mut first: Option<i64> = None;
    let mut ends: Vec<End> = Vec::new();
    for access in accesses {
        let e = access.index.as_ref()?.get(d)?;
        if e.uses_values() {
            return None;
        }
        let mut fixed = e.clone();
        for name in access.ranges.names() {
            fixed = fixed.replace_axis(name, &Expr::from(0));
        }
        // Neighbouring elements, `2 i` and `2 i + 1`, belong to one iteration.
        let fixed = fixed.clone() - Expr::from(fixed.constant());
        if *common.get_or_insert_with(|| fixed.clone()) != fixed {
            return None;
        }
        let rest = e.clone() - fixed;
        let range = access.ranges.of(&rest);
        let low = range.low?;
        first = Some(first.map_or(low, |f| f.min(low)));
        ends.push(match range.high {
            Some(high) => End::Known(high + 1),
            None => End::Symbolic(extent_of(&access.ranges, &rest, path)?),
        });
    }
    let (common, first) = (common?, first?);
    let known: Option<Vec<i64>> =
        ends.iter().map(|e| if let End::Known(end) = e { Some(*end) } else { None }).collect();
    let size = match (known, &ends[..]) {
        (Some(known), _) => Expr::from(known.into_iter().max()? - first),
        (None, [one, others @ ..]) if first == 0 && others.iter().all(|e| e == one) => match one {
            End::Known(end) => Expr::from(*end),
            End::Symbolic(end) => end.clone(),
        },
        _ => return None,
    };
    let common = common + Expr::from(first);
    (!common.is(0) || size != *dim || size.is(1)).then_some((common, size))
}

/// The end of the elements that an access touches.
#[derive(PartialEq)]
enum End {
    Known(i64),
    Symbolic(Expr),
}

/// The extent of the axis, if the expression is one whose extent is the same everywhere.
fn extent_of(ranges: &Ranges, e: &Expr, path: &[Name]) -> Option<Expr> {
    let extent = ranges.extent(e.as_axis()?)?;
    let fixed = !path.iter().any(|p| extent.uses_axis(p)) && !ranges.names().any(|n| extent.uses_axis(n));
    fixed.then_some(extent)
}

fn apply(nest: &mut LoopNest, buffer: usize, d: usize, common: &Expr, size: &Expr) {
    let drop = size.is(1);
    let adjust = |index: &mut Vec<Expr>| {
        if drop {
            index.remove(d);
        } else {
            index[d] = index[d].clone() - common.clone();
        }
    };
    each_store(&mut nest.body, &mut |s| {
        if s.buffer == buffer {
            adjust(&mut s.index);
        }
        for (inst, _) in &mut s.body.insts {
            if let Inst::Read { tensor, index, .. } = inst
                && *tensor == buffer
            {
                adjust(index);
            }
        }
    });
    let dims = &mut nest.buffers[buffer].dims;
    if drop {
        dims.remove(d);
    } else {
        dims[d] = size.clone();
    }
}
