//! The numbers of a machine that estimates of time need.

use crate::Machine;

/// Facts about a machine that prices use: one core of it, or a GPU, in seconds, bytes and operations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KernelRates {
    /// Operations a second at the peak; multiply-adds count two.
    pub flops: f64,
    /// Bytes a second from memory.
    pub memory_bytes: f64,
    /// Bytes a second through the second and the last cache, at the speed that kernels reach.
    pub cached_bytes: [f64; 2],
    /// Sizes of those caches in bytes.
    pub caches: [f64; 2],
    /// Seconds for a further kernel.
    pub kernel: f64,
}

impl KernelRates {
    /// The rates of a core.
    #[must_use]
    pub fn of(machine: &Machine) -> KernelRates {
        /// Nanoseconds of a further kernel: a launch, and the start of its loops.
        const KERNEL: u64 = 300;
        /// Shares of a vector that a kernel moves in the time of a multiply-add while it waits for the second
        /// or for the last cache: elementwise kernels, norms and copies of 0.3 to 3.6 MB run at 30 to 50 GB/s
        /// on a core of 118 GFLOP/s.
        const CACHED: [f64; 2] = [0.2, 0.15];
        let flops = (machine.flops_per_second as f64).max(1.0);
        // A vector of single precision has half as many operations as bytes.
        let vector_bytes_per_second = 2.0 * flops;
        KernelRates {
            flops,
            memory_bytes: (machine.memory_bytes_per_second as f64).max(1.0),
            cached_bytes: CACHED.map(|share| share * vector_bytes_per_second),
            caches: [machine.l2_bytes as f64, machine.last_cache_bytes as f64],
            kernel: 2.0 * machine.work_in(KERNEL) as f64 / flops,
        }
    }
}

/// Facts about a machine that the choice of Winograd's algorithm uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WinogradRates {
    /// Elements of a vector. A last vector that channels or filters fill only in part is paid in full.
    pub lanes: i64,
    /// Weights of at most this many bytes stay near the core from run to run: about half of the core's own
    /// caches.
    pub near_bytes: f64,
    /// Bytes from memory in the time of a multiply-add of a vector.
    pub bytes_per_operation: f64,
}

impl WinogradRates {
    /// The rates of a core.
    #[must_use]
    pub fn of(machine: &Machine) -> WinogradRates {
        WinogradRates {
            lanes: i64::from(machine.lanes(4)),
            near_bytes: (machine.l2_bytes / 2) as f64,
            bytes_per_operation: machine.memory_bytes_per_second as f64 / vectors_per_second(machine),
        }
    }
}

/// Facts about a machine that the choice of Strassen's algorithm uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StrassenRates {
    /// Elements of a vector. A last vector that columns fill only in part is paid in full.
    pub lanes: i64,
    /// Cores among which work is divided.
    pub cores: i64,
    /// Bytes that a core moves through its second and the last cache in the time of a multiply-add of a vector.
    pub cached_bytes: [f64; 2],
    /// Sizes of those caches.
    pub caches: [f64; 2],
    /// Bytes from memory in that time for one core.
    pub memory_bytes: f64,
    /// Number of cores whose reads use all of the memory's speed.
    pub memory_cores: f64,
    /// Multiply-adds of vectors in the time of a further kernel.
    pub kernel: f64,
}

impl StrassenRates {
    /// The rates of a machine's cores.
    #[must_use]
    pub fn of(machine: &Machine) -> StrassenRates {
        /// Nanoseconds of a further kernel.
        const KERNEL: u64 = 550;
        /// Bytes that all cores together read from memory in a second, the rate of two Zen 4 cores. If a core
        /// alone waits longer, as on servers, more cores get as much.
        const ALL_MEMORY: f64 = 59.2e9;
        /// Share of a vector that comes from the second cache in the time of a multiply-add.
        const CACHED: f64 = 0.375;
        let lanes = i64::from(machine.lanes(4));
        let vector = f64::from(machine.vector_bits / 8);
        StrassenRates {
            lanes,
            cores: i64::from(machine.cores),
            cached_bytes: [CACHED * vector, CACHED * vector / 2.0],
            caches: [machine.l2_bytes as f64, machine.last_cache_bytes as f64],
            memory_bytes: machine.memory_bytes_per_second as f64 / vectors_per_second(machine),
            memory_cores: (ALL_MEMORY / machine.memory_bytes_per_second.max(1) as f64).max(1.0),
            kernel: (machine.work_in(KERNEL) / lanes) as f64,
        }
    }
}

/// Facts about threads that taking reductions apart uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threads {
    /// Cores among which work should be divisible.
    pub cores: i64,
    /// Elements that a core reads and combines in the time that a further kernel takes.
    pub kernel_work: i64,
    /// Elements of a vector.
    pub lanes: i64,
}

impl Threads {
    /// The numbers of a machine's cores.
    #[must_use]
    pub fn of(machine: &Machine) -> Threads {
        /// Nanoseconds of a further kernel: a launch, and waiting for the slowest thread.
        const KERNEL: u64 = 550;
        // In the time of two multiply-adds a core takes about one element from the caches.
        let kernel_work = (machine.work_in(KERNEL) / 2).max(1);
        Threads { cores: i64::from(machine.cores), kernel_work, lanes: i64::from(machine.lanes(4)) }
    }
}

/// Multiply-adds of whole vectors at the peak of a core.
fn vectors_per_second(machine: &Machine) -> f64 {
    (machine.flops_per_second as f64 / f64::from(2 * machine.lanes(4))).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_of_the_machine() {
        let of = |name: &str| KernelRates::of(&Machine::named(name).unwrap());
        let zen = of("znver4");
        // A Zen 4 core: peak and memory as measured (`cpu/table.rs`), and the rates of caches and kernels with which
        // prices were fitted, so that they do not drift.
        for (rate, expected) in [
            (zen.flops, 117e9),
            (zen.memory_bytes, 29e9),
            (zen.cached_bytes[0], 47e9),
            (zen.cached_bytes[1], 36e9),
            (zen.kernel, 0.28e-6),
        ] {
            assert!((rate / expected - 1.0).abs() < 0.05, "{rate} {expected}");
        }
        assert!(of("cortex-a53").flops < 0.2 * zen.flops && of("cortex-a53").caches[1] < zen.caches[1]);
    }

    #[test]
    fn gpus_are_known_by_their_architecture() {
        assert_eq!(KernelRates::of_gpu("sm_90a"), KernelRates::of_gpu("sm_90"));
        assert!(KernelRates::of_gpu("sm_90").memory_bytes > KernelRates::of_gpu("sm_86").memory_bytes);
        assert!(KernelRates::knows_gpu("sm_90a") && !KernelRates::knows_gpu("sm_1"));
    }
}
