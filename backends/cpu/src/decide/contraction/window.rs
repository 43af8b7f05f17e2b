//! Convolutions whose columns are output channels: a packed constant, and rows that are pixels of a line.
//!
//! The micro-kernel broadcasts elements of the image, so a window, a stride or a dilation only changes
//! their addresses. Padding is copied: a block of lines is staged with its borders in scratch memory, once
//! for all output channels, which costs a few operations an element against hundreds of multiply-adds.
//!
//! ```text
//! for line block (parallel)
//!   for channel block (parallel, where there are few lines)
//!     stage lines with borders
//!     for panel of channels, line, tile of pixels: micro-kernel for each point of the window
//! ```
//!
//! Source: Georganas et al., "Anatomy of High-Performance Deep Learning Convolutions on SIMD Architectures".

use super::{Contraction, read_of};
use crate::decide::{register_tile::choose, stages::stride};
use mlcc_ir::{Name, scalar::Inst};
use mlcc_passes::schedule::Step;

/// Nanoseconds of a part at the multiply-add peak: many times what it costs to hand one out.
const PART_TIME: u64 = 9_000;
/// Most parts into which the work is cut for the threads.
const MAX_PARTS: i64 = 16;
/// Pixels of a block below which every panel of weights is read for too few multiply-adds.
const MIN_PIXELS: i64 = 28;
/// Tiles in a block of a line, where an image has one dimension.
const LINE_TILES: i64 = 16;

/// The image's part of a convolution.
struct Image {
    /// The operand's name.
    buffer: Name,
    /// Whether it is read beyond its borders.
    padded: bool,
    /// Bytes between the elements that neighbouring rows of a tile read.
    row_bytes: i64,
    /// Bytes of the lines that one line of output reads, and of those that it shares with its neighbours.
    line_bytes: i64,
}

