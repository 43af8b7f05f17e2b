//! Fuses a product, a softmax of it and a second product with the result into one kernel, attention, so
//! that the scores never exist as a whole.
//!
//! ```text
//! kernel { s[b, q, j] = sum k: x[b, q, k] * y[b, j, k]; .. scale, mask .. }
//! kernel { m = max j: s; e = exp(s - m); z = 1 / sum j: e; p = e * z }            =>  one kernel, in which
//! kernel { o[b, q, d] = sum j: p[b, q, j] * v[b, j, d]; .. }          o = (sum j: e * v[b, j, d]) * z
//! ```
//!
//! The factor moves behind the second product, where there are fewer elements. No kernel is known by name.
//! The kernel in the middle is any kernel over rows that ends in a product of a tensor by a factor for each
//! row ([`normalised`]; the result may be 0 for rows that count for nothing). The third is any kernel that
//! sums its products along the rows.
//!
//! [`normalised`]: super::normalised

use super::{
    merge::{Bound, concatenate, drop_removed_steps, rename_axes, replace_steps},
    normalised::{Normalised, scaled},
    uses::{Uses, bound_tensor, kernel_of},
};
use crate::registry::{PassSpec, Run, Trait};
use mlcc_ir::{
    Name,
    dtype::DType,
    expr::Expr,
    kernel::{AxisKind, Compute, Kernel, KernelTensor, Role},
    program::{Program, TensorId},
    scalar::Inst,
    types::TensorType,
};
use std::collections::BTreeMap;

/// The pass.
pub const SPEC: PassSpec = PassSpec {
    name: "fuse-attention",
    summary: "fuse two products with a softmax between them into one kernel",
    traits: &[Trait::Variant, Trait::ChangesBits],
    run: Run::Tensor(|program, _| Ok(run(program))),
};

/// With fewer queries than this, separate products are faster: lanes of the fused kernel are queries.
const MIN_QUERIES: i64 = 8;
/// Longest rows of queries, keys and values: a block of queries is kept in the first cache.
const MAX_DEPTH: i64 = 512;

/// Three kernels that become one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attention {
    /// The tensors between them.
    pub scores: TensorId,
    /// The tensor that the second product reads.
    pub weights: TensorId,
    /// Indices of the three steps.
    pub steps: [usize; 3],
}

/// Runs the pass; returns the number of kernels merged away.
pub fn run(program: &mut Program) -> usize {
    let mut merged = 0;
    for attention in decide(program) {
        if apply(program, &attention) {
            merged += 2;
        }
    }
    drop_removed_steps(program);
    merged
}

/// Every product whose softmax a second product reads.
#[must_use]
pub fn decide(program: &Program) -> Vec<Attention> {
    let uses = Uses::of(program);
    (0..program.tensors.len())
        .filter_map(|weights| {
            let (softmax, consumer) = uses.only_edge(weights)?;
            let (rows, rows_operands) = kernel_of(program, softmax)?;
            let normalised = Normalised::of(rows, bound_tensor(rows, rows_operands, weights)?)?;
            let (second, second_operands) = kernel_of(program, consumer)?;
            let sum = second_product(second, bound_tensor(second, second_operands, weights)?, &normalised)?;
            let mut found = rows_operands.iter().filter_map(|&scores| {
                let (producer, reader) = uses.only_edge(scores)?;
                let (first, first_operands) = kernel_of(program, producer)?;
                let read = bound_tensor(rows, rows_operands, scores)?;
                let written = bound_tensor(first, first_operands, scores)?;
                let whole = rows.tensors[read].ty.dims == rows.tensors[normalised.weights].ty.dims;
                (reader == softmax && whole && first_product(first, written, &normalised)).then_some(())?;
                let [x, y] = factors(first, first_operands)?;
                distinct(&[x, y, second_operands[sum.other]]).then_some(Attention {
                    scores,
                    weights,
                    steps: [producer, softmax, consumer],
                })
            });
            found.next()
        })
        .collect()
}

/// Whether the operands of the first product and the values are three different tensors.
fn distinct(operands: &[TensorId]) -> bool {
    (1..operands.len()).all(|i| !operands[..i].contains(&operands[i]))
}

/// The product that reads the weights.
struct WeightedSum {
    /// Names of its axes at the weights' dimensions.
    axes: Vec<Name>,
    /// Position of the other factor among the kernel's operands.
    other: usize,
}

