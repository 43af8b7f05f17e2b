//! Windows that slide over an image and give contiguous channels, with an elementwise epilogue: pooling and
//! convolution, depthwise, of groups, or of all channels.
//!
//! ```text
//! parallel over images, rows and vectors of channels
//!   for blocks of pixels along the row          the first and the last ones peeled: no padding inside
//!     for the window's rows                     clipped to those inside the image
//!      for the input channels that are summed
//!       for the window's columns, unrolled
//!         for pixels of the block, unrolled
//!           acc[pixel] += x[pixel * stride + column] * w[row, column]
//!     epilogue
//! ```
//!
//! Vectors run over channels. A block of pixels stays in registers. So a vector of weights is loaded once for
//! all its pixels, and a vector of the input once for all columns of the window that see it. With a window of
//! 3 and a block of 8 pixels these are 13 loads for 24 multiply-adds. Constant weights are packed so that the
//! weights of one vector of channels lie together.

mod shape;

use super::{
    operand::widest,
    plan::Plan,
    refusal::{OrRefuse, Planned, Reason, leave, refuse},
    stages::{Stage, estimate, reduction_with_epilogue, shared_axes},
};
use mlcc_ir::{
    Name,
    expr::Expr,
    kernel::Kernel,
    nest::{
        LoopNest, Mapping, Node, Space,
        names::{AxisName, Purpose, StageName},
    },
    scalar::Inst,
};
use mlcc_machine::Machine;
use mlcc_passes::schedule::{MAX_PEEL, MAX_UNROLL, Step};
use shape::{Pair, contiguous, pairs};

/// Most pixels of a block: these are more accumulators than the latency of an addition needs.
const MAX_PIXELS: i64 = 8;
/// Most additions in all copies of the inner loops together.
const MAX_CODE: i64 = 1200;
/// Shortest vectors.
const MIN_LANES: i64 = 8;
/// Least and greatest nanoseconds of a parallel tile at the multiply-add peak.
const TILE_TIME: (u64, u64) = (550, 9_000);
/// Assumed pixels of a row if their number is not known.
const SYMBOLIC_WIDTH: i64 = 64;
/// Approximate number of parallel tiles of a kernel, unless they become too small.
const TILES: i64 = 16;

/// The plan and the name of its variant.
pub(super) fn plan(
    kernel: &Kernel,
    naive: &LoopNest,
    constants: &[Name],
    machine: &Machine,
) -> Planned<(&'static str, Plan)> {
    let mut template = Windows::recognise(kernel, naive, constants, machine)?;
    template.decide(constants)?;
    Ok(("sliding", template.plan))
}

struct Windows<'a> {
    machine: &'a Machine,
    plan: Plan,
    /// The stage that reduces.
    window: StageName,
    /// The accumulator.
    acc: usize,
    /// Free axes that are neither the channel nor the row of pixels, outermost first.
    outer: Vec<AxisName>,
    channel: AxisName,
    /// The window's axes, the one along rows last.
    pairs: Vec<Pair>,
    /// Further axes that are summed: the few input channels of a group.
    deep: Vec<AxisName>,
    lanes: i64,
}

