//! Gather, scatter, and selection by value.

use crate::{
    call::{Call, malformed, normalised_axis},
    registry::{Import::Function, Operator},
};
use mlcc_ir::{
    attributes::{Attr, Attrs},
    diagnostic::{Diagnostic, Result},
    dtype::DType,
    expr::Expr,
    graph::ValueId,
    tensor::{Tensor, element_count},
};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("Compress", 9, Function(compress)),
    Operator::new("Gather", 1, Function(gather)),
    Operator::new("GatherElements", 11, Function(gather_elements)),
    Operator::new("GatherND", 11, Function(gather_nd)),
    Operator::new("NonZero", 9, Function(non_zero)),
    Operator::new("OneHot", 9, Function(one_hot)),
    Operator::new("Scatter", 9, Function(scatter_elements)),
    Operator::new("ScatterElements", 11, Function(scatter_elements)),
    Operator::new("ScatterND", 11, Function(scatter_nd)),
    Operator::new("TensorScatter", 24, Function(tensor_scatter)),
    Operator::new("TopK", 1, Function(top_k)),
];

fn gather(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (data, indices) = (call.input(0)?, call.input(1)?);
    let axis = call.axis(0, call.rank(data))?;
    Ok(vec![call.along("gather", &[data, indices], axis)?])
}

fn gather_elements(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (data, indices) = (call.input(0)?, call.input(1)?);
    let axis = call.axis(0, call.rank(data))?;
    Ok(vec![call.along("gather_elements", &[data, indices], axis)?])
}

fn gather_nd(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (data, indices) = (call.input(0)?, call.input(1)?);
    let batch = call.int("batch_dims", 0)?;
    Ok(vec![call.op("gather_nd", Attrs::new().with("batch_dims", Attr::Int(batch)), &[data, indices])?])
}

fn reduction<'m>(call: &Call<'_, 'm>) -> Result<&'m str> {
    call.text("reduction", "none")
}

fn scatter_elements(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (data, indices, updates) = (call.input(0)?, call.input(1)?, call.input(2)?);
    let axis = call.axis(0, call.rank(data))?;
    let attrs = Attrs::new()
        .with("axis", Attr::Int(axis as i64))
        .with("reduction", Attr::Str(reduction(call)?.into()));
    Ok(vec![call.op("scatter_elements", attrs, &[data, indices, updates])?])
}

fn scatter_nd(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (data, indices, updates) = (call.input(0)?, call.input(1)?, call.input(2)?);
    let attrs = Attrs::new().with("reduction", Attr::Str(reduction(call)?.into()));
    Ok(vec![call.op("scatter_nd", attrs, &[data, indices, updates])?])
}

/// Indices may be floats, and so may the depth.
fn one_hot(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (indices, values) = (call.input(0)?, call.input(2)?);
    let depth = call.input(1)?;
    let depth = match call.known_ints(depth) {
        Some(known) if known.len() == 1 => known[0].clone(),
        _ => match call.constant_floats(1, "depth")?.as_deref() {
            Some([depth]) => Expr::from(*depth as i64),
            _ => return Err(malformed("operand 'depth' is not a single element")),
        },
    };
    let axis = normalised_axis(call.int("axis", -1)?, call.rank(indices) + 1)?;
    let indices = call.cast(indices, DType::I64)?;
    let attrs = Attrs::new().with("axis", Attr::Int(axis as i64)).with("depth", Attr::Exprs(vec![depth]));
    Ok(vec![call.op("one_hot", attrs, &[indices, values])?])
}

/// `k` is an attribute before opset 10, an operand afterwards.
fn top_k(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let x = call.input(0)?;
    let axis = call.axis(-1, call.rank(x))?;
    let k = if call.opset < 10 { Expr::from(call.int("k", 0)?) } else { call.expr_operand(1, "K")? };
    let attrs = Attrs::new()
        .with("k", Attr::Exprs(vec![k]))
        .with("axis", Attr::Int(axis as i64))
        .with("largest", Attr::Bool(call.flag("largest", true)?))
        .with("sorted", Attr::Bool(call.flag("sorted", true)?));
    call.op_results("top_k", attrs, &[Some(x)], 2)
}

