//! Operators that move elements: views where the elements already lie in order, else one compute of
//! reads (one per operand for concat).

use super::{
    kernels::{axes_over, indices},
    lowering::{Lowering, broadcast_index},
    scalars::Scalars,
};
use mlcc_ir::{diagnostic::Result, expr::Expr, graph::ValueId, scalar::Predicate, types::row_major_strides};

/// Lowers an operator of this family; `None` if it is none.
pub(super) fn lower(op: &mut Lowering<'_, '_>) -> Option<Result<()>> {
    Some(match op.name() {
        "reshape" => lower_reshape(op),
        "transpose" => lower_transpose(op),
        "concat" => lower_concat(op),
        "slice" => lower_slice(op),
        "expand" => lower_expand(op),
        "tile" => lower_tile(op),
        "reverse_sequence" => lower_reverse_sequence(op),
        _ => return None,
    })
}

/// One compute over the result that reads operand `x` at `index` of the result's point.
fn move_elements(
    op: &mut Lowering<'_, '_>,
    x: ValueId,
    index: impl FnOnce(&[Expr]) -> Vec<Expr>,
) -> Result<()> {
    let result = op.result(0)?;
    let axes = axes_over(op.dims(result));
    let mut k = op.kernel();
    let mut s = Scalars::default();
    let input = k.input(op, x, "x");
    let v = s.read_raw(&k, input, index(&indices(&axes)));
    let target = k.output(op, result, "y");
    k.map(op.name(), axes, target, s.yields(v));
    op.emit(k)
}

/// Makes the result the operand's memory in its own dimensions.
pub(super) fn lower_reshape(op: &mut Lowering<'_, '_>) -> Result<()> {
    let (x, result) = (op.operand(0)?, op.result(0)?);
    if let (Some(tensor), Some(dims)) = (op.constant(x), op.ty(result).static_dims()) {
        let mut tensor = tensor.clone();
        tensor.dims = dims;
        return op.fold(0, tensor);
    }
    op.view(0, x, Expr::from(0))
}

fn lower_transpose(op: &mut Lowering<'_, '_>) -> Result<()> {
    let x = op.operand(0)?;
    let dims = op.dims(x);
    let reversed: Vec<i64> = (0..dims.len() as i64).rev().collect();
    let perm = match op.attrs().ints("perm") {
        Some(_) => op.ints("perm", dims.len(), 0)?,
        None => reversed,
    };
    let mut seen = vec![false; dims.len()];
    for &p in &perm {
        match seen.get_mut(p as usize) {
            Some(s) if !*s => *s = true,
            _ => return Err(op.unsupported("'perm' is not a permutation")),
        }
    }
    let mut moved = perm.iter().map(|&p| p as usize).filter(|&p| !dims[p].is(1));
    let mut last = None;
    // Moving dimensions of size 1 moves nothing.
    if moved.all(|p| last.replace(p) < Some(p)) {
        return op.view(0, x, Expr::from(0));
    }
    move_elements(op, x, |at| {
        let mut index = vec![Expr::from(0); at.len()];
        for (d, &p) in perm.iter().enumerate() {
            index[p as usize] = at[d].clone();
        }
        index
    })
}

/// Most parts of a concatenation that one kernel writes. Every step of a schedule looks at all stages of its kernel, and
/// LLVM at all of a block.
const MAX_PARTS: usize = 128;
/// The number of parts that each kernel writes if there are more. Kernels of few parts are quick to compile.
const FEW_PARTS: usize = 16;

/// One compute per operand, each writing its part of the result, in one kernel or several. Copies of one
/// value along a dimension of size 1 are repeated, as in an expansion.
fn lower_concat(op: &mut Lowering<'_, '_>) -> Result<()> {
    let result = op.result(0)?;
    let axis = op.axis("axis", 0, op.dims(result).len())?;
    let parts: Vec<ValueId> = op.node.operands.iter().copied().flatten().collect();
    if let [only] = parts[..] {
        return op.view(0, only, Expr::from(0));
    }
    // Copies of one row are one movement.
    if parts.iter().all(|p| *p == parts[0]) && op.dims(parts[0])[axis].is(1) {
        return move_elements(op, parts[0], |at| {
            at.iter().enumerate().map(|(d, e)| if d == axis { Expr::from(0) } else { e.clone() }).collect()
        });
    }
    let mut offset = Expr::from(0);
    // If all parts are empty, they stay: the output needs a writer.
    let all_empty = op.dims(result)[axis].is(0);
    let is_whole = parts.len() <= MAX_PARTS;
    for parts in parts.chunks(if is_whole { MAX_PARTS } else { FEW_PARTS }) {
        let mut k = op.kernel();
        // Inputs first, so that the kernel's operands are in their order.
        let inputs: Vec<usize> = parts.iter().map(|&x| k.input(op, x, "x")).collect();
        let target = if is_whole { k.output(op, result, "y") } else { k.update(op, result, "y") };
        let mut writes = false;
        for (&x, &input) in parts.iter().zip(&inputs) {
            let dims = op.dims(x);
            if dims[axis].is(0) && !all_empty {
                continue;
            }
            let axes = axes_over(dims);
            let mut s = Scalars::default();
            let v = s.read_raw(&k, input, indices(&axes));
            let mut write = indices(&axes);
            write[axis] = write[axis].clone() + offset.clone();
            offset = offset + dims[axis].clone();
            k.push("concat", axes, (target, write), s.yields(v));
            writes = true;
        }
        if writes {
            op.emit(k)?;
        }
    }
    Ok(())
}

