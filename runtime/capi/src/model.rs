//! The functions of `mlcc.h`: models and contexts.

use crate::convert::{CTensor, CValueInfo, slice};
use crate::status::{Failure, guarded, report};
use mlcc_runtime::{Context, LoadOptions, Model, TensorMut, TensorRef, ValueInfo};
use std::ffi::{CStr, CString, OsStr, c_char};

/// `mlcc_model`: a model and the texts that C reads.
pub struct CModel {
    model: Model,
    inputs: Vec<Texts>,
    outputs: Vec<Texts>,
}

/// `mlcc_context`.
pub struct CContext(Context);

struct Texts {
    name: CString,
    shape: CString,
}

/// The list of the signature that contains a value.
#[derive(Clone, Copy)]
enum Side {
    Input,
    Output,
}

impl CModel {
    fn value(&self, side: Side, index: u32) -> Result<(&ValueInfo, &Texts), Failure> {
        let signature = self.model.signature();
        let (what, values, texts) = match side {
            Side::Input => ("input", &signature.inputs, &self.inputs),
            Side::Output => ("output", &signature.outputs, &self.outputs),
        };
        values.get(index as usize).zip(texts.get(index as usize)).ok_or_else(|| {
            Failure::argument(format!("there is no {what} {index}, the model has {}", values.len()))
        })
    }
}

/// The object behind a pointer.
///
/// # Safety
/// The pointer is NULL or to an object that lives as long as `'a`.
unsafe fn object<'a, T>(pointer: *const T, what: &str) -> Result<&'a T, Failure> {
    // SAFETY: as the caller promises.
    unsafe { pointer.as_ref() }.ok_or_else(|| Failure::argument(format!("{what} is NULL")))
}

/// Writes a function's result through a pointer.
///
/// # Safety
/// The pointer is NULL or can be written.
unsafe fn give<T>(pointer: *mut T, value: T, what: &str) -> Result<(), Failure> {
    match pointer.is_null() {
        true => Err(Failure::argument(format!("{what} is NULL"))),
        false => {
            // SAFETY: as the caller promises.
            unsafe { pointer.write(value) };
            Ok(())
        }
    }
}

/// See `mlcc.h`.
#[unsafe(no_mangle)]
pub extern "C" fn mlcc_interface_version() -> u32 {
    1
}

/// See `mlcc.h`.
///
/// # Safety
/// `path` is NULL or zero-terminated; `model` and `error` are NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mlcc_model_load(
    path: *const c_char,
    threads: u32,
    model: *mut *mut CModel,
    error: *mut *mut c_char,
) -> i32 {
    // SAFETY: as the caller promises.
    unsafe { mlcc_model_load_with(path, threads, 0, model, error) }
}

/// `MLCC_TRUST_WEIGHTS`, a flag of [`mlcc_model_load_with`].
const TRUST_WEIGHTS: u32 = 1;

/// See `mlcc.h`.
///
/// # Safety
/// As [`mlcc_model_load`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mlcc_model_load_with(
    path: *const c_char,
    threads: u32,
    flags: u32,
    model: *mut *mut CModel,
    error: *mut *mut c_char,
) -> i32 {
    let load = || {
        if flags & !TRUST_WEIGHTS != 0 {
            return Err(Failure::argument(format!("{flags:#x} has bits that are no mlcc_load_flags")));
        }
        if path.is_null() {
            return Err(Failure::argument("path is NULL"));
        }
        // SAFETY: it is zero-terminated.
        let path = path_of(unsafe { CStr::from_ptr(path) })?;
        let options = LoadOptions {
            threads: threads as usize,
            trust_weights: flags & TRUST_WEIGHTS != 0,
            ..LoadOptions::default()
        };
        let loaded = Model::load_with(path, &options)?;
        let text = |text: String| CString::new(text.replace('\0', "?")).unwrap_or_default();
        let texts = |values: &[ValueInfo]| {
            let texts = |v: &ValueInfo| Texts { name: text(v.name.clone()), shape: text(v.shape_text()) };
            values.iter().map(texts).collect::<Vec<_>>()
        };
        let signature = loaded.signature();
        let (inputs, outputs) = (texts(&signature.inputs), texts(&signature.outputs));
        let boxed = Box::new(CModel { model: loaded, inputs, outputs });
        if model.is_null() {
            return Err(Failure::argument("model is NULL"));
        }
        // SAFETY: it is not NULL, so it can be written.
        unsafe { model.write(Box::into_raw(boxed)) };
        Ok(())
    };
    // SAFETY: as the caller promises.
    unsafe { report(error, load) }
}

