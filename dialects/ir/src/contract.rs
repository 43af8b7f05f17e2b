//! Conditions that must hold where a level ends. A violation is a bug in mlcc; its message names the
//! pass that should have established the condition.

mod graph;
mod nest;
mod program;

use crate::{
    diagnostic::{Diagnostic, Result},
    dtype::DType,
    expr::{Atom, Expr},
    origin::Origin,
    scalar::{Body, Inst},
    types::TensorType,
};
use std::ops::Deref;

pub use graph::check_types;

/// IR of a level with conditions that must hold.
pub trait Contract {
    /// Checks the conditions; `after` names the last pass that ran.
    ///
    /// # Errors
    /// With the first violation.
    fn check(&self, after: &str) -> Result<()>;
}

/// IR that fulfilled its contract when it was checked and has not changed since.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified<T>(T);

impl<T: Contract> Verified<T> {
    /// Checks a value that `after` made.
    ///
    /// # Errors
    /// With the first violation.
    pub fn new(value: T, after: &str) -> Result<Verified<T>> {
        value.check(after)?;
        Ok(Verified(value))
    }

    /// Changes the value by a pass that is called `after`, and checks it again.
    ///
    /// # Errors
    /// Those of the change, and the first violation.
    pub fn change<R>(
        self,
        after: &str,
        change: impl FnOnce(&mut T) -> Result<R>,
    ) -> Result<(Verified<T>, R)> {
        let mut value = self.0;
        let result = change(&mut value)?;
        Ok((Verified::new(value, after)?, result))
    }

    /// The IR, to change it unchecked.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// A default must be a value of the input's type.
fn check_defaults(origin: &Origin, inputs: &[&TensorType], after: &str) -> Result<()> {
    for (input, value) in &origin.defaults {
        let fits = |ty: &&&TensorType| {
            let sizes = ty.dims.iter().zip(&value.dims);
            ty.dtype == value.dtype
                && ty.rank() == value.dims.len()
                && sizes.into_iter().all(|(dim, size)| dim.as_const().is_none_or(|dim| dim == *size))
        };
        if inputs.get(*input).filter(fits).is_none() {
            return Err(broken(after, format!("the default of input {input} is no value of it")));
        }
    }
    Ok(())
}

/// The defect of a body, if it has one. `tensor` gives the rank and the type of a tensor that the
/// body may read.
fn bad_body(
    body: &Body,
    tensor: &dyn Fn(usize) -> Option<(usize, DType)>,
    known: &dyn Fn(&Expr) -> bool,
) -> Option<String> {
    for (at, (inst, dtype)) in body.insts.iter().enumerate() {
        let earlier = |ids: &[u32]| ids.iter().all(|&v| (v as usize) < at);
        let index_ok =
            |e: &Expr| known(e) && !e.any_atom(&mut |a| matches!(a, Atom::Value(v) if *v as usize >= at));
        let fine = match inst {
            Inst::Const(_) => true,
            Inst::Index(e) => index_ok(e),
            Inst::Read { tensor: from, index, .. } => {
                if tensor(*from) != Some((index.len(), *dtype)) {
                    return Some(format!("reads tensor {from} as {dtype} with {} indices", index.len()));
                }
                index.iter().all(index_ok)
            }
            Inst::Unary(_, a) | Inst::Cast(a) => earlier(&[*a]),
            Inst::Binary(_, a, b) | Inst::Compare(_, a, b) => earlier(&[*a, *b]),
            Inst::Select(c, a, b) => earlier(&[*c, *a, *b]),
        };
        if !fine {
            return Some(format!("uses in instruction {at} what is not defined there"));
        }
    }
    (body.result as usize >= body.insts.len()).then(|| "has no result".into())
}

fn broken(after: &str, what: String) -> Diagnostic {
    Diagnostic::internal(format!("{what} (after {after})"))
}
