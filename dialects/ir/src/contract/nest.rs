//! Conditions that must hold for loop nests.

use super::{Contract, bad_body, broken};
use crate::{
    diagnostic::Result,
    expr::{Atom, Expr},
    kernel::Role,
    nest::{LoopNest, Mapping, Node, Space},
};

/// Loop level: axes are known where they are used, their mappings are possible, buffers are placed.
impl Contract for LoopNest {
    fn check(&self, after: &str) -> Result<()> {
        let fail = |what: String| Err(broken(after, format!("nest '{}': {what}", self.name)));
        for buffer in &self.buffers {
            if (buffer.role == Role::Temporary) == (buffer.space == Space::Global) {
                return fail(format!("buffer '{}' is in the wrong space", buffer.name));
            }
        }
        check_nodes(self, &self.body, &mut Vec::new(), true).or_else(fail)
    }
}

fn check_nodes<'a>(
    nest: &LoopNest,
    nodes: &'a [Node],
    axes: &mut Vec<&'a str>,
    outermost: bool,
) -> std::result::Result<(), String> {
    let known =
        |axes: &[&str], e: &Expr| !e.any_atom(&mut |a| matches!(a, Atom::Axis(n) if !axes.contains(&&**n)));
    let tensor = |b: usize| nest.buffers.get(b).map(|b| (b.dims.len(), b.dtype));
    for node in nodes {
        match node {
            Node::Loop(l) => {
                if axes.contains(&&*l.axis) {
                    return Err(format!("axis '{}' occurs twice on a path", l.axis));
                }
                if !known(axes, &l.extent) {
                    return Err(format!("the extent of '{}' uses an unknown axis", l.axis));
                }
                let parallel = l.mapping == Mapping::Parallel;
                if parallel && !(outermost && nodes.len() == 1) {
                    return Err(format!("parallel axis '{}' is not outermost", l.axis));
                }
                if l.mapping == Mapping::Unrolled && l.extent.as_const().is_none() {
                    return Err(format!("unrolled axis '{}' has a symbolic extent", l.axis));
                }
                axes.push(&l.axis);
                check_nodes(nest, &l.body, axes, outermost && parallel)?;
                axes.pop();
            }
            Node::Store(s) => {
                let guards = s.guards.iter().flat_map(|(a, b)| [a, b]);
                let mut exprs = s.index.iter().chain(guards);
                let rank = tensor(s.buffer).map(|(rank, _)| rank);
                if rank != Some(s.index.len()) || !exprs.all(|e| known(axes, e)) {
                    return Err(format!("a store into buffer {} has a bad index", s.buffer));
                }
                if let Some(what) = bad_body(&s.body, &tensor, &|e| known(axes, e)) {
                    return Err(format!("a store {what}"));
                }
            }
            Node::Tile(t) => {
                let [a, b] = [&t.a, &t.b].map(|o| [&o.base, &o.stride, &o.k_stride]);
                let limits = t.a_rows.iter().chain(&t.b_cols);
                let mut exprs = a.into_iter().chain(b).chain(limits).chain([&t.k]);
                let mut gathered = true;
                if let Some(rows) = &t.a_gather {
                    let ends = rows.inside.iter().flat_map(|(a, b)| [a, b]);
                    axes.push(&rows.axis);
                    gathered = ends.chain([&rows.offset]).all(|e| known(axes, e));
                    axes.pop();
                }
                if !gathered || !exprs.all(|e| known(axes, e)) {
                    return Err("a contraction tile uses an unknown axis".into());
                }
                if t.a_gather.is_some() && !t.a.stride.is(0) {
                    return Err("a contraction tile gathers rows that have a stride".into());
                }
                if [&t.a, &t.b].iter().any(|o| o.buffer >= nest.buffers.len()) {
                    return Err("a contraction tile reads an unknown buffer".into());
                }
                if nest.buffers.get(t.acc).is_none_or(|b| b.space != Space::Register) {
                    return Err("a contraction tile accumulates outside registers".into());
                }
            }
            Node::Barrier => {}
        }
    }
    Ok(())
}
