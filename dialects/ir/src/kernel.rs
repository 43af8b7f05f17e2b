//! The tensor level's unit: a kernel, WHAT is computed.
//!
//! A [`Kernel`] is pure, isolated and destination-passing: a list of [`Compute`]s, each a perfect nest
//! of axes around one scalar [`Body`], executed one after the other. There is no order among the points
//! of a compute's parallel axes.

use crate::{
    Name,
    dtype::DType,
    expr::{Expr, Interval},
    scalar::{BinaryOp, Body, Constant, Inst},
    types::TensorType,
};

/// The role of a tensor in its kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Read only, the caller's.
    Input,
    /// Written, the caller's; every element is written unless `InOut`.
    Output,
    /// The caller's, holds values on entry that the kernel updates (scatter).
    InOut,
    /// Exists only inside the kernel.
    Temporary,
}

/// A tensor of a kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelTensor {
    /// Name, unique in the kernel.
    pub name: Name,
    /// Element type, dimensions, layout.
    pub ty: TensorType,
    /// Input, output or temporary.
    pub role: Role,
}

/// Role of an axis in a compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AxisKind {
    /// Points may run in any order.
    Parallel,
    /// Points are combined by the compute's reduction, in any order.
    Reduction,
    /// Points run in order (a scatter with duplicate indices).
    Sequential,
}

/// An axis of a compute's iteration space: `0..extent`.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Name, unique in the compute and stable under scheduling.
    pub name: Name,
    /// Number of points.
    pub extent: Expr,
    /// Role.
    pub kind: AxisKind,
}

/// How values that meet in one element are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Combine {
    Add,
    Mul,
    Max,
    Min,
    /// Logical or bitwise.
    And,
    /// Logical or bitwise.
    Or,
}

impl Combine {
    /// The function that combines two values.
    #[must_use]
    pub fn function(self) -> BinaryOp {
        match self {
            Combine::Add => BinaryOp::Add,
            Combine::Mul => BinaryOp::Mul,
            Combine::Max => BinaryOp::Max,
            Combine::Min => BinaryOp::Min,
            Combine::And => BinaryOp::And,
            Combine::Or => BinaryOp::Or,
        }
    }

    /// The value that combining leaves unchanged.
    #[must_use]
    pub fn identity(self, dtype: DType) -> Constant {
        let (float, integer) = match self {
            Combine::Add | Combine::Or => (0.0, 0),
            Combine::Mul => (1.0, 1),
            // For integers: all bits set. For `Bool`, which has one bit, and for floats, which have no logic: 1.
            Combine::And if dtype.is_int() => (1.0, -1),
            Combine::And => (1.0, 1),
            Combine::Max => (f64::NEG_INFINITY, dtype.limits().0),
            Combine::Min => (f64::INFINITY, dtype.limits().1),
        };
        if dtype.is_float() { Constant::float(dtype, float) } else { Constant::int(dtype, integer as i64) }
    }
}

/// One perfect nest: for every point of the axes, `target[write] = body`, or with reduction axes
/// `target[write] = combine over them of body`.
#[derive(Clone, Debug, PartialEq)]
pub struct Compute {
    /// Name, unique in the kernel: `conv`, `max`, `exp`.
    pub name: Name,
    /// The iteration space, outermost first.
    pub axes: Vec<Axis>,
    /// Index of the tensor written.
    pub target: usize,
    /// Element written. The index may use the body's values (scatter); then an index out of bounds writes
    /// nothing.
    pub write: Vec<Expr>,
    /// The value.
    pub body: Body,
    /// With reduction axes: how values are combined, starting from the identity. Without them (on an `InOut`
    /// target): how the value is combined with the element that is there.
    pub combine: Option<Combine>,
}

/// A kernel: pure, isolated from the rest of the program.
#[derive(Clone, Debug, PartialEq)]
pub struct Kernel {
    /// Name made from the operators in it, such as `conv_relu`; need not be unique.
    pub name: Name,
    /// ONNX nodes that it implements.
    pub nodes: Vec<Name>,
    /// Inputs, outputs and temporaries.
    pub tensors: Vec<KernelTensor>,
    /// What is computed, in order.
    pub computes: Vec<Compute>,
}

