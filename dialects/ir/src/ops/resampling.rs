//! Resampling: interpolation on regular and given grids.

use super::{
    Inferred,
    call::{Call, result},
    definition::{AttrDef, AttrKind, OpDef, PLAIN, X, Y, attr, one, opt},
};
use crate::{diagnostic::Result, dtype::DType, expr::Expr, requirement::Condition};

const RESIZE: &[AttrDef] = &[
    attr("scales", AttrKind::Floats),
    attr("sizes", AttrKind::Exprs),
    attr("mode", AttrKind::Str),
    opt("coordinate_mode", AttrKind::Str),
    opt("nearest_mode", AttrKind::Str),
    opt("cubic_coeff_a", AttrKind::Float),
    opt("exclude_outside", AttrKind::Bool),
    opt("extrapolation_value", AttrKind::Float),
    opt("antialias", AttrKind::Bool),
    opt("roi", AttrKind::Floats),
    opt("ratio", AttrKind::Ints),
];

pub(super) fn define(into: &mut Vec<OpDef>) {
    into.push(OpDef {
        name: "resize",
        summary: "x resampled to other sizes by a separable filter; a scale of 0 is the quotient of the sizes, or of the two numbers of ratio",
        operands: X,
        results: Y,
        attributes: RESIZE,
        traits: PLAIN,
        infer: resize,
    });
    into.push(OpDef {
        name: "grid_sample",
        summary: "x sampled at the grid's positions, -1 to 1 along each spatial dimension",
        operands: const { &[one("x"), one("grid")] },
        results: Y,
        attributes: const {
            &[
                attr("mode", AttrKind::Str),
                opt("padding_mode", AttrKind::Str),
                opt("align_corners", AttrKind::Bool),
            ]
        },
        traits: PLAIN,
        infer: grid_sample,
    });
}

fn resize(call: &Call<'_>) -> Result<Vec<Inferred>> {
    call.expect_dtype(0, |d| d != DType::Bool, "numeric")?;
    let x = call.ty(0)?;
    let sizes = call.exprs_of("sizes", x.rank())?;
    let scales = call.attrs.floats("scales").unwrap_or(&[]);
    if scales.len() != x.rank() {
        return Err(call.attr_error("scales", format!("must have {} elements", x.rank())));
    }
    if scales.iter().any(|s| s.is_nan() || *s < 0.0) {
        return Err(call.attr_error("scales", "must be at least 0"));
    }
    if call.attrs.ints("ratio").is_some_and(|r| r.len() != 2 || r.iter().any(|&n| n < 1)) {
        return Err(call.attr_error("ratio", "must be two integers of at least 1"));
    }
    for (dim, _) in x.dims.iter().zip(scales).filter(|(_, scale)| **scale == 0.0) {
        call.require(Condition::AtLeast(dim.clone(), 1), || format!("{dim} must not be 0"));
    }
    call.choice("mode", &["nearest", "linear", "cubic"])?;
    let coordinates = call.choice(
        "coordinate_mode",
        &[
            "half_pixel",
            "half_pixel_symmetric",
            "pytorch_half_pixel",
            "align_corners",
            "asymmetric",
            "tf_crop_and_resize",
            "tf_half_pixel_for_nn",
        ],
    )?;
    call.choice("nearest_mode", &["round_prefer_floor", "round_prefer_ceil", "floor", "ceil", "simple"])?;
    if coordinates == "tf_crop_and_resize" && call.attrs.floats("roi").is_none_or(|r| r.len() != 2 * x.rank())
    {
        return Err(call.attr_error("roi", format!("must have {} elements", 2 * x.rank())));
    }
    Ok(result(x.dtype, sizes))
}

fn grid_sample(call: &Call<'_>) -> Result<Vec<Inferred>> {
    call.expect_dtype(0, |d| d != DType::Bool, "numeric")?;
    call.expect_float(1)?;
    let x = call.ty(0)?;
    if x.rank() < 3 {
        return Err(call.error(0, "must have a batch, a channel and spatial dimensions"));
    }
    call.expect_rank(1, x.rank())?;
    call.choice("mode", &["linear", "nearest", "cubic"])?;
    call.choice("padding_mode", &["zeros", "border", "reflection"])?;
    let grid = call.ty(1)?;
    let spatial = Expr::from(x.rank() as i64 - 2);
    let batch = call.equal(&x.dims[0], &grid.dims[0], "be the batches of input and grid")?;
    call.equal(&grid.dims[x.rank() - 1], &spatial, "be the grid's coordinates and the spatial dimensions")?;
    let mut dims = vec![batch, x.dims[1].clone()];
    dims.extend_from_slice(&grid.dims[1..x.rank() - 1]);
    Ok(result(x.dtype, dims))
}
