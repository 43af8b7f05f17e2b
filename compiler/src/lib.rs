//! The compiler as a library: a model file in, an artifact out.
//!
//! | Module | What |
//! |---|---|
//! | [`phase`] | the ordered phases, which drive `--from`, `--to` and the dumps |
//! | [`session`] | runs them, for any target |
//! | [`import`] | a model file to the graph level |
//! | [`options`] | what a user chooses |
//! | [`target`] | what code is generated for |
//! | [`observer`] | who is told what happens |
//! | [`codegen`] | kernels to loop nests to machine code, on all cores |
//! | [`assemble`] | program, code and weights to the artifact |
//! | [`machine_profile`] | a measured machine as a file, and as an input of decisions |
//! | [`measure`] | what a machine can do at most |
//! | [`decisions`] | what was decided for each kernel, as a file |
//! | [`dump`] | the IR after each pass |
//! | [`cli`] | one file per subcommand |

pub mod assemble;
pub mod cli;
pub mod codegen;
pub mod decisions;
pub mod dump;
mod format_types;
pub mod import;
pub mod inputs;
pub mod machine_profile;
pub mod measure;
pub mod npy;
pub mod observer;
pub mod options;
mod packing;
pub mod phase;
mod runtime_error;
pub mod session;
pub mod target;
