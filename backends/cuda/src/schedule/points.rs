//! A point a thread: the parallel axes of each compute, flattened over blocks and threads; reductions
//! and ordered axes run within the thread.
//!
//! ```text
//! for block in 0..ceildiv(points, 256) on block 0
//!   for thread in 0..256 on thread 0
//!     if block * 256 + thread < points: y[..] = ..
//! ```
//!
//! Computes that follow one another at the same point (a convolution, its bias, its activation) form a group,
//! and temporaries between them are registers. Several groups, such as the parts of a concatenation, share
//! the grid if none needs values that another one writes.

use super::{
    build::{
        Coordinates, NestBuilder, Place, copy, fill, for_each, loops_over, put_coordinates, size, unflatten,
        where_less,
    },
    numbers::Numbers,
    stages::{axes_of, inline_where, write_apart},
};
use mlcc_ir::{
    diagnostic::Result,
    dtype::DType,
    expr::Expr,
    kernel::{Axis, AxisKind, Compute, Kernel, Role},
    nest::{LoopNest, Mapping, Node, Space, Store},
};
use mlcc_passes::schedule::Decision;

const THREADS: i64 = 256;
/// Elements of a thread, if one element each would make more blocks than a GPU runs at once.
const ELEMENTS: i64 = 4;
/// With this many points or more, threads take several elements.
const MANY_POINTS: i64 = 1 << 20;

/// Computes at the same points, each with its coordinates.
struct Group<'k> {
    axes: Vec<Axis>,
    at: Coordinates,
    stages: Vec<(&'k Compute, Coordinates)>,
}

/// Maps a kernel; `None` if threads would need each other's values.
pub(super) fn schedule(kernel: &Kernel, numbers: &Numbers) -> Result<Option<(Decision, LoopNest)>> {
    let kernel = &inline_where(kernel, &|_, _| true);
    let Some(groups) = groups(kernel) else { return Ok(None) };
    let mut builder = NestBuilder::new(kernel)?;
    let threads = numbers.threads.unwrap_or(THREADS);
    let elements = match &groups[..] {
        [g] if g.stages.iter().all(|(c, _)| c.axes.iter().all(|a| a.kind == AxisKind::Parallel)) => {
            let many = size(&g.axes).as_const().is_some_and(|n| n >= MANY_POINTS);
            numbers.elements.unwrap_or(if many { ELEMENTS } else { 1 })
        }
        _ => 1,
    };
    let mut body = Vec::new();
    let mut blocks = Expr::from(0);
    for group in &groups {
        let points = size(&group.axes);
        blocks = blocks.maximum(&points.ceil_div(&Expr::from(threads * elements)));
        let Some(nodes) = emit(&mut builder, group, (threads, elements)) else { return Ok(None) };
        body.extend(nodes);
    }
    if elements > 1 {
        body = vec![for_each("element", elements, Mapping::Unrolled, body)];
    }
    let body = for_each("thread", threads, Mapping::Thread(0), body);
    let body = for_each("block", blocks, Mapping::Block(0), vec![body]);
    let decision = Decision::of_numbers("points", &[("threads", &threads), ("elements", &elements)]);
    Ok(Some((decision, builder.finish(vec![body]))))
}

/// The point of a thread.
fn linear((threads, elements): (i64, i64)) -> Expr {
    let block = Expr::axis("block") * Expr::from(threads * elements);
    let element = if elements > 1 { Expr::axis("element") * Expr::from(threads) } else { Expr::from(0) };
    block + element + Expr::axis("thread")
}

/// The stages of a group, one after the other, in blocks of `threads` threads with `elements` elements each.
fn emit(builder: &mut NestBuilder<'_>, group: &Group<'_>, block: (i64, i64)) -> Option<Vec<Node>> {
    let linear = linear(block);
    let points = size(&group.axes);
    let mut at = Coordinates::new();
    unflatten(&group.axes, &linear, &mut at);
    let guarded = |store: Store| Node::Store(where_less(store, &linear, &points));
    let mut nodes = Vec::new();
    for (compute, coordinates) in &group.stages {
        let target = &builder.kernel.tensors[compute.target];
        let dtype = target.ty.dtype;
        if target.role == Role::Temporary && builder.place(compute.target).is_none() {
            let buffer = builder.buffer(&target.name, dtype, &[], Space::Register);
            builder.put(compute.target, Place { buffer, kept: Vec::new(), suffix: Vec::new() });
        }
        let mut here: Coordinates =
            coordinates.iter().map(|(n, e)| (n.clone(), put_coordinates(e, &at))).collect();
        let ordered = axes_of(compute, AxisKind::Sequential);
        let nested = loops_over(&compute.name, &ordered, Mapping::Serial, &mut here, |here| {
            if !compute.is_reduction() {
                let body = builder.body(&compute.body, here)?;
                return Some(vec![guarded(builder.store(compute, body, here)?)]);
            }
            let reduced = axes_of(compute, AxisKind::Reduction);
            reduce_in_thread(builder, (compute, &reduced), dtype, here, &guarded)
        })?;
        nodes.extend(nested);
    }
    Some(nodes)
}

/// A reduction by one thread: an accumulator in a register, then the compute's element.
pub(super) fn reduce_in_thread(
    builder: &mut NestBuilder<'_>,
    (compute, reduced): (&Compute, &[Axis]),
    dtype: DType,
    at: &Coordinates,
    guarded: &dyn Fn(Store) -> Node,
) -> Option<Vec<Node>> {
    let combine = compute.combine?;
    let acc = builder.buffer(&format!("{}.acc", compute.name), dtype, &[], Space::Register);
    let start = fill(acc, Vec::new(), combine.identity(dtype));
    let mut inside = at.clone();
    let sum = loops_over(&compute.name, reduced, Mapping::Reduction, &mut inside, |inside| {
        let body = builder.body(&compute.body, inside)?;
        Some(vec![guarded(Store { body, combine: Some(combine), ..start.clone() })])
    })?;
    let result = copy((acc, Vec::new()), (acc, Vec::new()), dtype, None).body;
    let result = guarded(builder.store(compute, result, at)?);
    Some([vec![Node::Store(start)], sum, vec![result]].concat())
}

