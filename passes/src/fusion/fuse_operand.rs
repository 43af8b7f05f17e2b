//! Puts an elementwise producer as a stage in front of a product whose operand it makes, so that the operand is
//! computed while it is copied into the product's panels and never lies in memory.
//!
//! ```text
//! kernel { t[k, n] = b[k, n] + c[k, n] }            kernel { t[k, n] = b[k, n] + c[k, n]
//! kernel { y[m, n] = sum k: a[m, k] * t[k, n] } =>           y[m, n] = sum k: a[m, k] * t[k, n] }
//! ```
//!
//! It pays where each element is computed once, into a panel that a cache holds. So the product's axes must
//! be the operand's, one a dimension (a window reads elements many times), and the panel's depth must be
//! static. If both operands are computed, the one with more elements goes in front: a panel of one is made
//! for each panel of the other. The stage stays apart from the product, and the product's body remains a
//! product of two reads.
//!
//! A product with computed rows takes its columns as they are. Where the columns would be copied too (a
//! transposed operand that is no constant), nothing is put in front.

use super::{
    Merge,
    merge::{Bound, concatenate, rename_axes, replace_steps},
    until_settled,
    uses::{Uses, bound_tensor, kernel_of},
};
use crate::registry::{PassSpec, Run, Trait};
use mlcc_ir::{
    Name,
    dtype::DType,
    expr::Expr,
    kernel::{Axis, AxisKind, Compute, Kernel, Role},
    product::{Element, Product, Side},
    program::{Program, Storage, TensorId},
    types::TensorType,
};
use std::collections::BTreeMap;

/// The pass.
pub const SPEC: PassSpec = PassSpec {
    name: "fuse-operand",
    summary: "compute an operand of a product while it is packed",
    traits: &[Trait::Variant],
    run: Run::Tensor(|program, _| Ok(run(program))),
};

/// Runs the pass; returns the number of kernels merged away.
pub fn run(program: &mut Program) -> usize {
    until_settled(program, decide, apply)
}

/// The edges from elementwise kernels to products, the largest operands first.
#[must_use]
pub fn decide(program: &Program) -> Vec<Merge> {
    let uses = Uses::of(program);
    let mut merges: Vec<Merge> = (0..program.tensors.len())
        .filter_map(|tensor| {
            let (producer, consumer) = uses.only_edge(tensor)?;
            let maker = maker_of(kernel_of(program, producer)?.0)?;
            axis_names(program, consumer, tensor, maker)?;
            Some(Merge { tensor, producer, consumer })
        })
        .collect();
    merges.sort_by_key(|m| std::cmp::Reverse(elements(program, m.tensor)));
    merges
}

/// The compute of a kernel that makes each element of the kernel's result once, in any order of dimensions.
fn maker_of(kernel: &Kernel) -> Option<&Compute> {
    let [compute] = &kernel.computes[..] else { return None };
    let walked = |a: &Axis| compute.write.iter().filter(|e| e.as_axis() == Some(&a.name)).count();
    let once =
        |a: &Axis| a.kind == AxisKind::Parallel && (walked(a) == 1 || walked(a) == 0 && a.extent.is(1));
    let dims = &kernel.tensors[compute.target].ty.dims;
    let whole = compute.write.iter().zip(dims).all(|(e, dim)| match e.as_axis() {
        Some(a) => compute.axis(a).is_some_and(|a| a.extent == *dim),
        None => e.is(0) && dim.is(1),
    });
    (compute.combine.is_none() && whole && compute.axes.iter().all(once)).then_some(compute)
}

/// Number of elements of a tensor, or the largest number if the exact one is not known.
fn elements(program: &Program, tensor: TensorId) -> i64 {
    let dims = &program.tensors[tensor].ty.dims;
    dims.iter().try_fold(1i64, |n, d| n.checked_mul(d.as_const()?)).unwrap_or(i64::MAX)
}

/// A sum of products with an elementwise epilogue. One of its operands would be computed.
struct Packed<'a> {
    product: Product<'a>,
    /// The operand that would be computed, and the other one.
    made: Element<'a>,
    other: Element<'a>,
    /// Position of the computed operand among the factors.
    at: usize,
    /// The axis along which the results are contiguous.
    line: &'a Name,
}

