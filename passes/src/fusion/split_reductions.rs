//! Takes long reductions with few results apart, so that threads share them. One kernel computes partial
//! results, another combines them and does the rest of the work.
//!
//! ```text
//! kernel { s[i] = sum k < 1000: x[i, k]            kernel { part[p, i] = sum k < 125: x[i, 125 * p + k] }
//!          y[i] = s[i] / 1000 }              =>    kernel { s[i] = sum p < 8: part[p, i]
//!                                                           y[i] = s[i] / 1000 }
//! ```
//!
//! It is `rfactor` one level up. A kernel's temporaries belong to one thread each, so threads exchange values
//! between kernels. If the parts do not divide the reduction, the second kernel reduces the rest. Sums of
//! floating-point numbers are rounded differently; the parts, and so the result, do not depend on the number
//! of threads. It pays where the results alone are not work for all threads and the reduction is many times
//! as long as a further kernel takes. The axis that is cut must be static. Other sizes may be symbolic; then
//! it must pay for all [samples](SizeRanges::samples) of them.

use super::merge::{Bound, fresh};
use crate::registry::{PassSpec, Run, Trait};
use mlcc_ir::{
    Name,
    expr::Expr,
    kernel::{Axis, AxisKind, Combine, Compute, Kernel, KernelTensor, Role},
    program::{Program, Step, Storage, TensorId},
    scalar::{BinaryOp, Body, Inst},
    size_range::SizeRanges,
    types::{Layout, TensorType},
};
use mlcc_machine::Threads;

/// The pass.
pub const SPEC: PassSpec = PassSpec {
    name: "split-reductions",
    summary: "reduce in parts that threads share where there are few results",
    // Prices are of one core.
    traits: &[Trait::Variant, Trait::Unpriced],
    run: Run::Tensor(|program, context| Ok(run(program, &context.config.threads))),
};

/// Runs the pass; returns the number of reductions taken apart.
pub fn run(program: &mut Program, threads: &Threads) -> usize {
    let mut changed = 0;
    let mut steps = Vec::with_capacity(program.steps.len());
    for step in std::mem::take(&mut program.steps) {
        let split = match &step {
            Step::Kernel { kernel, operands } => decide(kernel, threads, &program.ranges)
                .map(|parts| apart(program, &Bound::of(kernel, operands), &parts)),
            _ => None,
        };
        match split {
            Some(two) => {
                changed += 1;
                steps.extend(two);
            }
            None => steps.push(step),
        }
    }
    program.steps = steps;
    changed
}

/// How a kernel's first compute is taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The reduction's axis that is cut.
    pub axis: Name,
    /// Number of parts, of `length` points each; `left` points are left over.
    pub count: i64,
    /// Points of a part.
    pub length: i64,
    /// Points left over.
    pub left: i64,
}

