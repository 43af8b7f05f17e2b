//! Fuses an elementwise reader behind the kernel that produces its operand, so that the value is
//! still in registers or in the first cache when it is read.
//!
//! ```text
//! kernel { t[m, n] = sum k: a[m, k] * b[k, n] }     kernel { t[m, n] = sum k: a[m, k] * b[k, n]
//! kernel { y[n, m] = relu(t[m, n]) }           =>            y[n, m] = relu(t[m, n]) }
//! ```
//!
//! The reader's points must be the producer's elements one to one, in any order of axes. Behind a contraction
//! the innermost axis must stay the innermost.

use super::{
    Merge,
    merge::{Bound, concatenate, rename_axes, replace_steps},
    until_settled,
    uses::{Uses, bound_tensor, is_contraction, is_elementwise, kernel_of, single_elementwise},
};
use crate::registry::{PassSpec, Run};
use mlcc_ir::{
    Name,
    expr::Expr,
    kernel::{Axis, AxisKind, Compute, Kernel},
    program::Program,
    scalar::Inst,
};
use std::collections::BTreeMap;

/// The pass.
pub const SPEC: PassSpec = PassSpec {
    name: "fuse-epilogue",
    summary: "put elementwise readers behind the kernel that makes their operand",
    traits: &[],
    run: Run::Tensor(|program, _| Ok(run(program))),
};

/// Runs the pass; returns the number of kernels merged away.
pub fn run(program: &mut Program) -> usize {
    until_settled(program, decide, apply)
}

/// Every edge from a kernel with a reduction to an elementwise reader of all its elements.
#[must_use]
pub fn decide(program: &Program) -> Vec<Merge> {
    let uses = Uses::of(program);
    (0..program.tensors.len())
        .filter_map(|tensor| {
            let (producer, consumer) = uses.only_edge(tensor)?;
            let (p, p_operands) = kernel_of(program, producer)?;
            let (c, c_operands) = kernel_of(program, consumer)?;
            let reader = single_elementwise(c)?;
            let writer = last_writer(p, bound_tensor(p, p_operands, tensor)?)?;
            let names = axis_permutation(
                p,
                bound_tensor(p, p_operands, tensor)?,
                reader,
                bound_tensor(c, c_operands, tensor)?,
            )?;
            // A register tile of a contraction is stored along its columns. A result with lines along another
            // axis would be written element by element, or the tile would be turned over together with its
            // operands.
            let contracts = p.computes.iter().any(is_contraction);
            (!contracts || keeps_lines(writer, reader, &names)).then_some(())?;
            Some(Merge { tensor, producer, consumer })
        })
        .collect()
}

/// The compute that writes `tensor`, if it is the kernel's last one and writes each element once.
fn last_writer(kernel: &Kernel, tensor: usize) -> Option<&Compute> {
    let mut writers = kernel.computes.iter().filter(|c| c.target == tensor);
    let writer = writers.next().filter(|_| writers.next().is_none())?;
    let last = kernel.computes.last()?;
    let whole = writer.is_reduction() && writer.writes_identity() || is_elementwise(writer);
    (std::ptr::eq(writer, last) && whole).then_some(writer)
}

/// Whether the lines of the reader's result run along the same axis as the writer's lines.
fn keeps_lines(writer: &Compute, reader: &Compute, names: &BTreeMap<Name, Name>) -> bool {
    let long = |a: &&Axis| a.kind == AxisKind::Parallel && !a.extent.is(1);
    let line = writer.axes.iter().rev().find(long).map(|a| &a.name);
    let result = reader.axes.iter().rev().find(long).and_then(|a| names.get(&a.name));
    line == result
}

/// The producer's name for each axis of the reader. Every read of `read` must have the same index: the
/// reader's axes in some order, with equal extents.
fn axis_permutation(
    producer: &Kernel,
    written: usize,
    reader: &Compute,
    read: usize,
) -> Option<BTreeMap<Name, Name>> {
    let writer = last_writer(producer, written)?;
    let parallel: Vec<_> = writer.axes.iter().filter(|a| a.kind == AxisKind::Parallel).collect();
    let mut index: Option<&[Expr]> = None;
    for (inst, _) in &reader.body.insts {
        if let Inst::Read { tensor, index: at, outside } = inst
            && *tensor == read
        {
            if outside.is_some() || index.is_some_and(|i| i != at.as_slice()) {
                return None;
            }
            index = Some(at);
        }
    }
    let index = index?;
    let mut names = BTreeMap::new();
    for (e, axis) in index.iter().zip(&parallel) {
        match e.as_axis() {
            Some(name) => {
                let extent = &reader.axis(name)?.extent;
                if *extent != axis.extent || names.insert(name.clone(), axis.name.clone()).is_some() {
                    return None;
                }
            }
            // A dimension of one element is read at 0.
            None if e.is(0) && axis.extent.is(1) => {}
            None => return None,
        }
    }
    // Axes of the reader that the index does not use must have one point.
    let mut unused = reader.axes.iter().filter(|a| !names.contains_key(&a.name));
    if unused.any(|a| !a.extent.is(1)) {
        return None;
    }
    Some(names)
}

fn apply(program: &mut Program, merge: &Merge) -> bool {
    let Some((producer, p_operands)) = kernel_of(program, merge.producer) else { return false };
    let Some((consumer, c_operands)) = kernel_of(program, merge.consumer) else { return false };
    let tensors = bound_tensor(producer, p_operands, merge.tensor).zip(bound_tensor(
        consumer,
        c_operands,
        merge.tensor,
    ));
    let Some((written, read)) = tensors else { return false };
    let Some(names) = axis_permutation(producer, written, &consumer.computes[0], read) else { return false };
    let Some(writer) = last_writer(producer, written) else { return false };
    let mut c = Bound::of(consumer, c_operands);
    let reader = aligned(&c.kernel.computes[0], &names, writer);
    c.kernel.computes[0] = reader;
    let all = concatenate(&Bound::of(producer, p_operands), &c, merge.tensor);
    replace_steps(program, merge.producer, merge.consumer, all.into_step());
    true
}

/// The reader with the writer's axis names and order. Axes of one point that only one of the two has are
/// removed or added.
fn aligned(reader: &Compute, names: &BTreeMap<Name, Name>, writer: &Compute) -> Compute {
    let mut reader = reader.clone();
    let single: Vec<Name> =
        reader.axes.iter().filter(|a| !names.contains_key(&a.name)).map(|a| a.name.clone()).collect();
    for name in &single {
        replace_axis_by_zero(&mut reader, name);
    }
    let mut renamed = rename_axes(&reader, names);
    renamed.axes = writer.axes.iter().filter(|a| a.kind == AxisKind::Parallel).cloned().collect();
    renamed
}

fn replace_axis_by_zero(compute: &mut Compute, name: &str) {
    let zero = Expr::from(0);
    compute.axes.retain(|a| *a.name != *name);
    compute.write.iter_mut().for_each(|e| *e = e.replace_axis(name, &zero));
    for (inst, _) in &mut compute.body.insts {
        match inst {
            Inst::Index(e) => *e = e.replace_axis(name, &zero),
            Inst::Read { index, .. } => index.iter_mut().for_each(|e| *e = e.replace_axis(name, &zero)),
            _ => {}
        }
    }
}
