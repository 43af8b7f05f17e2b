//! Moved, repeated and added elements.

use super::slicing::is_non_negative;
use crate::{
    call::{Call, malformed, normalised_axis},
    registry::{Import::Function, Operator},
};
use mlcc_ir::{
    attributes::{Attr, Attrs},
    diagnostic::{Diagnostic, Result},
    expr::Expr,
    graph::ValueId,
};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("CenterCropPad", 18, Function(center_crop_pad)),
    Operator::new("Concat", 4, Function(concat)),
    Operator::new("DepthToSpace", 1, Function(depth_to_space)),
    Operator::new("Pad", 2, Function(pad)),
    Operator::new("ReverseSequence", 10, Function(reverse_sequence)),
    Operator::new("SpaceToDepth", 1, Function(space_to_depth)),
    Operator::new("Tile", 6, Function(tile)),
    Operator::new("Transpose", 1, Function(transpose)),
    Operator::new("Trilu", 14, Function(trilu)),
];

fn transpose(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let x = call.input(0)?;
    let rank = call.rank(x);
    let perm = match call.attributes.ints("perm")? {
        Some(perm) => perm.iter().map(|&p| normalised_axis(p, rank)).collect::<Result<Vec<_>>>()?,
        None => (0..rank).rev().collect(),
    };
    Ok(vec![call.transpose(x, &perm)?])
}

fn concat(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let inputs = call.all_inputs()?;
    let first = *inputs.first().ok_or_else(|| malformed("the operator has no operands"))?;
    // Since opset 4 the axis has no default.
    let axis = call.required_axis(call.rank(first))?;
    Ok(vec![call.concat(&inputs, axis)?])
}

fn tile(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (x, repeats) = (call.input(0)?, call.input(1)?);
    let repeats = call.shape_operand(repeats, "repeats")?;
    Ok(vec![call.op("tile", Attrs::new().with("repeats", Attr::Exprs(repeats)), &[x])?])
}

/// Pads are attributes before opset 11, operands afterwards. From opset 18 on they may cover only
/// some axes.
fn pad(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let x = call.input(0)?;
    let rank = call.rank(x);
    let given = call.exprs_before(11, "pads", 1)?.ok_or_else(|| malformed("the pads are missing"))?;
    let axes = match call.optional(3).filter(|_| call.opset >= 18) {
        Some(axes) => {
            let axes = call.int_operand(axes, "axes")?;
            axes.iter().map(|&a| normalised_axis(a, rank)).collect::<Result<Vec<_>>>()?
        }
        None => (0..rank).collect(),
    };
    if given.len() != 2 * axes.len() {
        return Err(malformed(format!("{} pads do not fit {} axes", given.len(), axes.len())));
    }
    let mut pads = vec![Expr::from(0); 2 * rank];
    for (i, &axis) in axes.iter().enumerate() {
        pads[axis] = given[i].clone();
        pads[axis + rank] = given[i + axes.len()].clone();
    }
    let mode = call.text("mode", "constant")?;
    let value = if call.opset < 11 {
        let value = call.float("value", 0.0)?;
        (value != 0.0).then(|| call.scalar_like(x, value))
    } else {
        match call.optional(2) {
            Some(value) => Some(call.reshape(value, Vec::new())?),
            None => None,
        }
    };
    if pads.iter().all(|p| p.is(0)) {
        return Ok(vec![x]);
    }
    let attrs = Attrs::new().with("pads", Attr::Exprs(pads)).with("mode", Attr::Str(mode.into()));
    let mut operands = vec![Some(x)];
    operands.extend(value.filter(|_| mode == "constant").map(Some));
    Ok(vec![call.op_optional("pad", attrs, &operands)?])
}

fn trilu(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let x = call.input(0)?;
    let upper = call.flag("upper", true)?;
    let k = if call.optional(1).is_some() { call.one_int(1, "k")? } else { 0 };
    Ok(vec![call.op("trilu", Attrs::new().with("upper", Attr::Bool(upper)).with("k", Attr::Int(k)), &[x])?])
}

fn reverse_sequence(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (x, lens) = (call.input(0)?, call.input(1)?);
    let rank = call.rank(x);
    let batch = normalised_axis(call.int("batch_axis", 1)?, rank)?;
    let time = normalised_axis(call.int("time_axis", 0)?, rank)?;
    let attrs =
        Attrs::new().with("batch_axis", Attr::Int(batch as i64)).with("time_axis", Attr::Int(time as i64));
    Ok(vec![call.op("reverse_sequence", attrs, &[x, lens])?])
}

