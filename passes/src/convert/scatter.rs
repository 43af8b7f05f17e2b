//! Writes at indices that are data: a copy of the operand, then the updates, in order. An index out of
//! bounds writes nothing.

use super::{
    kernels::{KernelBuilder, axes_over, indices},
    lowering::Lowering,
    scalars::Scalars,
};
use mlcc_ir::{
    diagnostic::Result,
    expr::Expr,
    graph::ValueId,
    kernel::{AxisKind, Combine},
};

/// Lowers an operator of this family; `None` if it is none.
pub(super) fn lower(op: &mut Lowering<'_, '_>) -> Option<Result<()>> {
    Some(match op.name() {
        "scatter_elements" => lower_scatter_elements(op),
        "scatter_nd" => lower_scatter_nd(op),
        _ => return None,
    })
}

fn combine(op: &Lowering<'_, '_>) -> Result<Option<Combine>> {
    match op.attrs().str("reduction", "none") {
        "none" => Ok(None),
        "add" => Ok(Some(Combine::Add)),
        "mul" => Ok(Some(Combine::Mul)),
        "max" => Ok(Some(Combine::Max)),
        "min" => Ok(Some(Combine::Min)),
        other => Err(op.unsupported(&format!("the reduction '{other}' is unknown"))),
    }
}

/// The inputs data, indices and updates, the output, and the copy of the data into it.
fn start(op: &Lowering<'_, '_>) -> Result<(KernelBuilder, [ValueId; 3], [usize; 4])> {
    let values = [op.operand(0)?, op.operand(1)?, op.operand(2)?];
    let mut k = op.kernel();
    let data = k.input(op, values[0], "data");
    let index = k.input(op, values[1], "indices");
    let updates = k.input(op, values[2], "updates");
    let target = k.output(op, op.result(0)?, "y");
    let axes = axes_over(op.dims(values[0]));
    let mut s = Scalars::default();
    let v = s.read_raw(&k, data, indices(&axes));
    k.map("copy", axes, target, s.yields(v));
    Ok((k, values, [data, index, updates, target]))
}

/// `result[.., indices[point], ..] = updates[point]` with the point's other coordinates. Two updates can meet
/// only if they differ along `axis` alone.
fn lower_scatter_elements(op: &mut Lowering<'_, '_>) -> Result<()> {
    let (mut k, [data, index, _], [_, indices_tensor, updates, target]) = start(op)?;
    let dims = op.dims(data);
    let axis = op.axis("axis", 0, dims.len())?;
    let mut axes = axes_over(op.dims(index));
    axes[axis].kind = AxisKind::Sequential;
    let at = indices(&axes);
    let mut s = Scalars::default();
    let raw = s.read_raw(&k, indices_tensor, at.clone());
    let mut write = at.clone();
    write[axis] = s.wrapped_index(raw, &dims[axis]);
    let v = s.read_raw(&k, updates, at);
    k.push("scatter", axes, (target, write), s.yields(v).combined(combine(op)?));
    op.emit(k)
}

/// `result[indices[.., 0], .., indices[.., last], ..] = updates[..]`.
fn lower_scatter_nd(op: &mut Lowering<'_, '_>) -> Result<()> {
    let (mut k, [data, index, update], [_, indices_tensor, updates, target]) = start(op)?;
    let (dims, index_dims) = (op.dims(data), op.dims(index));
    let Some(tuple) = index_dims.last().and_then(Expr::as_const).map(|t| t as usize) else {
        return Err(op.unsupported("the length of its index tuples is not a constant"));
    };
    let mut axes = axes_over(op.dims(update));
    let outer_rank = index_dims.len() - 1;
    if tuple > dims.len() || axes.len() != outer_rank + dims.len() - tuple {
        return Err(op.unsupported("its indices do not fit its data"));
    }
    axes[..outer_rank].iter_mut().for_each(|a| a.kind = AxisKind::Sequential);
    let at = indices(&axes);
    let (outer, after) = at.split_at(outer_rank);
    let mut s = Scalars::default();
    let mut write = Vec::with_capacity(dims.len());
    for (t, extent) in dims[..tuple].iter().enumerate() {
        let raw = s.read_raw(&k, indices_tensor, [outer, &[Expr::from(t as i64)]].concat());
        write.push(s.wrapped_index(raw, extent));
    }
    write.extend(after.iter().cloned());
    let v = s.read_raw(&k, updates, at.clone());
    k.push("scatter", axes, (target, write), s.yields(v).combined(combine(op)?));
    op.emit(k)
}
