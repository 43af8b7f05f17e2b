//! Kernels over rows that end in a product of each row's elements by a factor of the row, such as a softmax.
//!
//! Rows that count for nothing may have 0 as their result. These are rows for which a condition holds, or
//! rows whose result is not a number (true of a whole row of a softmax if its sum is not a number).

use super::uses::{is_contraction, is_elementwise};
use mlcc_ir::{
    Name,
    dtype::DType,
    expr::Expr,
    kernel::{AxisKind, Compute, Kernel, Role},
    product::{Element, Step},
    scalar::{BinaryOp, Body, Inst, UnaryOp},
};

/// A kernel over rows that ends in a product with a factor for each row.
pub(super) struct Normalised {
    /// The result.
    pub(super) weights: usize,
    /// The dimension along which rows lie, and the axis of the last compute at each dimension.
    pub(super) dim: usize,
    pub(super) axes: Vec<Name>,
}

impl Normalised {
    pub(super) fn of(kernel: &Kernel, weights: usize) -> Option<Normalised> {
        let (last, rest) = kernel.computes.split_last()?;
        let f32 = kernel.tensors.iter().all(|t| t.role != Role::Temporary || t.ty.dtype == DType::F32);
        if !f32 || last.target != weights || !is_elementwise(last) || rest.iter().any(is_contraction) {
            return None;
        }
        let scaled = scaled(last)?;
        let axes: Vec<Name> = last.axes.iter().map(|a| a.name.clone()).collect();
        let all: Vec<Expr> = axes.iter().map(|a| Expr::axis(a)).collect();
        let dim = (0..all.len()).find(|&d| {
            let others = all.iter().enumerate().filter(|(i, _)| *i != d).map(|(_, e)| e);
            others.eq(&scaled.row)
        })?;
        let along = |c: &Compute| {
            c.axes.iter().any(|a| a.name == axes[dim] && a.kind == AxisKind::Reduction && c.combine.is_some())
        };
        let fits = scaled.at == all
            && !scaled.uses_axis(&axes[dim])
            && kernel.tensors[scaled.elements].role == Role::Temporary
            && rest.iter().any(along)
            // Every compute runs over the same axes, so that their rows are the same.
            && rest.iter().all(|c| c.axes.iter().all(|a| last.axis(&a.name).is_some_and(|b| a.extent == b.extent)));
        fits.then_some(Normalised { weights, dim, axes })
    }
}

/// A compute that multiplies each element of a row by the row's factor: tensors and indices.
pub(super) struct Scaled {
    /// The elements that are multiplied.
    pub(super) elements: usize,
    at: Vec<Expr>,
    /// The factors.
    factors: usize,
    row: Vec<Expr>,
    /// Rows whose result is 0 instead.
    nothing: Nothing,
}

/// Rows that count for nothing.
enum Nothing {
    /// None does.
    Never,
    /// Rows whose factor is not a number.
    NotANumber,
    /// Rows for which a condition holds.
    Where(Body),
}

impl Scaled {
    /// Whether an axis decides about rows that count for nothing.
    fn uses_axis(&self, axis: &str) -> bool {
        let Nothing::Where(condition) = &self.nothing else { return false };
        condition.insts.iter().any(|(inst, _)| match inst {
            Inst::Index(e) => e.uses_axis(axis),
            Inst::Read { index, .. } => index.iter().any(|e| e.uses_axis(axis)),
            _ => false,
        })
    }

    /// The operation to apply to a sum over a row of elements that have not been multiplied.
    pub(super) fn of_sum(&self, sum: usize, at: &[Expr]) -> Body {
        let (mut body, condition) = match &self.nothing {
            Nothing::Where(condition) => (condition.clone(), Some(condition.result)),
            _ => (Body::default(), None),
        };
        let v = body.read(sum, at.to_vec(), DType::F32);
        let factor = body.read(self.factors, self.row.clone(), DType::F32);
        let condition = match self.nothing {
            Nothing::NotANumber => Some(body.push(Inst::Unary(UnaryOp::IsNan, factor), DType::Bool)),
            _ => condition,
        };
        let product = body.binary(BinaryOp::Mul, v, factor);
        if let Some(condition) = condition {
            let zero = body.constant(mlcc_ir::scalar::Constant::float(DType::F32, 0.0));
            body.select(condition, zero, product);
        }
        body
    }
}

/// The compute as a product, if it is one.
pub(super) fn scaled(compute: &Compute) -> Option<Scaled> {
    let product = compute.product()?;
    let [x, y] = product.elements()?;
    let plain = |e: &Element<'_>| e.outside.is_none() && e.dtype == DType::F32;
    if !plain(x) || !plain(y) {
        return None;
    }
    let nothing = match product.behind.as_deref()? {
        [] if product.bare().is_some() => Nothing::Never,
        &[Step::ZeroWhere(condition)] => match compute.body.insts[condition as usize].0 {
            Inst::Unary(UnaryOp::IsNan, v) if v == product.at => Nothing::NotANumber,
            _ => Nothing::Where(compute.body.of_value(condition)),
        },
        _ => return None,
    };
    let (elements, row) = if x.index.len() > y.index.len() { (x, y) } else { (y, x) };
    let (at, factors) = (elements.index.to_vec(), row.tensor);
    Some(Scaled { elements: elements.tensor, at, factors, row: row.index.to_vec(), nothing })
}
