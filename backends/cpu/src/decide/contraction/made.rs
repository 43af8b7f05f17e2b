//! Contractions with a computed operand. A stage in front of the product computes it while it is packed.
//!
//! | Variant | The stage makes | inside the loop over |
//! |---|---|---|
//! | `made-columns` | the columns of one register tile, as deep as the reduction | tiles of columns |
//! | `made-rows` | a block of rows that stays in the second cache | blocks of rows |
//!
//! ```text
//! for n.o                                        for m.o.o
//!   for k for n.i: t[k, n.i] = b + c               for m for k: t[m, k] = a + b
//!   for m.o                                        for n.o for m.o.i
//!     tile(acc, a, t)                                tile(acc, t, b)
//! ```
//!
//! Loops that the computed operand does not depend on run inside the loop named in the table, so that each
//! element is made once. If that leaves too few blocks for the threads, the other side is divided into parts
//! and each part makes the panel for itself. The parts are so long that making the panel is a small part of
//! their work.

use super::{Columns, Contraction, MIN_ROWS_OF_PANEL, NO_PRODUCT, TILE_TIME};
use crate::decide::{
    operand::{vector_axes, widest},
    refusal::{OrRefuse, Planned, leave, refuse},
    register_tile::{RegisterTile, choose},
};
use mlcc_ir::{
    Name,
    kernel::{AxisKind, Compute, Kernel, Role},
    nest::names::{AxisName, StageName},
};
use mlcc_passes::schedule::Step;

/// With fewer row blocks than this, columns are divided among the threads as well.
const MIN_BLOCKS: i64 = 8;
/// With fewer column blocks than this, rows are divided as well, and each part makes its own panels.
const MIN_COLUMN_BLOCKS: i64 = 4;
/// Fewest rows of such a part: each element that is made serves this many.
const ROWS_OF_PART: i64 = 96;
/// Fewest columns of a part that makes the same rows.
const COLUMNS_OF_PART: i64 = 512;
/// Fewest register tiles of rows in a block.
const MIN_TILES_OF_BLOCK: i64 = 3;

/// How a panel is made.
struct Panel {
    /// The operand that the panel is a part of.
    buffer: Name,
    /// The panel's rows or columns, if there are several.
    own: Option<AxisName>,
    /// The axis of vectors and the number of elements in a vector.
    vector: Option<AxisName>,
    lanes: u32,
}

/// Whether a compute makes elements of a temporary, one by one.
pub(super) fn is_maker(kernel: &Kernel, compute: &Compute) -> bool {
    compute.combine.is_none()
        && kernel.tensors[compute.target].role == Role::Temporary
        && compute.axes.iter().all(|a| a.kind == AxisKind::Parallel)
}

