//! Functions of lists: shapes, axes, permutations.

use super::{expr, index, int, ints, list, permutation};
use crate::expression::{Function, Value};
use mlcc_ir::expr::Expr;

pub(super) static FUNCTIONS: &[Function] = &[
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
];
