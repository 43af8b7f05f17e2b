//! The first nest of a kernel: every compute a serial nest of its own.
//!
//! A reduction becomes two nests, `c.init` that stores the identity and `c` that combines. Axes are
//! called `compute.axis` (`conv.m`, `conv.init.m`) and keep these names under scheduling. Axes of one
//! point are left out. Temporaries are scratch buffers.

use super::ranges::Ranges;
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    expr::{Atom, Expr},
    kernel::{AxisKind, Compute, Kernel, Role},
    nest::{
        Buffer, Loop, LoopNest, Mapping, Node, Space, Store,
        names::{AxisName, Purpose, StageName},
    },
    scalar::{Body, Inst},
    size_range::SizeRanges,
    types::Layout,
};

/// Each compute as a serial nest of its own. The caller adds what is known about symbols.
///
/// # Errors
/// If a reduction has no combination, or a tensor has a layout that was not made explicit.
pub fn naive(kernel: &Kernel) -> Result<LoopNest> {
    let mut order: Vec<usize> = kernel.operands().collect();
    order.extend(kernel.with_role(Role::Temporary));
    let mut position = vec![0; order.len()];
    order.iter().enumerate().for_each(|(new, &old)| position[old] = new);
    let mut buffers = Vec::with_capacity(order.len());
    for &t in &order {
        let tensor = &kernel.tensors[t];
        if tensor.ty.layout != Layout::RowMajor {
            return Err(Diagnostic::internal(format!(
                "tensor '{}' of kernel '{}' has a blocked layout that was not made explicit",
                tensor.name, kernel.name
            )));
        }
        buffers.push(Buffer {
            name: tensor.name.clone(),
            dtype: tensor.ty.dtype,
            dims: tensor.ty.dims.clone(),
            role: tensor.role,
            space: if tensor.role == Role::Temporary { Space::Scratch } else { Space::Global },
            packed: false,
        });
    }
    let mut nest = LoopNest {
        name: kernel.name.clone(),
        nodes: kernel.nodes.clone(),
        symbols: kernel.symbols(),
        ranges: SizeRanges::default(),
        buffers,
        body: Vec::new(),
        packings: Vec::new(),
        streamed: Vec::new(),
        fetches: Vec::new(),
    };
    for compute in &kernel.computes {
        let nodes = stages(compute, &nest, &position).map_err(|what| {
            Diagnostic::internal(format!("compute '{}' of kernel '{}' {what}", compute.name, kernel.name))
        })?;
        nest.body.extend(nodes);
    }
    Ok(nest)
}

/// The one or two nests of a compute.
fn stages(compute: &Compute, nest: &LoopNest, position: &[usize]) -> std::result::Result<Vec<Node>, String> {
    let target = position[compute.target];
    let mut nodes = Vec::new();
    if compute.is_reduction() {
        let combine = compute.combine.ok_or("reduces without a combination")?;
        let dtype = nest.buffers[target].dtype;
        let mut body = Body::default();
        body.constant(combine.identity(dtype));
        let store = Store {
            buffer: target,
            index: compute.write.clone(),
            body,
            combine: None,
            guards: Vec::new(),
            checked: false,
        };
        nodes.push(loops(compute, nest, &StageName::new(&compute.name, Purpose::Initial), store, false));
    }
    let mut body = compute.body.clone();
    for (inst, _) in &mut body.insts {
        if let Inst::Read { tensor, .. } = inst {
            *tensor = position[*tensor];
        }
    }
    let store = Store {
        buffer: target,
        index: compute.write.clone(),
        body,
        combine: compute.combine,
        guards: Vec::new(),
        checked: compute.write.iter().any(Expr::uses_values),
    };
    nodes.push(loops(compute, nest, &StageName::new(&compute.name, Purpose::Values), store, true));
    Ok(nodes)
}

/// The store inside the compute's loops; reduction loops are innermost.
fn loops(compute: &Compute, nest: &LoopNest, stage: &StageName, store: Store, reduce: bool) -> Node {
    let kept = |a: &&mlcc_ir::kernel::Axis| !a.extent.is(1);
    let (reduced, free): (Vec<_>, Vec<_>) =
        compute.axes.iter().filter(kept).partition(|a| a.kind == AxisKind::Reduction);
    let axes: Vec<_> = free.into_iter().chain(reduced.into_iter().filter(|_| reduce)).collect();
    let axis_name = |axis: &str| stage.axis(&AxisName::new(axis));
    let mut ranges = Ranges::default();
    for a in &axes {
        ranges.push_axis(axis_name(&a.name), a.extent.clone());
    }
    let rename = |e: &Expr| {
        let renamed = e.substitute(&|atom| match atom {
            Atom::Axis(n) if axes.iter().any(|a| a.name == *n) => Some(Expr::axis(&axis_name(n))),
            Atom::Axis(_) => Some(Expr::from(0)),
            _ => None,
        });
        ranges.simplify(&renamed)
    };
    let mut store = Store {
        index: store.index.iter().map(rename).collect(),
        body: super::tree::map_body(&store.body, &rename),
        ..store
    };
    drop_needless_checks(&mut store.body, nest, &ranges);
    axes.iter().rev().fold(Node::Store(store), |inner, a| {
        let mapping = if a.kind == AxisKind::Reduction { Mapping::Reduction } else { Mapping::Serial };
        Node::Loop(Loop { axis: axis_name(&a.name), extent: a.extent.clone(), mapping, body: vec![inner] })
    })
}

/// Turns reads that the ranges prove to be in bounds into plain reads.
fn drop_needless_checks(body: &mut Body, nest: &LoopNest, ranges: &Ranges) {
    for (inst, _) in &mut body.insts {
        if let Inst::Read { tensor, index, outside } = inst
            && outside.is_some()
            && index.iter().zip(&nest.buffers[*tensor].dims).all(|(e, dim)| ranges.in_bounds(e, dim))
        {
            *outside = None;
        }
    }
}
