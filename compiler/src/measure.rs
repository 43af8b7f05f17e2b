//! Measures the limits of this machine: multiply-add peak, memory bandwidth, the cost of a fork.
//!
//! No decision of the compiler measures anything by itself. `mlcc bench --profile` compares kernels with
//! these numbers, and `mlcc machine measure` writes them into a profile.

mod caches;
mod memory;
mod peak;

pub use caches::Caches;

use mlcc_runtime::Pool;
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    sync::{Barrier, OnceLock},
    thread,
    time::{Duration, Instant},
};

/// Rates that no kernel exceeds on that number of threads, unless its data stay in the caches.
#[derive(Clone, Copy, Debug)]
pub struct Roofline {
    /// Number of threads.
    pub threads: usize,
    /// In single precision; a multiply-add counts twice.
    pub flops_per_second: f64,
    /// For a copy far larger than the caches, bytes read and written together.
    pub bytes_per_second: f64,
}

/// Rates of some cores together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// Multiply-add peak in single precision, in 10^9 operations a second; a multiply-add counts twice.
    pub gflops: f64,
    /// For reading data in memory, in 10^9 bytes a second.
    pub read_gb_per_second: f64,
    /// For a copy in memory, bytes read and written together.
    pub copy_gb_per_second: f64,
}

impl Rates {
    /// Measures for some tenths of a second.
    #[must_use]
    pub fn measure(threads: usize) -> Rates {
        let roofline = Roofline::measure(threads);
        let read = together(roofline.threads, &|start| memory::read_bytes_per_second(start));
        // A measurement is accurate to about three digits.
        let billions = |rate: f64| (rate / 1e8).round() / 10.0;
        Rates {
            gflops: billions(roofline.flops_per_second),
            read_gb_per_second: billions(read),
            copy_gb_per_second: billions(roofline.bytes_per_second),
        }
    }
}

impl Roofline {
    /// Measures for some tenths of a second. More threads than CPUs do not attain more, so they are
    /// limited to the CPUs.
    #[must_use]
    pub fn measure(threads: usize) -> Roofline {
        let cpus = thread::available_parallelism().map_or(1, usize::from);
        let threads = threads.clamp(1, cpus);
        Roofline {
            threads,
            flops_per_second: together(threads, &|start| peak::flops_per_second(start)),
            bytes_per_second: together(threads, &|start| memory::copied_bytes_per_second(start)),
        }
    }

    /// The share of the attainable rate that these operations on these bytes reach in a time. It is 1 if
    /// only the peak, or the memory, limits them.
    #[must_use]
    pub fn share(&self, flops: f64, bytes: f64, seconds: f64) -> f64 {
        (flops / self.flops_per_second).max(bytes / self.bytes_per_second) / seconds
    }
}

impl fmt::Display for Roofline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (flops, bytes) = (self.flops_per_second / 1e9, self.bytes_per_second / 1e9);
        write!(f, "{flops:.0} GFLOP/s and {bytes:.1} GB/s on {} threads", self.threads)
    }
}

/// The sum of the rates of threads that do the same work at the same time. Each thread receives a
/// function that waits for the others; it calls the function once it is prepared. If the system starts
/// fewer threads, the sum is over those.
fn together(threads: usize, rate: &(dyn Fn(&dyn Fn()) -> f64 + Sync)) -> f64 {
    // The barrier counts the threads, so it is made after all of them have been started.
    let barrier: OnceLock<Barrier> = OnceLock::new();
    let one = || {
        rate(&|| {
            barrier.wait().wait();
        })
    };
    thread::scope(|scope| {
        let start = |_| thread::Builder::new().spawn_scoped(scope, one).ok();
        let others: Vec<_> = (1..threads).map_while(start).collect();
        barrier.get_or_init(|| Barrier::new(others.len() + 1));
        let own = one();
        others.into_iter().filter_map(|thread| thread.join().ok()).fold(own, |sum, rate| sum + rate)
    })
}

/// The median time of a fork and join of empty work on all threads of a pool.
#[must_use]
pub fn fork_join(pool: &Pool) -> Duration {
    let mut times: Vec<Duration> = (0..5000)
        .map(|_| {
            let start = Instant::now();
            pool.fork_nothing();
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_this_world() {
        let one = Roofline::measure(1);
        assert!((1e8..1e13).contains(&one.flops_per_second), "{one}");
        assert!((1e8..1e13).contains(&one.bytes_per_second), "{one}");
        let same = one.share(one.flops_per_second, 0.0, 1.0);
        assert!((0.999..1.001).contains(&same), "{same}");
    }
}
