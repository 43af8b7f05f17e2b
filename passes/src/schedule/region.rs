//! The box of a buffer's elements that the loops inside a loop read. They must be there for one iteration.

use super::{panel::each_read, ranges::Ranges, tree::each_store};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    expr::Expr,
    nest::{LoopNest, Node},
    scalar::Inst,
};

/// Most elements of a region. A larger region would fit no cache, and a bound far above the real size costs
/// memory.
const MAX_ELEMENTS: i64 = 1 << 24;

/// Elements of a buffer that some nodes read: a box at a place that the surrounding loops decide.
pub(super) struct Region {
    /// First element of the box, as a function of the loops around.
    pub(super) first: Vec<Expr>,
    /// Elements along each dimension.
    pub(super) sizes: Vec<i64>,
    /// The place in the box that a read goes to, as a function of the loops inside.
    inside: Vec<Expr>,
}

impl Region {
    /// The region that the nodes read inside the loops `around`.
    pub(super) fn of(nest: &LoopNest, nodes: &[Node], around: &Ranges, buffer: usize) -> Result<Region> {
        let b = &nest.buffers[buffer];
        let name = &b.name;
        let mut found: Option<(Vec<Expr>, Ranges)> = None;
        let mut several = false;
        each_read(nodes, &mut around.clone(), buffer, &mut |read, ranges| match &found {
            None => found = Some((read.index.to_vec(), ranges.clone())),
            Some((i, _)) => several |= i != read.index,
        });
        if several {
            return Err(Diagnostic::user(format!("'{name}' is read at different elements")));
        }
        let (index, ranges) = found.ok_or_else(|| Diagnostic::user(format!("'{name}' is not read there")))?;
        let mut region = Region { first: Vec::new(), sizes: Vec::new(), inside: Vec::new() };
        let mut elements = 1i64;
        for e in &index {
            if e.uses_values() {
                return Err(Diagnostic::user(format!("'{name}' is read at an index that is computed")));
            }
            let within = ranges.names().filter(|n| around.extent(n).is_none());
            let base = within.fold(e.clone(), |e, n| e.replace_axis(n, &Expr::from(0)));
            let varying = ranges.simplify(&(e.clone() - base.clone()));
            let bounds = ranges.of(&varying);
            let (Some(low), Some(high)) = (bounds.low, bounds.high) else {
                return Err(Diagnostic::user(format!(
                    "the part of '{name}' that is read has no constant size"
                )));
            };
            elements = elements.saturating_mul(high - low + 1);
            if elements > MAX_ELEMENTS {
                return Err(Diagnostic::user(format!(
                    "the part of '{name}' that is read is too large to be made there"
                )));
            }
            if around.names().any(|n| varying.uses_axis(n)) {
                return Err(Diagnostic::user(format!(
                    "the part of '{name}' that is read does not move with the loops around it"
                )));
            }
            region.first.push(base + Expr::from(low));
            region.sizes.push(high - low + 1);
            region.inside.push(varying - Expr::from(low));
        }
        Ok(region)
    }

    /// Makes every read of the operand one of the region.
    pub(super) fn redirect(&self, nodes: &mut [Node], (from, to): (usize, usize)) {
        let at: Vec<Expr> = self
            .inside
            .iter()
            .zip(&self.sizes)
            .filter(|(_, size)| **size != 1)
            .map(|(e, _)| e.clone())
            .collect();
        each_store(nodes, &mut |s| {
            for (inst, _) in &mut s.body.insts {
                if let Inst::Read { tensor, index, outside } = inst
                    && *tensor == from
                {
                    (*tensor, *index, *outside) = (to, at.clone(), None);
                }
            }
        });
    }
}
