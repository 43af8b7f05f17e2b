//! Contractions with columns from the operand itself, or packed at compile time.

use super::{Columns, Contraction, NO_PRODUCT, TILE_TIME};
use crate::decide::{
    plan::divisions,
    refusal::{OrRefuse, Planned},
    register_tile::{RegisterTile, choose},
};
use mlcc_ir::{Name, nest::names::AxisName};
use mlcc_passes::schedule::Step;

/// Fewest tiles of rows in a block: every block reads the columns again, from further away.
const MIN_TILES_OF_BLOCK: i64 = 3;

/// An axis around the register tile, and its number of points.
struct Outer {
    name: AxisName,
    count: i64,
    /// The axis of the register tile whose last block is shorter, if there is one.
    peel: Option<AxisName>,
}

impl Contraction<'_> {
    /// Tiles over the operand itself, or packed at compile time.
    pub(super) fn whole_operand(&mut self, columns: Columns) -> Planned<()> {
        let n = self.n.first().or_refuse("it has no columns")?.clone();
        let m = self.m.first().cloned();
        let sizes = (self.static_count(&self.m), self.static_count(&self.n));
        let tile = choose(self.machine, self.lanes, (&self.row_counts(), sizes.1), self.row_stride());
        let cols = tile.vectors * self.lanes;
        let packed_axes = self.packed_axes(&n)?;
        let depth = self.k.iter().map(|k| self.count(k)).product::<i64>().max(1);
        let element = self.plan.nest.buffers[self.right].dtype.size() as i64;
        let mut outer: Vec<Outer> = Vec::new();
        for batch in self.batch.clone() {
            outer.push(Outer { count: self.count(&batch), name: batch, peel: None });
        }
        let columns_outer = self.blocks(&n, cols)?;
        let mut inner = vec![n.inner()];
        let mut rows_inner = None;
        match &m {
            Some(m) => {
                let rows = self.blocks(m, tile.rows)?;
                inner.insert(0, m.inner());
                let bytes =
                    [tile.rows, cols].map(|points| points.saturating_mul(depth).saturating_mul(element));
                match self.rows_of_block(sizes.0.map(|_| rows.count), bytes) {
                    Some(block) => {
                        self.plan.split(&rows.name, block)?;
                        let count = (rows.count + block - 1) / block;
                        outer.push(Outer { name: rows.name.outer(), count, peel: None });
                        outer.push(columns_outer);
                        rows_inner = Some(Outer { name: rows.name.inner(), count: block, ..rows });
                    }
                    None => outer.extend([columns_outer, rows]),
                }
            }
            None => outer.push(columns_outer),
        }
        if !self.narrower(sizes.1, tile) {
            outer.iter_mut().filter(|o| o.peel.as_ref() == inner.last()).for_each(|o| o.peel = None);
        }
        let order: Vec<AxisName> = outer.iter().chain(&rows_inner).map(|o| o.name.clone()).collect();
        self.reorder(&[&order, &inner])?;
        if columns == Columns::Packed {
            let buffer = self.plan.nest.buffers[self.right].name.clone();
            self.plan.step(Step::Pack { buffer, axes: packed_axes })?;
        }
        let block = rows_inner.as_ref().map_or(1, |r| r.count);
        let (parallel, serial) =
            self.distribute(&outer, rows_inner.as_ref(), &inner, block * tile.rows * cols * depth)?;
        self.merge(&[&parallel[..], &serial[..]].concat())?;
        for axis in &parallel {
            self.plan.attempt(Step::Parallel { axis: self.full(axis) });
        }
        for (axis, inner) in outer.iter().chain(&rows_inner).filter_map(|o| Some((&o.name, o.peel.as_ref()?)))
        {
            let outer = serial.iter().find(|s| *s == axis || **s == axis.inner());
            let outer = outer.or_refuse("a block has no serial loop")?;
            self.peel(outer, inner);
        }
        self.micro_kernel(m.as_ref(), &n)?;
        Ok(())
    }

    /// Splits an axis into blocks.
    fn blocks(&mut self, name: &AxisName, size: i64) -> Planned<Outer> {
        let count = self.count(name);
        let exact = self.extent(name).and_then(|e| e.as_const()).is_some_and(|e| e % size == 0);
        self.plan.split(name, size)?;
        Ok(Outer {
            name: name.outer(),
            count: (count + size - 1) / size,
            peel: (!exact).then(|| name.inner()),
        })
    }

    /// Whether the remaining columns take fewer vectors than a whole tile, or need masks.
    pub(super) fn narrower(&self, n: Option<i64>, tile: RegisterTile) -> bool {
        n.is_none_or(|n| (n % (tile.vectors * self.lanes) + self.lanes - 1) / self.lanes < tile.vectors)
    }

    /// Tiles of rows in a block that stays in the second cache while all columns pass by it, panel for panel.
    /// `None` if all `tiles` stay there, their number is not known, or a panel leaves no room. `bytes` are
    /// those of a tile's rows and of a panel.
    fn rows_of_block(&self, tiles: Option<i64>, [row_bytes, panel_bytes]: [i64; 2]) -> Option<i64> {
        let cache = self.machine.l2_bytes as i64;
        let tiles = tiles.filter(|t| t.saturating_mul(row_bytes) > cache / 4 * 3)?;
        let most = (cache / 4 / row_bytes.max(1)).max(MIN_TILES_OF_BLOCK);
        let blocks = (tiles + most - 1) / most;
        (blocks > 1 && panel_bytes <= cache / 8 * 5).then(|| (tiles + blocks - 1) / blocks)
    }

    /// Splits the axes into parallel ones, with tiles of at most about [`TILE_TIME`], and the ones inside of
    /// a tile, and brings them into that order. An axis whose last block is peeled has a part inside.
    fn distribute(
        &mut self,
        outer: &[Outer],
        rows: Option<&Outer>,
        inner: &[AxisName],
        inside: i64,
    ) -> Planned<(Vec<AxisName>, Vec<AxisName>)> {
        let axes: Vec<(Name, i64)> = outer.iter().map(|o| (self.full(&o.name), o.count.max(1))).collect();
        let counts = self.plan.counts(&axes);
        let target = self.machine.work_in(TILE_TIME);
        let divisions = divisions(&counts, inside, target);
        let best = divisions.iter().find(|d| d.work <= target);
        let best = best.or_else(|| divisions.iter().min_by_key(|d| d.work));
        let best = *best.or_refuse("nothing is around its tiles")?;
        let (mut parallel, mut serial) = (Vec::new(), Vec::new());
        for (at, o) in outer.iter().enumerate() {
            let factor = if at == best.at { best.chunk } else { 1 };
            if at > best.at || counts[at].fixed && factor >= counts[at].least {
                serial.push(o.name.clone());
            } else if factor > 1 || o.peel.is_some() {
                self.plan.split(&o.name, factor)?;
                parallel.push(o.name.outer());
                serial.push(o.name.inner());
            } else {
                parallel.push(o.name.clone());
            }
        }
        serial.extend(rows.map(|r| r.name.clone()));
        self.reorder(&[&parallel, &serial, inner])?;
        Ok((parallel, serial))
    }

    /// Dimensions of the packed operand: batches, panels, the reduction, the panel's columns.
    pub(super) fn packed_axes(&self, n: &AxisName) -> Planned<Vec<Name>> {
        let stage = self.stage()?;
        let right = self.right(&stage).or_refuse(NO_PRODUCT)?;
        let used = |a: &&AxisName| right.uses_axis(&stage.full(a));
        let mut axes: Vec<Name> = self.batch.iter().filter(used).map(|a| self.full(a)).collect();
        axes.push(self.full(&n.outer()));
        axes.extend(self.k.iter().map(|a| self.full(a)));
        axes.push(self.full(&n.inner()));
        Ok(axes)
    }
}
