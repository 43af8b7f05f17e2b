//! Conditions that must hold for programs and their kernels.

use super::{Contract, bad_body, broken, check_defaults};
use crate::{
    diagnostic::Result,
    expr::{Atom, Expr},
    kernel::{Compute, Kernel, Role},
    program::{Program, Step},
    scalar::Inst,
    types::TensorType,
};

/// Tensor level: every kernel is well formed, and its operands are bound to tensors of its types.
impl Contract for Program {
    fn check(&self, after: &str) -> Result<()> {
        let inputs: Vec<&TensorType> = self.inputs.iter().map(|id| &self.tensors[*id].ty).collect();
        check_defaults(&self.origin, &inputs, after)?;
        self.steps.iter().try_for_each(|step| check_step(self, step, after))
    }
}

fn check_step(program: &Program, step: &Step, after: &str) -> Result<()> {
    match step {
        Step::Kernel { kernel, operands } => {
            check_kernel(kernel, after)?;
            let tensors: Vec<usize> = kernel.operands().collect();
            if tensors.len() != operands.len() {
                return Err(broken(
                    after,
                    format!(
                        "kernel '{}' has {} operands, not {}",
                        kernel.name,
                        tensors.len(),
                        operands.len()
                    ),
                ));
            }
            for (&t, &id) in tensors.iter().zip(operands) {
                let (want, got) = (&kernel.tensors[t].ty, program.tensors.get(id).map(|t| &t.ty));
                if got != Some(want) {
                    let name = &kernel.tensors[t].name;
                    return Err(broken(
                        after,
                        format!("kernel '{}': operand '{name}' is {want}, bound to {got:?}", kernel.name),
                    ));
                }
            }
            Ok(())
        }
        _ => step.blocks().flatten().try_for_each(|s| check_step(program, s, after)),
    }
}

fn check_kernel(kernel: &Kernel, after: &str) -> Result<()> {
    let fail = |what: String| Err(broken(after, format!("kernel '{}': {what}", kernel.name)));
    let mut written = vec![false; kernel.tensors.len()];
    for compute in &kernel.computes {
        let known = |e: &Expr| !e.any_atom(&mut |a| matches!(a, Atom::Axis(n) if compute.axis(n).is_none()));
        let tensor = |t: usize| kernel.tensors.get(t).map(|t| (t.ty.rank(), t.ty.dtype));
        let rank = tensor(compute.target).map(|(rank, _)| rank);
        if rank != Some(compute.write.len()) || !compute.write.iter().all(known) {
            return fail(format!("'{}' writes at an index that does not fit its target", compute.name));
        }
        if let Some(what) = bad_body(&compute.body, &tensor, &known) {
            return fail(format!("'{}' {what}", compute.name));
        }
        if kernel.tensors[compute.target].role == Role::Input {
            return fail(format!("'{}' writes an input", compute.name));
        }
        if let Some(what) = out_of_bounds(kernel, compute) {
            return fail(format!("'{}' {what}", compute.name));
        }
        let unwritten = |t: usize| kernel.tensors[t].role == Role::Temporary && !written[t];
        if compute.reads().any(|(t, _)| unwritten(t)) {
            return fail(format!("'{}' reads a temporary that nothing has written", compute.name));
        }
        written[compute.target] = true;
    }
    let unwritten = kernel.with_role(Role::Output).find(|&t| !written[t]);
    unwritten.map_or(Ok(()), |t| fail(format!("output '{}' is never written", kernel.tensors[t].name)))
}

/// An unchecked access that is certain to leave its tensor, if there is one. Only static sizes and
/// indices that are affine in the axes are looked at, because the range of such an index is exact.
fn out_of_bounds(kernel: &Kernel, compute: &Compute) -> Option<String> {
    if compute.axes.iter().any(|a| a.extent.is(0)) {
        return None;
    }
    let leaves = |t: usize, index: &[Expr]| {
        index.iter().zip(&kernel.tensors[t].ty.dims).find_map(|(e, dim)| {
            let affine = e.terms().iter().all(|(p, _)| matches!(&p[..], [Atom::Axis(_)]));
            let (range, dim) = (e.interval(&|a| compute.range(a)), dim.as_const()?);
            let outside = range.low.is_some_and(|l| l < 0) || range.high.is_some_and(|h| h >= dim);
            let name = &kernel.tensors[t].name;
            (affine && outside).then(|| format!("reaches '{name}' at {e}, beyond its size {dim}"))
        })
    };
    let unchecked = compute.body.insts.iter().find_map(|(inst, _)| match inst {
        Inst::Read { tensor, index, outside: None } => leaves(*tensor, index),
        _ => None,
    });
    unchecked.or_else(|| leaves(compute.target, &compute.write))
}
