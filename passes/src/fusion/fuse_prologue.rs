//! Puts an elementwise producer as a stage in front of a kernel that reduces rows of it (softmax,
//! layer norm, a row reduction), so that a row is made, reduced and used while it is in cache.
//!
//! ```text
//! kernel { t[i, j] = a[i, j] + b[i, j] }          kernel { t[i, j] = a[i, j] + b[i, j]
//! kernel { m[i] = max j: t[i, j]             =>            m[i] = max j: t[i, j]
//!          y[i, j] = t[i, j] - m[i] }                      y[i, j] = t[i, j] - m[i] }
//! ```
//!
//! A contraction reads its operands many times from packed panels: see [`super::fuse_operand`].

use super::{
    Merge,
    merge::{Bound, concatenate, rename_axes, replace_steps},
    until_settled,
    uses::{Uses, bound_tensor, is_contraction, kernel_of, single_elementwise},
};
use crate::registry::{PassSpec, Run};
use mlcc_ir::{
    Name,
    kernel::{Compute, Kernel},
    program::Program,
    scalar::Inst,
};
use std::collections::BTreeMap;

/// The pass.
pub const SPEC: PassSpec = PassSpec {
    name: "fuse-prologue",
    summary: "put elementwise producers as a stage in front of row reductions",
    traits: &[],
    run: Run::Tensor(|program, _| Ok(run(program))),
};

/// Runs the pass; returns the number of kernels merged away.
pub fn run(program: &mut Program) -> usize {
    until_settled(program, decide, apply)
}

/// Every edge from an elementwise kernel to one that reduces its result over the same points.
#[must_use]
pub fn decide(program: &Program) -> Vec<Merge> {
    let uses = Uses::of(program);
    (0..program.tensors.len())
        .filter_map(|tensor| {
            let (producer, consumer) = uses.only_edge(tensor)?;
            let p = single_elementwise(kernel_of(program, producer)?.0)?;
            let (kernel, operands) = kernel_of(program, consumer)?;
            let t = bound_tensor(kernel, operands, tensor)?;
            let reduces = kernel.computes.iter().any(Compute::is_reduction);
            let contracts = kernel.computes.iter().any(is_contraction);
            (reduces && !contracts).then_some(())?;
            axis_names(kernel, t, p)?;
            Some(Merge { tensor, producer, consumer })
        })
        .collect()
}

/// The consumer's name for each of the producer's axes. Every read of `tensor` there must have the same
/// index, one axis a dimension.
fn axis_names(consumer: &Kernel, tensor: usize, producer: &Compute) -> Option<BTreeMap<Name, Name>> {
    let mut names: Option<BTreeMap<Name, Name>> = None;
    for compute in &consumer.computes {
        for (inst, _) in &compute.body.insts {
            let Inst::Read { tensor: t, index, outside } = inst else { continue };
            if *t != tensor {
                continue;
            }
            let mut found = BTreeMap::new();
            for (axis, e) in producer.axes.iter().zip(index) {
                match e.as_axis() {
                    Some(name) if compute.axis(name)?.extent == axis.extent => {
                        found.insert(axis.name.clone(), name.clone());
                    }
                    None if e.is(0) && axis.extent.is(1) => {}
                    _ => return None,
                }
            }
            if outside.is_some() || names.as_ref().is_some_and(|n| *n != found) {
                return None;
            }
            names = Some(found);
        }
    }
    let names = names?;
    let mut targets: Vec<_> = names.values().collect();
    targets.sort();
    targets.dedup();
    let mut others = producer.axes.iter().filter(|a| !names.contains_key(&a.name));
    (targets.len() == names.len() && !others.any(|a| targets.contains(&&a.name))).then_some(names)
}

fn apply(program: &mut Program, merge: &Merge) -> bool {
    let Some((producer, p_operands)) = kernel_of(program, merge.producer) else { return false };
    let Some((consumer, c_operands)) = kernel_of(program, merge.consumer) else { return false };
    let Some(t) = bound_tensor(consumer, c_operands, merge.tensor) else { return false };
    let Some(names) = axis_names(consumer, t, &producer.computes[0]) else { return false };
    let mut p = Bound::of(producer, p_operands);
    p.kernel.computes[0] = rename_axes(&p.kernel.computes[0], &names);
    let all = concatenate(&p, &Bound::of(consumer, c_operands), merge.tensor);
    replace_steps(program, merge.producer, merge.consumer, all.into_step());
    true
}
