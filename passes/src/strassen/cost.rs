//! The products for which Strassen's algorithm pays.
//!
//! Costs are in multiply-adds of a vector. Seven products instead of eight save an eighth of them. The sums
//! around them are as fast as the caches and the memory that they pass through.

use mlcc_machine::StrassenRates;

/// Sizes of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Rows of the result, and of a quarter of it.
    pub rows: [i64; 2],
    /// Columns of the result, and of a quarter of it.
    pub columns: [i64; 2],
    /// Terms of a sum, and of a quarter's sum.
    pub terms: [i64; 2],
}

/// With fewer rows than this, loading the weights limits a quarter's products.
const MIN_ROWS: i64 = 24;
/// Least gain, as a part of the plain product's time. The estimate is one or two hundredths too good (a
/// 128x3072x768 gains 0.09 of 0.10), and the times of small kernels vary by as much.
const MIN_GAIN: f64 = 0.05;
/// The share of the peak that products reach.
const SHARE: f64 = 0.96;

/// The estimated gain in multiply-adds of vectors on one core; `None` if it does not pay on one core or does
/// not pay on all.
#[must_use]
pub fn gain(sizes: &Sizes, rates: &StrassenRates) -> Option<f64> {
    let [one, all] = [1.0, rates.cores.max(1) as f64].map(|cores| {
        let plain = plain(sizes, rates, cores);
        (plain - seven(sizes, rates, cores), plain)
    });
    let pays = |(gain, plain): &(f64, f64)| *gain >= MIN_GAIN * *plain;
    (sizes.rows[1] >= MIN_ROWS && pays(&one) && pays(&all)).then_some(one.0)
}

fn product(rows: i64, columns: i64, terms: i64, rates: &StrassenRates) -> f64 {
    let vectors = (columns + rates.lanes - 1) / rates.lanes;
    rows as f64 * vectors as f64 * terms as f64 / SHARE
}

/// Time to move bytes of a working set of `set` bytes, which a cache may hold or not.
fn moved(bytes: f64, set: f64, rates: &StrassenRates, cores: f64) -> f64 {
    if set <= rates.caches[0] {
        bytes / (rates.cached_bytes[0] * cores)
    } else if set <= rates.caches[1] {
        bytes / (rates.cached_bytes[1] * cores)
    } else {
        bytes / (rates.memory_bytes * cores.min(rates.memory_cores))
    }
}

/// The time of the products, or the time to read their weights from memory if it is longer.
fn bound(compute: f64, weights: f64, rates: &StrassenRates, cores: f64) -> f64 {
    (compute / cores).max(weights / (rates.memory_bytes * cores.min(rates.memory_cores)))
}

fn bytes(a: i64, b: i64) -> f64 {
    4.0 * a as f64 * b as f64
}

fn plain(s: &Sizes, rates: &StrassenRates, cores: f64) -> f64 {
    let (rows, columns, terms) = (s.rows[0], s.columns[0], s.terms[0]);
    bound(product(rows, columns, terms, rates), bytes(columns, terms), rates, cores)
}

fn seven(s: &Sizes, rates: &StrassenRates, cores: f64) -> f64 {
    let (rows, columns, terms) = (s.rows[1], s.columns[1], s.terms[1]);
    let products =
        bound(7.0 * product(rows, columns, terms, rates), 7.0 * bytes(columns, terms), rates, cores);
    // Four quarters become seven, and seven become four.
    let left = 11.0 * bytes(rows, terms);
    let result = 11.0 * bytes(rows, columns);
    // The plain product writes its result too, while it computes.
    let sums = moved(left, left, rates, cores) + moved(result, result, rates, cores);
    products + sums + 2.0 * rates.kernel
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlcc_machine::Machine;

    fn gains(rows: i64, columns: i64, terms: i64) -> bool {
        let both = |n: i64| [n, (n + 1) / 2];
        let sizes = Sizes { rows: both(rows), columns: both(columns), terms: both(terms) };
        gain(&sizes, &StrassenRates::of(&Machine::usual())).is_some()
    }

    #[test]
    fn large_products_gain() {
        for (rows, columns, terms) in
            [(128, 3072, 768), (128, 768, 3072), (128, 768, 768), (197, 768, 768), (1024, 1024, 1024)]
        {
            assert!(gains(rows, columns, terms), "{rows} {columns} {terms}");
        }
    }

    #[test]
    fn small_products_do_not() {
        // The sums take as long as they save; few rows wait for the weights; a half of 25 of 49 rows computes
        // more than it saves.
        for (rows, columns, terms) in [(128, 64, 64), (16, 3072, 768), (3, 768, 768), (1000, 96, 24)] {
            assert!(!gains(rows, columns, terms), "{rows} {columns} {terms}");
        }
    }
}