impl Contraction<'_> {
    /// Whether the other operand is read in windows, or lies in lines that cannot be joined.
    pub(super) fn is_windowed(&self) -> bool {
        let Some(stage) = self.stage() else { return false };
        let left = self.left_buffer(&stage.store.body.insts);
        let padded = left.and_then(|l| read_of(&stage.store.body, l)).is_some_and(|(_, o)| o.is_some());
        padded || self.k.len() > 1 && !self.m.is_empty()
    }

    fn left_buffer(&self, insts: &[(Inst, mlcc_ir::dtype::DType)]) -> Option<usize> {
        insts.iter().find_map(|(inst, _)| match inst {
            Inst::Read { tensor, .. } if *tensor != self.right => Some(*tensor),
            _ => None,
        })
    }

    /// Looks at the image as `row` and `line` walk through it.
    fn image(&self, row: &str, line: Option<&str>) -> Option<Image> {
        let stage = self.stage()?;
        let left = self.left_buffer(&stage.store.body.insts)?;
        let (index, outside) = read_of(&stage.store.body, left)?;
        let buffer = &self.plan.nest.buffers[left];
        let element = buffer.dtype.size() as i64;
        let along = |a: &str| {
            let elements = stride(buffer, index, &stage.full(a)).and_then(|s| s.as_const());
            elements.map_or(0, |e| e.abs().saturating_mul(element))
        };
        let line_bytes = line.map_or(0, along);
        Some(Image {
            buffer: buffer.name.clone(),
            padded: outside.is_some(),
            row_bytes: along(row),
            line_bytes,
        })
    }

    /// Puts the reduction axis along which the image lies contiguous last.
    fn order_reduction(&mut self) -> Option<()> {
        let stage = self.stage()?;
        let left = self.left_buffer(&stage.store.body.insts)?;
        let (index, _) = read_of(&stage.store.body, left)?;
        let buffer = &self.plan.nest.buffers[left];
        let distance = |k: &String| {
            let s = stride(buffer, index, &stage.full(k)).and_then(|s| s.as_const());
            // Longer loops first among equals.
            (s.map_or(i64::MAX, i64::abs), -self.count(k))
        };
        let last = (0..self.k.len()).min_by_key(|&k| distance(&self.k[k]))?;
        let name = self.k.remove(last);
        self.k.push(name);
        Some(())
    }

    /// Decides for a windowed contraction with packed columns.
    pub(super) fn windowed(&mut self) -> Option<()> {
        self.order_reduction()?;
        while self.n.len() > 1 {
            self.batch.push(self.n.remove(0));
        }
        let n = self.n.first()?.clone();
        let mut row = self.m.pop()?;
        let mut lines: Vec<String> = std::mem::take(&mut self.m);
        let depth = self.k.iter().map(|k| self.count(k)).product::<i64>().max(1);
        let image = self.image(&row, lines.last().map(String::as_str))?;

        let sizes = (self.extent(&row)?.as_const(), self.extent(&n)?.as_const());
        let unpadded = choose(self.machine, self.lanes, sizes, 0);
        // Rows that fall into one set of the first cache are staged further apart.
        let conflict = self.machine.rows_at_stride(image.row_bytes) < unpadded.rows;
        let tile =
            if image.padded { unpadded } else { choose(self.machine, self.lanes, sizes, image.row_bytes) };
        let cols = tile.vectors * self.lanes;
        let packed_axes = self.packed_axes(&n)?;

        // A line of its own where the image has one dimension.
        if lines.is_empty() {
            let block = tile.rows * LINE_TILES;
            self.split(&row, block)?;
            lines.push(format!("{row}.o"));
            row = format!("{row}.i");
        }
        let line = lines.pop()?;
        let width = self.count(&row).max(1);
        let height = self.count(&line);
        let panels = ceil(self.count(&n), cols);
        let around = self.batch.iter().chain(&lines).map(|a| self.count(a));
        let outer_count = around.fold(1i64, i64::saturating_mul);
        let work = width.saturating_mul(height).saturating_mul(self.count(&n)).saturating_mul(depth);
        let parts =
            ceil(parts_of(work.saturating_mul(outer_count), self.machine.work_in(PART_TIME)), outer_count);
        // The staged lines stay in the second cache beside a panel of weights.
        let element = self.plan.nest.buffers[self.right].dtype.size() as i64;
        let panel_bytes = depth.saturating_mul(cols * element);
        let room = (self.machine.l2_bytes as i64 * 7 / 8 - panel_bytes).max(self.machine.l2_bytes as i64 / 4);
        let fits = (room / image.line_bytes.max(1) - 1).clamp(1, height);
        let few = ceil(MIN_PIXELS, width);
        let wanted = ceil(height, parts).max(few).min(fits).min(height);
        let blocks = ceil(height, wanted);
        let block = ceil(height, blocks);
        let channel_parts = ceil(parts, blocks).min(panels);

        self.split(&line, block)?;
        self.split(&n, cols)?;
        self.split(&row, tile.rows)?;
        let buffer = self.plan.nest.buffers[self.right].name.clone();
        let mut outer = self.batch.clone();
        outer.extend(lines.iter().cloned());
        outer.push(format!("{line}.o"));
        let mut panel = format!("{n}.o");
        let middle = [panel.clone(), format!("{line}.i"), format!("{row}.o")];
        self.reorder(&[&outer, &middle, &[format!("{row}.i"), format!("{n}.i")]])?;
        self.plan.step(Step::Pack { buffer, axes: packed_axes }).ok()?;
        if channel_parts > 1 {
            let per_part = ceil(panels, channel_parts);
            self.split(&panel, per_part)?;
            outer.push(format!("{panel}.o"));
            panel = format!("{panel}.i");
        }
        let middle = vec![panel, format!("{line}.i"), format!("{row}.o")];
        self.merge(&outer)?;
        if image.padded {
            self.stage_lines(&image, &outer, if conflict { self.lanes } else { 0 })?;
        }
        self.merge(&middle)?;
        for name in &outer {
            if !self.plan.attempt(Step::Parallel { axis: self.full(name) }) {
                break;
            }
        }
        self.peel(&middle[0], &format!("{n}.i"));
        self.peel(&middle[2], &format!("{row}.i"));
        self.m = vec![row.clone()];
        self.micro_kernel(Some(&row), &n)?;
        Some(())
    }

    /// Copies the lines that a block reads, with what lies beyond the borders.
    fn stage_lines(&mut self, image: &Image, outer: &[String], pad: i64) -> Option<()> {
        let at = self.full(outer.last()?);
        self.plan.step(Step::CacheRegion { buffer: image.buffer.clone(), at, pad }).ok()?;
        let region = self.plan.nest.buffers.last()?;
        let (name, rank) = (region.name.clone(), self.region_dimension(&region.name.clone())?);
        let copied: Name = format!("{name}:{rank}").into();
        self.plan.attempt(Step::Vectorize { axis: copied, lanes: self.lanes as u32 });
        Some(())
    }

    /// The innermost dimension over which the region's copy runs.
    fn region_dimension(&self, region: &str) -> Option<usize> {
        let mut last = None;
        self.plan.nest.visit(&mut |node| {
            if let mlcc_ir::nest::Node::Loop(l) = node
                && let Some(d) = l.axis.strip_prefix(region).and_then(|r| r.strip_prefix(':'))
            {
                last = d.parse().ok();
            }
        });
        last
    }
}

/// Parts of some work for the threads, of at least half of `least` each: a power of two, so that few threads are busy alike.
fn parts_of(work: i64, least: i64) -> i64 {
    let mut parts = 1;
    while parts < MAX_PARTS && work / parts > least {
        parts *= 2;
    }
    parts
}

/// `a / b`, rounded up; neither is negative.
fn ceil(a: i64, b: i64) -> i64 {
    (a + b.max(1) - 1) / b.max(1)
}
