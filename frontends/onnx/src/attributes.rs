//! Attributes of an ONNX node, with references to the attributes of an enclosing function resolved.

use crate::proto::{AttributeProto, GraphProto, TensorProto, attribute_kind as kind};
use mlcc_ir::diagnostic::{Diagnostic, Result};
use std::collections::BTreeMap;

/// Attributes by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attributes<'m>(BTreeMap<&'m str, &'m AttributeProto>);

impl<'m> Attributes<'m> {
    /// The attributes of a node inside `function`, which is empty outside of functions. If an
    /// attribute refers to one that the function's caller leaves out, it is absent.
    pub(crate) fn resolve(attributes: &'m [AttributeProto], function: &Attributes<'m>) -> Attributes<'m> {
        let mut resolved = BTreeMap::new();
        for attribute in attributes {
            if attribute.ref_attr_name.is_empty() {
                resolved.insert(attribute.name.as_str(), attribute);
            } else if let Some(given) = function.0.get(attribute.ref_attr_name.as_str()) {
                resolved.insert(attribute.name.as_str(), given);
            }
        }
        Attributes(resolved)
    }

    /// Adds the attributes of `defaults` that are absent.
    pub(crate) fn with_defaults(mut self, defaults: &'m [AttributeProto]) -> Attributes<'m> {
        for attribute in defaults {
            self.0.entry(attribute.name.as_str()).or_insert(attribute);
        }
        self
    }

    /// The attribute, if it is present and of this kind. Files of old exporters leave the kind out.
    fn of_kind(&self, name: &str, wanted: i32, what: &str) -> Result<Option<&'m AttributeProto>> {
        match self.0.get(name) {
            None => Ok(None),
            Some(a) if a.kind == wanted || a.kind == kind::UNDEFINED => Ok(Some(a)),
            Some(_) => Err(Diagnostic::user(format!("attribute '{name}' is not {what}"))
                .hint("the model is malformed; onnx.checker.check_model says where")),
        }
    }

    /// The integer `name`.
    pub(crate) fn int(&self, name: &str) -> Result<Option<i64>> {
        Ok(self.of_kind(name, kind::INT, "an integer")?.map(|a| a.i))
    }

    /// The number `name`.
    pub(crate) fn float(&self, name: &str) -> Result<Option<f64>> {
        Ok(self.of_kind(name, kind::FLOAT, "a number")?.map(|a| f64::from(a.f)))
    }

    /// The text `name`.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&'m str>> {
        match self.of_kind(name, kind::STRING, "a text")? {
            None => Ok(None),
            Some(a) => std::str::from_utf8(&a.s)
                .map(Some)
                .map_err(|_| Diagnostic::user(format!("attribute '{name}' is not UTF-8"))),
        }
    }

    /// The list of integers `name`.
    pub(crate) fn ints(&self, name: &str) -> Result<Option<&'m [i64]>> {
        Ok(self.of_kind(name, kind::INTS, "a list of integers")?.map(|a| a.ints.as_slice()))
    }

    /// The list of numbers `name`.
    pub(crate) fn floats(&self, name: &str) -> Result<Option<&'m [f32]>> {
        Ok(self.of_kind(name, kind::FLOATS, "a list of numbers")?.map(|a| a.floats.as_slice()))
    }

    /// The tensor `name`.
    pub(crate) fn tensor(&self, name: &str) -> Result<Option<&'m TensorProto>> {
        Ok(self.of_kind(name, kind::TENSOR, "a tensor")?.and_then(|a| a.t.as_ref()))
    }

    /// The graph `name`.
    pub(crate) fn graph(&self, name: &str) -> Result<Option<&'m GraphProto>> {
        Ok(self.of_kind(name, kind::GRAPH, "a graph")?.and_then(|a| a.g.as_ref()))
    }

    /// Whether the attribute `name` is present.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}
