//! `alias(a, b)`: the temporary `a` lives in the memory of the temporary `b`.
//!
//! ```text
//! for i: e[i] = exp(s[i])            for i: s[i] = exp(s[i])
//! for i: y[i] = e[i] + 1       =>    for i: y[i] = s[i] + 1
//! ```
//!
//! Legal if both have one shape and type, one store writes `a` from elements of `b` at the same index,
//! nothing touches `a` before this store, and nothing touches `b` after it. The two are then alive together
//! in one element only.

use super::{
    access::{accesses, separates},
    tree::buffer_named,
};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    kernel::Role,
    nest::{LoopNest, Node, Space, Store},
    scalar::Inst,
};

/// Puts the temporary `a` into the memory of `b`.
///
/// # Errors
/// If the two are alive at the same time, or differ in shape, type or space.
pub fn alias(nest: &LoopNest, a: &str, b: &str) -> Result<LoopNest> {
    let (from, to) = (buffer_named(nest, a)?, buffer_named(nest, b)?);
    let (x, y) = (&nest.buffers[from], &nest.buffers[to]);
    if from == to || [x, y].iter().any(|b| b.role != Role::Temporary || b.space != Space::Scratch) {
        return Err(Diagnostic::user(format!("'{a}' and '{b}' are not two temporaries in scratch memory")));
    }
    if (x.dtype, &x.dims) != (y.dtype, &y.dims) {
        return Err(Diagnostic::user(format!("'{a}' and '{b}' differ in shape or type")));
    }
    if let Some(why) = conflict(nest, from, to) {
        return Err(Diagnostic::user(format!("'{b}' cannot hold '{a}': {why}")));
    }
    let mut aliased = nest.clone();
    aliased.buffers.remove(from);
    let map = |id: &mut usize| {
        *id = match *id {
            id if id == from => to - usize::from(to > from),
            id => id - usize::from(id > from),
        };
    };
    renumber(&mut aliased.body, &map);
    aliased.streamed.iter_mut().for_each(map);
    aliased.fetches.iter_mut().for_each(|f| map(&mut f.buffer));
    aliased.packings.iter_mut().for_each(|p| map(&mut p.target));
    Ok(aliased)
}

/// The reason why `to` cannot hold `from` too. The nest's outermost loops around all accesses count as one
/// iteration.
fn conflict(nest: &LoopNest, from: usize, to: usize) -> Option<&'static str> {
    // Descends to the first list of nodes in which several touch the buffers.
    let touches = |node: &Node| {
        let mut found = (false, false);
        touch(node, &mut |id| {
            found.0 |= id == from;
            found.1 |= id == to;
        });
        found
    };
    let mut body = &nest.body[..];
    loop {
        let touching: Vec<&Node> = body.iter().filter(|n| touches(n) != (false, false)).collect();
        match touching[..] {
            [Node::Loop(l)] => {
                body = &l.body;
                // An iteration must not need values that an earlier one left there.
                let all = accesses(body);
                let Some(first) = all.iter().find(|a| a.buffer == to) else { break };
                if !first.write || first.combines {
                    return Some("it holds values from one iteration to the next");
                }
            }
            _ => break,
        }
    }
    let mut made = false;
    for node in body {
        match (touches(node), made) {
            ((false, _), false) | ((_, false), true) => {}
            ((true, _), false) => {
                let Some(store) = only_store(node) else { return Some("it is not made by one store") };
                let same = |inst: &Inst| match inst {
                    Inst::Read { tensor, index, outside } if *tensor == to => {
                        *index == store.index && outside.is_none()
                    }
                    Inst::Read { tensor, .. } => *tensor != from,
                    _ => true,
                };
                if store.buffer != from
                    || store.combine.is_some()
                    || !store.body.insts.iter().all(|(i, _)| same(i))
                    || !makes_each_once(nest, node, from)
                {
                    return Some("it is not made from the element whose place it takes");
                }
                made = true;
            }
            ((_, true), true) => return Some("both are used after it is made"),
        }
    }
    (!made).then_some("it is never made")
}

/// Whether different iterations of the loops in the node write different elements.
fn makes_each_once(nest: &LoopNest, node: &Node, buffer: usize) -> bool {
    let Node::Loop(l) = node else { return true };
    let all = accesses(&l.body);
    let own: Vec<_> = all.iter().filter(|a| a.buffer == buffer).collect();
    (l.extent.is(1) || separates(&nest.buffers[buffer], &l.axis, &own))
        && l.body.iter().all(|n| makes_each_once(nest, n, buffer))
}

/// The store in a perfect nest.
fn only_store(node: &Node) -> Option<&Store> {
    match node {
        Node::Loop(l) => match &l.body[..] {
            [inner] => only_store(inner),
            _ => None,
        },
        Node::Store(s) => Some(s),
        Node::Tile(_) | Node::Barrier => None,
    }
}

fn touch(node: &Node, found: &mut dyn FnMut(usize)) {
    match node {
        Node::Loop(l) => l.body.iter().for_each(|n| touch(n, found)),
        Node::Store(s) => {
            found(s.buffer);
            for (inst, _) in &s.body.insts {
                if let Inst::Read { tensor, .. } = inst {
                    found(*tensor);
                }
            }
        }
        Node::Tile(t) => [t.acc, t.a.buffer, t.b.buffer].into_iter().for_each(found),
        Node::Barrier => {}
    }
}

fn renumber(nodes: &mut [Node], map: &dyn Fn(&mut usize)) {
    for node in nodes {
        match node {
            Node::Loop(l) => renumber(&mut l.body, map),
            Node::Store(s) => {
                map(&mut s.buffer);
                for (inst, _) in &mut s.body.insts {
                    if let Inst::Read { tensor, .. } = inst {
                        map(tensor);
                    }
                }
            }
            Node::Tile(t) => [&mut t.acc, &mut t.a.buffer, &mut t.b.buffer].into_iter().for_each(map),
            Node::Barrier => {}
        }
    }
}
