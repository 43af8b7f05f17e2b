//! Structured control flow.

use super::{Builder, Val};
use melior::ir::Region;

impl<'c> Builder<'c> {
    /// Ends a region's block.
    pub fn yields(&self, values: &[Val<'c>]) {
        let values: Vec<_> = values.iter().map(|v| v.raw).collect();
        self.op("scf.yield", &values, &[], &[], Vec::new());
    }

    /// `if condition { then } else { otherwise }` with the same number and types of results.
    pub fn choose<const N: usize>(
        &self,
        condition: Val<'c>,
        then: impl FnOnce() -> [Val<'c>; N],
        otherwise: impl FnOnce() -> [Val<'c>; N],
    ) -> [Val<'c>; N] {
        self.open(&[]);
        let values = then();
        self.yields(&values);
        let then = self.close();
        self.open(&[]);
        self.yields(&otherwise());
        let regions = vec![then, self.close()];
        let types = values.map(|v| self.ty(v.kind, v.lanes));
        let results = self.op("scf.if", &[condition.raw], &types, &[], regions);
        let mut results = results.into_iter();
        values.map(|v| Val { raw: results.next().unwrap_or(v.raw), ..v })
    }

    /// A loop from `low` to `high` by `step` whose region was built by [`Builder::open`] with the axis and
    /// `carried` values as arguments; ends with the values after the last iteration.
    pub fn for_loop(
        &self,
        [low, high, step]: [Val<'c>; 3],
        carried: &[Val<'c>],
        region: Region<'c>,
    ) -> Vec<Val<'c>> {
        let operands: Vec<_> = [low, high, step].iter().chain(carried).map(|v| v.raw).collect();
        let types: Vec<_> = carried.iter().map(|v| self.ty(v.kind, v.lanes)).collect();
        let results = self.op("scf.for", &operands, &types, &[], vec![region]);
        results.into_iter().zip(carried).map(|(raw, v)| Val { raw, ..*v }).collect()
    }
}
