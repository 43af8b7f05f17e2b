//! The CPUs that can be named, and the features that code for them may use.
//!
//! A feature is listed if code generation may use it without being asked, by LLVM's own choice of instructions:
//! vectors and their masks, conversions, shuffles, bits. Features used by intrinsics only (ciphers, tiles of
//! matrices, transactions) are left out. Features for which the runtime cannot look (`sse4a`, `prfchw`) are left out
//! too: LLVM is given exactly the listed features, so code cannot contain the others.

use super::Architecture;

/// A CPU or level of x86-64.
pub(super) struct X86_64 {
    /// LLVM's name.
    pub(super) name: &'static str,
    level: u32,
    /// Features beyond its level's.
    added: &'static [&'static str],
}

impl X86_64 {
    pub(super) fn features(&self) -> impl Iterator<Item = &'static str> {
        let by_level = LEVELS.iter().filter(|(_, first)| *first <= self.level).map(|(name, _)| *name);
        by_level.chain(self.added.iter().copied())
    }
}

const fn x86(name: &'static str, level: u32, added: &'static [&'static str]) -> X86_64 {
    X86_64 { name, level, added }
}

/// CPUs of x86-64, levels first.
pub(super) const X86_64: &[X86_64] = &[
    x86("x86-64", 1, &[]),
    x86("x86-64-v2", 2, &[]),
    x86("x86-64-v3", 3, &[]),
    x86("x86-64-v4", 4, &[]),
    x86("haswell", 3, &[]),
    x86("broadwell", 3, &[]),
    x86("skylake", 3, &[]),
    x86("alderlake", 3, ALDER_LAKE),
    x86("raptorlake", 3, ALDER_LAKE),
    x86("znver1", 3, &[]),
    x86("znver2", 3, &[]),
    x86("znver3", 3, &[]),
    x86("znver4", 4, ZEN_4),
    x86("znver5", 4, ZEN_5),
    x86("skylake-avx512", 4, &[]),
    x86("cascadelake", 4, &["avx512vnni"]),
    x86("icelake-server", 4, ICE_LAKE),
    x86("sapphirerapids", 4, SAPPHIRE_RAPIDS),
    x86("graniterapids", 4, SAPPHIRE_RAPIDS),
];

/// Features that the levels of x86-64 bring, with the first level that has them.
const LEVELS: &[(&str, u32)] = &[
    ("popcnt", 2),
    ("sse3", 2),
    ("sse4.1", 2),
    ("sse4.2", 2),
    ("ssse3", 2),
    ("avx", 3),
    ("avx2", 3),
    ("bmi", 3),
    ("bmi2", 3),
    ("f16c", 3),
    ("fma", 3),
    ("lzcnt", 3),
    ("movbe", 3),
    ("avx512bw", 4),
    ("avx512cd", 4),
    ("avx512dq", 4),
    ("avx512f", 4),
    ("avx512vl", 4),
];

const ALDER_LAKE: &[&str] = &["avxvnni", "gfni"];
const ICE_LAKE: &[&str] =
    &["avx512bitalg", "avx512ifma", "avx512vbmi", "avx512vbmi2", "avx512vnni", "avx512vpopcntdq", "gfni"];
const ZEN_4: &[&str] = &[
    "avx512bf16",
    "avx512bitalg",
    "avx512ifma",
    "avx512vbmi",
    "avx512vbmi2",
    "avx512vnni",
    "avx512vpopcntdq",
    "gfni",
];
const ZEN_5: &[&str] = &[
    "avx512bf16",
    "avx512bitalg",
    "avx512ifma",
    "avx512vbmi",
    "avx512vbmi2",
    "avx512vnni",
    "avx512vpopcntdq",
    "avxvnni",
    "gfni",
];
const SAPPHIRE_RAPIDS: &[&str] = &[
    "avx512bf16",
    "avx512bitalg",
    "avx512fp16",
    "avx512ifma",
    "avx512vbmi",
    "avx512vbmi2",
    "avx512vnni",
    "avx512vpopcntdq",
    "avxvnni",
    "gfni",
];

/// A CPU or level of AArch64.
pub(super) struct Aarch64 {
    /// LLVM's name, or the level's.
    pub(super) name: &'static str,
    pub(super) features: &'static [&'static str],
}

const V8: &[&str] = &["neon"];
const V8_2: &[&str] = &["neon", "dotprod", "fullfp16"];
const V8_6: &[&str] = &["neon", "bf16", "dotprod", "fullfp16", "i8mm"];

const fn arm(name: &'static str, features: &'static [&'static str]) -> Aarch64 {
    Aarch64 { name, features }
}

/// CPUs of AArch64, levels first. Vectors of a length unknown at compile time (SVE) are not used.
pub(super) const AARCH64: &[Aarch64] = &[
    arm("armv8-a", V8),
    arm("armv8.2-a", V8_2),
    arm("cortex-a53", V8),
    arm("cortex-a72", V8),
    arm("cortex-a76", V8_2),
    arm("cortex-a78", V8_2),
    arm("cortex-x1", V8_2),
    arm("neoverse-n1", V8_2),
    arm("neoverse-n2", V8_6),
    arm("neoverse-v1", V8_6),
    arm("neoverse-v2", V8_6),
    arm("apple-m1", V8_2),
    arm("apple-m2", V8_6),
    arm("apple-m3", V8_6),
    arm("apple-m4", V8_6),
    arm("ampere1", V8_6),
];

/// Whether code for some CPU of an architecture may use this feature.
pub(super) fn usable(architecture: Architecture, feature: &str) -> bool {
    match architecture {
        Architecture::X86_64 => X86_64.iter().any(|cpu| cpu.features().any(|f| f == feature)),
        Architecture::Aarch64 => AARCH64.iter().any(|cpu| cpu.features.contains(&feature)),
    }
}
