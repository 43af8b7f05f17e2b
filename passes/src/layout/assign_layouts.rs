//! Chooses for each intermediate tensor the order of its dimensions in memory, over the whole program.
//!
//! A convolution's channels become the innermost dimension of its operands and its result. It is then a
//! matrix product whose columns are output channels, and a depthwise convolution or a pooling runs in vectors
//! of channels. The choice spreads over elementwise kernels, poolings and concatenations. Nothing is ever
//! converted: a kernel reads each operand in whatever order it has, since a layout is only another index map.
//!
//! ```text
//! y[n, m, h, w] = sum c, kh, kw: x[n, c, h + kh, w + kw] * k[m, c, kh, kw]
//!     =>
//! y[n, h, w, m] = sum kh, kw, c: x[n, h + kh, w + kw, c] * k[m, c, kh, kw]
//! ```
//!
//! Convolutions are not known by name. A kernel that multiplies with a constant has channels: the dimensions
//! that only the constant's axes index. Program inputs, outputs and constants keep their order. So do tensors
//! that are viewed or touched by anything but kernels.

use super::permute::{Permutation, permute_kernel};
use crate::{
    fusion::is_contraction,
    plan,
    registry::{PassSpec, Run, Trait},
};
use mlcc_ir::{
    Name,
    expr::Expr,
    kernel::{Kernel, Role},
    program::{Program, Step, Storage, TensorId},
    scalar::Inst,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The pass.
pub const SPEC: PassSpec = PassSpec {
    name: "assign-layouts",
    summary: "put channels innermost in the intermediates of convolutions and what lies between them",
    // Prices assume that a kernel reads each operand in whatever order it has.
    traits: &[Trait::Unpriced],
    run: Run::Tensor(|program, _| Ok(run(program))),
};

/// Fewest dimensions of a tensor that has channels and places.
const MIN_RANK: usize = 3;

/// Runs the pass; returns the number of tensors whose order changed.
pub fn run(program: &mut Program) -> usize {
    let order = decide(program);
    apply(program, &order);
    order.len()
}

/// The tensors whose order changes, with the old dimension at each new place.
#[must_use]
fn decide(program: &Program) -> BTreeMap<TensorId, Permutation> {
    let movable = movable(program);
    let mut innermost: BTreeMap<TensorId, usize> = BTreeMap::new();
    for (kernel, operands) in kernels(program) {
        let Some(channels) = channel_axes(program, kernel, operands) else { continue };
        choose(kernel, operands, &movable, &channels, &mut innermost);
    }
    // The choice spreads along axes until nothing new is found; every round adds a tensor or ends.
    loop {
        let before = innermost.len();
        for (kernel, operands) in kernels(program) {
            let channels = innermost_axes(kernel, operands, &innermost);
            if !channels.is_empty() {
                choose(kernel, operands, &movable, &channels, &mut innermost);
            }
        }
        if innermost.len() == before {
            break;
        }
    }
    let moved = |(id, inner): (TensorId, usize)| {
        let dims = &program.tensors[id].ty.dims;
        let order: Permutation = (0..dims.len()).filter(|d| *d != inner).chain([inner]).collect();
        // Only dimensions of more than one element have an order.
        let long = |order: &mut dyn Iterator<Item = usize>| -> Vec<usize> {
            order.filter(|d| !dims[*d].is(1)).collect()
        };
        (long(&mut order.iter().copied()) != long(&mut (0..dims.len()))).then_some((id, order))
    };
    innermost.into_iter().filter_map(moved).collect()
}

/// The program's kernels with their operands, outside of control flow.
fn kernels(program: &Program) -> impl Iterator<Item = (&Arc<Kernel>, &Vec<TensorId>)> {
    program.steps.iter().filter_map(|step| match step {
        Step::Kernel { kernel, operands } => Some((kernel, operands)),
        _ => None,
    })
}

/// Whether each tensor is an intermediate that only kernels touch, as a whole.
pub(super) fn movable(program: &Program) -> Vec<bool> {
    let intermediate = |id: TensorId| {
        let t = &program.tensors[id];
        t.storage == Storage::Intermediate && t.ty.rank() >= MIN_RANK
    };
    let mut movable: Vec<bool> = (0..program.tensors.len()).map(intermediate).collect();
    for tensor in &program.tensors {
        if let Storage::View { source, .. } = tensor.storage {
            movable[source] = false;
        }
    }
    program.outputs.iter().for_each(|(_, id)| movable[*id] = false);
    program.steps.iter().for_each(|step| {
        if !matches!(step, Step::Kernel { .. }) {
            plan::touched(step, &mut |id| movable[id] = false);
        }
    });
    movable
}

/// The constant's axes, if the kernel sums products with a constant.
fn channel_axes(program: &Program, kernel: &Kernel, operands: &[TensorId]) -> Option<BTreeSet<Name>> {
    let compute = kernel.computes.iter().find(|c| is_contraction(c))?;
    let constant: Vec<usize> = kernel
        .operands()
        .zip(operands)
        .filter(|(_, id)| matches!(program.tensors[**id].storage, Storage::Constant(_)))
        .map(|(t, _)| t)
        .collect();
    let mut weights = compute.reads().filter(|(t, _)| constant.contains(t));
    let (_, index) = weights.next()?;
    weights.next().is_none().then(|| axes_of(index))
}

fn axes_of<'a>(index: impl IntoIterator<Item = &'a Expr>) -> BTreeSet<Name> {
    let mut names = Vec::new();
    index.into_iter().for_each(|e| e.collect_axes(&mut names));
    names.into_iter().collect()
}

