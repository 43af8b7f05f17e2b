//! Softmax and its logarithm: maximum, exponentials of the differences, their sum and its inverse, the products.
//!
//! The sum is at least 1, so a product with its inverse is as good as a quotient for every element, and
//! cheaper.

use super::{
    kernels::{KernelBuilder, axes_over, indices},
    lowering::Lowering,
    reduce::{point, reduction_axes},
    scalars::{Scalars, compute_type},
};
use mlcc_ir::{
    diagnostic::Result,
    expr::Expr,
    kernel::Combine,
    scalar::{UnaryOp, ValueId},
};

/// Lowers `softmax` and `log_softmax`; `None` if the operator is another.
pub(super) fn lower(op: &mut Lowering<'_, '_>) -> Option<Result<()>> {
    match op.name() {
        "softmax" => Some(lower_softmax(op, false)),
        "log_softmax" => Some(lower_softmax(op, true)),
        _ => None,
    }
}

fn lower_softmax(op: &mut Lowering<'_, '_>, logarithm: bool) -> Result<()> {
    let (x, result) = (op.operand(0)?, op.result(0)?);
    let dims = op.dims(x);
    let axis = op.axis("axis", -1, dims.len())?;
    let computed = compute_type(op.dtype(x));
    let mut k = op.kernel();
    let input = k.input(op, x, "x");
    let all = axes_over(dims);
    let at = point(dims.len());
    let outer: Vec<_> = all.iter().enumerate().filter(|(d, _)| *d != axis).map(|(_, a)| a.clone()).collect();
    let outer_dims: Vec<Expr> = outer.iter().map(|a| a.extent.clone()).collect();
    let outer_at = indices(&outer);
    let reduced = || reduction_axes(dims, &[axis]);

    let max = k.temporary("max", computed, outer_dims.clone());
    let mut s = Scalars::default();
    let v = s.read(&k, input, at.clone());
    k.reduce("max", reduced(), max, s.yields(v).combined(Combine::Max));

    let shifted = |k: &KernelBuilder, s: &mut Scalars| -> ValueId {
        let v = s.read(k, input, at.clone());
        let m = s.read_raw(k, max, outer_at.clone());
        s.sub(v, m)
    };
    let exp = k.temporary("exp", computed, dims.to_vec());
    let mut s = Scalars::default();
    let v = shifted(&k, &mut s);
    let v = s.unary(UnaryOp::Exp, v);
    k.map("exp", all.clone(), exp, s.yields(v));

    let sum = k.temporary("sum", computed, outer_dims.clone());
    let mut s = Scalars::default();
    let v = s.read_raw(&k, exp, at.clone());
    k.reduce("sum", reduced(), sum, s.yields(v).combined(Combine::Add));

    let inverse = (!logarithm).then(|| {
        let inverse = k.temporary("inverse", computed, outer_dims);
        let mut s = Scalars::default();
        let total = s.read_raw(&k, sum, outer_at.clone());
        let one = s.float_like(total, 1.0);
        let v = s.div(one, total);
        k.map("inverse", outer.clone(), inverse, s.yields(v));
        inverse
    });

    let mut s = Scalars::default();
    let v = if let Some(inverse) = inverse {
        let v = s.read_raw(&k, exp, at.clone());
        let inverse = s.read_raw(&k, inverse, outer_at.clone());
        s.mul(v, inverse)
    } else {
        let v = shifted(&k, &mut s);
        let total = s.read_raw(&k, sum, outer_at.clone());
        let log = s.unary(UnaryOp::Log, total);
        s.sub(v, log)
    };
    let target = k.output(op, result, "y");
    k.map(op.name(), all, target, s.yields(v));
    op.emit(k)
}
