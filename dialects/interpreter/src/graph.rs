//! The reference interpreter of the graph level.

use mlcc_ir::{attributes::Attrs, diagnostic::{Diagnostic, Result}, tensor::Tensor, types::TensorType};

/// Evaluates one operator.
///
/// # Errors
/// If the operator is unknown.
pub fn evaluate(op: &str, _: &Attrs, _: &[Option<Tensor>], _: &[TensorType]) -> Result<Vec<Tensor>> {
    Err(Diagnostic::unsupported(format!("operator 'graph.{op}' is unknown")))
}