fn second_product(kernel: &Kernel, weights: usize, normalised: &Normalised) -> Option<WeightedSum> {
    let (first, rest) = kernel.computes.split_first()?;
    let product = first.product()?;
    let [x, y] = product.bare()?;
    let (weighted, values) = if x.tensor == weights { (x, y) } else { (y, x) };
    let others = rest.iter().all(|c| c.reads().all(|(r, _)| r != weights));
    let epilogue = rest.iter().all(|c| is_epilogue(first, c));
    if weighted.tensor != weights || values.tensor == weights || !others || !epilogue {
        return None;
    }
    let axes: Vec<Name> = weighted.index.iter().map(|e| e.as_axis().cloned()).collect::<Option<_>>()?;
    let kind = |d: usize| first.axis(&axes[d]).map(|a| a.kind);
    let mut reduced = first.axes.iter().filter(|a| a.kind == AxisKind::Reduction);
    let alone = reduced.next().is_some_and(|a| a.name == axes[normalised.dim]) && reduced.next().is_none();
    let kept = (0..axes.len()).all(|d| d == normalised.dim || kind(d) == Some(AxisKind::Parallel));
    let once = (1..axes.len()).all(|d| !axes[..d].contains(&axes[d]));
    let extents = axes.iter().zip(&kernel.tensors[weights].ty.dims);
    let whole = extents.clone().all(|(a, d)| first.axis(a).is_some_and(|a| a.extent == *d));
    let mut features = first.axes.iter().filter(|a| a.kind == AxisKind::Parallel && !axes.contains(&a.name));
    let short = features.next().is_some_and(|a| is_short(&a.extent)) && features.next().is_none();
    let other = kernel.operands().position(|o| o == values.tensor)?;
    (alone && kept && once && whole && short).then_some(WeightedSum { axes, other })
}

fn is_short(extent: &Expr) -> bool {
    extent.as_const().is_some_and(|e| (2..=MAX_DEPTH).contains(&e))
}

/// Whether a compute may follow a product: elementwise over its points, written in any order.
fn is_epilogue(product: &Compute, compute: &Compute) -> bool {
    let same = |a: &mlcc_ir::kernel::Axis| {
        a.kind == AxisKind::Parallel && product.axis(&a.name).is_some_and(|b| a.extent == b.extent)
    };
    compute.axes.iter().all(same) && compute.combine.is_none()
}

/// Whether the kernel is a product, with an epilogue, whose result has the middle kernel's rows.
fn first_product(kernel: &Kernel, scores: usize, normalised: &Normalised) -> bool {
    let Some((first, rest)) = kernel.computes.split_first() else { return false };
    let mut reduced = first.axes.iter().filter(|a| a.kind == AxisKind::Reduction);
    let short = reduced.next().is_some_and(|a| is_short(&a.extent)) && reduced.next().is_none();
    let written = kernel.computes.last().filter(|c| c.target == scores).and_then(|c| written_axes(c, scores));
    let keys = written.as_ref().and_then(|axes| axes.get(normalised.dim));
    let (Some(keys), Some(product)) = (keys, first.product().filter(|p| p.bare().is_some())) else {
        return false;
    };
    // One factor has the axis of keys. The other has the axis of queries, and there must be enough queries.
    let Some(with_keys) = product.only(keys) else { return false };
    let queries = product
        .axes
        .iter()
        .filter(|a| a.kind == AxisKind::Parallel && a.name != *keys && !product.depends(with_keys, &a.name))
        .map(|a| a.extent.as_const().unwrap_or(MIN_QUERIES))
        .next_back();
    rest.iter().all(|c| is_epilogue(first, c))
        && product.accumulator() == DType::F32
        && short
        && queries.is_some_and(|q| q >= MIN_QUERIES)
}

/// The axes by which a compute writes each dimension of its target.
fn written_axes(compute: &Compute, target: usize) -> Option<Vec<Name>> {
    (compute.target == target).then_some(())?;
    let axes: Vec<Name> = compute.write.iter().map(|e| e.as_axis().cloned()).collect::<Option<_>>()?;
    (1..axes.len()).all(|d| !axes[..d].contains(&axes[d])).then_some(axes)
}

/// The program's tensors that the first compute of a kernel multiplies.
fn factors(kernel: &Kernel, operands: &[TensorId]) -> Option<[TensorId; 2]> {
    let product = kernel.computes.first()?.product()?;
    let [x, y] = product.elements()?.map(|e| kernel.operands().position(|o| o == e.tensor));
    Some([operands[x?], operands[y?]])
}

