//! Control flow: the bodies of `if` and `loop` become blocks of steps.

use super::{
    kernels::{axes_over, indices},
    lower_nodes,
    lowering::{Lowering, Scope},
    scalars::Scalars,
};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    dtype::DType,
    expr::Expr,
    graph::{Def, Graph, ValueId},
    program::{Step, Storage, TensorId},
    tensor::Tensor,
    types::TensorType,
};

/// Lowers a control-flow operator; `None` if the operator is none.
pub(super) fn lower(op: &mut Lowering<'_, '_>) -> Option<Result<()>> {
    match op.name() {
        "if" => Some(lower_if(op)),
        "loop" => Some(lower_loop(op)),
        _ => None,
    }
}

/// Lowers a body with the given tensors for its inputs: its steps, and the tensors of its outputs.
fn lower_body<'g>(
    op: &mut Lowering<'_, 'g>,
    body: &'g Graph,
    inputs: &[TensorId],
) -> Result<(Vec<Step>, Vec<TensorId>)> {
    let mut bound = vec![None; body.values.len()];
    for (&value, &tensor) in body.inputs.iter().zip(inputs) {
        bound[value.0 as usize] = Some(tensor);
    }
    for (at, value) in body.values.iter().enumerate() {
        if let Def::Captured(outer) = value.def {
            bound[at] = Some(op.scope.tensor(outer)?);
        }
    }
    let program = std::mem::take(&mut op.scope.program);
    let mut scope = Scope::new(body, program);
    scope.tensors = bound;
    let before = std::mem::take(&mut scope.program.steps);
    let lowered = lower_nodes(&mut scope)
        .and_then(|()| body.outputs.iter().map(|(_, o)| scope.tensor(*o)).collect::<Result<Vec<_>>>());
    let steps = std::mem::replace(&mut scope.program.steps, before);
    op.scope.program = scope.program;
    Ok((steps, lowered?))
}

fn body<'g>(op: &Lowering<'_, 'g>, i: usize) -> Result<&'g Graph> {
    op.node
        .regions
        .get(i)
        .ok_or_else(|| Diagnostic::internal(format!("'graph.{}' lacks body {i}", op.node.op)))
}

/// A copy between tensors of one type.
fn copy(op: &Lowering<'_, '_>, target: TensorId, source: TensorId) -> Result<Step> {
    let ty = |t: TensorId| &op.scope.program.tensors[t].ty;
    if ty(target) == ty(source) {
        return Ok(Step::Copy { target, source });
    }
    let why = format!("a body's result is {}, but {} is wanted", ty(source), ty(target));
    Err(op
        .unsupported(&why)
        .hint("give the inputs static shapes with --shape, or export the model without it"))
}

/// Runs one of two bodies; both copy into the results.
fn lower_if(op: &mut Lowering<'_, '_>) -> Result<()> {
    let condition = op.scope.tensor(op.operand(0)?)?;
    let results = op.node.results.iter().map(|&r| op.scope.tensor(r)).collect::<Result<Vec<TensorId>>>()?;
    let mut blocks = Vec::with_capacity(2);
    for i in 0..2 {
        let (mut steps, outputs) = lower_body(op, body(op, i)?, &[])?;
        for (&target, &source) in results.iter().zip(&outputs) {
            steps.push(copy(op, target, source)?);
        }
        blocks.push(steps);
    }
    let (Some(otherwise), Some(then)) = (blocks.pop(), blocks.pop()) else {
        return Err(Diagnostic::internal("'graph.if' lacks a body"));
    };
    op.scope.program.steps.push(Step::If { condition, then, otherwise });
    Ok(())
}

/// A tensor that lives while the program runs.
fn intermediate(op: &mut Lowering<'_, '_>, name: &str, ty: TensorType) -> TensorId {
    let name = format!("{}/{name}", op.node.location.node);
    op.scope.program.add_tensor(name, ty, Storage::Intermediate)
}

