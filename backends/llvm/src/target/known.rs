//! The CPUs that can be named.

/// CPUs of x86-64, with their level.
pub(super) const X86_64: [(&str, u32); 19] = [
    ("x86-64", 1),
    ("x86-64-v2", 2),
    ("x86-64-v3", 3),
    ("x86-64-v4", 4),
    ("haswell", 3),
    ("broadwell", 3),
    ("skylake", 3),
    ("alderlake", 3),
    ("raptorlake", 3),
    ("znver1", 3),
    ("znver2", 3),
    ("znver3", 3),
    ("znver4", 4),
    ("znver5", 4),
    ("skylake-avx512", 4),
    ("cascadelake", 4),
    ("icelake-server", 4),
    ("sapphirerapids", 4),
    ("graniterapids", 4),
];

/// Features that the levels of x86-64 bring, with the first level that has them: those that code may come
/// to use.
pub(super) const X86_64_FEATURES: [(&str, u32); 12] = [
    ("sse4.2", 2),
    ("popcnt", 2),
    ("avx", 3),
    ("avx2", 3),
    ("bmi", 3),
    ("bmi2", 3),
    ("f16c", 3),
    ("fma", 3),
    ("avx512f", 4),
    ("avx512bw", 4),
    ("avx512dq", 4),
    ("avx512vl", 4),
];

/// A CPU or level of AArch64.
pub(super) struct Aarch64 {
    /// LLVM's name, or the level's.
    pub(super) name: &'static str,
    /// What LLVM is told beyond the name.
    added: &'static str,
    /// Features that code may come to use.
    pub(super) features: &'static [&'static str],
}

/// Vectors of a length unknown at compile time are not used, and nothing is to use them behind our back.
pub(super) const WITHOUT_SCALABLE_VECTORS: &str = ",-sve,-sme";

impl Aarch64 {
    pub(super) fn llvm_features(&self) -> String {
        // Vectors first, so that the list is never empty.
        format!("+neon{}{WITHOUT_SCALABLE_VECTORS}", self.added)
    }
}

const V8_2: &[&str] = &["neon", "dotprod", "fullfp16"];
const V8_6: &[&str] = &["neon", "bf16", "dotprod", "fullfp16", "i8mm"];

const fn cpu(name: &'static str, features: &'static [&'static str]) -> Aarch64 {
    Aarch64 { name, added: "", features }
}

/// CPUs of AArch64, levels first.
pub(super) const AARCH64: [Aarch64; 16] = [
    cpu("armv8-a", &["neon"]),
    Aarch64 { name: "armv8.2-a", added: ",+v8.2a,+dotprod,+fullfp16", features: V8_2 },
    cpu("cortex-a53", &["neon"]),
    cpu("cortex-a72", &["neon"]),
    cpu("cortex-a76", V8_2),
    cpu("cortex-a78", V8_2),
    cpu("cortex-x1", V8_2),
    cpu("neoverse-n1", V8_2),
    cpu("neoverse-n2", V8_6),
    cpu("neoverse-v1", V8_6),
    cpu("neoverse-v2", V8_6),
    cpu("apple-m1", V8_2),
    cpu("apple-m2", V8_6),
    cpu("apple-m3", V8_6),
    cpu("apple-m4", V8_6),
    cpu("ampere1", V8_6),
];
