//! Functions of known facts about tensors.

use super::{expr, facts, index, int, list};
use crate::{
    expression::{Function, Value},
    numbers::is_number,
};
use mlcc_ir::{expr::Expr, ops};

pub(super) static FUNCTIONS: &[Function] = &[
    Function {
        name: "dims",
        arguments: "x",
        summary: "dimensions of x",
        run: |c, a| Some(Value::List(facts(c, &a[0])?.ty.dims.clone())),
    },
    Function {
        name: "dim",
        arguments: "x i",
        summary: "dimension i of x; from the end if negative",
        run: |c, a| {
            let dims = &facts(c, &a[0])?.ty.dims;
            Some(Value::Int(dims[index(int(&a[1])?, dims.len())?].clone()))
        },
    },
    Function {
        name: "rank",
        arguments: "x",
        summary: "number of dimensions of x",
        run: |c, a| Some(Value::Int(Expr::from(facts(c, &a[0])?.ty.rank() as i64))),
    },
    Function {
        name: "elements",
        arguments: "x",
        summary: "number of elements of x",
        run: |c, a| Some(Value::Int(facts(c, &a[0])?.ty.elements())),
    },
    Function {
        name: "same-type",
        arguments: "x y",
        summary: "whether x and y have the same element type and dimensions",
        run: |c, a| Some(Value::Bool(facts(c, &a[0])?.ty == facts(c, &a[1])?.ty)),
    },
    Function {
        name: "broadcasts-to",
        arguments: "x dims",
        summary: "whether x broadcast against dims has these dimensions",
        run: |c, a| {
            let dims = list(&a[1])?;
            let broadcast = ops::broadcast(&facts(c, &a[0])?.ty.dims, dims).ok()?;
            Some(Value::Bool(broadcast == *dims))
        },
    },
    Function {
        name: "scalar",
        arguments: "x",
        summary: "whether x has one element and at most as many dimensions as leave a broadcast unchanged",
        run: |c, a| {
            let ty = &facts(c, &a[0])?.ty;
            Some(Value::Bool(ty.dims.iter().all(|d| d.is(1))))
        },
    },
    Function {
        name: "weight",
        arguments: "x",
        summary: "whether x is known when the model is compiled",
        run: |c, a| Some(Value::Bool(facts(c, &a[0])?.weight)),
    },
    Function {
        name: "float",
        arguments: "x",
        summary: "whether x has floating-point elements",
        run: |c, a| Some(Value::Bool(facts(c, &a[0])?.ty.dtype.is_float())),
    },
    Function {
        name: "positive",
        arguments: "x",
        summary: "whether all elements of x are one known positive number",
        run: |c, a| Some(Value::Bool(facts(c, &a[0])?.uniform.is_some_and(|v| v > 0.0 && v.is_finite()))),
    },
    Function {
        name: "power-of-two",
        arguments: "x",
        summary: "whether all elements of x are one known power of two, so that its reciprocal is exact",
        run: |c, a| {
            let exact =
                |v: f64| v.is_normal() && v.abs().log2().fract() == 0.0 && v.abs().log2().abs() < 100.0;
            Some(Value::Bool(facts(c, &a[0])?.uniform.is_some_and(exact)))
        },
    },
    Function {
        name: "at-most",
        arguments: "x y",
        summary: "whether x and y are each one known number and that of x is not greater; -0 is less than 0",
        run: |c, a| {
            let (x, y) = (facts(c, &a[0])?.uniform?, facts(c, &a[1])?.uniform?);
            Some(Value::Bool(x < y || x == y && (x.is_sign_negative() || y.is_sign_positive())))
        },
    },
    Function {
        name: "constant-along",
        arguments: "x i",
        summary: "whether x, broadcast, is the same all along dimension i, which is negative: counted from the end",
        run: |c, a| {
            let dims = &facts(c, &a[0])?.ty.dims;
            let along = usize::try_from(-int(&a[1])?).ok().filter(|&i| i > 0)?;
            Some(Value::Bool(dims.len().checked_sub(along).is_none_or(|i| dims[i].is(1))))
        },
    },
    Function {
        name: "uncut",
        arguments: "x starts sizes steps",
        summary: "whether a slice of x expanded cuts nothing of x: it takes all of each dimension that is not 1",
        run: |c, a| {
            let dims = &facts(c, &a[0])?.ty.dims;
            let (starts, sizes, steps) = (list(&a[1])?, list(&a[2])?, list(&a[3])?);
            let before = sizes.len().checked_sub(dims.len())?;
            let whole = |(i, d): (usize, &Expr)| {
                let at = before + i;
                d.is(1)
                    || sizes[at] == *d
                        && starts.get(at).is_some_and(|s| s.is(0))
                        && steps.get(at).is_some_and(|s| s.is(1))
            };
            Some(Value::Bool(dims.iter().enumerate().all(whole)))
        },
    },
    Function {
        name: "not-negative",
        arguments: "x",
        summary: "whether it is known that no element of x is less than 0; -0 is not",
        run: |c, a| Some(Value::Bool(facts(c, &a[0])?.properties.not_negative)),
    },
    Function {
        name: "unsigned",
        arguments: "x",
        summary: "whether it is known that no element of x is less than 0 and none is -0",
        run: |c, a| Some(Value::Bool(facts(c, &a[0])?.properties.unsigned)),
    },
    Function {
        name: "integral",
        arguments: "x",
        summary: "whether it is known that all elements of x are integers or infinite",
        run: |c, a| Some(Value::Bool(facts(c, &a[0])?.properties.integral)),
    },
    Function {
        name: "well-typed",
        arguments: "",
        summary: "both sides have the same type; always checked, and stated where no other condition says so",
        run: |_, _| Some(Value::Bool(true)),
    },
    Function {
        name: "finite",
        arguments: "x",
        summary: "whether all elements of x are one known finite number",
        run: |c, a| Some(Value::Bool(facts(c, &a[0])?.uniform.is_some_and(f64::is_finite))),
    },
    Function {
        name: "value",
        arguments: "x",
        summary: "the one number that all elements of x are",
        run: |c, a| Some(Value::Float(facts(c, &a[0])?.uniform?)),
    },
    Function {
        name: "is",
        arguments: "x i",
        summary: "whether all elements of x are the number i",
        run: |c, a| {
            let wanted = int(&a[1])? as f64;
            Some(Value::Bool(facts(c, &a[0])?.uniform == Some(wanted)))
        },
    },
    Function {
        name: "is-inverse",
        arguments: "x i",
        summary: "whether all elements of x are 1 / i, as exactly as their type can say",
        run: |c, a| {
            let (facts, count) = (facts(c, &a[0])?, int(&a[1])?);
            Some(Value::Bool(count > 0 && is_number(facts.uniform?, 1.0 / count as f64, facts.ty.dtype)))
        },
    },
    Function {
        name: "last-axes",
        arguments: "axes n",
        summary: "whether a list of axes is that of the last ones of n, in ascending order",
        run: |_, a| {
            let (axes, n) = (list(&a[0])?, int(&a[1])?);
            let first = n - axes.len() as i64;
            let last = !axes.is_empty() && axes.iter().zip(first..).all(|(a, i)| a.is(i));
            Some(Value::Bool(last))
        },
    },
    Function {
        name: "index",
        arguments: "x",
        summary: "the only element of x, an integer that is known",
        run: |c, a| match &facts(c, &a[0])?.known.as_deref()? {
            [only] => Some(Value::Int(only.clone())),
            _ => None,
        },
    },
    Function {
        name: "channels",
        arguments: "x rank count",
        summary: "whether x, broadcast against a tensor of that rank, is a number for each of its channels (dimension 1)",
        run: |c, a| {
            let (dims, rank, count) =
                (&facts(c, &a[0])?.ty.dims, usize::try_from(int(&a[1])?).ok()?, expr(&a[2])?);
            let channel = (dims.len() + 1).checked_sub(rank)?;
            let fits = dims.len() <= rank
                && dims.iter().enumerate().all(|(i, d)| if i == channel { d == count } else { d.is(1) });
            Some(Value::Bool(fits))
        },
    },
];
