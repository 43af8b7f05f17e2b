//! The stages of a nest that is not merged yet: perfect nests beside each other, and the accesses of their
//! stores.

use super::{
    plan::Plan,
    refusal::{OrRefuse, Planned, refuse},
};
use mlcc_ir::{
    Name,
    expr::{Atom, Expr},
    kernel::{Axis, AxisKind, Compute, Kernel},
    nest::{
        Buffer, LoopNest, Node, Store,
        names::{AxisName, StageName},
    },
    product::Product,
    scalar::Inst,
    size_range::SizeRanges,
    types::row_major_strides,
};

/// A perfect nest around one store.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    /// `conv`, `conv.init`, `relu`.
    pub(super) name: StageName,
    /// Axes without the stage's name, outermost first, with extents; `reduced` ones are combined.
    pub(super) axes: Vec<StageAxis>,
    pub(super) store: Store,
}

/// An axis of a stage.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct StageAxis {
    pub(super) name: AxisName,
    pub(super) extent: Expr,
    /// Estimated number of points.
    pub(super) count: i64,
    pub(super) reduced: bool,
}

impl Stage {
    /// The full name of an axis.
    pub(super) fn full(&self, axis: &AxisName) -> Name {
        self.name.axis(axis)
    }

    /// The axes by their full names.
    pub(super) fn full_axes(&self) -> Vec<Axis> {
        let axis = |a: &StageAxis| {
            let kind = if a.reduced { AxisKind::Reduction } else { AxisKind::Parallel };
            Axis { name: self.full(&a.name), extent: a.extent.clone(), kind }
        };
        self.axes.iter().map(axis).collect()
    }

    /// The stage's value as a product, with axes by their full names.
    pub(super) fn product(&self) -> Option<Product<'_>> {
        Product::of(self.full_axes(), &self.store.body, &self.store.index, self.store.combine)
    }

    /// Estimated number of points.
    pub(super) fn points(&self) -> i64 {
        self.axes.iter().fold(1, |n, a| n.saturating_mul(a.count))
    }
}

/// A number for an extent, from the known facts about symbols.
pub(super) fn estimate(extent: &Expr, sizes: &SizeRanges) -> i64 {
    // Assumed size of a symbol where a decision needs a number; if it is out of the symbol's range, the
    // nearest size in it.
    const SYMBOLIC: i64 = 64;
    extent.as_const().unwrap_or_else(|| sizes.typical(extent, SYMBOLIC).unwrap_or(SYMBOLIC).max(1))
}

/// A plan for a kernel that is one reduction with elementwise computes behind it. The reduction accumulates
/// in a temporary, which may then be in registers.
pub(super) fn reduction_with_epilogue(kernel: &Kernel, naive: &LoopNest) -> Planned<Plan> {
    reduction_behind(kernel, naive, None)
}

/// The same for a kernel whose reduction stands behind a `maker`, if there is one: an elementwise compute
/// that makes an operand and stays apart.
pub(super) fn reduction_behind(kernel: &Kernel, naive: &LoopNest, maker: Option<&Compute>) -> Planned<Plan> {
    let computes = kernel.computes.get(usize::from(maker.is_some())..).and_then(<[_]>::split_first);
    let (first, rest) = computes.or_refuse("it computes nothing")?;
    let fits = first.is_reduction()
        && first.combine.is_some()
        && rest.iter().all(|c| !c.is_reduction() && c.combine.is_none());
    if !fits {
        return refuse("it is not one reduction with elementwise computes behind it");
    }
    let mut plan = Plan::new(kernel, naive.clone());
    plan.accumulate_output(kernel, first)?;
    plan.apart = maker.map(|_| plan.stages.remove(0));
    Ok(plan)
}

/// Names of the parallel axes that all stages have with equal extents, in the order of the last stage.
pub(super) fn shared_axes(stages: &[Stage]) -> Vec<AxisName> {
    let Some(last) = stages.last() else { return Vec::new() };
    let in_all = |a: &&StageAxis| !a.reduced && stages.iter().all(|s| s.axes.iter().any(|b| b == *a));
    last.axes.iter().filter(in_all).map(|a| a.name.clone()).collect()
}

/// The offset of an element.
pub(super) fn offset(buffer: &Buffer, index: &[Expr]) -> Expr {
    let strides = row_major_strides(&buffer.dims);
    index.iter().zip(strides).fold(Expr::from(0), |sum, (e, s)| sum + e.clone() * s)
}

/// Distance in memory of neighbouring points along an axis; `None` if it is not fixed.
pub(super) fn stride(buffer: &Buffer, index: &[Expr], axis: &str) -> Option<Expr> {
    if index.iter().any(Expr::uses_values) {
        return None;
    }
    offset(buffer, index).split_axis(axis).map(|(c, _)| c)
}

/// Number of quotients and remainders in the nest's index expressions.
pub(super) fn quotients(nest: &LoopNest) -> usize {
    let mut count = 0;
    let mut add = |e: &Expr| {
        e.any_atom(&mut |a| {
            count += usize::from(matches!(a, Atom::FloorDiv(_) | Atom::Mod(_)));
            false
        });
    };
    nest.visit(&mut |node| {
        if let Node::Store(s) = node {
            s.index.iter().for_each(&mut add);
            for (inst, _) in &s.body.insts {
                match inst {
                    Inst::Index(e) => add(e),
                    Inst::Read { index, .. } => index.iter().for_each(&mut add),
                    _ => {}
                }
            }
        }
    });
    count
}

/// Whether a change brought no quotients or remainders into index expressions.
pub(super) fn stays_affine(before: &LoopNest, after: &LoopNest) -> bool {
    quotients(after) <= quotients(before)
}