/// Decides for a kernel whose symbols have these ranges; `None` if the kernel stays as it is. With several
/// sizes, each number of parts is judged by the size at which it loses most.
#[must_use]
pub fn decide(kernel: &Kernel, threads: &Threads, ranges: &SizeRanges) -> Option<Parts> {
    /// A reduction must have this many times the work of a further kernel.
    const MANY: i64 = 8;
    let (first, rest) = kernel.computes.split_first()?;
    let plain = |c: &Compute| !c.is_reduction() && c.combine.is_none();
    let explicit = kernel.tensors.iter().all(|t| t.ty.layout == Layout::RowMajor && t.role != Role::InOut);
    let ordered = first.axes.iter().all(|a| a.kind != AxisKind::Sequential);
    let whole = first.combine.is_some() && first.write.iter().all(|e| !e.uses_values());
    let inputs = first.reads().all(|(t, _)| kernel.tensors[t].role == Role::Input);
    if !first.is_reduction() || !rest.iter().all(plain) || !explicit || !ordered || !whole || !inputs {
        return None;
    }
    let product = |kind: AxisKind, size: &dyn Fn(&Expr) -> Option<i64>| {
        let of_kind = first.axes.iter().filter(move |a| a.kind == kind);
        of_kind.map(|a| size(&a.extent)).try_fold(1i64, |n, e| Some(n.saturating_mul(e?)))
    };
    let samples = ranges.samples(|size| {
        let (results, depth) = (product(AxisKind::Parallel, size)?, product(AxisKind::Reduction, size)?);
        let units = units(kernel, first, threads.lanes, size)?;
        Some(Sample { results, work: results.saturating_mul(depth), units })
    })?;
    if samples.iter().any(|s| s.results == 0 || s.work < MANY * threads.kernel_work) {
        return None;
    }
    let cut = cut_axis(first, 2 * threads.cores)?;
    // Windows have templates of their own, and a reduction that was cut already looks like a window.
    let alone = |e: &Expr| {
        !e.uses_axis(&cut.name) || !first.axes.iter().any(|a| a.name != cut.name && e.uses_axis(&a.name))
    };
    if !first.reads().all(|(_, index)| index.iter().all(alone)) {
        return None;
    }
    let extent = cut.extent.as_const()?;
    let cost = |&Sample { results, work, units }: &Sample, count: i64| {
        let inner = work / extent.max(1);
        let (length, left) = (extent / count, extent % count);
        let part = inner * length / units.max(1);
        let further = if count > 1 { threads.kernel_work + left * inner + count * results } else { 0 };
        // Thread counts: one, then two, which counts twice, then more.
        let each = [1, 2, 2, 4, 8, 16, 32, 64].into_iter().filter(|t| *t <= threads.cores.max(2));
        each.map(|t| (units * count + t - 1) / t * part.max(1) + further).fold(0i64, i64::saturating_add)
    };
    let least = samples.iter().map(|s| s.work).min()?;
    let most = (2 * threads.cores).min(extent / 2).min(least / threads.kernel_work).max(1);
    let mut loss = vec![0.0f64; most as usize];
    for sample in &samples {
        let costs: Vec<f64> = (1..=most).map(|count| cost(sample, count) as f64).collect();
        let best = costs.iter().copied().fold(f64::INFINITY, f64::min);
        loss.iter_mut().zip(costs).for_each(|(loss, cost)| *loss = loss.max(cost / best));
    }
    let count = (1..=most).min_by(|a, b| loss[*a as usize - 1].total_cmp(&loss[*b as usize - 1]))?;
    (count > 1).then(|| Parts { axis: cut.name.clone(), count, length: extent / count, left: extent % count })
}

/// Sizes of a reduction.
#[derive(PartialEq)]
struct Sample {
    results: i64,
    /// Number of elements that are combined.
    work: i64,
    /// See [`units`].
    units: i64,
}

/// Number of pieces that threads can share in the kernel as it is. A piece is one result, or a few vectors of
/// results along the columns.
fn units(kernel: &Kernel, compute: &Compute, lanes: i64, size: &dyn Fn(&Expr) -> Option<i64>) -> Option<i64> {
    // Vectors lie along the innermost dimension that has several points.
    let innermost = compute.reads().filter_map(|(t, index)| {
        let dims = &kernel.tensors[t].ty.dims;
        (0..index.len()).rev().find(|&d| !dims[d].is(1)).map(|d| &index[d])
    });
    let innermost: Vec<&Expr> = innermost.collect();
    let mut free = compute.axes.iter().filter(|a| a.kind == AxisKind::Parallel);
    free.try_fold(1i64, |units, a| {
        let extent = size(&a.extent)?;
        let columns = innermost.iter().any(|e| e.uses_axis(&a.name));
        Some(units.saturating_mul(if columns { (extent + 4 * lanes - 1) / (4 * lanes) } else { extent }))
    })
}

/// The outermost axis of the reduction that is long enough for some parts, or the longest.
fn cut_axis(compute: &Compute, parts: i64) -> Option<&Axis> {
    let length = |a: &&Axis| a.extent.as_const().unwrap_or(0);
    let mut reduced = compute.axes.iter().filter(|a| a.kind == AxisKind::Reduction);
    let long = reduced.clone().find(|a| length(a) >= 4 * parts);
    long.or_else(|| reduced.by_ref().max_by_key(length)).filter(|a| length(a) >= 2)
}

