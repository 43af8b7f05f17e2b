//! Convolutions.

use super::window::{AutoPad, Window, explicit_pads, per_dimension};
use crate::{
    call::{Call, malformed},
    registry::{Import::Function, Operator},
};
use mlcc_ir::{
    attributes::{Attr, Attrs},
    diagnostic::{Diagnostic, Result},
    expr::Expr,
    graph::ValueId,
};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("CausalConvWithState", 27, Function(causal_conv)),
    Operator::new("Conv", 1, Function(conv)),
    Operator::new("ConvTranspose", 1, Function(conv_transpose)),
];

/// The kernel's size: the weight's spatial dimensions, which must be constants.
pub(super) fn kernel_of(call: &Call<'_, '_>, weight: ValueId, rank: usize) -> Result<Vec<i64>> {
    let ty = call.ty(weight);
    if rank < 3 || ty.rank() != rank {
        return Err(malformed(format!(
            "an input of {rank} dimensions and a weight of {} cannot be convolved",
            ty.rank()
        )));
    }
    let kernel: Vec<i64> =
        ty.dims[2..].iter().map(Expr::as_const).collect::<Option<_>>().ok_or_else(|| {
            Diagnostic::unsupported("the weight's spatial dimensions are symbolic")
                .hint("give the inputs fixed shapes with --shape")
        })?;
    if let Some(declared) = call.attributes.ints("kernel_shape")?
        && declared != kernel
    {
        return Err(malformed(format!(
            "attribute 'kernel_shape' is {declared:?} but the weight's is {kernel:?}"
        )));
    }
    Ok(kernel)
}

/// Attributes of `conv`.
pub(super) fn conv_attrs(call: &Call<'_, '_>, x: ValueId, weight: ValueId) -> Result<Attrs> {
    let dims = call.dims(x);
    let kernel = kernel_of(call, weight, dims.len())?;
    let window = Window::of(call, &dims[2..], Some(kernel))?;
    Ok(Attrs::new()
        .with("strides", Attr::Ints(window.strides))
        .with("dilations", Attr::Ints(window.dilations))
        .with("pads", Attr::Exprs(window.pads))
        .with("group", Attr::Int(call.int("group", 1)?)))
}

fn conv(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (x, weight) = (call.input(0)?, call.input(1)?);
    let attrs = conv_attrs(call, x, weight)?;
    let mut operands = vec![Some(x), Some(weight)];
    operands.extend(call.optional(2).map(Some));
    Ok(vec![call.op_optional("conv", attrs, &operands)?])
}

fn conv_transpose(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (x, weight) = (call.input(0)?, call.input(1)?);
    let dims = call.dims(x);
    let kernel = kernel_of(call, weight, dims.len())?;
    let spatial = kernel.len();
    let strides = per_dimension(call, "strides", spatial)?;
    let dilations = per_dimension(call, "dilations", spatial)?;
    let mut output_padding =
        call.attributes.ints("output_padding")?.map_or_else(|| vec![0; spatial], <[i64]>::to_vec);
    if output_padding.len() != spatial || output_padding.iter().any(|p| !(0..1 << 31).contains(p)) {
        return Err(malformed(format!("attribute 'output_padding' is {output_padding:?}")));
    }
    let auto = AutoPad::of(call)?;
    let wanted = call.attributes.ints("output_shape")?;
    if wanted.is_some_and(|w| w.len() != spatial) {
        return Err(malformed(format!("attribute 'output_shape' is not of {spatial} dimensions")));
    }
    let mut pads = explicit_pads(call, spatial)?;
    for d in 0..spatial {
        let size = &dims[d + 2];
        let stride = Expr::from(strides[d]);
        let target = match (wanted, auto) {
            (Some(wanted), _) => Expr::from(wanted[d]),
            (None, AutoPad::NotSet) => continue,
            (None, AutoPad::Valid) => {
                (pads[d], pads[d + spatial]) = (Expr::from(0), Expr::from(0));
                continue;
            }
            (None, AutoPad::SameUpper | AutoPad::SameLower) => size.clone() * stride.clone(),
        };
        let extent = Expr::from((kernel[d] - 1).saturating_mul(dilations[d]).saturating_add(1));
        let full = stride * (size.clone() - Expr::from(1)) + extent + Expr::from(output_padding[d]);
        let mut total = full - target;
        if let Some(missing) = total.as_const().filter(|t| *t < 0) {
            // A given size that is larger than the windows reach is filled up at the end. With automatic padding,
            // a result that ends before `size * stride` stays so, as in ONNX's shape inference and ONNX Runtime.
            if wanted.is_some() {
                output_padding[d] = output_padding[d].saturating_sub(missing);
            }
            total = Expr::from(0);
        }
        // The specification puts the odd element at the begin, unless the upper side is asked for.
        let half = total.floor_div(&Expr::from(2));
        let rest = total - half.clone();
        (pads[d], pads[d + spatial]) = if auto == AutoPad::SameUpper { (half, rest) } else { (rest, half) };
    }
    let attrs = Attrs::new()
        .with("strides", Attr::Ints(strides))
        .with("dilations", Attr::Ints(dilations))
        .with("pads", Attr::Exprs(pads))
        .with("output_padding", Attr::Ints(output_padding))
        .with("group", Attr::Int(call.int("group", 1)?));
    let mut operands = vec![Some(x), Some(weight)];
    operands.extend(call.optional(2).map(Some));
    Ok(vec![call.op_optional("conv_transpose", attrs, &operands)?])
}

/// A depthwise convolution over time that sees the present and the past. The last `k - 1` inputs are the state
/// from which the next call continues.
fn causal_conv(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (x, weight) = (call.input(0)?, call.input(1)?);
    let dims = call.dims(x);
    let kernel = kernel_of(call, weight, dims.len())?;
    let [size] = kernel[..] else { return Err(malformed("the input does not have three dimensions")) };
    let state = Expr::from(size - 1);
    let before = match call.optional(3) {
        Some(past) => past,
        None => {
            let zero = call.scalar_like(x, 0.0);
            call.expand(zero, vec![dims[0].clone(), dims[1].clone(), state.clone()])?
        }
    };
    let seen = call.concat(&[before, x], 2)?;
    let channels = dims[1].as_const().ok_or_else(|| {
        Diagnostic::unsupported("the number of channels is symbolic")
            .hint("give the input a fixed shape with --shape")
    })?;
    let attrs = Attrs::new()
        .with("strides", Attr::Ints(vec![1]))
        .with("dilations", Attr::Ints(vec![1]))
        .with("pads", Attr::Exprs(vec![Expr::from(0); 2]))
        .with("group", Attr::Int(channels));
    let mut operands = vec![Some(seen), Some(weight)];
    operands.extend(call.optional(2).map(Some));
    let mut y = call.op_optional("conv", attrs, &operands)?;
    match call.text("activation", "none")? {
        "none" | "" => {}
        "silu" | "swish" => y = call.op("swish", Attrs::new().with("alpha", Attr::Float(1.0)), &[y])?,
        other => return Err(malformed(format!("attribute 'activation' is '{other}'"))),
    }
    let mut results = vec![y];
    if call.wants(1) {
        results.push(call.slice_axis(seen, 2, dims[2].clone(), state)?);
    }
    Ok(results)
}
