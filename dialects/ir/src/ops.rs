//! The graph dialect's operators: names, and the inference of result types and known values.
//!
//! One file per family under `ops/`; [`infer`] dispatches on the mnemonic.

use crate::{
    attributes::Attrs,
    diagnostic::{Diagnostic, Result},
    expr::Expr,
    tensor::Tensor,
    types::TensorType,
};

/// What inference knows of an operand.
#[derive(Clone, Copy, Debug)]
pub struct Operand<'a> {
    /// Its type.
    pub ty: &'a TensorType,
    /// Its elements as symbolic integers, if known (rank 0 or 1, integers).
    pub known: Option<&'a [Expr]>,
    /// Its elements, if it is a constant.
    pub constant: Option<&'a Tensor>,
}

/// What inference finds out about a result.
#[derive(Clone, Debug, PartialEq)]
pub struct Inferred {
    /// Its type.
    pub ty: TensorType,
    /// Its elements as symbolic integers, if known.
    pub known: Option<Vec<Expr>>,
}

/// Types (and known values) of an operator's results.
///
/// # Errors
/// If the operator is unknown, or operands and attributes do not fit it.
pub fn infer(op: &str, _attrs: &Attrs, _operands: &[Option<Operand<'_>>]) -> Result<Vec<Inferred>> {
    Err(Diagnostic::unsupported(format!("operator 'graph.{op}' is unknown")))
}
