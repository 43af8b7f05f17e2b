//! A tile of a matrix product a block: both operands staged through shared memory, a register tile a
//! thread.
//!
//! ```text
//! for row_tile on block 0, col_tile on block 1, batch on block 2
//!   for thread in 0..256 on thread 0
//!     acc[8, 8] = 0
//!     for k_tile in 0..ceildiv(k, 16)
//!       a.tile[k, row] = a[..]; b.tile[k, col] = b[..]
//!       barrier
//!       for k in 0..16
//!         a.fragment[8] = a.tile[k, ..]; b.fragment[8] = b.tile[k, ..]
//!         acc[i, j] += a.fragment[i] * b.fragment[j]
//!       barrier
//!     if row < rows and col < cols: y[..] = f(acc[i, j], ..)
//! ```
//!
//! Rows are the parallel axes that only the first factor uses, and columns those that only the second uses.
//! All others are the batch. Several axes of one kind are flattened. A convolution is a product too: its
//! windows are rows of the first factor, read with bounds.

use super::{
    build::{Coordinates, NestBuilder, Place, copy, fill, for_each, size, unflatten, unrolled, where_less},
    numbers::Numbers,
    stages::{axes_of, inline_where},
};
use mlcc_ir::{
    diagnostic::Result,
    dtype::DType,
    expr::{Expr, Interval},
    kernel::{Axis, AxisKind, Combine, Compute, Kernel, Role},
    nest::{LoopNest, Mapping, Node, Space, Store},
    scalar::{BinaryOp, Body, Constant, Inst, ValueId},
};
use mlcc_passes::schedule::Decision;

const THREADS: i64 = 256;
/// Points of the reduction that are staged at a time.
const K_TILE: i64 = 16;
/// Neighbouring elements that a thread reads as one vector.
const CHUNK: i64 = 4;
/// Distance of a thread's chunks: one chunk of each of a side's 16 threads fits in it.
const CHUNK_STRIDE: i64 = 64;
/// Elements between the rows of a staged tile beyond its width. Without them, a column would lie in one bank
/// of shared memory.
const PADDING: i64 = 4;
/// Fewest rows, columns and points of the reduction that are worth a tile.
const MIN_SIDE: i64 = 16;
const MIN_K: i64 = 8;
/// With this many blocks or more, the large tile keeps a GPU busy.
const MANY_BLOCKS: i64 = 64;
/// Greatest extent of a grid's second and third dimension.
const MAX_GRID: i64 = 65535;

/// One factor of the products.
struct Factor {
    body: Body,
    /// Rows or columns.
    axes: Vec<Axis>,
    /// Whether neighbouring rows (or columns) lie side by side, rather than neighbouring points of the
    /// reduction.
    side_by_side: bool,
}

/// A contraction with the computes that use its result.
struct Product<'k> {
    kernel: &'k Kernel,
    compute: &'k Compute,
    a: Factor,
    b: Factor,
    batch: Vec<Axis>,
    reduced: Vec<Axis>,
    dtype: DType,
}

/// Maps a kernel; `None` if it is no matrix product.
pub(super) fn schedule(kernel: &Kernel, numbers: &Numbers) -> Result<Option<(Decision, LoopNest)>> {
    let kernel = &inline_where(kernel, &|_, _| true);
    let Some(product) = recognise(kernel) else { return Ok(None) };
    let side = numbers.side.unwrap_or_else(|| product.tile());
    let Some(nest) = product.tiled(side)? else { return Ok(None) };
    let per_thread = side / 16;
    let (tile, thread) = (format!("{side}x{side}x{K_TILE}"), format!("{per_thread}x{per_thread}"));
    let decision =
        Decision::of_numbers("matmul", &[("tile", &tile), ("thread", &thread), ("threads", &THREADS)]);
    Ok(Some((decision, nest)))
}

