//! Inlines kernels that only move elements (transpose, slice, expand, gather) into the index
//! expressions of their only reader, so that the moved tensor never exists.
//!
//! ```text
//! t[i, j] = x[j, i];  y[i, j] = t[i, j] + 1    becomes    y[i, j] = x[j, i] + 1
//! ```
//!
//! Folding a movement into a contraction is free where the contraction's reads stay affine. Other index
//! arithmetic would be computed again for every point of the reduction, unless only the axes of a batch
//! decide it.
//!
//! A reshape may lie between the movement and its reader ([`views`]). This is how heads of attention that
//! share keys and values read them in place. Between elementwise kernels it brings divisions into the second
//! one; they pay where elements are repeated. A contraction keeps a copy if the copy is all that it would
//! save.

use super::{
    Merge,
    merge::{Bound, concatenate, replace_steps},
    splice::inline_reads,
    until_settled,
    uses::{Uses, bound_tensor, contracted, kernel_of, single_elementwise},
    views,
};
use crate::registry::{PassSpec, Run};
use mlcc_ir::{
    expr::Expr,
    kernel::{Axis, AxisKind, Compute, Kernel, Role},
    product::Side,
    program::{Program, Storage, TensorId},
    scalar::Inst,
};
use std::borrow::Cow;

/// The pass.
pub const SPEC: PassSpec = PassSpec {
    name: "inline-movement",
    summary: "fold kernels that only move elements into their reader's index expressions",
    traits: &[],
    run: Run::Tensor(|program, _| Ok(run(program))),
};

/// Runs the pass; returns the number of kernels merged away.
pub fn run(program: &mut Program) -> usize {
    until_settled(program, decide, apply)
}

/// Every edge over which a movement can be inlined.
#[must_use]
pub fn decide(program: &Program) -> Vec<Merge> {
    let uses = Uses::of(program);
    (0..program.tensors.len())
        .filter_map(|tensor| {
            let edge = uses.only_edge(tensor).or_else(|| views::only_edge(program, &uses, tensor));
            let (producer, consumer) = edge?;
            let p = moving(program, producer, tensor)?;
            let (c, operands) = kernel_of(program, consumer)?;
            let movement = single_elementwise(&p).filter(|c| is_movement(c))?;
            let t = bound_tensor(c, operands, tensor)?;
            let through_view = matches!(program.tensors[tensor].storage, Storage::View { .. });
            let alone = !through_view || reads_alone(program, &uses, producer);
            let pays = c.computes.iter().filter(|k| k.reads().any(|(r, _)| r == t)).all(|k| {
                inline_reads(k, t, movement, &|t| t).is_some_and(|inlined| {
                    match (k.is_reduction(), through_view) {
                        (false, false) => true,
                        (false, true) => repeats(&p),
                        (true, false) => is_affine(movement) || is_regular(&inlined),
                        (true, true) => {
                            alone && (repeats(&p) || !is_affine_read(&inlined)) && is_regular(&inlined)
                        }
                    }
                })
            });
            pays.then_some(Merge { tensor, producer, consumer })
        })
        .collect()
}

/// The kernel of a step as one that writes `tensor`, either its result or a view of its result.
fn moving(program: &Program, step: usize, tensor: TensorId) -> Option<Cow<'_, Kernel>> {
    let (kernel, _) = kernel_of(program, step)?;
    match program.tensors[tensor].storage {
        Storage::View { .. } => views::writing_view(program, kernel, tensor).map(Cow::Owned),
        _ => Some(Cow::Borrowed(kernel)),
    }
}

/// Whether a movement's result repeats elements of its operand.
fn repeats(movement: &Kernel) -> bool {
    let elements = |role: Role| {
        let tensors = movement.with_role(role).map(|t| &movement.tensors[t].ty.dims);
        tensors.flatten().fold(Expr::from(1), |n, d| n * d.clone())
    };
    elements(Role::Output).floor_div(&elements(Role::Input)).as_const().is_some_and(|times| times > 1)
}

