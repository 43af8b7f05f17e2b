//! ONNX files to the graph level: bytes -> [`Graph`].
//!
//! | Step | Module |
//! |---|---|
//! | map the file, decode the messages without copying weights | `mapped`, `proto` |
//! | tensors from typed fields, raw data, external files | `tensor`, `external` |
//! | inputs: types, symbolic dimensions, overrides, defaults | `signature`, `defaults` |
//! | nodes in order, functions inlined, names resolved | `import`, `order` |
//! | one ONNX operator to graph operators | `ops`, `registry` |
//!
//! All details that later stages need not know are resolved here: opset differences, `auto_pad`, negative axes,
//! default values, optional inputs that decide shapes. Types and known values are inferred after each operator.
//!
//! A model is not trusted: no content of a file may panic, allocate without a check of sizes, or open
//! a file outside the model's folder.

mod attributes;
mod builder;
mod call;
mod defaults;
mod element_type;
mod external;
mod fold;
mod import;
mod mapped;
mod ops;
mod options;
mod order;
mod proto;
mod registry;
mod scope;
mod signature;
mod tensor;

pub use options::{DimSpec, Fold, ImportOptions};
pub use registry::{NEWEST_OPSET, OLDEST_OPSET, supported_operators};

use bytes::Bytes;
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    graph::Graph,
    tensor::Tensor,
};
use prost::Message;
use std::{fs::File, path::Path};

/// A model at the graph level.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The graph; every value has a type.
    pub graph: Graph,
    /// The file's description of the model.
    pub info: ModelInfo,
    /// Default values of inputs, by the input's number. They are used if a caller gives no value.
    pub defaults: std::collections::BTreeMap<usize, Tensor>,
}

/// A model file's description of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelInfo {
    /// Version of the operators of ONNX's main domain.
    pub opset: i64,
    /// Version of the file format.
    pub ir_version: i64,
    /// Name and version of the exporter.
    pub producer: String,
}

/// Imports the model in the file `path`; its external data is beside the file. The files are mapped, so they must not
/// be written to or cut as long as the graph's constants live. [`import_bytes`] takes a model that was read into
/// memory.
///
/// # Errors
/// All problems found, at most 100.
pub fn import(path: &Path, options: &ImportOptions<'_>) -> std::result::Result<Imported, Vec<Diagnostic>> {
    let bytes = map_file(path, "model").map_err(|d| vec![d])?;
    import_bytes(bytes, path.parent(), options)
}

/// Imports a model from memory; `folder` holds its external data.
///
/// # Errors
/// All problems found, at most 100.
pub fn import_bytes(
    bytes: Bytes,
    folder: Option<&Path>,
    options: &ImportOptions<'_>,
) -> std::result::Result<Imported, Vec<Diagnostic>> {
    let model = decode(bytes).map_err(|d| vec![d])?;
    import::import_model(&model, folder, options)
}

/// Names of a model's inputs in order, without those that have a default.
///
/// # Errors
/// If the file cannot be read or is not a model.
pub fn input_names(path: &Path) -> Result<Vec<String>> {
    let graph = decode(map_file(path, "model")?)?.graph.unwrap_or_default();
    let inputs = import::model_inputs(&graph, &std::collections::HashSet::new());
    Ok(inputs.into_iter().map(|i| i.name.clone()).collect())
}

fn decode(bytes: Bytes) -> Result<proto::ModelProto> {
    proto::ModelProto::decode(bytes).map_err(|e| {
        Diagnostic::user(format!("not an ONNX model: {e}"))
            .hint("the file is damaged, or not an ONNX file, or a Git LFS pointer")
    })
}

/// Reads a `TensorProto` file, as ONNX's test data has them.
///
/// # Errors
/// If the file cannot be read or is not a tensor; sequences and optionals are unsupported.
pub fn read_tensor_file(path: &Path) -> Result<Tensor> {
    parse_tensor(map_file(path, "tensor")?, path.parent()).map_err(|mut d| {
        d.message = format!("'{}': {}", path.display(), d.message);
        d
    })
}

/// Decodes a `TensorProto`; external data is refused.
///
/// # Errors
/// If the bytes are not a tensor; sequences and optionals are unsupported.
pub fn parse_tensor_proto(bytes: Bytes) -> Result<Tensor> {
    parse_tensor(bytes, None)
}

fn parse_tensor(bytes: Bytes, folder: Option<&Path>) -> Result<Tensor> {
    let proto = proto::TensorProto::decode(bytes)
        .map_err(|e| Diagnostic::user(format!("not an ONNX tensor: {e}")).hint("the file is damaged"))?;
    tensor::tensor_from_proto(&proto, &external::ExternalData::new(folder))
}

fn map_file(path: &Path, what: &str) -> Result<Bytes> {
    let failed = |e| Diagnostic::user(format!("cannot read {what} '{}': {e}", path.display()));
    let file = File::open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(Diagnostic::user(format!("{what} '{}' is not a file", path.display())));
    }
    mapped::map(&file).map_err(failed)
}

#[cfg(test)]
mod tests;
