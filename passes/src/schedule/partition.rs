//! `partition(axis)`: iterations in which every guard and every read inside is certain to hold become a loop
//! of their own, without these conditions. The iterations before and after keep the conditions.
//!
//! ```text
//! for x in 0..n                               for x.first in 0..min(1, n): ..
//!   if x > 0: y[x] += w[x - 1]           =>   for x in 0..max(0, n - 2): y[x + 1] += w[x] + w[x + 2]
//!   if x + 1 < n: y[x] += w[x + 1]            for x.last in ..: ..
//! ```
//!
//! It does for any number of iterations what `peel` does for a constant number. A condition counts if it
//! grows or falls with the axis by a constant and is bounded over the loops inside; other conditions stay.
//! The order of iterations does not change, so partitioning is always legal.

use super::{
    ranges::Ranges,
    tree::{rewrite_loops, simplify, substitute},
};
use mlcc_ir::{
    Name,
    diagnostic::{Diagnostic, Result},
    expr::Expr,
    nest::{Buffer, Loop, LoopNest, Mapping, Node, Store, names::Part},
    scalar::Inst,
};

type Condition = (Expr, Expr);

/// Takes the iterations that need no conditions out of every loop over `axis`.
///
/// # Errors
/// If no condition inside depends on the axis in a way that bounds it.
pub fn partition(nest: &LoopNest, axis: &str) -> Result<LoopNest> {
    rewrite_loops(nest, axis, &mut |l, ranges| {
        if !matches!(l.mapping, Mapping::Serial | Mapping::Reduction) {
            let mapping = super::map_axis::describe(l.mapping);
            return Err(Diagnostic::user(format!("axis '{axis}' is {mapping} already")));
        }
        let mut certain = Certain {
            axis,
            buffers: &nest.buffers,
            low: 0.into(),
            high: None,
            taken: Vec::new(),
            left: Vec::new(),
        };
        let mut inside = ranges.clone();
        inside.push(&l);
        certain.collect(&l.body, &mut Vec::new(), &mut inside);
        if certain.taken.is_empty() {
            return Err(Diagnostic::user(format!("no condition inside bounds '{axis}'")));
        }
        let within = |e: &Expr, low: &Expr| ranges.simplify(&e.maximum(low).minimum(&l.extent));
        let low = within(&certain.low, &Expr::from(0));
        let high = certain.high.as_ref().map_or_else(|| l.extent.clone(), |high| within(high, &low));
        let part = |name: &str, first: &Expr, end: &Expr, free: bool| {
            let extent = ranges.simplify(&(end.clone() - first.clone()).maximum(&Expr::from(0)));
            let mut body = l.body.clone();
            if free {
                certain.drop_from(&mut body, &mut inside.clone());
            }
            let body = substitute(&body, axis, &(Expr::axis(name) + first.clone()));
            (!extent.is(0)).then(|| Node::Loop(Loop { axis: name.into(), extent, body, ..l.clone() }))
        };
        let [before, after] = [Part::First, Part::Last].map(|part| part.of(axis));
        let nodes: Vec<Node> = [
            part(&before, &Expr::from(0), &low, false),
            part(axis, &low, &high, true),
            part(&after, &high, &l.extent, false),
        ]
        .into_iter()
        .flatten()
        .collect();
        Ok(simplify(&nodes, &mut ranges.clone()))
    })
}

/// The iterations in which conditions are certain.
struct Certain<'a> {
    axis: &'a str,
    buffers: &'a [Buffer],
    /// They begin here.
    low: Expr,
    /// They end here; `None` if no condition ends them.
    high: Option<Expr>,
    /// The conditions that hold there.
    taken: Vec<Condition>,
    /// The conditions that stay.
    left: Vec<Condition>,
}

impl Certain<'_> {
    /// Looks at all conditions in the nodes, with the loops between the axis and them.
    fn collect(&mut self, nodes: &[Node], between: &mut Vec<(Name, Expr)>, ranges: &mut Ranges) {
        for node in nodes {
            match node {
                Node::Loop(l) => {
                    between.push((l.axis.clone(), l.extent.clone()));
                    ranges.push(l);
                    self.collect(&l.body, between, ranges);
                    ranges.pop();
                    between.pop();
                }
                Node::Store(s) => {
                    let reads = checked_reads(s)
                        .flat_map(|(tensor, index)| ranges.bounds(index, &self.buffers[tensor].dims));
                    let conditions: Vec<Condition> = s.guards.iter().cloned().chain(reads).collect();
                    conditions.into_iter().for_each(|c| self.take(c, between));
                }
                Node::Tile(_) | Node::Barrier => {}
            }
        }
    }

    /// Narrows the iterations to those in which a condition is certain. The condition is taken if this
    /// succeeds at every place where it stands.
    fn take(&mut self, condition: Condition, between: &[(Name, Expr)]) {
        let known = self.taken.iter().chain(&self.left).any(|c| *c == condition);
        match self.narrow(&condition, between) {
            Some(()) if !known => self.taken.push(condition),
            Some(()) => {}
            None => {
                self.taken.retain(|c| *c != condition);
                self.left.push(condition);
            }
        }
    }

    /// `None` if the condition does not bound the axis.
    fn narrow(&mut self, (a, b): &Condition, between: &[(Name, Expr)]) -> Option<()> {
        if a.uses_values() || b.uses_values() {
            return None;
        }
        // `a < b` is `0 <= b - a - 1`. The right side is least where each axis inside is at one of its ends.
        let mut least = b.clone() - a.clone() - Expr::from(1);
        for (inner, extent) in between.iter().rev() {
            let (step, rest) = least.split_axis(inner)?;
            let step = step.as_const()?;
            let end = if step < 0 { extent.clone() - Expr::from(1) } else { Expr::from(0) };
            least = rest + end * Expr::from(step);
        }
        let (factor, rest) = least.split_axis(self.axis)?;
        let factor = factor.as_const().filter(|factor| *factor != 0)?;
        let by = Expr::from(factor.abs());
        if factor > 0 {
            self.low = self.low.maximum(&(Expr::from(0) - rest).ceil_div(&by));
        } else {
            let end = rest.floor_div(&by) + Expr::from(1);
            self.high = Some(self.high.as_ref().map_or(end.clone(), |high| high.minimum(&end)));
        }
        Some(())
    }

    /// Leaves out the conditions that hold.
    fn drop_from(&self, nodes: &mut [Node], ranges: &mut Ranges) {
        for node in nodes {
            match node {
                Node::Loop(l) => {
                    ranges.push(l);
                    self.drop_from(&mut l.body, ranges);
                    ranges.pop();
                }
                Node::Store(s) => self.free(s, ranges),
                Node::Tile(_) | Node::Barrier => {}
            }
        }
    }

    fn free(&self, s: &mut Store, ranges: &Ranges) {
        s.guards.retain(|guard| !self.taken.contains(guard));
        for (inst, _) in &mut s.body.insts {
            if let Inst::Read { tensor, index, outside } = inst
                && outside.is_some()
                && !index.iter().any(Expr::uses_values)
                && ranges.bounds(index, &self.buffers[*tensor].dims).iter().all(|c| self.taken.contains(c))
            {
                *outside = None;
            }
        }
    }
}

/// The reads that may be out of bounds, at indices that do not depend on values.
fn checked_reads(s: &Store) -> impl Iterator<Item = (usize, &[Expr])> {
    s.body.insts.iter().filter_map(|(inst, _)| match inst {
        Inst::Read { tensor, index, outside: Some(_) } if !index.iter().any(Expr::uses_values) => {
            Some((*tensor, index.as_slice()))
        }
        _ => None,
    })
}
