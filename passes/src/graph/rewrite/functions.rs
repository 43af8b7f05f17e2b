//! The functions of guards and attribute values.

use super::{
    expression::{Function, Value},
    facts::{Classes, Facts},
    numbers::is_number,
};
use mlcc_ir::{expr::Expr, ops};

/// The function of that name.
pub(super) fn function(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|f| f.name == name)
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

/// Two numbers' comparison: sizes that are not constant are comparable only where they are equal.
fn compare(a: &[Value], holds: fn(i64) -> bool) -> Option<Value> {
    let difference = expr(&a[0])?.clone() - expr(&a[1])?.clone();
    Some(Value::Bool(holds(difference.as_const()?)))
}

fn truth(value: &Value) -> bool {
    *value == Value::Bool(true)
}

/// Every function of guards and attribute values.
pub static FUNCTIONS: &[Function] = &[
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
    Function {
        name: "no-negative",
        arguments: "list",
        summary: "whether no element is negative",
        run: |_, a| Some(Value::Bool(list(&a[0])?.iter().all(|e| e.as_const().is_some_and(|e| e >= 0)))),
    },
    Function {
        name: "disjoint",
        arguments: "axes axes",
        summary: "whether no axis is in both lists",
        run: |_, a| {
            let other = list(&a[1])?;
            Some(Value::Bool(list(&a[0])?.iter().all(|e| !other.contains(e))))
        },
    },
    Function {
        name: "list",
        arguments: "i ..",
        summary: "a list; also written [i ..]",
        run: |_, a| Some(Value::List(a.iter().map(|v| expr(v).cloned()).collect::<Option<_>>()?)),
    },
    Function {
        name: "cat",
        arguments: "list ..",
        summary: "lists one after the other",
        run: |_, a| {
            let mut all = Vec::new();
            a.iter().try_for_each(|l| list(l).map(|l| all.extend(l.iter().cloned())))?;
            Some(Value::List(all))
        },
    },
    Function {
        name: "take",
        arguments: "list n",
        summary: "the first n elements; all but the last -n if n is negative",
        run: |_, a| {
            let (l, n) = (list(&a[0])?, int(&a[1])?);
            let n = usize::try_from(if n < 0 { n + l.len() as i64 } else { n }).ok()?;
            Some(Value::List(l.get(..n)?.to_vec()))
        },
    },
    Function {
        name: "drop",
        arguments: "list n",
        summary: "without the first n elements; the last -n if n is negative",
        run: |_, a| {
            let (l, n) = (list(&a[0])?, int(&a[1])?);
            let n = usize::try_from(if n < 0 { n + l.len() as i64 } else { n }).ok()?;
            Some(Value::List(l.get(n..)?.to_vec()))
        },
    },
    Function {
        name: "nth",
        arguments: "list i",
        summary: "element i; from the end if negative",
        run: |_, a| {
            let l = list(&a[0])?;
            Some(Value::Int(l[index(int(&a[1])?, l.len())?].clone()))
        },
    },
    Function {
        name: "set",
        arguments: "list i value",
        summary: "the list with another element i",
        run: |_, a| {
            let mut l = list(&a[0])?.clone();
            let at = index(int(&a[1])?, l.len())?;
            l[at] = expr(&a[2])?.clone();
            Some(Value::List(l))
        },
    },
    Function {
        name: "len",
        arguments: "list",
        summary: "number of elements of a list",
        run: |_, a| Some(Value::Int(Expr::from(list(&a[0])?.len() as i64))),
    },
    Function {
        name: "repeat",
        arguments: "i n",
        summary: "n times the element i",
        run: |_, a| Some(Value::List(vec![expr(&a[0])?.clone(); usize::try_from(int(&a[1])?).ok()?])),
    },
    Function {
        name: "all-are",
        arguments: "list i",
        summary: "whether all elements of a list are i",
        run: |_, a| {
            let wanted = expr(&a[1])?;
            Some(Value::Bool(list(&a[0])?.iter().all(|e| e == wanted)))
        },
    },
    Function {
        name: "zip-sum",
        arguments: "list list",
        summary: "sums of elements, place by place",
        run: |_, a| {
            let (l, r) = (list(&a[0])?, list(&a[1])?);
            (l.len() == r.len())
                .then(|| Value::List(l.iter().zip(r).map(|(x, y)| x.clone() + y.clone()).collect()))
        },
    },
    Function {
        name: "zip-product",
        arguments: "list list",
        summary: "products of elements, place by place",
        run: |_, a| {
            let (l, r) = (list(&a[0])?, list(&a[1])?);
            (l.len() == r.len())
                .then(|| Value::List(l.iter().zip(r).map(|(x, y)| x.clone() * y.clone()).collect()))
        },
    },
    Function {
        name: "product-of",
        arguments: "list",
        summary: "product of the elements",
        run: |_, a| Some(Value::Int(list(&a[0])?.iter().fold(Expr::from(1), |p, e| p * e.clone()))),
    },
    Function {
        name: "compose",
        arguments: "p q",
        summary: "the permutation of transpose p after transpose q",
        run: |_, a| {
            let (p, q) = (permutation(&a[0])?, permutation(&a[1])?);
            ints(p.iter().map(|&i| q.get(i).copied()).collect::<Option<Vec<_>>>()?)
        },
    },
    Function {
        name: "inverse",
        arguments: "p",
        summary: "the permutation that undoes p",
        run: |_, a| {
            let p = permutation(&a[0])?;
            let mut inverse = vec![0; p.len()];
            for (to, &from) in p.iter().enumerate() {
                *inverse.get_mut(from)? = to;
            }
            ints(inverse)
        },
    },
    Function {
        name: "permute",
        arguments: "list p",
        summary: "element p[i] of the list at each place i",
        run: |_, a| {
            let l = list(&a[0])?;
            Some(Value::List(permutation(&a[1])?.iter().map(|&i| l.get(i).cloned()).collect::<Option<_>>()?))
        },
    },
    Function {
        name: "is-identity",
        arguments: "p",
        summary: "whether a permutation changes nothing",
        run: |_, a| Some(Value::Bool(permutation(&a[0])?.iter().enumerate().all(|(i, &p)| i == p))),
    },
    Function {
        name: "swaps-last-two",
        arguments: "p",
        summary: "whether a permutation exchanges the last two dimensions and no others",
        run: |_, a| {
            let p = permutation(&a[0])?;
            let n = p.len();
            let swapped = |i: usize| {
                if i + 2 == n {
                    n - 1
                } else if i + 1 == n {
                    n - 2
                } else {
                    i
                }
            };
            Some(Value::Bool(n >= 2 && p.iter().enumerate().all(|(i, &x)| x == swapped(i))))
        },
    },
    Function {
        name: "swap-last-two",
        arguments: "n",
        summary: "the permutation of n dimensions that exchanges the last two",
        run: |_, a| {
            let n = usize::try_from(int(&a[0])?).ok().filter(|&n| n >= 2)?;
            ints((0..n - 2).chain([n - 1, n - 2]))
        },
    },
    Function {
        name: "position",
        arguments: "list i",
        summary: "where in a list i stands",
        run: |_, a| {
            let wanted = expr(&a[1])?;
            Some(Value::Int(Expr::from(list(&a[0])?.iter().position(|e| e == wanted)? as i64)))
        },
    },
    Function {
        name: "map-axes",
        arguments: "axes p",
        summary: "p[i] for each axis i, in ascending order",
        run: |_, a| {
            let p = permutation(&a[1])?;
            let mut axes =
                permutation(&a[0])?.iter().map(|&i| p.get(i).copied()).collect::<Option<Vec<_>>>()?;
            axes.sort_unstable();
            ints(axes)
        },
    },
    Function {
        name: "contains",
        arguments: "list i",
        summary: "whether i is in a list",
        run: |_, a| {
            let wanted = expr(&a[1])?;
            Some(Value::Bool(list(&a[0])?.contains(wanted)))
        },
    },
    Function {
        name: "union",
        arguments: "axes axes",
        summary: "axes in either list, in ascending order",
        run: |_, a| {
            let mut axes = permutation(&a[0])?;
            axes.extend(permutation(&a[1])?);
            axes.sort_unstable();
            axes.dedup();
            ints(axes)
        },
    },
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
