//! What a target and the user say to the passes. Every pass of a compilation gets the same, and so do the prices of
//! graphs that are only considered.

use crate::{
    fusion::split_reductions::Threads,
    graph::rewrite,
    registry::{PassSpec, Trait},
    strassen, winograd,
};

/// The passes that are [`Trait::Variant`] and run for a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variants {
    /// All of them.
    All,
    /// None of them.
    None,
}

/// Which passes run, and the numbers that they decide by; no device.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Whether any pass runs.
    pub optimise: bool,
    /// Passes that are left out, by name.
    pub disabled_passes: Vec<String>,
    /// The passes in another form that the target takes.
    pub variants: Variants,
    /// Which algebraic rules may be applied, how much weights may grow, and so whether bits may change.
    pub rewrites: rewrite::Settings,
    /// What prices of kernels know about the machine, by which algebraic rewrites are chosen.
    pub rates: rewrite::Rates,
    /// What the choice of Winograd's algorithm knows about it.
    pub winograd: winograd::cost::Rates,
    /// What the choice of Strassen's algorithm knows about it.
    pub strassen: strassen::cost::Rates,
    /// What taking reductions apart knows about it.
    pub threads: Threads,
}

impl Default for Config {
    /// What the CPU backend takes, with the numbers of a usual machine.
    fn default() -> Config {
        Config {
            optimise: true,
            disabled_passes: Vec::new(),
            variants: Variants::All,
            rewrites: rewrite::Settings::default(),
            rates: rewrite::Rates::default(),
            winograd: winograd::cost::Rates::default(),
            strassen: strassen::cost::Rates::default(),
            threads: Threads::default(),
        }
    }
}

impl Config {
    /// Whether a pass runs: the target takes it, and the user wants it and what it does to bits.
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
