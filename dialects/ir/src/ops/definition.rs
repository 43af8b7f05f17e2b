//! Operators as data, shared by the TableGen dialect, the reference pages and [`super::infer`].

use super::{Inferred, call::Call};
use crate::{
    attributes::{Attr, Attrs},
    diagnostic::Result,
};

/// How many values stand at an operand's or result's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// Exactly one.
    One,
    /// One or none.
    Optional,
    /// One or more; only at the last place.
    Variadic,
}

/// An operand or a result of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperandDef {
    /// Name.
    pub name: &'static str,
    /// How many.
    pub arity: Arity,
}

/// Kind of an attribute's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum AttrKind {
    Bool,
    Int,
    Float,
    Str,
    DType,
    Ints,
    Floats,
    /// Symbolic integers. A list of integers is accepted too, and so is a single integer if one is due.
    Exprs,
}

/// An attribute of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttrDef {
    /// Name.
    pub name: &'static str,
    /// Kind.
    pub kind: AttrKind,
    /// Whether it must be there.
    pub required: bool,
}

/// A property that an operator has for all operands and attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpTrait {
    /// It sums products of elements: of matrices, of windows.
    Product,
    /// The result has the elements of the first operand in their order: nothing is computed, and no
    /// element need be moved.
    View,
    /// If the result has the type of the first operand, the result is that operand.
    IdentityByType,
}

pub(super) type InferFn = fn(&Call<'_>) -> Result<Vec<Inferred>>;

/// An operator of the graph dialect: a function of its operands and attributes alone.
#[derive(Clone, Copy, Debug)]
pub struct OpDef {
    /// Mnemonic: `graph.<name>`.
    pub name: &'static str,
    /// What it computes, in one line.
    pub summary: &'static str,
    /// Operands in order.
    pub operands: &'static [OperandDef],
    /// Results in order.
    pub results: &'static [OperandDef],
    /// Attributes.
    pub attributes: &'static [AttrDef],
    /// Traits.
    pub traits: &'static [OpTrait],
    pub(super) infer: InferFn,
}

impl AttrKind {
    /// Whether `value` is of this kind.
    #[must_use]
    pub fn accepts(self, value: &Attr) -> bool {
        match self {
            AttrKind::Bool => matches!(value, Attr::Bool(_)),
            AttrKind::Int => matches!(value, Attr::Int(_)),
            AttrKind::Float => matches!(value, Attr::Float(_) | Attr::Int(_)),
            AttrKind::Str => matches!(value, Attr::Str(_)),
            AttrKind::DType => matches!(value, Attr::DType(_)),
            AttrKind::Ints => matches!(value, Attr::Ints(_)),
            AttrKind::Floats => matches!(value, Attr::Floats(_)),
            AttrKind::Exprs => matches!(value, Attr::Exprs(_) | Attr::Ints(_) | Attr::Int(_)),
        }
    }
}

impl OpDef {
    /// Whether the operator has a trait.
    #[must_use]
    pub fn is(&self, what: OpTrait) -> bool {
        self.traits.contains(&what)
    }

    /// The attribute `name`.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&AttrDef> {
        self.attributes.iter().find(|a| a.name == name)
    }

    /// Name of operand `i`, for messages; places beyond the last one belong to a variadic operand.
    pub(super) fn operand_name(&self, i: usize) -> &'static str {
        self.operands.get(i).or(self.operands.last()).map_or("operand", |o| o.name)
    }

    /// The first attribute that is unknown or has the wrong kind; if there is none, the first one that
    /// is missing.
    pub(super) fn misfit(&self, attrs: &Attrs) -> Option<String> {
        for (name, value) in &attrs.0 {
            match self.attribute(name) {
                None => return Some(format!("'graph.{}' has no attribute '{name}'", self.name)),
                Some(a) if !a.kind.accepts(value) => {
                    return Some(format!("attribute '{name}' of 'graph.{}' must be {:?}", self.name, a.kind));
                }
                Some(_) => {}
            }
        }
        let missing = self.attributes.iter().find(|a| a.required && attrs.get(a.name).is_none())?;
        Some(format!("attribute '{}' of 'graph.{}' is missing", missing.name, self.name))
    }
}

pub(super) const fn one(name: &'static str) -> OperandDef {
    OperandDef { name, arity: Arity::One }
}

pub(super) const fn optional(name: &'static str) -> OperandDef {
    OperandDef { name, arity: Arity::Optional }
}

pub(super) const fn variadic(name: &'static str) -> OperandDef {
    OperandDef { name, arity: Arity::Variadic }
}

/// A required attribute.
pub(super) const fn attr(name: &'static str, kind: AttrKind) -> AttrDef {
    AttrDef { name, kind, required: true }
}

/// An attribute with a default.
pub(super) const fn opt(name: &'static str, kind: AttrKind) -> AttrDef {
    AttrDef { name, kind, required: false }
}

/// The one result of most operators.
pub(super) const Y: &[OperandDef] = &[one("y")];
/// The one operand of many operators.
pub(super) const X: &[OperandDef] = &[one("x")];
/// No attributes.
pub(super) const NONE: &[AttrDef] = &[];
/// No traits.
pub(super) const PLAIN: &[OpTrait] = &[];
