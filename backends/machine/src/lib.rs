//! Descriptions of machines, and the numbers that estimates of time need: the one place with a machine's
//! numbers.
//!
//! | Value | Asked by |
//! |---|---|
//! | [`Machine`] | decisions for CPUs: vectors, registers, caches, rates of a core |
//! | [`KernelRates`] | prices of kernels and of terms, by which algebraic rewrites are chosen, for CPUs and GPUs |
//! | [`WinogradRates`], [`StrassenRates`], [`Threads`] | the choice of an algorithm for CPUs |

mod cpu;
mod gpu;
mod rates;

pub use cpu::Machine;
pub use rates::{KernelRates, StrassenRates, Threads, WinogradRates};