/// Runs a body again and again. Carried values live in tensors of their own; the body reads them, and its end
/// overwrites them. Scanned values are written to their place in the result.
fn lower_loop(op: &mut Lowering<'_, '_>) -> Result<()> {
    let body = body(op, 0)?;
    let carried = body.inputs.len().saturating_sub(2);
    if body.inputs.len() < 2 || body.outputs.len() <= carried {
        return Err(Diagnostic::internal("the body of 'graph.loop' lacks inputs or outputs"));
    }
    let scalar = |dtype: DType, input: usize| body.value(body.inputs[input]).ty.with_dtype(dtype);
    let iteration = intermediate(op, "iteration", scalar(DType::I64, 0));
    let condition = intermediate(op, "condition", scalar(DType::Bool, 1));
    let mut inputs = vec![iteration, condition];
    let start = match op.optional(1) {
        Some(value) => op.scope.tensor(value)?,
        None => {
            let dims = vec![1; op.scope.program.tensors[condition].ty.rank()];
            let always = Tensor::new(DType::Bool, dims, vec![1].into())
                .ok_or_else(|| Diagnostic::internal("a flag of one element"))?;
            op.scope.program.add_tensor("true", always.ty(), Storage::Constant(always))
        }
    };
    let step = copy(op, condition, start)?;
    op.scope.program.steps.push(step);
    for i in 0..carried {
        let state = intermediate(op, &format!("state{i}"), body.value(body.inputs[2 + i]).ty.clone());
        let initial = op.scope.tensor(op.operand(2 + i)?)?;
        let step = copy(op, state, initial)?;
        op.scope.program.steps.push(step);
        inputs.push(state);
    }

    for i in carried..op.node.results.len() {
        fill(op, i)?;
    }
    let (mut steps, outputs) = lower_body(op, body, &inputs)?;
    for (i, &element) in outputs.iter().enumerate().skip(1 + carried) {
        let before = std::mem::take(&mut op.scope.program.steps);
        let result = op.result(i - 1)?;
        let written = write_scanned(op, body, (body.outputs[i].1, element), iteration, result);
        steps.append(&mut std::mem::replace(&mut op.scope.program.steps, before));
        written?;
    }
    // A body may pass one state on as another, so all are read before any is overwritten.
    let mut copies = Vec::new();
    for (&state, &output) in inputs[1..].iter().zip(&outputs) {
        let source = op.scope.program.resolve_view(output).0;
        let mut output = output;
        if inputs[1..].contains(&source) && source != state {
            let ty = op.scope.program.tensors[output].ty.clone();
            let saved = intermediate(op, "saved", ty);
            steps.push(Step::Copy { target: saved, source: output });
            output = saved;
        }
        if output != state {
            copies.push(copy(op, state, output)?);
        }
    }
    steps.extend(copies);
    let trip_count = op.optional(0).map(|v| op.scope.tensor(v)).transpose()?;
    op.scope.program.steps.push(Step::Loop {
        trip_count,
        iteration,
        condition: Some(condition),
        body: steps,
    });

    for (i, &state) in inputs[2..].iter().enumerate() {
        let result = op.result(i)?;
        if op.scope.program.tensors[state].ty != *op.ty(result) {
            return Err(op.unsupported("a carried value changes its type"));
        }
        op.scope.tensors[result.0 as usize] = Some(state);
    }
    Ok(())
}

/// Sets result `i` to 0, so that all of it is written even where the loop ends early.
fn fill(op: &mut Lowering<'_, '_>, i: usize) -> Result<()> {
    let result = op.result(i)?;
    let mut k = op.kernel();
    let mut s = Scalars::default();
    let zero = s.float(op.dtype(result), 0.0);
    let target = k.output(op, result, "y");
    k.map("fill", axes_over(op.dims(result)), target, s.yields(zero));
    op.emit(k)
}

/// `result[iteration] = element`, as the next step.
fn write_scanned(
    op: &mut Lowering<'_, '_>,
    body: &Graph,
    (element, element_tensor): (ValueId, TensorId),
    iteration: TensorId,
    result: ValueId,
) -> Result<()> {
    let ty = &body.value(element).ty;
    let mut k = op.kernel();
    let x = k.program_input("x", ty.clone(), element_tensor);
    let number = op.scope.program.tensors[iteration].ty.clone();
    let place = vec![Expr::from(0); number.rank()];
    let number = k.program_input("iteration", number, iteration);
    let target = k.update(op, result, "y");
    let axes = axes_over(&ty.dims);
    let at = indices(&axes);
    let mut s = Scalars::default();
    let position = s.read_raw(&k, number, place);
    let v = s.read_raw(&k, x, at.clone());
    let mut write = vec![Expr::value(position)];
    write.extend(at);
    k.push("scan", axes, (target, write), s.yields(v));
    op.emit(k)
}
