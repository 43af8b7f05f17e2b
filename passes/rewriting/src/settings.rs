//! The choice of rules, and the limits of their application.

use super::{
    rule::{Exactness, Rule},
    saturate::Limits,
    transformations::Transformation,
    weight_growth,
};

/// Which rules may be applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// All rules.
    #[default]
    All,
    /// Rules that change no bit.
    Exact,
    /// None: only the folds that are always good run, as passes of their own.
    Off,
}

/// The settings that a user chooses.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Which rules.
    pub mode: Mode,
    /// Rules left out, by name.
    pub disabled: Vec<String>,
    /// Limits of the search.
    pub limits: Limits,
    /// Limit on the bytes of all weights, as a multiple of their bytes before.
    pub max_weight_growth: f64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            mode: Mode::default(),
            disabled: Vec::new(),
            limits: Limits::default(),
            max_weight_growth: weight_growth::DEFAULT,
        }
    }
}

impl Settings {
    /// Whether a transformation is wanted.
    #[must_use]
    pub fn allows(&self, transformation: &Transformation) -> bool {
        self.allows_class(transformation.class) && !self.disabled.iter().any(|d| d == transformation.name)
    }

    /// Whether every bit of every value must stay.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.mode != Mode::All
    }

    /// Whether a rule is wanted.
    pub(super) fn allows_rule(&self, rule: &Rule) -> bool {
        self.allows_class(rule.class) && !self.leaves_out(rule)
    }

    fn allows_class(&self, class: Exactness) -> bool {
        match self.mode {
            Mode::All => true,
            Mode::Exact => class == Exactness::Exact,
            Mode::Off => false,
        }
    }

    /// Whether a rule is left out by name: its own, or that of the equation that it is a direction of.
    pub(super) fn leaves_out(&self, rule: &Rule) -> bool {
        let is = |name: &String| **name == *rule.name || rule.name.strip_suffix("-reversed") == Some(name);
        self.disabled.iter().any(is)
    }
}
