//! The graph level: operators on whole tensors.
//!
//! One file per family under `graph/`, as in [`mlcc_ir::ops`]. Floats are accumulated in `f64` and
//! rounded once per operator.

mod contraction;
mod convolution;
mod elementwise;
mod generators;
mod indexing;
mod movement;
mod normalisation;
mod pooling;
mod quantisation;
mod reduction;
mod resampling;
mod rotary;
mod run;
mod scatter;

pub(crate) use run::check;
pub use run::run;

use crate::array::count;
use mlcc_ir::{
    attributes::{Attr, Attrs},
    diagnostic::{Diagnostic, Result},
    dtype::DType,
    expr::Expr,
    ops::{self, Inferred, Operand},
    tensor::{Element, Tensor},
    types::TensorType,
};

/// Larger results are refused instead of exhausting the memory.
const MAX_BYTES: usize = 1 << 36;

/// An operator with its operands, checked by inference.
struct Call<'a> {
    op: &'a str,
    attrs: &'a Attrs,
    operands: &'a [Option<Tensor>],
    results: Vec<(DType, Vec<i64>)>,
}

/// Results of an operator, one for each type in `results`.
///
/// # Errors
/// If operands and attributes do not fit the operator, an index is out of range, or the results do not
/// have the types wanted.
pub fn evaluate(
    op: &str,
    attrs: &Attrs,
    operands: &[Option<Tensor>],
    results: &[TensorType],
) -> Result<Vec<Tensor>> {
    let types: Vec<Option<TensorType>> = operands.iter().map(|o| o.as_ref().map(Tensor::ty)).collect();
    let known = types
        .iter()
        .zip(operands)
        .map(|(ty, constant)| Some(Operand { ty: ty.as_ref()?, known: None, constant: constant.as_ref() }));
    let inferred = ops::infer(op, attrs, &known.collect::<Vec<_>>())?;
    let found = inferred.iter().map(static_result).collect::<Result<Vec<_>>>()?;
    if results.len() > found.len() {
        return Err(Diagnostic::user(format!("'graph.{op}' has only {} results", found.len())));
    }
    for ((dtype, dims), wanted) in found.iter().zip(results) {
        if *dtype != wanted.dtype || Some(dims) != wanted.static_dims().as_ref() {
            let found = TensorType::of(*dtype, dims);
            return Err(Diagnostic::user(format!("a result of 'graph.{op}' is {found}, not {wanted}")));
        }
        if count(dims).checked_mul(dtype.size()).is_none_or(|bytes| bytes > MAX_BYTES) {
            return Err(Diagnostic::user(format!("a result of 'graph.{op}' is too large: {wanted}")));
        }
    }
    let call = Call { op, attrs, operands, results: found };
    let mut tensors = dispatch(&call)?;
    tensors.truncate(results.len());
    Ok(tensors)
}

fn static_result(inferred: &Inferred) -> Result<(DType, Vec<i64>)> {
    let dims = inferred.ty.static_dims();
    let dims =
        dims.ok_or_else(|| Diagnostic::user(format!("a result's size is not known: {}", inferred.ty)))?;
    Ok((inferred.ty.dtype, dims))
}

