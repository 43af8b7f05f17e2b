//! Movements behind views. A kernel that only moves elements is treated as if it wrote the view of its result
//! that others read.
//!
//! ```text
//! t[b, g, r, l] = x[b, g, l];  v = view of t as [b, g * r, l]     becomes     v[b, h, l] = x[b, floordiv(h, r), l]
//! ```
//!
//! A reshape keeps the order of elements, so the index into the view gives the index into its source. The
//! dimensions are taken in groups of neighbours with as many elements on both sides.

use super::uses::{Uses, single_elementwise};
use mlcc_ir::{
    expr::{Atom, Expr, Interval},
    kernel::{Axis, AxisKind, Compute, Kernel, KernelTensor},
    program::{Program, Step, Storage, TensorId},
    scalar::Inst,
};

/// The index into a tensor of dimensions `source` at the point `at` of a view of all its elements, with
/// dimensions `view`. The result is `None` if it needs a division by a size that is not fixed.
fn index_through(view: &[Expr], source: &[Expr], at: &[Expr]) -> Option<Vec<Expr>> {
    let product = |dims: &[Expr]| dims.iter().fold(Expr::from(1), |n, d| n * d.clone());
    let mut index = Vec::with_capacity(source.len());
    let (mut i, mut j) = (0, 0);
    while i < view.len() || j < source.len() {
        let (rest, own) = (&view[i..], &source[j..]);
        let pairs = (0..=rest.len()).flat_map(|a| (0..=own.len()).map(move |b| (a, b)));
        let group =
            pairs.filter(|p| *p != (0, 0)).filter(|&(a, b)| product(&rest[..a]) == product(&own[..b]));
        let (a, b) = group.min_by_key(|(a, b)| a + b)?;
        // The group's element in row-major order.
        let point = at[i..i + a].iter().zip(&rest[..a]);
        let linear = point.fold(Expr::from(0), |n, (e, d)| n * d.clone() + e.clone());
        for d in 0..b {
            let stride = product(&own[d + 1..b]);
            if b > 1 && (stride.as_const().is_none() || d > 0 && own[d].as_const().is_none()) {
                return None;
            }
            let quotient = linear.floor_div(&stride);
            index.push(if d == 0 { quotient } else { quotient.modulo(&own[d]) });
        }
        (i, j) = (i + a, j + b);
    }
    Some(index)
}

/// The movement `kernel` as one that writes the view `view` of its result. The result is `None` if the kernel
/// is no movement, or if the view does not show the whole tensor.
pub(super) fn writing_view(program: &Program, kernel: &Kernel, view: TensorId) -> Option<Kernel> {
    let movement = single_elementwise(kernel)?;
    let (_, first) = program.resolve_view(view);
    let ty = &program.tensors[view].ty;
    let source = &kernel.tensors[movement.target].ty.dims;
    if !first.is(0) || ty.dims.iter().chain(source).any(|d| d.is(0)) {
        return None;
    }
    let axes: Vec<Axis> = (0..ty.dims.len())
        .map(|d| Axis { name: format!("i{d}").into(), extent: ty.dims[d].clone(), kind: AxisKind::Parallel })
        .collect();
    let at: Vec<Expr> = axes.iter().map(|a| Expr::axis(&a.name)).collect();
    let index = index_through(&ty.dims, source, &at)?;
    let range = |name: &str| {
        let extent = axes.iter().find(|a| &*a.name == name).map(|a| &a.extent);
        Interval { low: Some(0), high: extent.and_then(Expr::as_const).map(|n| n - 1) }
    };
    // The movement writes its axes in order.
    let place = |atom: &Atom| match atom {
        Atom::Axis(name) => {
            movement.write.iter().position(|e| e.as_axis() == Some(name)).map(|d| index[d].clone())
        }
        _ => None,
    };
    let rewrite = |e: &Expr| e.substitute(&place).simplify(&range);
    let mut body = movement.body.clone();
    for (inst, _) in &mut body.insts {
        match inst {
            Inst::Index(e) => *e = rewrite(e),
            Inst::Read { index, .. } => index.iter_mut().for_each(|e| *e = rewrite(e)),
            _ => {}
        }
    }
    let mut viewed = kernel.clone();
    viewed.tensors[movement.target] =
        KernelTensor { ty: ty.clone(), ..kernel.tensors[movement.target].clone() };
    viewed.computes = vec![Compute { axes, write: at, body, ..movement.clone() }];
    Some(viewed)
}

/// Forgets a view that nothing reads any more, and the views between it and its source.
pub(super) fn retire(program: &mut Program, view: TensorId) {
    let mut at = view;
    while let Storage::View { source, .. } = program.tensors[at].storage {
        let viewed =
            program.tensors.iter().any(|t| matches!(t.storage, Storage::View { source, .. } if source == at));
        if viewed || program.steps.iter().any(|s| touches(s, at)) {
            return;
        }
        program.tensors[at].storage = Storage::Intermediate;
        at = source;
    }
}

fn touches(step: &Step, tensor: TensorId) -> bool {
    match step {
        Step::Kernel { operands, .. } => operands.contains(&tensor),
        Step::Copy { target, source } => [*target, *source].contains(&tensor),
        // Any other step may touch the tensor.
        _ => true,
    }
}

/// The steps that write a view's source and read the view, where nothing else touches either.
pub(super) fn only_edge(program: &Program, uses: &Uses, view: TensorId) -> Option<(usize, usize)> {
    let Storage::View { .. } = program.tensors[view].storage else { return None };
    let (source, _) = program.resolve_view(view);
    let others = (0..program.tensors.len()).filter(|&t| t != view && t != source);
    let alone = others.filter(|&t| program.resolve_view(t).0 == source).all(|t| uses.is_unread(t));
    alone.then(|| uses.edge_through(source, view))?
}
