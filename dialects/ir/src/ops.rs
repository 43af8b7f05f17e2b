//! The graph dialect's operators: their definitions, and the inference of result types and known
//! values.
//!
//! One file per family under `ops/`. A family lists its [`OpDef`]s, each with its inference function, so
//! that the list of operators and the list of inferable operators cannot differ. [`infer`] first checks
//! operands and attributes against the definition; a family's function checks the rest: ranks, axes,
//! element types, sizes.

mod call;
mod contraction;
mod convolution;
mod definition;
mod elementwise;
mod generators;
mod indexing;
mod known;
mod movement;
mod normalisation;
mod pooling;
mod quantisation;
mod reduction;
mod resampling;
mod rotary;
mod sizes;

pub use contraction::Einsum;
pub use definition::{Arity, AttrDef, AttrKind, OpDef, OpTrait, OperandDef};
pub use sizes::{broadcast, broadcast_dim};

use crate::{
    attributes::Attrs,
    diagnostic::{Diagnostic, Result},
    expr::Expr,
    graph::{Graph, ValueId},
    requirement::Requirement,
    tensor::Tensor,
    types::TensorType,
};
use call::Call;
use std::{cell::RefCell, sync::LazyLock};

/// The knowledge that inference has of an operand.
#[derive(Clone, Copy, Debug)]
pub struct Operand<'a> {
    /// Its type.
    pub ty: &'a TensorType,
    /// Its elements as symbolic integers, if known (rank 0 or 1, integers; `Bool` as 0 and 1).
    pub known: Option<&'a [Expr]>,
    /// Its elements, if it is a constant.
    pub constant: Option<&'a Tensor>,
}

impl<'a> Operand<'a> {
    /// The knowledge that inference has of a value of a graph.
    #[must_use]
    pub fn of(graph: &'a Graph, id: ValueId) -> Operand<'a> {
        let value = graph.value(id);
        Operand { ty: &value.ty, known: value.known.as_deref(), constant: graph.constant(id) }
    }
}

/// The findings of inference about a result.
#[derive(Clone, Debug, PartialEq)]
pub struct Inferred {
    /// Its type.
    pub ty: TensorType,
    /// Its elements as symbolic integers, if known.
    pub known: Option<Vec<Expr>>,
}

static DEFINITIONS: LazyLock<Vec<OpDef>> = LazyLock::new(|| {
    let mut definitions = Vec::new();
    elementwise::define(&mut definitions);
    contraction::define(&mut definitions);
    convolution::define(&mut definitions);
    pooling::define(&mut definitions);
    reduction::define(&mut definitions);
    normalisation::define(&mut definitions);
    rotary::define(&mut definitions);
    movement::define(&mut definitions);
    resampling::define(&mut definitions);
    indexing::define(&mut definitions);
    generators::define(&mut definitions);
    quantisation::define(&mut definitions);
    definitions.sort_by_key(|d| d.name);
    definitions
});

/// Every operator of the graph dialect that has no regions, sorted by name.
#[must_use]
pub fn definitions() -> &'static [OpDef] {
    &DEFINITIONS
}

/// The operator `name`.
#[must_use]
pub fn definition(name: &str) -> Option<&'static OpDef> {
    let all = definitions();
    all.binary_search_by_key(&name, |d| d.name).ok().map(|at| &all[at])
}

/// Whether the operator `name` has a trait; `false` if the dialect has no such operator.
#[must_use]
pub fn is(name: &str, what: OpTrait) -> bool {
    definition(name).is_some_and(|def| def.is(what))
}

/// Types (and known values) of an operator's results, optional ones included: a node that has fewer
/// results takes the first ones.
///
/// # Errors
/// If the operator is unknown, or operands and attributes do not fit it.
pub fn infer(op: &str, attrs: &Attrs, operands: &[Option<Operand<'_>>]) -> Result<Vec<Inferred>> {
    let (mut results, _) = infer_by_definition(op, attrs, operands)?;
    for result in &mut results {
        sizes::check_dims(&result.ty)?;
        let fits = result.ty.rank() <= 1
            && !result.ty.dtype.is_float()
            && result.known.as_ref().is_some_and(|known| result.ty.elements().is(known.len() as i64));
        if !fits {
            result.known = None;
        }
    }
    Ok(results)
}

/// The assumptions of [`infer`] about symbolic sizes: the operator is right only if all of them hold. The
/// messages do not name the node, because inference does not know it.
///
/// # Errors
/// As [`infer`].
pub fn requirements(op: &str, attrs: &Attrs, operands: &[Option<Operand<'_>>]) -> Result<Vec<Requirement>> {
    infer_by_definition(op, attrs, operands).map(|(_, requirements)| requirements)
}

fn infer_by_definition(
    op: &str,
    attrs: &Attrs,
    operands: &[Option<Operand<'_>>],
) -> Result<(Vec<Inferred>, Vec<Requirement>)> {
    let Some(def) = definition(op) else {
        return Err(Diagnostic::unsupported(format!("operator 'graph.{op}' is unknown")));
    };
    let call = Call { def, attrs, operands, requirements: RefCell::default() };
    call.check()?;
    let results = (def.infer)(&call)?;
    Ok((results, call.requirements.into_inner()))
}

#[cfg(test)]
mod tests;
