//! Passes at the graph level.

pub mod canonicalise;
pub mod eliminate_common;
pub mod eliminate_dead;
pub mod fold_constants;
pub mod recognise;
pub mod rewrite;
