//! The tensor level's kernels: one compute after the other, point by point.

use crate::{
    Symbols,
    body::{CompiledBody, Reader, Scope, out_of_bounds},
    evaluate_expr,
    index::Index,
    memory::Memory,
    scalar::{binary, cast},
};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    dtype::DType,
    kernel::{AxisKind, Compute, Kernel, Role},
    tensor::{Element, Tensor},
};

/// Runs a kernel. `inputs` are its `Input` tensors in order, then the values on entry of its `InOut`
/// tensors in order; the results are its `Output` and `InOut` tensors in their common order. Layouts
/// place elements in memory and have no effect here.
///
/// # Errors
/// If an access is out of bounds, an element is read before it is written, two points of parallel axes
/// meet in one element without being combined, or the kernel is malformed.
pub fn run(kernel: &Kernel, symbols: &Symbols, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
    run_all(kernel, symbols, inputs).map_err(|mut e| {
        e.message = format!("kernel '{}': {}", kernel.name, e.message);
        e
    })
}

fn run_all(kernel: &Kernel, symbols: &Symbols, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
    let given: Vec<usize> = kernel.with_role(Role::Input).chain(kernel.with_role(Role::InOut)).collect();
    if given.len() != inputs.len() {
        return Err(Diagnostic::internal(format!(
            "takes {} tensors, but {} are given",
            given.len(),
            inputs.len()
        )));
    }
    let mut memories = Vec::with_capacity(kernel.tensors.len());
    for (t, tensor) in kernel.tensors.iter().enumerate() {
        let dims = tensor.ty.dims.iter().map(|d| evaluate_expr(d, symbols)).collect::<Result<Vec<_>>>()?;
        memories.push(match given.iter().position(|&g| g == t) {
            Some(at) => Memory::holding(&tensor.name, tensor.ty.dtype, dims, &inputs[at])?,
            None => Memory::unwritten(&tensor.name, tensor.ty.dtype, dims)?,
        });
    }
    for compute in &kernel.computes {
        if kernel.tensors.get(compute.target).is_none_or(|t| t.role == Role::Input) {
            return Err(Diagnostic::internal(format!("compute '{}' writes an input", compute.name)));
        }
        run_compute(compute, symbols, &mut memories).map_err(|mut e| {
            e.message = format!("compute '{}': {}", compute.name, e.message);
            e
        })?;
    }
    let is_result = |t: &usize| matches!(kernel.tensors[*t].role, Role::Output | Role::InOut);
    let results = memories.into_iter().enumerate().filter(|(t, _)| is_result(t));
    results.map(|(_, memory)| memory.into_tensor()).collect()
}

/// The kernel's memory as a compute sees it.
struct View<'a> {
    memories: &'a mut [Memory],
    target: usize,
    /// For each element of the target: the point of the parallel axes that wrote it, plus one.
    writers: Vec<u64>,
    point: u64,
}

impl Reader for View<'_> {
    fn read(&mut self, tensor: usize, at: &[i64]) -> Result<Option<Element>> {
        let memory = &self.memories[tensor];
        let Some(offset) = memory.offset(at) else { return Ok(None) };
        if tensor == self.target && self.writers[offset] != 0 && self.writers[offset] != self.point {
            let what = format!(
                "'{}' at {at:?} is read by one point of the parallel axes and written by another",
                memory.name
            );
            return Err(Diagnostic::internal(what));
        }
        memory.load(offset).map(Some)
    }

    fn name(&self, tensor: usize) -> String {
        self.memories[tensor].name.clone()
    }
}

