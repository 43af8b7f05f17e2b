//! Building kernels: tensors by role, axes by name, computes.

use super::lowering::Lowering;
use mlcc_ir::{
    Name,
    dtype::DType,
    expr::Expr,
    graph::ValueId,
    kernel::{Axis, AxisKind, Combine, Compute, Kernel, KernelTensor, Role},
    program::TensorId,
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

/// `name`, or `name2`, `name3`, ... if it is taken.
fn unique(name: &str, taken: impl Fn(&str) -> bool) -> Name {
    let mut candidate = name.to_owned();
    let mut count = 1;
    while taken(&candidate) {
        count += 1;
        candidate = format!("{name}{count}");
    }
    candidate.into()
}

/// The value that a compute writes, and how values that meet are combined.
pub(super) struct Yield {
    pub(super) body: Body,
    pub(super) combine: Option<Combine>,
}

impl Yield {
    /// The same value, combined.
    pub(super) fn combined(self, combine: impl Into<Option<Combine>>) -> Yield {
        Yield { combine: combine.into(), ..self }
    }
}

/// The counterpart of a kernel's tensor outside of the kernel.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Operand {
    /// A value of the graph.
    Value(ValueId),
    /// A tensor of the program.
    Tensor(TensorId),
    /// Nothing: a temporary.
    None,
}

/// A kernel under construction.
pub(super) struct KernelBuilder {
    kernel: Kernel,
    /// The counterpart of each tensor outside of the kernel.
    operands: Vec<Operand>,
}

impl KernelBuilder {
    pub(super) fn new(name: Name, node: Name) -> KernelBuilder {
        KernelBuilder {
            kernel: Kernel { name, nodes: vec![node], tensors: Vec::new(), computes: Vec::new() },
            operands: Vec::new(),
        }
    }

    fn tensor(&mut self, name: &str, ty: TensorType, role: Role, operand: Operand) -> usize {
        let name = unique(name, |n| self.kernel.tensors.iter().any(|t| *t.name == *n));
        self.kernel.tensors.push(KernelTensor { name, ty, role });
        self.operands.push(operand);
        self.kernel.tensors.len() - 1
    }

    /// The input for a graph value; the same one if it is an input already.
    pub(super) fn input(&mut self, op: &Lowering<'_, '_>, value: ValueId, name: &str) -> usize {
        let same = |t: &usize| {
            self.kernel.tensors[*t].role == Role::Input && self.operands[*t] == Operand::Value(value)
        };
        match (0..self.operands.len()).find(same) {
            Some(t) => t,
            None => self.tensor(name, op.ty(value).clone(), Role::Input, Operand::Value(value)),
        }
    }

    /// The output for a graph value, a result of the node.
    pub(super) fn output(&mut self, op: &Lowering<'_, '_>, value: ValueId, name: &str) -> usize {
        self.tensor(name, op.ty(value).clone(), Role::Output, Operand::Value(value))
    }

    /// The output for a graph value, for a kernel that writes only a part of it.
    pub(super) fn update(&mut self, op: &Lowering<'_, '_>, value: ValueId, name: &str) -> usize {
        self.tensor(name, op.ty(value).clone(), Role::InOut, Operand::Value(value))
    }

    /// An input that is a tensor of the program.
    pub(super) fn program_input(&mut self, name: &str, ty: TensorType, tensor: TensorId) -> usize {
        self.tensor(name, ty, Role::Input, Operand::Tensor(tensor))
    }

    /// A tensor inside the kernel.
    pub(super) fn temporary(&mut self, name: &str, dtype: DType, dims: Vec<Expr>) -> usize {
        self.tensor(name, TensorType::new(dtype, dims), Role::Temporary, Operand::None)
    }

    /// Element type of a tensor.
    pub(super) fn dtype(&self, tensor: usize) -> DType {
        self.kernel.tensors[tensor].ty.dtype
    }

    /// Adds a compute; the value is converted to the target's type.
    pub(super) fn push(
        &mut self,
        name: &str,
        axes: Vec<Axis>,
        (target, write): (usize, Vec<Expr>),
        Yield { mut body, combine }: Yield,
    ) {
        let result = body.result;
        body.result = body.cast(result, self.dtype(target));
        let taken = |n: &str| self.kernel.computes.iter().any(|c| *c.name == *n);
        let name = unique(name, taken);
        self.kernel.computes.push(Compute { name, axes, target, write, body, combine });
    }

    /// Adds `target[axes] = value`.
    pub(super) fn map(&mut self, name: &str, axes: Vec<Axis>, target: usize, value: Yield) {
        let write = indices(&axes);
        self.push(name, axes, (target, write), value);
    }

    /// Adds `target[parallel axes] = value, combined over the reduction axes`. Without reduction axes
    /// it is a [`KernelBuilder::map`].
    pub(super) fn reduce(&mut self, name: &str, axes: Vec<Axis>, target: usize, mut value: Yield) {
        let kept: Vec<Axis> = axes.iter().filter(|a| a.kind == AxisKind::Parallel).cloned().collect();
        if kept.len() == axes.len() {
            value.combine = None;
        }
        self.push(name, axes, (target, indices(&kept)), value);
    }

    /// The kernel and its operands: inputs, then outputs.
    pub(super) fn finish(self) -> (Kernel, Vec<Operand>) {
        let operands = self.kernel.operands().map(|t| self.operands[t]).collect();
        (self.kernel, operands)
    }
}
