//! CPUs by LLVM's names.
//!
//! Vector widths, registers, caches and multiply-adds a cycle come from the vendors' optimisation manuals.
//! The clock is a usual one under vector load, and the bytes that a core reads from memory in a cycle are a
//! usual amount. Both are measured for `znver4` only (117 GFLOP/s, 29 GB/s). They enter decisions only as
//! powers of two of work and as a ratio, so a quarter more or less changes few decisions. `mlcc machine
//! measure` gives a machine's own numbers.

/// A CPU's row.
pub(super) struct Row {
    pub(super) name: &'static str,
    /// Width of a vector in bits, and the number of vector registers.
    pub(super) vectors: (u32, u32),
    /// Multiply-adds of whole vectors that a core starts in a cycle.
    pub(super) multiply_adds: u64,
    /// Usual clock in MHz.
    pub(super) megahertz: u64,
    /// First cache in KiB, and its ways.
    pub(super) l1: (u64, u64),
    /// Second cache in KiB.
    pub(super) l2: u64,
    /// The last cache that a core reaches, in MiB.
    pub(super) last: u64,
    /// Bytes from memory in a cycle of one core.
    pub(super) memory: u64,
}

#[rustfmt::skip]
#[expect(clippy::too_many_arguments, reason = "the columns of the table")]
const fn row(
    name: &'static str, bits: u32, registers: u32, multiply_adds: u64, megahertz: u64,
    l1: u64, ways: u64, l2: u64, last: u64, memory: u64,
) -> Row {
    Row { name, vectors: (bits, registers), multiply_adds, megahertz, l1: (l1, ways), l2, last, memory }
}

/// The CPUs. The last row of each family stands for unknown members. Levels of an architecture stand for
/// servers of the time.
#[rustfmt::skip]
pub(super) const TABLE: &[Row] = &[
    //                      bits regs fma   MHz  L1 ways   L2 last memory
    row("znver5",            512, 32, 2, 3700,  48, 12, 1024, 32, 8),
    row("znver4",            512, 32, 1, 3700,  32,  8, 1024, 32, 8),
    row("znver3",            256, 16, 2, 3500,  32,  8,  512, 32, 8),
    row("znver2",            256, 16, 2, 3300,  32,  8,  512, 16, 8),
    row("znver1",            256, 16, 1, 3200,  32,  8,  512,  8, 8),
    row("graniterapids",     512, 32, 2, 3000,  48, 12, 2048, 64, 4),
    row("emeraldrapids",     512, 32, 2, 3000,  48, 12, 2048, 64, 4),
    row("sapphirerapids",    512, 32, 2, 3000,  48, 12, 2048, 64, 4),
    row("icelake-server",    512, 32, 2, 2900,  48, 12, 1280, 32, 4),
    row("icelake-client",    512, 32, 1, 3500,  48, 12,  512,  8, 8),
    row("cascadelake",       512, 32, 2, 2800,  32,  8, 1024, 32, 4),
    row("cooperlake",        512, 32, 2, 2800,  32,  8, 1024, 32, 4),
    row("skylake-avx512",    512, 32, 2, 2800,  32,  8, 1024, 32, 4),
    row("arrowlake",         256, 16, 2, 4500,  48, 12, 2048, 32, 8),
    row("meteorlake",        256, 16, 2, 4500,  48, 12, 2048, 24, 8),
    row("raptorlake",        256, 16, 2, 4500,  48, 12, 2048, 32, 8),
    row("alderlake",         256, 16, 2, 4500,  48, 12, 1280, 30, 8),
    row("skylake",           256, 16, 2, 4000,  32,  8,  256,  8, 8),
    row("broadwell",         256, 16, 2, 3500,  32,  8,  256,  8, 8),
    row("haswell",           256, 16, 2, 3500,  32,  8,  256,  8, 8),
    row("x86-64-v4",         512, 32, 1, 3700,  32,  8, 1024, 32, 8),
    row("x86-64-v3",         256, 16, 2, 3500,  32,  8,  256, 32, 8),
    row("x86-64-v2",         128, 16, 2, 3500,  32,  8,  256, 32, 8),
    row("x86-64",            128, 16, 2, 3500,  32,  8,  256, 32, 8),
    row("neoverse-v2",       128, 32, 4, 3000,  64,  4, 2048, 32, 8),
    row("neoverse-v1",       128, 32, 4, 2600,  64,  4, 1024, 32, 8),
    row("neoverse-n2",       128, 32, 2, 3000,  64,  4, 1024, 32, 8),
    row("neoverse-n1",       128, 32, 2, 3000,  64,  4, 1024, 32, 8),
    row("ampere1",           128, 32, 2, 3000,  64,  4, 2048, 32, 8),
    row("apple-m4",          128, 32, 4, 4200, 128,  8, 4096, 16, 16),
    row("apple-m3",          128, 32, 4, 4000, 128,  8, 4096, 16, 16),
    row("apple-m2",          128, 32, 4, 3500, 128,  8, 4096, 16, 16),
    row("apple-m1",          128, 32, 4, 3200, 128,  8, 3072, 16, 16),
    row("cortex-x1",         128, 32, 4, 2800,  64,  4, 1024,  4, 4),
    row("cortex-a78",        128, 32, 2, 2600,  64,  4,  512,  4, 4),
    row("cortex-a76",        128, 32, 2, 2600,  64,  4,  512,  4, 4),
    row("cortex-a72",        128, 32, 1, 1800,  32,  2,  512,  2, 4),
    row("cortex-a53",        128, 32, 1, 1500,  32,  4,  256,  1, 2),
    row("armv8.2-a",         128, 32, 2, 3000,  64,  4,  512, 32, 8),
    row("armv8-a",           128, 32, 1, 2000,  32,  4,  256, 32, 4),
];
