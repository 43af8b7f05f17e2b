//! Functions of slices along the last dimension: features and pairs of them.

use super::{expr, facts, int, list, permutation};
use crate::{
    expression::{Function, Value},
    facts::Classes,
};
use mlcc_ir::expr::Expr;

pub(super) static FUNCTIONS: &[Function] = &[
    Function {
        name: "half",
        arguments: "i",
        summary: "half of i, an even number that is known",
        run: |_, a| {
            let i = int(&a[0])?;
            (i % 2 == 0).then(|| Value::Int(Expr::from(i / 2)))
        },
    },
    Function {
        name: "starts-at",
        arguments: "x i",
        summary: "starts of a slice of x that leaves out the first i of the last dimension",
        run: |c, a| with_last(c, a, 0),
    },
    Function {
        name: "stepping",
        arguments: "x i",
        summary: "steps of a slice of x that takes every i-th of the last dimension",
        run: |c, a| with_last(c, a, 1),
    },
    Function {
        name: "narrowed",
        arguments: "x n",
        summary: "dimensions of x with n as the last one",
        run: |c, a| {
            let mut dims = facts(c, &a[0])?.ty.dims.clone();
            *dims.last_mut()? = expr(&a[1])?.clone();
            Some(Value::List(dims))
        },
    },
    Function {
        name: "keeps-order",
        arguments: "dims p",
        summary: "whether a transpose of a tensor of these dimensions moves no element: only dimensions of 1 move",
        run: |_, a| {
            let (dims, p) = (list(&a[0])?, permutation(&a[1])?);
            let kept: Vec<usize> = p.into_iter().filter(|&i| dims.get(i).is_some_and(|d| !d.is(1))).collect();
            Some(Value::Bool(kept.is_sorted()))
        },
    },
];

/// A number for each dimension of a tensor: the one given for the last, another one for the others.
fn with_last(classes: &Classes, arguments: &[Value], others: i64) -> Option<Value> {
    let mut all = vec![Expr::from(others); facts(classes, &arguments[0])?.ty.rank()];
    *all.last_mut()? = expr(&arguments[1])?.clone();
    Some(Value::List(all))
}
