//! What decisions know about a CPU.

/// A CPU, as decisions see it. Taken from a table by the CPU's name, so that a decision is the same
/// wherever it is taken.
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
    /// Second-level cache of a core in bytes.
    pub l2_bytes: u64,
    /// Cores among which work should be divisible.
    pub cores: u32,
}

/// Name, vector bits, vector registers, first and second cache in KiB.
type Row = (&'static str, u32, u32, u64, u64);

/// CPUs by LLVM's names. The last row of each family is the one for unknown members.
const TABLE: &[Row] = &[
    ("znver5", 512, 32, 48, 1024),
    ("znver4", 512, 32, 32, 1024),
    ("znver3", 256, 16, 32, 512),
    ("znver2", 256, 16, 32, 512),
    ("znver1", 256, 16, 32, 512),
    ("graniterapids", 512, 32, 48, 2048),
    ("emeraldrapids", 512, 32, 48, 2048),
    ("sapphirerapids", 512, 32, 48, 2048),
    ("icelake-server", 512, 32, 48, 1280),
    ("icelake-client", 512, 32, 48, 512),
    ("cascadelake", 512, 32, 32, 1024),
    ("cooperlake", 512, 32, 32, 1024),
    ("skylake-avx512", 512, 32, 32, 1024),
    ("arrowlake", 256, 16, 48, 2048),
    ("meteorlake", 256, 16, 48, 2048),
    ("raptorlake", 256, 16, 48, 2048),
    ("alderlake", 256, 16, 48, 1280),
    ("skylake", 256, 16, 32, 256),
    ("broadwell", 256, 16, 32, 256),
    ("haswell", 256, 16, 32, 256),
    ("x86-64-v4", 512, 32, 32, 1024),
    ("x86-64-v3", 256, 16, 32, 256),
    ("x86-64-v2", 128, 16, 32, 256),
    ("x86-64", 128, 16, 32, 256),
    ("neoverse-v2", 128, 32, 64, 2048),
    ("neoverse-v1", 128, 32, 64, 1024),
    ("neoverse-n2", 128, 32, 64, 1024),
    ("neoverse-n1", 128, 32, 64, 1024),
    ("ampere1", 128, 32, 64, 2048),
    ("apple-m4", 128, 32, 128, 4096),
    ("apple-m3", 128, 32, 128, 4096),
    ("apple-m2", 128, 32, 128, 4096),
    ("apple-m1", 128, 32, 128, 3072),
    ("cortex-x1", 128, 32, 64, 1024),
    ("cortex-a78", 128, 32, 64, 512),
    ("cortex-a76", 128, 32, 64, 512),
    ("cortex-a72", 128, 32, 32, 512),
    ("cortex-a53", 128, 32, 32, 256),
    ("armv8.2-a", 128, 32, 64, 512),
    ("armv8-a", 128, 32, 32, 256),
];

/// Cores among which work is made divisible, whatever the machine has: a decision must not depend on
/// the number of threads.
const CORES: u32 = 8;

impl Machine {
    /// The machine of that LLVM name, `None` if the table lacks it.
    #[must_use]
    pub fn named(name: &str) -> Option<Machine> {
        let &(name, vector_bits, vector_registers, l1, l2) = TABLE.iter().find(|row| row.0 == name)?;
        Some(Machine {
            name: name.into(),
            vector_bits,
            vector_registers,
            l1_bytes: l1 << 10,
            l2_bytes: l2 << 10,
            cores: CORES,
        })
    }

    /// The machine for a CPU by name and, where the table lacks the name, by LLVM feature names
    /// (`+avx512f`, `avx2`).
    #[must_use]
    pub fn for_cpu(name: &str, features: &[&str]) -> Machine {
        if let Some(machine) = Machine::named(name) {
            return machine;
        }
        let has = |f: &str| features.iter().any(|x| x.trim_start_matches('+') == f);
        let like = match () {
            () if has("avx512f") && has("avx512vl") => "x86-64-v4",
            () if has("avx2") && has("fma") => "x86-64-v3",
            () if has("sse4.2") => "x86-64-v2",
            () if has("neon") => "armv8-a",
            () => "x86-64",
        };
        let known = Machine::named(like).unwrap_or_else(|| Machine {
            name: name.into(),
            vector_bits: 128,
            vector_registers: 16,
            l1_bytes: 32 << 10,
            l2_bytes: 256 << 10,
            cores: CORES,
        });
        Machine { name: name.into(), ..known }
    }

    /// The machine that this runs on, by the features it has.
    #[must_use]
    pub fn host() -> Machine {
        let mut features: Vec<&str> = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let found = [
                (std::arch::is_x86_feature_detected!("avx512f"), "avx512f"),
                (std::arch::is_x86_feature_detected!("avx512vl"), "avx512vl"),
                (std::arch::is_x86_feature_detected!("avx2"), "avx2"),
                (std::arch::is_x86_feature_detected!("fma"), "fma"),
                (std::arch::is_x86_feature_detected!("sse4.2"), "sse4.2"),
            ];
            features.extend(found.iter().filter(|f| f.0).map(|f| f.1));
        }
        if cfg!(target_arch = "aarch64") {
            features.push("neon");
        }
        Machine::for_cpu("host", &features)
    }

    /// Vector registers that a multiply-add's broadcast operand takes. On x86 one, since it is read from
    /// memory or loaded just before its use. AArch64 loads it apart and some steps ahead, into lanes from which the
    /// multiply-add takes it.
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

    /// Most rows, a fixed number of bytes apart, that stay in the first cache together with what streams
    /// through it: rows a multiple of 4096 bytes apart share one set of lines.
    #[must_use]
    pub fn rows_at_stride(&self, bytes: i64) -> i64 {
        const LINE: i64 = 64;
        const SETS: i64 = 64;
        let ways = (self.l1_bytes as i64 / (LINE * SETS)).max(4);
        if bytes <= 0 || bytes % LINE != 0 {
            return i64::MAX;
        }
        let distinct = SETS >> (bytes / LINE).trailing_zeros().min(SETS.trailing_zeros());
        (ways - 2) * distinct
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
        let m = Machine::for_cpu("x86-64-v3", &[]);
        assert_eq!((m.lanes(4), m.lanes(1), m.rows_at_stride(2048)), (8, 32, 12));
        assert_eq!(Machine::for_cpu("riscv", &[]).lanes(4), 4);
        let m = Machine::for_cpu("neoverse-v9", &["+neon"]);
        assert_eq!((m.lanes(4), m.vector_registers), (4, 32));
    }
}
