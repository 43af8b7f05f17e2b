//! Accesses of vectors in which some lanes are masked out.
//!
//! If the machine has no instructions for such accesses, LLVM makes a branch for every lane. Most masks
//! hold for all lanes at run time, because only the ends of rows are cut. So this case gets code without
//! a mask.

use super::{
    Emitter,
    builder::{Kind, Val},
};

impl<'c> Emitter<'_, 'c> {
    /// Consecutive elements from `at` on in the lanes of `mask`, `otherwise` in the other lanes.
    pub(super) fn load_where(&self, at: Val<'c>, mask: Val<'c>, otherwise: Val<'c>) -> Val<'c> {
        let part = || self.b.masked_load(at, mask, otherwise);
        if self.platform.has_masks() {
            return part();
        }
        let [value] =
            self.b.choose(self.all(mask), || [self.b.load(at, otherwise.kind, otherwise.lanes)], || [part()]);
        value
    }

    /// Stores consecutive elements from `at` on in the lanes of `mask`.
    pub(super) fn store_where(&self, value: Val<'c>, at: Val<'c>, mask: Val<'c>) {
        let part = || self.b.masked_store(value, at, mask);
        if self.platform.has_masks() {
            return part();
        }
        let store = || {
            self.b.store(value, at);
            []
        };
        let [] = self.b.choose(self.all(mask), store, || {
            part();
            []
        });
    }

    /// Elements at any addresses in the lanes of `mask`, `otherwise` in the other lanes.
    pub(super) fn gather_where(&self, at: Val<'c>, mask: Option<Val<'c>>, otherwise: Val<'c>) -> Val<'c> {
        let whole = || self.b.gather(at, self.b.int(Kind::I1, otherwise.lanes, 1), otherwise);
        let Some(mask) = mask else { return whole() };
        let part = || self.b.gather(at, mask, otherwise);
        if self.platform.has_masks() {
            return part();
        }
        let [value] = self.b.choose(self.all(mask), || [whole()], || [part()]);
        value
    }

    /// Whether a mask holds for every lane.
    fn all(&self, mask: Val<'c>) -> Val<'c> {
        if mask.lanes > 1 { self.b.reduce("and", mask) } else { mask }
    }
}