#[cfg(unix)]
fn path_of(path: &CStr) -> Result<&OsStr, Failure> {
    Ok(std::os::unix::ffi::OsStrExt::from_bytes(path.to_bytes()))
}

#[cfg(not(unix))]
fn path_of(path: &CStr) -> Result<&OsStr, Failure> {
    path.to_str().map(OsStr::new).map_err(|_| Failure::argument("path is not UTF-8"))
}

/// See `mlcc.h`.
///
/// # Safety
/// `model` is NULL, or came from [`mlcc_model_load`] and is not used by anybody any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mlcc_model_free(model: *mut CModel) {
    if !model.is_null() {
        // SAFETY: it came from `Box::into_raw`, and nobody uses it any more.
        guarded(|| drop(unsafe { Box::from_raw(model) }));
    }
}

/// See `mlcc.h`.
///
/// # Safety
/// `model` is NULL or a model.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mlcc_model_input_count(model: *const CModel) -> u32 {
    // SAFETY: as the caller promises.
    guarded(|| unsafe { model.as_ref() }.map_or(0, |model| model.inputs.len() as u32))
}

/// See `mlcc.h`.
///
/// # Safety
/// `model` is NULL or a model.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mlcc_model_output_count(model: *const CModel) -> u32 {
    // SAFETY: as the caller promises.
    guarded(|| unsafe { model.as_ref() }.map_or(0, |model| model.outputs.len() as u32))
}

/// See `mlcc.h`.
///
/// # Safety
/// `model` is NULL or a model; `info` and `error` are NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mlcc_model_input(
    model: *const CModel,
    index: u32,
    info: *mut CValueInfo,
    error: *mut *mut c_char,
) -> i32 {
    // SAFETY: as the caller promises.
    unsafe { report(error, || describe(model, Side::Input, index, info)) }
}

/// See `mlcc.h`.
///
/// # Safety
/// As [`mlcc_model_input`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mlcc_model_output(
    model: *const CModel,
    index: u32,
    info: *mut CValueInfo,
    error: *mut *mut c_char,
) -> i32 {
    // SAFETY: as the caller promises.
    unsafe { report(error, || describe(model, Side::Output, index, info)) }
}

/// # Safety
/// `model` is NULL or a model; `info` is NULL or can be written.
unsafe fn describe(
    model: *const CModel,
    side: Side,
    index: u32,
    info: *mut CValueInfo,
) -> Result<(), Failure> {
    // SAFETY: as the caller promises.
    let (value, texts) = unsafe { object(model, "model")? }.value(side, index)?;
    let description = CValueInfo {
        name: texts.name.as_ptr(),
        shape: texts.shape.as_ptr(),
        rank: value.dims.len() as u32,
        dtype: value.dtype.onnx_code(),
    };
    // SAFETY: as the caller promises.
    unsafe { give(info, description, "info") }
}

/// See `mlcc.h`.
///
/// # Safety
/// `model` is NULL or a model; `dims` has room for the input's rank; `error` is NULL or can be
/// written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mlcc_model_input_dims(
    model: *const CModel,
    index: u32,
    dims: *mut i64,
    error: *mut *mut c_char,
) -> i32 {
    // SAFETY: as the caller promises.
    unsafe { report(error, || static_dims(model, Side::Input, index, dims)) }
}

/// See `mlcc.h`.
///
/// # Safety
/// As [`mlcc_model_input_dims`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mlcc_model_output_dims(
    model: *const CModel,
    index: u32,
    dims: *mut i64,
    error: *mut *mut c_char,
) -> i32 {
    // SAFETY: as the caller promises.
    unsafe { report(error, || static_dims(model, Side::Output, index, dims)) }
}

/// # Safety
/// `model` is NULL or a model; `dims` is NULL or has room for the value's rank.
unsafe fn static_dims(model: *const CModel, side: Side, index: u32, dims: *mut i64) -> Result<(), Failure> {
    // SAFETY: as the caller promises.
    let (value, _) = unsafe { object(model, "model")? }.value(side, index)?;
    for (i, dim) in value.dims.iter().enumerate() {
        // SAFETY: `i` is within the rank.
        unsafe { give(dims.wrapping_add(i), dim.expr.as_const().unwrap_or(-1), "dims")? };
    }
    Ok(())
}

