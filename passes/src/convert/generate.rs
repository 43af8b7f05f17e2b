//! Operators that make tensors from sizes and positions: dims, range, eye, one_hot, trilu.

use super::{
    kernels::{axes_over, indices},
    lowering::Lowering,
    scalars::{Scalars, compute_type},
};
use mlcc_ir::{
    diagnostic::Result,
    dtype::DType,
    expr::Expr,
    graph::{Graph, Node},
    scalar::Predicate,
    tensor::{Element, Tensor, push_element},
};

/// With more symbolic elements than this, the operators compute them instead of writing one by one.
const MAX_SYMBOLIC: usize = 16;

/// Whether all results of a node are known as symbolic integers.
pub(super) fn is_known(graph: &Graph, node: &Node) -> bool {
    !node.results.is_empty()
        && node.results.iter().all(|&r| {
            let value = graph.value(r);
            !value.ty.dtype.is_float()
                && value.known.as_ref().is_some_and(|known| {
                    value.ty.elements().is(known.len() as i64)
                        && (known.len() <= MAX_SYMBOLIC || known.iter().all(|e| e.as_const().is_some()))
                })
        })
}

/// Lowers a node whose results are known.
pub(super) fn lower_known(op: &mut Lowering<'_, '_>) -> Result<()> {
    for (i, &result) in op.node.results.iter().enumerate() {
        let known = op.known(result).unwrap_or_default();
        write_elements(op, i, known)?;
    }
    Ok(())
}

/// Lowers an operator of this family; `None` if it is none.
pub(super) fn lower(op: &mut Lowering<'_, '_>) -> Option<Result<()>> {
    Some(match op.name() {
        "dims" => lower_dims(op),
        "range" => lower_range(op),
        "eye" => lower_eye(op),
        "one_hot" => lower_one_hot(op),
        "trilu" => lower_trilu(op),
        _ => return None,
    })
}

fn lower_dims(op: &mut Lowering<'_, '_>) -> Result<()> {
    let values = op.attrs().exprs("values").unwrap_or_default();
    write_elements(op, 0, &values)
}

/// Makes result `i` (of rank 0 or 1) hold the given integers: a constant, or one compute per element.
fn write_elements(op: &mut Lowering<'_, '_>, i: usize, elements: &[Expr]) -> Result<()> {
    let result = op.result(i)?;
    let ty = op.ty(result);
    if let Some(values) = elements.iter().map(Expr::as_const).collect::<Option<Vec<i64>>>()
        && let Some(dims) = ty.static_dims()
    {
        let mut data = Vec::with_capacity(values.len() * ty.dtype.size());
        values.iter().for_each(|&v| push_element(ty.dtype, &mut data, Element::Int(v)));
        if let Some(tensor) = Tensor::new(ty.dtype, dims, data.into()) {
            return op.fold(i, tensor);
        }
    }
    let mut k = op.kernel();
    let target = k.output(op, result, "y");
    for (at, element) in elements.iter().enumerate() {
        let mut s = Scalars::default();
        let v = s.index_as(element.clone(), ty.dtype);
        let write = if ty.rank() == 0 { Vec::new() } else { vec![Expr::from(at as i64)] };
        k.push("dim", Vec::new(), (target, write), s.yields(v));
    }
    op.emit(k)
}

/// `start + i * delta`.
fn lower_range(op: &mut Lowering<'_, '_>) -> Result<()> {
    let (start, delta, result) = (op.operand(0)?, op.operand(1)?, op.result(0)?);
    let axes = axes_over(op.dims(result));
    let mut k = op.kernel();
    let mut s = Scalars::default();
    let zeros = |rank: usize| vec![Expr::from(0); rank];
    let first = op.read(&mut k, &mut s, (start, "start"), zeros(op.dims(start).len()));
    let step = op.read(&mut k, &mut s, (delta, "delta"), zeros(op.dims(delta).len()));
    let i = s.index_as(Expr::axis("i0"), compute_type(op.dtype(result)));
    let offset = s.mul(i, step);
    let v = s.add(first, offset);
    let target = k.output(op, result, "y");
    k.map("range", axes, target, s.yields(v));
    op.emit(k)
}

/// 1 where `column - row = k`, 0 elsewhere.
fn lower_eye(op: &mut Lowering<'_, '_>) -> Result<()> {
    let result = op.result(0)?;
    let dtype = op.dtype(result);
    let axes = axes_over(op.dims(result));
    let mut s = Scalars::default();
    let diagonal = s.index(Expr::axis("i1") - Expr::axis("i0"));
    let wanted = s.int(op.attrs().int("k", 0));
    let on = s.compare(Predicate::Eq, diagonal, wanted);
    let (one, zero) = (s.float(dtype, 1.0), s.float(dtype, 0.0));
    let v = s.select(on, one, zero);
    let mut k = op.kernel();
    let target = k.output(op, result, "y");
    k.map("eye", axes, target, s.yields(v));
    op.emit(k)
}

/// `indices[..] = position along axis ? values[1] : values[0]`.
fn lower_one_hot(op: &mut Lowering<'_, '_>) -> Result<()> {
    let (index, values, result) = (op.operand(0)?, op.operand(1)?, op.result(0)?);
    let dims = op.dims(result);
    let axis = op.axis("axis", -1, dims.len())?;
    let axes = axes_over(dims);
    let at = indices(&axes);
    let mut k = op.kernel();
    let mut s = Scalars::default();
    let index = k.input(op, index, "indices");
    let values = k.input(op, values, "values");
    let mut other = at.clone();
    other.remove(axis);
    let raw = s.read(&k, index, other);
    let raw = s.cast(raw, DType::I64);
    let wanted = s.wrapped_index(raw, &dims[axis]);
    let (wanted, position) = (s.index(wanted), s.index(at[axis].clone()));
    let on = s.compare(Predicate::Eq, wanted, position);
    let (off_value, on_value) =
        (s.read_raw(&k, values, vec![Expr::from(0)]), s.read_raw(&k, values, vec![Expr::from(1)]));
    let v = s.select(on, on_value, off_value);
    let target = k.output(op, result, "y");
    k.map("one_hot", axes, target, s.yields(v));
    op.emit(k)
}

/// Keeps one triangle of the matrices in the last two dimensions.
fn lower_trilu(op: &mut Lowering<'_, '_>) -> Result<()> {
    let (x, result) = (op.operand(0)?, op.result(0)?);
    let axes = axes_over(op.dims(result));
    let at = indices(&axes);
    let [.., row, column] = &at[..] else {
        return Err(op.unsupported("its operand is not a matrix"));
    };
    let mut k = op.kernel();
    let mut s = Scalars::default();
    let input = k.input(op, x, "x");
    let diagonal = s.index(column.clone() - row.clone());
    let limit = s.int(op.attrs().int("k", 0));
    let predicate = if op.attrs().bool("upper", true) { Predicate::Ge } else { Predicate::Le };
    let keep = s.compare(predicate, diagonal, limit);
    let v = s.read_raw(&k, input, at.clone());
    let zero = s.float(op.dtype(x), 0.0);
    let v = s.select(keep, v, zero);
    let target = k.output(op, result, "y");
    k.map("trilu", axes, target, s.yields(v));
    op.emit(k)
}
