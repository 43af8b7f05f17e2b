//! Building a rule's right side in the e-graph.

use super::{
    facts::{self, Classes},
    matching::Match,
    rule::{Binding, Bindings, Pattern},
    term::{Head, Term, special},
};
use egg::Id;
use mlcc_ir::{
    attributes::Attrs,
    dtype::DType,
    tensor::{Element, Tensor, push_element},
};

/// The class of a rule's right side, with the operands of the outermost sum or product that the match left
/// out. `None` if it is ill-typed here. `root` is the class that was matched.
pub fn replacement(
    classes: &mut Classes,
    right: &Pattern,
    matched: &Match,
    root: Id,
    op: &str,
) -> Option<Id> {
    let dtype = classes[root].data.ty.dtype;
    let mut bindings = matched.bindings.clone();
    let id = build(classes, right, &mut bindings, dtype)?;
    if matched.rest.is_empty() {
        return Some(id);
    }
    let mut operands = matched.rest.clone();
    operands.push(id);
    n_ary(classes, op, operands)
}

/// A sum or product; with one operand it is that operand.
pub fn n_ary(classes: &mut Classes, op: &str, operands: Vec<Id>) -> Option<Id> {
    match operands[..] {
        [] => None,
        [only] => Some(only),
        _ => facts::add(classes, Term::new(Head::new(op, Attrs::new(), u64::MAX), operands)),
    }
}

fn build(classes: &mut Classes, pattern: &Pattern, bindings: &mut Bindings, dtype: DType) -> Option<Id> {
    match pattern {
        Pattern::Variable(name) => bindings.class(name),
        Pattern::Number(value) => scalar(classes, dtype, *value),
        Pattern::Absent | Pattern::Each { .. } => None,
        Pattern::Apply { op, attrs, others, operands, tail } => {
            let mut places: Vec<Option<Id>> = Vec::with_capacity(operands.len());
            for operand in operands {
                match operand {
                    Pattern::Absent => places.push(None),
                    Pattern::Each { list, body } => {
                        let Some(Binding::Classes(items)) = bindings.get(list).cloned() else { return None };
                        for item in items {
                            bindings.set(&"it".into(), Binding::Class(item));
                            places.push(Some(build(classes, body, bindings, dtype)?));
                        }
                    }
                    operand => places.push(Some(build(classes, operand, bindings, dtype)?)),
                }
            }
            if let Some(list) = tail {
                let Some(Binding::Classes(items)) = bindings.get(list) else { return None };
                places.extend(items.iter().copied().map(Some));
            }
            if matches!(&**op, special::SUM | special::PRODUCT) {
                return n_ary(classes, op, places.into_iter().collect::<Option<_>>()?);
            }
            let mut all = match others {
                Some(variable) => match bindings.get(variable)? {
                    Binding::Attrs(attrs) => attrs.clone(),
                    _ => return None,
                },
                None => Attrs::new(),
            };
            for (name, expression) in attrs {
                all = all.with(name, expression.evaluate(classes, bindings)?.attribute()?);
            }
            facts::apply(classes, op, all, &places)
        }
    }
}

/// A constant without dimensions.
fn scalar(classes: &mut Classes, dtype: DType, value: f64) -> Option<Id> {
    let element = if dtype.is_float() { Element::Float(value) } else { Element::Int(value as i64) };
    let mut data = Vec::new();
    push_element(dtype, &mut data, element);
    facts::add_constant(classes, Tensor::new(dtype, Vec::new(), data.into())?)
}
