//! The cost of a term, in seconds of one core of the target: the roofline of its operator, with fusion in
//! view. Only ratios matter.
//!
//! An elementwise operator joins the kernel of its producer: it is charged its arithmetic and a fraction of
//! its traffic. Values that can be computed when the model is compiled are free. These prices steer the
//! search; the best few graphs are priced again as the kernels that fusion makes of them ([`Prices`]).

use super::{
    facts::Classes,
    term::{Term, special},
};
use mlcc_ir::{
    expr::Expr,
    graph::Graph,
    ops::{self, OpTrait},
    types::TensorType,
};
use mlcc_machine::KernelRates;

/// The costs of graphs on a target, from a caller that can lower them.
pub trait Prices {
    /// The machine's rates; they steer the search for graphs that are worth a price.
    fn rates(&self) -> &KernelRates;

    /// Seconds of a graph; some of its inputs are weights. `None` if it cannot be lowered.
    fn of_graph(&self, graph: &Graph, is_weight: &dyn Fn(usize) -> bool) -> Option<f64>;
}

/// Share of the peak that products of matrices reach.
pub const PRODUCT_SHARE: f64 = 0.95;
/// Part of an intermediate's traffic that fusion does not avoid.
const UNFUSED: f64 = 0.2;
/// Size that a symbolic dimension is priced at.
const NOMINAL: i64 = 64;

/// Seconds for one term, its operands not counted.
pub(super) fn of_term(
    rates: &KernelRates,
    classes: &Classes,
    term: &Term,
    result: &TensorType,
    weight: bool,
) -> f64 {
    if weight {
        return 0.0;
    }
    let ty = |i: usize| term.operands.get(i).map(|o| &classes[*o].data.ty);
    let read: f64 = term.operands.iter().map(|o| bytes(&classes[*o].data.ty)).sum();
    let moved = (read + bytes(result)) / rates.memory_bytes;
    let (flops, kernel) = (rates.flops, rates.kernel);
    let product = |operations: f64| kernel + (operations / (PRODUCT_SHARE * flops)).max(moved);
    match &*term.head.op {
        special::LEAF | special::CONSTANT => 0.0,
        op if ops::is(op, OpTrait::View) => 0.0,
        "matmul" => {
            let a = ty(0).map_or(1.0, |a| {
                let place = if term.head.attrs.bool("transpose_a", false) { 2 } else { 1 };
                a.dims.len().checked_sub(place).map_or(1.0, |at| size(&a.dims[at]))
            });
            product(2.0 * elements(result) * a)
        }
        "conv" => {
            let per_output = ty(1).map_or(1.0, |w| w.dims[1..].iter().map(size).product::<f64>());
            product(2.0 * elements(result) * per_output)
        }
        "einsum" | "conv_transpose" => product(2.0 * elements(result).max(read) * 64.0),
        special::SUM | special::PRODUCT => {
            elements(result) * (term.operands.len() - 1) as f64 / flops + UNFUSED * moved + 0.1 * kernel
        }
        "neg" | "relu" | "abs" | "clip" | "max" | "min" | "cast" | "where" => {
            elements(result) / flops + UNFUSED * moved + 0.1 * kernel
        }
        "transpose" | "slice" | "expand" | "pad" | "concat" | "gather" => UNFUSED * moved + 0.1 * kernel,
        "softmax" | "layer_norm" | "rms_norm" | "log_softmax" => {
            kernel + moved + 20.0 * elements(result) / flops
        }
        "rotary_embedding" => kernel + moved + 4.0 * elements(result) / flops,
        // Division, roots and functions of a series.
        _ => kernel * 0.5 + 12.0 * elements(result) / flops + UNFUSED * moved,
    }
}

/// The number that a dimension is priced at.
#[must_use]
pub fn size(dim: &Expr) -> f64 {
    dim.evaluate(&|_| Some(NOMINAL)).unwrap_or(NOMINAL) as f64
}

/// Number of elements of a tensor, with the sizes of [`size`].
#[must_use]
pub fn elements(ty: &TensorType) -> f64 {
    ty.dims.iter().map(size).product()
}

/// Bytes of a tensor, with the same sizes.
#[must_use]
pub fn bytes(ty: &TensorType) -> f64 {
    elements(ty) * ty.dtype.size() as f64
}
