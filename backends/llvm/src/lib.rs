//! Loop nests to machine code: MLIR, then LLVM, then one flat image.
//!
//! [`compile()`] takes a [`mlcc_ir::nest::LoopNest`] and gives an object file; [`image::link`] lays out
//! objects as one position-independent image that a runtime maps and runs. [`emit`] is shared with
//! the GPU's backend.

pub mod compile;
mod compile_all;
pub mod emit;
pub mod image;
mod masked;
mod math;
pub mod target;

pub use compile::{CompiledKernel, Options, compile};
pub use compile_all::compile_all;
pub use target::{HOST_VARIABLE, Target};
