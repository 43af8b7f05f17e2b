//! Schedules and PTX for NVIDIA GPUs.
//!
//! [`schedule()`] binds the axes of a kernel's loop nest to blocks and threads. [`Launch`] tells how to
//! launch such a nest. [`compile_program_to_ptx`] makes one PTX module of all kernels of a program. No GPU
//! and no CUDA is needed.

mod emit;
pub mod launch;
pub mod ptx;
#[cfg(test)]
mod samples;
mod schedule;

pub use launch::Launch;
pub use ptx::{Entry, PtxModule, compile_nests_to_ptx, compile_program_to_ptx, compile_to_ptx};
pub use schedule::{replay, schedule};
