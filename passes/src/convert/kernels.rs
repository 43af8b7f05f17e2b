//! Building kernels: tensors by role, axes by name, computes.

use super::lowering::Lowering;
use mlcc_ir::{
    Name,
    dtype::DType,
    expr::Expr,
    graph::ValueId,
    kernel::{Axis, AxisKind, Combine, Compute, Kernel, KernelTensor, Role},
    scalar::Body,
    types::TensorType,
};

/// A parallel axis.
pub(super) fn parallel(name: &str, extent: Expr) -> Axis {
    Axis { name: name.into(), extent, kind: AxisKind::Parallel }
}

/// A reduction axis.
pub(super) fn reduction(name: &str, extent: Expr) -> Axis {
    Axis { name: name.into(), extent, kind: AxisKind::Reduction }
}

/// Parallel axes `i0`, `i1`, ... over dimensions.
pub(super) fn axes_over(dims: &[Expr]) -> Vec<Axis> {
    dims.iter().enumerate().map(|(d, extent)| parallel(&format!("i{d}"), extent.clone())).collect()
}

/// The axes as index expressions.
pub(super) fn indices(axes: &[Axis]) -> Vec<Expr> {
    axes.iter().map(|a| Expr::axis(&a.name)).collect()
}

/// A kernel under construction.
pub(super) struct KernelBuilder {
    kernel: Kernel,
    /// The graph value behind each tensor; `None` for temporaries.
    values: Vec<Option<ValueId>>,
}

impl KernelBuilder {
    pub(super) fn new(name: Name, node: Name) -> KernelBuilder {
        KernelBuilder {
            kernel: Kernel { name, nodes: vec![node], tensors: Vec::new(), computes: Vec::new() },
            values: Vec::new(),
        }
    }

    fn tensor(&mut self, name: &str, ty: TensorType, role: Role, value: Option<ValueId>) -> usize {
        let taken = |n: &str| self.kernel.tensors.iter().any(|t| *t.name == *n);
        let mut unique = name.to_owned();
        let mut count = 1;
        while taken(&unique) {
            count += 1;
            unique = format!("{name}{count}");
        }
        self.kernel.tensors.push(KernelTensor { name: unique.into(), ty, role });
        self.values.push(value);
        self.kernel.tensors.len() - 1
    }

    /// The input for a graph value; the same one if it is an input already.
    pub(super) fn input(&mut self, op: &Lowering<'_, '_>, value: ValueId, name: &str) -> usize {
        let same = |t: &usize| self.kernel.tensors[*t].role == Role::Input && self.values[*t] == Some(value);
        match (0..self.values.len()).find(same) {
            Some(t) => t,
            None => self.tensor(name, op.ty(value).clone(), Role::Input, Some(value)),
        }
    }

    /// The output for a graph value, a result of the node.
    pub(super) fn output(&mut self, op: &Lowering<'_, '_>, value: ValueId, name: &str) -> usize {
        self.tensor(name, op.ty(value).clone(), Role::Output, Some(value))
    }

    /// A tensor inside the kernel.
    pub(super) fn temporary(&mut self, name: &str, dtype: DType, dims: Vec<Expr>) -> usize {
        self.tensor(name, TensorType::new(dtype, dims), Role::Temporary, None)
    }

    /// Element type of a tensor.
    pub(super) fn dtype(&self, tensor: usize) -> DType {
        self.kernel.tensors[tensor].ty.dtype
    }

    /// Adds a compute; the body's value is converted to the target's type.
    pub(super) fn push(
        &mut self,
        name: &str,
        axes: Vec<Axis>,
        (target, write): (usize, Vec<Expr>),
        mut body: Body,
        combine: Option<Combine>,
    ) {
        let result = body.result;
        body.result = body.cast(result, self.dtype(target));
        let taken = |n: &str| self.kernel.computes.iter().any(|c| *c.name == *n);
        let mut unique = name.to_owned();
        let mut count = 1;
        while taken(&unique) {
            count += 1;
            unique = format!("{name}{count}");
        }
        self.kernel.computes.push(Compute { name: unique.into(), axes, target, write, body, combine });
    }

    /// Adds `target[axes] = body`.
    pub(super) fn map(&mut self, name: &str, axes: Vec<Axis>, target: usize, body: Body) {
        let write = indices(&axes);
        self.push(name, axes, (target, write), body, None);
    }

    /// Adds `target[parallel axes] = combine over the reduction axes of body`. Without reduction axes
    /// it is a [`KernelBuilder::map`].
    pub(super) fn reduce(
        &mut self,
        name: &str,
        axes: Vec<Axis>,
        target: usize,
        combine: Combine,
        body: Body,
    ) {
        let kept: Vec<Axis> = axes.iter().filter(|a| a.kind == AxisKind::Parallel).cloned().collect();
        let combine = (kept.len() < axes.len()).then_some(combine);
        self.push(name, axes, (target, indices(&kept)), body, combine);
    }

    /// The kernel and the graph values of its operands: inputs, then outputs.
    pub(super) fn finish(self) -> (Kernel, Vec<ValueId>) {
        let with = |wanted: Role| {
            let values = &self.values;
            self.kernel.with_role(wanted).filter_map(move |t| values[t])
        };
        let operands = with(Role::Input).chain(with(Role::Output)).collect();
        (self.kernel, operands)
    }
}
