//! Passes: IR to IR, without I/O and without a device.
//!
//! | Module | Level | What |
//! |---|---|---|
//! | [`graph`] | graph | folding, canonicalisation, common subexpressions, dead code |
//! | [`convert`] | graph to tensor | one kernel per operator |
//! | [`fusion`] | tensor | kernels merged by their index maps |
//! | [`layout`] | tensor | the order of dimensions in memory |
//! | [`strassen`] | tensor | matrix products with fewer multiplications |
//! | [`winograd`] | tensor | 3x3 convolutions with fewer multiplications |
//! | [`schedule`] | tensor to loop | loop nests and the primitives that transform them |
//! | [`requirements`] | graph | conditions on symbolic sizes that every run is checked for |
//! | [`plan`] | all | the arena: which tensors share memory |
//! | [`registry`] | all | the list of passes |
//! | [`config`] | all | which of them run, and the numbers that they decide by |
//! | [`driver`] | all | runs them |

pub mod config;
pub mod convert;
pub mod driver;
pub mod fusion;
pub mod graph;
pub mod layout;
pub mod plan;
pub mod registry;
pub mod requirements;
pub mod schedule;
pub mod strassen;
pub mod winograd;
