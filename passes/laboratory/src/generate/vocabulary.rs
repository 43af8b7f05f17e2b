//! The vocabulary of the enumeration: families of operators, each with its variables, constants and spaces of
//! values.
//!
//! Operators of one and of two operands come from the graph dialect's own definitions. Operators with
//! attributes are written as templates, in which `?0`, `?1` .. are operands and every other variable stands
//! for an attribute. The name of an attribute's variable gives its sort:
//!
//! | Name | Sort |
//! |---|---|
//! | `p`, `q` | any permutation |
//! | `w` | the permutation that exchanges the last two dimensions |
//! | `i` | the permutation that changes nothing |
//! | `k` | an axis |
//! | `a`, `b` | sets of axes, which have none in common |
//! | `s`, `t` | shapes with as many elements |
//! | `d` | the dimensions of `x` |
//! | `e` | a shape that the operand is broadcast to |
//! | `f`, `n`, `h` | starts, sizes and steps of a slice that is all of `x` |
//! | `o`, `r`, `m` | all attributes of a slice, a reduction, a window |
//!
//! The rule file is not used.

use mlcc_ir::{
    Name,
    attributes::Attrs,
    diagnostic::Result,
    dtype::DType,
    ops::{self, Arity, OpDef, Operand},
    types::TensorType,
};
use mlcc_rewriting::rule::{Pattern, parse_pattern};
use std::collections::BTreeSet;

/// The kind of the leaves' values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Space {
    /// Vectors long enough that many combinations of NaN, infinities, zeros of both signs and numbers occur.
    Vectors,
    /// Cubes and squares, so that any operator that moves or contracts elements has a type.
    Cubes,
    /// Images with channels.
    Images,
}

/// Operators over which all small terms are enumerated.
#[derive(Clone, Debug)]
pub(super) struct Family {
    pub(super) name: &'static str,
    /// Variables: `x`, `y`, `z` are tensors, `c` is a scalar, `u`, `v`, `g` are conditions.
    pub(super) variables: &'static [&'static str],
    pub(super) numbers: &'static [f64],
    /// Operators as templates.
    pub(super) templates: Vec<Pattern>,
    /// Operators in a term, at most.
    pub(super) operators: usize,
    /// Operators that enclose each other, at most.
    pub(super) depth: usize,
    /// A term has no two different ones of the first `single` templates. Functions are combined here with
    /// operators that move elements; combinations of functions are the subject of other families.
    pub(super) single: usize,
    pub(super) space: Space,
}

impl Family {
    /// Its operators' mnemonics.
    pub(super) fn mnemonics(&self) -> BTreeSet<Name> {
        self.templates.iter().filter_map(|t| t.op().cloned()).collect()
    }
}

const MOVES: &[&str] = &[
    "(transpose [perm ?p] ?0)",
    "(transpose [perm ?q] ?0)",
    "(transpose [perm ?i] ?0)",
    "(transpose [perm (inverse ?p)] ?0)",
    "(transpose [perm (compose ?p ?q)] ?0)",
    "(reshape [shape ?s] ?0)",
    "(reshape [shape ?t] ?0)",
    "(reshape [shape ?d] ?0)",
    "(slice [.. ?o] ?0)",
    "(slice [starts ?f sizes ?n steps ?h] ?0)",
    "(concat [axis ?k] ?0 ?1)",
    "(expand [shape ?e] ?0)",
];

const CONDITIONS: &[&str] = &["(where ?0 ?1 ?2)"];

const REDUCTIONS: &[&str] = &["reduce_sum", "reduce_mean", "reduce_max", "reduce_min", "reduce_prod"];

const REDUCED: &[&str] = &[
    "($f [.. ?r] ?0)",
    "($f [axes ?a keepdims true] ?0)",
    "($f [axes ?b keepdims true] ?0)",
    "($f [axes (union ?a ?b) keepdims true] ?0)",
    "($f [axes (map-axes ?a ?p) keepdims true] ?0)",
];

const SOFTMAX: &[&str] = &[
    "(softmax [axis ?k] ?0)",
    "(softmax [axis (nth ?p ?k)] ?0)",
    "(log_softmax [axis ?k] ?0)",
    "(log_softmax [axis (nth ?p ?k)] ?0)",
];

const PRODUCTS: &[&str] = &[
    "(matmul ?0 ?1)",
    "(matmul [transpose_a true] ?0 ?1)",
    "(matmul [transpose_b true] ?0 ?1)",
    "(matmul [transpose_a true transpose_b true] ?0 ?1)",
    "(transpose [perm ?w] ?0)",
];

