//! The C interface of the runtime. `include/mlcc.h` documents it; the code here follows that
//! documentation.
//!
//! Only this crate handles pointers from C: each function turns them into references and slices at
//! its start and calls the Rust interface.

mod convert;
mod model;
mod status;

pub use convert::{CTensor, CValueInfo};
pub use model::{
    CContext, CModel, mlcc_context_free, mlcc_context_new, mlcc_context_run, mlcc_interface_version,
    mlcc_model_free, mlcc_model_input, mlcc_model_input_count, mlcc_model_input_dims, mlcc_model_load,
    mlcc_model_load_with, mlcc_model_output, mlcc_model_output_count, mlcc_model_output_dims,
    mlcc_model_output_dims_for, mlcc_model_run,
};
pub use status::mlcc_string_free;
