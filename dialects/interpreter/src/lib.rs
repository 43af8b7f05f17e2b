//! The reference interpreters: the semantics of every level, plain and slow.
pub mod graph;
