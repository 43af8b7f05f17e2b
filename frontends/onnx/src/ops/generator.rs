//! Tensors made from sizes and scalars.

use super::slicing::is_non_negative;
use crate::{
    call::{Call, malformed},
    fold::data_dependent,
    registry::{Import::Function, Operator},
};
use mlcc_ir::{
    attributes::{Attr, Attrs},
    diagnostic::Result,
    dtype::DType,
    expr::Expr,
    graph::ValueId,
};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("BlackmanWindow", 17, Function(blackman)),
    Operator::new("EyeLike", 9, Function(eye_like)),
    Operator::new("HammingWindow", 17, Function(hamming)),
    Operator::new("HannWindow", 17, Function(hann)),
    Operator::new("Range", 11, Function(range)),
];

/// `max(ceil((limit - start) / delta), 0)` elements.
fn range(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (start, delta) = (call.input(0)?, call.input(2)?);
    let length = if call.dtype(start).is_float() {
        let mut scalar = |i, what| -> Result<f64> {
            match call.constant_floats(i, what)?.as_deref() {
                Some([value]) => Ok(*value),
                _ => Err(malformed(format!("operand '{what}' is not a single element"))),
            }
        };
        let (start, limit, delta) = (scalar(0, "start")?, scalar(1, "limit")?, scalar(2, "delta")?);
        let length = ((limit - start) / delta).ceil().max(0.0);
        if !length.is_finite() || length > 1e12 {
            return Err(malformed(format!("a range from {start} to {limit} by {delta} does not end")));
        }
        Expr::from(length as i64)
    } else {
        let (start, limit) = (call.expr_operand(0, "start")?, call.expr_operand(1, "limit")?);
        let step = call.expr_operand(2, "delta")?.as_const().ok_or_else(|| data_dependent("delta"))?;
        let (distance, step) =
            if step > 0 { (limit - start, step) } else { (start - limit, step.saturating_neg()) };
        if step == 0 {
            return Err(malformed("operand 'delta' is 0"));
        }
        let length = distance.ceil_div(&Expr::from(step));
        if is_non_negative(&length) { length } else { length.maximum(&Expr::from(0)) }
    };
    let start = call.reshape(start, Vec::new())?;
    let delta = call.reshape(delta, Vec::new())?;
    Ok(vec![call.op("range", Attrs::new().with("length", Attr::Exprs(vec![length])), &[start, delta])?])
}

fn eye_like(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let x = call.input(0)?;
    let ty = call.ty(x).clone();
    let [rows, columns] = &ty.dims[..] else { return Err(malformed("the operand is not a matrix")) };
    let dtype = call.element_type("dtype")?.unwrap_or(ty.dtype);
    let attrs = Attrs::new()
        .with("rows", Attr::Exprs(vec![rows.clone()]))
        .with("cols", Attr::Exprs(vec![columns.clone()]))
        .with("k", Attr::Int(call.int("k", 0)?))
        .with("dtype", Attr::DType(dtype));
    Ok(vec![call.op("eye", attrs, &[])?])
}

/// A window of cosines: `sum of coefficients[j] * cos(2 pi j i / n)`. The size is a constant, so the
/// window is, too.
fn cosine_window(call: &mut Call<'_, '_>, coefficients: &[f64]) -> Result<Vec<ValueId>> {
    let size = call.one_int(0, "size")?;
    if !(0..1 << 24).contains(&size) {
        return Err(malformed(format!("operand 'size' is {size}")));
    }
    let dtype = call.element_type("output_datatype")?.unwrap_or(DType::F32);
    let period = if call.flag("periodic", true)? { size } else { size - 1 } as f64;
    let at = |i: i64| -> f64 {
        let angle = std::f64::consts::TAU * i as f64 / period;
        coefficients.iter().enumerate().map(|(j, c)| c * (angle * j as f64).cos()).sum()
    };
    let values: Vec<f64> = (0..size).map(at).collect();
    Ok(vec![call.filled(dtype, &[size], &values)])
}

fn hann(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    cosine_window(call, &[0.5, -0.5])
}

fn hamming(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    cosine_window(call, &[25.0 / 46.0, -21.0 / 46.0])
}

fn blackman(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    cosine_window(call, &[0.42, -0.5, 0.08])
}
