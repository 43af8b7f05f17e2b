//! CPUs.

mod table;

use std::fmt;
use table::{Row, TABLE};

/// A CPU, as decisions see it. It comes from a table by the CPU's name, or from a given profile, so that a
/// decision is the same on every host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Machine {
    /// LLVM's name of the CPU, or the level's: `znver4`, `x86-64-v3`, `armv8.2-a`.
    pub name: String,
    /// Width of vectors in bits.
    pub vector_bits: u32,
    /// Number of vector registers.
    pub vector_registers: u32,
    /// First-level data cache of a core in bytes.
    pub l1_bytes: u64,
    /// Lines of the first cache that share an index.
    pub l1_ways: u64,
    /// Second-level cache of a core in bytes.
    pub l2_bytes: u64,
    /// The last cache that a core reaches before memory, in bytes.
    pub last_cache_bytes: u64,
    /// Multiply-add peak of a core in single precision; a multiply-add counts twice.
    pub flops_per_second: u64,
    /// Bytes a second that a core alone reads from memory.
    pub memory_bytes_per_second: u64,
    /// Cores among which work should be divisible.
    pub cores: u32,
}

/// Cores among which work is made divisible if no profile gives their number: a decision must not depend on
/// the number of threads.
const CORES: u32 = 8;
/// Least bytes of a cache line in all CPUs of the table.
const LINE: i64 = 64;

impl Machine {
    /// The machine of that LLVM name; `None` if the table lacks it.
    #[must_use]
    pub fn named(name: &str) -> Option<Machine> {
        TABLE.iter().find(|row| row.name == name).map(Machine::of)
    }

    fn of(row: &Row) -> Machine {
        let (vector_bits, vector_registers) = row.vectors;
        let hertz = row.megahertz * 1_000_000;
        Machine {
            name: row.name.into(),
            vector_bits,
            vector_registers,
            l1_bytes: row.l1.0 << 10,
            l1_ways: row.l1.1,
            l2_bytes: row.l2 << 10,
            last_cache_bytes: row.last << 20,
            flops_per_second: 2 * row.multiply_adds * u64::from(vector_bits / 32) * hertz,
            memory_bytes_per_second: row.memory * hertz,
            cores: CORES,
        }
    }

    /// The machine for a CPU by name. If the table lacks the name, the machine by LLVM feature names
    /// (`+avx512f`, `avx2`).
    #[must_use]
    pub fn for_cpu(name: &str, features: &[&str]) -> Machine {
        if let Some(machine) = Machine::named(name) {
            return machine;
        }
        let has = |f: &str| features.iter().any(|x| x.trim_start_matches('+') == f);
        let like = match () {
            // Virtual machines hide a server's model number but not its instructions, so LLVM gives it an
            // older name.
            () if has("avx512fp16") && has("avx512vl") => "sapphirerapids",
            () if has("avx512f") && has("avx512vl") => "x86-64-v4",
            () if has("avx2") && has("fma") => "x86-64-v3",
            () if has("sse4.2") => "x86-64-v2",
            () if has("neon") => "armv8-a",
            () => "x86-64",
        };
        let known = TABLE.iter().find(|row| row.name == like).unwrap_or(&TABLE[TABLE.len() - 1]);
        Machine { name: name.into(), ..Machine::of(known) }
    }

    /// The machine on which most decisions were measured, for estimates without a target.
    #[must_use]
    pub fn usual() -> Machine {
        Machine::for_cpu("znver4", &[])
    }

    /// Vector registers that a multiply-add's broadcast operand takes. On x86 it takes one, since it is read
    /// from memory or loaded just before its use. AArch64 loads it apart and some steps ahead, into lanes
    /// from which the multiply-add takes it.
    #[must_use]
    pub fn broadcast_registers(&self) -> i64 {
        // Only AArch64 has that many registers of that size.
        if self.vector_bits == 128 && self.vector_registers == 32 { 4 } else { 1 }
    }

    /// Elements of that many bytes in a vector register.
    #[must_use]
    pub fn lanes(&self, element_bytes: usize) -> u32 {
        (self.vector_bits / 8 / element_bytes.max(1) as u32).clamp(1, 64)
    }

