//! The machine that code is made for.

use inkwell::{
    OptimizationLevel,
    targets::{self, CodeModel, InitializationConfig, RelocMode, TargetMachine, TargetTriple},
};
use mlcc_ir::diagnostic::{Diagnostic, Result};
use std::sync::Once;

/// A CPU, as LLVM names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// Architecture, vendor, system: `x86_64-unknown-linux-gnu`.
    pub triple: String,
    /// CPU or microarchitecture level: `znver4`, `x86-64-v3`.
    pub cpu: String,
    /// Features beyond the CPU's, or taken from it: `+avx512f,-avx512fp16`.
    pub features: String,
}

fn initialize() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| targets::Target::initialize_x86(&InitializationConfig::default()));
}

impl Target {
    /// The CPU on which the compiler runs.
    #[must_use]
    pub fn host() -> Target {
        initialize();
        Target {
            triple: TargetMachine::get_default_triple().as_str().to_string_lossy().into_owned(),
            cpu: TargetMachine::get_host_cpu_name().to_string(),
            features: TargetMachine::get_host_cpu_features().to_string(),
        }
    }

    /// A CPU by name: `host`, or an x86-64 CPU or level that LLVM knows.
    ///
    /// # Errors
    /// If LLVM does not know it, or it lacks what kernels need.
    pub fn named(name: &str) -> Result<Target> {
        let target = if name == "host" || name == "native" {
            Target::host()
        } else {
            let triple = "x86_64-unknown-linux-gnu".to_owned();
            Target { triple, cpu: name.to_owned(), features: String::new() }
        };
        if !KNOWN.iter().any(|(known, _)| *known == target.cpu) && target.features.is_empty() {
            let names: Vec<_> = KNOWN.iter().map(|(n, _)| *n).collect();
            return Err(Diagnostic::user(format!("the CPU '{name}' is not known"))
                .hint(format!("use host or one of {}", names.join(", "))));
        }
        if !target.has("avx2") || !target.has("fma") || !target.has("f16c") {
            return Err(Diagnostic::unsupported(format!(
                "the CPU '{name}' lacks AVX2, FMA or F16C, which kernels need"
            ))
            .hint("compile for x86-64-v3 or newer"));
        }
        Ok(target)
    }

    /// Whether the CPU has a feature, among those of the levels.
    #[must_use]
    pub fn has(&self, feature: &str) -> bool {
        if self.features.split(',').any(|f| f.strip_prefix('+') == Some(feature)) {
            return true;
        }
        let level = KNOWN.iter().find(|(name, _)| *name == self.cpu).map_or(1, |(_, level)| *level);
        let needs = match feature {
            "avx2" | "fma" | "f16c" | "avx" => 3,
            f if f.starts_with("avx512") => 4,
            _ => 2,
        };
        level >= needs && !self.features.split(',').any(|f| f.strip_prefix('-') == Some(feature))
    }

    /// Bits of a vector register.
    #[must_use]
    pub fn vector_bits(&self) -> u32 {
        if self.has("avx512f") { 512 } else { 256 }
    }

    /// LLVM's code generator for the target.
    pub(crate) fn machine(&self) -> Result<TargetMachine> {
        initialize();
        let triple = TargetTriple::create(&self.triple);
        let fault = |e: String| Diagnostic::internal(format!("no code generator for {}: {e}", self.triple));
        targets::Target::from_triple(&triple)
            .map_err(|e| fault(e.to_string()))?
            .create_target_machine(
                &triple,
                &self.cpu,
                &self.features,
                OptimizationLevel::Default,
                RelocMode::PIC,
                CodeModel::Small,
            )
            .ok_or_else(|| fault("refused".into()))
    }
}

/// CPUs that can be named, with their level of x86-64.
const KNOWN: [(&str, u32); 19] = [
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
