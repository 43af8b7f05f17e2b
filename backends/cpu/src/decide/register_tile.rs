//! The size of a contraction's register tile.

use crate::machine::Machine;
use mlcc_passes::schedule::MAX_ROWS;

/// Rows and vectors of columns of a micro-kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RegisterTile {
    pub(super) rows: i64,
    pub(super) vectors: i64,
    /// Estimated time for all results and one step of the reduction.
    pub(super) cost: i64,
}

/// Most vectors of columns: B's panels are that wide.
const MAX_VECTORS: i64 = 4;
/// Most vectors of columns where there is one row.
const MAX_VECTORS_OF_ROW: i64 = 8;

/// The tile with the least estimated time for `m` by `n` results; `None` is an unknown size.
///
/// A step of the reduction costs a multiply-add for every accumulator, and loads for every row and
/// vector, most of which hide behind the multiply-adds; too few accumulators wait for their latency.
/// Columns that do not fill the last vector are paid in full.
/// `row_stride` is the distance of A's rows in bytes, 0 if it is not known.
pub(super) fn choose(
    machine: &Machine,
    lanes: i64,
    (m, n): (Option<i64>, Option<i64>),
    row_stride: i64,
) -> RegisterTile {
    let chains = machine.chains();
    let (m, n) = (m.unwrap_or(1 << 12).max(1), n.unwrap_or(1 << 12).max(1));
    let most_rows = machine.rows_at_stride(row_stride).min(MAX_ROWS).min(m);
    let mut best = RegisterTile { rows: 1, vectors: 1, cost: i64::MAX };
    let most_vectors = if m == 1 { MAX_VECTORS_OF_ROW } else { MAX_VECTORS };
    for vectors in (1..=most_vectors.min((n + lanes - 1) / lanes)).rev() {
        for rows in 1..=most_rows {
            let accumulators = rows * vectors;
            // A vector of each column and elements of A are in registers too.
            let registers = accumulators + vectors + machine.broadcast_registers();
            if registers > i64::from(machine.vector_registers) {
                break;
            }
            let step = |rows: i64, vectors: i64| match rows * vectors {
                0 => 0,
                accumulators => 20 * accumulators.max(chains) + 3 * rows + 6 * vectors,
            };
            // Rows and columns that are left over have tiles of their own.
            let vectors_left = (n % (lanes * vectors) + lanes - 1) / lanes;
            let across = |rows: i64| n / (lanes * vectors) * step(rows, vectors) + step(rows, vectors_left);
            let cost = (m / rows).saturating_mul(across(rows)).saturating_add(across(m % rows));
            if cost < best.cost {
                best = RegisterTile { rows, vectors, cost };
            }
        }
    }
    best
}

/// Rows of a tile that is that many vectors wide, for `m` rows in all.
pub(super) fn rows_for(machine: &Machine, vectors: i64, m: i64) -> i64 {
    let most =
        ((i64::from(machine.vector_registers) - 1 - vectors) / vectors).clamp(1, MAX_ROWS.min(m.max(1)));
    // Few tiles, and among those the one that fills the last.
    let cost = |rows: i64| (m + rows - 1) / rows * (20 * rows * vectors + 3 * rows + 6 * vectors);
    (1..=most).rev().min_by_key(|&rows| cost(rows)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_fit_the_sizes() {
        let zen = Machine::named("znver4").unwrap();
        let tile = |m, n| {
            let t = choose(&zen, 16, (m, n), 0);
            (t.rows, t.vectors)
        };
        let (rows, vectors) = tile(Some(1024), Some(1024));
        assert!(rows * vectors >= 20 && vectors >= 2, "{rows} x {vectors}");
        // 8 rows divide 64, 6 do not.
        assert_eq!(64 % tile(Some(64), Some(224)).0, 0);
        assert_eq!(tile(Some(1), Some(1000)).0, 1);
        assert_eq!(tile(Some(100), Some(10)).1, 1);
        let old = Machine::named("x86-64-v3").unwrap();
        let t = choose(&old, 8, (None, None), 0);
        assert!(t.rows * t.vectors <= 12);
        let arm = Machine::named("neoverse-n1").unwrap();
        let t = choose(&arm, 4, (None, None), 0);
        assert!((21..=24).contains(&(t.rows * t.vectors)) && t.vectors >= 2, "{t:?}");
        assert!(choose(&zen, 16, (None, None), 4096).rows <= 6);
    }
}
