//! Accesses of vectors of which some lanes are left out.
//!
//! Where the machine has no instructions for them, LLVM makes a branch of every lane. Most masks of a run
//! hold for all lanes, since only the ends of rows are cut, so that case gets code without any.

use super::{
    Emitter,
    builder::{Kind, Val},
};

impl<'c> Emitter<'_, 'c> {
    /// Consecutive elements from `at` on where `mask`, `otherwise` elsewhere.
    pub(super) fn load_where(&self, at: Val<'c>, mask: Val<'c>, otherwise: Val<'c>) -> Val<'c> {
        let part = || self.b.masked_load(at, mask, otherwise);
        if self.platform.has_masks() {
            return part();
        }
        let [value] =
            self.b.choose(self.all(mask), || [self.b.load(at, otherwise.kind, otherwise.lanes)], || [part()]);
        value
    }

    /// Stores consecutive elements from `at` on where `mask`.
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

    /// Elements from anywhere where `mask`, `otherwise` elsewhere.
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
