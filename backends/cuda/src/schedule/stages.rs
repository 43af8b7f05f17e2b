//! The dependences between the computes of a kernel.

use mlcc_ir::{
    expr::{Expr, Interval},
    kernel::{Axis, AxisKind, Compute, Kernel, Role},
};
use mlcc_passes::fusion::inline_reads;

/// The axes of a compute that have that role, in order.
pub(super) fn axes_of(compute: &Compute, kind: AxisKind) -> Vec<Axis> {
    compute.axes.iter().filter(|a| a.kind == kind).cloned().collect()
}

/// Whether a compute is one value a point, written at the point.
pub(super) fn is_elementwise(compute: &Compute) -> bool {
    compute.combine.is_none()
        && compute.axes.iter().all(|a| a.kind == AxisKind::Parallel)
        && compute.writes_identity()
}

/// Whether points that run at the same time may combine their values in one element of memory that existed
/// before.
pub(super) fn needs_atomics(compute: &Compute) -> bool {
    let owned = |a: &Axis| compute.write.iter().any(|e| e.as_axis() == Some(&a.name)) || a.extent.is(1);
    let combines = compute.combine.is_some() && !compute.is_reduction();
    combines && !axes_of(compute, AxisKind::Parallel).iter().all(owned)
}

/// Puts the body of the compute that writes `tensor` in place of every read of it and drops the compute;
/// `None` if that is not possible.
pub(super) fn inline(kernel: &Kernel, tensor: usize) -> Option<Kernel> {
    let mut writers = kernel.computes.iter().filter(|c| c.target == tensor);
    let producer = writers.next().filter(|p| is_elementwise(p))?;
    if writers.next().is_some() || kernel.tensors[tensor].role != Role::Temporary {
        return None;
    }
    let others = kernel.computes.iter().filter(|c| c.target != tensor);
    let computes = others.map(|c| {
        if c.reads().any(|(t, _)| t == tensor) {
            inline_reads(c, tensor, producer, &|t| t)
        } else {
            Some(c.clone())
        }
    });
    Some(Kernel { computes: computes.collect::<Option<_>>()?, ..kernel.clone() })
}

/// Inlines every temporary that can be inlined and that `wanted` accepts.
pub(super) fn inline_where(kernel: &Kernel, wanted: &dyn Fn(&Kernel, usize) -> bool) -> Kernel {
    let mut kernel = kernel.clone();
    for tensor in 0..kernel.tensors.len() {
        if wanted(&kernel, tensor)
            && let Some(inlined) = inline(&kernel, tensor)
        {
            kernel = inlined;
        }
    }
    kernel
}

/// Whether two computes certainly write different elements of their common target: in some dimension, the
/// index of one ends before that of the other begins.
pub(super) fn write_apart(a: &Compute, b: &Compute) -> bool {
    let bounds = |c: &Compute, e: &Expr| {
        let (mut low, mut high) = (e.clone(), e.clone());
        for axis in &c.axes {
            let (factor, _) = e.split_axis(&axis.name)?;
            if !factor.is(0) && factor.as_const().is_none_or(|f| f < 0) {
                return None;
            }
            low = low.replace_axis(&axis.name, &Expr::from(0));
            high = high.replace_axis(&axis.name, &(axis.extent.clone() - Expr::from(1)));
        }
        (!low.uses_values()).then_some((low, high))
    };
    let before = |x: &Expr, y: &Expr| (y.clone() - x.clone()).interval(&|_| Interval::ALL).low >= Some(1);
    a.write.iter().zip(&b.write).any(|(x, y)| match (bounds(a, x), bounds(b, y)) {
        (Some((x_low, x_high)), Some((y_low, y_high))) => before(&x_high, &y_low) || before(&y_high, &x_low),
        _ => false,
    })
}
