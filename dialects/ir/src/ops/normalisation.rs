//! Normalisations: over the last axes, over the batch, over channels and groups of them.

use super::{
    Inferred,
    call::{Call, result},
    definition::{AttrDef, AttrKind, OpDef, OperandDef, PLAIN, X, Y, attr, one, optional},
    sizes::broadcasts_to,
};
use crate::{diagnostic::Result, dtype::DType, expr::Expr, types::TensorType};

const EPSILON: AttrDef = attr("epsilon", AttrKind::Float);
const X_SCALE_BIAS: &[OperandDef] = &[one("x"), one("scale"), one("bias")];

pub(super) fn define(into: &mut Vec<OpDef>) {
    let mut op = |name, summary, operands, results, attributes, infer| {
        into.push(OpDef { name, summary, operands, results, attributes, traits: PLAIN, infer });
    };
    op(
        "layer_norm",
        "(x - mean) / sqrt(variance + epsilon) * scale + bias over the dimensions from axis on",
        const { &[one("x"), optional("scale"), optional("bias")] },
        const { &[one("y"), optional("mean"), optional("inv_std")] },
        const { &[attr("axis", AttrKind::Int), EPSILON] },
        over_last_axes,
    );
    op(
        "rms_norm",
        "x / sqrt(mean of squares + epsilon) * scale over the dimensions from axis on",
        const { &[one("x"), optional("scale")] },
        Y,
        const { &[attr("axis", AttrKind::Int), EPSILON] },
        over_last_axes,
    );
    op(
        "batch_norm",
        "(x - mean) / sqrt(variance + epsilon) * scale + bias, all given per channel",
        const { &[one("x"), one("scale"), one("bias"), one("mean"), one("variance")] },
        Y,
        const { &[EPSILON] },
        per_channel,
    );
    op(
        "instance_norm",
        "(x - mean) / sqrt(variance + epsilon) * scale + bias over the spatial dimensions",
        X_SCALE_BIAS,
        Y,
        const { &[EPSILON] },
        per_channel,
    );
    op(
        "group_norm",
        "(x - mean) / sqrt(variance + epsilon) * scale + bias over groups of channels",
        X_SCALE_BIAS,
        Y,
        const { &[attr("groups", AttrKind::Int), EPSILON] },
        per_channel,
    );
    const LRN: &[AttrDef] = &[
        attr("size", AttrKind::Int),
        attr("alpha", AttrKind::Float),
        attr("beta", AttrKind::Float),
        attr("bias", AttrKind::Float),
    ];
    op("lrn", "x / (bias + alpha / size * sum of squares over size channels) ^ beta", X, Y, LRN, lrn);
}

fn over_last_axes(call: &Call<'_>) -> Result<Vec<Inferred>> {
    call.expect_float(0)?;
    let x = call.ty(0)?;
    let axis = call.axis("axis", x.rank())?;
    for i in 1..call.operands.len() {
        call.expect_same_dtype(0, i)?;
        let Some(operand) = call.optional(i) else { continue };
        if !broadcasts_to(&operand.ty.dims, &x.dims) {
            return Err(call.error(i, format!("does not broadcast to operand 'x' ({x})")));
        }
        let skipped = x.rank() - operand.ty.rank();
        let meeting = operand.ty.dims.iter().zip(&x.dims[skipped..]);
        meeting.for_each(|(dim, to)| call.require_broadcast(dim, to));
    }
    let mut results = result(x.dtype, x.dims.clone());
    if call.def.name == "layer_norm" {
        // ONNX computes the statistics in f32 at least, for every element type.
        let dtype = if x.dtype == DType::F64 { DType::F64 } else { DType::F32 };
        let mut dims = x.dims.clone();
        dims[axis..].fill(Expr::from(1));
        let statistics = Inferred { ty: TensorType::new(dtype, dims), known: None };
        results.extend([statistics.clone(), statistics]);
    }
    Ok(results)
}

fn per_channel(call: &Call<'_>) -> Result<Vec<Inferred>> {
    call.expect_float(0)?;
    let x = call.ty(0)?;
    if x.rank() < 2 && !(call.def.name == "batch_norm" && x.rank() == 1) {
        return Err(call.error(0, "must have a batch and a channel dimension"));
    }
    let channels = x.dims.get(1).cloned().unwrap_or(Expr::from(1));
    for i in 1..call.operands.len() {
        call.expect_float(i)?;
        call.expect_rank(i, 1)?;
        call.equal(&call.ty(i)?.dims[0], &channels, "be a parameter per channel and the number of channels")
            .map_err(|e| call.error(i, format!("does not fit operand 'x' ({x}): {}", e.message)))?;
    }
    if call.def.name == "group_norm" {
        let groups = call.attrs.int("groups", 1);
        if groups < 1 || channels.as_const().is_some_and(|c| c % groups != 0) {
            return Err(
                call.attr_error("groups", format!("is {groups}, but must divide {channels} channels"))
            );
        }
        call.require_multiple(&channels, groups, "the number of groups");
    }
    Ok(result(x.dtype, x.dims.clone()))
}

fn lrn(call: &Call<'_>) -> Result<Vec<Inferred>> {
    call.expect_float(0)?;
    let x = call.ty(0)?;
    if x.rank() < 2 {
        return Err(call.error(0, "must have a batch and a channel dimension"));
    }
    if call.attrs.int("size", 1) < 1 {
        return Err(call.attr_error("size", "must be at least 1"));
    }
    Ok(result(x.dtype, x.dims.clone()))
}
