//! What a term costs, in seconds of a nominal machine: the roofline of its operator, with fusion in view.
//! Only ratios matter.
//!
//! An elementwise operator rides along in the kernel of its producer: it is charged its arithmetic and a fraction of
//! its traffic. What can be computed when the model is compiled is free. These prices steer the search; the best few
//! graphs are priced again as the kernels that fusion makes of them ([`super::price`]).

use super::{
    facts::Classes,
    term::{Term, special},
};
use mlcc_ir::types::TensorType;

/// Multiply-adds count two.
pub(super) const FLOPS: f64 = 100e9;
/// Bytes a second from beyond the second cache.
pub(super) const BYTES: f64 = 30e9;
/// Start of a kernel.
pub(super) const KERNEL: f64 = 0.4e-6;
/// Part of an intermediate's traffic that fusion does not avoid.
const UNFUSED: f64 = 0.2;
/// Size that a symbolic dimension is priced at.
const NOMINAL: i64 = 64;

/// Seconds for one term, its operands not counted.
pub(super) fn of_term(classes: &Classes, term: &Term, result: &TensorType, weight: bool) -> f64 {
    if weight {
        return 0.0;
    }
    let ty = |i: usize| term.operands.get(i).map(|o| &classes[*o].data.ty);
    let read: f64 = term.operands.iter().map(|o| bytes(&classes[*o].data.ty)).sum();
    let moved = (read + bytes(result)) / BYTES;
    match &*term.head.op {
        special::LEAF | special::CONSTANT | "reshape" | "identity" => 0.0,
        "matmul" => {
            let a = ty(0).map_or(1.0, |a| {
                let place = if term.head.attrs.bool("transpose_a", false) { 2 } else { 1 };
                a.dims.len().checked_sub(place).map_or(1.0, |at| size(&a.dims[at]))
            });
            KERNEL + (2.0 * elements(result) * a / FLOPS).max(moved)
        }
        "conv" => {
            let per_output = ty(1).map_or(1.0, |w| w.dims[1..].iter().map(size).product::<f64>());
            KERNEL + (2.0 * elements(result) * per_output / FLOPS).max(moved)
        }
        "einsum" | "conv_transpose" => KERNEL + (2.0 * elements(result).max(read) * 64.0 / FLOPS).max(moved),
        special::SUM | special::PRODUCT => {
            elements(result) * (term.operands.len() - 1) as f64 / FLOPS + UNFUSED * moved + 0.1 * KERNEL
        }
        "neg" | "relu" | "abs" | "clip" | "max" | "min" | "cast" | "where" => {
            elements(result) / FLOPS + UNFUSED * moved + 0.1 * KERNEL
        }
        "transpose" | "slice" | "expand" | "pad" | "concat" | "gather" => UNFUSED * moved + 0.1 * KERNEL,
        "softmax" | "layer_norm" | "rms_norm" | "log_softmax" => {
            KERNEL + moved + 20.0 * elements(result) / FLOPS
        }
        "rotary_embedding" => KERNEL + moved + 4.0 * elements(result) / FLOPS,
        // Division, roots and functions of a series.
        _ => KERNEL * 0.5 + 12.0 * elements(result) / FLOPS + UNFUSED * moved,
    }
}

fn size(dim: &mlcc_ir::expr::Expr) -> f64 {
    dim.evaluate(&|_| Some(NOMINAL)).unwrap_or(NOMINAL) as f64
}

pub(super) fn elements(ty: &TensorType) -> f64 {
    ty.dims.iter().map(size).product()
}

pub(super) fn bytes(ty: &TensorType) -> f64 {
    elements(ty) * ty.dtype.size() as f64
}
