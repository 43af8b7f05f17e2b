//! Checks the caller's tensors against the signature and finds the values of the symbols.

use crate::error::Error;
use crate::tensor::byte_size;
use mlcc_format::{Condition, DType, Expr, Manifest, Plan, SymbolDef, ValueInfo};
use std::fmt::Write;

/// Whether a value goes in or comes out, for messages.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Input,
    Output,
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Side::Input => "input",
            Side::Output => "output",
        }
    }
}

/// Refuses a number of values that differs from the signature's.
pub(crate) fn count(side: Side, values: &[ValueInfo], got: usize) -> Result<(), Error> {
    if values.len() == got {
        return Ok(());
    }
    let names: Vec<String> =
        values.iter().map(|v| format!("'{}' {} {}", v.name, v.dtype, v.shape_text())).collect();
    Err(Error::Count { what: side.name(), expected: values.len(), names: names.join(", "), got })
}

/// The inputs in order. If the caller gives just the inputs without a default, the defaults are added;
/// otherwise the given tensors are all the inputs.
pub(crate) fn with_defaults<T: Copy>(
    values: &[ValueInfo],
    given: &[T],
    default: impl Fn(usize) -> Option<T>,
) -> Result<Vec<T>, Error> {
    let required = values.iter().filter(|value| value.default.is_none()).count();
    if given.len() != required {
        count(Side::Input, values, given.len())?;
        return Ok(given.to_vec());
    }
    let mut rest = given.iter().copied();
    let complete = values.iter().enumerate().map(|(i, value)| match value.default {
        Some(_) => default(i),
        None => rest.next(),
    });
    let complete: Option<Vec<T>> = complete.collect();
    complete.ok_or_else(|| Error::Size { what: "a default".into(), problem: "it is not there".into() })
}

/// Refuses a tensor whose type is wrong, whose size does not match its shape, or whose data is not aligned.
pub(crate) fn tensor(
    side: Side,
    value: &ValueInfo,
    dtype: DType,
    dims: &[i64],
    data: &[u8],
) -> Result<(), Error> {
    if dtype != value.dtype {
        return Err(Error::DType {
            what: side.name(),
            name: value.name.clone(),
            expected: value.dtype.name(),
            shape: value.shape_text(),
            got: dtype.name(),
        });
    }
    let problem = match byte_size(dtype, dims) {
        None => {
            return Err(shape(side, value, dims, "a dimension is negative or the whole is too large".into()));
        }
        Some(bytes) if bytes != data.len() as u64 => {
            format!("the buffer has {} bytes, {dtype} {dims:?} takes {bytes}", data.len())
        }
        // An empty buffer is never read, so its address is arbitrary.
        Some(bytes) if bytes > 0 && !(data.as_ptr() as usize).is_multiple_of(dtype.size()) => {
            format!("the buffer is not aligned to its elements of {} bytes", dtype.size())
        }
        Some(_) => return Ok(()),
    };
    Err(Error::Buffer { what: side.name(), name: value.name.clone(), problem })
}

fn shape(side: Side, value: &ValueInfo, dims: &[i64], because: String) -> Error {
    Error::Shape {
        what: side.name(),
        name: value.name.clone(),
        expected: value.shape_text(),
        got: format!("{dims:?}"),
        because,
    }
}

/// Writes to `symbols` the values of all symbols that follow from the shapes of the inputs; symbols that
/// depend on data get 0. Checks the shapes against the signature.
pub(crate) fn symbols(
    plan: &Plan,
    manifest: &Manifest,
    dependent: &[bool],
    shapes: &[&[i64]],
    symbols: &mut Vec<i64>,
) -> Result<(), Error> {
    let inputs = &manifest.signature.inputs;
    for (value, dims) in inputs.iter().zip(shapes) {
        if dims.len() != value.dims.len() {
            let because = format!(
                "{} dimension{} instead of {}",
                dims.len(),
                if dims.len() == 1 { "" } else { "s" },
                value.dims.len()
            );
            return Err(shape(Side::Input, value, dims, because));
        }
        if dims.iter().any(|dim| *dim < 0) {
            return Err(shape(Side::Input, value, dims, "a dimension is negative".into()));
        }
    }
    symbols.clear();
    for (id, def) in plan.symbols.iter().enumerate() {
        let value = match def {
            SymbolDef::InputDim { input, dim } => shapes[*input as usize][*dim as usize],
            SymbolDef::Computed(expr) if !dependent[id] => {
                evaluate(expr, symbols, || format!("symbol '{}'", manifest.symbols[id]))?
            }
            _ => 0,
        };
        symbols.push(value);
    }
    for (value, dims) in inputs.iter().zip(shapes) {
        same_shape(Side::Input, manifest, value, dims, symbols)?;
    }
    Ok(())
}

/// Refuses a shape that differs from the signature's under these values of the symbols.
pub(crate) fn same_shape(
    side: Side,
    manifest: &Manifest,
    value: &ValueInfo,
    dims: &[i64],
    symbols: &[i64],
) -> Result<(), Error> {
    let mut same = dims.len() == value.dims.len();
    for (dim, got) in value.dims.iter().zip(dims) {
        same &= evaluate(&dim.expr, symbols, || format!("the shape of '{}'", value.name))? == *got;
    }
    match same {
        true => Ok(()),
        false => {
            Err(shape(side, value, dims, values_of(value.dims.iter().map(|d| &d.expr), manifest, symbols)))
        }
    }
}

/// Tests the conditions that the plan puts on the symbols.
pub(crate) fn checks(plan: &Plan, manifest: &Manifest, symbols: &[i64]) -> Result<(), Error> {
    for check in &plan.checks {
        let value = |expr: &Expr| evaluate(expr, symbols, || check.message.clone());
        let (holds, exprs) = match &check.condition {
            Condition::Equal(a, b) => (value(a)? == value(b)?, vec![a, b]),
            Condition::Range { value: expr, min, max } => ((*min..=*max).contains(&value(expr)?), vec![expr]),
        };
        if !holds {
            let values = values_of(exprs.into_iter(), manifest, symbols);
            return Err(Error::Check { message: check.message.clone(), values });
        }
    }
    Ok(())
}

/// The value of an expression; `what` names the thing whose size it is.
pub(crate) fn evaluate(expr: &Expr, symbols: &[i64], what: impl FnOnce() -> String) -> Result<i64, Error> {
    expr.eval(symbols).map_err(|error| Error::Size { what: what(), problem: error.to_string() })
}

/// The symbols that occur, with their values: `batch = 2, length = 5`.
fn values_of<'a>(exprs: impl Iterator<Item = &'a Expr>, manifest: &Manifest, symbols: &[i64]) -> String {
    let mut ids = Vec::new();
    exprs.for_each(|expr| expr.for_each_symbol(&mut |id| ids.push(id as usize)));
    ids.sort_unstable();
    ids.dedup();
    let mut text = String::new();
    for id in ids {
        let separator = if text.is_empty() { "" } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(text, "{separator}{} = {}", manifest.symbols[id], symbols[id]);
    }
    text
}
