//! Losses of classification.

use crate::{
    call::{Call, malformed},
    registry::{Import::Function, Operator},
};
use mlcc_ir::{diagnostic::Result, expr::Expr, graph::ValueId};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("NegativeLogLikelihoodLoss", 12, Function(negative_log_likelihood)),
    Operator::new("SoftmaxCrossEntropyLoss", 12, Function(softmax_cross_entropy)),
];

fn negative_log_likelihood(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let log_probabilities = call.input(0)?;
    Ok(vec![loss(call, log_probabilities)?])
}

fn softmax_cross_entropy(call: &mut Call<'_, '_>) -> Result<Vec<ValueId>> {
    let scores = call.input(0)?;
    if call.rank(scores) < 2 {
        return Err(malformed("the scores have no dimension of classes"));
    }
    let log_probabilities = call.along("log_softmax", &[scores], 1)?;
    Ok(vec![loss(call, log_probabilities)?, log_probabilities])
}

/// `-x[n, target[n, ...], ...]`, weighted by class, without ignored positions, then reduced. Operand
/// 1 is the target, operand 2 the weights.
fn loss(call: &mut Call<'_, '_>, x: ValueId) -> Result<ValueId> {
    let target = call.input(1)?;
    if call.rank(x) < 2 || call.rank(target) + 1 != call.rank(x) {
        return Err(malformed(format!("a target of type {} for {}", call.ty(target), call.ty(x))));
    }
    let dims = call.dims(target);
    let zero = call.scalar_like(x, 0.0);
    let ignored = match call.attributes.int("ignore_index")? {
        Some(index) => {
            let dtype = call.dtype(target);
            let index = call.int_scalar(dtype, index);
            Some(call.binary("equal", target, index)?)
        }
        None => None,
    };
    // The ignored class need not be a valid class, so class 0 replaces it.
    let class = match ignored {
        Some(ignored) => {
            let first = call.scalar_like(target, 0.0);
            call.select(ignored, first, target)?
        }
        None => target,
    };
    let mut column = dims.clone();
    column.insert(1, Expr::from(1));
    let positions = call.reshape(class, column)?;
    let chosen = call.along("gather_elements", &[x, positions], 1)?;
    let chosen = call.reshape(chosen, dims.clone())?;
    let mut loss = call.unary("neg", chosen)?;
    let mut weight = match call.optional(2) {
        Some(weights) => Some(call.along("gather", &[weights, class], 0)?),
        None if ignored.is_some() => Some(call.scalar_like(x, 1.0)),
        None => None,
    };
    if let (Some(given), Some(ignored)) = (weight, ignored) {
        weight = Some(call.select(ignored, zero, given)?);
        loss = call.select(ignored, zero, loss)?;
    }
    if let Some(weight) = weight {
        loss = call.binary("mul", weight, loss)?;
    }
    let axes: Vec<usize> = (0..dims.len()).collect();
    match call.text("reduction", "mean")? {
        "none" => Ok(loss),
        "sum" => call.reduce("reduce_sum", loss, &axes, false),
        "mean" => match weight {
            Some(weight) => {
                let sum = call.reduce("reduce_sum", loss, &axes, false)?;
                let weights = call.reduce("reduce_sum", weight, &axes, false)?;
                call.binary("div", sum, weights)
            }
            None => call.reduce("reduce_mean", loss, &axes, false),
        },
        other => Err(malformed(format!("attribute 'reduction' is '{other}' instead of none, sum or mean"))),
    }
}