/// A small constant operand that decides the size of the operator's result.
fn deciding_constant(call: &mut Call<'_, '_>, i: usize, what: &str) -> Result<Tensor> {
    let id = call.input(i)?;
    call.constant_value(id).filter(|t| t.elements() <= 1 << 20).ok_or_else(|| {
        Diagnostic::unsupported(format!("the result's size depends on the elements of operand '{what}'"))
            .hint("sizes that depend on data are not supported yet, unless the operand is a constant")
    })
}

/// The slices for which a condition holds. The condition must be a constant, so this is a gather.
fn compress(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let x = call.input(0)?;
    let condition = deciding_constant(call, 1, "condition")?;
    let (x, axis) = match call.attributes.int("axis")? {
        Some(axis) => (x, normalised_axis(axis, call.rank(x))?),
        None => {
            let elements = call.ty(x).elements();
            (call.reshape(x, vec![elements])?, 0)
        }
    };
    // A condition may be shorter than the axis; elements beyond its end are not selected.
    let length = call.ty(x).dims[axis].as_const().and_then(|n| usize::try_from(n).ok());
    let length = condition.elements().min(length.unwrap_or(usize::MAX));
    let chosen: Vec<i64> =
        (0..length).filter(|&i| condition.get(i).to_i64() != 0).map(|i| i as i64).collect();
    let indices = call.ints(&chosen);
    Ok(vec![call.along("gather", &[x, indices], axis)?])
}

/// The positions of the elements of a constant that are not 0.
fn non_zero(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let x = deciding_constant(call, 0, "X")?;
    let found: Vec<usize> = (0..x.elements()).filter(|&i| x.get(i).to_f64() != 0.0).collect();
    let mut positions = Vec::with_capacity(found.len() * x.dims.len());
    for (d, &size) in x.dims.iter().enumerate() {
        let stride = element_count(&x.dims[d + 1..]).unwrap_or(1).max(1);
        positions.extend(found.iter().map(|&i| (i / stride) as i64 % size.max(1)));
    }
    let dims = [x.dims.len() as i64, found.len() as i64];
    Ok(vec![call.literal(Tensor::from_i64(&dims, &positions))])
}

/// Writes a block of each sequence into a cache, from an index per sequence on. The positions along
/// the axis are computed, and the block is scattered to them.
fn tensor_scatter(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let (cache, update) = (call.input(0)?, call.input(1)?);
    let (cache_dims, dims) = (call.dims(cache), call.dims(update));
    let axis = normalised_axis(call.int("axis", -2)?, cache_dims.len())?;
    if axis == 0 || dims.len() != cache_dims.len() {
        return Err(malformed("the axis is that of the batch, or the operands are of different rank"));
    }
    let start = call.int_scalar(DType::I64, 0);
    let step = call.int_scalar(DType::I64, 1);
    let length = Attrs::new().with("length", Attr::Exprs(vec![dims[axis].clone()]));
    let positions = call.op("range", length, &[start, step])?;
    let mut shape = vec![Expr::from(1); dims.len()];
    shape[axis] = dims[axis].clone();
    let mut positions = call.reshape(positions, shape)?;
    if let Some(first) = call.optional(2) {
        let mut shape = vec![Expr::from(1); dims.len()];
        shape[0] = dims[0].clone();
        let first = call.reshape(first, shape)?;
        positions = call.binary("add", positions, first)?;
    }
    match call.text("mode", "linear")? {
        "linear" => {}
        "circular" => {
            let size = call.dims_value(vec![cache_dims[axis].clone()], true)?;
            positions = call.op("mod", Attrs::new().with("fmod", Attr::Bool(false)), &[positions, size])?;
        }
        other => {
            return Err(malformed(format!("attribute 'mode' is '{other}' instead of linear or circular")));
        }
    }
    let indices = call.expand(positions, dims)?;
    let attrs = Attrs::new().with("axis", Attr::Int(axis as i64)).with("reduction", Attr::Str("none".into()));
    Ok(vec![call.op("scatter_elements", attrs, &[cache, indices, update])?])
}
