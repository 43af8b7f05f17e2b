//! The manifest: the description of an artifact, for people and for the checks at load.

use crate::{DType, Expr};
use serde::{Deserialize, Serialize};

/// The description of an artifact: signature, target, provenance. Stored as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the compiler that wrote the artifact.
    pub compiler: String,
    /// The name of the model, usually its file name without extension.
    pub model: String,
    /// The machine for which the code is made.
    pub target: Target,
    /// The inputs and outputs.
    pub signature: Signature,
    /// The names of the plan's symbols, by index.
    pub symbols: Vec<String>,
    /// The kernels, by their index in the plan.
    pub kernels: Vec<KernelInfo>,
    /// How many ops of each kind the plan has.
    pub counts: Counts,
    /// The most bytes of intermediate results alive at the same time if the model's nodes run one by one in
    /// the order of its file; none if a size is symbolic.
    #[serde(default)]
    pub file_order_peak_bytes: Option<u64>,
    /// Whether the kernels compute with denormal numbers as IEEE 754 says. Otherwise they run with denormals
    /// taken for zeros.
    #[serde(default)]
    pub keep_denormals: bool,
    /// The flags that the model was compiled with.
    pub flags: Vec<String>,
    /// The description, as text, of the machine for which decisions were taken.
    #[serde(default)]
    pub machine: String,
}

/// The machine for which code is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The kind of processor.
    pub kind: TargetKind,
    /// LLVM's triple, such as `x86_64-unknown-linux-gnu`.
    pub triple: String,
    /// LLVM's name of the processor, such as `znver4`.
    pub cpu: String,
    /// The CPU features that the code needs, such as `avx512f`; a machine without one is refused.
    pub features: Vec<String>,
}

/// A kind of processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetKind {
    /// A CPU.
    Cpu,
}

/// The inputs and outputs of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// The inputs, in order.
    pub inputs: Vec<ValueInfo>,
    /// The outputs, in order.
    pub outputs: Vec<ValueInfo>,
}

/// An input or output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValueInfo {
    /// Its name in the model.
    pub name: String,
    /// The type of its elements.
    pub dtype: DType,
    /// Its dimensions, outermost first.
    pub dims: Vec<Dim>,
    /// The constant buffer of the plan that replaces an input if the caller does not give it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<u32>,
}

/// A dimension of an input or output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dim {
    /// The dimension as the model's author would write it: `3`, `batch`, `2 * length + 1`.
    pub text: String,
    /// Its value.
    pub expr: Expr,
}

impl Dim {
    /// The dimension of this value. Its text uses the names of the symbols.
    pub fn new(expr: Expr, symbols: &[String]) -> Dim {
        Dim { text: expr.display(symbols).to_string(), expr }
    }
}

impl ValueInfo {
    /// The shape as text, `[batch, 3, 224, 224]`.
    pub fn shape_text(&self) -> String {
        let dims: Vec<&str> = self.dims.iter().map(|dim| dim.text.as_str()).collect();
        format!("[{}]", dims.join(", "))
    }
}

/// The origin of a kernel and the way in which it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelInfo {
    /// Its name, unique within the artifact.
    pub name: String,
    /// The names of the model's nodes that it computes, all of them.
    pub nodes: Vec<String>,
    /// The decision (variant, layout, schedule) as text.
    pub decision: String,
    /// The templates that were tried before, in order.
    #[serde(default)]
    pub refused: Vec<Refused>,
}

/// A template that was tried for a kernel and did not take it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Its name.
    pub template: String,
    /// Why it did not take the kernel.
    pub reason: String,
}

/// How many ops of each kind a plan has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Launches of kernels.
    pub kernels: u64,
    /// Ops that became views and cost nothing.
    pub views: u64,
    /// Calls of named runtime functions.
    pub runtime_calls: u64,
}
