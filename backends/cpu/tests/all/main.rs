//! Decisions on kernels of all templates, with odd sizes. The nests are compared with the kernels in the
//! interpreters, and the machine code with both.

#![allow(unreachable_pub, reason = "modules of one test binary")]

// Dependencies of `run`, which lies with the code generator's tests.
use {mlcc_format as _, mlcc_runtime as _};

mod attention;
mod check;
mod contractions;
mod images;
mod kernels;
mod loops;
mod made;
mod rewritten;
mod rotary;
#[path = "../../../llvm/tests/all/run.rs"]
#[allow(dead_code, reason = "shared with the code generator's tests")]
mod run;
mod strassen;
mod symbolic;
mod transforms;
mod transpositions;
mod windows;
