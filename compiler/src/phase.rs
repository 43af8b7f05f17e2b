//! The phases of a compilation, in order.

use std::{fmt, str::FromStr};

/// A phase; a model passes through them in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// The file to the graph level.
    Import,
    /// WHICH operators: passes on graphs.
    Graph,
    /// WHAT each kernel computes: conversion and fusion.
    Tensor,
    /// HOW it computes it: schedules.
    Loop,
    /// On this machine: LLVM modules.
    Llvm,
    /// The artifact.
    Binary,
}

impl Phase {
    /// Every phase in order.
    pub const ALL: [Phase; 6] =
        [Phase::Import, Phase::Graph, Phase::Tensor, Phase::Loop, Phase::Llvm, Phase::Binary];

    /// The phase's name in flags and file names.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Phase::Import => "import",
            Phase::Graph => "graph",
            Phase::Tensor => "tensor",
            Phase::Loop => "loop",
            Phase::Llvm => "llvm",
            Phase::Binary => "binary",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Phase {
    type Err = String;

    fn from_str(text: &str) -> Result<Phase, String> {
        Phase::ALL.into_iter().find(|p| p.name() == text).ok_or_else(|| {
            let names: Vec<_> = Phase::ALL.iter().map(|p| p.name()).collect();
            format!("no phase '{text}'; the phases are {}", names.join(", "))
        })
    }
}
