//! The values of mlcc's three levels, as plain Rust data.
//!
//! | Level | Value | MLIR form |
//! |---|---|---|
//! | graph | [`graph::Graph`] | `graph` dialect |
//! | tensor | [`program::Program`] of [`kernel::Kernel`]s | `te` dialect |
//! | loop | [`nest::LoopNest`] per kernel | `loop` dialect |
//!
//! Passes are functions on these values; `mlcc-mlir` prints each level as MLIR and reads it back
//! without loss. Nothing here depends on MLIR, LLVM or a device.

pub mod attributes;
pub mod contract;
pub mod diagnostic;
pub mod dtype;
pub mod expr;
pub mod graph;
pub mod kernel;
pub mod nest;
pub mod ops;
pub mod origin;
pub mod product;
pub mod program;
pub mod requirement;
pub mod scalar;
pub mod size_range;
pub mod tensor;
pub mod types;

/// A shared, immutable name: of a symbol, an axis, a tensor, an ONNX node.
pub type Name = std::sync::Arc<str>;
