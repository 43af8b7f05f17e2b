//! The size of a contraction's register tile.

use mlcc_machine::Machine;
use mlcc_passes::schedule::MAX_ROWS;

/// Rows and vectors of columns of a micro-kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RegisterTile {
    pub(super) rows: i64,
    pub(super) vectors: i64,
    /// Estimated time for all results and one step of the reduction.
    pub(super) cost: i64,
}

/// Most vectors of columns: the panels of B have this width.
const MAX_VECTORS: i64 = 4;
/// Most vectors of columns if there is one row.
const MAX_VECTORS_OF_ROW: i64 = 8;

/// The assumed value of an unknown size.
pub(super) const UNKNOWN: i64 = 1 << 12;

/// The tile with the least estimated time for `m` by `n` results; `None` is an unknown size. With several
/// possible numbers of rows, a tile is judged by the number at which it loses most.
///
/// A step of the reduction costs a multiply-add for every accumulator, and loads for every row and vector.
/// Most of the loads hide behind the multiply-adds; too few accumulators wait for their latency. Columns that
/// do not fill the last vector are paid in full. `row_stride` is the distance of A's rows in bytes, 0 if it
/// is not known.
pub(super) fn choose(
    machine: &Machine,
    lanes: i64,
    (m, n): (&[i64], Option<i64>),
    row_stride: i64,
) -> RegisterTile {
    let chains = machine.chains();
    let n = n.unwrap_or(UNKNOWN).max(1);
    let m: Vec<i64> = m.iter().map(|m| (*m).max(1)).collect();
    let largest = m.iter().copied().max().unwrap_or(1);
    let most_rows = machine.rows_at_stride(row_stride).min(MAX_ROWS).min(largest);
    let most_vectors = if largest == 1 { MAX_VECTORS_OF_ROW } else { MAX_VECTORS };
    let mut tiles: Vec<(i64, i64, Vec<i64>)> = Vec::new();
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
            // The remaining rows and columns have tiles of their own.
            let vectors_left = (n % (lanes * vectors) + lanes - 1) / lanes;
            let across = |rows: i64| n / (lanes * vectors) * step(rows, vectors) + step(rows, vectors_left);
            let cost = |m: i64| (m / rows).saturating_mul(across(rows)).saturating_add(across(m % rows));
            tiles.push((rows, vectors, m.iter().map(|&m| cost(m)).collect()));
        }
    }
    let least: Vec<i64> =
        (0..m.len()).map(|at| tiles.iter().map(|(.., costs)| costs[at]).min().unwrap_or(1).max(1)).collect();
    let loss =
        |costs: &[i64]| costs.iter().zip(&least).map(|(c, l)| *c as f64 / *l as f64).fold(0.0, f64::max);
    let best = tiles.into_iter().min_by(|a, b| loss(&a.2).total_cmp(&loss(&b.2)));
    best.map_or(RegisterTile { rows: 1, vectors: 1, cost: i64::MAX }, |(rows, vectors, costs)| RegisterTile {
        rows,
        vectors,
        cost: costs.into_iter().fold(0, i64::saturating_add),
    })
}

/// Rows of a tile of `vectors` vectors, for `m` rows in all.
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
        let tile = |m: i64, n: i64| {
            let t = choose(&zen, 16, (&[m], Some(n)), 0);
            (t.rows, t.vectors)
        };
        let (rows, vectors) = tile(1024, 1024);
        assert!(rows * vectors >= 20 && vectors >= 2, "{rows} x {vectors}");
        // 8 rows divide 64, 6 do not.
        assert_eq!(64 % tile(64, 224).0, 0);
        assert_eq!(tile(1, 1000).0, 1);
        assert_eq!(tile(100, 10).1, 1);
        let old = Machine::named("x86-64-v3").unwrap();
        let t = choose(&old, 8, (&[UNKNOWN], None), 0);
        assert!(t.rows * t.vectors <= 12);
        let arm = Machine::named("neoverse-n1").unwrap();
        let t = choose(&arm, 4, (&[UNKNOWN], None), 0);
        assert!((21..=24).contains(&(t.rows * t.vectors)) && t.vectors >= 2, "{t:?}");
        assert!(choose(&zen, 16, (&[UNKNOWN], None), 4096).rows <= 6);
        // Images of 49 pixels, one to eight of them: no row is left over in any number.
        let some = choose(&zen, 16, (&[49, 98, 196, 392], Some(512)), 0);
        assert_eq!((some.rows, some.vectors), tile(49, 512));
    }
}
