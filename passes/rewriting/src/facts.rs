//! Facts about each class of equal terms: types, constants, whether it depends on weights only.

use super::{
    attributes::canonical,
    properties::{self, Properties},
    term::{Head, Term, special},
};
use egg::{Analysis, DidMerge, EGraph, Id};
use mlcc_ir::{
    attributes::Attr,
    expr::Expr,
    ops::{self, Operand},
    tensor::Tensor,
    types::TensorType,
};
use std::sync::Arc;

/// The e-graph of a block.
pub type Classes = EGraph<Term, Known>;

/// A value from outside of a block.
#[derive(Clone, Debug, PartialEq)]
pub struct Leaf {
    /// Its type.
    pub ty: TensorType,
    /// Its elements, if inference knows them.
    pub known: Option<Vec<Expr>>,
    /// Whether its value is available when the model is compiled.
    pub weight: bool,
    /// The one value that all of its elements have.
    pub uniform: Option<f64>,
}

/// The analysis: the leaves that terms refer to, and errors.
#[derive(Debug, Default)]
pub struct Known {
    /// By index.
    pub leaves: Vec<Leaf>,
    /// Terms added since this list was last taken.
    pub born: Vec<Term>,
    /// Classes merged though their types differ; empty unless a rule or the engine is wrong.
    pub conflicts: Vec<String>,
}

/// Facts of a class.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The type.
    pub ty: TensorType,
    /// Elements, if inference knows them.
    pub known: Option<Vec<Expr>>,
    /// The elements, if it is a small constant.
    pub constant: Option<Tensor>,
    /// The one value that all elements have.
    pub uniform: Option<f64>,
    /// Whether it can be computed when the model is compiled.
    pub weight: bool,
    /// Properties common to all elements.
    pub properties: Properties,
}

/// The facts of a term; `None` if it is ill-typed.
#[must_use]
pub(super) fn infer(classes: &Classes, term: &Term) -> Option<Facts> {
    let facts = |id: &Id| &classes[*id].data;
    let operands: Vec<&Facts> = term.operands.iter().map(facts).collect();
    let weight = operands.iter().all(|f| f.weight);
    let head = &*term.head;
    let only = |ty: TensorType| Facts {
        properties: properties::infer(head, &term.operands, &operands, ty.dtype),
        ty,
        known: None,
        constant: None,
        uniform: None,
        weight,
    };
    match &*head.op {
        special::LEAF => {
            let leaf = classes.analysis.leaves.get(usize::try_from(head.attrs.int("index", -1)).ok()?)?;
            let known = leaf.known.clone();
            let of_type = Properties::of_type(leaf.ty.dtype);
            let properties = leaf.uniform.map_or(of_type, Properties::of_value);
            Some(Facts {
                known,
                uniform: leaf.uniform,
                weight: leaf.weight,
                properties,
                ..only(leaf.ty.clone())
            })
        }
        special::CONSTANT => {
            let Some(Attr::Tensor(tensor)) = head.attrs.get("value") else { return None };
            let known = mlcc_ir::graph::known_elements(tensor);
            let (uniform, constant) = (uniform(tensor), Some(tensor.clone()));
            let properties = Properties::of_tensor(tensor);
            Some(Facts { known, constant, uniform, weight: true, properties, ..only(tensor.ty()) })
        }
        special::SUM | special::PRODUCT => {
            let (first, rest) = operands.split_first()?;
            let mut dims = first.ty.dims.clone();
            for operand in rest {
                if operand.ty.dtype != first.ty.dtype {
                    return None;
                }
                dims = ops::broadcast(&dims, &operand.ty.dims).ok()?;
            }
            Some(only(TensorType::new(first.ty.dtype, dims)))
        }
        op => {
            let views: Vec<Operand<'_>> = operands
                .iter()
                .map(|f| Operand { ty: &f.ty, known: f.known.as_deref(), constant: f.constant.as_ref() })
                .collect();
            // An operator with several results is a term only if its first result alone is used.
            let first = ops::infer(op, &head.attrs, &head.places(&views)).ok()?.into_iter().next()?;
            Some(Facts { known: first.known, ..only(first.ty) })
        }
    }
}

/// The value that all elements of a tensor of floats have. NaN is not equal to itself, so facts with it would
/// never settle.
#[must_use]
pub(super) fn uniform(tensor: &Tensor) -> Option<f64> {
    if tensor.elements() == 0 || !tensor.dtype.is_float() {
        return None;
    }
    let size = tensor.dtype.size();
    let first = &tensor.data[..size];
    tensor.data.chunks_exact(size).all(|c| c == first).then(|| tensor.get(0).to_f64()).filter(|v| !v.is_nan())
}

impl Analysis<Term> for Known {
    type Data = Facts;

    fn make(classes: &mut Classes, term: &Term, _: Id) -> Facts {
        // Terms are inferred before they are added (`add`), so this cannot fail.
        infer(classes, term).unwrap_or_else(|| Facts {
            ty: TensorType::of(mlcc_ir::dtype::DType::Bool, &[]),
            known: None,
            constant: None,
            uniform: None,
            weight: false,
            properties: Properties::default(),
        })
    }

    fn merge(&mut self, to: &mut Facts, from: Facts) -> DidMerge {
        if to.ty != from.ty {
            self.conflicts.push(format!("{} and {}", to.ty, from.ty));
        }
        let before = to.clone();
        to.known = to.known.take().or_else(|| from.known.clone());
        to.constant = to.constant.take().or_else(|| from.constant.clone());
        to.uniform = to.uniform.or(from.uniform);
        to.weight |= from.weight;
        to.properties = to.properties.or(from.properties);
        DidMerge(*to != before, *to != from)
    }
}

/// Adds a term if it is well typed.
pub fn add(classes: &mut Classes, term: Term) -> Option<Id> {
    if let Some(id) = classes.lookup(term.clone()) {
        return Some(id);
    }
    infer(classes, &term)?;
    classes.analysis.born.push(term.clone());
    Some(classes.add(term))
}

/// Adds an operator on classes; attributes are brought into canonical form. `None` if ill-typed.
pub fn apply(
    classes: &mut Classes,
    op: &str,
    attrs: mlcc_ir::attributes::Attrs,
    operands: &[Option<Id>],
) -> Option<Id> {
    let rank = operands.first().copied().flatten().map_or(0, |o| classes[o].data.ty.rank());
    let mut present = u64::MAX;
    if operands.iter().any(Option::is_none) || ops::definition(op).is_some_and(has_optional) {
        present = operands.iter().enumerate().filter(|(_, o)| o.is_some()).fold(0, |p, (i, _)| p | 1 << i);
    }
    let head: Arc<Head> = Head::new(op, canonical(op, attrs, rank), present);
    add(classes, Term::new(head, operands.iter().copied().flatten().collect()))
}

fn has_optional(def: &ops::OpDef) -> bool {
    def.operands.iter().any(|o| o.arity == ops::Arity::Optional)
}

/// Adds a constant.
pub fn add_constant(classes: &mut Classes, tensor: Tensor) -> Option<Id> {
    let attrs = mlcc_ir::attributes::Attrs::new().with("value", Attr::Tensor(tensor));
    add(classes, Term::new(Head::new(special::CONSTANT, attrs, u64::MAX), Vec::new()))
}