impl<'a> Windows<'a> {
    fn recognise(
        kernel: &Kernel,
        naive: &LoopNest,
        constants: &[Name],
        machine: &'a Machine,
    ) -> Planned<Windows<'a>> {
        let plan = reduction_with_epilogue(kernel, naive)?;
        let reduction = kernel.computes.first().or_refuse("it computes nothing")?;
        let window = StageName::new(&reduction.name, Purpose::Values);
        let all = plan.unmerged()?;
        let stage = all.iter().find(|s| s.name == window).or_refuse("it has no reduction")?;
        let free: Vec<AxisName> = stage.axes.iter().filter(|a| !a.reduced).map(|a| a.name.clone()).collect();
        let shared = shared_axes(&all);
        if shared.len() != free.len()
            || all.iter().any(|s| s.axes.iter().filter(|a| !a.reduced).count() != free.len())
        {
            return refuse("its stages have different axes");
        }
        let channel = free.iter().find(|a| contiguous(&plan.nest, &all, constants, a));
        let channel = channel.or_refuse("no axis is contiguous in all that it reads and writes")?.clone();
        let (pairs, deep) = pairs(&plan.nest, stage, &free)?;
        let row = pairs.last().or_refuse("it has no window")?.free.clone();
        // A window along the channels is of another kind.
        let meets = |e: &Expr| {
            let mut summed = stage.axes.iter().filter(|a| a.reduced);
            e.uses_axis(&stage.full(&channel)) && summed.any(|a| e.uses_axis(&stage.full(&a.name)))
        };
        if stage
            .store
            .body
            .insts
            .iter()
            .any(|(i, _)| matches!(i, Inst::Read { index, .. } if index.iter().any(meets)))
        {
            return refuse("its window runs along the channels");
        }
        let outer = free.into_iter().filter(|a| *a != channel && *a != row).collect();
        let lanes = all.iter().map(|s| machine.lanes(widest(&plan.nest, s))).min().unwrap_or(1);
        let acc = stage.store.buffer;
        let mut this =
            Windows { machine, plan, window, acc, outer, channel, pairs, deep, lanes: i64::from(lanes) };
        let channels = this.count(&this.channel)?;
        // Narrower vectors for few channels; very few would leave lanes empty all the same.
        while this.lanes > MIN_LANES && channels <= this.lanes / 2 {
            this.lanes /= 2;
        }
        if channels * 2 < this.lanes {
            return leave(format!("{channels} channels would leave most lanes of a vector empty"));
        }
        Ok(this)
    }

    fn stage(&self) -> Planned<Stage> {
        let mut all = self.plan.unmerged()?.into_iter();
        all.find(|s| s.name == self.window).or_refuse("it has no reduction")
    }

    fn full(&self, name: &AxisName) -> Name {
        self.window.axis(name)
    }

    fn count(&self, name: &AxisName) -> Planned<i64> {
        let extent = self.stage()?.axes.into_iter().find(|a| a.name == *name).map(|a| a.extent);
        extent
            .and_then(|e| e.as_const())
            .ok_or_else(|| Reason::OtherKind(format!("'{name}' has no constant size")))
    }

    /// Brings all stages' axes into an order, the window around the block of pixels.
    fn reorder(&mut self, order: &[AxisName]) -> Planned<()> {
        let window = self.reduced();
        Ok(self.plan.reorder(order, &self.window, (&window, 2))?)
    }

    /// The axes that are summed: the window's rows, input channels, the window's columns.
    fn reduced(&self) -> Vec<AxisName> {
        let mut axes: Vec<AxisName> = self.pairs.iter().map(|p| p.reduced.clone()).collect();
        let at = axes.len() - 1;
        axes.splice(at..at, self.deep.iter().cloned());
        axes
    }

    fn decide(&mut self, constants: &[Name]) -> Planned<()> {
        let row = self.pairs.last().or_refuse("it has no window")?.clone();
        let (width, channels) = (self.count(&row.free).ok(), self.count(&self.channel)?);
        let taps: Vec<i64> = self.pairs.iter().map(|p| self.count(&p.reduced)).collect::<Planned<_>>()?;
        let columns = *taps.last().or_refuse("it has no window")?;
        let depth: i64 = self.deep.iter().map(|a| self.count(a)).product::<Planned<_>>()?;
        let padded = self.padded_reads();
        let pixels = self.pixels(&row, width, columns);
        if columns > MAX_UNROLL || columns * pixels > MAX_CODE / 3 {
            return refuse(format!("a window of {columns} columns is too wide to be unrolled"));
        }
        let (first, last) = width.map_or((0, 0), |width| self.edges(&row, width, columns, pixels));
        let (w, c) = (row.free.clone(), self.channel.clone());
        let (lanes, streams) = (self.lanes, self.streams());
        // The outer axes are merged before the others are split: ranges of split axes are less exact.
        let outer = self.outer.clone();
        self.reorder(&[&outer[..], &[c.clone(), w.clone()]].concat())?;
        self.plan.merge(&outer, &self.window)?;
        self.plan.split(&w, pixels)?;
        self.plan.split(&c, lanes)?;
        let mut blocks = [c.outer(), w.outer()];
        if streams {
            blocks.reverse();
        }
        let (pixel, lane) = (w.inner(), c.inner());
        self.reorder(&[&blocks[..], &[pixel.clone(), lane.clone()]].concat())?;
        self.pack(constants, &c);
        self.plan.merge(&blocks, &self.window)?;
        self.lanes_last(&lane)?;
        let acc = self.plan.nest.buffers[self.acc].name.clone();
        self.plan.step(Step::Place { buffer: acc, space: Space::Register })?;
        if channels % lanes != 0 {
            self.plan.take(self.plan.in_each(|s| Step::Predicate { axis: s.axis(&lane), multiple: 1 }))?;
        }
        for buffer in padded {
            self.plan.attempt(Step::Skip { buffer });
        }
        let (_, others) = self.pairs.split_last().or_refuse("it has no window")?;
        let rows: Vec<Name> = others.iter().map(|p| self.full(&p.reduced)).collect();
        for axis in rows {
            self.plan.attempt(Step::Clip { axis });
        }
        // Guards for blocks that may be shorter, if they are not separate.
        if width.is_none_or(|width| width % pixels != 0) && first + last == 0 {
            self.plan.take(self.plan.in_each(|s| Step::Predicate { axis: s.axis(&pixel), multiple: 1 }))?;
        }
        if width.is_none() {
            self.plan.attempt(Step::Partition { axis: self.full(&w.outer()) });
        }
        if first + last > 0 {
            self.plan.step(Step::Peel { axis: self.full(&w.outer()), first, last })?;
        }
        for stage in self.plan.stages.clone() {
            self.plan.step(Step::Unroll { axis: stage.axis(&pixel) })?;
            self.plan.step(Step::Vectorize { axis: stage.axis(&lane), lanes: lanes as u32 })?;
        }
        self.plan.step(Step::Unroll { axis: self.full(&row.reduced) })?;
        let vectors = if streams { (channels + lanes - 1) / lanes } else { 1 };
        self.parallelize(width.unwrap_or(SYMBOLIC_WIDTH) * taps.iter().product::<i64>() * depth * vectors);
        Ok(())
    }

    /// Pixels of a block: as many as the registers hold together with the vectors of the input that these
    /// pixels see, in equal blocks.
    fn pixels(&self, row: &Pair, width: Option<i64>, columns: i64) -> i64 {
        let registers = i64::from(self.machine.vector_registers);
        let fits = |p: &i64| {
            let seen = ((p - 1) * row.step + (columns - 1) * row.dilation + 1).min(p * columns);
            p + seen + 2 <= registers
        };
        let most = (1..=width.map_or(MAX_PIXELS, |w| w.min(MAX_PIXELS))).rev().find(fits).unwrap_or(1);
        let Some(width) = width else { return most };
        let blocks = (width + most - 1) / most;
        (width + blocks - 1) / blocks
    }

    /// Makes the vectors' axis the contiguous one of the accumulator.
    fn lanes_last(&mut self, lane: &AxisName) -> Planned<()> {
        let (lane, acc) = (self.full(lane), self.acc);
        let mut at = None;
        self.plan.nest.visit(&mut |node| {
            if let Node::Store(s) = node
                && s.buffer == acc
                && s.combine.is_some()
            {
                at = s.index.iter().position(|e| e.uses_axis(&lane));
            }
        });
        let buffer = &self.plan.nest.buffers[acc];
        let at = at.or_refuse("the accumulator has no channels")?;
        let (at, count) = (at as u32, buffer.dims.len() as u32);
        if at + 1 == count {
            return Ok(());
        }
        let dims = (0..count).filter(|d| *d != at).chain([at]).collect();
        Ok(self.plan.step(Step::Permute { buffer: buffer.name.clone(), dims })?)
    }

    /// Buffers that the window reads out of bounds.
    fn padded_reads(&self) -> Vec<Name> {
        let Ok(stage) = self.stage() else { return Vec::new() };
        let mut found: Vec<Name> = Vec::new();
        for (inst, _) in &stage.store.body.insts {
            if let Inst::Read { tensor, outside: Some(_), .. } = inst {
                let name = &self.plan.nest.buffers[*tensor].name;
                if !found.contains(name) {
                    found.push(name.clone());
                }
            }
        }
        found
    }

    /// Blocks at the beginning and at the end of a row that need code of their own, because they see padding
    /// or are smaller. There are none if this would be too much code.
    fn edges(&self, row: &Pair, width: i64, columns: i64, pixels: i64) -> (i64, i64) {
        let blocks = (width + pixels - 1) / pixels;
        let smaller = i64::from(width % pixels != 0);
        let mut inside: Option<(i64, i64)> = None;
        let stage = self.stage();
        let reads = stage.iter().flat_map(|s| s.store.body.insts.iter().map(move |(i, _)| (s, i)));
        for (s, inst) in reads {
            let Inst::Read { tensor, index, outside: Some(_) } = inst else { continue };
            let buffer = &self.plan.nest.buffers[*tensor];
            for (e, dim) in index.iter().zip(&buffer.dims) {
                let (Some((_, rest)), Some(dim)) = (e.split_axis(&s.full(&row.free)), dim.as_const()) else {
                    continue;
                };
                if !e.uses_axis(&s.full(&row.free)) {
                    continue;
                }
                let begin = -rest.constant();
                // Pixels in low..high see no padding.
                let low = (begin + row.step - 1).div_euclid(row.step).max(0);
                let room = dim - 1 - (columns - 1) * row.dilation + begin;
                let high = (room.div_euclid(row.step) + 1).min(width);
                let all = inside.get_or_insert((low, high));
                *all = (all.0.max(low), all.1.min(high));
            }
        }
        let (low, high) = inside.unwrap_or((0, width));
        let first = ((low + pixels - 1) / pixels).clamp(0, blocks);
        let last = (blocks - (high.max(0) / pixels).min(blocks)).max(smaller).min(blocks - first);
        if blocks == 1 {
            return (0, 0);
        }
        let copies = first + last + i64::from(first + last < blocks);
        let fits = first + last <= MAX_PEEL && copies * columns * pixels <= MAX_CODE;
        if fits { (first, last) } else { (0, 0) }
    }

    /// Packs constant operands that the window reads by channel and tap alone.
    fn pack(&mut self, constants: &[Name], channel: &AxisName) {
        let mut body = None;
        self.plan.nest.visit(&mut |node| {
            if let Node::Store(s) = node
                && s.combine.is_some()
            {
                body = Some(s.body.clone());
            }
        });
        let lane = self.full(&channel.inner());
        for (inst, _) in body.iter().flat_map(|b| &b.insts) {
            let Inst::Read { tensor, index, .. } = inst else { continue };
            let buffer = self.plan.nest.buffers[*tensor].name.clone();
            let used = |a: &Name| index.iter().any(|e| e.uses_axis(a));
            if !constants.contains(&buffer) || !used(&lane) {
                continue;
            }
            let outer = self.outer.iter().map(|a| self.full(a)).filter(used);
            let mut axes: Vec<Name> = outer.collect();
            axes.push(self.full(&channel.outer()));
            axes.extend(self.reduced().iter().map(|a| self.full(a)).filter(used));
            axes.push(lane.clone());
            self.plan.attempt(Step::Pack { buffer, axes });
        }
    }

    /// Whether all channels of a block of pixels come before the next block, so that memory is read in one
    /// stream. With weights, the weights of one vector of channels are kept for a whole row instead.
    fn streams(&self) -> bool {
        let Ok(stage) = self.stage() else { return false };
        let reads = stage.store.body.insts.iter().filter(|(i, _)| matches!(i, Inst::Read { .. })).count();
        let rows = stage.axes.iter().filter(|a| self.outer.contains(&a.name));
        reads == 1 && rows.fold(1i64, |n, a| n.saturating_mul(a.count)) >= TILES
    }

    /// Runs images, rows and vectors of channels in parallel. Their loops lie around the loops over blocks of
    /// pixels, and each iteration has `inside` vector operations.
    fn parallelize(&mut self, inside: i64) {
        let mut axes = Vec::new();
        let mut body = &self.plan.nest.body;
        let row = self.pairs.last().map(|p| self.full(&p.free.outer()));
        while let [Node::Loop(l)] = &body[..]
            && l.mapping == Mapping::Serial
            && Some(&l.axis) != row.as_ref()
        {
            axes.push((l.axis.clone(), estimate(&l.extent, &self.plan.nest.ranges)));
            body = &l.body;
        }
        let counts = self.plan.counts(&axes);
        let total = counts.iter().fold(inside, |n, c| n.saturating_mul(c.least));
        // A vector operation takes the same time however short the vector is.
        let lanes = i64::from(self.machine.lanes(4));
        let vectors = |time: u64| (self.machine.work_in(time) / lanes).max(1);
        let target = (total / TILES).clamp(vectors(TILE_TIME.0), vectors(TILE_TIME.1));
        self.plan.parallelize(&axes, inside, target);
    }
}