fn apply(program: &mut Program, attention: &Attention) -> bool {
    apply_to(program, attention).is_some()
}

fn apply_to(program: &mut Program, attention: &Attention) -> Option<()> {
    let [producer, softmax, consumer] = attention.steps;
    let (first, first_operands) = kernel_of(program, producer)?;
    let (rows, rows_operands) = kernel_of(program, softmax)?;
    let (second, second_operands) = kernel_of(program, consumer)?;
    let normalised = Normalised::of(rows, bound_tensor(rows, rows_operands, attention.weights)?)?;
    let sum = second_product(second, bound_tensor(second, second_operands, attention.weights)?, &normalised)?;
    let written = bound_tensor(first, first_operands, attention.scores)?;
    let names = written_axes(first.computes.last()?, written)?;

    first_product(first, written, &normalised).then_some(())?;

    // The rows' names for all three.
    let mut first = Bound::of(first, first_operands);
    rename_all(&mut first.kernel, &names, &normalised.axes);
    let mut second = Bound::of(second, second_operands);
    rename_all(&mut second.kernel, &sum.axes, &normalised.axes);
    let middle = Bound::of(rows, rows_operands);
    let last = first.kernel.computes.len() + middle.kernel.computes.len() - 1;
    let mut all = concatenate(&first, &middle, attention.scores);
    all = concatenate(&all, &second, attention.weights);
    scale_later(&mut all, last)?;
    let step = all.into_step();
    replace_steps(program, producer, consumer, step.clone());
    replace_steps(program, softmax, consumer, step);
    Some(())
}

/// Renames the axes `from` to `to` in all computes; others give way.
fn rename_all(kernel: &mut Kernel, from: &[Name], to: &[Name]) {
    let mut names: BTreeMap<Name, Name> = from.iter().cloned().zip(to.iter().cloned()).collect();
    let all: Vec<Name> = kernel.computes.iter().flat_map(|c| c.axes.iter().map(|a| a.name.clone())).collect();
    for name in &all {
        if !names.contains_key(name) {
            let taken = |n: &str| to.iter().any(|t| **t == *n) || names.values().any(|v| **v == *n);
            let mut fresh = name.clone();
            for count in 1.. {
                if !taken(&fresh) {
                    break;
                }
                fresh = format!("{name}{count}").into();
            }
            names.insert(name.clone(), fresh);
        }
    }
    for compute in &mut kernel.computes {
        *compute = rename_axes(compute, &names);
    }
}

/// Removes the compute at `position`, the product with the rows' factors. The product behind it reads the
/// elements before that multiplication, and its own result is multiplied instead.
fn scale_later(all: &mut Bound, position: usize) -> Option<()> {
    let removed = all.kernel.computes.remove(position);
    let scaled = scaled(&removed)?;
    let product = &mut all.kernel.computes[position];
    let target = product.target;
    for (inst, _) in &mut product.body.insts {
        if let Inst::Read { tensor, .. } = inst
            && *tensor == removed.target
        {
            *tensor = scaled.elements;
        }
    }
    let (axes, write) = (product.axes.clone(), product.write.clone());
    let sum = temporary(all, "weighted", all.kernel.tensors[target].ty.clone());
    all.kernel.computes[position].target = sum;
    let body = scaled.of_sum(sum, &write);
    let axes = axes.into_iter().filter(|a| a.kind == AxisKind::Parallel).collect();
    let scale = Compute { name: fresh_compute(all, "scale"), axes, target, write, body, combine: None };
    all.kernel.computes.insert(position + 1, scale);
    Some(())
}

/// Adds a temporary to a kernel.
fn temporary(all: &mut Bound, name: &str, ty: TensorType) -> usize {
    let taken = |n: &str| all.kernel.tensors.iter().any(|t| *t.name == *n);
    let name =
        (0..).map(|i| if i == 0 { name.to_owned() } else { format!("{name}_{i}") }).find(|n| !taken(n));
    all.kernel.tensors.push(KernelTensor {
        name: name.unwrap_or_default().into(),
        ty,
        role: Role::Temporary,
    });
    all.bindings.push(None);
    all.kernel.tensors.len() - 1
}

fn fresh_compute(all: &Bound, name: &str) -> Name {
    let taken = |n: &str| all.kernel.computes.iter().any(|c| *c.name == *n);
    let name =
        (0..).map(|i| if i == 0 { name.to_owned() } else { format!("{name}_{i}") }).find(|n| !taken(n));
    name.unwrap_or_default().into()
}
