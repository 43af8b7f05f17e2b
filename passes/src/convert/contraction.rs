//! Matrix products: one reduction compute over `k`.

use super::{
    kernels::{KernelBuilder, indices, parallel, reduction},
    lowering::{Lowering, broadcast_index},
    scalars::Scalars,
};
use mlcc_ir::{
    diagnostic::Result,
    dtype::DType,
    expr::Expr,
    graph::ValueId,
    kernel::{Axis, AxisKind, Combine},
    scalar::{self, Predicate},
};
use std::iter::repeat;

/// The type in which products of results of type `dtype` are summed.
pub(super) fn accumulator_type(dtype: DType) -> DType {
    match dtype {
        DType::F16 | DType::BF16 => DType::F32,
        DType::I8 | DType::I16 => DType::I32,
        DType::U8 | DType::U16 => DType::U32,
        other => other,
    }
}

/// A sum of products of operands' elements, and an optional bias.
pub(super) struct Contraction<'a> {
    /// Name of the compute.
    pub(super) name: &'a str,
    /// Parallel axes in the result's order, then reduction axes.
    pub(super) axes: Vec<Axis>,
    /// Element written.
    pub(super) write: Vec<Expr>,
    /// The operands with their index, and whether it can be out of bounds (which counts as 0).
    pub(super) operands: Vec<(ValueId, Vec<Expr>, bool)>,
    /// If one of these is not 0, the first operand counts as 0.
    pub(super) guards: Vec<Expr>,
    /// A vector that is added, with its index.
    pub(super) bias: Option<(ValueId, Vec<Expr>)>,
}

/// Emits the contraction as the kernel of the node's result 0.
pub(super) fn emit(op: &mut Lowering<'_, '_>, c: Contraction<'_>) -> Result<()> {
    let result = op.result(0)?;
    let accumulated = accumulator_type(op.dtype(result));
    let mut k = op.kernel();
    let mut s = Scalars::default();
    let mut factors = Vec::with_capacity(c.operands.len());
    for ((value, index, outside), name) in
        c.operands.into_iter().zip(["x", "w"].into_iter().chain(repeat("x")))
    {
        let tensor = k.input(op, value, name);
        let raw = if outside {
            s.read_raw_or(&k, tensor, index, mlcc_ir::tensor::Element::Int(0))
        } else {
            s.read_raw(&k, tensor, index)
        };
        let mut factor = s.cast(raw, accumulated);
        if factors.is_empty() {
            factor = guarded(&mut s, factor, &c.guards);
        }
        factors.push(factor);
    }
    let Some(product) = factors.into_iter().reduce(|a, b| s.mul(a, b)) else {
        return Err(op.unsupported("it has no operands"));
    };
    let body = s.yields(product);
    let kept: Vec<Axis> = c.axes.iter().filter(|a| a.kind == AxisKind::Parallel).cloned().collect();
    let combine = (kept.len() < c.axes.len()).then_some(Combine::Add);
    let direct = c.bias.is_none() && accumulated == op.dtype(result);
    let bias = c.bias.map(|(value, index)| (k.input(op, value, "bias"), index));
    let target = if direct {
        k.output(op, result, "y")
    } else {
        k.temporary("acc", accumulated, op.dims(result).to_vec())
    };
    k.push(c.name, c.axes, (target, c.write.clone()), body.combined(combine));
    if !direct {
        finish(op, &mut k, (kept, c.write), (target, result), bias);
    }
    op.emit(k)
}

/// `v`, or 0 where one of the guards is not 0.
fn guarded(s: &mut Scalars, v: scalar::ValueId, guards: &[Expr]) -> scalar::ValueId {
    guards.iter().fold(v, |v, guard| {
        let (remainder, zero) = (s.index(guard.clone()), s.int(0));
        let holds = s.compare(Predicate::Eq, remainder, zero);
        let nothing = s.float_like(v, 0.0);
        s.select(holds, v, nothing)
    })
}

/// `result = accumulator + bias`, converted.
fn finish(
    op: &Lowering<'_, '_>,
    k: &mut KernelBuilder,
    (axes, write): (Vec<Axis>, Vec<Expr>),
    (accumulator, result): (usize, ValueId),
    bias: Option<(usize, Vec<Expr>)>,
) {
    let mut s = Scalars::default();
    let mut v = s.read_raw(k, accumulator, write.clone());
    let name = if bias.is_some() { "bias" } else { "convert" };
    if let Some((tensor, index)) = bias {
        let raw = s.read_raw(k, tensor, index);
        let b = s.cast(raw, s.dtype(v));
        v = s.add(v, b);
    }
    let target = k.output(op, result, "y");
    k.push(name, axes, (target, write), s.yields(v));
}

/// Lowers `matmul`; `None` if the operator is another.
pub(super) fn lower(op: &mut Lowering<'_, '_>) -> Option<Result<()>> {
    (op.name() == "matmul").then(|| lower_matmul(op))
}

/// numpy's `matmul`: the last two dimensions are multiplied, a vector is a row on the left and a column
/// on the right, the other dimensions are broadcast.
fn lower_matmul(op: &mut Lowering<'_, '_>) -> Result<()> {
    let (a, b, result) = (op.operand(0)?, op.operand(1)?, op.result(0)?);
    let (da, db, dims) = (op.dims(a), op.dims(b), op.dims(result));
    if da.is_empty() || db.is_empty() {
        return Err(op.unsupported("an operand is a scalar"));
    }
    let transposed = |name: &str, rank: usize| rank > 1 && op.attrs().bool(name, false);
    let (ta, tb) = (transposed("transpose_a", da.len()), transposed("transpose_b", db.len()));
    // Number of trailing dimensions of the result that are m and n.
    let (has_m, has_n) = (da.len() > 1, db.len() > 1);
    let batch = dims.len() - usize::from(has_m) - usize::from(has_n);

    let mut axes: Vec<Axis> = super::kernels::axes_over(&dims[..batch]);
    let batch_point = indices(&axes);
    if has_m {
        axes.push(parallel("m", dims[batch].clone()));
    }
    if has_n {
        axes.push(parallel("n", dims[dims.len() - 1].clone()));
    }
    let write = indices(&axes);
    let k_extent = if ta { da[da.len() - 2].clone() } else { da[da.len() - 1].clone() };
    axes.push(reduction("k", k_extent));

    let [m, n, k] = ["m", "n", "k"].map(Expr::axis);
    let index = |own: &[Expr], tail: Vec<Expr>| {
        let mut index = broadcast_index(&own[..own.len() - tail.len()], &dims[..batch], &batch_point);
        index.extend(tail);
        index
    };
    let left = match (has_m, ta) {
        (false, _) => vec![k.clone()],
        (true, false) => vec![m, k.clone()],
        (true, true) => vec![k.clone(), m],
    };
    let right = match (has_n, tb) {
        (false, _) => vec![k],
        (true, false) => vec![k, n],
        (true, true) => vec![n, k],
    };
    let operands = vec![(a, index(da, left), false), (b, index(db, right), false)];
    emit(op, Contraction { name: "matmul", axes, write, operands, guards: Vec::new(), bias: None })
}
