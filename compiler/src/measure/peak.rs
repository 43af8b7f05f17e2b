//! The multiply-add peak of a core: independent chains of vectors that stay in registers.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// The time of the whole measurement, and the approximate time of one sample.
const TIME: Duration = Duration::from_millis(60);
const ITERATIONS: usize = 100_000;

/// Single-precision operations that this thread does in a second; the best of several samples.
pub(super) fn flops_per_second(start: &dyn Fn()) -> f64 {
    let chains = widest();
    start();
    let end = Instant::now() + TIME;
    let mut best: f64 = 0.0;
    while Instant::now() < end {
        let began = Instant::now();
        let operations = chains(ITERATIONS);
        best = best.max(operations / began.elapsed().as_secs_f64());
    }
    best
}

/// The widest loop for which this machine has instructions. It takes a number of iterations and
/// returns the number of operations done.
#[cfg(target_arch = "x86_64")]
fn widest() -> fn(usize) -> f64 {
    if std::arch::is_x86_feature_detected!("avx512f") {
        // SAFETY: the machine has the instructions.
        return |iterations| unsafe { x86::avx512(iterations) };
    }
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
        // SAFETY: the machine has the instructions.
        return |iterations| unsafe { x86::avx2(iterations) };
    }
    plain
}

/// As on x86-64; vectors and multiply-adds are part of every aarch64.
#[cfg(not(target_arch = "x86_64"))]
fn widest() -> fn(usize) -> f64 {
    plain
}

/// A multiplication and an addition as the compiler compiles them for the least machine of its kind.
fn plain(iterations: usize) -> f64 {
    const CHAINS: usize = 64;
    let mut chains = [black_box(1.0f32); CHAINS];
    let (factor, summand) = (black_box(0.999_999_9f32), black_box(1e-9f32));
    for _ in 0..iterations {
        for chain in &mut chains {
            *chain = if cfg!(target_arch = "aarch64") {
                chain.mul_add(factor, summand)
            } else {
                *chain * factor + summand
            };
        }
    }
    black_box(chains);
    (iterations * CHAINS * 2) as f64
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::{arch::x86_64 as arch, hint::black_box};

    /// Enough chains for two units with a latency of four cycles, within the 32 registers.
    #[target_feature(enable = "avx512f")]
    pub(super) fn avx512(iterations: usize) -> f64 {
        const CHAINS: usize = 24;
        let mut chains = [arch::_mm512_set1_ps(black_box(1.0)); CHAINS];
        let factor = arch::_mm512_set1_ps(black_box(0.999_999_9));
        let summand = arch::_mm512_set1_ps(black_box(1e-9));
        for _ in 0..iterations {
            for chain in &mut chains {
                *chain = arch::_mm512_fmadd_ps(*chain, factor, summand);
            }
        }
        black_box(chains);
        (iterations * CHAINS * 16 * 2) as f64
    }

    /// Likewise, within 16 registers.
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn avx2(iterations: usize) -> f64 {
        const CHAINS: usize = 12;
        let mut chains = [arch::_mm256_set1_ps(black_box(1.0)); CHAINS];
        let factor = arch::_mm256_set1_ps(black_box(0.999_999_9));
        let summand = arch::_mm256_set1_ps(black_box(1e-9));
        for _ in 0..iterations {
            for chain in &mut chains {
                *chain = arch::_mm256_fmadd_ps(*chain, factor, summand);
            }
        }
        black_box(chains);
        (iterations * CHAINS * 8 * 2) as f64
    }
}
