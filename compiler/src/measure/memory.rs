//! The memory's bandwidth, for reading and for a copy whose two sides together are far larger than the last
//! cache. The system's copy uses non-temporal stores for such sizes, and these are the fastest.

use std::{hint::black_box, time::Instant};

/// Bytes of each side.
const BYTES: usize = 96 << 20;
const ROUNDS: usize = 4;

/// Bytes read and written by this thread in a second; the best of several rounds.
pub(super) fn copied_bytes_per_second(start: &dyn Fn()) -> f64 {
    // Not zero, so that every page has memory of its own.
    let from = vec![1u8; BYTES];
    let mut to = vec![2u8; BYTES];
    start();
    let mut best: f64 = 0.0;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        to.copy_from_slice(black_box(&from));
        black_box(&mut to);
        best = best.max(2.0 * BYTES as f64 / began.elapsed().as_secs_f64());
    }
    best
}

/// Bytes read by this thread in a second; the best of several rounds.
pub(super) fn read_bytes_per_second(start: &dyn Fn()) -> f64 {
    /// Independent sums, so that additions do not wait for each other.
    const SUMS: usize = 16;
    let from = vec![1u64; BYTES / size_of::<u64>()];
    start();
    let mut best: f64 = 0.0;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let mut sums = [0u64; SUMS];
        for words in black_box(&from).chunks_exact(SUMS) {
            for (sum, word) in sums.iter_mut().zip(words) {
                *sum = sum.wrapping_add(*word);
            }
        }
        black_box(sums);
        best = best.max(BYTES as f64 / began.elapsed().as_secs_f64());
    }
    best
}
