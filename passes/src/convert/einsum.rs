//! Einstein sums: one reduction compute over the letters that the result lacks.

use super::{
    contraction::{self, Contraction},
    kernels::{parallel, reduction},
    lowering::Lowering,
};
use mlcc_ir::{diagnostic::Result, expr::Expr, kernel::Axis};

/// Lowers `einsum`; `None` if the operator is another.
pub(super) fn lower(op: &mut Lowering<'_, '_>) -> Option<Result<()>> {
    (op.name() == "einsum").then(|| lower_einsum(op))
}

/// The axis names of one operand's dimensions; the ellipsis stands for the dimensions in its middle,
/// which are aligned at the end and named `i0`, `i1`, ...
fn labels(term: &str, rank: usize, ellipsis_rank: usize) -> Option<Vec<String>> {
    let letters = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
    match term.split_once("...") {
        None => Some(letters(term)).filter(|l| l.len() == rank),
        Some((before, after)) => {
            let own = rank.checked_sub(before.len() + after.len())?;
            let mut labels = letters(before);
            labels.extend((ellipsis_rank.checked_sub(own)?..ellipsis_rank).map(|i| format!("i{i}")));
            labels.extend(letters(after));
            Some(labels)
        }
    }
}

/// Labels of a result that the equation leaves out: the ellipsis, then letters that occur once, in
/// alphabetical order.
fn implicit_result(terms: &[&str], ellipsis_rank: usize) -> Vec<String> {
    let text: String = terms.concat().replace("...", "");
    let mut once: Vec<char> = text.chars().filter(|c| text.matches(*c).count() == 1).collect();
    once.sort_unstable();
    (0..ellipsis_rank).map(|i| format!("i{i}")).chain(once.into_iter().map(String::from)).collect()
}

fn lower_einsum(op: &mut Lowering<'_, '_>) -> Result<()> {
    let equation: String = op.attrs().str("equation", "").chars().filter(|c| !c.is_whitespace()).collect();
    let bad = |op: &Lowering<'_, '_>| {
        op.unsupported(&format!("the equation '{equation}' does not fit its operands"))
    };
    let (left, right) = match equation.split_once("->") {
        Some((left, right)) => (left, Some(right)),
        None => (&equation[..], None),
    };
    let terms: Vec<&str> = left.split(',').collect();
    let operands: Vec<_> = op.node.operands.iter().copied().flatten().collect();
    if terms.len() != operands.len() {
        return Err(bad(op));
    }
    let ellipsis_rank = terms
        .iter()
        .zip(&operands)
        .filter(|(t, _)| t.contains("..."))
        .map(|(t, &v)| (op.dims(v).len() + 3).saturating_sub(t.len()))
        .max()
        .unwrap_or(0);
    let mut named = Vec::with_capacity(terms.len());
    for (term, &v) in terms.iter().zip(&operands) {
        named.push(labels(term, op.dims(v).len(), ellipsis_rank).ok_or_else(|| bad(op))?);
    }
    let result = op.result(0)?;
    let kept = match right {
        Some(right) => labels(right, op.dims(result).len(), ellipsis_rank).ok_or_else(|| bad(op))?,
        None => implicit_result(&terms, ellipsis_rank),
    };

    // Sizes by label; a size of 1 is broadcast.
    let mut sizes: Vec<(String, Expr)> = Vec::new();
    for (labels, &v) in named.iter().zip(&operands) {
        for (label, dim) in labels.iter().zip(op.dims(v)) {
            match sizes.iter_mut().find(|(l, _)| l == label) {
                None => sizes.push((label.clone(), dim.clone())),
                Some((_, size)) if size.is(1) => *size = dim.clone(),
                Some(_) => {}
            }
        }
    }
    let size = |label: &String| sizes.iter().find(|(l, _)| l == label).map(|(_, s)| s.clone());
    let mut axes: Vec<Axis> = Vec::new();
    for label in &kept {
        axes.push(parallel(label, size(label).ok_or_else(|| bad(op))?));
    }
    let summed = sizes.iter().filter(|(label, _)| !kept.contains(label));
    axes.extend(summed.map(|(label, size)| reduction(label, size.clone())));
    let reads = named.iter().zip(&operands).map(|(labels, &v)| {
        let index = labels.iter().zip(op.dims(v)).map(|(label, dim)| {
            let broadcast = dim.is(1) && size(label).as_ref() != Some(dim);
            if broadcast { Expr::from(0) } else { Expr::axis(label) }
        });
        (v, index.collect(), false)
    });
    let operands = reads.collect();
    let write = kept.iter().map(|l| Expr::axis(l)).collect();
    contraction::emit(
        op,
        Contraction { name: "einsum", axes, write, operands, guards: Vec::new(), bias: None },
    )
}
