//! Contractions: matrix products and Einstein sums.

use super::{
    Inferred,
    call::{Call, result},
    definition::{AttrKind, OpDef, OpTrait, Y, attr, one, opt, variadic},
};
use crate::{
    diagnostic::{Diagnostic, Result},
    dtype::DType,
    expr::Expr,
};

pub(super) fn define(into: &mut Vec<OpDef>) {
    into.push(OpDef {
        name: "matmul",
        summary: "matrix product with numpy's rules for rank 1 and batches; flags transpose the last two dimensions",
        operands: const { &[one("a"), one("b")] },
        results: Y,
        attributes: const { &[opt("transpose_a", AttrKind::Bool), opt("transpose_b", AttrKind::Bool)] },
        traits: const { &[OpTrait::Product] },
        infer: matmul,
    });
    into.push(OpDef {
        name: "einsum",
        summary: "sum of products by index labels",
        operands: const { &[variadic("xs")] },
        results: Y,
        attributes: const { &[attr("equation", AttrKind::Str)] },
        traits: const { &[OpTrait::Product] },
        infer: einsum,
    });
}

fn matmul(call: &Call<'_>) -> Result<Vec<Inferred>> {
    call.expect_dtype(0, |d| d != DType::Bool, "numeric")?;
    call.expect_same_dtype(0, 1)?;
    let (a, b) = (call.ty(0)?, call.ty(1)?);
    for (i, ty) in [(0, a), (1, b)] {
        if ty.rank() == 0 {
            return Err(call.error(i, "must have rank 1 at least"));
        }
    }
    let split = |dims: &[Expr], transposed: bool| {
        let (batch, matrix) = dims.split_at(dims.len() - 2);
        let (row, column) = (matrix[0].clone(), matrix[1].clone());
        if transposed { (batch.to_vec(), column, row) } else { (batch.to_vec(), row, column) }
    };
    let (vector_a, vector_b) = (a.rank() == 1, b.rank() == 1);
    let (batch_a, rows, k_a) = if vector_a {
        (Vec::new(), Expr::from(1), a.dims[0].clone())
    } else {
        split(&a.dims, call.attrs.bool("transpose_a", false))
    };
    let (batch_b, k_b, columns) = if vector_b {
        (Vec::new(), b.dims[0].clone(), Expr::from(1))
    } else {
        split(&b.dims, call.attrs.bool("transpose_b", false))
    };
    let types = |mut e: Diagnostic| {
        e.message = format!("{} (operands {a} and {b})", e.message);
        e
    };
    call.equal(&k_a, &k_b, "be contracted").map_err(types)?;
    let mut dims = call.broadcast(&batch_a, &batch_b).map_err(types)?;
    dims.extend((!vector_a).then_some(rows));
    dims.extend((!vector_b).then_some(columns));
    Ok(result(a.dtype, dims))
}

/// A parsed Einstein sum. Labels are numbered; the dimensions of an ellipsis get labels of their own,
/// aligned at the right as broadcasting demands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Einsum {
    /// The labels of each operand's dimensions.
    pub operands: Vec<Vec<usize>>,
    /// The labels of the result's dimensions.
    pub result: Vec<usize>,
    /// Number of labels.
    pub labels: usize,
}

