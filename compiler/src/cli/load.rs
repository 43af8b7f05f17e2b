//! Loading what `run`, `bench` and `inspect` are given: an artifact, or a model that is compiled on
//! the fly.

use super::{compiling::Compiling, kind::FileKind, one, runtime_error};
use crate::{
    format_types::{ir_dtype, plan_dtype},
    inputs::{self, Source},
    session,
};
use mlcc_format::ValueInfo;
use mlcc_ir::{
    diagnostic::{Diagnostic, count},
    tensor::Tensor,
};
use mlcc_runtime::{LoadOptions, Model, Pool, TensorRef};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Loads `file` for `threads` threads (0: all CPUs), compiled as `compiling` says if it is a model. An artifact's weights
/// are trusted or compared with their checksum.
pub(super) fn model(
    file: &Path,
    threads: usize,
    trust_weights: bool,
    compiling: &Compiling,
) -> Result<Model, Vec<Diagnostic>> {
    // The threads come first: a number that is refused need not wait for a compilation.
    let pool = Arc::new(Pool::new(threads).map_err(|e| runtime_error(&e))?);
    let options = LoadOptions { pool: Some(pool), trust_weights, ..LoadOptions::default() };
    let how = compiling.options()?;
    let kind = FileKind::of(file);
    if kind == FileKind::Model {
        let compiled = Temporary::new(file)?;
        session::compile(file, compiled.path(), &how, &mut ())?;
        // The mapping outlives the file's name.
        return Model::load_with(compiled.path(), &options).map_err(|e| runtime_error(&e));
    }
    if let Some(diagnostic) = kind.instead_of_artifact(file) {
        return Err(one(diagnostic));
    }
    let model = Model::load_with(file, &options).map_err(|e| runtime_error(&e))?;
    if let Some(flag) = how.flags.first() {
        let message = format!("'{}' is compiled already, so that {flag} comes too late", file.display());
        return Err(one(
            Diagnostic::user(message).hint("give it to `mlcc compile`, or with an ONNX model here")
        ));
    }
    Ok(model)
}

/// A file that is removed in the end.
pub(super) struct Temporary(PathBuf);

impl Temporary {
    /// A place for the artifact of a model.
    pub(super) fn new(model: &Path) -> Result<Temporary, Vec<Diagnostic>> {
        let stem = model.file_stem().unwrap_or_default().to_string_lossy();
        let folder = std::env::temp_dir().join(format!("mlcc-{}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|e| super::write_error(&folder, &e))?;
        Ok(Temporary(folder.join(format!("{stem}.mlcc"))))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
        let _ = self.0.parent().map(std::fs::remove_dir);
    }
}

/// Reads `--input` arguments and puts them in the order of the model's inputs.
pub(super) fn inputs(model: &Model, given: &[String]) -> Result<Vec<Tensor>, Vec<Diagnostic>> {
    let signature = &model.signature().inputs;
    let names: Vec<&str> = signature.iter().map(|i| i.name.as_str()).collect();
    let mut slots: Vec<Option<Tensor>> = vec![None; names.len()];
    let hinted = |message: String| one(Diagnostic::user(message).hint(describe(signature)));
    for text in given {
        let given = inputs::parse(text, &names).map_err(|unknown| match unknown {
            inputs::Unread::Name(name) => hinted(format!("no input is called '{name}'")),
            inputs::Unread::Value(diagnostic) => one(diagnostic),
        })?;
        let slot = match &given.name {
            Some(name) => names.iter().position(|n| n == name),
            None => slots.iter().position(Option::is_none),
        };
        match slot {
            Some(slot) if slots[slot].is_some() => {
                return Err(hinted(format!("input '{}' is given twice", names[slot])));
            }
            Some(slot) => {
                check_type(&given, &signature[slot])?;
                slots[slot] = Some(given.value);
            }
            None => {
                let has = count(names.len(), "input");
                return Err(hinted(format!("the model has {has} but more were given")));
            }
        }
    }
    slots
        .into_iter()
        .zip(signature)
        .enumerate()
        .map(|(i, (slot, info))| {
            slot.or_else(|| default(model, i)).ok_or_else(|| {
                let message =
                    format!("input '{}' {} {} is missing", info.name, info.dtype.name(), info.shape_text());
                one(Diagnostic::user(message).hint("give it with --input FILE.npy, or --input NAME=FILE.npy"))
            })
        })
        .collect()
}

/// An input of another type is refused here, where it is known how it was given.
fn check_type(given: &inputs::Given, info: &ValueInfo) -> Result<(), Vec<Diagnostic>> {
    let got = plan_dtype(given.value.dtype);
    if got == info.dtype {
        return Ok(());
    }
    let (name, want) = (&info.name, info.dtype.name());
    let message = format!("input '{name}' has type {}, expected {want} {}", got.name(), info.shape_text());
    let hint = match (&given.source, numpy_name(info.dtype)) {
        (Source::Literal, _) => {
            let dims: String = given.value.dims.iter().map(|d| format!("{d}x")).collect();
            format!("write {dims}{want}=...")
        }
        (Source::File(_), None) => {
            format!("NumPy has no {want}: give a .pb file, or a literal such as 4x{want}=1,2,3,4")
        }
        (Source::File(path), Some(numpy)) if path.extension().is_some_and(|e| e == "npy") => {
            let file = path.display();
            format!("convert it with NumPy: numpy.save('{want}.npy', numpy.load('{file}').astype('{numpy}'))")
        }
        (Source::File(_), Some(numpy)) => {
            format!("convert the array with NumPy's astype('{numpy}') before it is written")
        }
    };
    Err(one(Diagnostic::user(message).hint(hint)))
}

/// NumPy's name of a type; it has no `bfloat16`.
fn numpy_name(dtype: mlcc_runtime::DType) -> Option<&'static str> {
    (dtype != mlcc_runtime::DType::BF16).then(|| dtype.numpy_name())
}

/// What an input is where it is not given.
fn default(model: &Model, input: usize) -> Option<Tensor> {
    let given = model.default_input(input)?;
    Tensor::new(ir_dtype(given.dtype), given.dims.to_vec(), given.data.to_vec().into())
}

fn describe(signature: &[ValueInfo]) -> String {
    let inputs: Vec<String> =
        signature.iter().map(|i| format!("{} {} {}", i.name, i.dtype.name(), i.shape_text())).collect();
    match &inputs[..] {
        [] => "the model takes no inputs".to_owned(),
        [input] => format!("the input is {input}"),
        _ => format!("the inputs are {}", inputs.join("; ")),
    }
}

/// Inputs in memory of the runtime's alignment.
pub(super) fn to_runtime(tensors: &[Tensor]) -> Result<Vec<mlcc_runtime::Tensor>, Vec<Diagnostic>> {
    tensors
        .iter()
        .map(|t| {
            let mut copy =
                mlcc_runtime::Tensor::zeros(plan_dtype(t.dtype), &t.dims).map_err(|e| runtime_error(&e))?;
            copy.data_mut().copy_from_slice(&t.data);
            Ok(copy)
        })
        .collect()
}

/// References to tensors.
pub(super) fn refs(tensors: &[mlcc_runtime::Tensor]) -> Vec<TensorRef<'_>> {
    tensors.iter().map(mlcc_runtime::Tensor::as_ref).collect()
}
