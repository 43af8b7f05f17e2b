//! Loading what `run`, `bench` and `inspect` are given: an artifact, or a model that is compiled on
//! the fly.

use super::{one, runtime_error};
use crate::{
    inputs,
    pipeline::{self, Options, Silent},
};
use mlcc_ir::{diagnostic::Diagnostic, dtype::DType, tensor::Tensor};
use mlcc_runtime::{LoadOptions, Model, TensorRef};
use std::path::{Path, PathBuf};

/// Loads `file` for `threads` threads (0: all CPUs).
pub(super) fn model(file: &Path, threads: usize) -> Result<Model, Vec<Diagnostic>> {
    let options = LoadOptions { threads, ..LoadOptions::default() };
    if file.extension().is_some_and(|e| e == "onnx") {
        let compiled = Temporary::new(file)?;
        pipeline::compile(file, &compiled.0, &Options::default(), &mut Silent)?;
        // The mapping outlives the file's name.
        return Model::load_with(&compiled.0, &options).map_err(|e| runtime_error(&e));
    }
    Model::load_with(file, &options).map_err(|e| runtime_error(&e))
}

/// A file that is removed in the end.
struct Temporary(PathBuf);

impl Temporary {
    fn new(model: &Path) -> Result<Temporary, Vec<Diagnostic>> {
        let stem = model.file_stem().unwrap_or_default().to_string_lossy();
        let folder = std::env::temp_dir().join(format!("mlcc-{}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|e| super::write_error(&folder, &e))?;
        Ok(Temporary(folder.join(format!("{stem}.mlcc"))))
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
    for text in given {
        let given = inputs::parse(text, &names).map_err(one)?;
        let slot = match &given.name {
            Some(name) => names.iter().position(|n| n == name),
            None => slots.iter().position(Option::is_none),
        };
        match slot {
            Some(slot) if slots[slot].is_some() => {
                let message = format!("input '{}' is given twice", names[slot]);
                return Err(one(Diagnostic::user(message).hint(describe(signature))));
            }
            Some(slot) => slots[slot] = Some(given.value),
            None => {
                let message = format!("the model has {} inputs but more were given", names.len());
                return Err(one(Diagnostic::user(message).hint(describe(signature))));
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

/// What an input is where it is not given.
fn default(model: &Model, input: usize) -> Option<Tensor> {
    let given = model.default_input(input)?;
    Tensor::new(ir_dtype(given.dtype), given.dims.to_vec(), given.data.to_vec().into())
}

fn describe(signature: &[mlcc_format::ValueInfo]) -> String {
    let inputs: Vec<String> =
        signature.iter().map(|i| format!("{} {} {}", i.name, i.dtype.name(), i.shape_text())).collect();
    format!("the inputs are {}", inputs.join("; "))
}

/// Inputs in memory of the runtime's alignment.
pub(super) fn to_runtime(tensors: &[Tensor]) -> Result<Vec<mlcc_runtime::Tensor>, Vec<Diagnostic>> {
    tensors
        .iter()
        .map(|t| {
            let mut copy = mlcc_runtime::Tensor::zeros(runtime_dtype(t.dtype), &t.dims)
                .map_err(|e| runtime_error(&e))?;
            copy.data_mut().copy_from_slice(&t.data);
            Ok(copy)
        })
        .collect()
}

/// References to tensors.
pub(super) fn refs(tensors: &[mlcc_runtime::Tensor]) -> Vec<TensorRef<'_>> {
    tensors.iter().map(mlcc_runtime::Tensor::as_ref).collect()
}

pub(super) fn runtime_dtype(dtype: DType) -> mlcc_runtime::DType {
    crate::plan_expr::plan_dtype(dtype)
}

/// The compiler's name of a runtime's element type.
pub(super) fn ir_dtype(dtype: mlcc_runtime::DType) -> DType {
    let same = |d: &DType| runtime_dtype(*d) == dtype;
    DType::ALL.into_iter().find(same).unwrap_or(DType::U8)
}
