//! The convolutions for which Winograd's algorithm pays.
//!
//! Costs are in multiply-adds of a vector. Transforms and products run in the same vectors. So a machine
//! matters by the width of its vectors, where channels do not fill them, and by the time to read weights from
//! memory. The rest belongs to the algorithms: operations of a transform, and the shares of the peak that
//! products reach (measured on a Zen 4 core).

use super::algorithm::{Algorithm, WINDOW};
use mlcc_machine::WinogradRates;

/// Sizes of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Images.
    pub batch: i64,
    /// Rows of outputs of an image.
    pub rows: i64,
    /// Columns of outputs.
    pub columns: i64,
    /// Input channels.
    pub channels: i64,
    /// Output channels.
    pub filters: i64,
    /// Elements that are copied before and behind, because images have their channels first.
    pub copied: i64,
}

/// With fewer channels or filters than this, the transforms cannot run in whole vectors.
const MIN_CHANNELS: i64 = 16;

/// The algorithm with the least estimated time; `None` is the direct sum. If a convolution may have several
/// sizes, each choice is judged by the size at which it loses most: its time there over the fastest choice's.
#[must_use]
pub fn choose(sizes: &[Sizes], rates: &WinogradRates) -> Option<Algorithm> {
    let choices = [None, Some(Algorithm::F2), Some(Algorithm::F4)];
    let mut worst = choices.map(|_| 1.0f64);
    for sizes in sizes {
        let times = choices.map(|algorithm| time_with(algorithm, sizes, rates));
        let least = times.into_iter().fold(f64::INFINITY, f64::min);
        worst.iter_mut().zip(times).for_each(|(worst, time)| *worst = worst.max(time / least));
    }
    let mut best = (f64::INFINITY, None);
    for (worst, choice) in worst.into_iter().zip(choices) {
        if worst < best.0 {
            best = (worst, choice);
        }
    }
    best.1
}

/// The estimated time of Winograd's algorithm, in multiply-adds of a vector, if it is less than the direct
/// sum's.
#[must_use]
pub fn time(sizes: &Sizes, rates: &WinogradRates) -> Option<f64> {
    let algorithm = choose(&[*sizes], rates)?;
    Some(time_with(Some(algorithm), sizes, rates))
}

fn time_with(algorithm: Option<Algorithm>, sizes: &Sizes, rates: &WinogradRates) -> f64 {
    match algorithm {
        None => direct(sizes, rates),
        Some(_) if sizes.channels < MIN_CHANNELS || sizes.filters < MIN_CHANNELS => f64::INFINITY,
        Some(algorithm) => transformed(&algorithm, sizes, rates),
    }
}

fn up(a: i64, b: i64) -> f64 {
    ((a + b - 1) / b) as f64
}

/// The direct sum: 90% of the peak.
fn direct(s: &Sizes, rates: &WinogradRates) -> f64 {
    let window = (WINDOW * WINDOW) as f64;
    let pixels = (s.batch * s.rows * s.columns) as f64;
    let compute = window * pixels * s.channels as f64 * up(s.filters, rates.lanes) / 0.9;
    compute.max(weights(window, s, rates))
}

/// Transforms, products, inverse transforms.
fn transformed(algorithm: &Algorithm, s: &Sizes, rates: &WinogradRates) -> f64 {
    let (m, n) = (algorithm.outputs() as i64, algorithm.points() as f64);
    let tiles = s.batch as f64 * up(s.rows, m) * up(s.columns, m);
    let products = n * n;
    // Fewer rows leave accumulators idle.
    let rows = tiles.max(4.0);
    let product = products * rows * s.channels as f64 * up(s.filters, rates.lanes) / 0.85;
    // A transform of n values takes about 2n operations, twice for each of n lines. Besides, a square is read
    // and written, and stores take two cycles.
    let square = |lines: f64| 2.0 * n * (n + lines) + 3.0 * products;
    let transforms =
        tiles * (up(s.channels, rates.lanes) * square(n) + up(s.filters, rates.lanes) * square(m as f64));
    let copies = (2 * 4 * s.copied) as f64 / rates.bytes_per_operation;
    product.max(weights(products, s, rates)) + transforms + copies
}

/// Time to read the weights once, from memory if they are large.
fn weights(products: f64, s: &Sizes, rates: &WinogradRates) -> f64 {
    let bytes = products * (s.channels * s.filters * 4) as f64;
    if bytes <= rates.near_bytes { 0.0 } else { bytes / rates.bytes_per_operation }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlcc_machine::Machine;

    fn chosen(batch: i64, side: i64, channels: i64, filters: i64) -> Option<usize> {
        let sizes = Sizes { batch, rows: side, columns: side, channels, filters, copied: 0 };
        choose(&[sizes], &WinogradRates::of(&Machine::usual())).map(|a| a.outputs())
    }

    #[test]
    fn wide_convolutions_of_large_images_take_the_largest_tile() {
        for (channels, side) in [(64, 56), (128, 28), (256, 14)] {
            for batch in [1, 8] {
                assert_eq!(chosen(batch, side, channels, channels), Some(4), "{channels} at {side}");
            }
        }
        assert_eq!(chosen(1, 56, 128, 32), Some(4));
        assert_eq!(chosen(1, 55, 16, 64), Some(4));
    }

    #[test]
    fn small_images_take_small_tiles() {
        // F(4, 3) would compute 16 outputs where F(2, 3) computes 4.
        assert_eq!(chosen(64, 2, 128, 128), Some(2));
        assert_eq!(chosen(64, 1, 128, 128), None);
    }

    #[test]
    fn several_sizes_take_what_loses_least() {
        let sizes = |batch: i64, side: i64, channels: i64| Sizes {
            batch,
            rows: side,
            columns: side,
            channels,
            filters: channels,
            copied: 0,
        };
        let chosen = |batches: &[i64], side, channels| {
            let all: Vec<Sizes> = batches.iter().map(|batch| sizes(*batch, side, channels)).collect();
            choose(&all, &WinogradRates::of(&Machine::usual())).map(|a| a.outputs())
        };
        assert_eq!(chosen(&[1, 2, 4, 8], 56, 64), Some(4));
        // One image of a few pixels waits for its weights. Many images do not, and they gain more than one
        // image loses.
        assert_eq!(chosen(&[1], 3, 512), None);
        assert_eq!(chosen(&[64], 3, 512), Some(4));
        assert_eq!(chosen(&[1, 64], 3, 512), Some(2));
        assert_eq!(chosen(&[], 56, 64), None);
    }

    #[test]
    fn few_channels_and_weights_that_are_read_once_stay_direct() {
        assert_eq!(chosen(1, 224, 3, 64), None);
        assert_eq!(chosen(1, 112, 64, 8), None);
        // One tile: weights of 2048 channels come from memory, four times as many.
        assert_eq!(chosen(1, 3, 2048, 2048), None);
    }
}
