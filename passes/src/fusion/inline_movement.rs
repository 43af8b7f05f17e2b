//! Inlines kernels that only move elements (transpose, slice, expand, gather) into the index
//! expressions of their only reader, so that the moved tensor never exists.
//!
//! ```text
//! t[i, j] = x[j, i];  y[i, j] = t[i, j] + 1    becomes    y[i, j] = x[j, i] + 1
//! ```

use super::{
    Merge,
    merge::{Bound, concatenate, replace_steps},
    splice::inline_reads,
    until_settled,
    uses::{Uses, bound_tensor, kernel_of, single_elementwise},
};
use crate::registry::{PassSpec, Run};
use mlcc_ir::{kernel::Compute, program::Program, scalar::Inst};

/// The pass.
pub const SPEC: PassSpec = PassSpec {
    name: "inline-movement",
    summary: "fold kernels that only move elements into their reader's index expressions",
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
            let (producer, consumer) = uses.only_edge(tensor)?;
            let (p, _) = kernel_of(program, producer)?;
            let (c, operands) = kernel_of(program, consumer)?;
            let movement = single_elementwise(p).filter(|c| is_movement(c))?;
            let t = bound_tensor(c, operands, tensor)?;
            let unchecked = c
                .computes
                .iter()
                .all(|k| k.reads().all(|(r, _)| r != t) || inline_reads(k, t, movement, &|t| t).is_some());
            // Folding a transposition into a contraction is free where its reads stay affine; anything
            // else would be computed again for every point of the reduction.
            let cheap = is_affine(movement) || c.computes.iter().all(|k| !k.is_reduction());
            (unchecked && cheap).then_some(Merge { tensor, producer, consumer })
        })
        .collect()
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
    let Some((producer, p_operands)) = kernel_of(program, merge.producer) else { return false };
    let Some((consumer, c_operands)) = kernel_of(program, merge.consumer) else { return false };
    let p = Bound::of(producer, p_operands);
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
    replace_steps(program, merge.producer, merge.consumer, all.into_step());
    true
}
