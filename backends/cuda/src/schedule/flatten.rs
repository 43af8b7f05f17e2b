//! Two axes that together number one dimension of a compute's target become one axis.
//!
//! ```text
//! for g in 0..6, m in 0..8: acc[n, g * 8 + m] = x[n, g * 8 + c] * w[g * 8 + m, c]
//! =>
//! for f in 0..48: acc[n, f] = x[n, f / 8 * 8 + c] * w[f, c]
//! ```
//!
//! A grouped convolution is such a compute. Afterwards it has one point for each element, so a reader of an
//! element is known to be at the same point.

use mlcc_ir::{
    expr::{Atom, Expr},
    kernel::{Axis, AxisKind, Compute, Kernel},
    scalar::Inst,
};

/// The kernel with such axes made one.
pub(super) fn flatten(kernel: &Kernel) -> Kernel {
    let mut kernel = kernel.clone();
    for compute in &mut kernel.computes {
        while let Some((outer, inner)) = pair(compute) {
            join(compute, outer, inner);
        }
    }
    kernel
}

/// The first two axes that number a dimension together: the places of the outer and the inner one.
fn pair(compute: &Compute) -> Option<(usize, usize)> {
    let parallel = |a: &&Axis| a.kind == AxisKind::Parallel;
    compute.write.iter().enumerate().find_map(|(d, index)| {
        let alone = |a: &&Axis| {
            compute.write.iter().enumerate().all(|(other, e)| other == d || !e.uses_axis(&a.name))
        };
        let here = |a: &&Axis| index.uses_axis(&a.name);
        let at = |axis: &Axis| compute.axes.iter().position(|a| a.name == axis.name);
        let axes: Vec<&Axis> =
            compute.axes.iter().filter(parallel).filter(here).filter(|a| alone(a)).collect();
        axes.iter().find_map(|inner| {
            // There is no point at all along an axis without elements, and nothing to divide by.
            if inner.extent.is(0) {
                return None;
            }
            let (step, _) = index.split_axis(&inner.name)?;
            let whole = step * inner.extent.clone();
            let outer = axes.iter().find(|outer| {
                outer.name != inner.name && index.split_axis(&outer.name).is_some_and(|(s, _)| s == whole)
            })?;
            Some((at(outer)?, at(inner)?))
        })
    })
}

/// Makes two axes one, at the place of the outer one.
fn join(compute: &mut Compute, outer: usize, inner: usize) {
    let (o, i) = (compute.axes[outer].clone(), compute.axes[inner].clone());
    let mut name = format!("{}.{}", o.name, i.name);
    while compute.axis(&name).is_some() {
        name.push('_');
    }
    let both = Expr::axis(&name);
    let (at_outer, at_inner) = (both.floor_div(&i.extent), both.modulo(&i.extent));
    let put = |e: &Expr| {
        // An expression that numbers the points like the axis needs no division.
        if let (Some((step, rest)), Some((outer_step, _))) = (e.split_axis(&i.name), e.split_axis(&o.name))
            && outer_step == step.clone() * i.extent.clone()
        {
            return step * both.clone() + rest.replace_axis(&o.name, &Expr::from(0));
        }
        e.substitute(&|atom| match atom {
            Atom::Axis(n) if *n == o.name => Some(at_outer.clone()),
            Atom::Axis(n) if *n == i.name => Some(at_inner.clone()),
            _ => None,
        })
    };
    compute.write.iter_mut().for_each(|e| *e = put(e));
    for (inst, _) in &mut compute.body.insts {
        match inst {
            Inst::Index(e) => *e = put(e),
            Inst::Read { index, .. } => index.iter_mut().for_each(|e| *e = put(e)),
            _ => {}
        }
    }
    let extent = o.extent.clone() * i.extent.clone();
    compute.axes[outer] = Axis { name: name.as_str().into(), extent, kind: AxisKind::Parallel };
    compute.axes.remove(inner);
}
