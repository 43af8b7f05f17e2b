//! Convolutions of few channels over images whose size is not known, or that have no template of their own: the
//! elements that the windows of a block of pixels see are copied side by side, and a plain product multiplies them.
//!
//! ```text
//! for m.o                                   blocks of pixels, over the ends of an image's rows
//!   for m.i for c for kh for kw             patch[m.i, (c, kh, kw)] = x[c, h + kh, w + kw] or 0
//!   for n.o for tiles of m.i
//!     tile(acc, patch, w)
//! ```
//!
//! With many channels the micro-kernel gathers its rows instead, an address for each row and tap.

use super::{Columns, Contraction};
use crate::decide::{
    plan::axis,
    refusal::{OrRefuse, Planned, refuse},
};
use mlcc_ir::Name;
use mlcc_passes::schedule::Step;

/// Register tiles of rows that share a block of patches, which stays in the first cache.
const TILES_OF_BLOCK: i64 = 4;

impl Contraction<'_> {
    pub(super) fn patched(&mut self, left: &Name, columns: Columns) -> Planned<()> {
        if columns != Columns::Packed {
            return refuse("its window's elements are no constant that could be packed");
        }
        self.order_reduction()?;
        let (m, n, width, tile) = self.tile_over_made()?;
        let m = m.or_refuse("it has no pixels")?;
        let (rows, depth, columns) = (self.count(&m), self.depth(), self.count(&n));
        // The axes of the packed operand, among which those of the reduction are not fused yet.
        let mut packed = self.packed_axes(&n)?;
        let reduction = packed.len() - 1 - self.k.len()..packed.len() - 1;
        let block = TILES_OF_BLOCK * tile.rows;
        self.split(&n, tile.vectors * self.lanes)?;
        self.split(&m, block)?;
        let mut outer = self.batch.clone();
        let mut counts: Vec<i64> = outer.iter().map(|b| self.count(b)).collect();
        outer.push(format!("{m}.o"));
        counts.push((rows + block - 1) / block);
        let (pixels, columns_outer) = (format!("{m}.i"), format!("{n}.o"));
        self.reorder(&[&outer, &[columns_outer.clone(), pixels.clone(), format!("{n}.i")]])?;
        self.merge(&outer)?;
        self.copy_patches(left, &format!("{m}.o"), &pixels)?;
        // Patches lie side by side, so that one axis runs over all their elements.
        self.k = self.fuse_all(self.k.clone(), true);
        packed.splice(reduction, self.k.iter().map(|k| axis(&self.product, k)));
        let right = self.plan.nest.buffers[self.right].name.clone();
        self.plan.step(Step::Pack { buffer: right, axes: packed })?;
        self.split(&pixels, tile.rows)?;
        let middle = [columns_outer.clone(), format!("{pixels}.o")];
        self.reorder(&[&middle, &[format!("{pixels}.i"), format!("{n}.i")]])?;
        self.merge(&middle)?;
        let inside = block.min(rows).saturating_mul(columns).saturating_mul(depth);
        self.parallel(&outer, counts, inside);
        if self.narrower(width, tile) {
            self.peel(&columns_outer, &format!("{n}.i"));
        }
        self.peel(&format!("{pixels}.o"), &format!("{pixels}.i"));
        self.micro_kernel(Some(&pixels), &n)
    }

    /// Copies what a block's windows see, in vectors along the axis of the reduction on which the image is contiguous.
    fn copy_patches(&mut self, buffer: &Name, at: &str, pixels: &str) -> Planned<()> {
        let mut axes = vec![self.full(pixels)];
        axes.extend(self.k.iter().map(|k| self.full(k)));
        let along = axes[axes.len() - 1].clone();
        self.plan.step(Step::CacheRead { buffer: buffer.clone(), at: self.full(at), axes })?;
        let panel = self.plan.nest.buffers.last().or_refuse("there is no panel")?.name.clone();
        let axis = format!("{panel}:{along}").into();
        self.plan.attempt(Step::Vectorize { axis, lanes: self.lanes as u32 });
        Ok(())
    }
}
