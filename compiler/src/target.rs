//! What code is generated for, with what decisions know of it.

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
        /// What decisions are taken by: the table's row, or the profile that is given.
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

    /// What passes are told.
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

/// What decisions know about a CPU: the table's row, or the profile that is given.
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

/// A CPU as an artifact describes it: what the runtime checks before it executes the code.
#[must_use]
pub fn described(code: &mlcc_llvm::Target) -> mlcc_format::Target {
    mlcc_format::Target {
        kind: mlcc_format::TargetKind::Cpu,
        triple: code.triple.clone(),
        cpu: code.cpu.clone(),
        features: code.features.clone(),
    }
}
