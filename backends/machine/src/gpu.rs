//! GPUs.

use crate::rates::KernelRates;

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

impl KernelRates {
    /// The rates of a GPU of that architecture (`sm_90`, `sm_90a`); those of the table's first one if the
    /// table lacks the name.
    #[must_use]
    pub fn of_gpu(arch: &str) -> KernelRates {
        let row = row(arch).unwrap_or(&TABLE[0]);
        let (memory, l2) = (row.memory * 1e9, row.l2 * f64::from(1 << 20));
        KernelRates {
            flops: row.teraflops * 1e12,
            memory_bytes: memory,
            // No cache of a core's own outlives a kernel.
            cached_bytes: [CACHE_SPEED * memory; 2],
            caches: [l2; 2],
            kernel: KERNEL,
        }
    }

    /// Whether the table has a GPU of that architecture.
    #[must_use]
    pub fn knows_gpu(arch: &str) -> bool {
        row(arch).is_some()
    }
}

fn row(arch: &str) -> Option<&'static Row> {
    let name = arch.trim_end_matches('a');
    TABLE.iter().find(|row| row.arch == name)
}
