//! Functions of numbers and truth values.

use super::{compare, expr, truth};
use crate::expression::{Function, Value};

pub(super) static FUNCTIONS: &[Function] = &[
    Function {
        name: "+",
        arguments: "i j",
        summary: "sum",
        run: |_, a| Some(Value::Int(expr(&a[0])?.clone() + expr(&a[1])?.clone())),
    },
    Function {
        name: "-",
        arguments: "i j",
        summary: "difference",
        run: |_, a| Some(Value::Int(expr(&a[0])?.clone() - expr(&a[1])?.clone())),
    },
    Function {
        name: "*",
        arguments: "i j",
        summary: "product",
        run: |_, a| Some(Value::Int(expr(&a[0])?.clone() * expr(&a[1])?.clone())),
    },
    Function {
        name: "=",
        arguments: "x y",
        summary: "whether x and y are equal",
        run: |_, a| Some(Value::Bool(a[0] == a[1])),
    },
    Function { name: "<", arguments: "i j", summary: "whether i is less", run: |_, a| compare(a, |d| d < 0) },
    Function {
        name: "<=",
        arguments: "i j",
        summary: "whether i is not greater",
        run: |_, a| compare(a, |d| d <= 0),
    },
    Function {
        name: "not",
        arguments: "x",
        summary: "whether x is false",
        run: |_, a| Some(Value::Bool(a[0] == Value::Bool(false))),
    },
    Function {
        name: "and",
        arguments: "x ..",
        summary: "whether all are true",
        run: |_, a| Some(Value::Bool(a.iter().all(truth))),
    },
    Function {
        name: "or",
        arguments: "x ..",
        summary: "whether one is true",
        run: |_, a| Some(Value::Bool(a.iter().any(truth))),
    },
];
