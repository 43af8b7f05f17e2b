//! Interpolation: `Resize`, `Upsample`, `GridSample` and the grids for it.

use crate::{
    call::{Call, malformed, normalised_axis},
    registry::{Import::Function, Operator},
};
use mlcc_ir::{
    attributes::{Attr, Attrs},
    diagnostic::{Diagnostic, Result, count},
    expr::Expr,
    graph::ValueId,
    tensor::element_count,
};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("AffineGrid", 20, Function(affine_grid)),
    Operator::new("GridSample", 16, Function(grid_sample)),
    Operator::new("Resize", 10, Function(resize)),
    Operator::new("Upsample", 7, Function(upsample)),
];

/// The size after scaling: `floor(size * scale)`, rounded in single precision as in ONNX's shape
/// inference. For a symbolic size the scale is taken as an exact fraction.
fn scaled(size: &Expr, scale: f64) -> Result<Expr> {
    let bad = || malformed(format!("{scale} is no scale"));
    if !(scale > 0.0 && scale < 1e6) {
        return Err(bad());
    }
    if scale == 1.0 {
        return Ok(size.clone());
    }
    if let Some(n) = size.as_const() {
        return Ok(Expr::from((n as f32 * scale as f32).floor() as i64));
    }
    // A single-precision number is an integer over a power of 2.
    let (mut numerator, mut denominator) = (scale, 1i64);
    while numerator.fract() != 0.0 && denominator < 1 << 40 {
        numerator *= 2.0;
        denominator *= 2;
    }
    if numerator.fract() != 0.0 {
        return Err(bad());
    }
    Ok((size.clone() * Expr::from(numerator as i64)).floor_div(&Expr::from(denominator)))
}

/// Sizes from scales, all dimensions.
fn scaled_dims(dims: &[Expr], scales: &[f64]) -> Result<Vec<Expr>> {
    if scales.len() != dims.len() {
        return Err(malformed(format!(
            "{} for {}",
            count(scales.len(), "scale"),
            count(dims.len(), "dimension")
        )));
    }
    dims.iter().zip(scales).map(|(d, &s)| scaled(d, s)).collect()
}

/// Before opset 10, and in opset 10's `Resize`, pixels are mapped by division and rounded down.
fn upsample(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let x = call.input(0)?;
    let scales = if call.opset < 9 {
        call.attributes.floats("scales")?.map(|s| s.iter().map(|&v| f64::from(v)).collect())
    } else {
        call.constant_floats(1, "scales")?
    };
    let scales = scales.ok_or_else(|| malformed("the scales are missing"))?;
    let sizes = scaled_dims(&call.ty(x).dims, &scales)?;
    let mode = mode(call)?;
    let attrs = Attrs::new()
        .with("scales", Attr::Floats(scales))
        .with("sizes", Attr::Exprs(sizes))
        .with("mode", Attr::Str(mode.into()))
        .with("coordinate_mode", Attr::Str("asymmetric".into()))
        .with("nearest_mode", Attr::Str("floor".into()));
    Ok(vec![call.op("resize", attrs, &[x])?])
}

fn mode(call: &Call<'_, '_>) -> Result<&'static str> {
    Ok(match call.text("mode", "nearest")? {
        "nearest" => "nearest",
        "linear" | "bilinear" => "linear",
        "cubic" => "cubic",
        other => return Err(malformed(format!("attribute 'mode' is '{other}'"))),
    })
}

