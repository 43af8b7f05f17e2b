//! The compiler as a library: a model file in, an artifact out.
//!
//! | Module | What |
//! |---|---|
//! | [`phase`] | the ordered phases, which drive `--from`, `--to` and the dumps |
//! | [`pipeline`] | runs them |
//! | [`codegen`] | kernels to loop nests to machine code, on all cores |
//! | [`assemble`] | program, code and weights to the artifact |
//! | [`machine_profile`] | a measured machine as a file, and as an input of decisions |
//! | [`measure`] | what a machine can do at most |
//! | [`dump`] | the IR after each pass |
//! | [`cli`] | one file per subcommand |

pub mod assemble;
pub mod cli;
pub mod codegen;
pub mod dump;
pub mod inputs;
pub mod machine_profile;
pub mod measure;
pub mod npy;
mod packing;
pub mod phase;
pub mod pipeline;
mod plan_expr;
