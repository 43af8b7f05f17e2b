//! The operators of ONNX's main domain that mlcc imports, in one ordered list of families.

use crate::{call::Call, ops, proto::NodeProto};
use mlcc_ir::{
    attributes::{Attr, Attrs},
    diagnostic::{Diagnostic, Result},
    graph::ValueId,
};
use std::{collections::BTreeMap, sync::LazyLock};

/// The oldest version of ONNX's operators that mlcc reads.
pub const OLDEST_OPSET: i64 = 7;
/// The newest version of ONNX's operators that mlcc reads: that of onnx 1.23.2.
pub const NEWEST_OPSET: i64 = 28;

/// The rule by which an ONNX operator becomes graph operators.
pub(crate) struct Operator {
    /// `op_type` of its nodes.
    pub(crate) name: &'static str,
    /// The version of the operator set that introduced it.
    pub(crate) since: i64,
    /// The action of the import.
    pub(crate) import: Import,
}

/// The way in which one operator is imported.
#[derive(Clone, Copy)]
pub(crate) enum Import {
    /// The elementwise operator with this mnemonic: one operand, no attributes.
    Unary(&'static str),
    /// As [`Import::Unary`], with float attributes and their default values.
    Floats(&'static str, &'static [(&'static str, f32)]),
    /// The broadcasting elementwise operator with this mnemonic.
    Binary(&'static str),
    /// A branch. The walk over the model chooses it.
    Branch,
    /// Everything else.
    Function(fn(&mut Call<'_, '_>) -> Result<Vec<ValueId>>),
    /// Not imported, for this reason.
    Unsupported(&'static str),
}

impl Operator {
    /// An entry of a family's list.
    pub(crate) const fn new(name: &'static str, since: i64, import: Import) -> Operator {
        Operator { name, since, import }
    }

    /// Adds the operators of one node; returns its results.
    pub(crate) fn import(&self, call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
        match self.import {
            Import::Unary(op) => {
                let x = call.input(0)?;
                Ok(vec![call.unary(op, x)?])
            }
            Import::Floats(op, defaults) => {
                let x = call.input(0)?;
                let mut attrs = Attrs::new();
                for &(name, default) in defaults {
                    attrs = attrs.with(name, Attr::Float(call.float(name, default)?));
                }
                Ok(vec![call.op(op, attrs, &[x])?])
            }
            Import::Binary(op) => {
                let (a, b) = (call.input(0)?, call.input(1)?);
                Ok(vec![call.binary(op, a, b)?])
            }
            Import::Function(import) => import(call),
            Import::Branch => Err(Diagnostic::internal("a branch is not imported as an operator")),
            Import::Unsupported(reason) => Err(unsupported(self.name, reason)),
        }
    }
}

fn unsupported(name: &str, reason: &str) -> Diagnostic {
    Diagnostic::unsupported(format!("operator '{name}' is not supported: {reason}"))
        .hint("export the model without it, or replace it by other operators")
}

static OPERATORS: LazyLock<BTreeMap<&'static str, &'static Operator>> =
    LazyLock::new(|| ops::FAMILIES.iter().flat_map(|family| family.iter()).map(|o| (o.name, o)).collect());

/// Names of the operators that mlcc imports, in alphabetical order.
#[must_use]
pub fn supported_operators() -> Vec<&'static str> {
    let supported = |o: &&&Operator| !matches!(o.import, Import::Unsupported(_));
    OPERATORS.values().filter(supported).map(|o| o.name).collect()
}

/// The operator of a node, and the version of the operator set that the node uses.
///
/// # Errors
/// If the operator is unknown, unsupported, or newer than the operator set.
pub(crate) fn find(node: &NodeProto, opset: Option<i64>) -> Result<(&'static Operator, i64)> {
    let name = node.op_type.as_str();
    if !matches!(node.domain.as_str(), "" | "ai.onnx") {
        return Err(Diagnostic::unsupported(format!(
            "operator '{name}' of the domain '{}' is not supported",
            node.domain
        ))
        .hint("mlcc imports the operators of the domain 'ai.onnx' and functions that the model defines"));
    }
    let opset = opset.ok_or_else(|| {
        Diagnostic::user("the model does not say which version of ONNX's operators it uses")
            .hint("the model is malformed: it needs an opset_import for the domain ''")
    })?;
    let operator = OPERATORS.get(name).ok_or_else(|| {
        Diagnostic::unsupported(format!("operator '{name}' is not supported"))
            .hint("if it is an operator of another domain, the node must say which")
    })?;
    if let Import::Unsupported(reason) = operator.import {
        return Err(unsupported(name, reason));
    }
    if !(OLDEST_OPSET..=NEWEST_OPSET).contains(&opset) {
        return Err(Diagnostic::unsupported(format!("opset {opset} is not supported"))
            .hint(format!("mlcc reads opsets {OLDEST_OPSET} to {NEWEST_OPSET}")));
    }
    if opset < operator.since {
        return Err(Diagnostic::user(format!(
            "operator '{name}' exists since opset {}, but the model uses opset {opset}",
            operator.since
        ))
        .hint("the model is malformed; onnx.checker.check_model says more"));
    }
    Ok((operator, opset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_sorted_and_disjoint() {
        for family in ops::FAMILIES {
            assert!(family.is_sorted_by_key(|o| o.name), "{}", family[0].name);
        }
        let count: usize = ops::FAMILIES.iter().map(|f| f.len()).sum();
        assert_eq!(OPERATORS.len(), count, "an operator is listed twice");
        assert!(OPERATORS.values().all(|o| (1..=NEWEST_OPSET).contains(&o.since)));
    }

    #[test]
    fn supported_operators_leave_out_the_others() {
        let names = supported_operators();
        assert!(names.contains(&"Conv") && names.contains(&"If"));
        assert!(!names.contains(&"LSTM") && !names.contains(&"StringConcat"));
    }
}
