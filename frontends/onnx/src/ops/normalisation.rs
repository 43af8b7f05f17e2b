//! Normalisations.

use crate::{
    call::{Call, malformed, normalised_axes},
    registry::{Import::Function, Operator},
};
use mlcc_ir::{
    attributes::{Attr, Attrs},
    diagnostic::{Diagnostic, Result, count},
    dtype::DType,
    expr::Expr,
    graph::ValueId,
};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("BatchNormalization", 1, Function(batch_normalization)),
    Operator::new("GroupNormalization", 18, Function(group_normalization)),
    Operator::new("InstanceNormalization", 1, Function(instance_normalization)),
    Operator::new("LRN", 1, Function(lrn)),
    Operator::new("LayerNormalization", 17, Function(layer_normalization)),
    Operator::new("LpNormalization", 1, Function(lp_normalization)),
    Operator::new("MeanVarianceNormalization", 9, Function(mean_variance_normalization)),
    Operator::new("RMSNormalization", 23, Function(rms_normalization)),
];

fn epsilon(call: &Call<'_, '_>) -> Result<Attrs> {
    Ok(Attrs::new().with("epsilon", Attr::Float(call.float("epsilon", 1e-5)?)))
}

/// Uses the statistics of training or, in training mode, those of the operand.
fn batch_normalization(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let inputs = call.all_inputs()?;
    let &[x, scale, bias, mean, variance] = &inputs[..] else {
        return Err(malformed(format!("the node has {} instead of 5", count(inputs.len(), "operand"))));
    };
    let training = call.opset >= 14 && call.flag("training_mode", false)?;
    if (call.opset < 9 && !call.flag("spatial", true)?) || (call.opset < 14 && (1..5).any(|i| call.wants(i)))
    {
        return Err(Diagnostic::unsupported("the node normalises as in training")
            .hint("export the model for inference, or with opset 14 or newer"));
    }
    let attrs = epsilon(call)?;
    if !training {
        return Ok(vec![call.op("batch_norm", attrs, &[x, scale, bias, mean, variance])?]);
    }
    let axes: Vec<usize> = (0..call.rank(x)).filter(|&d| d != 1).collect();
    let current_mean = call.reduce("reduce_mean", x, &axes, true)?;
    let centred = call.binary("sub", x, current_mean)?;
    let squares = call.binary("mul", centred, centred)?;
    let current_variance = call.reduce("reduce_mean", squares, &axes, false)?;
    let channels = call.dims(current_variance);
    let current_mean = call.reshape(current_mean, channels)?;
    let current_mean = call.cast_like(current_mean, mean)?;
    let current_variance = call.cast_like(current_variance, variance)?;
    let mut results =
        vec![call.op("batch_norm", attrs, &[x, scale, bias, current_mean, current_variance])?];
    let momentum = call.float("momentum", 0.9)?;
    for (running, current) in [(mean, current_mean), (variance, current_variance)] {
        let old = call.with_scalar("mul", running, momentum)?;
        let new = call.with_scalar("mul", current, 1.0 - momentum)?;
        results.push(call.binary("add", old, new)?);
    }
    Ok(results)
}

fn instance_normalization(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (x, scale, bias) = (call.input(0)?, call.input(1)?, call.input(2)?);
    let attrs = epsilon(call)?;
    Ok(vec![call.op("instance_norm", attrs, &[x, scale, bias])?])
}

/// Scale and bias are per group before opset 21, per channel afterwards.
fn group_normalization(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (x, mut scale, mut bias) = (call.input(0)?, call.input(1)?, call.input(2)?);
    let groups = call.int("num_groups", 0)?;
    let channels = call.ty(x).dims.get(1).cloned().ok_or_else(|| malformed("the operand has no channels"))?;
    if groups < 1 || channels.as_const().is_some_and(|c| c % groups != 0) {
        return Err(malformed(format!("{channels} channels cannot be divided into {groups} groups")));
    }
    if call.opset < 21 {
        let size = channels.floor_div(&Expr::from(groups));
        for parameter in [&mut scale, &mut bias] {
            let column = call.reshape(*parameter, vec![Expr::from(groups), Expr::from(1)])?;
            let repeated = call.expand(column, vec![Expr::from(groups), size.clone()])?;
            *parameter = call.reshape(repeated, vec![channels.clone()])?;
        }
    }
    let attrs = epsilon(call)?.with("groups", Attr::Int(groups));
    Ok(vec![call.op("group_norm", attrs, &[x, scale, bias])?])
}

fn layer_normalization(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (x, scale) = (call.input(0)?, call.input(1)?);
    let axis = call.axis(-1, call.rank(x))?;
    let attrs = epsilon(call)?.with("axis", Attr::Int(axis as i64));
    let mut operands = vec![Some(x), Some(scale)];
    operands.extend(call.optional(2).map(Some));
    let results = (1..3).rev().find(|&i| call.wants(i)).map_or(1, |i| i + 1);
    call.op_results("layer_norm", attrs, &operands, results)
}

fn rms_normalization(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (x, scale) = (call.input(0)?, call.input(1)?);
    let axis = call.axis(-1, call.rank(x))?;
    let attrs = epsilon(call)?.with("axis", Attr::Int(axis as i64));
    Ok(vec![call.op("rms_norm", attrs, &[x, scale])?])
}

fn lrn(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let x = call.input(0)?;
    let attrs = Attrs::new()
        .with("size", Attr::Int(call.int("size", 0)?))
        .with("alpha", Attr::Float(call.float("alpha", 1e-4)?))
        .with("beta", Attr::Float(call.float("beta", 0.75)?))
        .with("bias", Attr::Float(call.float("bias", 1.0)?));
    Ok(vec![call.op("lrn", attrs, &[x])?])
}

/// `x` divided by its 1-norm or 2-norm along an axis; 0 if the norm is 0.
fn lp_normalization(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let x = call.input(0)?;
    let axis = call.axis(-1, call.rank(x))?;
    let norm = match call.int("p", 2)? {
        1 => {
            let magnitudes = call.unary("abs", x)?;
            call.reduce("reduce_sum", magnitudes, &[axis], true)?
        }
        2 => {
            let squares = call.binary("mul", x, x)?;
            let sum = call.reduce("reduce_sum", squares, &[axis], true)?;
            call.unary("sqrt", sum)?
        }
        p => return Err(malformed(format!("attribute 'p' is {p} instead of 1 or 2"))),
    };
    let dtype = call.dtype(x);
    let (zero, one) = (call.scalar(dtype, 0.0), call.scalar(dtype, 1.0));
    let vanishes = call.binary("equal", norm, zero)?;
    // If the norm is 0, x is 0 too.
    let divisor = call.select(vanishes, one, norm)?;
    Ok(vec![call.binary("div", x, divisor)?])
}

/// `(x - mean) / (standard deviation + 1e-9)`.
fn mean_variance_normalization(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let x = call.input(0)?;
    let axes = normalised_axes(call.attributes.ints("axes")?.unwrap_or(&[0, 2, 3]), call.rank(x))?;
    let mean = call.reduce("reduce_mean", x, &axes, true)?;
    let centred = call.binary("sub", x, mean)?;
    let squares = call.binary("mul", centred, centred)?;
    let variance = call.reduce("reduce_mean", squares, &axes, true)?;
    let deviation = call.unary("sqrt", variance)?;
    let epsilon = if call.dtype(x) == DType::F16 { 0.0 } else { 1e-9 };
    let deviation = call.with_scalar("add", deviation, epsilon)?;
    Ok(vec![call.binary("div", centred, deviation)?])
}