    /// Most rows, a fixed number of bytes apart, that stay in the first cache together with the data that
    /// streams through it. Rows as far apart as the cache has sets share one of them.
    #[must_use]
    pub fn rows_at_stride(&self, bytes: i64) -> i64 {
        let ways = (self.l1_ways as i64).max(1);
        let sets = (self.l1_bytes as i64 / (LINE * ways)).max(1);
        if bytes <= 0 || bytes % LINE != 0 {
            return i64::MAX;
        }
        let apart = (bytes / LINE).trailing_zeros().min(sets.ilog2());
        let distinct = sets >> apart;
        // The other ways are for the data that streams through.
        (ways - (ways / 4).clamp(1, 2)).max(1) * distinct
    }

    /// Independent multiply-adds of vectors that keep a core busy: their latency of four cycles times the
    /// number started in a cycle. At least eight, the need of two units, since a chain too many costs
    /// nothing.
    #[must_use]
    pub fn chains(&self) -> i64 {
        const LATENCY: u64 = 4;
        // The clock alone is not known, only its product with the units: cores do three to four billion
        // cycles.
        const HERTZ: u64 = 3_500_000_000;
        let vector = 2 * u64::from(self.lanes(4));
        let units = (self.flops_per_second + vector * HERTZ / 2) / (vector * HERTZ);
        (units * LATENCY).clamp(8, 16) as i64
    }

    /// The work of a core in a time at the rate of its multiply-add peak, in multiply-adds of elements. It is
    /// a power of two, so that a new measurement with a slightly different rate changes no decision.
    #[must_use]
    pub fn work_in(&self, nanoseconds: u64) -> i64 {
        let work = u128::from(self.flops_per_second / 2) * u128::from(nanoseconds) / 1_000_000_000;
        // The nearest power: times the root of two, rounded down.
        let exponent = (work.max(1) * 1414 / 1000).max(1).ilog2();
        1 << exponent.min(40)
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}-bit vectors in {} registers, caches of {} KiB ({} ways), {} KiB and {} KiB, \
             {:.1} GFLOP/s and {:.1} GB/s a core, {} cores",
            self.name,
            self.vector_bits,
            self.vector_registers,
            self.l1_bytes >> 10,
            self.l1_ways,
            self.l2_bytes >> 10,
            self.last_cache_bytes >> 10,
            self.flops_per_second as f64 / 1e9,
            self.memory_bytes_per_second as f64 / 1e9,
            self.cores
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_cpus_are_taken_by_their_features() {
        let m = Machine::for_cpu("znver9", &["+avx512f", "+avx512vl", "+avx2"]);
        assert_eq!((m.lanes(4), m.lanes(8), m.rows_at_stride(4096)), (16, 8, 6));
        assert_eq!(m.name, "znver9");
        let m = Machine::for_cpu("rocketlake", &["+avx512f", "+avx512vl", "+avx512fp16"]);
        let server = Machine::named("sapphirerapids").unwrap();
        assert_eq!(m, Machine { name: "rocketlake".into(), ..server });
        let m = Machine::for_cpu("x86-64-v3", &[]);
        assert_eq!((m.lanes(4), m.lanes(1), m.rows_at_stride(2048)), (8, 32, 12));
        assert_eq!(Machine::for_cpu("riscv", &[]).lanes(4), 4);
        let m = Machine::for_cpu("neoverse-v9", &["+neon"]);
        assert_eq!((m.lanes(4), m.vector_registers), (4, 32));
    }

    #[test]
    fn rates_become_powers_of_two_of_work() {
        let mut m = Machine::named("znver4").unwrap();
        assert_eq!((m.work_in(36_000), m.work_in(9_000)), (1 << 21, 1 << 19));
        // The rate measured on one, and a much lower one.
        m.flops_per_second = 110_000_000_000;
        assert_eq!(m.work_in(36_000), 1 << 21);
        m.flops_per_second = 48_000_000_000;
        assert_eq!(m.work_in(36_000), 1 << 20);
        m.flops_per_second = 0;
        assert_eq!(m.work_in(36_000), 1);
    }

    #[test]
    fn chains_cover_the_latency_of_all_units() {
        let chains = |name: &str| Machine::named(name).unwrap().chains();
        assert_eq!((chains("znver4"), chains("x86-64-v3"), chains("neoverse-n1")), (8, 8, 8));
        assert_eq!((chains("neoverse-v2"), chains("apple-m1")), (12, 16));
    }

    #[test]
    fn rows_share_the_sets_of_the_first_cache() {
        let m = Machine::named("neoverse-n1").unwrap();
        // 256 sets of 4 ways: lines 4096 bytes apart fall into 4 sets, 16384 bytes apart into one.
        assert_eq!((m.rows_at_stride(4096), m.rows_at_stride(16384)), (12, 3));
        assert_eq!(m.rows_at_stride(100), i64::MAX);
    }
}