fn resize(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    if call.opset < 11 {
        return upsample(call);
    }
    let x = call.input(0)?;
    let dims = call.dims(x);
    let rank = dims.len();
    let axes = match call.attributes.ints("axes")? {
        Some(axes) => axes.iter().map(|&a| normalised_axis(a, rank)).collect::<Result<Vec<_>>>()?,
        None => (0..rank).collect(),
    };
    let given = call.constant_floats(2, "scales")?;
    let Given { scales, sizes, ratio } = match given {
        Some(given) => {
            let mut scales = vec![1.0; rank];
            check_length("scales", given.len(), axes.len())?;
            axes.iter().zip(given).for_each(|(&axis, scale)| scales[axis] = scale);
            let sizes = scaled_dims(&dims, &scales)?;
            Given { scales, sizes, ratio: None }
        }
        None => {
            let wanted = call.input(3).map_err(|_| malformed("neither scales nor sizes are given"))?;
            let wanted = call.shape_operand(wanted, "sizes")?;
            check_length("sizes", wanted.len(), axes.len())?;
            from_sizes(call, &dims, &axes, wanted)?
        }
    };
    let coordinates = call.text("coordinate_transformation_mode", "half_pixel")?;
    let mode = mode(call)?;
    let mut attrs = Attrs::new()
        .with("scales", Attr::Floats(scales))
        .with("sizes", Attr::Exprs(sizes))
        .with("mode", Attr::Str(mode.into()))
        .with("coordinate_mode", Attr::Str(coordinates.into()))
        .with("nearest_mode", Attr::Str(call.text("nearest_mode", "round_prefer_floor")?.into()))
        .with("cubic_coeff_a", Attr::Float(call.float("cubic_coeff_a", -0.75)?))
        .with("exclude_outside", Attr::Bool(call.flag("exclude_outside", false)?))
        .with("extrapolation_value", Attr::Float(call.float("extrapolation_value", 0.0)?))
        .with("antialias", Attr::Bool(call.flag("antialias", false)?));
    if let Some(ratio) = ratio {
        attrs = attrs.with("ratio", Attr::Ints(ratio.to_vec()));
    }
    if coordinates == "tf_crop_and_resize" {
        let given =
            call.constant_floats(1, "roi")?.ok_or_else(|| malformed("the region of interest is missing"))?;
        check_length("roi", given.len(), 2 * axes.len())?;
        let mut roi = [vec![0.0; rank], vec![1.0; rank]].concat();
        for (i, &axis) in axes.iter().enumerate() {
            roi[axis] = given[i];
            roi[axis + rank] = given[i + axes.len()];
        }
        attrs = attrs.with("roi", Attr::Floats(roi));
    }
    Ok(vec![call.op("resize", attrs, &[x])?])
}

fn check_length(what: &str, found: usize, wanted: usize) -> Result<()> {
    if found == wanted {
        return Ok(());
    }
    Err(malformed(format!("operand '{what}' has {} instead of {wanted}", count(found, "element"))))
}

/// The consequences of given sizes for a resize.
struct Given {
    /// 0 if the scale is a quotient of integers.
    scales: Vec<f64>,
    sizes: Vec<Expr>,
    /// That quotient, unless it is the quotient of a dimension's own sizes.
    ratio: Option<[i64; 2]>,
}

