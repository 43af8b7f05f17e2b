//! Matrix products and Einstein sums.

use crate::{
    call::{Call, malformed},
    registry::{Import::Function, Operator},
};
use mlcc_ir::{
    attributes::{Attr, Attrs},
    diagnostic::Result,
    graph::ValueId,
};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("Einsum", 12, Function(einsum)),
    Operator::new("Gemm", 1, Function(gemm)),
    Operator::new("MatMul", 1, Function(matmul)),
];

fn matmul(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (a, b) = (call.input(0)?, call.input(1)?);
    Ok(vec![call.matmul(a, b, false)?])
}

/// `alpha * a * b + beta * c`, a and b possibly transposed.
fn gemm(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (a, b) = (call.input(0)?, call.input(1)?);
    if call.rank(a) != 2 || call.rank(b) != 2 {
        return Err(malformed(format!(
            "operands of types {} and {} are not matrices",
            call.ty(a),
            call.ty(b)
        )));
    }
    let attrs = Attrs::new()
        .with("transpose_a", Attr::Bool(call.flag("transA", false)?))
        .with("transpose_b", Attr::Bool(call.flag("transB", false)?));
    let (alpha, beta) = (call.float("alpha", 1.0)?, call.float("beta", 1.0)?);
    let mut y = call.op("matmul", attrs, &[a, b])?;
    if alpha != 1.0 {
        y = call.with_scalar("mul", y, alpha)?;
    }
    if let Some(mut c) = call.optional(2).filter(|_| beta != 0.0) {
        if beta != 1.0 {
            c = call.with_scalar("mul", c, beta)?;
        }
        y = call.binary("add", y, c)?;
    }
    Ok(vec![y])
}

fn einsum(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let inputs = call.all_inputs()?;
    let equation = call.text("equation", "")?;
    Ok(vec![call.op("einsum", Attrs::new().with("equation", Attr::Str(equation.into())), &inputs)?])
}