/// See `mlcc.h`.
///
/// # Safety
/// `model` is NULL or a model; `inputs` points to `input_count` tensors with their dims; `dims` has
/// room for the output's rank; `error` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mlcc_model_output_dims_for(
    model: *const CModel,
    inputs: *const CTensor,
    input_count: u32,
    index: u32,
    dims: *mut i64,
    error: *mut *mut c_char,
) -> i32 {
    let write = || {
        // SAFETY: as the caller promises.
        let (model, inputs) =
            unsafe { (object(model, "model")?, slice(inputs, input_count as usize, "inputs")?) };
        let (value, _) = model.value(Side::Output, index)?;
        // SAFETY: as the caller promises.
        let shapes: Result<Vec<&[i64]>, Failure> = inputs.iter().map(|t| unsafe { t.dims() }).collect();
        let found = model.model.output_shapes(&shapes?)?.swap_remove(index as usize);
        let found =
            found.unwrap_or_else(|| value.dims.iter().map(|d| d.expr.as_const().unwrap_or(-1)).collect());
        for (i, dim) in found.into_iter().enumerate() {
            // SAFETY: `i` is within the rank.
            unsafe { give(dims.wrapping_add(i), dim, "dims")? };
        }
        Ok(())
    };
    // SAFETY: as the caller promises.
    unsafe { report(error, write) }
}

/// See `mlcc.h`.
///
/// # Safety
/// `model` is NULL or a model; `inputs` and `outputs` point to that many tensors, whose dims and data
/// have the sizes they state; nobody else looks at the outputs' data; `error` is NULL or can be
/// written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mlcc_model_run(
    model: *const CModel,
    inputs: *const CTensor,
    input_count: u32,
    outputs: *const CTensor,
    output_count: u32,
    error: *mut *mut c_char,
) -> i32 {
    let run = || {
        // SAFETY: as the caller promises.
        let model = unsafe { object(model, "model")? };
        // SAFETY: as the caller promises.
        let (inputs, mut outputs) = unsafe { tensors(inputs, input_count, outputs, output_count)? };
        Ok(model.model.run(&inputs, &mut outputs)?)
    };
    // SAFETY: as the caller promises.
    unsafe { report(error, run) }
}

/// # Safety
/// As [`mlcc_model_run`] demands of its tensors.
unsafe fn tensors<'a>(
    inputs: *const CTensor,
    input_count: u32,
    outputs: *const CTensor,
    output_count: u32,
) -> Result<(Vec<TensorRef<'a>>, Vec<TensorMut<'a>>), Failure> {
    // SAFETY: as the caller promises.
    let (inputs, outputs) = unsafe {
        (slice(inputs, input_count as usize, "inputs")?, slice(outputs, output_count as usize, "outputs")?)
    };
    // SAFETY: as the caller promises.
    let inputs = inputs.iter().map(|tensor| unsafe { tensor.input() }).collect::<Result<_, _>>()?;
    // SAFETY: as the caller promises.
    let outputs = outputs.iter().map(|tensor| unsafe { tensor.output() }).collect::<Result<_, _>>()?;
    Ok((inputs, outputs))
}

/// See `mlcc.h`.
///
/// # Safety
/// `model` is NULL or a model; `context` and `error` are NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mlcc_context_new(
    model: *const CModel,
    context: *mut *mut CContext,
    error: *mut *mut c_char,
) -> i32 {
    let new = || {
        // SAFETY: as the caller promises.
        let made = unsafe { object(model, "model")? }.model.context()?;
        if context.is_null() {
            return Err(Failure::argument("context is NULL"));
        }
        // SAFETY: it is not NULL, so it can be written.
        unsafe { context.write(Box::into_raw(Box::new(CContext(made)))) };
        Ok(())
    };
    // SAFETY: as the caller promises.
    unsafe { report(error, new) }
}

/// See `mlcc.h`.
///
/// # Safety
/// `context` is NULL, or came from [`mlcc_context_new`] and is not used by anybody any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mlcc_context_free(context: *mut CContext) {
    if !context.is_null() {
        // SAFETY: it came from `Box::into_raw`, and nobody uses it any more.
        guarded(|| drop(unsafe { Box::from_raw(context) }));
    }
}

/// See `mlcc.h`.
///
/// # Safety
/// As [`mlcc_model_run`]; nobody else uses the context meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mlcc_context_run(
    context: *mut CContext,
    inputs: *const CTensor,
    input_count: u32,
    outputs: *const CTensor,
    output_count: u32,
    error: *mut *mut c_char,
) -> i32 {
    let run = || {
        // SAFETY: as the caller promises.
        let Some(context) = (unsafe { context.as_mut() }) else {
            return Err(Failure::argument("context is NULL"));
        };
        // SAFETY: as the caller promises.
        let (inputs, mut outputs) = unsafe { tensors(inputs, input_count, outputs, output_count)? };
        Ok(context.0.run(&inputs, &mut outputs)?)
    };
    // SAFETY: as the caller promises.
    unsafe { report(error, run) }
}
