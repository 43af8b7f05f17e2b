//! Inverses of windows: elements are scattered back to the places from which a window took them.

use super::window::{explicit_pads, per_dimension};
use crate::{
    builder::product,
    call::{Call, malformed},
    registry::{Import::Function, Operator},
};
use mlcc_ir::{
    attributes::{Attr, Attrs},
    diagnostic::{Diagnostic, Result},
    expr::Expr,
    graph::ValueId,
    tensor::{Tensor, element_count},
};

pub(super) const OPERATORS: &[Operator] =
    &[Operator::new("Col2Im", 18, Function(col2im)), Operator::new("MaxUnpool", 9, Function(max_unpool))];

/// If there are more positions, they are not written into a constant.
const MAX_POSITIONS: usize = 1 << 26;

fn scatter(call: &mut Call<'_, '_>, operands: &[ValueId], axis: i64, reduction: &str) -> Result<ValueId> {
    let attrs = Attrs::new().with("axis", Attr::Int(axis)).with("reduction", Attr::Str(reduction.into()));
    call.op("scatter_elements", attrs, operands)
}

fn constants(pads: &[Expr]) -> Result<Vec<i64>> {
    pads.iter().map(Expr::as_const).collect::<Option<_>>().ok_or_else(|| malformed("symbolic pads"))
}

/// Sums of the blocks' elements that lie at the same pixel. The positions are a constant.
fn col2im(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (x, image, block) = (call.input(0)?, call.input(1)?, call.input(2)?);
    let (image, block) = (call.int_operand(image, "image_shape")?, call.int_operand(block, "block_shape")?);
    let spatial = image.len();
    if block.len() != spatial || spatial == 0 {
        return Err(malformed("operands 'image_shape' and 'block_shape' are of different lengths"));
    }
    let (strides, dilations) =
        (per_dimension(call, "strides", spatial)?, per_dimension(call, "dilations", spatial)?);
    let pads = constants(&explicit_pads(call, spatial)?)?;
    let mut padded = Vec::with_capacity(spatial);
    let mut counts = Vec::with_capacity(spatial);
    for d in 0..spatial {
        let size = image[d].saturating_add(pads[d]).saturating_add(pads[d + spatial]);
        let extent = (block[d] - 1).saturating_mul(dilations[d]).saturating_add(1);
        if block[d] < 1 || extent > size || pads[d] < 0 || pads[d + spatial] < 0 {
            return Err(malformed(format!("blocks of {extent} elements in an image of {size}")));
        }
        padded.push(size);
        counts.push((size - extent) / strides[d] + 1);
    }
    let total = element_count(&block).zip(element_count(&counts)).and_then(|(a, b)| a.checked_mul(b));
    let pixels = element_count(&padded).filter(|&n| n <= MAX_POSITIONS);
    let (Some(total), Some(pixels)) = (total.filter(|&n| n <= MAX_POSITIONS), pixels) else {
        return Err(Diagnostic::unsupported("the image is too large").hint("use ConvTranspose instead"));
    };
    // The pixel of every element: the outer loops run over the place in the block, the inner ones
    // over the blocks.
    let mut positions = vec![0i64; 1];
    for (sizes, steps) in [(&block, &dilations), (&counts, &strides)] {
        for d in 0..spatial {
            let stride = element_count(&padded[d + 1..]).unwrap_or(1) as i64 * steps[d];
            positions = positions.iter().flat_map(|&p| (0..sizes[d]).map(move |i| p + i * stride)).collect();
        }
    }
    let dims = call.dims(x);
    let [batch, columns, blocks] = &dims[..] else {
        return Err(malformed("the operand does not have three dimensions"));
    };
    let per_channel = block.iter().fold(Expr::from(1), |n, &b| n * Expr::from(b));
    let channels = columns.floor_div(&per_channel);
    if blocks.as_const().is_some_and(|n| Some(n as usize) != element_count(&counts)) {
        return Err(malformed(format!("{blocks} blocks do not fit the image")));
    }
    let flat = vec![batch.clone(), channels.clone(), Expr::from(total as i64)];
    let updates = call.reshape(x, flat.clone())?;
    let positions = call.literal(Tensor::from_i64(&[1, 1, total as i64], &positions));
    let positions = call.expand(positions, flat)?;
    let zero = call.scalar_like(x, 0.0);
    let zeros = call.expand(zero, vec![batch.clone(), channels.clone(), Expr::from(pixels as i64)])?;
    let sums = scatter(call, &[zeros, positions, updates], 2, "add")?;
    let mut shape = vec![batch.clone(), channels];
    shape.extend(padded.iter().map(|&n| Expr::from(n)));
    let mut y = call.reshape(sums, shape)?;
    for d in 0..spatial {
        y = call.slice_axis(y, d + 2, Expr::from(pads[d]), Expr::from(image[d]))?;
    }
    Ok(vec![y])
}

/// Puts the maxima back at their places, with zeros elsewhere.
fn max_unpool(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (x, indices) = (call.input(0)?, call.input(1)?);
    let dims = call.dims(x);
    if dims.len() < 3 {
        return Err(malformed("the operand has no spatial dimensions"));
    }
    let spatial = dims.len() - 2;
    if !call.attributes.has("kernel_shape") {
        return Err(malformed("attribute 'kernel_shape' is missing"));
    }
    let kernel = per_dimension(call, "kernel_shape", spatial)?;
    let strides = per_dimension(call, "strides", spatial)?;
    let pads = explicit_pads(call, spatial)?;
    let mut shape = dims[..2].to_vec();
    for d in 0..spatial {
        let covered = (dims[d + 2].clone() - Expr::from(1)) * Expr::from(strides[d]) + Expr::from(kernel[d]);
        shape.push(covered - pads[d].clone() - pads[d + spatial].clone());
    }
    let elements = product(&dims);
    let updates = call.reshape(x, vec![elements.clone()])?;
    let positions = call.reshape(indices, vec![elements])?;
    let zero = call.scalar_like(x, 0.0);
    let zeros = call.expand(zero, vec![product(&shape)])?;
    let flat = scatter(call, &[zeros, positions, updates], 0, "none")?;
    let y = call.reshape(flat, shape.clone())?;
    let Some(wanted) = call.optional(2) else { return Ok(vec![y]) };
    let wanted = call.shape_operand(wanted, "output_shape")?;
    if wanted.len() != shape.len() {
        return Err(malformed("operand 'output_shape' does not fit the operand"));
    }
    let mut pads = vec![Expr::from(0); shape.len()];
    pads.extend(wanted.into_iter().zip(shape).map(|(wanted, size)| wanted - size));
    let attrs = Attrs::new().with("pads", Attr::Exprs(pads)).with("mode", Attr::Str("constant".into()));
    Ok(vec![call.op("pad", attrs, &[y])?])
}