/// The block size and the operand's four dimensions.
fn blocks(call: &Call<'_, '_>) -> Result<(ValueId, Expr, [Expr; 4])> {
    let x = call.input(0)?;
    let size = call.int("blocksize", 0)?;
    if !(1..1 << 24).contains(&size) {
        return Err(malformed(format!("attribute 'blocksize' is {size}")));
    }
    let dims: [Expr; 4] =
        call.dims(x).try_into().map_err(|_| malformed("the operand does not have four dimensions"))?;
    Ok((x, Expr::from(size), dims))
}

/// Whether blocks are ordered depth-column-row, or else column-row-depth.
fn depth_first(call: &Call<'_, '_>) -> Result<bool> {
    match call.text("mode", "DCR")? {
        "DCR" => Ok(true),
        "CRD" => Ok(false),
        other => Err(malformed(format!("attribute 'mode' is '{other}' instead of DCR or CRD"))),
    }
}

fn depth_to_space(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (x, block, [n, c, h, w]) = blocks(call)?;
    let area = block.clone() * block.clone();
    if !c.modulo(&area).is(0) && c.as_const().is_some() {
        return Err(malformed(format!("{c} channels cannot be divided into blocks of {area}")));
    }
    let depth = c.floor_div(&area);
    let (split, perm) = if depth_first(call)? {
        ([&n, &block, &block, &depth, &h, &w], [0, 3, 4, 1, 5, 2])
    } else {
        ([&n, &depth, &block, &block, &h, &w], [0, 1, 4, 2, 5, 3])
    };
    let split = split.into_iter().cloned().collect();
    let y = call.reshape(x, split)?;
    let y = call.transpose(y, &perm)?;
    Ok(vec![call.reshape(y, vec![n, depth, h * block.clone(), w * block])?])
}

fn space_to_depth(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (x, block, [n, c, h, w]) = blocks(call)?;
    if [&h, &w].iter().any(|d| d.as_const().is_some() && !d.modulo(&block).is(0)) {
        return Err(malformed(format!("{h} x {w} elements cannot be divided into blocks of {block}")));
    }
    let (rows, columns) = (h.floor_div(&block), w.floor_div(&block));
    let perm = if depth_first(call)? { [0, 3, 5, 1, 2, 4] } else { [0, 1, 3, 5, 2, 4] };
    let split = vec![n.clone(), c.clone(), rows.clone(), block.clone(), columns.clone(), block.clone()];
    let y = call.reshape(x, split)?;
    let y = call.transpose(y, &perm)?;
    Ok(vec![call.reshape(y, vec![n, c * block.clone() * block, rows, columns])?])
}

/// Cuts out the middle of a dimension that is too large, and puts zeros around one that is too
/// small.
fn center_crop_pad(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (x, shape) = (call.input(0)?, call.input(1)?);
    let shape = call.shape_operand(shape, "shape")?;
    let dims = call.dims(x);
    let rank = dims.len();
    let axes = match call.attributes.ints("axes")? {
        Some(axes) => axes.iter().map(|&a| normalised_axis(a, rank)).collect::<Result<Vec<_>>>()?,
        None => (0..rank).collect(),
    };
    if axes.len() != shape.len() {
        return Err(malformed(format!("{} sizes do not fit {} axes", shape.len(), axes.len())));
    }
    let two = Expr::from(2);
    let (mut starts, mut sizes) = (vec![Expr::from(0); rank], dims.clone());
    let mut pads = vec![Expr::from(0); 2 * rank];
    for (&axis, wanted) in axes.iter().zip(&shape) {
        let excess = dims[axis].clone() - wanted.clone();
        let missing = wanted.clone() - dims[axis].clone();
        if is_non_negative(&excess) {
            starts[axis] = excess.floor_div(&two);
            sizes[axis] = wanted.clone();
        } else if is_non_negative(&missing) {
            pads[axis] = missing.floor_div(&two);
            pads[axis + rank] = missing.clone() - pads[axis].clone();
        } else {
            return Err(Diagnostic::unsupported(format!(
                "whether dimension {axis} is cropped or padded depends on symbolic sizes"
            ))
            .hint("give the inputs fixed shapes with --shape"));
        }
    }
    let mut y = x;
    if sizes != dims {
        y = call.slice(y, starts, sizes, vec![1; rank])?;
    }
    if pads.iter().any(|p| !p.is(0)) {
        y = call.op(
            "pad",
            Attrs::new().with("pads", Attr::Exprs(pads)).with("mode", Attr::Str("constant".into())),
            &[y],
        )?;
    }
    Ok(vec![y])
}
