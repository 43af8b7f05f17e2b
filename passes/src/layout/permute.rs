//! A kernel on operands whose dimensions lie in another order.

use mlcc_ir::{
    Name,
    expr::Expr,
    kernel::{Axis, AxisKind, Compute, Kernel, Role},
    scalar::Inst,
};
use std::collections::BTreeMap;

/// For each new dimension the old one.
pub(crate) type Permutation = Vec<usize>;

/// The kernel with the dimensions of its operands permuted (`None` leaves one as it is), in the order of
/// [`Kernel::operands`]. Loops follow the tensors: parallel axes come in the order in which the kernel's
/// results are written, temporaries lie in that order too, and reduction axes come in the order of the
/// first operand read.
pub(crate) fn permute_kernel(kernel: &Kernel, operands: &[Option<Permutation>]) -> Kernel {
    let mut new = kernel.clone();
    for (t, permutation) in kernel.operands().zip(operands) {
        if let Some(permutation) = permutation {
            permute_tensor(&mut new, t, permutation);
        }
    }
    let rank = axis_ranks(&new);
    for t in 0..new.tensors.len() {
        if new.tensors[t].role == Role::Temporary
            && let Some(permutation) = temporary_order(&new, t, &rank)
        {
            permute_tensor(&mut new, t, &permutation);
        }
    }
    new.computes.iter_mut().for_each(|c| order_axes(c, &rank));
    new
}

fn permute_tensor(kernel: &mut Kernel, tensor: usize, order: &Permutation) {
    let permuted = |list: &[Expr]| -> Vec<Expr> { order.iter().map(|&d| list[d].clone()).collect() };
    let dims = &mut kernel.tensors[tensor].ty.dims;
    *dims = permuted(dims);
    for compute in &mut kernel.computes {
        if compute.target == tensor {
            compute.write = permuted(&compute.write);
        }
        for (inst, _) in &mut compute.body.insts {
            if let Inst::Read { tensor: t, index, .. } = inst
                && *t == tensor
            {
                *index = permuted(index);
            }
        }
    }
}

/// The position of each axis in the order in which results are written; the last result decides.
fn axis_ranks(kernel: &Kernel) -> BTreeMap<Name, usize> {
    let mut names: Vec<Name> = Vec::new();
    let results = kernel.computes.iter().rev().filter(|c| kernel.tensors[c.target].role != Role::Temporary);
    for compute in results {
        let mut written = Vec::new();
        compute.write.iter().for_each(|e| e.collect_axes(&mut written));
        names.extend(written.into_iter().filter(|a| !names.contains(a)).collect::<Vec<_>>());
    }
    names.into_iter().enumerate().map(|(at, name)| (name, at)).collect()
}

/// The order of a temporary's dimensions that follows the order of the axes; `None` if it is written along an
/// axis that has no place.
fn temporary_order(kernel: &Kernel, tensor: usize, rank: &BTreeMap<Name, usize>) -> Option<Permutation> {
    let mut writers = kernel.computes.iter().filter(|c| c.target == tensor);
    let writer = writers.next()?;
    let places: Vec<usize> =
        writer.write.iter().map(|e| rank.get(e.as_axis()?).copied()).collect::<Option<_>>()?;
    if writers.any(|other| other.write != writer.write) {
        return None;
    }
    let mut order: Permutation = (0..places.len()).collect();
    order.sort_by_key(|&d| places[d]);
    Some(order)
}

/// Orders the axes: parallel axes as in the results, then reduction axes as in the first read.
fn order_axes(compute: &mut Compute, rank: &BTreeMap<Name, usize>) {
    let mut read: Vec<Name> = Vec::new();
    for (_, index) in compute.reads() {
        index.iter().for_each(|e| e.collect_axes(&mut read));
    }
    let place = |a: &Axis| match a.kind {
        AxisKind::Reduction => (1, read.iter().position(|n| *n == a.name)),
        _ => (0, Some(rank.get(&a.name).copied().unwrap_or(usize::MAX))),
    };
    // Sequential axes are in an order of their own.
    if compute.axes.iter().all(|a| a.kind != AxisKind::Sequential) {
        let mut axes = compute.axes.clone();
        axes.sort_by_key(place);
        compute.axes = axes;
    }
}
