//! Reads at indices that are data. A negative index counts from the end; an index out of bounds reads 0.

use super::{
    kernels::{axes_over, indices},
    lowering::Lowering,
    scalars::Scalars,
};
use mlcc_ir::{diagnostic::Result, expr::Expr, tensor::Element, types::row_major_strides};

/// Lowers an operator of this family; `None` if it is none.
pub(super) fn lower(op: &mut Lowering<'_, '_>) -> Option<Result<()>> {
    Some(match op.name() {
        "gather" => lower_gather(op),
        "gather_elements" => lower_gather_elements(op),
        "gather_nd" => lower_gather_nd(op),
        _ => return None,
    })
}

/// `data[.., indices[..], ..]`: the indices' dimensions take the place of `axis`.
fn lower_gather(op: &mut Lowering<'_, '_>) -> Result<()> {
    let (data, index, result) = (op.operand(0)?, op.operand(1)?, op.result(0)?);
    let dims = op.dims(data);
    let axis = op.axis("axis", 0, dims.len())?;
    let index_rank = op.dims(index).len();
    let axes = axes_over(op.dims(result));
    let at = indices(&axes);
    let (before, rest) = at.split_at(axis);
    let (inside, after) = rest.split_at(index_rank);

    let position = known_position(op, index, &dims[axis]);
    if let Some(position) = &position
        && dims[..axis].iter().all(|d| d.is(1))
    {
        let offset = position.clone() * row_major_strides(dims)[axis].clone();
        return op.view(0, data, offset);
    }
    let position = position.or_else(|| regular_position(op, index, &dims[axis], inside));
    let mut k = op.kernel();
    let mut s = Scalars::default();
    let tensor = k.input(op, data, "data");
    let v = match position {
        Some(position) => {
            let index = [before, &[position], after].concat();
            s.read_raw(&k, tensor, index)
        }
        None => {
            let index = k.input(op, index, "indices");
            let raw = s.read_raw(&k, index, inside.to_vec());
            let position = s.wrapped_index(raw, &dims[axis]);
            s.read_raw_or(&k, tensor, [before, &[position], after].concat(), Element::Int(0))
        }
    };
    let target = k.output(op, result, "y");
    k.map("gather", axes, target, s.yields(v));
    op.emit(k)
}

/// The one position that is read, if there is one and it is known to be in bounds.
fn known_position(op: &Lowering<'_, '_>, index: mlcc_ir::graph::ValueId, extent: &Expr) -> Option<Expr> {
    let [only] = op.known(index)? else { return None };
    let (i, extent_value) = (only.as_const()?, extent.as_const());
    if i < 0 {
        // Counts from the end of a dimension that is at least 1 long if the model is valid. Only a constant
        // extent proves it.
        return extent_value.filter(|n| i + n >= 0).map(|n| Expr::from(i + n));
    }
    extent_value.filter(|&n| i < n).map(|_| Expr::from(i))
}

/// The position that is read at a point of the indices. The indices must be known, in bounds and regular:
/// equal steps, each index repeated the same number of times, and the whole sequence repeated. Heads that
/// share keys are an example.
fn regular_position(
    op: &Lowering<'_, '_>,
    index: mlcc_ir::graph::ValueId,
    extent: &Expr,
    inside: &[Expr],
) -> Option<Expr> {
    let ([at], Some(extent)) = (inside, extent.as_const()) else { return None };
    let known: Vec<i64> = op.known(index)?.iter().map(Expr::as_const).collect::<Option<_>>()?;
    let known: Vec<i64> = known.iter().map(|&i| if i < 0 { i + extent } else { i }).collect();
    if known.iter().any(|i| !(0..extent).contains(i)) {
        return None;
    }
    let &first = known.first()?;
    let copies = known.iter().take_while(|i| **i == first).count();
    let step = known.get(copies).map_or(0, |next| next - first);
    let steps: Vec<i64> = known.iter().step_by(copies).copied().collect();
    let rising = (0..steps.len()).take_while(|&n| steps[n] == first + n as i64 * step).count();
    let position = |i: usize| first + (i / copies % rising) as i64 * step;
    let [copies_of, period] = [copies, rising].map(|n| Expr::from(n as i64));
    let at = at.floor_div(&copies_of);
    let at = if rising < steps.len() { at.modulo(&period) } else { at };
    (0..known.len()).all(|i| known[i] == position(i)).then(|| Expr::from(first) + at * Expr::from(step))
}

/// `data[.., indices[point], ..]` with the point's other coordinates.
fn lower_gather_elements(op: &mut Lowering<'_, '_>) -> Result<()> {
    let (data, index, result) = (op.operand(0)?, op.operand(1)?, op.result(0)?);
    let dims = op.dims(data);
    let axis = op.axis("axis", 0, dims.len())?;
    let axes = axes_over(op.dims(result));
    let mut at = indices(&axes);
    let mut k = op.kernel();
    let mut s = Scalars::default();
    let tensor = k.input(op, data, "data");
    let index = k.input(op, index, "indices");
    let raw = s.read_raw(&k, index, at.clone());
    at[axis] = s.wrapped_index(raw, &dims[axis]);
    let v = s.read_raw_or(&k, tensor, at, Element::Int(0));
    let target = k.output(op, result, "y");
    k.map("gather", axes, target, s.yields(v));
    op.emit(k)
}

/// `data[batch.., indices[.., 0], .., indices[.., last], ..]`.
fn lower_gather_nd(op: &mut Lowering<'_, '_>) -> Result<()> {
    let (data, index, result) = (op.operand(0)?, op.operand(1)?, op.result(0)?);
    let (dims, index_dims) = (op.dims(data), op.dims(index));
    let batch = op.attrs().int("batch_dims", 0).max(0) as usize;
    let Some(tuple) = index_dims.last().and_then(Expr::as_const).map(|t| t as usize) else {
        return Err(op.unsupported("the length of its index tuples is not a constant"));
    };
    if batch + tuple > dims.len() || batch >= index_dims.len() {
        return Err(op.unsupported("its indices have more dimensions than its data"));
    }
    let axes = axes_over(op.dims(result));
    let at = indices(&axes);
    let (outer, after) = at.split_at(index_dims.len() - 1);
    let mut k = op.kernel();
    let mut s = Scalars::default();
    let tensor = k.input(op, data, "data");
    let index = k.input(op, index, "indices");
    let mut position = at[..batch].to_vec();
    for t in 0..tuple {
        let raw = s.read_raw(&k, index, [outer, &[Expr::from(t as i64)]].concat());
        position.push(s.wrapped_index(raw, &dims[batch + t]));
    }
    position.extend(after.iter().cloned());
    let v = s.read_raw_or(&k, tensor, position, Element::Int(0));
    let target = k.output(op, result, "y");
    k.map("gather", axes, target, s.yields(v));
    op.emit(k)
}
