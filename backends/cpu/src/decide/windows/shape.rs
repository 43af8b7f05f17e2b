//! The shape of a kernel's window: its axes, the axes they slide along, and the axis of vectors.

use super::super::{
    refusal::{Planned, Reason, refuse},
    stages::{Stage, stride},
};
use mlcc_ir::{
    Name,
    expr::Expr,
    kernel::Role,
    nest::{LoopNest, names::AxisName},
    product::{Window, windows},
    scalar::Inst,
};

/// A spatial axis and the axis of the window that moves with it.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) free: AxisName,
    pub(super) reduced: AxisName,
    /// Distance in the image of neighbouring points of either axis.
    pub(super) step: i64,
    pub(super) dilation: i64,
}

/// Whether all stages access memory along an axis contiguously, or not at all. Operands of an epilogue may
/// lie further apart: if there is no better axis, one gather serves all the multiply-adds of a point.
pub(super) fn contiguous(nest: &LoopNest, all: &[Stage], constants: &[Name], name: &AxisName) -> bool {
    let mut reads = false;
    all.iter().all(|s| {
        let full = s.full(name);
        let steps = |buffer: usize, index: &[Expr]| stride(&nest.buffers[buffer], index, &full);
        let epilogue = s.store.combine.is_none() && !s.axes.iter().any(|a| a.reduced);
        let written = &nest.buffers[s.store.buffer];
        let target =
            written.role == Role::Temporary || steps(s.store.buffer, &s.store.index).is_some_and(|x| x.is(1));
        target
            && s.store.body.insts.iter().all(|(inst, _)| match inst {
                Inst::Read { tensor, index, .. } if nest.buffers[*tensor].role == Role::Input => {
                    match steps(*tensor, index).and_then(|x| x.as_const()) {
                        Some(1) => {
                            reads = true;
                            true
                        }
                        Some(0) => true,
                        Some(_) if epilogue => true,
                        // Constant weights are packed.
                        _ => {
                            reads = true;
                            constants.contains(&nest.buffers[*tensor].name)
                                && s.axes.iter().any(|a| a.reduced)
                        }
                    }
                }
                _ => true,
            })
    }) && reads
}

/// The window's axes with the spatial axes that they move with, the axis along rows last, and the other axes
/// that are summed.
pub(super) fn pairs(
    nest: &LoopNest,
    stage: &Stage,
    free: &[AxisName],
) -> Planned<(Vec<Pair>, Vec<AxisName>)> {
    let axes = stage.full_axes();
    let (mut found, mut deep): (Vec<(usize, Pair)>, Vec<AxisName>) = (Vec::new(), Vec::new());
    for reduced in stage.axes.iter().filter(|a| a.reduced) {
        let symbolic = || Reason::OtherKind(format!("'{}' has no constant size", reduced.name));
        reduced.extent.as_const().ok_or_else(symbolic)?;
        let full = stage.full(&reduced.name);
        let moving = stage.store.body.insts.iter().find_map(|(inst, _)| {
            let Inst::Read { tensor, index, .. } = inst else { return None };
            let along = index.iter().position(|e| e.uses_axis(&full))?;
            let contiguous = stride(&nest.buffers[*tensor], index, &full)?.is(1);
            // An axis that moves by whole steps along contiguous elements is the channels of a group.
            let slides = |w: &Window<'_>| {
                w.dim == along && w.tap.name == full && !(contiguous && w.is_apart() == Some(true))
            };
            let window = windows(index, &axes).find(slides)?;
            // Later dimensions have smaller strides.
            let dim = index.iter().position(|e| e.uses_axis(&window.output.name))?;
            let free = free.iter().find(|f| stage.full(f) == window.output.name)?.clone();
            let (step, dilation) = (window.stride, window.dilation);
            Some((dim, Pair { free, reduced: reduced.name.clone(), step, dilation }))
        });
        match moving {
            Some(pair) => found.push(pair),
            None => deep.push(reduced.name.clone()),
        }
    }
    // The axis along rows is the one with the smallest stride.
    found.sort_by_key(|(dim, pair)| (*dim, pair.reduced.clone()));
    let distinct = found.windows(2).all(|w| w[0].1.free != w[1].1.free);
    if !distinct || found.is_empty() {
        return refuse("it has no window");
    }
    Ok((found.into_iter().map(|(_, p)| p).collect(), deep))
}
