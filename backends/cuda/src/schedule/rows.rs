//! A row a block: the threads of a block share the elements of a row, stage by stage.
//!
//! ```text
//! for row in 0..rows on block 0
//!   for thread in 0..256 on thread 0
//!     max.acc = -inf
//!     for step: max.acc = max(max.acc, x[row, step * 256 + thread])
//!     max.partial[thread] = max.acc
//!     barrier
//!     if thread < 128: max.partial[thread] = max(max.partial[thread], max.partial[thread + 128])
//!     barrier
//!     ..                                        max is max.partial[0] from here on
//!     for step: y[row, step * 256 + thread] = exp(x[..] - max.partial[0]) ..
//! ```
//!
//! If the values of a row fit, they lie in shared memory while the row lasts. Otherwise their readers compute
//! them again. A kernel whose stages have no row in common is one row.

use super::{
    build::{Coordinates, NestBuilder, Place, copy, fill, for_each, loops_over, size, unflatten, where_less},
    numbers::Numbers,
    stages::{axes_of, inline, is_elementwise},
};
use mlcc_ir::{
    Name,
    diagnostic::Result,
    expr::Expr,
    kernel::{Axis, AxisKind, Compute, Kernel, Role},
    nest::{LoopNest, Mapping, Node, Space, Store},
};
use mlcc_passes::schedule::Decision;
use std::collections::BTreeMap;

const MAX_THREADS: i64 = 256;
/// A warp.
const MIN_THREADS: i64 = 32;
/// Shared memory for values of a row, in bytes. Every block may have 48 KiB; the rest of it is for partial
/// results.
const SHARED_BYTES: i64 = 40 << 10;

