//! The machine that code is made for.

mod known;

use inkwell::{
    OptimizationLevel,
    llvm_sys::support::LLVMParseCommandLineOptions,
    targets::{self, CodeModel, InitializationConfig, RelocMode, TargetMachine, TargetTriple},
};
use known::{AARCH64, X86_64, X86_64_FEATURES};
use mlcc_ir::diagnostic::{Diagnostic, Result};
use std::{
    ffi::{CStr, c_int},
    sync::Once,
};

/// A CPU and the features of it that code may use.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// Architecture, vendor, system: `x86_64-unknown-linux-gnu`.
    pub triple: String,
    /// CPU as LLVM names it, or level of the architecture: `znver4`, `x86-64-v3`, `armv8.2-a`.
    pub cpu: String,
    /// Features beyond the CPU's, or taken from it: `+avx512f,-avx512fp16`.
    pub features: String,
}

/// An architecture that has a backend here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// x86 of 64 bits.
    X86_64,
    /// ARM of 64 bits.
    Aarch64,
}

/// Options of LLVM's code generator, for the whole process. Kernels come in an order that keeps what is live
/// within the registers; the scheduler before register allocation moves a micro-kernel's loads up and makes
/// it spill half of its accumulators.
const OPTIONS: [&CStr; 2] = [c"mlcc", c"-enable-misched=0"];

fn initialize() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        targets::Target::initialize_x86(&InitializationConfig::default());
        targets::Target::initialize_aarch64(&InitializationConfig::default());

        let arguments = OPTIONS.map(CStr::as_ptr);
        // SAFETY: `arguments` are pointers to as many strings that end with 0 and live as long as the program,
        // and this runs once, before any code generator of this process exists.
        unsafe {
            LLVMParseCommandLineOptions(arguments.len() as c_int, arguments.as_ptr(), std::ptr::null());
        }
    });
}

impl Target {
    /// The CPU on which the compiler runs.
    #[must_use]
    pub fn host() -> Target {
        initialize();
        let mut target = Target {
            triple: TargetMachine::get_default_triple().as_str().to_string_lossy().into_owned(),
            cpu: TargetMachine::get_host_cpu_name().to_string(),
            features: TargetMachine::get_host_cpu_features().to_string(),
        };
        if target.architecture() == Some(Architecture::Aarch64) {
            target.features += known::WITHOUT_SCALABLE_VECTORS;
        }
        target
    }

    /// A CPU by name: `host`, or a CPU or level of x86-64 or AArch64 that LLVM knows.
    ///
    /// # Errors
    /// If LLVM does not know it, or it lacks what kernels need.
    pub fn named(name: &str) -> Result<Target> {
        let target = if name == "host" || name == "native" {
            Target::host()
        } else if let Some(cpu) = AARCH64.iter().find(|cpu| cpu.name == name) {
            let triple = "aarch64-unknown-linux-gnu".to_owned();
            Target { triple, cpu: name.to_owned(), features: cpu.llvm_features() }
        } else if X86_64.iter().any(|(known, _)| *known == name) {
            let triple = "x86_64-unknown-linux-gnu".to_owned();
            Target { triple, cpu: name.to_owned(), features: String::new() }
        } else {
            let names: Vec<_> = Target::names().collect();
            return Err(Diagnostic::user(format!("the CPU '{name}' is not known"))
                .hint(format!("use host or one of {}", names.join(", "))));
        };
        match target.architecture() {
            Some(Architecture::X86_64) if !["avx2", "fma", "f16c"].iter().all(|f| target.has(f)) => {
                let message = format!("the CPU '{name}' lacks AVX2, FMA or F16C, which kernels need");
                Err(Diagnostic::unsupported(message).hint("compile for x86-64-v3 or newer"))
            }
            // NEON with its conversions of 16-bit floats is part of every AArch64.
            Some(_) => Ok(target),
            None => {
                let message = format!("there is no code generator for this machine, {}", target.triple);
                Err(Diagnostic::unsupported(message).hint("name another CPU with --target-cpu"))
            }
        }
    }

    /// All names that [`Target::named`] knows besides `host`, those that it refuses for what they lack
    /// included.
    pub fn names() -> impl Iterator<Item = &'static str> {
        X86_64.iter().map(|(name, _)| *name).chain(AARCH64.iter().map(|cpu| cpu.name))
    }

    /// The architecture, `None` if there is no backend for it.
    #[must_use]
    pub fn architecture(&self) -> Option<Architecture> {
        match self.triple.split('-').next() {
            Some("x86_64") => Some(Architecture::X86_64),
            Some("aarch64" | "arm64") => Some(Architecture::Aarch64),
            _ => None,
        }
    }

    /// Whether the CPU has a feature, among those of the levels.
    #[must_use]
    pub fn has(&self, feature: &str) -> bool {
        let said = |sign| self.features.split(',').any(|f| f.strip_prefix(sign) == Some(feature));
        let by_name = || match self.architecture() {
            Some(Architecture::X86_64) => {
                let level = X86_64.iter().find(|(name, _)| *name == self.cpu).map_or(1, |(_, level)| *level);
                X86_64_FEATURES.iter().any(|(name, first)| *name == feature && level >= *first)
            }
            Some(Architecture::Aarch64) => {
                let found = AARCH64.iter().find(|cpu| cpu.name == self.cpu);
                // Vectors are part of the architecture; everything else must be known.
                feature == "neon" || found.is_some_and(|cpu| cpu.features.contains(&feature))
            }
            None => false,
        };
        said('+') || !said('-') && by_name()
    }

    /// The features that code for the CPU may use, sorted.
    #[must_use]
    pub fn required_features(&self) -> Vec<&str> {
        let named = self.features.split(',').filter_map(|f| f.strip_prefix('+'));
        let by_level = X86_64_FEATURES.iter().map(|(name, _)| *name);
        let by_name = AARCH64.iter().filter(|cpu| cpu.name == self.cpu).flat_map(|cpu| cpu.features);
        let implied = by_level.chain(by_name.copied()).filter(|f| self.has(f));
        let mut features: Vec<_> = named.chain(implied).collect();
        features.sort_unstable();
        features.dedup();
        features
    }

    /// Bits of a vector register.
    #[must_use]
    pub fn vector_bits(&self) -> u32 {
        match self.architecture() {
            Some(Architecture::X86_64) if self.has("avx512f") => 512,
            Some(Architecture::X86_64) => 256,
            _ => 128,
        }
    }

    /// Whether there are instructions that access only some lanes of a vector, as AVX2's and AVX-512's.
    #[must_use]
    pub fn has_masks(&self) -> bool {
        self.architecture() == Some(Architecture::X86_64)
    }

    /// The CPU by which LLVM selects instructions and schedules them.
    pub(crate) fn llvm_cpu(&self) -> &str {
        if self.cpu.starts_with("armv") { "generic" } else { &self.cpu }
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
                self.llvm_cpu(),
                &self.features,
                OptimizationLevel::Default,
                RelocMode::PIC,
                // Distances between code and constants fit 32 bits; nothing refers to anything else.
                CodeModel::Small,
            )
            .ok_or_else(|| fault("refused".into()))
    }
}