fn recognise(kernel: &Kernel) -> Option<Product<'_>> {
    let (compute, epilogue) = kernel.computes.split_first()?;
    let plain = |c: &Compute| c.combine.is_none() && c.axes.iter().all(|a| a.kind == AxisKind::Parallel);
    let dtype = kernel.tensors[compute.target].ty.dtype;
    let sequential = compute.axes.iter().any(|a| a.kind == AxisKind::Sequential);
    if dtype == DType::Bool || sequential || !epilogue.iter().all(plain) {
        return None;
    }
    let product = compute.product().filter(|p| p.is_sum() && p.is_direct())?;
    let [x, y] = product.factors.each_ref().map(|f| compute.body.of_value(f.value));
    let wide = |a: &Axis| !a.extent.is(1);
    let parallel: Vec<Axis> = axes_of(compute, AxisKind::Parallel).into_iter().filter(wide).collect();
    let reduced: Vec<Axis> = axes_of(compute, AxisKind::Reduction).into_iter().filter(wide).collect();
    let only = |factor| -> Vec<Axis> { product.free(factor).filter(|a| wide(a)).cloned().collect() };
    let (rows, cols) = (only(0), only(1));
    let batch = parallel.iter().filter(|a| !rows.contains(a) && !cols.contains(a)).cloned().collect();
    let at_least = |axes: &[Axis], n: i64| !axes.is_empty() && size(axes).as_const().is_none_or(|s| s >= n);
    if !at_least(&rows, MIN_SIDE) || !at_least(&cols, MIN_SIDE) || !at_least(&reduced, MIN_K) {
        return None;
    }
    // Neighbouring threads have neighbouring columns, and columns lie side by side in the result.
    let last = compute
        .write
        .iter()
        .rev()
        .find_map(|e| e.as_axis().filter(|n| parallel.iter().any(|a| a.name == **n)));
    let swap = last.is_some_and(|n| rows.iter().any(|a| a.name == *n));
    let factor = |body: Body, axes: Vec<Axis>| {
        let side_by_side = lies_along(&body, &axes);
        Factor { body, axes, side_by_side }
    };
    let (x, y) = (factor(x, rows), factor(y, cols));
    let (a, b) = if swap { (y, x) } else { (x, y) };
    Some(Product { kernel, compute, a, b, batch, reduced, dtype })
}

/// Whether the last index of a read moves with the last of the axes.
fn lies_along(body: &Body, axes: &[Axis]) -> bool {
    let last = axes.last().map(|a| &a.name);
    body.insts.iter().any(|(inst, _)| match inst {
        Inst::Read { index, .. } => index.last().zip(last).is_some_and(|(e, name)| e.uses_axis(name)),
        _ => false,
    })
}

