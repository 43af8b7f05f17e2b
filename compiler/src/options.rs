//! How a model is compiled.

use crate::{decisions::Decisions, machine_profile::Profile};
use mlcc_ir::diagnostic::Diagnostic;
use mlcc_passes::graph::rewrite;

/// All problems found.
pub type Diagnostics = Vec<Diagnostic>;

/// Kind of device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// The CPU that [`Options::target_cpu`] names.
    #[default]
    Cpu,
    /// An NVIDIA GPU of that architecture (`sm_90`).
    Cuda(String),
}

/// The target of a compilation, and its settings.
#[derive(Clone, Debug)]
pub struct Options {
    /// Fixed or ranged dimensions of inputs, as given to `--shape`.
    pub shapes: Vec<String>,
    /// The device for which code is generated.
    pub device: Device,
    /// CPU to generate code for: `host`, or a name of LLVM's.
    pub target_cpu: String,
    /// The amount of optimisation: 0 is one plain kernel per operator, 1 is passes but plain loops, 2 and 3 are
    /// everything.
    pub optimisation: u8,
    /// Passes that are left out.
    pub disabled_passes: Vec<String>,
    /// Whether kernels compute with denormal numbers as IEEE 754 says, instead of taking them for zeros.
    pub keep_denormals: bool,
    /// A machine's profile, instead of the table's row for the CPU.
    pub machine: Option<Profile>,
    /// Decisions that are given instead of being taken.
    pub decisions: Decisions,
    /// The algebraic rules that may be applied, and the permitted growth of the weights.
    pub rewrites: rewrite::Settings,
    /// Threads that generate code; 0 means [`mlcc_runtime::default_threads`]. The artifact does not depend on it.
    pub threads: usize,
    /// Flags that are recorded in the artifact.
    pub flags: Vec<String>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            shapes: Vec::new(),
            device: Device::Cpu,
            target_cpu: "host".into(),
            optimisation: 2,
            disabled_passes: Vec::new(),
            keep_denormals: false,
            machine: None,
            decisions: Decisions::default(),
            rewrites: rewrite::Settings::default(),
            threads: 0,
            flags: Vec::new(),
        }
    }
}
