//! The harness of the whole-program tests: they run the built `mlcc` as a user does.
//!
//! | Module | What it gives |
//! |---|---|
//! | [`program`] | finds `mlcc`, runs it, with a limit on its time |
//! | [`onnx`] | builds small models, so that no test needs Python or a file from elsewhere |
//! | [`tensor`] | values: random ones, and the relative error between two |
//! | [`cases`] | tries numbered cases on all cores, for programs that look for crashes |
//! | [`npy`] | reads and writes values in NumPy's format, which `--input` and `--output-dir` use |
//!
//! A test looks like this:
//!
//! ```no_run
//! use mlcc_tests::{DType, Model, Node, Tensor, npy, program};
//!
//! let folder = program::temporary_folder();
//! let x = Tensor::random(DType::F32, &[3, 7], 1);
//! Model::new(18)
//!     .input("x", DType::F32, &[3.into(), 7.into()])
//!     .node(Node::new("Relu", &["x"], &["y"]))
//!     .output("y", DType::F32, &[3.into(), 7.into()])
//!     .write(&folder.path().join("relu.onnx"))
//!     .unwrap();
//! npy::write(&folder.path().join("x.npy"), &x).unwrap();
//! let outcome = program::mlcc(folder.path(), &["run", "relu.onnx", "--input", "x.npy", "--output-dir", "out"]);
//! outcome.expect_success();
//! let y = npy::read(&folder.path().join("out/output_0.npy")).unwrap();
//! let want = Tensor::f32(&[3, 7], x.to_f64().into_iter().map(|x| x.max(0.0) as f32));
//! assert!(y.relative_error(&want).unwrap() < 1e-6);
//! ```

pub mod cases;
pub mod npy;
pub mod onnx;
pub mod program;
pub mod tensor;

pub use onnx::{Attribute, Dim, Graph, Model, Node};
pub use program::{Outcome, mlcc};
pub use tensor::{DType, Tensor};