fn run_compute(compute: &Compute, symbols: &Symbols, memories: &mut [Memory]) -> Result<()> {
    let slot = |name: &str| compute.axes.iter().position(|a| *a.name == *name);
    let tensors: Vec<_> = memories.iter().map(|m| (m.dtype, m.dims.len())).collect();
    let scope = Scope { symbols, slot: &slot, tensors: &tensors };
    let body = CompiledBody::compile(&compute.body, &scope)?;
    let reduces = compute.is_reduction();
    let values = if reduces { 0 } else { body.len() };
    let not_reduced = |name: &str| slot(name).filter(|&s| compute.axes[s].kind != AxisKind::Reduction);
    let write = compute.write.iter().map(|e| Index::compile(e, symbols, &not_reduced, values));
    let write = write.collect::<Result<Vec<_>>>()?;
    let scattered = compute.write.iter().any(|e| e.uses_values());
    let (dtype, rank) = tensors[compute.target];
    if body.dtype() != dtype || write.len() != rank {
        return Err(Diagnostic::internal(format!("writes {} at {} indices", body.dtype(), write.len())));
    }
    let extents =
        compute.axes.iter().map(|a| evaluate_expr(&a.extent, symbols)).collect::<Result<Vec<_>>>()?;
    let of_kind = |reduced: bool| -> Vec<usize> {
        (0..extents.len()).filter(|&a| (compute.axes[a].kind == AxisKind::Reduction) == reduced).collect()
    };
    let (outer, inner) = (of_kind(false), of_kind(true));
    let writers = vec![0; memories[compute.target].elements.len()];
    let mut view = View { memories, target: compute.target, writers, point: 0 };
    let mut axes = vec![0; extents.len()];
    let mut held = Vec::new();
    let mut at = vec![0; write.len()];
    for_each_point(&extents, &outer, &mut axes, &mut |axes| {
        let parallel = outer.iter().filter(|&&a| compute.axes[a].kind == AxisKind::Parallel);
        view.point =
            1 + parallel.fold(0u64, |p, &a| p.wrapping_mul(extents[a] as u64).wrapping_add(axes[a] as u64));
        let mut value = if reduces {
            let combine =
                compute.combine.ok_or_else(|| Diagnostic::internal("reduces without a combination"))?;
            // The order is free, so the reference takes the most accurate way.
            let wide = if dtype.is_float() { DType::F64 } else { dtype };
            let mut sum = combine.identity(wide).element();
            for_each_point(&extents, &inner, axes, &mut |axes| {
                let value = body.run(axes, &mut held, &mut view)?;
                sum = binary(combine.function(), wide, sum, value)
                    .ok_or_else(|| Diagnostic::internal(format!("{combine:?} is not defined on {dtype}")))?;
                Ok(())
            })?;
            held.clear();
            cast(sum, dtype)
        } else {
            body.run(axes, &mut held, &mut view)?
        };
        for (at, e) in at.iter_mut().zip(&write) {
            *at = e.evaluate(axes, &held)?;
        }
        let target = &mut view.memories[compute.target];
        let Some(offset) = target.offset(&at) else {
            return if scattered { Ok(()) } else { Err(out_of_bounds("write", &target.name, &at)) };
        };
        match compute.combine {
            Some(combine) if !reduces => {
                value = binary(combine.function(), dtype, target.load(offset)?, value)
                    .ok_or_else(|| Diagnostic::internal(format!("{combine:?} is not defined on {dtype}")))?;
            }
            _ if view.writers[offset] != 0 && view.writers[offset] != view.point => {
                let what =
                    format!("'{}' at {at:?} is written by two points of the parallel axes", target.name);
                return Err(Diagnostic::internal(what));
            }
            _ => {}
        }
        view.writers[offset] = view.point;
        target.elements[offset] = Some(value);
        Ok(())
    })
}

/// Calls `visit` for every point of some axes, the first one outermost.
fn for_each_point(
    extents: &[i64],
    over: &[usize],
    axes: &mut Vec<i64>,
    visit: &mut dyn FnMut(&mut Vec<i64>) -> Result<()>,
) -> Result<()> {
    let Some((&first, rest)) = over.split_first() else { return visit(axes) };
    for i in 0..extents[first] {
        axes[first] = i;
        for_each_point(extents, rest, axes, visit)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