/// Whether the slice of `sizes` at `starts` of a tensor of `dims` is contiguous: dimensions of size 1, then
/// at most one cut dimension, then whole dimensions.
fn contiguous(dims: &[Expr], sizes: &[Expr], steps: &[i64]) -> bool {
    let whole = |d: usize| steps[d] == 1 && dims[d] == sizes[d];
    let cut = (0..dims.len()).rev().find(|&d| !whole(d));
    cut.is_none_or(|cut| (steps[cut] == 1 || sizes[cut].is(1)) && (0..cut).all(|d| sizes[d].is(1)))
}

fn lower_slice(op: &mut Lowering<'_, '_>) -> Result<()> {
    let (x, result) = (op.operand(0)?, op.result(0)?);
    let (dims, sizes) = (op.dims(x), op.dims(result));
    let starts = op.exprs("starts", dims.len())?;
    let steps = op.ints("steps", dims.len(), 1)?;
    if contiguous(dims, sizes, &steps) {
        let strides = row_major_strides(dims);
        let offset = starts.into_iter().zip(strides).fold(Expr::from(0), |n, (a, b)| n + a * b);
        return op.view(0, x, offset);
    }
    move_elements(op, x, |at| {
        at.iter()
            .zip(starts)
            .zip(&steps)
            .map(|((i, start), &step)| start + i.clone() * Expr::from(step))
            .collect()
    })
}

fn lower_expand(op: &mut Lowering<'_, '_>) -> Result<()> {
    let (x, result) = (op.operand(0)?, op.result(0)?);
    let (own, dims) = (op.dims(x), op.dims(result));
    if dims.ends_with(own) && dims[..dims.len() - own.len()].iter().all(|d| d.is(1)) {
        return op.view(0, x, Expr::from(0));
    }
    if let Some(element) = op.scalar(x) {
        let mut k = op.kernel();
        let mut s = Scalars::default();
        let v = s.constant(mlcc_ir::scalar::Constant::new(op.dtype(x), element));
        let target = k.output(op, result, "y");
        k.map("fill", axes_over(dims), target, s.yields(v));
        return op.emit(k);
    }
    move_elements(op, x, |at| broadcast_index(own, dims, at))
}

fn lower_tile(op: &mut Lowering<'_, '_>) -> Result<()> {
    let (x, result) = (op.operand(0)?, op.result(0)?);
    let (own, dims) = (op.dims(x), op.dims(result));
    if own == dims {
        return op.view(0, x, Expr::from(0));
    }
    if own.len() != dims.len() {
        return Err(op.unsupported("its operand and result differ in rank"));
    }
    move_elements(op, x, |at| {
        let repeated = at.iter().zip(own).zip(dims);
        repeated.map(|((i, own), full)| if own == full { i.clone() } else { i.modulo(own) }).collect()
    })
}

/// `time < len[batch] ? x[len - 1 - time] : x[time]`.
fn lower_reverse_sequence(op: &mut Lowering<'_, '_>) -> Result<()> {
    let (x, lens, result) = (op.operand(0)?, op.operand(1)?, op.result(0)?);
    let dims = op.dims(x);
    let (batch, time) = (op.axis("batch_axis", 1, dims.len())?, op.axis("time_axis", 0, dims.len())?);
    let axes = axes_over(dims);
    let at = indices(&axes);
    let mut k = op.kernel();
    let input = k.input(op, x, "x");
    let lens = k.input(op, lens, "lens");
    let mut s = Scalars::default();
    let len = s.read_raw(&k, lens, vec![at[batch].clone()]);
    let len = s.cast(len, mlcc_ir::dtype::DType::I64);
    let now = s.index(at[time].clone());
    let inside = s.compare(Predicate::Lt, now, len);
    let mirrored = s.index(Expr::value(len) - Expr::from(1) - at[time].clone());
    let position = s.select(inside, mirrored, now);
    let mut index = at;
    index[time] = Expr::value(position);
    let v = s.read_raw_or(&k, input, index, mlcc_ir::tensor::Element::Int(0));
    let target = k.output(op, result, "y");
    k.map(op.name(), axes, target, s.yields(v));
    op.emit(k)
}