/// The axes along the dimensions that were chosen as innermost.
fn innermost_axes(
    kernel: &Kernel,
    operands: &[TensorId],
    innermost: &BTreeMap<TensorId, usize>,
) -> BTreeSet<Name> {
    let chosen = kernel.operands().zip(operands).filter_map(|(t, id)| Some((t, *innermost.get(id)?)));
    chosen.flat_map(|(t, dim)| axes_of(indices(kernel, t).into_iter().map(|i| &i[dim]))).collect()
}

/// Every index at which a kernel touches one of its tensors.
fn indices(kernel: &Kernel, tensor: usize) -> Vec<&[Expr]> {
    let mut found: Vec<&[Expr]> = Vec::new();
    for compute in &kernel.computes {
        if compute.target == tensor {
            found.push(&compute.write);
        }
        for (inst, _) in &compute.body.insts {
            if let Inst::Read { tensor: t, index, .. } = inst
                && *t == tensor
            {
                found.push(index);
            }
        }
    }
    found
}

/// Chooses the innermost dimension of operands that have none yet: the one that only channels index.
fn choose(
    kernel: &Kernel,
    operands: &[TensorId],
    movable: &[bool],
    channels: &BTreeSet<Name>,
    innermost: &mut BTreeMap<TensorId, usize>,
) {
    for (t, &id) in kernel.operands().zip(operands) {
        if !movable[id] || innermost.contains_key(&id) || kernel.tensors[t].role == Role::Temporary {
            continue;
        }
        let indices = indices(kernel, t);
        let is_channel = |d: &usize| {
            indices.iter().all(|i| {
                let axes = axes_of([&i[*d]]);
                !axes.is_empty() && axes.is_subset(channels) && !i[*d].uses_values()
            })
        };
        let mut found = (0..kernel.tensors[t].ty.rank()).filter(is_channel);
        if let (Some(dim), None) = (found.next(), found.next()) {
            innermost.insert(id, dim);
        }
    }
}

/// Changes types and index maps.
fn apply(program: &mut Program, order: &BTreeMap<TensorId, Permutation>) {
    for (&id, permutation) in order {
        let dims = &mut program.tensors[id].ty.dims;
        *dims = permutation.iter().map(|&d| dims[d].clone()).collect();
    }
    // Steps that share a kernel share the new one where their operands changed alike.
    let mut done: BTreeMap<(*const Kernel, Vec<Option<Permutation>>), Arc<Kernel>> = BTreeMap::new();
    for step in &mut program.steps {
        let Step::Kernel { kernel, operands } = step else { continue };
        let changed: Vec<Option<Permutation>> = operands.iter().map(|id| order.get(id).cloned()).collect();
        if changed.iter().any(Option::is_some) {
            let key = (Arc::as_ptr(kernel), changed);
            let new =
                done.entry(key).or_insert_with_key(|(_, changed)| Arc::new(permute_kernel(kernel, changed)));
            *kernel = new.clone();
        }
    }
}