impl Einsum {
    /// Parses an equation for operands of these ranks.
    ///
    /// # Errors
    /// If the equation is malformed or does not fit the ranks.
    pub fn parse(equation: &str, ranks: &[usize]) -> Result<Einsum> {
        let bad = |what: &str| Diagnostic::user(format!("equation '{equation}' {what}"));
        let text: String = equation.chars().filter(|c| !c.is_whitespace()).collect();
        let (left, right) = match text.split_once("->") {
            Some((left, right)) => (left, Some(right)),
            None => (text.as_str(), None),
        };
        let terms: Vec<&str> = left.split(',').collect();
        if terms.len() != ranks.len() {
            return Err(bad(&format!("has {} terms for {} operands", terms.len(), ranks.len())));
        }
        let parsed = terms.iter().map(|t| Term::parse(t)).collect::<Option<Vec<_>>>();
        let parsed = parsed.ok_or_else(|| bad("is malformed"))?;
        let mut ellipsis = 0;
        for (term, &rank) in parsed.iter().zip(ranks) {
            let named = term.before.len() + term.after.len();
            if rank < named || (!term.has_ellipsis && rank != named) {
                return Err(bad(&format!("names {named} dimensions of an operand of rank {rank}")));
            }
            ellipsis = ellipsis.max(rank - named);
        }
        let mut letters: Vec<char> =
            parsed.iter().flat_map(|t| t.before.iter().chain(&t.after)).copied().collect();
        let all_letters = letters.clone();
        letters.sort_unstable();
        letters.dedup();
        let number = |c: &char| letters.binary_search(c).ok().map(|i| i + ellipsis);
        let numbers = |term: &Term, width: usize| -> Option<Vec<usize>> {
            let middle = (ellipsis - width..ellipsis).map(Some);
            term.before.iter().map(number).chain(middle).chain(term.after.iter().map(number)).collect()
        };
        let width = |t: &Term, rank: usize| rank - t.before.len() - t.after.len();
        let operands = parsed.iter().zip(ranks).map(|(t, &rank)| numbers(t, width(t, rank)));
        let operands = operands.collect::<Option<Vec<_>>>().ok_or_else(|| bad("is malformed"))?;
        let result = match right {
            Some(right) => {
                let term = Term::parse(right).ok_or_else(|| bad("is malformed"))?;
                let mut seen: Vec<char> = term.before.iter().chain(&term.after).copied().collect();
                let count = seen.len();
                seen.sort_unstable();
                seen.dedup();
                if seen.len() != count {
                    return Err(bad("repeats a label in its result"));
                }
                let width = if term.has_ellipsis { ellipsis } else { 0 };
                numbers(&term, width).ok_or_else(|| bad("has a label in its result that no operand has"))?
            }
            None => {
                let once = letters.iter().enumerate();
                let once = once.filter(|(_, c)| all_letters.iter().filter(|x| x == c).count() == 1);
                (0..ellipsis).chain(once.map(|(i, _)| i + ellipsis)).collect()
            }
        };
        Ok(Einsum { operands, result, labels: letters.len() + ellipsis })
    }
}

/// One term of an equation: the labels before and after the ellipsis.
struct Term {
    before: Vec<char>,
    after: Vec<char>,
    has_ellipsis: bool,
}

impl Term {
    fn parse(text: &str) -> Option<Term> {
        let letters =
            |s: &str| s.chars().map(|c| c.is_ascii_alphabetic().then_some(c)).collect::<Option<Vec<_>>>();
        let (before, after, has_ellipsis) = match text.split_once("...") {
            Some((before, after)) => (before, after, true),
            None => (text, "", false),
        };
        Some(Term { before: letters(before)?, after: letters(after)?, has_ellipsis })
    }
}

fn einsum(call: &Call<'_>) -> Result<Vec<Inferred>> {
    let types: Vec<_> = call.operands.iter().flatten().map(|o| o.ty).collect();
    let ranks: Vec<usize> = types.iter().map(|t| t.rank()).collect();
    let einsum = Einsum::parse(call.attrs.str("equation", ""), &ranks)?;
    for i in 0..types.len() {
        call.expect_dtype(i, |d| d != DType::Bool, "numeric")?;
        call.expect_same_dtype(0, i)?;
    }
    let mut sizes: Vec<Expr> = vec![Expr::from(1); einsum.labels];
    for (ty, labels) in types.iter().zip(&einsum.operands) {
        for (dim, &label) in ty.dims.iter().zip(labels) {
            sizes[label] = call.broadcast_dim(&sizes[label], dim)?;
        }
    }
    Ok(result(types[0].dtype, einsum.result.iter().map(|&l| sizes[l].clone()).collect()))
}
