//! The MLIR form of each level, and the door to MLIR's lowerings.
//!
//! `mlir-sys` appears in this crate alone, and `unsafe` in [`lowering`] and the `ffi` module.

pub mod lowering;
