//! Which convolutions Winograd's algorithm pays for.
//!
//! Costs are in multiply-adds of a vector, of which a core starts one a cycle; transforms and products
//! run in the same vectors, so that the vector's width hardly matters to the comparison.

use super::algorithm::{Algorithm, WINDOW};

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
}

/// Elements of a vector; what is left of channels or filters is paid in full.
const LANES: i64 = 16;
/// Channels and filters below which the transforms cannot be in whole vectors.
const MIN_CHANNELS: i64 = 16;

/// The algorithm with the least estimated time; `None` is the direct sum.
#[must_use]
pub fn choose(sizes: &Sizes) -> Option<Algorithm> {
    if sizes.channels < MIN_CHANNELS || sizes.filters < MIN_CHANNELS {
        return None;
    }
    let mut best = (direct(sizes), None);
    for algorithm in [Algorithm::F2, Algorithm::F4] {
        let time = transformed(&algorithm, sizes);
        if time < best.0 {
            best = (time, Some(algorithm));
        }
    }
    best.1
}

fn up(a: i64, b: i64) -> f64 {
    ((a + b - 1) / b) as f64
}

/// The direct sum: 90% of the peak.
fn direct(s: &Sizes) -> f64 {
    let window = (WINDOW * WINDOW) as f64;
    let pixels = (s.batch * s.rows * s.columns) as f64;
    let compute = window * pixels * s.channels as f64 * up(s.filters, LANES) / 0.9;
    compute.max(weights(window, s))
}

/// Transforms, products, inverse transforms.
fn transformed(algorithm: &Algorithm, s: &Sizes) -> f64 {
    let (m, n) = (algorithm.outputs() as i64, algorithm.points() as f64);
    let tiles = s.batch as f64 * up(s.rows, m) * up(s.columns, m);
    let products = n * n;
    // Fewer rows leave accumulators idle.
    let rows = tiles.max(4.0);
    let product = products * rows * s.channels as f64 * up(s.filters, LANES) / 0.85;
    // A transform of n values takes about 2n operations, twice for each of n lines; a square is read and
    // written besides, and stores take two cycles.
    let square = |lines: f64| 2.0 * n * (n + lines) + 3.0 * products;
    let transforms = tiles * (up(s.channels, LANES) * square(n) + up(s.filters, LANES) * square(m as f64));
    product.max(weights(products, s)) + transforms
}

/// Time to read the weights once, from memory if they are large.
fn weights(products: f64, s: &Sizes) -> f64 {
    const NEAR: f64 = 512.0 * 1024.0;
    const BYTES_PER_CYCLE: f64 = 8.0;
    let bytes = products * (s.channels * s.filters * 4) as f64;
    if bytes <= NEAR { 0.0 } else { bytes / BYTES_PER_CYCLE }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(batch: i64, side: i64, channels: i64, filters: i64) -> Option<usize> {
        let sizes = Sizes { batch, rows: side, columns: side, channels, filters };
        choose(&sizes).map(|a| a.outputs())
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
    fn few_channels_and_weights_that_are_read_once_stay_direct() {
        assert_eq!(chosen(1, 224, 3, 64), None);
        assert_eq!(chosen(1, 112, 64, 8), None);
        // One tile: weights of 2048 channels come from memory, four times as many.
        assert_eq!(chosen(1, 3, 2048, 2048), None);
    }
}
