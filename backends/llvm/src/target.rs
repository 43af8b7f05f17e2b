//! The machine for which code is made.

mod known;

use inkwell::{
    OptimizationLevel,
    llvm_sys::support::LLVMParseCommandLineOptions,
    targets::{self, CodeModel, InitializationConfig, RelocMode, TargetMachine, TargetTriple},
};
use known::{AARCH64, X86_64};
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
    /// CPU as LLVM names it, or level of the architecture: `znver4`, `x86-64-v3`, `armv8.2-a`. Instructions are
    /// chosen and ordered for this CPU, but only `features` decides which instructions are available.
    pub cpu: String,
    /// The features that code may use beyond those of every CPU of the architecture, by LLVM's names, sorted:
    /// `avx512f`. The runtime looks for each of them before it executes the code.
    pub features: Vec<String>,
}

/// The variable that sets the CPU for `host`, instead of the one on which the compiler runs. It serves tests, which
/// must pass on every machine, and builds that must be the same everywhere.
pub const HOST_VARIABLE: &str = "MLCC_HOST_CPU";

/// An architecture that has a backend here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// x86 of 64 bits.
    X86_64,
    /// ARM of 64 bits.
    Aarch64,
}

/// Options of LLVM's code generator, for the whole process. Kernels come in an order that keeps the live values
/// within the registers. The scheduler before register allocation would move a micro-kernel's loads up and make it
/// spill half of its accumulators.
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
    /// The CPU on which the compiler runs, or the one that [`HOST_VARIABLE`] names.
    ///
    /// # Errors
    /// If the variable names a CPU that [`Target::named`] refuses.
    pub fn host() -> Result<Target> {
        match std::env::var_os(HOST_VARIABLE).filter(|name| !name.is_empty() && name != "host") {
            None => Ok(Target::detected()),
            Some(name) => Target::listed(&name.to_string_lossy()).map_err(|mut diagnostic| {
                diagnostic.message = format!("{HOST_VARIABLE}: {}", diagnostic.message);
                diagnostic
            }),
        }
    }

    /// The CPU on which the compiler runs.
    fn detected() -> Target {
        initialize();
        let mut target = Target {
            triple: TargetMachine::get_default_triple().as_str().to_string_lossy().into_owned(),
            cpu: TargetMachine::get_host_cpu_name().to_string(),
            features: Vec::new(),
        };
        if let Some(architecture) = target.architecture() {
            let found = TargetMachine::get_host_cpu_features().to_string();
            let found = found.split(',').filter_map(|f| f.strip_prefix('+'));
            target.features = sorted(found.filter(|f| known::usable(architecture, f)));
        }
        target
    }

    /// A CPU by name: `host`, or a CPU or level of x86-64 or AArch64 that LLVM knows.
    ///
    /// # Errors
    /// If LLVM does not know the CPU, or the CPU lacks features that kernels need.
    pub fn named(name: &str) -> Result<Target> {
        let target = if name == "host" || name == "native" { Target::host()? } else { Target::listed(name)? };
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

    fn listed(name: &str) -> Result<Target> {
        let target = |triple: &str, features| Target { triple: triple.into(), cpu: name.into(), features };
        if let Some(cpu) = AARCH64.iter().find(|cpu| cpu.name == name) {
            Ok(target("aarch64-unknown-linux-gnu", sorted(cpu.features.iter().copied())))
        } else if let Some(cpu) = X86_64.iter().find(|cpu| cpu.name == name) {
            Ok(target("x86_64-unknown-linux-gnu", sorted(cpu.features())))
        } else {
            let names: Vec<_> = Target::names().collect();
            Err(Diagnostic::user(format!("the CPU '{name}' is not known"))
                .hint(format!("use host or one of {}", names.join(", "))))
        }
    }

    /// All names that [`Target::named`] knows besides `host`, including those that it refuses because the CPU lacks
    /// features.
    pub fn names() -> impl Iterator<Item = &'static str> {
        X86_64.iter().map(|cpu| cpu.name).chain(AARCH64.iter().map(|cpu| cpu.name))
    }

    /// The architecture; `None` if it has no backend.
    #[must_use]
    pub fn architecture(&self) -> Option<Architecture> {
        match self.triple.split('-').next() {
            Some("x86_64") => Some(Architecture::X86_64),
            Some("aarch64" | "arm64") => Some(Architecture::Aarch64),
            _ => None,
        }
    }

    /// Whether code may use a feature.
    #[must_use]
    pub fn has(&self, feature: &str) -> bool {
        self.features.iter().any(|f| f == feature)
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

    /// The CPU whose instructions LLVM may use besides the features: it has the features of every CPU of the
    /// architecture. With the CPU's own name, LLVM would assume all of that CPU's features, including those that
    /// the runtime does not look for.
    pub(crate) fn baseline(&self) -> &'static str {
        if self.architecture() == Some(Architecture::X86_64) { "x86-64" } else { "generic" }
    }

    /// The CPU for which LLVM chooses among instructions and orders them.
    pub(crate) fn tuned_for(&self) -> &str {
        if self.cpu.starts_with("armv") { "generic" } else { &self.cpu }
    }

    /// The features as LLVM reads them: `+avx2,+fma`.
    pub(crate) fn llvm_features(&self) -> String {
        let features: Vec<String> = self.features.iter().map(|f| format!("+{f}")).collect();
        features.join(",")
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
                self.baseline(),
                &self.llvm_features(),
                OptimizationLevel::Default,
                RelocMode::PIC,
                // Distances between code and constants fit 32 bits. The code refers to nothing else.
                CodeModel::Small,
            )
            .ok_or_else(|| fault("refused".into()))
    }
}

fn sorted<'a>(features: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut features: Vec<String> = features.map(ToOwned::to_owned).collect();
    features.sort_unstable();
    features
}
