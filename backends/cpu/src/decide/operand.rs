//! The strides of accesses along an axis, and their cost in vectors.

use super::stages::{Stage, offset, stride};
use mlcc_ir::{
    dtype::DType,
    expr::{Atom, Expr},
    nest::{Buffer, LoopNest, Mapping, names::AxisName},
    scalar::{Inst, UnaryKind},
};

/// Axes of a stage by the estimated cost of spreading them over vector lanes, the best first.
pub(super) fn vector_axes(nest: &LoopNest, stage: &Stage, lanes: i64) -> Vec<AxisName> {
    let mut costs: Vec<(i64, i64, AxisName)> = stage
        .axes
        .iter()
        .enumerate()
        .map(|(at, a)| {
            let full = stage.full(&a.name);
            let cost_of = |buffer: usize, index: &[mlcc_ir::expr::Expr], write: bool| match stride(
                &nest.buffers[buffer],
                index,
                &full,
            ) {
                Some(s) if s.is(0) => 1,
                Some(s) if s.is(1) => 2,
                None if !write && is_window(&nest.buffers[buffer], index, &full, lanes) => 3,
                _ if write => 24,
                _ => 16,
            };
            let mut cost = if a.reduced { 4 } else { cost_of(stage.store.buffer, &stage.store.index, true) };
            for (inst, _) in &stage.store.body.insts {
                if let Inst::Read { tensor, index, .. } = inst {
                    cost += cost_of(*tensor, index, false);
                }
            }
            // Lanes that an axis does not fill are wasted.
            let filled = a.count.clamp(1, lanes);
            (cost * lanes / filled, -(at as i64), a.name.clone())
        })
        .collect();
    costs.sort();
    costs.into_iter().map(|(_, _, name)| name).collect()
}

/// Whether the elements of a vector lie in a window no wider than a vector: it is loaded and shuffled.
fn is_window(buffer: &Buffer, index: &[Expr], axis: &str, lanes: i64) -> bool {
    let offset = offset(buffer, index);
    let distances = (!offset.uses_values()).then(|| offset.distances_in_block(axis, lanes as u32)).flatten();
    distances.is_some_and(|d| {
        let width = d.iter().max().zip(d.iter().min()).map_or(0, |(max, min)| max - min + 1);
        (2..=lanes).contains(&width) && width.count_ones() == 1
    })
}

/// Estimated work of one point of a stage, in quarters of a simple vector operation.
pub(super) fn work(stage: &Stage) -> i64 {
    let of = |inst: &Inst| match inst {
        Inst::Unary(op, _) => match op.kind() {
            UnaryKind::Bits | UnaryKind::Comparison => 1,
            UnaryKind::Rounding | UnaryKind::Root => 2,
            UnaryKind::Series => 16,
        },
        Inst::Const(_) => 0,
        _ => 1,
    };
    2 + stage.store.body.insts.iter().map(|(i, _)| of(i)).sum::<i64>()
}

/// Whether an instruction is a function of many operations.
pub(super) fn is_function(inst: &Inst) -> bool {
    matches!(inst, Inst::Unary(op, _) if op.kind() == UnaryKind::Series)
}

/// Bytes of the widest type with which a stage computes along the vector axis.
pub(super) fn widest(nest: &LoopNest, stage: &Stage) -> usize {
    let insts = stage.store.body.insts.iter().filter_map(|(inst, dtype)| match inst {
        // Comparisons are masks; a constant has the type of the other operand.
        Inst::Compare(..) | Inst::Const(_) => None,
        _ if *dtype == DType::Bool => None,
        // A value that repeats within each vector is a constant.
        Inst::Index(e) if repeats(e) => None,
        // Half-precision values are computed in f32.
        _ if dtype.is_float() => Some(dtype.size().max(4)),
        _ => Some(dtype.size()),
    });
    insts.chain([nest.buffers[stage.store.buffer].dtype.size()]).max().unwrap_or(4)
}

/// Whether an index is the same at every other point. Vectors have an even number of points.
fn repeats(index: &Expr) -> bool {
    matches!(index.as_atom(), Some(Atom::Mod(of)) if of.1.is(2))
}

/// Whether the nest has a parallel loop.
pub(super) fn is_parallel(nest: &LoopNest) -> bool {
    let mut found = false;
    nest.visit(&mut |n| {
        found |= matches!(n, mlcc_ir::nest::Node::Loop(l) if l.mapping == Mapping::Parallel);
    });
    found
}
