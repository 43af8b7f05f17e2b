//! Contractions with columns that are copied into a panel at run time.

use super::{Contraction, NO_PRODUCT, TILE_TIME};
use crate::decide::{
    refusal::{OrRefuse, Planned},
    register_tile::choose,
    stages::stride,
};
use mlcc_ir::{Name, nest::names::AxisName};
use mlcc_passes::schedule::Step;

/// With fewer parallel tiles than this, the rows are divided too, and each part has a panel of its own.
const MIN_TILES: i64 = 8;
/// Most parts: every part makes the panel again.
const MAX_ROW_PARTS: i64 = 4;
/// Fewest rows of a part if their number is not known: each element of a panel serves this many.
const ROWS_OF_PART: i64 = 96;
/// Widest block of columns.
const MAX_COLUMNS: i64 = 1024;

/// A block of columns that share a panel.
struct Block {
    /// The axis that is split into blocks, and its number of points in a block.
    axis: AxisName,
    size: i64,
    /// The axis inside that belongs to the block as a whole, if the block is several rows of an image.
    row: Option<AxisName>,
    /// Columns of a block, if static.
    columns: Option<i64>,
    /// Number of blocks.
    count: i64,
}

impl Contraction<'_> {
    pub(super) fn panelled(&mut self) -> Planned<()> {
        let depth = self.k.iter().map(|k| self.count(k)).product::<i64>().max(1);
        let element = self.plan.nest.buffers[self.acc].dtype.size() as i64;
        let budget = (self.machine.l2_bytes as i64 / 2 / element / depth).max(1);
        let block = self.block(budget)?;
        let along = self.contiguous_reduction();
        let m = self.m.first().cloned();
        let rows = m.as_ref().map_or(1, |m| self.count(m));
        let tile = choose(self.machine, self.lanes, (&self.row_counts(), block.columns), self.row_stride());
        let mut counts: Vec<i64> = self.batch.iter().map(|b| self.count(b)).collect();
        counts.push(block.count);
        let mut axes: Vec<(Name, i64)> = self.batch.iter().map(|b| (self.full(b), self.count(b))).collect();
        axes.push((self.full(&block.axis), block.count));
        let known = self.plan.counts(&axes);
        let tiles: i64 = known.iter().map(|c| if c.fixed { c.least } else { 1 }).product();

        // Blocks of columns outside, and parts of the rows if there are too few blocks.
        self.plan.split(&block.axis, block.size)?;
        let mut outer = self.batch.clone();
        outer.push(block.axis.outer());
        let mut m_inner = m.clone();
        let parts = (MIN_TILES / tiles.max(1)).min(MAX_ROW_PARTS).min(rows / (2 * tile.rows));
        if let Some(m) = m.as_ref().filter(|_| parts > 1) {
            let part = (rows + parts - 1) / parts;
            let symbolic = self.extent(m).is_none_or(|e| e.as_const().is_none());
            let part = if symbolic { part.max(ROWS_OF_PART) } else { part };
            let part = (part + tile.rows - 1) / tile.rows * tile.rows;
            self.plan.split(m, part)?;
            outer.push(m.outer());
            counts.push((rows + part - 1) / part);
            m_inner = Some(m.inner());
        }
        let mut inner: Vec<AxisName> = m_inner.iter().cloned().collect();
        inner.push(block.axis.inner());
        inner.extend(block.row.clone());
        self.reorder(&[&outer, &inner])?;
        self.merge(&outer)?;
        self.copy_panel(&outer, &block, along)?;

        // The register tile inside.
        let mut n = block.axis.inner();
        if let Some(row) = &block.row {
            self.plan.take(self.plan.in_each(|s| Step::Fuse { outer: s.axis(&n), inner: s.axis(row) }))?;
            n = n.fused(row);
        }
        self.k = self.fuse_all(self.k.clone(), true);
        let cols = tile.vectors * self.lanes;
        self.plan.split(&n, cols)?;
        let mut middle = Vec::new();
        let mut innermost = vec![n.inner()];
        if let Some(m) = &m_inner {
            self.plan.split(m, tile.rows)?;
            middle.push(m.outer());
            innermost.insert(0, m.inner());
        }
        middle.push(n.outer());
        self.reorder(&[&middle, &innermost])?;
        self.merge(&middle)?;
        let columns = block.columns.unwrap_or(block.size * 64);
        let inside = rows.saturating_mul(columns).saturating_mul(depth);
        let parts = if m_inner == m { 1 } else { counts[counts.len() - 1].max(1) };
        let axes: Vec<(Name, i64)> = outer.iter().map(|a| self.full(a)).zip(counts).collect();
        self.plan.parallelize(&axes, inside / parts, self.machine.work_in(TILE_TIME));
        for tiled in m_inner.iter().chain([&n]) {
            self.peel(&tiled.outer(), &tiled.inner());
        }
        self.micro_kernel(m_inner.as_ref(), &n)?;
        Ok(())
    }

    /// The axis of the reduction along which the operand with the columns is contiguous, if no read of it is
    /// out of bounds.
    fn contiguous_reduction(&self) -> Option<usize> {
        let stage = self.stage().ok()?;
        let right = self.right(&stage)?;
        let buffer = &self.plan.nest.buffers[self.right];
        let unit = |k: &AxisName| stride(buffer, right.index, &stage.full(k)).is_some_and(|s| s.is(1));
        self.k.iter().position(unit).filter(|_| right.outside.is_none())
    }

    /// Chooses the block: whole rows of an image if the columns are pixels, else a range of columns.
    fn block(&mut self, budget: i64) -> Planned<Block> {
        let last = self.n.last().or_refuse("it has no columns")?.clone();
        let width = self.extent(&last).or_refuse(NO_PRODUCT)?.as_const();
        while self.n.len() > 2 || self.n.len() == 2 && !self.rows_are_contiguous()? {
            self.batch.push(self.n.remove(0));
        }
        if self.n.len() == 1 {
            let count = self.count(&last);
            let step = 4 * self.lanes;
            let most = (budget / step * step).clamp(step, MAX_COLUMNS);
            let size = width.filter(|w| *w <= most).unwrap_or(most);
            let blocks = (count + size - 1) / size;
            let columns = Some(width.map_or(size, |w| w.min(size)));
            return Ok(Block { axis: last, size, row: None, columns, count: blocks });
        }
        let batches: i64 = self.batch.iter().map(|b| self.count(b)).product();
        let rows_axis = self.n[self.n.len() - 2].clone();
        let height = self.count(&rows_axis);
        let (m, stride) = (self.row_counts(), self.row_stride());
        let mut best: Option<(i64, i64)> = None;
        if let Some(width) = width {
            for size in (1..=height).rev() {
                let columns = size * width;
                if size > 1 && (columns > budget || columns > MAX_COLUMNS) {
                    continue;
                }
                let blocks = (height + size - 1) / size;
                let cost =
                    choose(self.machine, self.lanes, (&m, Some(columns)), stride).cost.saturating_mul(blocks);
                // Few tiles do not divide well among threads.
                let missing = (MIN_TILES - batches.saturating_mul(blocks)).max(0);
                let cost = cost + cost / 64 * missing;
                if best.is_none_or(|(least, _)| cost < least) {
                    best = Some((cost, size));
                }
            }
        }
        let size = best.map_or(1, |(_, size)| size);
        Ok(Block {
            axis: rows_axis,
            size,
            row: Some(last),
            columns: width.map(|w| w * size),
            count: (height + size - 1) / size,
        })
    }

    /// Whether rows of columns follow each other in the accumulator, so that several form one range.
    fn rows_are_contiguous(&self) -> Planned<bool> {
        let stage = self.stage()?;
        let (row, column) = (&self.n[0], &self.n[self.n.len() - 1]);
        let along =
            |a: &AxisName| stride(&self.plan.nest.buffers[self.acc], &stage.store.index, &stage.full(a));
        let whole = along(column).zip(self.extent(column)).map(|(step, extent)| step * extent);
        let (row, whole) = along(row).zip(whole).or_refuse("its rows of columns lie at no fixed distance")?;
        Ok(row == whole)
    }

    /// Copies the block's columns into a panel, in vectors along the columns. The operand is contiguous along
    /// `along`, an axis of the reduction.
    fn copy_panel(&mut self, outer: &[AxisName], block: &Block, along: Option<usize>) -> Planned<()> {
        let buffer = self.plan.nest.buffers[self.right].name.clone();
        let mut axes: Vec<Name> = self.k.iter().map(|a| self.full(a)).collect();
        axes.push(self.full(&block.axis.inner()));
        axes.extend(block.row.iter().map(|r| self.full(r)));
        let at = self.full(outer.last().or_refuse("nothing is around its tiles")?);
        let mut copied = self.plan.copy_into_panel(buffer, at, &axes)?;
        let last = copied.last().or_refuse("it sums nothing")?.clone();
        let mut steps = Vec::new();
        // Vectors are loaded along the reduction and transposed. The loop over the points of `along` runs
        // inside of the vectors, the other loops outside.
        if let Some(along) = along {
            let u = copied.remove(along);
            copied.push(u);
            steps.push(Step::Reorder { axes: copied });
        }
        steps.push(Step::Vectorize { axis: last, lanes: self.lanes as u32 });
        self.plan.attempt_all(steps, &|_, _| true);
        Ok(())
    }
}