impl Contraction<'_> {
    /// The maker's stage, if it walks along the axis.
    pub(super) fn maker_with(&self, name: &AxisName) -> Option<&StageName> {
        let maker = self.plan.apart.as_ref()?;
        let stage = self.plan.unmerged().ok()?.into_iter().next()?;
        stage.axes.iter().any(|a| a.name == *name).then_some(maker)
    }

    /// Brings the maker's loops into the order of the product's loops.
    pub(super) fn order_maker(&mut self) -> Planned<()> {
        let order = [&self.batch[..], &self.m, &self.n, &self.k].concat();
        self.reorder_maker(&order)
    }

    fn reorder_maker(&mut self, order: &[AxisName]) -> Planned<()> {
        let Some(maker) = self.plan.apart.clone() else { return Ok(()) };
        let axes: Vec<Name> =
            order.iter().filter(|a| self.maker_with(a).is_some()).map(|a| maker.axis(a)).collect();
        if axes.len() > 1 {
            self.plan.step(Step::Reorder { axes })?;
        }
        Ok(())
    }

    /// Tiles over an operand that a stage in front of them makes.
    pub(super) fn made_operand(&mut self, buffer: usize, columns: Columns) -> Planned<&'static str> {
        self.order_reduction()?;
        if buffer == self.right {
            let rows = self.static_count(&self.m).unwrap_or(i64::MAX);
            // Turning columns over for a few rows costs more than rows of dot products.
            if columns == Columns::Panel && rows < MIN_ROWS_OF_PANEL {
                return leave(format!("turning columns over for {rows} rows does not pay"));
            }
            self.made_columns(buffer)?;
            return Ok("made-columns");
        }
        if columns == Columns::Panel {
            return refuse("its rows are computed and its columns would have to be copied");
        }
        self.made_rows(buffer, columns)?;
        Ok("made-rows")
    }

    /// The axis of rows, the axis of columns, the number of columns if it is known, and the tile. Further
    /// axes of columns become axes of a batch.
    fn tile_over_made(&mut self) -> Planned<(Option<AxisName>, AxisName, Option<i64>, RegisterTile)> {
        while self.n.len() > 1 {
            self.batch.push(self.n.remove(0));
        }
        let width = self.static_count(&self.n);
        let tile = choose(self.machine, self.lanes, (&self.row_counts(), width), self.row_stride());
        let n = self.n.first().or_refuse("it has no columns")?.clone();
        Ok((self.m.first().cloned(), n, width, tile))
    }

    fn made_columns(&mut self, buffer: usize) -> Planned<()> {
        let (m, n, width, tile) = self.tile_over_made()?;
        let cols = tile.vectors * self.lanes;
        let rows = m.as_ref().map_or(1, |m| self.count(m));
        let (mut outer, rest) = self.batches();
        let mut counts: Vec<i64> = outer.iter().map(|b| self.count(b)).collect();
        // A block has several tiles if their number is not known, so that the last one can be told apart.
        let block = if width.is_some() { cols } else { 2 * cols };
        counts.push((self.count(&n) + block - 1) / block);
        let depth = self.depth();
        let made = self.pack_order(buffer, Some(&n))?;
        // The remaining columns have a tile of their own beside the whole ones.
        let whole = width.is_some_and(|n| n % cols == 0);
        self.plan.split(&n, block)?;
        outer.push(n.outer());
        let mut m_inner = m.clone();
        let blocks: i64 = counts.iter().product();
        let parts = (MIN_COLUMN_BLOCKS / blocks.max(1)).min(rows / ROWS_OF_PART);
        let mut inside = rows.saturating_mul(block).saturating_mul(depth);
        if let Some(m) = m.as_ref().filter(|_| parts > 1 && rest.is_empty()) {
            let part = ((rows + parts - 1) / parts + tile.rows - 1) / tile.rows * tile.rows;
            self.plan.split(m, part)?;
            outer.push(m.outer());
            counts.push((rows + part - 1) / part);
            inside /= parts;
            m_inner = Some(m.inner());
        }
        let again: i64 = rest.iter().map(|r| self.count(r)).product();
        let columns = n.inner();
        let mut middle = rest;
        let mut inner: Vec<AxisName> = m_inner.iter().cloned().collect();
        inner.push(columns.clone());
        self.reorder(&[&outer, &middle, &inner])?;
        self.merge(&outer)?;
        self.make_at(&made, outer.last().or_refuse("nothing is around its tiles")?)?;

        let mut innermost = Vec::new();
        let mut peeled = Vec::new();
        if let Some(m) = &m_inner {
            self.plan.split(m, tile.rows)?;
            middle.push(m.outer());
            innermost.push(m.inner());
            peeled.push(m.clone());
        }
        let mut columns = columns;
        if whole {
            innermost.push(columns.clone());
            columns = n;
        } else {
            self.plan.split(&columns, cols)?;
            middle.push(columns.outer());
            innermost.push(columns.inner());
            peeled.push(columns.clone());
        }
        self.reorder(&[&middle, &innermost])?;
        self.merge(&middle)?;
        self.parallel(&outer, counts, inside.saturating_mul(again));
        for axis in peeled {
            self.peel(&axis.outer(), &axis.inner());
        }
        self.micro_kernel(m_inner.as_ref(), &columns)
    }

    fn made_rows(&mut self, buffer: usize, columns: Columns) -> Planned<()> {
        let (m, n, known_width, tile) = self.tile_over_made()?;
        let cols = tile.vectors * self.lanes;
        let (mut outer, rest) = self.batches();
        let mut counts: Vec<i64> = outer.iter().map(|b| self.count(b)).collect();
        let depth = self.depth();
        let (rows, width) = (m.as_ref().map_or(1, |m| self.count(m)), self.count(&n));
        let again: i64 = rest.iter().map(|r| self.count(r)).product();
        let made = self.pack_order(buffer, m.as_ref())?;
        let axes = self.packed_axes(&n)?;
        self.plan.split(&n, cols)?;
        if columns == Columns::Packed {
            let buffer = self.plan.nest.buffers[self.right].name.clone();
            self.plan.step(Step::Pack { buffer, axes })?;
        }
        let mut tiles_inner = None;
        let mut rows_inside = rows;
        if let Some(m) = &m {
            self.plan.split(m, tile.rows)?;
            let tiles = (rows + tile.rows - 1) / tile.rows;
            let element = self.plan.nest.buffers[self.right].dtype.size() as i64;
            let bytes = [tile.rows, cols].map(|points| points.saturating_mul(depth).saturating_mul(element));
            let block = self.tiles_of_block(bytes, tiles, counts.iter().product());
            self.plan.split(&m.outer(), block)?;
            outer.push(m.outer().outer());
            counts.push((tiles + block - 1) / block);
            tiles_inner = Some(m.outer().inner());
            rows_inside = (block * tile.rows).min(rows);
        }
        let mut inside = rows_inside.saturating_mul(width).saturating_mul(depth).saturating_mul(again);
        let blocks: i64 = counts.iter().product();
        let parts = (MIN_BLOCKS / blocks.max(1)).min(width / COLUMNS_OF_PART);
        let mut columns_outer = n.outer();
        if rest.is_empty() && (parts > 1 || outer.is_empty()) {
            let panels = (width + cols - 1) / cols;
            let part = (panels + parts.max(1) - 1) / parts.max(1);
            self.plan.split(&columns_outer, part)?;
            outer.push(columns_outer.outer());
            counts.push((panels + part - 1) / part);
            inside /= parts.max(1);
            columns_outer = columns_outer.inner();
        }
        let mut middle = rest;
        middle.push(columns_outer.clone());
        middle.extend(tiles_inner.clone());
        let mut innermost: Vec<AxisName> = m.iter().map(AxisName::inner).collect();
        innermost.push(n.inner());
        self.reorder(&[&outer, &middle, &innermost])?;
        // One row is made for several products with it.
        let at = match outer.last() {
            Some(last) => last.clone(),
            None => {
                outer.push(middle.remove(0));
                counts.push(again);
                inside /= again.max(1);
                outer[0].clone()
            }
        };
        self.merge(&outer)?;
        self.make_at(&made, &at)?;
        self.merge(&middle)?;
        self.parallel(&outer, counts, inside);
        if self.narrower(known_width, tile) {
            self.peel(&columns_outer, &n.inner());
        }
        if let (Some(tiles), Some(m)) = (&tiles_inner, &m) {
            self.peel(tiles, &m.inner());
        }
        self.micro_kernel(m.as_ref(), &n)
    }

    /// The batches that the computed operand depends on, and the others.
    fn batches(&self) -> (Vec<AxisName>, Vec<AxisName>) {
        self.batch.iter().cloned().partition(|b| self.maker_with(b).is_some())
    }

    fn depth(&self) -> i64 {
        self.k.iter().map(|k| self.count(k)).product::<i64>().max(1)
    }

    /// Register tiles of rows in a block. The block stays in a quarter of the second cache while the columns
    /// pass by it. If a panel of columns leaves no room there, it stays in a part of the last cache. `row`
    /// and `panel` are the bytes of a tile's rows and of its columns.
    fn tiles_of_block(&self, [row, panel]: [i64; 2], tiles: i64, batches: i64) -> i64 {
        let second = self.machine.l2_bytes as i64;
        let room =
            if panel <= second / 8 * 5 { second / 4 } else { self.machine.last_cache_bytes as i64 / 8 };
        let most = (room / row.max(1)).max(MIN_TILES_OF_BLOCK);
        let wanted = (MIN_BLOCKS / batches.max(1)).min(tiles / MIN_TILES_OF_BLOCK);
        let blocks = ((tiles + most - 1) / most).max(wanted).max(1);
        (tiles + blocks - 1) / blocks
    }

    /// Brings dimensions and loops of the computed operand into the order in which a panel is read: its own
    /// axis last for columns, the reduction last for rows.
    fn pack_order(&mut self, buffer: usize, own: Option<&AxisName>) -> Planned<Panel> {
        let maker = self.plan.apart.clone().or_refuse(NO_PRODUCT)?;
        let (batches, _) = self.batches();
        let own: Vec<AxisName> = own.into_iter().cloned().collect();
        let of_panel =
            if buffer == self.right { [&self.k[..], &own].concat() } else { [&own[..], &self.k].concat() };
        let order = [&batches[..], &of_panel].concat();
        self.reorder_maker(&order)?;
        let stage = self.plan.unmerged()?.into_iter().next().or_refuse(NO_PRODUCT)?;
        let place = |d: &u32| {
            let written = stage.store.index[*d as usize].as_axis()?;
            order.iter().position(|a| maker.axis(a) == *written)
        };
        let mut dims: Vec<u32> = (0..stage.store.index.len() as u32).collect();
        let before = dims.clone();
        dims.sort_by_key(place);
        let name = self.plan.nest.buffers[buffer].name.clone();
        if dims != before {
            self.plan.step(Step::Permute { buffer: name.clone(), dims })?;
        }
        let stage = self.plan.unmerged()?.into_iter().next().or_refuse(NO_PRODUCT)?;
        let lanes = self.machine.lanes(widest(&self.plan.nest, &stage));
        let vectors = vector_axes(&self.plan.nest, &stage, i64::from(lanes));
        let vector = vectors.into_iter().find(|a| of_panel.contains(a));
        Ok(Panel { buffer: name, own: own.into_iter().next(), vector, lanes })
    }

    /// Makes the panel inside the loop over `at`, in vectors.
    fn make_at(&mut self, panel: &Panel, at: &AxisName) -> Planned<()> {
        let maker = self.plan.apart.clone().or_refuse(NO_PRODUCT)?;
        self.plan.step(Step::ComputeAt { buffer: panel.buffer.clone(), at: self.full(at) })?;
        if let Some(own) = &panel.own {
            // The last block may be shorter.
            self.plan.attempt(Step::Clip { axis: maker.axis(own) });
        }
        if let Some(vector) = &panel.vector {
            self.plan.attempt(Step::Vectorize { axis: maker.axis(vector), lanes: panel.lanes });
        }
        Ok(())
    }

    /// Divides the outer loops among threads.
    fn parallel(&mut self, outer: &[AxisName], counts: Vec<i64>, inside: i64) {
        let axes: Vec<(Name, i64)> = outer.iter().map(|a| self.full(a)).zip(counts).collect();
        self.plan.parallelize(&axes, inside, self.machine.work_in(TILE_TIME));
    }
}
