//! Padding: a read with a value outside, or index arithmetic that stays inside.

use super::{
    kernels::{axes_over, indices},
    lowering::Lowering,
    scalars::Scalars,
};
use mlcc_ir::{
    diagnostic::Result,
    expr::Expr,
    graph::ValueId,
    scalar::{BinaryOp, Predicate},
    tensor::Element,
};

/// Lowers `pad`; `None` if the operator is another.
pub(super) fn lower(op: &mut Lowering<'_, '_>) -> Option<Result<()>> {
    (op.name() == "pad").then(|| lower_pad(op))
}

fn lower_pad(op: &mut Lowering<'_, '_>) -> Result<()> {
    let (x, result) = (op.operand(0)?, op.result(0)?);
    let dims = op.dims(x);
    let pads = op.exprs("pads", 2 * dims.len())?;
    if pads.iter().all(|p| p.is(0)) {
        return op.view(0, x, Expr::from(0));
    }
    let (begin, end) = pads.split_at(dims.len());
    let axes = axes_over(op.dims(result));
    let at = indices(&axes);
    let mut k = op.kernel();
    let mut s = Scalars::default();
    let input = k.input(op, x, "x");
    let mode = op.attrs().str("mode", "constant");
    let v = if mode == "constant" {
        let index: Vec<Expr> = at.iter().zip(begin).map(|(i, b)| i.clone() - b.clone()).collect();
        match op.optional(1).map(|v| (v, op.scalar(v))) {
            None => s.read_raw_or(&k, input, index, Element::Int(0)),
            Some((_, Some(value))) => s.read_raw_or(&k, input, index, value),
            Some((value, None)) => {
                let padded: Vec<usize> =
                    (0..dims.len()).filter(|&d| !(begin[d].is(0) && end[d].is(0))).collect();
                let fill = k.input(op, value, "value");
                let fill = s.read_raw(&k, fill, vec![Expr::from(0); op.dims(value).len()]);
                let inside = is_inside(op, &mut s, (x, &padded), &index);
                let v = s.read_raw_or(&k, input, index, Element::Int(0));
                inside.map_or(v, |inside| s.select(inside, v, fill))
            }
        }
    } else {
        let mut index = Vec::with_capacity(at.len());
        for (d, i) in at.into_iter().enumerate() {
            index.push(match mode {
                _ if begin[d].is(0) && end[d].is(0) => i,
                "edge" | "reflect" | "wrap" => position(mode, &i, &dims[d], (&begin[d], &end[d])),
                _ => return Err(op.unsupported(&format!("the mode '{mode}' is unknown"))),
            });
        }
        s.read_raw(&k, input, index)
    };
    let target = k.output(op, result, "y");
    k.map(op.name(), axes, target, s.yields(v));
    op.emit(k)
}

/// Whether the index is inside the operand along the given dimensions.
fn is_inside(
    op: &Lowering<'_, '_>,
    s: &mut Scalars,
    (x, along): (ValueId, &[usize]),
    index: &[Expr],
) -> Option<mlcc_ir::scalar::ValueId> {
    let mut all = None;
    for &d in along {
        let (i, zero) = (s.index(index[d].clone()), s.int(0));
        let size = s.index(op.dims(x)[d].clone());
        for test in [s.compare(Predicate::Ge, i, zero), s.compare(Predicate::Lt, i, size)] {
            all = Some(all.map_or(test, |a| s.binary(BinaryOp::And, a, test)));
        }
    }
    all
}

/// The position in the operand for position `i` of the result. Negative padding first cuts the operand.
fn position(mode: &str, i: &Expr, size: &Expr, (begin, end): (&Expr, &Expr)) -> Expr {
    let (zero, one) = (Expr::from(0), Expr::from(1));
    let cut = (zero.clone() - begin.clone()).maximum(&zero);
    let size = size.clone() + begin.minimum(&zero) + end.minimum(&zero);
    let last = size.clone() - one.clone();
    let i = i.clone() - begin.maximum(&zero);
    cut + match mode {
        "edge" => i.maximum(&zero).minimum(&last),
        "wrap" => i.modulo(&size),
        _ => {
            // There and back again, without repeating the ends.
            let period = (last.clone() * Expr::from(2)).maximum(&one);
            let phase = i.modulo(&period);
            phase.minimum(&(period - phase.clone())).minimum(&last)
        }
    }
}
