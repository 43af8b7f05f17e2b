//! The passes, in the order in which they run: the one list from which `--list-passes`, the pipeline
//! and the reference are made.

use crate::{fusion, graph};
use mlcc_ir::{diagnostic::Result, graph::Graph, program::Program};

/// Level at which a pass works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Level {
    Graph,
    Tensor,
}

/// What a pass does to the value of its level; returns the number of changes.
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub enum Run {
    Graph(fn(&mut Graph) -> Result<usize>),
    Tensor(fn(&mut Program) -> Result<usize>),
}

/// A pass.
#[derive(Clone, Copy)]
pub struct PassSpec {
    /// Its flag, file and test: `fold-constants`, `graph/fold_constants.rs`.
    pub name: &'static str,
    /// One line for `--list-passes` and the reference.
    pub summary: &'static str,
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
}

/// Every pass, in pipeline order.
pub const PASSES: &[PassSpec] = &[
    PassSpec {
        name: "fold-constants",
        summary: "evaluate operators whose operands are constants",
        run: Run::Graph(graph::fold_constants::run),
    },
    PassSpec {
        name: "canonicalise",
        summary: "rewrites that are always good",
        run: Run::Graph(|g| Ok(graph::canonicalise::run(g))),
    },
    PassSpec {
        name: "eliminate-common",
        summary: "merge operators that compute the same from the same",
        run: Run::Graph(|g| Ok(graph::eliminate_common::run(g))),
    },
    PassSpec {
        name: "eliminate-dead",
        summary: "remove operators whose results nobody uses",
        run: Run::Graph(|g| Ok(graph::eliminate_dead::run(g))),
    },
    PassSpec {
        name: "inline-movement",
        summary: "fold kernels that only move elements into their reader's index expressions",
        run: Run::Tensor(|p| Ok(fusion::inline_movement::run(p))),
    },
    PassSpec {
        name: "inline-elementwise",
        summary: "inline elementwise kernels into their elementwise reader",
        run: Run::Tensor(|p| Ok(fusion::inline_elementwise::run(p))),
    },
    PassSpec {
        name: "fuse-epilogue",
        summary: "put elementwise readers behind the kernel that makes their operand",
        run: Run::Tensor(|p| Ok(fusion::fuse_epilogue::run(p))),
    },
    PassSpec {
        name: "fuse-prologue",
        summary: "put elementwise producers as a stage in front of row reductions",
        run: Run::Tensor(|p| Ok(fusion::fuse_prologue::run(p))),
    },
];

/// The pass with that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static PassSpec> {
    PASSES.iter().find(|p| p.name == name)
}
