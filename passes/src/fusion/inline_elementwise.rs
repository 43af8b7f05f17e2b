//! Inlines an elementwise kernel into its only reader if the reader is elementwise too.
//!
//! ```text
//! t[i] = exp(x[i]);  y[i] = t[i] + b[0]    becomes    y[i] = exp(x[i]) + b[0]
//! ```
//!
//! It pays where no element is computed more often than before: the reader has as many points as the
//! producer has elements, or the producer's body is cheap.

use super::{
    Merge,
    merge::{Bound, concatenate, replace_steps},
    splice::inline_reads,
    until_settled,
    uses::{Uses, bound_tensor, kernel_of, single_elementwise},
};
use crate::registry::{PassSpec, Run};
use mlcc_ir::{
    kernel::Compute,
    program::Program,
    scalar::{BinaryKind, Inst, UnaryKind},
};

/// The pass.
pub const SPEC: PassSpec = PassSpec {
    name: "inline-elementwise",
    summary: "inline elementwise kernels into their elementwise reader",
    traits: &[],
    run: Run::Tensor(|program, _| Ok(run(program))),
};

/// Runs the pass; returns the number of kernels merged away.
pub fn run(program: &mut Program) -> usize {
    until_settled(program, decide, apply)
}

/// Every edge between two elementwise kernels over which inlining pays.
#[must_use]
pub fn decide(program: &Program) -> Vec<Merge> {
    let uses = Uses::of(program);
    (0..program.tensors.len())
        .filter_map(|tensor| {
            let (producer, consumer) = uses.only_edge(tensor)?;
            let p = single_elementwise(kernel_of(program, producer)?.0)?;
            let (kernel, operands) = kernel_of(program, consumer)?;
            let c = single_elementwise(kernel)?;
            let t = bound_tensor(kernel, operands, tensor)?;
            let mut indices: Vec<_> = c.reads().filter(|(r, _)| *r == t).map(|(_, i)| i).collect();
            indices.dedup();
            let pays = (indices.len() <= 1 && p.points() == c.points()) || is_cheap(p);
            (pays && inline_reads(c, t, p, &|t| t).is_some()).then_some(Merge { tensor, producer, consumer })
        })
        .collect()
}

/// Bodies of at most this many instructions, none of them expensive, are computed again rather than stored.
const CHEAP: usize = 4;

fn is_cheap(compute: &Compute) -> bool {
    let simple = |inst: &Inst| match inst {
        Inst::Unary(op, _) => op.kind() == UnaryKind::Bits,
        Inst::Binary(op, ..) => op.kind() == BinaryKind::Simple,
        _ => true,
    };
    compute.body.insts.len() <= CHEAP && compute.body.insts.iter().all(|(inst, _)| simple(inst))
}

fn apply(program: &mut Program, merge: &Merge) -> bool {
    let Some((producer, p_operands)) = kernel_of(program, merge.producer) else { return false };
    let Some((consumer, c_operands)) = kernel_of(program, merge.consumer) else { return false };
    let (p, c) = (Bound::of(producer, p_operands), Bound::of(consumer, c_operands));
    let mut all = concatenate(&p, &c, merge.tensor);
    let first = all.kernel.computes.remove(0);
    match inline_reads(&all.kernel.computes[0], first.target, &first, &|t| t) {
        Some(inlined) => all.kernel.computes[0] = inlined,
        None => return false,
    }
    replace_steps(program, merge.producer, merge.consumer, all.into_step());
    true
}
