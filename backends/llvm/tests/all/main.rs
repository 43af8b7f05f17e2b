//! Compiled nests run on real data, against plain Rust and the interpreter of loop nests.

#![allow(unreachable_pub, reason = "modules of one test binary")]

mod agree;
mod features;
mod functions;
mod gemm;
mod loops;
mod masks;
mod nests;
mod products;
mod run;
mod scalars;
mod special_rows;
