//! Rotary position embedding.

use super::{
    Inferred,
    call::{Call, result},
    definition::{AttrKind, OpDef, PLAIN, Y, attr, one, opt},
    sizes::broadcasts_to,
};
use crate::{diagnostic::Result, expr::Expr};

pub(super) fn define(into: &mut Vec<OpDef>) {
    into.push(OpDef {
        name: "rotary_embedding",
        summary: "pairs of the first rotary_dim features turned by the angles of which cos and sin are given",
        operands: const { &[one("x"), one("cos"), one("sin")] },
        results: Y,
        attributes: const { &[attr("rotary_dim", AttrKind::Int), opt("interleaved", AttrKind::Bool)] },
        traits: PLAIN,
        infer,
    });
}

fn infer(call: &Call<'_>) -> Result<Vec<Inferred>> {
    call.expect_float(0)?;
    let x = call.ty(0)?;
    let Some((features, outer)) = x.dims.split_last() else {
        return Err(call.error(0, "must have a dimension of features"));
    };
    let Some(size) = features.as_const() else {
        return Err(call.error(0, "must have a number of features that is known"));
    };
    let rotated = call.attrs.int("rotary_dim", 0);
    if rotated < 2 || rotated % 2 != 0 || rotated > size {
        let what = format!("is {rotated}, but must be even and between 2 and {size}, the number of features");
        return Err(call.attr_error("rotary_dim", what));
    }
    for i in 1..3 {
        call.expect_same_dtype(0, i)?;
        let table = call.ty(i)?;
        let Some((width, rows)) = table.dims.split_last() else {
            return Err(call.error(i, "must have a dimension of angles"));
        };
        let fits = |width: i64| width == rotated || width == rotated / 2;
        if !width.as_const().is_some_and(fits) {
            let what = format!("must have {} angles, or {rotated} with one for each feature", rotated / 2);
            return Err(call.error(i, what));
        }
        if !broadcasts_to(rows, outer) {
            return Err(call.error(i, format!("does not broadcast to operand 'x' ({x})")));
        }
        let meeting = rows.iter().zip(&outer[outer.len() - rows.len()..]);
        meeting.for_each(|(dim, to): (&Expr, &Expr)| call.require_broadcast(dim, to));
    }
    Ok(result(x.dtype, x.dims.clone()))
}
