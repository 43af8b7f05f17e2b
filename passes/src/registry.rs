//! The passes, in the order in which they run: the one list from which `--list-passes`, the pipeline
//! and the reference are made.

use crate::{fusion, graph, layout, strassen, winograd};
use mlcc_ir::{diagnostic::Result, graph::Graph, program::Program};

/// Level at which a pass works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Level {
    Graph,
    Tensor,
}

/// What a pass does to the value of its level; returns the number of changes.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum Run {
    Graph(fn(&mut Graph) -> Result<usize>),
    Tensor(fn(&mut Program, &Config) -> Result<usize>),
}

/// What a target says to the passes: which of [`VARIANTS`] it takes, and numbers; no device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// The passes among [`VARIANTS`] that run for the target.
    pub variants: &'static [PassSpec],
    /// What the choice of Winograd's algorithm knows about the machine.
    pub winograd: winograd::cost::Rates,
    /// What the choice of Strassen's algorithm knows about it, and by how much weights may grow.
    pub strassen: strassen::strassen_products::Settings,
    /// What prices of kernels know about it, by which algebraic rewrites are chosen.
    pub rates: graph::rewrite::Rates,
    /// What taking reductions apart knows about it.
    pub threads: fusion::split_reductions::Threads,
    /// Whether passes must leave every bit of every value, but for the order of sums, which is nobody's.
    pub exact: bool,
}

impl Default for Config {
    /// What the CPU backend takes, with the numbers of a usual machine.
    fn default() -> Config {
        Config {
            variants: VARIANTS,
            winograd: Default::default(),
            strassen: Default::default(),
            rates: Default::default(),
            threads: Default::default(),
            exact: false,
        }
    }
}

impl Config {
    /// Whether a pass runs for the target.
    #[must_use]
    pub fn runs(&self, pass: &PassSpec) -> bool {
        self.variants.contains(pass) || !VARIANTS.contains(pass)
    }
}

/// A pass.
#[derive(Clone, Copy, Debug)]
pub struct PassSpec {
    /// Its flag, file and test: `fold-constants`, `graph/fold_constants.rs`.
    pub name: &'static str,
    /// One line for `--list-passes` and the reference.
    pub summary: &'static str,
    /// The function.
    pub run: Run,
}

impl PartialEq for PassSpec {
    fn eq(&self, other: &PassSpec) -> bool {
        self.name == other.name
    }
}

impl PassSpec {
    /// The level at which the pass works.
    #[must_use]
    pub fn level(&self) -> Level {
        match self.run {
            Run::Graph(_) => Level::Graph,
            Run::Tensor(_) => Level::Tensor,
        }
    }
}

/// Every pass, in pipeline order.
pub const PASSES: &[PassSpec] = &[
    graph::fold_constants::SPEC,
    graph::canonicalise::SPEC,
    graph::eliminate_common::SPEC,
    graph::eliminate_dead::SPEC,
    graph::rewrite::recognise::SPEC,
    graph::rewrite::SPEC,
    fusion::inline_movement::SPEC,
    fusion::inline_elementwise::SPEC,
    fusion::fuse_epilogue::SPEC,
    fusion::fuse_prologue::SPEC,
    fusion::fuse_attention::SPEC,
    fusion::simplify_scalars::SPEC,
    layout::assign_layouts::SPEC,
    winograd::winograd_convolution::SPEC,
    strassen::strassen_products::SPEC,
    fusion::split_reductions::SPEC,
    fusion::fuse_operand::SPEC,
    layout::place_concatenations::SPEC,
];

/// Passes that compute something in another form, which pays only on a target whose schedules expect that form. A
/// target names those that it takes; all the others of [`PASSES`] run for every target.
pub const VARIANTS: &[PassSpec] = &[
    fusion::fuse_attention::SPEC,
    winograd::winograd_convolution::SPEC,
    strassen::strassen_products::SPEC,
    fusion::split_reductions::SPEC,
    fusion::fuse_operand::SPEC,
];

/// Passes that compute the same over the real numbers in another way: other bits. Where none may change, they do not
/// run.
#[must_use]
pub fn changes_bits(pass: &PassSpec) -> bool {
    let inexact = [
        winograd::winograd_convolution::SPEC.name,
        strassen::strassen_products::SPEC.name,
        fusion::fuse_attention::SPEC.name,
    ];
    inexact.contains(&pass.name)
}

/// The pass with that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static PassSpec> {
    PASSES.iter().find(|p| p.name == name)
}
