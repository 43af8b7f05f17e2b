//! The functions of guards and attribute values, by subject.

mod features;
mod lists;
mod scalars;
mod tensors;

use super::{
    expression::{Function, Value},
    facts::{Classes, Facts},
};
use mlcc_ir::expr::Expr;

/// The function of that name.
pub(super) fn function(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().copied().flatten().find(|f| f.name == name)
}

fn facts<'a>(classes: &'a Classes, value: &Value) -> Option<&'a Facts> {
    match value {
        Value::Class(id) => Some(&classes[*id].data),
        _ => None,
    }
}

fn list(value: &Value) -> Option<&Vec<Expr>> {
    match value {
        Value::List(values) => Some(values),
        _ => None,
    }
}

fn int(value: &Value) -> Option<i64> {
    match value {
        Value::Int(value) => value.as_const(),
        _ => None,
    }
}

fn expr(value: &Value) -> Option<&Expr> {
    match value {
        Value::Int(value) => Some(value),
        _ => None,
    }
}

fn index(at: i64, len: usize) -> Option<usize> {
    usize::try_from(if at < 0 { at + len as i64 } else { at }).ok().filter(|&i| i < len)
}

fn permutation(value: &Value) -> Option<Vec<usize>> {
    list(value)?.iter().map(|e| usize::try_from(e.as_const()?).ok()).collect()
}

fn ints(values: impl IntoIterator<Item = usize>) -> Option<Value> {
    Some(Value::List(values.into_iter().map(|v| Expr::from(v as i64)).collect()))
}

/// Compares two numbers. Sizes that are not constant are comparable only if they are equal.
fn compare(a: &[Value], holds: fn(i64) -> bool) -> Option<Value> {
    let difference = expr(&a[0])?.clone() - expr(&a[1])?.clone();
    Some(Value::Bool(holds(difference.as_const()?)))
}

fn truth(value: &Value) -> bool {
    *value == Value::Bool(true)
}

/// Every function of guards and attribute values: of tensors, of their last dimension, of lists, of numbers.
pub static FUNCTIONS: &[&[Function]] =
    &[tensors::FUNCTIONS, features::FUNCTIONS, lists::FUNCTIONS, scalars::FUNCTIONS];