/// Maps a kernel whose stages have rows in common; `None` if they have none, or if the values of a row do not fit
/// shared memory.
pub(super) fn schedule(kernel: &Kernel, numbers: &Numbers) -> Result<Option<(Decision, LoopNest)>> {
    let anchors = kernel.computes.iter().filter(|c| c.is_reduction());
    let mut candidates: Vec<&Compute> = anchors.collect();
    // The more rows, the more blocks.
    candidates.sort_by_key(|c| std::cmp::Reverse(axes_of(c, AxisKind::Parallel).len()));
    for anchor in candidates {
        if let Some(rows) = Rows::along(kernel, anchor)
            && let Some(found) = rows.schedule(numbers)?
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Maps a kernel as one row: the whole in one block. `None` if its values do not fit shared memory.
pub(super) fn schedule_whole(kernel: &Kernel, numbers: &Numbers) -> Result<Option<(Decision, LoopNest)>> {
    match Rows::single(kernel).fit(SHARED_BYTES) {
        Some(rows) => rows.schedule(numbers),
        None => Ok(None),
    }
}

/// A kernel seen as rows.
pub(super) struct Rows {
    pub(super) kernel: Kernel,
    pub(super) axes: Vec<Axis>,
    /// For each compute, the row axis behind each of its axes.
    pub(super) at: Vec<BTreeMap<Name, usize>>,
    /// Dimensions of each tensor that are rows.
    pub(super) dims: Vec<BTreeMap<usize, usize>>,
}

impl Rows {
    /// The kernel as one row.
    fn single(kernel: &Kernel) -> Rows {
        Rows {
            kernel: kernel.clone(),
            axes: Vec::new(),
            at: vec![BTreeMap::new(); kernel.computes.len()],
            dims: vec![BTreeMap::new(); kernel.tensors.len()],
        }
    }

    /// The kernel with a row for each point of the anchor's parallel axes.
    fn along(kernel: &Kernel, anchor: &Compute) -> Option<Rows> {
        let axes = wide_axes(anchor);
        let first = kernel.computes.iter().position(|c| std::ptr::eq(c, anchor))?;
        let rows = Rows::with_axes(kernel, first, axes);
        (!rows.axes.is_empty() && rows.shared_row().is_none()).then_some(rows)?.fit(SHARED_BYTES)
    }

    /// The kernel with a row for each point of some parallel axes of compute `anchor`: those along which its
    /// rows are separate.
    pub(super) fn separable(kernel: &Kernel, anchor: usize) -> Rows {
        let mut axes = wide_axes(&kernel.computes[anchor]);
        loop {
            let rows = Rows::with_axes(kernel, anchor, axes.clone());
            match rows.shared_row() {
                Some(row) => drop(axes.remove(row)),
                None => return rows,
            }
        }
    }

    /// The kernel with these axes of compute `anchor` as rows, and the matching axes of the other computes.
    fn with_axes(kernel: &Kernel, anchor: usize, axes: Vec<Axis>) -> Rows {
        let mut rows = Rows { axes, ..Rows::single(kernel) };
        rows.at[anchor] = rows.axes.iter().enumerate().map(|(r, a)| (a.name.clone(), r)).collect();
        while rows.propagate() {}
        for (c, compute) in kernel.computes.iter().enumerate() {
            if rows.at[c].is_empty() {
                for (r, row) in rows.axes.iter().enumerate() {
                    if compute.axes.contains(row) {
                        rows.at[c].insert(row.name.clone(), r);
                    }
                }
                while rows.propagate() {}
            }
        }
        rows
    }

    /// Carries rows from computes to the temporaries that they touch and back; whether anything was new.
    fn propagate(&mut self) -> bool {
        let mut new = false;
        for (c, compute) in self.kernel.computes.iter().enumerate() {
            let write = std::iter::once((compute.target, &compute.write[..]));
            for (t, index) in compute.reads().chain(write) {
                if self.kernel.tensors[t].role != Role::Temporary {
                    continue;
                }
                for (d, e) in index.iter().enumerate() {
                    let Some(axis) = e.as_axis().and_then(|n| compute.axis(n)) else { continue };
                    if axis.kind != AxisKind::Parallel {
                        continue;
                    }
                    match (self.at[c].get(&axis.name).copied(), self.dims[t].get(&d).copied()) {
                        (Some(row), None) => {
                            new |= self.dims[t].insert(d, row).is_none();
                        }
                        (None, Some(row)) if axis.extent == self.axes[row].extent => {
                            new |= self.at[c].insert(axis.name.clone(), row).is_none();
                        }
                        _ => {}
                    }
                }
            }
        }
        new
    }

    /// A row axis along which blocks would need values that another block computes. `None` if every compute
    /// has all rows, once, and values written in the kernel are read and written again in the same row only.
    fn shared_row(&self) -> Option<usize> {
        let complete = |row: usize| self.at.iter().all(|at| at.values().filter(|r| **r == row).count() == 1);
        let computes = || self.kernel.computes.iter().enumerate();
        let stays = |row: usize| {
            let is_row = |c: usize, e: &Expr| e.as_axis().and_then(|n| self.at[c].get(n)) == Some(&row);
            let same_row = |c: usize, index: &[Expr], writer: usize, written: &[Expr]| {
                written.iter().zip(index).any(|(w, r)| is_row(writer, w) && is_row(c, r))
            };
            computes().all(|(w, writer)| {
                computes().all(|(c, compute)| {
                    let mut reads = compute.reads().filter(|(t, _)| *t == writer.target);
                    let rewrites = w != c && compute.target == writer.target;
                    reads.all(|(_, index)| same_row(c, index, w, &writer.write))
                        && (!rewrites || same_row(c, &compute.write, w, &writer.write))
                })
            })
        };
        (0..self.axes.len()).find(|&row| !complete(row) || !stays(row))
    }

    /// Dimensions of a tensor that differ within a row.
    fn inner_dims(&self, tensor: usize) -> Vec<usize> {
        let ty = &self.kernel.tensors[tensor].ty;
        (0..ty.rank()).filter(|d| !self.dims[tensor].contains_key(d) && !ty.dims[*d].is(1)).collect()
    }

    /// Elements of a temporary within a row, if constant.
    fn elements(&self, tensor: usize) -> Option<i64> {
        let dims = &self.kernel.tensors[tensor].ty.dims;
        self.inner_dims(tensor).iter().try_fold(1i64, |n, &d| n.checked_mul(dims[d].as_const()?))
    }

    /// Inlines temporaries until the rest of a row takes at most `bytes`; `None` if it never does.
    pub(super) fn fit(mut self, bytes: i64) -> Option<Rows> {
        let mut left = bytes;
        for tensor in 0..self.kernel.tensors.len() {
            let KernelTemporary { used, is_row } = self.temporary(tensor);
            if !used || !is_row {
                continue;
            }
            let bytes = self
                .elements(tensor)
                .and_then(|n| n.checked_mul(self.kernel.tensors[tensor].ty.dtype.size() as i64));
            match bytes.filter(|b| *b <= left) {
                Some(bytes) => left -= bytes,
                None => {
                    let at = self.kernel.computes.iter().position(|c| c.target == tensor)?;
                    self.kernel = inline(&self.kernel, tensor)?;
                    self.at.remove(at);
                }
            }
        }
        Some(self)
    }

    /// The uses of a tensor as a temporary.
    fn temporary(&self, tensor: usize) -> KernelTemporary {
        let is_temporary = self.kernel.tensors[tensor].role == Role::Temporary;
        let used = is_temporary && self.kernel.computes.iter().any(|c| c.target == tensor);
        KernelTemporary { used, is_row: !self.inner_dims(tensor).is_empty() }
    }

    /// Axes of a compute of that kind that are not rows.
    fn inner(&self, c: usize, kind: AxisKind) -> Vec<Axis> {
        let inner = |a: &Axis| !self.at[c].contains_key(&a.name) && !a.extent.is(1);
        axes_of(&self.kernel.computes[c], kind).into_iter().filter(inner).collect()
    }

    /// As many threads as the longest row has elements, within limits.
    fn threads(&self) -> i64 {
        let lengths = (0..self.kernel.computes.len()).map(|c| {
            let parallel = self.inner(c, AxisKind::Parallel);
            let shared = if parallel.is_empty() { self.inner(c, AxisKind::Reduction) } else { parallel };
            size(&shared).as_const().unwrap_or(MAX_THREADS)
        });
        let longest = lengths.max().unwrap_or(1).clamp(MIN_THREADS, MAX_THREADS);
        longest.cast_unsigned().next_power_of_two().cast_signed()
    }

    fn schedule(&self, numbers: &Numbers) -> Result<Option<(Decision, LoopNest)>> {
        let threads = numbers.threads.unwrap_or_else(|| self.threads());
        let mut stages =
            Stages { rows: self, builder: NestBuilder::new(&self.kernel)?, threads, nodes: Vec::new() };
        for c in 0..self.kernel.computes.len() {
            if stages.emit(c).is_none() {
                return Ok(None);
            }
        }
        let Stages { builder, mut nodes, .. } = stages;
        if matches!(nodes.last(), Some(Node::Barrier)) {
            nodes.pop();
        }
        let body = for_each("thread", threads, Mapping::Thread(0), nodes);
        let body = for_each("row", size(&self.axes), Mapping::Block(0), vec![body]);
        Ok(Some((Decision::of_numbers("rows", &[("threads", &threads)]), builder.finish(vec![body]))))
    }
}

/// The parallel axes of a compute that have more than one point.
fn wide_axes(compute: &Compute) -> Vec<Axis> {
    axes_of(compute, AxisKind::Parallel).into_iter().filter(|a| !a.extent.is(1)).collect()
}

struct KernelTemporary {
    used: bool,
    is_row: bool,
}

/// The stages of a row under construction.
struct Stages<'r> {
    rows: &'r Rows,
    builder: NestBuilder<'r>,
    threads: i64,
    nodes: Vec<Node>,
}

impl Stages<'_> {
    /// Appends a compute; `None` if it cannot be mapped.
    fn emit(&mut self, c: usize) -> Option<()> {
        let compute = &self.rows.kernel.computes[c];
        let mut points = Coordinates::new();
        unflatten(&self.rows.axes, &Expr::axis("row"), &mut points);
        let mut at: Coordinates = self.rows.at[c]
            .iter()
            .map(|(name, row)| (name.clone(), points[&self.rows.axes[*row].name].clone()))
            .collect();
        for axis in compute.axes.iter().filter(|a| a.extent.is(1)) {
            at.insert(axis.name.clone(), Expr::from(0));
        }
        let (parallel, reduced) =
            (self.rows.inner(c, AxisKind::Parallel), self.rows.inner(c, AxisKind::Reduction));
        let ordered = self.rows.inner(c, AxisKind::Sequential);
        if parallel.is_empty() && ordered.is_empty() && compute.is_reduction() {
            return self.reduce(compute, &reduced, &mut at);
        }
        let scalar = parallel.is_empty() && self.is_alone(compute) && is_elementwise(compute);
        self.place_target(compute, scalar);
        if scalar {
            // Every thread computes the value for itself: no barrier.
            let body = self.builder.body(&compute.body, &at)?;
            self.nodes.push(Node::Store(self.builder.store(compute, body, &at)?));
            return Some(());
        }
        let thread = Expr::axis("thread");
        let step = format!("{}.step", compute.name);
        let linear =
            if parallel.is_empty() { thread } else { Expr::axis(&step) * Expr::from(self.threads) + thread };
        unflatten(&parallel, &linear, &mut at);
        let points = size(&parallel);
        let nodes = self.within_thread(compute, (&ordered, &reduced), &mut at, &|store| {
            Node::Store(where_less(store, &linear, &points))
        })?;
        if parallel.is_empty() {
            self.nodes.extend(nodes);
        } else {
            let steps = points.ceil_div(&Expr::from(self.threads));
            self.nodes.push(for_each(&step, steps, Mapping::Serial, nodes));
        }
        self.nodes.push(Node::Barrier);
        Some(())
    }

    /// Whether a compute is the only writer of its target, a temporary of one value a row.
    fn is_alone(&self, compute: &Compute) -> bool {
        let target = compute.target;
        self.rows.kernel.tensors[target].role == Role::Temporary
            && self.rows.inner_dims(target).is_empty()
            && self.rows.kernel.computes.iter().filter(|c| c.target == target).count() == 1
    }

    /// Finds a place for a temporary that has none.
    fn place_target(&mut self, compute: &Compute, scalar: bool) {
        let tensor = &self.rows.kernel.tensors[compute.target];
        if tensor.role != Role::Temporary || self.builder.place(compute.target).is_some() {
            return;
        }
        let kept = self.rows.inner_dims(compute.target);
        let dims: Vec<Expr> = kept.iter().map(|&d| tensor.ty.dims[d].clone()).collect();
        let space = if scalar { Space::Register } else { Space::Shared };
        let (dims, suffix) = match space {
            // A block's memory has at least one dimension.
            Space::Shared if dims.is_empty() => (vec![Expr::from(1)], vec![Expr::from(0)]),
            _ => (dims, Vec::new()),
        };
        let buffer = self.builder.buffer(&tensor.name, tensor.ty.dtype, &dims, space);
        self.builder.put(compute.target, Place { buffer, kept, suffix });
    }

    /// A compute whose points belong to a thread each; reductions and ordered axes are loops within it.
    fn within_thread(
        &mut self,
        compute: &Compute,
        (ordered, reduced): (&[Axis], &[Axis]),
        at: &mut Coordinates,
        guarded: &dyn Fn(Store) -> Node,
    ) -> Option<Vec<Node>> {
        let builder = &mut self.builder;
        let dtype = builder.kernel.tensors[compute.target].ty.dtype;
        loops_over(&compute.name, ordered, Mapping::Serial, at, |at| {
            if !compute.is_reduction() {
                let body = builder.body(&compute.body, at)?;
                return Some(vec![guarded(builder.store(compute, body, at)?)]);
            }
            super::points::reduce_in_thread(builder, (compute, reduced), dtype, at, guarded)
        })
    }

    /// A reduction by all threads: each reduces its part, then a tree combines them.
    fn reduce(&mut self, compute: &Compute, reduced: &[Axis], at: &mut Coordinates) -> Option<()> {
        let combine = compute.combine?;
        let row = at.clone();
        let target = &self.rows.kernel.tensors[compute.target];
        let dtype = target.ty.dtype;
        let builder = &mut self.builder;
        let acc = builder.buffer(&format!("{}.acc", compute.name), dtype, &[], Space::Register);
        let name = format!("{}.partial", compute.name);
        let partial = builder.buffer(&name, dtype, &[self.threads.into()], Space::Shared);
        let thread = Expr::axis("thread");
        let step = format!("{}.step", compute.name);
        let linear = Expr::axis(&step) * Expr::from(self.threads) + thread.clone();
        let points = size(reduced);
        unflatten(reduced, &linear, at);
        let body = builder.body(&compute.body, at)?;
        let start = fill(acc, Vec::new(), combine.identity(dtype));
        let sum = where_less(Store { body, combine: Some(combine), ..start.clone() }, &linear, &points);
        let steps = points.ceil_div(&Expr::from(self.threads));
        let mut nodes = vec![
            Node::Store(start),
            for_each(&step, steps, Mapping::Reduction, vec![Node::Store(sum)]),
            Node::Store(copy((partial, vec![thread.clone()]), (acc, Vec::new()), dtype, None)),
            Node::Barrier,
        ];
        let mut half = self.threads / 2;
        while half > 0 {
            let from = thread.clone() + Expr::from(half);
            let halve = copy((partial, vec![thread.clone()]), (partial, vec![from]), dtype, Some(combine));
            nodes.push(Node::Store(where_less(halve, &thread, &Expr::from(half))));
            nodes.push(Node::Barrier);
            half /= 2;
        }
        let first = vec![Expr::from(0)];
        if self.is_alone(compute) {
            self.builder.put(compute.target, Place { buffer: partial, kept: Vec::new(), suffix: first });
        } else {
            self.place_target(compute, false);
            let builder = &mut self.builder;
            let body = copy((partial, first.clone()), (partial, first), dtype, None).body;
            let store = Store { combine: None, ..builder.store(compute, body, &row)? };
            nodes.push(Node::Store(where_less(store, &thread, &Expr::from(1))));
            nodes.push(Node::Barrier);
        }
        self.nodes.extend(nodes);
        Some(())
    }
}