/// The two kernels.
fn apart(program: &mut Program, whole: &Bound, parts: &Parts) -> [Step; 2] {
    let kernel = &whole.kernel;
    let first = &kernel.computes[0];
    let target = &kernel.tensors[first.target];
    let part: Name = unused(first, "part");
    let part_axis = |kind| Axis { name: part.clone(), extent: Expr::from(parts.count), kind };
    let mut dims = vec![Expr::from(parts.count)];
    dims.extend(target.ty.dims.iter().cloned());
    let ty = TensorType::new(target.ty.dtype, dims);
    let name = format!("{}.parts", written(program, whole));
    let id = program.add_tensor(name, ty.clone(), Storage::Intermediate);
    let at_part = |write: &[Expr]| std::iter::once(Expr::axis(&part)).chain(write.iter().cloned()).collect();

    // The reduction of each part.
    let mut reduce = whole.clone();
    let position = reduce.kernel.tensors.len();
    let shift = Expr::axis(&part) * Expr::from(parts.length);
    let mut compute = shifted(first, &parts.axis, parts.length, &shift);
    compute.axes.insert(0, part_axis(AxisKind::Parallel));
    compute.target = position;
    compute.write = at_part(&first.write);
    reduce.kernel.name = format!("{}_parts", kernel.name).into();
    reduce.kernel.computes = vec![compute];
    add_tensor(&mut reduce, "parts", ty.clone(), Role::Output, Some(id));
    without_others(&mut reduce);

    // The second kernel: it combines the parts and the rest, then does what the whole kernel did.
    let mut combine = whole.clone();
    let tensor = add_tensor(&mut combine, "parts", ty, Role::Input, Some(id));
    let mut body = Body::default();
    body.read(tensor, at_part(&first.write), target.ty.dtype);
    let free: Vec<Axis> = first.axes.iter().filter(|a| a.kind == AxisKind::Parallel).cloned().collect();
    let mut axes = free.clone();
    axes.push(part_axis(AxisKind::Reduction));
    let together = Compute { axes, body, ..first.clone() };
    let mut computes = vec![together];
    if parts.left > 0 {
        let mut temporary =
            |name: &str| add_tensor(&mut combine, name, target.ty.clone(), Role::Temporary, None);
        let (sum, left) = (temporary("together"), temporary("left_over"));
        computes[0].target = sum;
        let start = Expr::from(parts.count * parts.length);
        let tail = shifted(first, &parts.axis, parts.left, &start);
        computes.push(Compute { name: format!("{}_left", first.name).into(), target: left, ..tail });
        let mut body = Body::default();
        let a = body.read(sum, first.write.clone(), target.ty.dtype);
        let b = body.read(left, first.write.clone(), target.ty.dtype);
        body.binary(first.combine.map_or(BinaryOp::Add, Combine::function), a, b);
        let name = format!("{}_all", first.name).into();
        computes.push(Compute { name, axes: free, body, combine: None, ..first.clone() });
    }
    computes.extend(kernel.computes[1..].iter().cloned());
    combine.kernel.computes = computes;
    without_others(&mut combine);
    [reduce.into_step(), combine.into_step()]
}

/// Adds a tensor to a kernel; returns its index.
fn add_tensor(bound: &mut Bound, name: &str, ty: TensorType, role: Role, id: Option<TensorId>) -> usize {
    let name = fresh(name, &|n| bound.kernel.tensors.iter().any(|t| *t.name == *n));
    bound.kernel.tensors.push(KernelTensor { name, ty, role });
    bound.bindings.push(id);
    bound.kernel.tensors.len() - 1
}

/// The compute over `length` points of an axis, from `start` on.
fn shifted(compute: &Compute, axis: &Name, length: i64, start: &Expr) -> Compute {
    let point = Expr::axis(axis) + start.clone();
    let mut shifted = compute.clone();
    for a in shifted.axes.iter_mut().filter(|a| a.name == *axis) {
        a.extent = Expr::from(length);
    }
    for (inst, _) in &mut shifted.body.insts {
        match inst {
            Inst::Index(e) => *e = e.replace_axis(axis, &point),
            Inst::Read { index, .. } => index.iter_mut().for_each(|e| *e = e.replace_axis(axis, &point)),
            _ => {}
        }
    }
    shifted
}

/// Turns outputs that no compute writes into temporaries: other kernels write them.
fn without_others(bound: &mut Bound) {
    for t in 0..bound.kernel.tensors.len() {
        let written = bound.kernel.computes.iter().any(|c| c.target == t);
        if bound.kernel.tensors[t].role == Role::Output && !written {
            bound.kernel.tensors[t].role = Role::Temporary;
            bound.bindings[t] = None;
        }
    }
}

/// The name of the tensor that the kernel writes.
fn written(program: &Program, whole: &Bound) -> Name {
    let id = whole.kernel.with_role(Role::Output).find_map(|t| whole.bindings[t]);
    id.map_or_else(|| whole.kernel.name.clone(), |id| program.tensors[id].name.clone())
}

/// A name that no axis of the compute has.
fn unused(compute: &Compute, name: &str) -> Name {
    let mut name = name.to_owned();
    while compute.axis(&name).is_some() {
        name.push('_');
    }
    name.into()
}
