//! What `cache_read` and `pack` share: a panel that holds the elements an operand is read at, in the
//! order of some axes.

use super::{ranges::Ranges, tree::each_store};
use mlcc_ir::{
    Name,
    diagnostic::{Diagnostic, Result},
    expr::Expr,
    nest::{LoopNest, Node, Store},
    scalar::{Constant, Inst},
};

/// The reads of an operand within some nodes, seen as a function of axes.
pub(super) struct Panel {
    /// The index of every read.
    pub(super) index: Vec<Expr>,
    /// The value outside of the operand.
    pub(super) outside: Option<Constant>,
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
        let mut found: Option<(Vec<Expr>, Option<Constant>, Ranges)> = None;
        let mut fault = None;
        each_read(nodes, &mut around.clone(), buffer, &mut |index, outside, ranges| match &found {
            None => found = Some((index.to_vec(), outside, ranges.clone())),
            Some((i, o, _)) if i == index && *o == outside => {}
            Some(_) => fault = Some(format!("'{name}' is read at different elements")),
        });
        if let Some(what) = fault {
            return Err(Diagnostic::user(what));
        }
        let (index, outside, ranges) =
            found.ok_or_else(|| Diagnostic::user(format!("'{name}' is not read there")))?;
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
            let bound = ranges.upper_bound(&extent).map(Expr::from);
            let constant = !ranges.names().any(|n| extent.uses_axis(n));
            match bound.or_else(|| constant.then(|| extent.clone())) {
                Some(dim) if fixed || dim.as_const().is_some() => {
                    extents.push(if fixed { extent } else { dim.clone() });
                    dims.push(dim);
                }
                _ => return Err(Diagnostic::user(format!("the extent of '{a}' varies without a bound"))),
            }
        }
        Ok(Panel { index, outside, extents, dims })
    }
}

/// Calls `f` for every read of a buffer.
pub(super) fn each_read(
    nodes: &[Node],
    ranges: &mut Ranges,
    buffer: usize,
    f: &mut dyn FnMut(&[Expr], Option<Constant>, &Ranges),
) {
    for node in nodes {
        match node {
            Node::Loop(l) => {
                ranges.push(l);
                each_read(&l.body, ranges, buffer, f);
                ranges.pop();
            }
            Node::Store(Store { body, .. }) => {
                for (inst, _) in &body.insts {
                    if let Inst::Read { tensor, index, outside } = inst
                        && *tensor == buffer
                    {
                        f(index, *outside, ranges);
                    }
                }
            }
            Node::Tile(_) | Node::Barrier => {}
        }
    }
}

/// Makes every read of `buffer` in the nodes one of `panel` at the axes.
pub(super) fn redirect(nodes: &mut [Node], buffer: usize, panel: usize, axes: &[Name]) {
    each_store(nodes, &mut |s| {
        for (inst, _) in &mut s.body.insts {
            if let Inst::Read { tensor, index, outside } = inst
                && *tensor == buffer
            {
                *tensor = panel;
                *index = axes.iter().map(|a| Expr::axis(a)).collect();
                *outside = None;
            }
        }
    });
}
