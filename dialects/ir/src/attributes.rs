//! Attributes of graph operators.

use crate::{Name, dtype::DType, expr::Expr, tensor::Tensor};
use std::collections::BTreeMap;

/// One attribute value.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Attr {
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Name),
    DType(DType),
    Ints(Vec<i64>),
    Floats(Vec<f64>),
    Strs(Vec<Name>),
    /// Symbolic integers: shapes, slice bounds.
    Exprs(Vec<Expr>),
    /// A small constant.
    Tensor(Tensor),
}

/// An operator's attributes by name, in alphabetical order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attrs(pub BTreeMap<Name, Attr>);

impl Attrs {
    /// No attributes.
    #[must_use]
    pub fn new() -> Attrs {
        Attrs::default()
    }

    /// These attributes and one more.
    #[must_use]
    pub fn with(mut self, name: &str, value: Attr) -> Attrs {
        self.0.insert(name.into(), value);
        self
    }

    /// The attribute `name`, if present.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Attr> {
        self.0.get(name)
    }

    /// The integer attribute `name`, or `default`.
    #[must_use]
    pub fn int(&self, name: &str, default: i64) -> i64 {
        match self.get(name) {
            Some(Attr::Int(v)) => *v,
            Some(Attr::Bool(v)) => i64::from(*v),
            _ => default,
        }
    }

    /// The flag `name`, or `default`.
    #[must_use]
    pub fn bool(&self, name: &str, default: bool) -> bool {
        match self.get(name) {
            Some(Attr::Bool(v)) => *v,
            Some(Attr::Int(v)) => *v != 0,
            _ => default,
        }
    }

    /// The float attribute `name`, or `default`.
    #[must_use]
    pub fn float(&self, name: &str, default: f64) -> f64 {
        match self.get(name) {
            Some(Attr::Float(v)) => *v,
            Some(Attr::Int(v)) => *v as f64,
            _ => default,
        }
    }

    /// The string attribute `name`, or `default`.
    #[must_use]
    pub fn str<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        match self.get(name) {
            Some(Attr::Str(v)) => v,
            _ => default,
        }
    }

    /// The integer list `name`, if present.
    #[must_use]
    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        match self.get(name) {
            Some(Attr::Ints(v)) => Some(v),
            _ => None,
        }
    }

    /// The float list `name`, if present.
    #[must_use]
    pub fn floats(&self, name: &str) -> Option<&[f64]> {
        match self.get(name) {
            Some(Attr::Floats(v)) => Some(v),
            _ => None,
        }
    }

    /// The list of symbolic integers `name`, if present. A list of integers is accepted too.
    #[must_use]
    pub fn exprs(&self, name: &str) -> Option<Vec<Expr>> {
        match self.get(name) {
            Some(Attr::Exprs(v)) => Some(v.clone()),
            Some(Attr::Ints(v)) => Some(v.iter().map(|&x| Expr::from(x)).collect()),
            _ => None,
        }
    }

    /// The element type `name`, if present.
    #[must_use]
    pub fn dtype(&self, name: &str) -> Option<DType> {
        match self.get(name) {
            Some(Attr::DType(v)) => Some(*v),
            _ => None,
        }
    }
}
