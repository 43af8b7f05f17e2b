//! Pooling: windows, and whole spatial dimensions.

use super::window::{AutoPad, Window};
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
    Operator::new("AveragePool", 1, Function(average_pool)),
    Operator::new("GlobalAveragePool", 1, Function(global_average)),
    Operator::new("GlobalLpPool", 1, Function(global_lp)),
    Operator::new("GlobalMaxPool", 1, Function(global_max)),
    Operator::new("LpPool", 1, Function(lp_pool)),
    Operator::new("MaxPool", 1, Function(max_pool)),
];

/// The operand and the attributes that all windowed pooling shares.
fn windowed(call: &Call<'_, '_>) -> Result<(ValueId, Attrs)> {
    let x = call.input(0)?;
    let dims = call.dims(x);
    if dims.len() < 3 {
        return Err(malformed("the operand has no spatial dimensions"));
    }
    let window = Window::of(call, &dims[2..], None)?;
    if call.attributes.has("pads") && AutoPad::of(call)? == AutoPad::NotSet {
        check_pads(&window)?;
    }
    let attrs = Attrs::new()
        .with("kernel", Attr::Ints(window.kernel))
        .with("strides", Attr::Ints(window.strides))
        .with("dilations", Attr::Ints(window.dilations))
        .with("pads", Attr::Exprs(window.pads))
        .with("ceil_mode", Attr::Bool(call.flag("ceil_mode", false)?));
    Ok((x, attrs))
}

/// Explicit padding must be smaller than the kernel. ONNX Runtime demands this for all dilations.
fn check_pads(window: &Window) -> Result<()> {
    let kernels = window.kernel.iter().cycle();
    match window.pads.iter().zip(kernels).find(|(pad, kernel)| pad.as_const().is_some_and(|p| p >= **kernel)) {
        None => Ok(()),
        Some((pad, kernel)) => Err(malformed(format!(
            "attribute 'pads' has the element {pad}, but padding must be smaller than the kernel, here {kernel}"
        ))
        .hint("pad by less than 'kernel_shape', or with a Pad node before this one")),
    }
}

fn max_pool(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (x, attrs) = windowed(call)?;
    let attrs = attrs.with("storage_order", Attr::Int(call.int("storage_order", 0)?));
    let results = if call.wants(1) { 2 } else { 1 };
    call.op_results("max_pool", attrs, &[Some(x)], results)
}

fn average_pool(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (x, attrs) = windowed(call)?;
    let attrs = attrs.with("count_include_pad", Attr::Bool(call.flag("count_include_pad", false)?));
    Ok(vec![call.op("average_pool", attrs, &[x])?])
}

fn lp_pool(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (x, attrs) = windowed(call)?;
    let attrs = attrs.with("p", Attr::Int(call.int("p", 2)?));
    Ok(vec![call.op("lp_pool", attrs, &[x])?])
}

/// The operand and its spatial axes.
fn spatial(call: &Call<'_, '_>) -> Result<(ValueId, Vec<usize>)> {
    let x = call.input(0)?;
    let rank = call.rank(x);
    if rank < 2 {
        return Err(malformed("the operand has no channel dimension"));
    }
    Ok((x, (2..rank).collect()))
}

fn global_average(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (x, axes) = spatial(call)?;
    Ok(vec![call.reduce("reduce_mean", x, &axes, true)?])
}

fn global_max(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (x, axes) = spatial(call)?;
    Ok(vec![call.reduce("reduce_max", x, &axes, true)?])
}

/// `(sum |x|^p)^(1/p)`.
fn global_lp(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (x, axes) = spatial(call)?;
    let p = call.int("p", 2)?;
    if p < 1 {
        return Err(malformed(format!("attribute 'p' is {p}")));
    }
    let magnitude = call.unary("abs", x)?;
    let powers = match p {
        1 => magnitude,
        2 => call.binary("mul", x, x)?,
        _ => call.with_scalar("pow", magnitude, p as f64)?,
    };
    let sum = call.reduce("reduce_sum", powers, &axes, true)?;
    Ok(vec![match p {
        1 => sum,
        2 => call.unary("sqrt", sum)?,
        _ => call.with_scalar("pow", sum, 1.0 / p as f64)?,
    }])
}