/// All families; `small` takes fewer operators in a term.
///
/// # Errors
/// If a template is not well formed.
pub(super) fn families(small: bool) -> Result<Vec<Family>> {
    let (unary, binary) = (elementwise(1), elementwise(2));
    let less = usize::from(small);
    let named = |names: &[&str]| -> Vec<String> {
        let call = |name: &&str| match ops::definition(name).map_or(2, |d| d.operands.len()) {
            1 => format!("({name} ?0)"),
            _ => format!("({name} ?0 ?1)"),
        };
        names.iter().map(call).collect()
    };
    let written = |templates: &[&str]| templates.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
    let reductions: Vec<String> =
        REDUCTIONS.iter().flat_map(|f| REDUCED.iter().map(move |t| t.replace("$f", f))).collect();
    let comparisons = ["less", "less_equal", "equal", "greater", "greater_equal"];
    let arithmetic = ["sum", "product", "neg", "div", "reciprocal"];
    let spread = ["(transpose [perm ?p] ?0)", "(transpose [perm (inverse ?p)] ?0)"];
    let make = |name, variables, numbers, (operators, depth), space, templates: Vec<Vec<String>>| {
        let templates = templates.concat().iter().map(|t| parse_pattern(t)).collect::<Result<_>>()?;
        Ok(Family { name, variables, numbers, templates, operators, depth, single: 0, space })
    };
    // Operators that may be in a term only once come first.
    let make_single = |name, variables, (operators, depth), single: Vec<String>, rest: Vec<Vec<String>>| {
        let count = single.len();
        let family: Result<Family> =
            make(name, variables, &[], (operators, depth), Space::Cubes, [vec![single], rest].concat());
        Ok(Family { single: count, ..family? })
    };
    use Space::{Cubes, Images, Vectors};
    [
        make("functions", &["x"], &[], (2, 2), Vectors, vec![unary.clone()]),
        make(
            "order",
            &["x", "y", "z"],
            &[0.0, 1.0],
            (3 - less, 3),
            Vectors,
            vec![named(&["neg", "abs", "relu", "sign", "max", "min"])],
        ),
        make(
            "rounding",
            &["x"],
            &[0.0, 1.0],
            (3 - less, 3),
            Vectors,
            vec![named(&["floor", "ceil", "round", "sign", "neg", "abs", "relu", "sum", "product"])],
        ),
        make(
            "arithmetic",
            &["x", "y", "z"],
            &[0.0, 1.0, -1.0, 2.0],
            (3 - less, 3),
            Vectors,
            vec![named(&arithmetic)],
        ),
        make(
            "powers",
            &["x", "y"],
            &[0.0, 1.0, -1.0, 2.0, 0.5, 3.0],
            (2, 2),
            Vectors,
            vec![
                named(&["pow", "product", "div", "sqrt", "reciprocal", "abs", "neg", "exp", "log"]),
                written(&["(product ?0 ?1 ?2)"]),
            ],
        ),
        make(
            "conditions",
            &["x", "y", "u", "v"],
            &[0.0],
            (2, 2),
            Vectors,
            vec![
                named(&["not", "and", "or", "xor", "max", "min", "relu", "abs", "neg"]),
                named(&comparisons),
                written(CONDITIONS),
            ],
        ),
        make(
            "truth",
            &["u", "v", "g"],
            &[],
            (3 - less, 3),
            Vectors,
            vec![named(&["not", "and", "or", "xor"])],
        ),
        make(
            "limits",
            &["x", "c"],
            &[0.0, 1.0, 6.0],
            (2, 2),
            Vectors,
            vec![named(&["relu", "max", "min"]), written(&["(clip ?0 ?1 ?2)"])],
        ),
        make_single("moved functions", &["x", "y"], (3, 2), unary, vec![written(MOVES)]),
        make("moves", &["x", "y"], &[], (3 - less, 3), Cubes, vec![written(MOVES)]),
        make(
            "concatenations",
            &["x", "y", "z"],
            &[],
            (2, 2),
            Cubes,
            vec![written(&["(concat [axis ?k] ?0 ?1 ?2)", "(concat [axis ?k] ?0 ?1)", "(slice [.. ?o] ?0)"])],
        ),
        make_single(
            "moved pairs",
            &["x", "y", "c"],
            (3 - less, 2),
            [binary, written(CONDITIONS)].concat(),
            vec![written(MOVES)],
        ),
        make_single(
            "reductions",
            &["x", "c"],
            (3 - less, 3),
            named(&["neg", "abs", "relu", "exp", "sqrt", "sum", "product", "max"]),
            vec![reductions, written(SOFTMAX), written(&spread)],
        ),
        make(
            "matrix products",
            &["x", "y", "z"],
            &[],
            (3 - less, 3),
            Cubes,
            vec![written(PRODUCTS), named(&["sum", "neg"])],
        ),
        make(
            "scaled matrix products",
            &["x", "y", "c"],
            &[],
            (2, 2),
            Cubes,
            vec![written(PRODUCTS), named(&["product", "neg", "div", "relu"])],
        ),
        make(
            "windows",
            &["x", "y"],
            &[],
            (2, 2),
            Images,
            vec![
                named(&["neg", "relu", "abs", "exp", "sigmoid", "sqrt", "max", "sum"]),
                written(&["(max_pool [.. ?m] ?0)"]),
            ],
        ),
    ]
    .into_iter()
    .collect()
}

/// Operators with that many floats as operands and without attributes, whose result has the operands'
/// dimensions, as templates. Sums, differences and products are terms of their own.
fn elementwise(operands: usize) -> Vec<String> {
    let ty = TensorType::of(DType::F32, &[3, 5]);
    let fits = |def: &&OpDef| {
        let views = vec![Some(Operand { ty: &ty, known: None, constant: None }); operands];
        let inferred = ops::infer(def.name, &Attrs::new(), &views);
        def.attributes.is_empty()
            && def.operands.len() == operands
            && def.operands.iter().all(|o| o.arity == Arity::One)
            && !matches!(def.name, "add" | "sub" | "mul" | "identity")
            && inferred.is_ok_and(|r| r.len() == 1 && r[0].ty.dims == ty.dims && r[0].ty.dtype == DType::F32)
    };
    let mut names: Vec<&str> = ops::definitions().iter().filter(fits).map(|d| d.name).collect();
    if operands == 2 {
        names.extend(["less", "equal", "sum", "product"]);
    }
    let places = if operands == 1 { "?0" } else { "?0 ?1" };
    let mut templates: Vec<String> = names.iter().map(|name| format!("({name} {places})")).collect();
    if operands == 1 {
        templates.push("(gelu ?0)".into());
    }
    templates
}
