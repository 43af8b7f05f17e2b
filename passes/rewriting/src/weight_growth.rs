//! The number of bytes by which weights may grow to make a run faster. All rewrites that trade bytes for work
//! share one budget: algebraic rules first, then Strassen's products take from the rest.

use mlcc_ir::graph::{Def, Graph, ValueId};
use std::collections::BTreeSet;

/// Default limit on the bytes of all weights, as a multiple of their bytes before.
pub const DEFAULT: f64 = 1.4;

/// Bytes of growth that are allowed whenever any growth is, so that small models can gain too.
const FREE_BYTES: f64 = (1 << 20) as f64;

/// Bytes by which weights of `bytes` bytes may grow; a factor of 1 lets none grow.
#[must_use]
pub fn allowance(bytes: f64, factor: f64) -> f64 {
    if factor > 1.0 { bytes.max(0.0) * (factor - 1.0) + FREE_BYTES } else { 0.0 }
}

/// Bytes of all constants that something reads.
#[must_use]
pub fn constant_bytes(graph: &Graph) -> i64 {
    let inner = graph.nodes.iter().flat_map(|n| &n.regions).flat_map(|r| &r.values);
    let captured = inner.filter_map(|value| match value.def {
        Def::Captured(outer) => Some(outer),
        _ => None,
    });
    let operands = graph.nodes.iter().flat_map(|n| n.operands.iter().flatten().copied());
    let outputs = graph.outputs.iter().map(|(_, id)| *id);
    let read: BTreeSet<ValueId> = operands.chain(captured).chain(outputs).collect();
    read.iter()
        .filter_map(|id| graph.constant(*id))
        .fold(0, |sum: i64, t| sum.saturating_add(t.data.len() as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_megabyte_is_free_unless_nothing_may_grow() {
        let mb = FREE_BYTES;
        assert_eq!(allowance(80.0 * mb, 1.25), 21.0 * mb);
        assert_eq!(allowance(0.0, 1.25), mb);
        assert_eq!((allowance(80.0 * mb, 1.0), allowance(mb, 0.5), allowance(mb, f64::NAN)), (0.0, 0.0, 0.0));
    }
}
