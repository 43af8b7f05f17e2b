//! Other shapes for the same elements, and broadcasting to a shape.

use crate::{
    builder::product,
    call::{Call, malformed, normalised_axes, normalised_axis},
    registry::{Import::Function, Operator},
};
use mlcc_ir::{diagnostic::Result, expr::Expr, graph::ValueId, ops::broadcast};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("Expand", 8, Function(expand)),
    Operator::new("Flatten", 1, Function(flatten)),
    Operator::new("Reshape", 5, Function(reshape)),
    Operator::new("Squeeze", 1, Function(squeeze)),
    Operator::new("Unsqueeze", 1, Function(unsqueeze)),
];

/// 0 stands for the operand's size (unless `allowzero`); one -1 stands for the rest.
fn reshape(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (x, shape) = (call.input(0)?, call.input(1)?);
    let mut shape = call.shape_operand(shape, "shape")?;
    let dims = call.dims(x);
    let allow_zero = call.flag("allowzero", false)?;
    let mut open = None;
    for (d, size) in shape.iter_mut().enumerate() {
        match size.as_const() {
            Some(0) if !allow_zero => {
                *size = dims.get(d).cloned().ok_or_else(|| {
                    malformed(format!(
                        "the shape copies dimension {d}, but the operand has only {}",
                        dims.len()
                    ))
                })?;
            }
            Some(-1) if open.is_some() => return Err(malformed("the shape has more than one -1")),
            Some(-1) => open = Some(d),
            Some(n) if n < 0 => return Err(malformed(format!("the shape has the element {n}"))),
            _ => {}
        }
    }
    if let Some(open) = open {
        shape[open] = Expr::from(1);
        let (total, rest) = (product(&dims), product(&shape));
        let size = if rest.is(0) { Expr::from(0) } else { total.floor_div(&rest) };
        if let (Some(total), Some(rest)) = (total.as_const(), rest.as_const())
            && rest != 0
            && total % rest != 0
        {
            return Err(malformed(format!("{total} elements cannot be divided into parts of {rest}")));
        }
        shape[open] = size;
    }
    Ok(vec![call.reshape(x, shape)?])
}

fn squeeze(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let x = call.input(0)?;
    let dims = call.dims(x);
    let axes = match call.ints_before(13, "axes", 1)? {
        Some(axes) => normalised_axes(&axes, dims.len())?,
        None => (0..dims.len()).filter(|&d| dims[d].is(1)).collect(),
    };
    if let Some(d) = axes.iter().find(|&&d| dims[d].as_const().is_some_and(|n| n != 1)) {
        return Err(malformed(format!("dimension {d} is {}, so it cannot be squeezed", dims[*d])));
    }
    let shape = dims.into_iter().enumerate().filter(|(d, _)| !axes.contains(d)).map(|(_, n)| n).collect();
    Ok(vec![call.reshape(x, shape)?])
}

fn unsqueeze(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let x = call.input(0)?;
    let axes = call.ints_before(13, "axes", 1)?.ok_or_else(|| malformed("the axes are missing"))?;
    let mut shape = call.dims(x);
    let rank = shape.len() + axes.len();
    let sorted = normalised_axes(&axes, rank)?;
    if sorted.len() != axes.len() {
        return Err(malformed(format!("axes {axes:?} name a dimension twice")));
    }
    for axis in sorted {
        shape.insert(axis, Expr::from(1));
    }
    Ok(vec![call.reshape(x, shape)?])
}

fn flatten(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let x = call.input(0)?;
    let dims = call.dims(x);
    let axis = match call.int("axis", 1)? {
        axis if axis == dims.len() as i64 => dims.len(),
        axis => normalised_axis(axis, dims.len())?,
    };
    let shape = vec![product(&dims[..axis]), product(&dims[axis..])];
    Ok(vec![call.reshape(x, shape)?])
}

fn expand(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (x, shape) = (call.input(0)?, call.input(1)?);
    let shape = call.shape_operand(shape, "shape")?;
    let dims = broadcast(&call.ty(x).dims, &shape)?;
    Ok(vec![call.expand(x, dims)?])
}