/// Whether a compute reads everything at indices without quotients and remainders.
fn is_affine_read(compute: &Compute) -> bool {
    let affine = |e: &Expr| compute.axes.iter().all(|a| e.split_axis(&a.name).is_some());
    compute.reads().all(|(_, index)| index.iter().all(affine))
}

/// Whether only the kernel of this step reads its source memory: fusion tells a product's factors apart by
/// their tensors.
fn reads_alone(program: &Program, uses: &Uses, step: usize) -> bool {
    let Some((kernel, operands)) = kernel_of(program, step) else { return false };
    kernel.operands().zip(operands).filter(|(t, _)| kernel.tensors[*t].role == Role::Input).all(|(_, &id)| {
        let memory = program.resolve_view(id).0;
        let shown = (0..program.tensors.len()).filter(|&t| program.resolve_view(t).0 == memory);
        shown.flat_map(|t| uses.readers_of(t)).all(|&reader| reader == step)
    })
}

/// Whether a contraction's reads are affine in all axes but those of its batch, which both factors have.
/// Indices are computed once for the matrices of each point of the batch.
fn is_regular(compute: &Compute) -> bool {
    let Some(product) = contracted(compute) else { return false };
    let [Some(x), Some(y)] = &product.factors.each_ref().map(|f| f.element) else { return false };
    let alone = x.at != y.at && compute.reads().count() == 2;
    let matrices = [0, 1].into_iter().all(|factor| product.free(factor).next().is_some());
    let index = || x.index.iter().chain(y.index);
    let batch = |a: &Axis| a.kind == AxisKind::Parallel && product.side(&a.name) == Side::Both;
    let regular = compute.axes.iter().all(|a| batch(a) || index().all(|e| e.split_axis(&a.name).is_some()));
    let checked = x.outside.is_some() || y.outside.is_some();
    alone && matrices && regular && !checked && !index().any(Expr::uses_values)
}

/// A body that is one read, and index arithmetic.
fn is_movement(compute: &Compute) -> bool {
    let arithmetic = |inst: &Inst| {
        matches!(inst, Inst::Unary(..) | Inst::Cast(_))
            || matches!(inst, Inst::Binary(..)) && !index_arithmetic(compute)
    };
    let result_is_read =
        matches!(compute.body.insts.get(compute.body.result as usize), Some((Inst::Read { .. }, _)));
    result_is_read && !compute.body.insts.iter().any(|(inst, _)| arithmetic(inst))
}

/// Binary operations occur on integers only (wrapping of negative indices).
fn index_arithmetic(compute: &Compute) -> bool {
    compute.body.insts.iter().all(|(i, d)| !matches!(i, Inst::Binary(..)) || d.is_int())
}

fn is_affine(compute: &Compute) -> bool {
    let affine = |inst: &Inst| match inst {
        Inst::Read { index, outside, .. } => {
            outside.is_none()
                && index
                    .iter()
                    .all(|e| !e.uses_values() && compute.axes.iter().all(|a| e.split_axis(&a.name).is_some()))
        }
        _ => false,
    };
    compute.body.insts.iter().all(|(inst, _)| affine(inst))
}

fn apply(program: &mut Program, merge: &Merge) -> bool {
    let Some((_, p_operands)) = kernel_of(program, merge.producer) else { return false };
    let Some((consumer, c_operands)) = kernel_of(program, merge.consumer) else { return false };
    let Some(producer) = moving(program, merge.producer, merge.tensor) else { return false };
    let mut p = Bound::of(&producer, p_operands);
    let target = producer.computes[0].target;
    p.bindings[target] = Some(merge.tensor);
    let mut all = concatenate(&p, &Bound::of(consumer, c_operands), merge.tensor);
    let movement = all.kernel.computes.remove(0);
    let target = movement.target;
    for compute in &mut all.kernel.computes {
        if compute.reads().any(|(t, _)| t == target) {
            match inline_reads(compute, target, &movement, &|t| t) {
                Some(inlined) => *compute = inlined,
                None => return false,
            }
        }
    }
    all.kernel.name = consumer.name.clone();
    let step = all.into_step();
    replace_steps(program, merge.producer, merge.consumer, step);
    views::retire(program, merge.tensor);
    true
}