impl Compute {
    /// Whether any axis is reduced.
    #[must_use]
    pub fn is_reduction(&self) -> bool {
        self.axes.iter().any(|a| a.kind == AxisKind::Reduction)
    }

    /// The axis `name`.
    #[must_use]
    pub fn axis(&self, name: &str) -> Option<&Axis> {
        self.axes.iter().find(|a| *a.name == *name)
    }

    /// Range of an axis; all integers if the compute has no such axis or its extent is symbolic.
    #[must_use]
    pub fn range(&self, name: &str) -> Interval {
        let high = self.axis(name).and_then(|a| a.extent.as_const()).map(|e| e - 1);
        Interval { low: self.axis(name).map(|_| 0), high }
    }

    /// Index of every tensor that the body reads, with the index expressions.
    pub fn reads(&self) -> impl Iterator<Item = (usize, &[Expr])> {
        self.body.insts.iter().filter_map(|(inst, _)| match inst {
            Inst::Read { tensor, index, .. } => Some((*tensor, index.as_slice())),
            _ => None,
        })
    }

    /// Number of points of the iteration space.
    #[must_use]
    pub fn points(&self) -> Expr {
        self.axes.iter().fold(Expr::from(1), |n, a| n * a.extent.clone())
    }

    /// Whether the write is the identity on the parallel axes, in order.
    #[must_use]
    pub fn writes_identity(&self) -> bool {
        let parallel = self.axes.iter().filter(|a| a.kind == AxisKind::Parallel);
        self.write.iter().map(Expr::as_axis).eq(parallel.map(|a| Some(&a.name)))
    }
}

impl Kernel {
    /// Indices of the tensors with a role, in order: the kernel's operands are its inputs, then its
    /// outputs (`Output` and `InOut`).
    pub fn with_role(&self, role: Role) -> impl Iterator<Item = usize> {
        (0..self.tensors.len()).filter(move |&t| self.tensors[t].role == role)
    }

    /// Indices of the tensors that the caller passes, in the order of the kernel's operands: inputs,
    /// then outputs (`Output` and `InOut`).
    pub fn operands(&self) -> impl Iterator<Item = usize> {
        let outputs = |t: &usize| matches!(self.tensors[*t].role, Role::Output | Role::InOut);
        self.with_role(Role::Input).chain((0..self.tensors.len()).filter(outputs))
    }

    /// Arithmetic operations: each instruction of a body counts as one at each point, except constants, indices
    /// and reads.
    #[must_use]
    pub fn operations(&self) -> Expr {
        let work = |inst: &Inst| !matches!(inst, Inst::Const(_) | Inst::Index(_) | Inst::Read { .. });
        self.computes.iter().fold(Expr::from(0), |sum, compute| {
            let operations = compute.body.insts.iter().filter(|(i, _)| work(i)).count();
            sum + compute.points() * Expr::from((operations + usize::from(compute.combine.is_some())) as i64)
        })
    }

    /// Bytes to and from memory, if every operand is moved once.
    #[must_use]
    pub fn traffic(&self) -> Expr {
        self.operands().fold(Expr::from(0), |sum, t| sum + self.tensors[t].ty.bytes())
    }

    /// Names of the symbols on which the kernel depends, sorted.
    #[must_use]
    pub fn symbols(&self) -> Vec<Name> {
        let mut names = Vec::new();
        for tensor in &self.tensors {
            tensor.ty.dims.iter().for_each(|d| d.collect_symbols(&mut names));
        }
        for compute in &self.computes {
            compute.axes.iter().for_each(|a| a.extent.collect_symbols(&mut names));
            compute.write.iter().for_each(|e| e.collect_symbols(&mut names));
            for (inst, _) in &compute.body.insts {
                match inst {
                    Inst::Index(e) => e.collect_symbols(&mut names),
                    Inst::Read { index, .. } => index.iter().for_each(|e| e.collect_symbols(&mut names)),
                    _ => {}
                }
            }
        }
        names.sort();
        names
    }
}
