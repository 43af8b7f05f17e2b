//! Loads and executes artifacts.
//!
//! A [`Model`] is an artifact in memory: its code and weights mapped, its plan verified, its machine
//! checked. It is immutable and shared. The further state of a running call (the arena, the sizes of
//! the current shapes, scratch memory) is in a [`Context`], which serves one call at a time. Inputs
//! and outputs lie in the caller's memory. A [`Pool`] of threads executes the kernels; models may
//! share one. There is no global state.
//!
//! ```no_run
//! use mlcc_runtime::{Model, Tensor};
//! let model = Model::load("resnet.mlcc")?;
//! let image = Tensor::zeros(mlcc_runtime::DType::F32, &[1, 3, 224, 224])?;
//! let outputs = model.run_owned(&[image.as_ref()])?;
//! println!("{:?}", outputs[0].dims());
//! # Ok::<(), mlcc_runtime::Error>(())
//! ```

mod bind;
mod code;
mod context;
mod cpu;
mod denormals;
mod dependences;
mod error;
mod execute;
mod functions;
mod heap;
mod memory;
mod model;
mod pool;
mod profile;
mod program;
mod state;
mod tensor;
mod threads;

pub use code::KernelFn;
pub use context::Context;
pub use cpu::{check_target, detected_features, is_known_feature};
pub use error::Error;
pub use heap::HeapStatistics;
pub use mlcc_format::{DType, Manifest, Plan, Signature, ValueInfo};
pub use model::{LoadOptions, Model};
pub use pool::Pool;
pub use profile::{LaunchProfile, Span};
pub use tensor::{Element, Tensor, TensorMut, TensorRef};
pub use threads::{THREADS_VARIABLE, default_threads};
