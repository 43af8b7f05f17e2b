//! The common part of `cache_read` and `pack`: a panel with the elements that an operand is read at, in the
//! order of some axes.

use super::{ranges::Ranges, tree::each_store};
use mlcc_ir::{
    Name,
    diagnostic::{Diagnostic, Result},
    expr::Expr,
    nest::{LoopNest, Node, Store},
    scalar::{Constant, Inst},
};

/// Largest bound that replaces a symbolic size of a panel. Constant strides are worth some memory, but a
/// bound may be a slice's end at 10^9.
const NEAR: i64 = 1 << 12;

/// The reads of an operand within some nodes, seen as a function of axes.
pub(super) struct Panel {
    /// The reads.
    pub(super) reads: Reads,
    /// Extents of the panel's axes where they occur.
    pub(super) extents: Vec<Expr>,
    /// Constant or symbolic bounds of these extents, for the panel's dimensions.
    pub(super) dims: Vec<Expr>,
}

impl Panel {
    /// Looks at the reads of `buffer` in the nodes (with the loops around them in `around`).
    pub(super) fn of(
        nest: &LoopNest,
        nodes: &[Node],
        around: &Ranges,
        buffer: usize,
        axes: &[Name],
    ) -> Result<Panel> {
        let name = &nest.buffers[buffer].name;
        let reads = Reads::of(nest, nodes, around, buffer)?;
        let Reads { index, ranges, .. } = &reads;
        let mut used = Vec::new();
        index.iter().for_each(|e| e.collect_axes(&mut used));
        let free = |a: &&Name| !axes.contains(a) && around.extent(a).is_none();
        if let Some(a) = used.iter().find(free) {
            return Err(Diagnostic::user(format!("'{name}' is read at elements that depend on '{a}'")));
        }
        let (mut extents, mut dims) = (Vec::new(), Vec::new());
        for a in axes {
            let extent = ranges
                .extent(a)
                .ok_or_else(|| Diagnostic::user(format!("axis '{a}' is not around the reads of '{name}'")))?;
            let fixed = ranges.names().all(|n| around.extent(n).is_some() || !extent.uses_axis(n));
            let constant = !ranges.names().any(|n| extent.uses_axis(n));
            let near = |bound: &i64| !constant || *bound <= NEAR || extent.as_const().is_some();
            let bound = ranges.upper_bound(&extent).filter(near).map(Expr::from);
            match bound.or_else(|| constant.then(|| extent.clone())) {
                Some(dim) if fixed || dim.as_const().is_some() => {
                    extents.push(if fixed { extent } else { dim.clone() });
                    dims.push(dim);
                }
                _ => return Err(Diagnostic::user(format!("the extent of '{a}' varies without a bound"))),
            }
        }
        Ok(Panel { reads, extents, dims })
    }

    /// Turns the reads of `buffer` in the nodes into reads of `panel` at the axes.
    pub(super) fn redirect(&self, nodes: &mut [Node], (buffer, panel): (usize, usize), axes: &[Name]) {
        let at: Vec<Expr> = axes.iter().map(|a| Expr::axis(a)).collect();
        self.reads.redirect(nodes, (buffer, panel), &at);
    }
}

/// The reads of an operand that a copy is made for: the reads of reductions, which read each element many
/// times. If no reduction reads the operand, all its reads.
pub(super) struct Reads {
    /// The index of each of these reads.
    pub(super) index: Vec<Expr>,
    /// The value outside of the operand.
    pub(super) outside: Option<Constant>,
    /// The loops around the first one.
    pub(super) ranges: Ranges,
    /// Whether there are other reads, at other elements: an epilogue that adds a convolution's input.
    pub(super) others: bool,
}

impl Reads {
    /// Looks at the reads of `buffer` in the nodes (with the loops around them in `around`).
    ///
    /// # Errors
    /// If there are none, or they are at different elements.
    pub(super) fn of(nest: &LoopNest, nodes: &[Node], around: &Ranges, buffer: usize) -> Result<Reads> {
        let name = &nest.buffers[buffer].name;
        let mut by_reductions = false;
        each_read(nodes, &mut around.clone(), buffer, &mut |read, _| by_reductions |= read.reduced);
        let mut found: Option<Reads> = None;
        let (mut fault, mut others) = (false, false);
        each_read(nodes, &mut around.clone(), buffer, &mut |read, ranges| {
            let Read { index, outside, reduced } = read;
            match &found {
                Some(first) if first.matches(index, outside) => {}
                _ if reduced != by_reductions => others = true,
                None => {
                    let (index, ranges) = (index.to_vec(), ranges.clone());
                    found = Some(Reads { index, outside, ranges, others: false });
                }
                Some(_) => fault = true,
            }
        });
        if fault {
            return Err(Diagnostic::user(format!("'{name}' is read at different elements")));
        }
        let reads = found.ok_or_else(|| Diagnostic::user(format!("'{name}' is not read there")))?;
        Ok(Reads { others, ..reads })
    }

    fn matches(&self, index: &[Expr], outside: Option<Constant>) -> bool {
        self.index == index && self.outside == outside
    }

    /// Turns these reads of `from` into reads of `to`, at another index and never outside; other reads stay.
    pub(super) fn redirect(&self, nodes: &mut [Node], (from, to): (usize, usize), at: &[Expr]) {
        each_store(nodes, &mut |s| {
            for (inst, _) in &mut s.body.insts {
                if let Inst::Read { tensor, index, outside } = inst
                    && *tensor == from
                    && self.matches(index, *outside)
                {
                    (*tensor, *index, *outside) = (to, at.to_vec(), None);
                }
            }
        });
    }
}

/// A read of an operand.
pub(super) struct Read<'a> {
    pub(super) index: &'a [Expr],
    /// The value outside of the operand.
    pub(super) outside: Option<Constant>,
    /// Whether a reduction reads.
    pub(super) reduced: bool,
}

/// Calls `f` for every read of a buffer, with the loops around it.
pub(super) fn each_read(
    nodes: &[Node],
    ranges: &mut Ranges,
    buffer: usize,
    f: &mut dyn FnMut(Read<'_>, &Ranges),
) {
    for node in nodes {
        match node {
            Node::Loop(l) => {
                ranges.push(l);
                each_read(&l.body, ranges, buffer, f);
                ranges.pop();
            }
            Node::Store(Store { body, combine, .. }) => {
                for (inst, _) in &body.insts {
                    if let Inst::Read { tensor, index, outside } = inst
                        && *tensor == buffer
                    {
                        f(Read { index, outside: *outside, reduced: combine.is_some() }, ranges);
                    }
                }
            }
            Node::Tile(_) | Node::Barrier => {}
        }
    }
}
