//! Maxima and minima of many floats on machines whose instruction drops NaN.
//!
//! A maximum that keeps NaN takes three instructions there. A long reduction searches for NaN apart from the
//! maximum. It accumulates a maximum of numbers, which takes one instruction, and a mask of the lanes that met NaN;
//! one comparison of two registers with each other gives the mask. The lanes are combined once; the result is NaN
//! if the mask has any lane set.

use super::{
    Emitter,
    builder::{Builder, Kind, Val},
};
use mlcc_ir::kernel::Combine;

/// Memory of the frame that holds the mask of lanes that met NaN.
#[derive(Clone, Copy)]
pub(super) struct Unordered<'c> {
    mask: Val<'c>,
    lanes: u32,
}

impl<'c> Unordered<'c> {
    /// The mask for a way to combine; `None` if the combination does not search for NaN apart.
    pub(super) fn for_combine(b: &Builder<'c>, combine: Combine, kind: Kind, lanes: u32) -> Option<Self> {
        let apart = matches!(combine, Combine::Max | Combine::Min)
            && kind.is_float()
            && lanes.is_power_of_two()
            && b.has_mask_registers();
        let lanes = b.unordered_lanes(kind, lanes);
        apart.then(|| Unordered { mask: b.frame(Kind::I1, i64::from(lanes)), lanes })
    }

    /// No lane has met NaN.
    pub(super) fn begin(&self, b: &Builder<'c>) {
        b.store(b.int(Kind::I1, self.lanes, 0), self.mask);
    }

    fn load(&self, b: &Builder<'c>) -> Val<'c> {
        b.load(self.mask, Kind::I1, self.lanes)
    }
}

impl<'c> Emitter<'_, 'c> {
    /// Combines numbers with the accumulated ones, and marks the lanes that are NaN. The accumulated value of such
    /// a lane is arbitrary.
    pub(super) fn extremum(
        &self,
        combine: Combine,
        sum: Val<'c>,
        value: Val<'c>,
        unordered: Unordered<'c>,
    ) -> Val<'c> {
        let mask = self.b.or(unordered.load(self.b), self.b.unordered(value));
        self.b.store(mask, unordered.mask);
        self.b.float_extremum_or(combine == Combine::Max, sum, value)
    }

    /// The extremum of all accumulated lanes, NaN if a lane met one; `None` if nothing was accumulated.
    pub(super) fn end_extremum(
        &self,
        combine: Combine,
        mut parts: Vec<Val<'c>>,
        unordered: &[Unordered<'c>],
    ) -> Option<Val<'c>> {
        let join = |a: Val<'c>, b: Val<'c>| self.b.float_extremum_or(combine == Combine::Max, a, b);
        while parts.len() > 1 {
            let pair = |pair: &[Val<'c>]| pair.iter().copied().reduce(join);
            parts = parts.chunks(2).filter_map(pair).collect();
        }
        let mut extremum = parts.pop()?;
        while let Some([low, high]) = self.b.halves(extremum) {
            extremum = join(low, high);
        }
        let masks = unordered.iter().map(|u| u.load(self.b));
        let mask = masks.reduce(|a, b| self.b.or(a, b))?;
        let any = if mask.lanes == 1 { mask } else { self.b.reduce("or", mask) };
        Some(self.b.select(any, self.b.like(extremum, f64::NAN), extremum))
    }
}