impl<'a> Packed<'a> {
    /// `kernel` as a product with `tensor` as an operand.
    fn recognise(kernel: &'a Kernel, tensor: usize) -> Option<Packed<'a>> {
        let (compute, epilogue) = kernel.computes.split_first()?;
        let product = compute.product().filter(Product::is_sum)?;
        let elements = product.bare()?.map(|e| *e);
        let at = usize::from(elements[0].tensor != tensor);
        let (made, other) = (elements[at], elements[1 - at]);
        let inside = elements.iter().all(|e| e.outside.is_none());
        let apart = other.tensor != tensor && kernel.tensors[other.tensor].role == Role::Input;
        if !inside || !apart || !matches!(product.dtype()?, DType::F32 | DType::F64) {
            return None;
        }
        // Stages behind the product run over its results.
        let free = |c: &Compute| -> BTreeMap<Name, Expr> {
            let free = c.axes.iter().filter(|a| a.kind == AxisKind::Parallel);
            free.map(|a| (a.name.clone(), a.extent.clone())).collect()
        };
        let results = free(compute);
        let plain = |c: &Compute| {
            c.combine.is_none() && c.axes.iter().all(|a| a.kind == AxisKind::Parallel) && free(c) == results
        };
        if !epilogue.iter().all(plain) || epilogue.iter().any(|c| c.reads().any(|(t, _)| t == tensor)) {
            return None;
        }
        let last = kernel.computes.last()?;
        let dims = &kernel.tensors[last.target].ty.dims;
        let innermost = (0..dims.len()).rev().find(|&d| !dims[d].is(1))?;
        let line = last.write.get(innermost)?.as_axis()?;
        Some(Packed { product, made, other, at, line })
    }

    /// Whether the product's loops can make the operand panel by panel.
    fn packs(&self, other_is_constant: bool) -> bool {
        let by_kind = self.product.axes.iter().all(|a| match (a.kind, self.product.side(&a.name)) {
            // A panel is as deep as the reduction.
            (AxisKind::Reduction, side) => a.extent.as_const().is_some_and(|e| e > 0) && side == Side::Both,
            (AxisKind::Parallel, side) => side != Side::Neither,
            (AxisKind::Sequential, _) => false,
        });
        let is_line = |e: &Expr| e.as_axis().is_some_and(|a| a == self.line);
        let (of_made, of_other) = (self.made.index.iter().any(is_line), self.other.uses_axis(self.line));
        let columns_as_they_are = other_is_constant || self.other.index.last().is_some_and(is_line);
        by_kind && (of_made && !of_other || of_other && !of_made && columns_as_they_are)
    }

    /// Whether the columns, contiguous and in a cache, serve only a few rows. A panel of them then costs more
    /// than a kernel that makes them in one stream (8x1024x1024: 0.35 instead of 0.31 ms).
    fn has_few_rows(&self, made: &TensorType) -> bool {
        let contiguous = self.made.index.last().and_then(Expr::as_axis) == Some(self.line);
        let rows = self
            .product
            .free(1 - self.at)
            .fold(1, |n, a| a.extent.as_const().map_or(i64::MAX, |e| e.saturating_mul(n)));
        let elements = made.dims.iter().fold(1i64, |n, d| n.saturating_mul(d.as_const().unwrap_or(1)));
        contiguous && rows < FEW_ROWS && elements.saturating_mul(made.dtype.size() as i64) <= CACHED
    }
}

/// With fewer rows than this, a kernel of its own makes the columns in a stream, if the caches hold them, and
/// they are read in place.
const FEW_ROWS: i64 = 16;
/// Bytes that the caches are assumed to hold.
const CACHED: i64 = 16 << 20;

/// The product's name for each axis of the operand's maker; `None` if the maker must not be put in front.
fn axis_names(
    program: &Program,
    consumer: usize,
    tensor: TensorId,
    maker: &Compute,
) -> Option<BTreeMap<Name, Name>> {
    let (kernel, operands) = kernel_of(program, consumer)?;
    let packed = Packed::recognise(kernel, bound_tensor(kernel, operands, tensor)?)?;
    let other =
        kernel.operands().zip(operands).find(|(t, _)| *t == packed.other.tensor).map(|(_, id)| *id)?;
    let constant = matches!(program.tensors[other].storage, Storage::Constant(_));
    if !packed.packs(constant) || packed.has_few_rows(&program.tensors[tensor].ty) {
        return None;
    }
    let mut names = BTreeMap::new();
    for (written, read) in maker.write.iter().zip(packed.made.index) {
        let made = written.as_axis().and_then(|a| maker.axis(a));
        match (made, read.as_axis()) {
            (Some(axis), Some(name)) if kernel.computes[0].axis(name)?.extent == axis.extent => {
                names.insert(axis.name.clone(), name.clone());
            }
            (Some(axis), None) if read.is(0) && axis.extent.is(1) => {}
            (None, None) if read.is(0) && written.is(0) => {}
            _ => return None,
        }
    }
    let targets: std::collections::BTreeSet<&Name> = names.values().collect();
    let mut others = maker.axes.iter().filter(|a| !names.contains_key(&a.name));
    (targets.len() == names.len() && !others.any(|a| targets.contains(&a.name))).then_some(names)
}

fn apply(program: &mut Program, merge: &Merge) -> bool {
    let Some((producer, p_operands)) = kernel_of(program, merge.producer) else { return false };
    let Some((consumer, c_operands)) = kernel_of(program, merge.consumer) else { return false };
    let Some(names) = axis_names(program, merge.consumer, merge.tensor, &producer.computes[0]) else {
        return false;
    };
    let mut p = Bound::of(producer, p_operands);
    p.kernel.computes[0] = rename_axes(&p.kernel.computes[0], &names);
    let all = concatenate(&p, &Bound::of(consumer, c_operands), merge.tensor);
    replace_steps(program, merge.producer, merge.consumer, all.into_step());
    true
}
