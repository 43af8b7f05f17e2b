//! The compiler as a library: a model file in, an artifact out.
//!
//! | Module | What |
//! |---|---|
//! | [`phase`] | the ordered phases, which drive `--from`, `--to` and the dumps |
//! | [`pipeline`] | runs them |
//! | [`codegen`] | kernels to loop nests to machine code, on all cores |
//! | [`assemble`] | program, code and weights to the artifact |
//! | [`dump`] | the IR after each pass |
//! | [`cli`] | one file per subcommand |

pub mod assemble;
pub mod cli;
pub mod codegen;
pub mod dump;
pub mod inputs;
pub mod measure;
pub mod npy;
mod packing;
pub mod phase;
pub mod pipeline;
mod plan_expr;