impl Product<'_> {
    /// Rows and columns of a block.
    fn tile(&self) -> i64 {
        let tiles = |axes: &[Axis]| size(axes).as_const().filter(|n| *n >= 128).map(|n| (n + 127) / 128);
        let blocks = tiles(&self.a.axes)
            .zip(tiles(&self.b.axes))
            .zip(size(&self.batch).as_const())
            .map(|((m, n), batch)| m.saturating_mul(n).saturating_mul(batch));
        if self.dtype == DType::F32 && blocks.is_some_and(|n| n >= MANY_BLOCKS) { 128 } else { 64 }
    }

    fn tiled(&self, side: i64) -> Result<Option<LoopNest>> {
        let tiles = |axes: &[Axis]| size(axes).ceil_div(&Expr::from(side));
        let (row_tiles, col_tiles, batch) = (tiles(&self.a.axes), tiles(&self.b.axes), size(&self.batch));
        let too_many = |e: &Expr| e.as_const().is_some_and(|n| n > MAX_GRID);
        if too_many(&col_tiles) || too_many(&batch) {
            return Ok(None);
        }
        let mut builder = NestBuilder::new(self.kernel)?;
        let Some(body) = self.within_thread(&mut builder, side) else { return Ok(None) };
        let mut node = for_each("thread", THREADS, Mapping::Thread(0), body);
        if !self.batch.is_empty() {
            node = for_each("batch", batch, Mapping::Block(2), vec![node]);
        }
        node = for_each("col_tile", col_tiles, Mapping::Block(1), vec![node]);
        node = for_each("row_tile", row_tiles, Mapping::Block(0), vec![node]);
        Ok(Some(builder.finish(vec![node])))
    }

    /// The work of a thread.
    fn within_thread(&self, builder: &mut NestBuilder<'_>, side: i64) -> Option<Vec<Node>> {
        let per_thread = side / 16;
        let register = [per_thread.into(), per_thread.into()];
        let acc = builder.buffer("acc", self.dtype, &register, Space::Register);
        let zero = zero(self.dtype);
        let at_ij = || vec![Expr::axis("i"), Expr::axis("j")];
        let ij = [("i", per_thread), ("j", per_thread)];
        let mut body = unrolled(&ij, vec![Node::Store(fill(acc, at_ij(), zero))]);

        let (a_tile, mut k_tile) = self.stage(builder, &self.a, "a", ("row_tile", side))?;
        let (b_tile, stage_b) = self.stage(builder, &self.b, "b", ("col_tile", side))?;
        k_tile.extend(stage_b);
        k_tile.push(Node::Barrier);

        let thread = Expr::axis("thread");
        let sides =
            [("a", a_tile, "i", thread.floor_div(&16.into())), ("b", b_tile, "j", thread.modulo(&16.into()))];
        let k = Expr::axis("k_outer") * Expr::from(4) + Expr::axis("k_inner");
        let mut point = Vec::new();
        let mut fragments = Vec::new();
        for (name, tile, axis, lane) in sides {
            let fragment = builder.buffer(
                &format!("{name}.fragment"),
                self.dtype,
                &[per_thread.into()],
                Space::Register,
            );
            let from = vec![k.clone(), position(axis, &lane)];
            let load = copy((fragment, vec![Expr::axis(axis)]), (tile, from), self.dtype, None);
            point.extend(unrolled(&[(axis, per_thread)], vec![Node::Store(load)]));
            fragments.push((fragment, axis));
        }
        let mut multiply = Body::default();
        let factors: Vec<ValueId> =
            fragments.iter().map(|(f, axis)| multiply.read(*f, vec![Expr::axis(axis)], self.dtype)).collect();
        multiply.binary(BinaryOp::Mul, factors[0], factors[1]);
        let add = Store { body: multiply, combine: Some(Combine::Add), ..fill(acc, at_ij(), zero) };
        point.extend(unrolled(&ij, vec![Node::Store(add)]));
        let inner = for_each("k_inner", 4, Mapping::Unrolled, point);
        k_tile.push(for_each("k_outer", K_TILE / 4, Mapping::Serial, vec![inner]));
        k_tile.push(Node::Barrier);
        let steps = size(&self.reduced).ceil_div(&Expr::from(K_TILE));
        body.push(for_each("k_tile", steps, Mapping::Serial, k_tile));

        let stores = self.results(builder, acc, side)?;
        body.extend(unrolled(&ij, stores));
        Some(body)
    }

    /// Stages a factor's tile in shared memory: the buffer, and the nodes that fill it.
    fn stage(
        &self,
        builder: &mut NestBuilder<'_>,
        factor: &Factor,
        name: &str,
        (tile_axis, side): (&str, i64),
    ) -> Option<(usize, Vec<Node>)> {
        let dims = [Expr::from(K_TILE), Expr::from(side + PADDING)];
        let tile = builder.buffer(&format!("{name}.tile"), self.dtype, &dims, Space::Shared);
        let loads = side * K_TILE / THREADS;
        let element = Expr::axis(&format!("{name}.load"));
        let linear = element.clone() * Expr::from(THREADS) + Expr::axis("thread");
        let inner = Expr::from(if factor.side_by_side { side } else { K_TILE });
        let (slow, fast) = (linear.floor_div(&inner), linear.modulo(&inner));
        let (side_at, k_at) = if factor.side_by_side { (fast, slow) } else { (slow, fast) };
        let global = Expr::axis(tile_axis) * Expr::from(side) + side_at.clone();
        let k = Expr::axis("k_tile") * Expr::from(K_TILE) + k_at.clone();
        let mut at = self.batch_coordinates();
        unflatten(&factor.axes, &global, &mut at);
        unflatten(&self.reduced, &k, &mut at);
        let body = builder.body(&factor.body, &at)?;
        let held = builder.buffer(&format!("{name}.next"), self.dtype, &[loads.into()], Space::Register);
        let slot = vec![element];
        let value = Store { body, ..fill(held, slot.clone(), zero(self.dtype)) };
        let mut load = Vec::new();
        let guards = [(&global, size(&factor.axes), side), (&k, size(&self.reduced), K_TILE)];
        let guards: Vec<_> = guards
            .into_iter()
            .filter(|(_, extent, tile)| !extent.modulo(&Expr::from(*tile)).is(0))
            .map(|(at, extent, _)| (at.clone(), extent))
            .collect();
        if !guards.is_empty() {
            load.push(Node::Store(fill(held, slot.clone(), zero(self.dtype))));
        }
        load.push(Node::Store(Store { guards, ..value }));
        let keep = copy((tile, vec![k_at, side_at]), (held, slot), self.dtype, None);
        let loop_name = format!("{name}.load");
        let nodes = [load, vec![Node::Store(keep)]]
            .into_iter()
            .flat_map(|body| unrolled(&[(&loop_name, loads)], body))
            .collect();
        Some((tile, nodes))
    }

    /// The stores of the result and of values computed from it, for element `i, j` of a thread.
    fn results(&self, builder: &mut NestBuilder<'_>, acc: usize, side: i64) -> Option<Vec<Node>> {
        let thread = Expr::axis("thread");
        let at_side =
            |tile: &str, axis: &str, lane: Expr| Expr::axis(tile) * Expr::from(side) + position(axis, &lane);
        let row = at_side("row_tile", "i", thread.floor_div(&16.into()));
        let col = at_side("col_tile", "j", thread.modulo(&16.into()));
        let mut at = self.batch_coordinates();
        unflatten(&self.a.axes, &row, &mut at);
        unflatten(&self.b.axes, &col, &mut at);
        for axis in self.compute.axes.iter().filter(|a| a.extent.is(1)) {
            at.insert(axis.name.clone(), Expr::from(0));
        }
        let guarded = |store: Store| {
            let store = where_less(store, &row, &size(&self.a.axes));
            Node::Store(where_less(store, &col, &size(&self.b.axes)))
        };
        let place = Place { buffer: acc, kept: Vec::new(), suffix: vec![Expr::axis("i"), Expr::axis("j")] };
        let mut nodes = Vec::new();
        let target = self.compute.target;
        if self.kernel.tensors[target].role != Role::Temporary {
            let mut body = Body::default();
            body.read(acc, place.suffix.clone(), self.dtype);
            nodes.push(guarded(builder.store(self.compute, body, &at)?));
        }
        builder.put(target, place);
        let mut written = vec![target];
        for compute in &self.kernel.computes[1..] {
            let here = self.epilogue_coordinates(compute, &at)?;
            if written.contains(&compute.target) || compute.reads().any(|(t, _)| written[1..].contains(&t)) {
                return None;
            }
            written.push(compute.target);
            let body = builder.body(&compute.body, &here)?;
            nodes.push(guarded(builder.store(compute, body, &here)?));
        }
        Some(nodes)
    }

    /// The coordinates of a compute that reads the product's element of its own point.
    fn epilogue_coordinates(&self, compute: &Compute, at: &Coordinates) -> Option<Coordinates> {
        let mut here = Coordinates::new();
        for (_, index) in compute.reads().filter(|(t, _)| *t == self.compute.target) {
            for (read, write) in index.iter().zip(&self.compute.write) {
                let point = write.as_axis().and_then(|n| at.get(n))?;
                match read.as_axis() {
                    Some(axis) if here.get(axis).is_none_or(|known| known == point) => {
                        here.insert(axis.clone(), point.clone());
                    }
                    None if point.is(0) && read.is(0) => {}
                    _ => return None,
                }
            }
        }
        for axis in compute.axes.iter().filter(|a| a.extent.is(1)) {
            here.insert(axis.name.clone(), Expr::from(0));
        }
        let points = |axes: &[Axis]| {
            let mut extents: Vec<Expr> = axes.iter().map(|a| a.extent.clone()).filter(|e| !e.is(1)).collect();
            extents.sort();
            extents
        };
        let same = points(&compute.axes) == points(&axes_of(self.compute, AxisKind::Parallel));
        (same && compute.axes.iter().all(|a| here.contains_key(&a.name))).then_some(here)
    }

    fn batch_coordinates(&self) -> Coordinates {
        let mut at = Coordinates::new();
        for axis in self.compute.axes.iter().filter(|a| a.extent.is(1)) {
            at.insert(axis.name.clone(), Expr::from(0));
        }
        unflatten(&self.batch, &Expr::axis("batch"), &mut at);
        at
    }
}

fn zero(dtype: DType) -> Constant {
    if dtype.is_float() { Constant::float(dtype, 0.0) } else { Constant::int(dtype, 0) }
}

/// Row or column within the tile of a thread's element `axis`: chunks of neighbouring elements.
fn position(axis: &str, lane: &Expr) -> Expr {
    let element = Expr::axis(axis);
    let chunk = element.floor_div(&CHUNK.into()) * Expr::from(CHUNK_STRIDE);
    let e = chunk + lane.clone() * Expr::from(CHUNK) + element.modulo(&CHUNK.into());
    // With one chunk a thread the quotient is 0.
    e.simplify(&|_| Interval { low: Some(0), high: None })
}
