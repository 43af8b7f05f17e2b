//! Pooling over one to three spatial dimensions, channels second.

use super::{
    Inferred,
    call::{Call, result},
    definition::{AttrDef, AttrKind, OpDef, PLAIN, X, Y, attr, one, opt, optional},
};
use crate::{
    diagnostic::{Diagnostic, Result},
    dtype::DType,
    expr::Expr,
    requirement::Condition,
    types::TensorType,
};

const KERNEL: AttrDef = attr("kernel", AttrKind::Ints);
const STRIDES: AttrDef = opt("strides", AttrKind::Ints);
const PADS: AttrDef = opt("pads", AttrKind::Exprs);
const DILATIONS: AttrDef = opt("dilations", AttrKind::Ints);
const CEIL: AttrDef = opt("ceil_mode", AttrKind::Bool);

pub(super) fn define(into: &mut Vec<OpDef>) {
    into.push(OpDef {
        name: "max_pool",
        summary: "maximum of each window; padding never wins; the indices are those of the flat input",
        operands: X,
        results: const { &[one("y"), optional("indices")] },
        attributes: const { &[KERNEL, STRIDES, PADS, DILATIONS, CEIL, opt("storage_order", AttrKind::Int)] },
        traits: PLAIN,
        infer: pool,
    });
    into.push(OpDef {
        name: "average_pool",
        summary: "mean of each window, of the elements in the input or of all but those that ceil_mode added",
        operands: X,
        results: Y,
        attributes: const { &[KERNEL, STRIDES, PADS, DILATIONS, CEIL, opt("count_include_pad", AttrKind::Bool)] },
        traits: PLAIN,
        infer: pool,
    });
    into.push(OpDef {
        name: "lp_pool",
        summary: "p-norm of each window",
        operands: X,
        results: Y,
        attributes: const { &[KERNEL, STRIDES, PADS, DILATIONS, CEIL, attr("p", AttrKind::Int)] },
        traits: PLAIN,
        infer: pool,
    });
}

/// Number of windows of `extent` elements, `stride` apart, in `padded` elements. If a size is known only when
/// the model runs, the run checks that there is room for a window.
pub(super) fn window_count(call: &Call<'_>, padded: &Expr, extent: &Expr, stride: i64) -> Result<Expr> {
    let room = padded.clone() - extent.clone();
    let too_large = || {
        format!(
            "a window of 'graph.{}' spans {extent} elements, but the padded input has only {padded}",
            call.def.name
        )
    };
    if room.as_const().is_some_and(|room| room < 0) {
        return Err(Diagnostic::user(too_large()));
    }
    call.require(Condition::AtLeast(room.clone(), 0), too_large);
    Ok(room.floor_div(&Expr::from(stride)) + Expr::from(1))
}

/// Number of a pool's windows. If a single window is larger than the padded input by less than a stride, it
/// counts and is cut off at the end: ONNX's shape inference and ONNX Runtime round the quotient towards 0.
fn pool_window_count(call: &Call<'_>, padded: &Expr, extent: &Expr, stride: i64) -> Result<Expr> {
    match (padded.clone() - extent.clone()).as_const() {
        Some(room) if (1 - stride..0).contains(&room) => Ok(Expr::from(1)),
        _ => window_count(call, padded, extent, stride),
    }
}

/// Refuses padding that can hold a whole window of `extent` elements. Such a window has no element, and so
/// neither a maximum nor a mean.
fn check_padding(call: &Call<'_>, d: usize, pads: &[&Expr; 2], extent: &Expr) -> Result<()> {
    let holds_window =
        |pad: &&&Expr| matches!((pad.as_const(), extent.as_const()), (Some(p), Some(e)) if p >= e);
    match pads.iter().find(holds_window) {
        None => Ok(()),
        Some(pad) => Err(call
            .attr_error(
                "pads",
                format!("adds {pad} elements to spatial dimension {d}, where the window spans {extent}"),
            )
            .hint("pad by less than the window, or pad with a Pad operator of its own")),
    }
}

fn pool(call: &Call<'_>) -> Result<Vec<Inferred>> {
    if call.def.name == "max_pool" {
        call.expect_dtype(0, |d| d != DType::Bool, "numeric")?;
    } else {
        call.expect_float(0)?;
    }
    let x = call.ty(0)?;
    if !(3..=5).contains(&x.rank()) {
        return Err(call.error(0, "must have a batch, a channel and one to three spatial dimensions"));
    }
    let spatial = x.rank() - 2;
    let kernel = call.ints_of("kernel", spatial, 1, 1)?;
    let strides = call.ints_of("strides", spatial, 1, 1)?;
    let dilations = call.ints_of("dilations", spatial, 1, 1)?;
    let pads = call.exprs_of("pads", 2 * spatial)?;
    let ceil = call.attrs.bool("ceil_mode", false);
    let mut dims = x.dims[..2].to_vec();
    for d in 0..spatial {
        let one = Expr::from(1);
        let begun = x.dims[d + 2].clone() + pads[d].clone();
        let padded = begun.clone() + pads[d + spatial].clone();
        let extent = Expr::from(kernel[d] - 1) * Expr::from(dilations[d]) + one.clone();
        check_padding(call, d, &[&pads[d], &pads[d + spatial]], &extent)?;
        if !ceil {
            dims.push(pool_window_count(call, &padded, &extent, strides[d])?);
            continue;
        }
        let stride = Expr::from(strides[d]);
        // The last window may stick out, but must not begin in the padding at the end.
        let rounded_up = (padded - extent).ceil_div(&stride) + one.clone();
        let beginning = (begun - one.clone()).floor_div(&stride) + one;
        dims.push(rounded_up.minimum(&beginning));
    }
    let mut results = result(x.dtype, dims.clone());
    if call.def.name == "max_pool" {
        results.push(Inferred { ty: TensorType::new(DType::I64, dims), known: None });
    }
    Ok(results)
}
