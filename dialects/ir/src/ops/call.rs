//! An operator's call under inference: access to operands and attributes with precise errors.

use super::{
    Inferred, Operand,
    definition::{Arity, OpDef},
    sizes,
};
use crate::{
    attributes::{Attr, Attrs},
    diagnostic::{Diagnostic, Result},
    dtype::DType,
    expr::Expr,
    requirement::{Condition, Requirement},
    types::TensorType,
};
use std::cell::RefCell;

/// An operator with its attributes and operands.
pub(super) struct Call<'a> {
    pub(super) def: &'static OpDef,
    pub(super) attrs: &'a Attrs,
    pub(super) operands: &'a [Option<Operand<'a>>],
    /// Assumptions made so far.
    pub(super) requirements: RefCell<Vec<Requirement>>,
}

impl<'a> Call<'a> {
    /// Checks the number of operands and the attributes' names and kinds.
    pub(super) fn check(&self) -> Result<()> {
        let def = self.def;
        let variadic = def.operands.iter().any(|o| o.arity == Arity::Variadic);
        if !variadic && self.operands.len() > def.operands.len() {
            return Err(Diagnostic::user(format!(
                "'graph.{}' takes at most {} operands, but has {}",
                def.name,
                def.operands.len(),
                self.operands.len()
            )));
        }
        let places = self.operands.len().max(def.operands.len());
        for i in 0..places {
            let optional = def.operands.get(i).is_some_and(|o| o.arity == Arity::Optional);
            if !optional && self.optional(i).is_none() {
                let name = def.operand_name(i);
                return Err(Diagnostic::user(format!("operand '{name}' of 'graph.{}' is missing", def.name)));
            }
        }
        match def.misfit(self.attrs) {
            Some(message) => Err(Diagnostic::user(message)),
            None => Ok(()),
        }
    }

