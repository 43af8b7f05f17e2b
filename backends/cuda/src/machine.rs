//! What decisions know about a GPU.

use mlcc_passes::{
    config::{Config, Variants},
    graph::rewrite::Rates,
};

/// A GPU of an architecture, by its vendor's data sheet.
struct Row {
    arch: &'static str,
    /// Single precision without tensor cores, in TFLOP/s.
    teraflops: f64,
    /// Memory, in GB/s.
    memory: f64,
    /// The second cache, which all multiprocessors share, in MiB.
    l2: f64,
}

/// Usual GPUs of the architectures that code is generated for: A100, A40, Orin, L40S, H100, B200, RTX 5090.
const TABLE: &[Row] = &[
    Row { arch: "sm_80", teraflops: 19.5, memory: 1555.0, l2: 40.0 },
    Row { arch: "sm_86", teraflops: 37.4, memory: 696.0, l2: 6.0 },
    Row { arch: "sm_87", teraflops: 5.3, memory: 205.0, l2: 4.0 },
    Row { arch: "sm_89", teraflops: 91.6, memory: 864.0, l2: 96.0 },
    Row { arch: "sm_90", teraflops: 66.9, memory: 3350.0, l2: 50.0 },
    Row { arch: "sm_100", teraflops: 75.0, memory: 8000.0, l2: 126.0 },
    Row { arch: "sm_120", teraflops: 104.8, memory: 1792.0, l2: 96.0 },
];

/// How many times the second cache is faster than memory.
const CACHE_SPEED: f64 = 3.0;
/// Seconds from a kernel's end to the work of the next one in its stream.
const KERNEL: f64 = 3e-6;

/// What passes are told of a GPU of that architecture. It takes no variants: their forms (transforms of a few elements
/// a thread, parts of a reduction, stages in front of a product) are made for caches and few threads, and no mapping of
/// this backend expects them.
#[must_use]
pub fn config_for(arch: &str) -> Config {
    Config { variants: Variants::None, rates: price_rates(arch), ..Config::default() }
}

/// What prices of kernels want to know of a GPU of that architecture (`sm_90`, `sm_90a`); of the first one that the
/// table has, if it lacks the name.
fn price_rates(arch: &str) -> Rates {
    let name = arch.trim_end_matches('a');
    let row = TABLE.iter().find(|row| row.arch == name).unwrap_or(&TABLE[0]);
    let (memory, l2) = (row.memory * 1e9, row.l2 * f64::from(1 << 20));
    Rates {
        flops: row.teraflops * 1e12,
        memory_bytes: memory,
        // There is no cache of a core's own that outlives a kernel.
        cached_bytes: [CACHE_SPEED * memory; 2],
        caches: [l2; 2],
        kernel: KERNEL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ptx;
    use mlcc_passes::registry::{PASSES, Trait};

    #[test]
    fn what_is_made_for_a_cpu_is_left_out() {
        let (gpu, cpu) = (config_for("sm_80"), Config::default());
        let left_out: Vec<&str> = PASSES.iter().filter(|p| !gpu.runs(p)).map(|p| p.name).collect();
        let variants = PASSES.iter().filter(|p| p.is(Trait::Variant)).map(|p| p.name);
        assert_eq!(left_out, variants.collect::<Vec<_>>());
        assert!(!left_out.is_empty() && PASSES.iter().all(|p| cpu.runs(p)));
    }

    #[test]
    fn every_architecture_has_a_row() {
        for name in ptx::architectures() {
            assert!(TABLE.iter().any(|row| row.arch == name.trim_end_matches('a')), "{name}");
        }
        assert_eq!(price_rates("sm_90a"), price_rates("sm_90"));
        assert!(price_rates("sm_90").memory_bytes > price_rates("sm_86").memory_bytes);
    }
}
