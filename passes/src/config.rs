//! The choices of a target and of the user for the passes. Every pass of a compilation gets the same choices,
//! and so do the prices of graphs that are only considered.

use crate::{
    graph::rewrite,
    registry::{PassSpec, Trait},
};
use mlcc_machine::{KernelRates, Machine, StrassenRates, Threads, WinogradRates};

/// The passes that are [`Trait::Variant`] and run for a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variants {
    /// All of them.
    All,
    /// None of them.
    None,
}

/// The choice of passes, and the numbers that they decide by; no device.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Whether any pass runs.
    pub optimise: bool,
    /// Passes that are left out, by name.
    pub disabled_passes: Vec<String>,
    /// The passes in another form that the target takes.
    pub variants: Variants,
    /// The algebraic rules that may be applied, the growth of weights, and so whether bits may change.
    pub rewrites: rewrite::Settings,
    /// Machine rates for the prices of kernels, by which algebraic rewrites are chosen.
    pub rates: KernelRates,
    /// Machine rates for the choice of Winograd's algorithm.
    pub winograd: WinogradRates,
    /// Machine rates for the choice of Strassen's algorithm.
    pub strassen: StrassenRates,
    /// Thread numbers for taking reductions apart.
    pub threads: Threads,
}

impl Default for Config {
    /// The CPU backend's choices on a usual machine.
    fn default() -> Config {
        Config::for_cpu(&Machine::usual())
    }
}

impl Config {
    /// The choices for a CPU.
    #[must_use]
    pub fn for_cpu(machine: &Machine) -> Config {
        Config {
            optimise: true,
            disabled_passes: Vec::new(),
            variants: Variants::All,
            rewrites: rewrite::Settings::default(),
            rates: KernelRates::of(machine),
            winograd: WinogradRates::of(machine),
            strassen: StrassenRates::of(machine),
            threads: Threads::of(machine),
        }
    }

    /// The choices for a GPU of that architecture. It takes no variants: their forms (transforms of a few
    /// elements a thread, parts of a reduction, stages in front of a product) suit caches and few threads,
    /// and no mapping to a GPU expects them.
    #[must_use]
    pub fn for_gpu(arch: &str) -> Config {
        Config { variants: Variants::None, rates: KernelRates::of_gpu(arch), ..Config::default() }
    }

    /// Whether a pass runs: the target takes it, the user wants it, and the user accepts its effect on bits.
    #[must_use]
    pub fn runs(&self, pass: &PassSpec) -> bool {
        let wanted = |what: &Trait| match what {
            Trait::Variant => self.variants == Variants::All,
            Trait::ChangesBits => !self.rewrites.is_exact(),
            Trait::Algebraic => self.rewrites.mode != rewrite::Mode::Off,
            Trait::Unpriced => true,
        };
        self.optimise
            && pass.traits.iter().all(wanted)
            && !self.disabled_passes.iter().any(|name| name == pass.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::PASSES;

    #[test]
    fn what_is_made_for_a_cpu_is_left_out_for_a_gpu() {
        let (gpu, cpu) = (Config::for_gpu("sm_80"), Config::default());
        let left_out: Vec<&str> = PASSES.iter().filter(|p| !gpu.runs(p)).map(|p| p.name).collect();
        let variants = PASSES.iter().filter(|p| p.is(Trait::Variant)).map(|p| p.name);
        assert_eq!(left_out, variants.collect::<Vec<_>>());
        assert!(!left_out.is_empty() && PASSES.iter().all(|p| cpu.runs(p)));
    }
}
