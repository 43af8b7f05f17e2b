//! Convolutions over one to three spatial dimensions, channels second.

use super::{
    Inferred,
    call::{Call, result},
    definition::{AttrDef, AttrKind, OpDef, OpTrait, OperandDef, Y, attr, one, opt, optional},
    pooling::window_count,
};
use crate::{diagnostic::Result, dtype::DType, expr::Expr};

const OPERANDS: &[OperandDef] = &[one("x"), one("w"), optional("bias")];
const STRIDES: AttrDef = opt("strides", AttrKind::Ints);
const PADS: AttrDef = opt("pads", AttrKind::Exprs);
const DILATIONS: AttrDef = opt("dilations", AttrKind::Ints);
const GROUP: AttrDef = attr("group", AttrKind::Int);

pub(super) fn define(into: &mut Vec<OpDef>) {
    into.push(OpDef {
        name: "conv",
        summary: "convolution: x is N x C x spatial, w is M x C/group x kernel, bias is M",
        operands: OPERANDS,
        results: Y,
        attributes: const { &[STRIDES, PADS, DILATIONS, GROUP] },
        traits: const { &[OpTrait::Product] },
        infer: conv,
    });
    into.push(OpDef {
        name: "conv_transpose",
        summary: "transposed convolution: x is N x C x spatial, w is C x M/group x kernel, bias is M",
        operands: OPERANDS,
        results: Y,
        attributes: const { &[STRIDES, PADS, DILATIONS, GROUP, opt("output_padding", AttrKind::Ints)] },
        traits: const { &[OpTrait::Product] },
        infer: conv_transpose,
    });
}

/// The common part of the two convolutions.
struct Window {
    spatial: usize,
    group: i64,
    strides: Vec<i64>,
    dilations: Vec<i64>,
    pads: Vec<Expr>,
}

impl Window {
    fn of(call: &Call<'_>) -> Result<Window> {
        call.expect_dtype(0, |d| d != DType::Bool, "numeric")?;
        call.expect_same_dtype(0, 1)?;
        call.expect_same_dtype(0, 2)?;
        let rank = call.ty(0)?.rank();
        if !(3..=5).contains(&rank) {
            return Err(call.error(0, "must have a batch, a channel and one to three spatial dimensions"));
        }
        call.expect_rank(1, rank)?;
        let spatial = rank - 2;
        let group = call.attrs.int("group", 1);
        if group < 1 {
            return Err(call.attr_error("group", format!("is {group}, but must be at least 1")));
        }
        Ok(Window {
            spatial,
            group,
            strides: call.ints_of("strides", spatial, 1, 1)?,
            dilations: call.ints_of("dilations", spatial, 1, 1)?,
            pads: call.exprs_of("pads", 2 * spatial)?,
        })
    }

    /// `dilation * (kernel - 1) + 1` of spatial dimension `d`.
    fn extent(&self, call: &Call<'_>, d: usize) -> Result<Expr> {
        let kernel = call.ty(1)?.dims[d + 2].clone();
        if kernel.is(0) {
            return Err(call.error(1, "has an empty kernel"));
        }
        Ok((kernel - Expr::from(1)) * Expr::from(self.dilations[d]) + Expr::from(1))
    }

    fn check_bias(call: &Call<'_>, channels: &Expr) -> Result<()> {
        if call.optional(2).is_none() {
            return Ok(());
        }
        call.expect_rank(2, 1)?;
        call.equal(&call.ty(2)?.dims[0], channels, "be the bias and the number of output channels")?;
        Ok(())
    }
}

fn conv(call: &Call<'_>) -> Result<Vec<Inferred>> {
    let window = Window::of(call)?;
    let (x, w) = (call.ty(0)?, call.ty(1)?);
    let per_group = w.dims[1].clone() * Expr::from(window.group);
    call.equal(&x.dims[1], &per_group, "be the input's channels and those of the weight times 'group'")?;
    if let Some(m) = w.dims[0].as_const()
        && m % window.group != 0
    {
        return Err(
            call.error(1, format!("has {m} output channels, not a multiple of group {}", window.group))
        );
    }
    call.require_multiple(&w.dims[0], window.group, "the number of groups");
    Window::check_bias(call, &w.dims[0])?;
    let mut dims = vec![x.dims[0].clone(), w.dims[0].clone()];
    for d in 0..window.spatial {
        let pads = window.pads[d].clone() + window.pads[d + window.spatial].clone();
        let padded = x.dims[d + 2].clone() + pads;
        dims.push(window_count(call, &padded, &window.extent(call, d)?, window.strides[d])?);
    }
    Ok(result(x.dtype, dims))
}

fn conv_transpose(call: &Call<'_>) -> Result<Vec<Inferred>> {
    let window = Window::of(call)?;
    let (x, w) = (call.ty(0)?, call.ty(1)?);
    call.equal(&x.dims[1], &w.dims[0], "be the input's and the weight's channels")?;
    if let Some(c) = w.dims[0].as_const()
        && c % window.group != 0
    {
        return Err(
            call.error(1, format!("has {c} input channels, not a multiple of group {}", window.group))
        );
    }
    call.require_multiple(&w.dims[0], window.group, "the number of groups");
    let channels = w.dims[1].clone() * Expr::from(window.group);
    Window::check_bias(call, &channels)?;
    let extra = call.ints_of("output_padding", window.spatial, 0, 0)?;
    let mut dims = vec![x.dims[0].clone(), channels];
    for (d, extra) in extra.into_iter().enumerate() {
        let pads = window.pads[d].clone() + window.pads[d + window.spatial].clone();
        let spread = (x.dims[d + 2].clone() - Expr::from(1)) * Expr::from(window.strides[d]);
        dims.push(spread + Expr::from(extra) + window.extent(call, d)? - pads);
    }
    Ok(result(x.dtype, dims))
}
