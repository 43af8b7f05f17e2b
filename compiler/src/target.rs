//! The target of code generation, with the description that decisions use.

use crate::options::{Device, Options};
use mlcc_ir::diagnostic::Result;
use mlcc_machine::Machine;
use mlcc_passes::config::Config;

/// A device of a kind.
#[derive(Clone, Debug)]
pub enum Target {
    /// A CPU.
    Cpu {
        /// Its instructions.
        code: mlcc_llvm::Target,
        /// The machine by which decisions are taken: the table's row, or the given profile.
        machine: Machine,
    },
    /// An NVIDIA GPU.
    Cuda {
        /// Its architecture: `sm_90`.
        arch: String,
    },
}

impl Target {
    /// The target that options name.
    ///
    /// # Errors
    /// If a CPU is not known, or its profile is of a machine that is too different.
    pub fn new(options: &Options) -> Result<Target> {
        match &options.device {
            Device::Cuda(arch) => Ok(Target::Cuda { arch: arch.clone() }),
            Device::Cpu => {
                let code = mlcc_llvm::Target::named(&options.target_cpu)?;
                let machine = machine_for(&code, options)?;
                Ok(Target::Cpu { code, machine })
            }
        }
    }

    /// The description of the target for passes.
    #[must_use]
    pub fn config(&self, options: &Options) -> Config {
        let device = match self {
            Target::Cpu { machine, .. } => Config::for_cpu(machine),
            Target::Cuda { arch } => Config::for_gpu(arch),
        };
        Config {
            optimise: options.optimisation > 0,
            disabled_passes: options.disabled_passes.clone(),
            rewrites: options.rewrites.clone(),
            ..device
        }
    }
}

/// The description of a CPU for decisions: the table's row, or the given profile.
///
/// # Errors
/// If the profile is of a machine that is too different.
pub fn machine_for(code: &mlcc_llvm::Target, options: &Options) -> Result<Machine> {
    let known = mlcc_cpu::machine_of(code);
    match &options.machine {
        None => Ok(known),
        Some(profile) => profile.machine_for(&known),
    }
}

/// A CPU as an artifact describes it. The runtime checks this description before it executes the
/// code.
#[must_use]
pub fn described(code: &mlcc_llvm::Target) -> mlcc_format::Target {
    mlcc_format::Target {
        kind: mlcc_format::TargetKind::Cpu,
        triple: code.triple.clone(),
        cpu: code.cpu.clone(),
        features: code.features.clone(),
    }
}