fn dispatch(call: &Call<'_>) -> Result<Vec<Tensor>> {
    match call.op {
        "matmul" => contraction::matmul(call),
        "einsum" => contraction::einsum(call),
        "conv" => convolution::conv(call),
        "conv_transpose" => convolution::conv_transpose(call),
        "max_pool" => pooling::max_pool(call),
        "average_pool" | "lp_pool" => pooling::mean_pool(call),
        "reduce_sum" | "reduce_mean" | "reduce_max" | "reduce_min" | "reduce_prod" => reduction::reduce(call),
        "arg_max" | "arg_min" => reduction::arg(call),
        "softmax" | "log_softmax" | "hardmax" => reduction::softmax(call),
        "cumsum" | "cumprod" => reduction::cumulative(call),
        "layer_norm" | "rms_norm" => normalisation::over_last_axes(call),
        "batch_norm" => normalisation::batch_norm(call),
        "instance_norm" | "group_norm" => normalisation::over_groups(call),
        "lrn" => normalisation::lrn(call),
        "rotary_embedding" => rotary::rotary_embedding(call),
        "identity" | "reshape" => movement::reshape(call),
        "transpose" => movement::transpose(call),
        "concat" => movement::concat(call),
        "slice" => movement::slice(call),
        "pad" => movement::pad(call),
        "expand" => movement::expand(call),
        "tile" => movement::tile(call),
        "trilu" => movement::trilu(call),
        "reverse_sequence" => movement::reverse_sequence(call),
        "resize" => resampling::resize(call),
        "grid_sample" => resampling::grid_sample(call),
        "gather" => indexing::gather(call),
        "gather_elements" => indexing::gather_elements(call),
        "gather_nd" => indexing::gather_nd(call),
        "one_hot" => indexing::one_hot(call),
        "top_k" => indexing::top_k(call),
        "scatter_elements" => scatter::scatter_elements(call),
        "scatter_nd" => scatter::scatter_nd(call),
        "range" => generators::range(call),
        "dims" => generators::dims(call),
        "eye" => generators::eye(call),
        "quantize_linear" => quantisation::quantize(call),
        "dequantize_linear" => quantisation::dequantize(call),
        _ => elementwise::evaluate(call),
    }
}

impl<'a> Call<'a> {
    /// Operand `i`, if present.
    fn optional(&self, i: usize) -> Option<&'a Tensor> {
        self.operands.get(i).and_then(Option::as_ref)
    }

    /// Operand `i`.
    fn operand(&self, i: usize) -> Result<&'a Tensor> {
        self.optional(i)
            .ok_or_else(|| Diagnostic::user(format!("operand {i} of 'graph.{}' is missing", self.op)))
    }

    /// Element type of the first result.
    fn dtype(&self) -> DType {
        self.results[0].0
    }

    /// Dimensions of the first result.
    fn dims(&self) -> &[i64] {
        &self.results[0].1
    }

    /// The axis `name`.
    fn axis(&self, name: &str) -> usize {
        self.attrs.int(name, 0).max(0) as usize
    }

    /// The integers `name`, `default` repeated where absent.
    fn ints(&self, name: &str, count: usize, default: i64) -> Vec<i64> {
        self.attrs.ints(name).map_or_else(|| vec![default; count], <[i64]>::to_vec)
    }

    /// The constants of the symbolic integers `name`; zeros where absent.
    fn sizes(&self, name: &str, count: usize) -> Result<Vec<i64>> {
        if let Some(Attr::Int(v)) = self.attrs.get(name) {
            return Ok(vec![*v]);
        }
        let Some(exprs) = self.attrs.exprs(name) else { return Ok(vec![0; count]) };
        let value = |e: &Expr| {
            e.as_const().ok_or_else(|| {
                Diagnostic::user(format!("'{e}' of attribute '{name}' is not bound to a value"))
            })
        };
        exprs.iter().map(value).collect()
    }

    /// An error for a function that does not exist on an element type.
    fn no_function(&self) -> Diagnostic {
        Diagnostic::user(format!("'graph.{}' is not defined on {}", self.op, self.dtype()))
    }
}

/// An index that may count from the end, checked.
fn wrap_index(index: Element, size: i64) -> Result<usize> {
    let i = match index {
        Element::UInt(v) => i64::try_from(v).unwrap_or(i64::MAX),
        other => other.to_i64(),
    };
    let wrapped = if i < 0 { i.saturating_add(size) } else { i };
    if (0..size).contains(&wrapped) {
        return Ok(wrapped as usize);
    }
    Err(Diagnostic::user(format!("index {i} is out of range for {size} elements")))
}

#[cfg(test)]
mod tests;
