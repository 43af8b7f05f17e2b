//! Generators: tensors made from attributes and scalars.

use super::{
    Inferred,
    call::{Call, result},
    definition::{AttrKind, OpDef, PLAIN, Y, attr, one, opt},
    known,
};
use crate::{diagnostic::Result, dtype::DType, expr::Expr, types::TensorType};

pub(super) fn define(into: &mut Vec<OpDef>) {
    into.push(OpDef {
        name: "range",
        summary: "start + i * delta for i in 0..length",
        operands: const { &[one("start"), one("delta")] },
        results: Y,
        attributes: const { &[attr("length", AttrKind::Exprs)] },
        traits: PLAIN,
        infer: range,
    });
    into.push(OpDef {
        name: "dims",
        summary: "symbolic integers as a tensor of i64",
        operands: &[],
        results: Y,
        attributes: const { &[attr("values", AttrKind::Exprs), opt("scalar", AttrKind::Bool)] },
        traits: PLAIN,
        infer: dims,
    });
    into.push(OpDef {
        name: "eye",
        summary: "1 on diagonal k, else 0",
        operands: &[],
        results: Y,
        attributes: const {
            &[
                attr("rows", AttrKind::Exprs),
                attr("cols", AttrKind::Exprs),
                opt("k", AttrKind::Int),
                attr("dtype", AttrKind::DType),
            ]
        },
        traits: PLAIN,
        infer: eye,
    });
}

fn range(call: &Call<'_>) -> Result<Vec<Inferred>> {
    call.expect_dtype(0, |d| d != DType::Bool, "numeric")?;
    call.expect_same_dtype(0, 1)?;
    for i in 0..2 {
        if !call.ty(i)?.elements().is(1) {
            return Err(call.error(i, "must be a scalar"));
        }
    }
    let dtype = call.ty(0)?.dtype;
    let length = call.size("length")?;
    let known = known::of(call, 0).zip(known::of(call, 1)).and_then(|(start, delta)| {
        let count = length.as_const().filter(|&n| n <= known::MAX_KNOWN as i64)?;
        let element = |i: i64| {
            let way = known::arithmetic("mul", false, dtype, delta.first()?, &Expr::from(i))?;
            known::arithmetic("add", false, dtype, start.first()?, &way)
        };
        (0..count).map(element).collect()
    });
    Ok(vec![Inferred { ty: TensorType::new(dtype, vec![length]), known }])
}

fn dims(call: &Call<'_>) -> Result<Vec<Inferred>> {
    let values = call.exprs("values").unwrap_or_default();
    let scalar = call.attrs.bool("scalar", false);
    if scalar && values.len() != 1 {
        return Err(call.attr_error("values", format!("has {} elements, but a scalar has one", values.len())));
    }
    let dims = if scalar { Vec::new() } else { vec![Expr::from(values.len() as i64)] };
    Ok(vec![Inferred { ty: TensorType::new(DType::I64, dims), known: Some(values) }])
}

fn eye(call: &Call<'_>) -> Result<Vec<Inferred>> {
    let dtype = call.attrs.dtype("dtype").unwrap_or(DType::F32);
    Ok(result(dtype, vec![call.size("rows")?, call.size("cols")?]))
}
