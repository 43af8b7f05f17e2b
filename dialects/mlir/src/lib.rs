//! The MLIR form of each level, and the door to MLIR's lowerings.
//!
//! [`MlirContext`] prints a level's value as text of the dialects `graph`, `te` and `loop`, which are declared in
//! TableGen, and reads it back without loss. [`lowering`] provides the parts that backends need below the loop
//! level.
//!
//! `mlir-sys` appears in this crate alone, and `unsafe` in `ffi`, [`lowering`], and at the doors `context` and
//! `verify`.

mod context;
mod ffi;
mod graph;
mod kernel;
pub mod lowering;
mod nest;
pub mod operators;
mod origin;
mod program;
mod read;
mod reference;
mod scalar;
mod scan;
mod text;
mod verify;
pub mod weights;

pub use context::MlirContext;
pub use reference::{dialect_reference, dialects};
