//! Windows that slide over spatial dimensions, shared by convolutions and pooling.

use crate::call::{Call, malformed};
use mlcc_ir::{
    diagnostic::{Result, count},
    expr::Expr,
};

/// The window's attributes, with defaults and `auto_pad` resolved.
pub(super) struct Window {
    pub(super) kernel: Vec<i64>,
    pub(super) strides: Vec<i64>,
    pub(super) dilations: Vec<i64>,
    /// Begin of each dimension, then end of each dimension.
    pub(super) pads: Vec<Expr>,
}

/// Larger kernels, strides and dilations are considered damage.
const MAX_WINDOW: i64 = 1 << 31;

/// An attribute with one positive integer per spatial dimension; ones by default.
pub(super) fn per_dimension(call: &Call<'_, '_>, name: &str, spatial: usize) -> Result<Vec<i64>> {
    let values = call.attributes.ints(name)?.map_or_else(|| vec![1; spatial], <[i64]>::to_vec);
    if values.len() != spatial {
        return Err(malformed(format!(
            "attribute '{name}' has {} for {}",
            count(values.len(), "element"),
            count(spatial, "spatial dimension")
        )));
    }
    match values.iter().find(|v| !(1..MAX_WINDOW).contains(*v)) {
        Some(v) => Err(malformed(format!("attribute '{name}' has the element {v}"))),
        None => Ok(values),
    }
}

/// `auto_pad`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AutoPad {
    NotSet,
    SameUpper,
    SameLower,
    Valid,
}

impl AutoPad {
    pub(super) fn of(call: &Call<'_, '_>) -> Result<AutoPad> {
        Ok(match call.text("auto_pad", "NOTSET")? {
            "NOTSET" | "" => AutoPad::NotSet,
            "SAME_UPPER" => AutoPad::SameUpper,
            "SAME_LOWER" => AutoPad::SameLower,
            "VALID" => AutoPad::Valid,
            other => return Err(malformed(format!("attribute 'auto_pad' is '{other}'"))),
        })
    }

    /// Divides the missing elements between begin and end; `SAME_LOWER` puts the odd one at the
    /// begin.
    pub(super) fn divide(self, total: &Expr) -> (Expr, Expr) {
        let half = total.floor_div(&Expr::from(2));
        let rest = total.clone() - half.clone();
        if self == AutoPad::SameLower { (rest, half) } else { (half, rest) }
    }
}

/// The explicit padding; zeros by default.
pub(super) fn explicit_pads(call: &Call<'_, '_>, spatial: usize) -> Result<Vec<Expr>> {
    let pads = call.attributes.ints("pads")?.map_or_else(|| vec![0; 2 * spatial], <[i64]>::to_vec);
    if pads.len() != 2 * spatial {
        return Err(malformed(format!(
            "attribute 'pads' has {} for {}",
            count(pads.len(), "element"),
            count(spatial, "spatial dimension")
        )));
    }
    Ok(pads.into_iter().map(Expr::from).collect())
}

impl Window {
    /// The window of a call over the spatial dimensions `dims`; `kernel` is the window's size if it
    /// is not an attribute.
    pub(super) fn of(call: &Call<'_, '_>, dims: &[Expr], kernel: Option<Vec<i64>>) -> Result<Window> {
        let spatial = dims.len();
        let kernel = match kernel {
            Some(kernel) => kernel,
            None if !call.attributes.has("kernel_shape") => {
                return Err(malformed("attribute 'kernel_shape' is missing"));
            }
            None => per_dimension(call, "kernel_shape", spatial)?,
        };
        let strides = per_dimension(call, "strides", spatial)?;
        let dilations = per_dimension(call, "dilations", spatial)?;
        let auto = AutoPad::of(call)?;
        let pads = match auto {
            AutoPad::NotSet => explicit_pads(call, spatial)?,
            AutoPad::Valid => vec![Expr::from(0); 2 * spatial],
            AutoPad::SameUpper | AutoPad::SameLower => {
                let mut pads = vec![Expr::from(0); 2 * spatial];
                for d in 0..spatial {
                    let total = same_padding(&dims[d], kernel[d], strides[d], dilations[d]);
                    (pads[d], pads[d + spatial]) = auto.divide(&total);
                }
                pads
            }
        };
        Ok(Window { kernel, strides, dilations, pads })
    }
}

/// Padding after which a window with this stride has `ceil(size / stride)` places.
fn same_padding(size: &Expr, kernel: i64, stride: i64, dilation: i64) -> Expr {
    let stride = Expr::from(stride);
    let extent = Expr::from((kernel - 1).saturating_mul(dilation)) + Expr::from(1);
    let places = size.ceil_div(&stride);
    let needed = (places - Expr::from(1)) * stride + extent;
    (needed - size.clone()).maximum(&Expr::from(0))
}