/// The kernel's computes as groups; `None` if their dependences do not allow it.
fn groups(kernel: &Kernel) -> Option<Vec<Group<'_>>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for compute in &kernel.computes {
        let joined = groups.last().and_then(|g| coordinates_in(g, compute));
        match (joined, groups.last_mut()) {
            (Some(at), Some(group)) => group.stages.push((compute, at)),
            _ => {
                let axes = axes_of(compute, AxisKind::Parallel);
                let at: Coordinates = axes.iter().map(|a| (a.name.clone(), Expr::axis(&a.name))).collect();
                groups.push(Group { axes, at: at.clone(), stages: vec![(compute, at)] });
            }
        }
    }
    let apart = |(i, a): (usize, &Group<'_>)| groups[..i].iter().all(|b| independent(b, a));
    let local = |g: &Group<'_>| (0..g.stages.len()).all(|s| is_local(kernel, g, s));
    let fine = groups.iter().enumerate().all(apart) && groups.iter().all(local);
    (fine && !groups.is_empty()).then_some(groups)
}

/// The coordinates of a compute's parallel axes in a group. They come from the elements that it reads of the
/// group's results, or from equal axes.
fn coordinates_in(group: &Group<'_>, compute: &Compute) -> Option<Coordinates> {
    let axes = axes_of(compute, AxisKind::Parallel);
    let mut at = Coordinates::new();
    for (tensor, index) in compute.reads() {
        let Some((writer, where_)) = group.stages.iter().find(|(w, _)| w.target == tensor) else { continue };
        for (read, write) in index.iter().zip(&writer.write) {
            if let (Some(axis), Some(point)) = (read.as_axis(), write.as_axis().and_then(|p| where_.get(p))) {
                at.entry(axis.clone()).or_insert_with(|| point.clone());
            }
        }
    }
    if axes == group.axes {
        for a in &axes {
            at.entry(a.name.clone()).or_insert_with(|| group.at[&a.name].clone());
        }
    }
    at.retain(|name, _| axes.iter().any(|a| a.name == *name));
    for a in axes.iter().filter(|a| a.extent.is(1)) {
        at.entry(a.name.clone()).or_insert_with(|| Expr::from(0));
    }
    // Each axis stands for one of the group, and each axis of the group must occur, or points would be
    // computed twice.
    let extent = |e: &Expr| group.axes.iter().find(|a| Some(&a.name) == e.as_axis()).map(|a| &a.extent);
    let fits = axes.iter().all(|a| a.extent.is(1) || at.get(&a.name).and_then(extent) == Some(&a.extent));
    let all = group.axes.iter().all(|g| g.extent.is(1) || at.values().any(|e| e.as_axis() == Some(&g.name)));
    let count = |axes: &[Axis]| axes.iter().filter(|a| !a.extent.is(1)).count();
    let reads = compute.reads().any(|(t, _)| group.stages.iter().any(|(w, _)| w.target == t));
    let rewrites = group.stages.iter().any(|(w, _)| w.target == compute.target);
    let related = reads || (axes == group.axes && !rewrites);
    (fits && all && related && count(&axes) == count(&group.axes)).then_some(at)
}

/// Whether the stage reads its group's results only at its own point, for registers and for memory that the
/// thread itself has written.
fn is_local(kernel: &Kernel, group: &Group<'_>, stage: usize) -> bool {
    let (compute, at) = &group.stages[stage];
    let points = |index: &[Expr], at: &Coordinates| -> Vec<Expr> {
        index.iter().map(|e| put_coordinates(e, at)).collect()
    };
    group.stages.iter().all(|(writer, writer_at)| {
        let written = points(&writer.write, writer_at);
        // Dimensions that tell which thread writes the element.
        let is_point = |e: &Expr| e.as_axis().is_some_and(|n| group.axes.iter().any(|a| a.name == *n));
        let owned: Vec<usize> = (0..written.len()).filter(|&d| is_point(&written[d])).collect();
        let owns_all = group
            .axes
            .iter()
            .all(|g| g.extent.is(1) || owned.iter().any(|&d| written[d].as_axis() == Some(&g.name)));
        let ty = &kernel.tensors[writer.target].ty;
        let register = kernel.tensors[writer.target].role == Role::Temporary;
        let same = |index: &[Expr]| {
            let read = points(index, at);
            let covered = (0..read.len()).all(|d| owned.contains(&d) || ty.dims[d].is(1));
            owns_all
                && owned.iter().all(|&d| read[d] == written[d] || ty.dims[d].is(1))
                && (covered || !register)
        };
        let reads = compute.reads().filter(|(t, _)| *t == writer.target).all(|(_, index)| same(index));
        let again =
            std::ptr::eq(*writer, *compute) || writer.target != compute.target || same(&compute.write);
        let fits = !register || same(&writer.write) || !std::ptr::eq(*writer, *compute);
        reads && again && fits
    })
}

/// Whether the second group can run at the same time as the first.
fn independent(a: &Group<'_>, b: &Group<'_>) -> bool {
    a.stages.iter().all(|(x, _)| {
        b.stages.iter().all(|(y, _)| {
            let reads = |c: &Compute, t: usize| c.reads().any(|(r, _)| r == t);
            !reads(y, x.target) && !reads(x, y.target) && (x.target != y.target || write_apart(x, y))
        })
    })
}
