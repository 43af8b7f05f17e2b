//! The passes in the order in which they run. `--list-passes`, the pipeline, the prices of rewrites and the
//! reference are all made from this one list.

use crate::{
    config::Config,
    fusion,
    graph::{self, rewrite},
    layout,
    strassen::{self, strassen_products},
    winograd,
};
use mlcc_ir::{diagnostic::Result, graph::Graph, program::Program};

/// Level at which a pass works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Level {
    Graph,
    Tensor,
}

/// The arguments of a pass besides the IR.
pub struct Context<'a> {
    /// The choices of the target and of the user.
    pub config: &'a Config,
    /// Receives reports about passes.
    pub events: &'a mut dyn Events,
}

/// The IR of a level, to look at.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum IrRef<'a> {
    Graph(&'a Graph),
    Program(&'a Program),
}

/// Reports from passes while they run.
pub trait Events {
    /// A pass has run; `changes` is 0 if it changed nothing. The conversion to the tensor level counts as a
    /// pass.
    ///
    /// # Errors
    /// To stop the compilation.
    fn after_pass(&mut self, _pass: &str, _changes: usize, _ir: IrRef<'_>) -> Result<()> {
        Ok(())
    }

    /// Algebraic rules have been applied.
    fn rewritten(&mut self, _report: &rewrite::Report) {}

    /// Products have been changed to Strassen's algorithm.
    fn products_changed(&mut self, _changed: &[strassen_products::Changed], _config: &Config) {}
}

/// Nobody listens.
impl Events for () {}

/// The work of a pass on the IR of its level; returns the number of changes.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum Run {
    Graph(fn(&mut Graph, &mut Context<'_>) -> Result<usize>),
    Tensor(fn(&mut Program, &mut Context<'_>) -> Result<usize>),
}

/// A property, besides the name, that decides whether a pass runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trait {
    /// It computes something in another form. This pays only on a target whose schedules expect that form.
    Variant,
    /// It computes the same over the real numbers in another way, so bits change.
    ChangesBits,
    /// It is part of algebraic rewriting, and left out with it.
    Algebraic,
    /// Prices of rewrites do not see its effect, or see it differently.
    Unpriced,
}

/// A pass.
#[derive(Clone, Copy, Debug)]
pub struct PassSpec {
    /// Its flag, file and test: `fold-constants`, `graph/fold_constants.rs`.
    pub name: &'static str,
    /// One line for `--list-passes` and the reference.
    pub summary: &'static str,
    /// The properties that decide whether it runs.
    pub traits: &'static [Trait],
    /// The function.
    pub run: Run,
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

    /// Whether the pass has a trait.
    #[must_use]
    pub fn is(&self, what: Trait) -> bool {
        self.traits.contains(&what)
    }
}

/// Every pass, in pipeline order.
pub const PASSES: &[PassSpec] = &[
    graph::fold_constants::SPEC,
    graph::canonicalise::SPEC,
    graph::eliminate_common::SPEC,
    graph::eliminate_dead::SPEC,
    graph::recognise::SPEC,
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

/// The pass with that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static PassSpec> {
    PASSES.iter().find(|p| p.name == name)
}