    /// Operand `i`, if present.
    pub(super) fn optional(&self, i: usize) -> Option<Operand<'a>> {
        self.operands.get(i).copied().flatten()
    }

    /// Operand `i`.
    pub(super) fn operand(&self, i: usize) -> Result<Operand<'a>> {
        self.optional(i).ok_or_else(|| self.error(i, "is missing"))
    }

    /// Type of operand `i`.
    pub(super) fn ty(&self, i: usize) -> Result<&'a TensorType> {
        self.operand(i).map(|o| o.ty)
    }

    /// An error about operand `i`: `operand 'x' (2x3xf32) <what>`.
    pub(super) fn error(&self, i: usize, what: impl std::fmt::Display) -> Diagnostic {
        let name = self.def.operand_name(i);
        match self.optional(i) {
            Some(o) => Diagnostic::user(format!("operand '{name}' ({}) {what}", o.ty)),
            None => Diagnostic::user(format!("operand '{name}' {what}")),
        }
    }

    /// Demands that operand `i` has rank `rank`.
    pub(super) fn expect_rank(&self, i: usize, rank: usize) -> Result<()> {
        let found = self.ty(i)?.rank();
        if found == rank {
            return Ok(());
        }
        Err(self.error(i, format!("must have rank {rank}, but has rank {found}")))
    }

    /// Demands an element type of operand `i`; `what` names the allowed ones.
    pub(super) fn expect_dtype(&self, i: usize, allowed: fn(DType) -> bool, what: &str) -> Result<()> {
        if allowed(self.ty(i)?.dtype) {
            return Ok(());
        }
        Err(self.error(i, format!("must have {what} elements for 'graph.{}'", self.def.name)))
    }

    /// Demands floating-point elements.
    pub(super) fn expect_float(&self, i: usize) -> Result<()> {
        self.expect_dtype(i, DType::is_float, "floating-point")
    }

    /// Demands integer elements.
    pub(super) fn expect_int(&self, i: usize) -> Result<()> {
        self.expect_dtype(i, DType::is_int, "integer")
    }

    /// Demands that operands `i` and `j` (where present) have one element type.
    pub(super) fn expect_same_dtype(&self, i: usize, j: usize) -> Result<()> {
        let (Some(a), Some(b)) = (self.optional(i), self.optional(j)) else { return Ok(()) };
        if a.ty.dtype == b.ty.dtype {
            return Ok(());
        }
        let name = self.def.operand_name(i);
        Err(self.error(j, format!("must have the element type of operand '{name}' ({})", a.ty)))
    }

    /// An error about an attribute: `attribute 'axis' <what>`.
    pub(super) fn attr_error(&self, name: &str, what: impl std::fmt::Display) -> Diagnostic {
        Diagnostic::user(format!("attribute '{name}' of 'graph.{}' {what}", self.def.name))
    }

    /// The integers `name`; empty if absent.
    pub(super) fn ints(&self, name: &str) -> &'a [i64] {
        self.attrs.ints(name).unwrap_or(&[])
    }

    /// The integers `name`, `count` of them and each at least `least`; `default` repeated if absent.
    pub(super) fn ints_of(&self, name: &str, count: usize, least: i64, default: i64) -> Result<Vec<i64>> {
        let Some(values) = self.attrs.ints(name) else { return Ok(vec![default; count]) };
        if values.len() != count {
            return Err(
                self.attr_error(name, format!("must have {count} elements, but has {}", values.len()))
            );
        }
        match values.iter().find(|&&v| v < least) {
            Some(v) => {
                Err(self.attr_error(name, format!("must have elements of at least {least}, but has {v}")))
            }
            None => Ok(values.to_vec()),
        }
    }

    /// The symbolic integers `name`; an integer counts as a list of one.
    pub(super) fn exprs(&self, name: &str) -> Option<Vec<Expr>> {
        match self.attrs.get(name) {
            Some(Attr::Int(v)) => Some(vec![Expr::from(*v)]),
            _ => self.attrs.exprs(name),
        }
    }

    /// The symbolic integers `name`, `count` of them; zeros if absent.
    pub(super) fn exprs_of(&self, name: &str, count: usize) -> Result<Vec<Expr>> {
        let Some(values) = self.exprs(name) else { return Ok(vec![Expr::from(0); count]) };
        if values.len() == count {
            return Ok(values);
        }
        Err(self.attr_error(name, format!("must have {count} elements, but has {}", values.len())))
    }

    /// The one size `name`.
    pub(super) fn size(&self, name: &str) -> Result<Expr> {
        let size = self.exprs_of(name, 1)?.swap_remove(0);
        match size.as_const() {
            Some(n) if n < 0 => Err(self.attr_error(name, format!("is {n}, but a size is at least 0"))),
            _ => Ok(size),
        }
    }

    /// The attribute `name`: an axis of a tensor of rank `rank`.
    pub(super) fn axis(&self, name: &str, rank: usize) -> Result<usize> {
        self.check_axis(name, self.attrs.int(name, 0), rank)
    }

    /// The attribute `name`: different axes of a tensor of rank `rank`.
    pub(super) fn axes(&self, name: &str, rank: usize) -> Result<Vec<usize>> {
        let mut axes = Vec::new();
        for &axis in self.ints(name) {
            let axis = self.check_axis(name, axis, rank)?;
            if axes.contains(&axis) {
                return Err(self.attr_error(name, format!("names axis {axis} twice")));
            }
            axes.push(axis);
        }
        Ok(axes)
    }

    fn check_axis(&self, name: &str, axis: i64, rank: usize) -> Result<usize> {
        let valid = usize::try_from(axis).ok().filter(|&a| a < rank);
        valid.ok_or_else(|| self.attr_error(name, format!("is {axis}, but the rank is {rank}")))
    }

    /// Takes a condition on trust. Every run checks it, unless it holds for all sizes.
    pub(super) fn require(&self, condition: Condition, message: impl FnOnce() -> String) {
        if condition.decided() != Some(true) {
            let requirement = Requirement { condition, message: message() };
            self.requirements.borrow_mut().push(requirement);
        }
    }

    /// The size of two dimensions that must be equal; `what` names the purpose, as in `sizes 3 and 4
    /// cannot <what>`.
    pub(super) fn equal(&self, a: &Expr, b: &Expr, what: &str) -> Result<Expr> {
        let size = sizes::equal(a, b, what)?;
        // If one of the two is a number, it is the expected size.
        let (got, expected) = if a.as_const().is_some() { (b, a) } else { (a, b) };
        self.require(Condition::Equal(got.clone(), expected.clone()), || {
            format!("{got} must equal {expected} to {what}")
        });
        Ok(size)
    }

    /// Takes on trust that `size` is a multiple of `factor`.
    pub(super) fn require_multiple(&self, size: &Expr, factor: i64, what: &str) {
        let rest = size.modulo(&Expr::from(factor));
        self.require(Condition::Equal(rest, Expr::from(0)), || {
            format!("{size} must be a multiple of {factor}, {what}")
        });
    }

    /// Takes on trust that a dimension is broadcast to another: it is 1 or equal.
    pub(super) fn require_broadcast(&self, dim: &Expr, to: &Expr) {
        if dim == to || dim.is(1) || sizes::is_at_least_one(to, dim) {
            return;
        }
        let neither = (dim.clone() - Expr::from(1)) * (dim.clone() - to.clone());
        self.require(Condition::Equal(neither, Expr::from(0)), || format!("{dim} must be 1 or {to}"));
    }

    /// The size of two dimensions broadcast against each other.
    pub(super) fn broadcast_dim(&self, a: &Expr, b: &Expr) -> Result<Expr> {
        let size = sizes::broadcast_dim(a, b)?;
        self.require_broadcast(a, &size);
        self.require_broadcast(b, &size);
        Ok(size)
    }

    /// The dimensions of two tensors broadcast against each other, by numpy's rules.
    pub(super) fn broadcast(&self, a: &[Expr], b: &[Expr]) -> Result<Vec<Expr>> {
        let dims = sizes::broadcast(a, b)?;
        for operand in [a, b] {
            let skipped = dims.len() - operand.len();
            operand.iter().zip(&dims[skipped..]).for_each(|(dim, to)| self.require_broadcast(dim, to));
        }
        Ok(dims)
    }

    /// The string `name`, one of `allowed`; the first one if absent.
    pub(super) fn choice(&self, name: &str, allowed: &[&'static str]) -> Result<&'a str> {
        let value = self.attrs.str(name, allowed[0]);
        if allowed.contains(&value) {
            return Ok(value);
        }
        Err(self.attr_error(name, format!("is '{value}', but must be one of {}", allowed.join(", "))))
    }
}

/// A result of known dimensions and element type, without known elements.
pub(super) fn result(dtype: DType, dims: Vec<Expr>) -> Vec<Inferred> {
    vec![Inferred { ty: TensorType::new(dtype, dims), known: None }]
}