/// Sizes after `keep_aspect_ratio_policy`.
fn from_sizes(call: &Call<'_, '_>, dims: &[Expr], axes: &[usize], wanted: Vec<Expr>) -> Result<Given> {
    let mut sizes = dims.to_vec();
    axes.iter().zip(wanted).for_each(|(&axis, size)| sizes[axis] = size);
    let mut scales = vec![1.0; dims.len()];
    for &d in axes.iter().filter(|&&d| sizes[d] != dims[d]) {
        let lengths = (sizes[d].as_const(), dims[d].as_const());
        if matches!(lengths, (Some(new), Some(old)) if new <= 0 || old <= 0) {
            return Err(malformed(format!("dimension {d} cannot become {} long", sizes[d])));
        }
        scales[d] = 0.0;
    }
    let larger = match call.text("keep_aspect_ratio_policy", "stretch")? {
        "stretch" => return Ok(Given { scales, sizes, ratio: None }),
        "not_larger" => false,
        "not_smaller" => true,
        other => return Err(malformed(format!("attribute 'keep_aspect_ratio_policy' is '{other}'"))),
    };
    let lengths = axes.iter().map(|&d| Some([sizes[d].as_const()?, dims[d].as_const()?]));
    let lengths: Vec<[i64; 2]> = lengths.collect::<Option<_>>().ok_or_else(|| {
        Diagnostic::unsupported("the aspect ratio depends on symbolic sizes")
            .hint("give the inputs fixed shapes with --shape")
    })?;
    let product = |a: i64, b: i64| i128::from(a) * i128::from(b);
    let by_ratio = |a: &&[i64; 2], b: &&[i64; 2]| product(a[0], b[1]).cmp(&product(b[0], a[1]));
    let chosen = if larger { lengths.iter().max_by(by_ratio) } else { lengths.iter().min_by(by_ratio) };
    let Some(&ratio) = chosen else { return Ok(Given { scales, sizes, ratio: None }) };
    for (&d, [_, old]) in axes.iter().zip(&lengths) {
        // Rounded to the nearest integer, halves up.
        let doubled = 2 * product(*old, ratio[0]) + i128::from(ratio[1]);
        let size = doubled / (2 * i128::from(ratio[1]).max(1));
        sizes[d] = Expr::from(i64::try_from(size).unwrap_or(i64::MAX));
        scales[d] = 0.0;
    }
    Ok(Given { scales, sizes, ratio: Some(ratio) })
}

fn grid_sample(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (x, grid) = (call.input(0)?, call.input(1)?);
    let mode = match call.text("mode", "linear")? {
        "linear" | "bilinear" => "linear",
        "cubic" | "bicubic" => "cubic",
        "nearest" => "nearest",
        other => return Err(malformed(format!("attribute 'mode' is '{other}'"))),
    };
    let attrs = Attrs::new()
        .with("mode", Attr::Str(mode.into()))
        .with("padding_mode", Attr::Str(call.text("padding_mode", "zeros")?.into()))
        .with("align_corners", Attr::Bool(call.flag("align_corners", false)?));
    Ok(vec![call.op("grid_sample", attrs, &[x, grid])?])
}

/// Positions of the pixels of an image, transformed by a matrix. They are a product of the matrix
/// with the constant grid of all positions in homogeneous coordinates.
fn affine_grid(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (theta, size) = (call.input(0)?, call.input(1)?);
    let size = call.int_operand(size, "size")?;
    let spatial = size
        .get(2..)
        .filter(|s| (2..=3).contains(&s.len()))
        .ok_or_else(|| malformed("operand 'size' does not have 4 or 5 elements"))?;
    let pixels = element_count(spatial)
        .filter(|&n| n < 1 << 26)
        .ok_or_else(|| malformed(format!("operand 'size' is {size:?}")))?;
    let align = call.flag("align_corners", false)?;
    let position = |i: i64, n: i64| match align {
        true => -1.0 + 2.0 * i as f64 / (n - 1).max(1) as f64,
        false => -1.0 + (2 * i + 1) as f64 / n as f64,
    };
    // Rows: x, y (z), 1; x is along the last dimension.
    let mut grid = Vec::with_capacity((spatial.len() + 1) * pixels);
    let mut stride = 1;
    for &n in spatial.iter().rev() {
        grid.extend((0..pixels).map(|p| position((p / stride) as i64 % n, n)));
        stride *= n as usize;
    }
    grid.extend(std::iter::repeat_n(1.0, pixels));
    let dtype = call.dtype(theta);
    let grid = call.filled(dtype, &[spatial.len() as i64 + 1, pixels as i64], &grid);
    let y = call.matmul(theta, grid, false)?;
    let y = call.transpose(y, &[0, 2, 1])?;
    let mut shape = vec![call.dims(y)[0].clone()];
    shape.extend(spatial.iter().map(|&n| Expr::from(n)));
    shape.push(Expr::from(spatial.len() as i64));
    Ok(vec![call.reshape(y, shape)?])
}
