//! Contractions whose columns come from the operand itself, or packed at compile time.

use super::{Columns, Contraction, TILE_TIME, read_of};
use crate::decide::register_tile::{RegisterTile, choose};
use mlcc_ir::Name;
use mlcc_passes::schedule::Step;

/// An axis around the register tile, and how many points it has.
struct Outer {
    name: String,
    count: i64,
    /// The axis of the register tile whose last block is shorter, if one is.
    peel: Option<String>,
}

impl Contraction<'_> {
    /// Tiles over the operand itself, or packed at compile time.
    pub(super) fn whole_operand(&mut self, columns: Columns) -> Option<()> {
        let n = self.n.first()?.clone();
        let m = self.m.first().cloned();
        let sizes = (self.static_count(&self.m), self.static_count(&self.n));
        let tile = choose(self.machine, self.lanes, sizes, self.row_stride());
        let cols = tile.vectors * self.lanes;
        let packed_axes = self.packed_axes(&n)?;
        let mut outer: Vec<Outer> = Vec::new();
        for batch in self.batch.clone() {
            outer.push(Outer { count: self.count(&batch), name: batch, peel: None });
        }
        outer.push(self.blocks(&n, cols)?);
        let mut inner = vec![format!("{n}.i")];
        if let Some(m) = &m {
            outer.push(self.blocks(m, tile.rows)?);
            inner.insert(0, format!("{m}.i"));
        }
        if !self.narrower(sizes.1, tile) {
            outer
                .iter_mut()
                .filter(|o| o.peel.as_deref() == inner.last().map(String::as_str))
                .for_each(|o| o.peel = None);
        }
        let order: Vec<String> = outer.iter().map(|o| o.name.clone()).collect();
        self.reorder(&[&order, &inner])?;
        if columns == Columns::Packed {
            let buffer = self.plan.nest.buffers[self.right].name.clone();
            self.plan.step(Step::Pack { buffer, axes: packed_axes }).ok()?;
        }
        let depth = self.k.iter().map(|k| self.count(k)).product::<i64>().max(1);
        let (parallel, serial) = self.distribute(&outer, &inner, tile.rows * cols * depth)?;
        self.merge(&[&parallel[..], &serial[..]].concat())?;
        for axis in &parallel {
            self.plan.attempt(Step::Parallel { axis: self.full(axis) });
        }
        for (axis, inner) in outer.iter().filter_map(|o| Some((&o.name, o.peel.as_ref()?))) {
            let outer = serial.iter().find(|s| *s == axis || **s == format!("{axis}.i"))?;
            self.peel(outer, inner);
        }
        self.micro_kernel(m.as_deref(), &n)?;
        Some(())
    }

    /// Splits an axis into blocks.
    fn blocks(&mut self, name: &str, size: i64) -> Option<Outer> {
        let count = self.count(name);
        let exact = self.extent(name)?.as_const().is_some_and(|e| e % size == 0);
        self.split(name, size)?;
        Some(Outer {
            name: format!("{name}.o"),
            count: (count + size - 1) / size,
            peel: (!exact).then(|| format!("{name}.i")),
        })
    }

    /// Whether columns that are left over take fewer vectors than a whole tile, or need masks.
    fn narrower(&self, n: Option<i64>, tile: RegisterTile) -> bool {
        n.is_none_or(|n| (n % (tile.vectors * self.lanes) + self.lanes - 1) / self.lanes < tile.vectors)
    }

    /// Splits the axes into those that run in parallel, in tiles of about [`TILE_TIME`], and those inside of
    /// a tile, and brings them into that order. An axis whose last block is peeled has a part inside.
    fn distribute(
        &mut self,
        outer: &[Outer],
        inner: &[String],
        mut inside: i64,
    ) -> Option<(Vec<String>, Vec<String>)> {
        let tile = self.machine.work_in(TILE_TIME);
        let mut first_serial = outer.len();
        let mut chunk = 1;
        while first_serial > 0 {
            let count = outer[first_serial - 1].count.max(1);
            let all = inside.saturating_mul(count);
            if all > tile {
                // Tiles of equal size.
                let most = (tile / inside.max(1)).clamp(1, count);
                let parts = (count + most - 1) / most;
                chunk = (count + parts - 1) / parts;
                break;
            }
            inside = all;
            first_serial -= 1;
        }
        let (mut parallel, mut serial) = (Vec::new(), Vec::new());
        for (at, o) in outer.iter().enumerate() {
            let factor = if at + 1 == first_serial { chunk } else { 1 };
            if at >= first_serial {
                serial.push(o.name.clone());
            } else if factor > 1 || o.peel.is_some() {
                self.split(&o.name, factor)?;
                parallel.push(format!("{}.o", o.name));
                serial.push(format!("{}.i", o.name));
            } else {
                parallel.push(o.name.clone());
            }
        }
        self.reorder(&[&parallel, &serial, inner])?;
        Some((parallel, serial))
    }

    /// Dimensions of the packed operand: batches, panels, the reduction, the panel's columns.
    pub(super) fn packed_axes(&self, n: &str) -> Option<Vec<Name>> {
        let stage = self.stage()?;
        let (index, _) = read_of(&stage.store.body, self.right)?;
        let used = |a: &&String| index.iter().any(|e| e.uses_axis(&stage.full(a)));
        let mut axes: Vec<Name> = self.batch.iter().filter(used).map(|a| self.full(a)).collect();
        axes.push(self.full(&format!("{n}.o")));
        axes.extend(self.k.iter().map(|a| self.full(a)));
        axes.push(self.full(&format!("{n}.i")));
        Some(axes)
    }
}
