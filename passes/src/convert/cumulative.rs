//! Cumulative sums and products: a copy of the operand, then each element takes in the one before it.

use super::{
    kernels::{axes_over, indices},
    lowering::Lowering,
    scalars::{Scalars, compute_type},
};
use mlcc_ir::{
    diagnostic::Result,
    expr::Expr,
    kernel::{AxisKind, Combine},
    tensor::Element,
};

/// Lowers `cumsum` and `cumprod`; `None` if the operator is another.
pub(super) fn lower(op: &mut Lowering<'_, '_>) -> Option<Result<()>> {
    match op.name() {
        "cumsum" => Some(lower_cumulative(op, Combine::Add, Element::Int(0))),
        "cumprod" => Some(lower_cumulative(op, Combine::Mul, Element::Int(1))),
        _ => None,
    }
}

fn lower_cumulative(op: &mut Lowering<'_, '_>, combine: Combine, identity: Element) -> Result<()> {
    let (x, result) = (op.operand(0)?, op.result(0)?);
    let dims = op.dims(x);
    let axis = op.axis("axis", 0, dims.len())?;
    let (exclusive, reverse) = (op.attrs().bool("exclusive", false), op.attrs().bool("reverse", false));
    let computed = compute_type(op.dtype(x));
    let direct = computed == op.dtype(result);
    let all = axes_over(dims);
    let at = indices(&all);
    let mut k = op.kernel();
    let input = k.input(op, x, "x");
    let target = if direct { k.output(op, result, "y") } else { k.temporary("acc", computed, dims.to_vec()) };

    let mut s = Scalars::default();
    let v = if exclusive {
        let mut before = at.clone();
        let step = Expr::from(if reverse { 1 } else { -1 });
        before[axis] = before[axis].clone() + step;
        s.read_or(&k, input, before, identity)
    } else {
        s.read(&k, input, at.clone())
    };
    k.map("copy", all.clone(), target, s.yields(v));

    let one = Expr::from(1);
    let mut axes = all.clone();
    axes[axis].kind = AxisKind::Sequential;
    axes[axis].extent = (dims[axis].clone() - one.clone()).maximum(&Expr::from(0));
    let (mut from, mut to) = (at.clone(), at.clone());
    if reverse {
        from[axis] = dims[axis].clone() - one.clone() - at[axis].clone();
        to[axis] = from[axis].clone() - one;
    } else {
        to[axis] = at[axis].clone() + one;
    }
    let mut s = Scalars::default();
    let v = s.read_raw(&k, target, from);
    k.push(op.name(), axes, (target, to), s.yields(v).combined(combine));

    if !direct {
        let output = k.output(op, result, "y");
        let mut s = Scalars::default();
        let v = s.read_raw(&k, target, at);
        k.map("convert", all, output, s.yields(v));
    }
    op.emit(k)
}
