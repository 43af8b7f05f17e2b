//! Reads a program from MLIR's operations.

use crate::{
    ffi::{Attribute, Block, Op, Value},
    kernel, origin,
    read::{
        Weights, error, expr, field, int, name, names, number, only_symbols, optional, tensor, tensor_type,
    },
};
use mlcc_ir::{
    diagnostic::Result,
    graph::Location,
    kernel::{Kernel, Role},
    program::{Program, ProgramTensor, Step, Storage, Symbol, SymbolSource, TensorId},
    requirement::{Condition, Requirement},
    types::TensorType,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// Reads the program `op` with the kernels of `module`.
pub(super) fn program(module: Op<'_>, op: Op<'_>, weights: Weights<'_>) -> Result<Program> {
    let mut kernels = BTreeMap::new();
    for op in module.body(0).filter(|op| op.name() == "te.kernel") {
        let symbol = field(op, "sym_name", |a| a.string())?;
        kernels.insert(symbol, Arc::new(kernel::read(op)?));
    }
    let symbol = field(op, "sym_name", name)?;
    let label = optional(op, "name", name)?.unwrap_or(symbol);
    let program = Program { name: label, ..Program::default() };
    let mut reader = Reader { program, kernels, weights, ids: HashMap::new() };
    let mut inputs = BTreeMap::new();
    let mut steps = Vec::new();
    for op in op.block(0).into_iter().flat_map(Block::ops) {
        match op.name().as_str() {
            "te.symbol" => {
                let source = SymbolSource::InputDim {
                    input: field(op, "input", number)?,
                    dim: field(op, "dim", number)?,
                };
                let label = field(op, "name", name)?;
                if let Some(range) = optional(op, "range", |a| a.string())? {
                    let range = range.parse().map_err(|e: String| error(op, e))?;
                    reader.program.ranges.insert(label.clone(), range);
                }
                reader.program.symbols.push(Symbol { name: label, source });
            }
            "te.require" => {
                let requirement = requirement(op)?;
                reader.program.requirements.push(requirement);
            }
            "te.return" => {
                let labels = field(op, "names", names)?;
                let tensors = reader.operands(op)?;
                if labels.len() != tensors.len() {
                    return Err(error(op, format!("{} names for {} outputs", labels.len(), tensors.len())));
                }
                reader.program.outputs = labels.into_iter().zip(tensors).collect();
                reader.program.origin = origin::read(op, "te", weights)?;
            }
            _ => {
                if let Some((tensor, result)) = reader.declaration(op)? {
                    let id = reader.program.tensors.len();
                    if let Storage::Input(n) = tensor.storage
                        && inputs.insert(n, id).is_some()
                    {
                        return Err(error(op, format!("input {n} is declared twice")));
                    }
                    reader.program.tensors.push(tensor);
                    reader.ids.insert(result.key(), id);
                } else {
                    steps.push(reader.step(op)?);
                }
            }
        }
    }
    if let Some((missing, _)) = inputs.keys().enumerate().find(|(i, n)| i != *n) {
        return Err(error(op, format!("input {missing} is not declared")));
    }
    reader.program.inputs = inputs.into_values().collect();
    reader.program.steps = steps;
    Ok(reader.program)
}

struct Reader<'a> {
    program: Program,
    kernels: BTreeMap<String, Arc<Kernel>>,
    weights: Weights<'a>,
    ids: HashMap<usize, TensorId>,
}

impl Reader<'_> {
    /// A declared tensor and its value; `None` for an operation that does not declare a tensor.
    fn declaration<'m>(&self, op: Op<'m>) -> Result<Option<(ProgramTensor, Value<'m>)>> {
        let (storage, ty) = match op.name().as_str() {
            "te.input" => (Storage::Input(field(op, "number", number)?), declared_type(op)?),
            "te.output" => (Storage::Output(field(op, "number", number)?), declared_type(op)?),
            "te.intermediate" => (Storage::Intermediate, declared_type(op)?),
            "te.constant" => {
                let value = field(op, "value", Some)?;
                let (data, ty) = tensor(value, self.weights).map_err(|e| error(op, e))?;
                (Storage::Constant(data), ty)
            }
            "te.view" => {
                let offset = field(op, "offset", expr)?;
                only_symbols(&offset).map_err(|e| error(op, e))?;
                (
                    Storage::View { source: self.operand(op, op.operands().next())?, offset },
                    declared_type(op)?,
                )
            }
            _ => return Ok(None),
        };
        let result = op.results().next().ok_or_else(|| error(op, "a result is missing"))?;
        Ok(Some((ProgramTensor { name: field(op, "name", name)?, ty, storage }, result)))
    }

    fn operand(&self, op: Op<'_>, value: Option<Value<'_>>) -> Result<TensorId> {
        let id = value.and_then(|v| self.ids.get(&v.key()));
        id.copied().ok_or_else(|| error(op, "the operand is not a tensor of the program"))
    }

    fn operands(&self, op: Op<'_>) -> Result<Vec<TensorId>> {
        op.operands().map(|v| self.operand(op, Some(v))).collect()
    }

    fn steps(&self, op: Op<'_>, region: usize) -> Result<Vec<Step>> {
        op.block(region).into_iter().flat_map(Block::ops).map(|op| self.step(op)).collect()
    }

    fn step(&self, op: Op<'_>) -> Result<Step> {
        let operands = self.operands(op)?;
        let one = |i: usize| operands.get(i).copied().ok_or_else(|| error(op, "an operand is missing"));
        Ok(match op.name().as_str() {
            "te.call" => {
                let symbol = field(op, "kernel", Attribute::symbol)?;
                let kernel = self.kernels.get(&symbol);
                let kernel =
                    kernel.ok_or_else(|| error(op, format!("there is no kernel '@{symbol}'")))?.clone();
                let inputs = kernel.with_role(Role::Input).count();
                let expected = [inputs, kernel.operands().count() - inputs];
                let [given, outputs] = groups(op)?;
                if [given, outputs] != expected {
                    let [inputs, targets] = expected;
                    let message = format!(
                        "'@{symbol}' takes {inputs} inputs and {targets} outputs, not {given} and {outputs}"
                    );
                    return Err(error(op, message));
                }
                Step::Kernel { kernel, operands }
            }
            "te.copy" => Step::Copy { source: one(0)?, target: one(1)? },
            "te.runtime_call" => {
                let [inputs, _] = groups(op)?;
                let split = inputs.min(operands.len());
                Step::Call {
                    function: field(op, "function", name)?,
                    inputs: operands[..split].to_vec(),
                    outputs: operands[split..].to_vec(),
                    attributes: field(op, "numbers", Attribute::ints)?,
                    location: Location {
                        node: field(op, "node", name)?,
                        op_type: field(op, "op_type", name)?,
                    },
                }
            }
            "te.if" => {
                Step::If { condition: one(0)?, then: self.steps(op, 0)?, otherwise: self.steps(op, 1)? }
            }
            "te.loop" => {
                let [_, trips, conditions] = groups(op)?;
                Step::Loop {
                    iteration: one(0)?,
                    trip_count: (trips > 0).then(|| one(1)).transpose()?,
                    condition: (conditions > 0).then(|| one(1 + trips)).transpose()?,
                    body: self.steps(op, 0)?,
                }
            }
            _ => return Err(error(op, "not a step of a program")),
        })
    }
}

fn requirement(op: Op<'_>) -> Result<Requirement> {
    let symbolic = |name: &str| {
        let e = field(op, name, expr)?;
        only_symbols(&e).map_err(|e| error(op, e)).map(|()| e)
    };
    let value = symbolic("value")?;
    let condition = match (op.attribute("equals"), optional(op, "least", int)?) {
        (Some(_), None) => Condition::Equal(value, symbolic("equals")?),
        (None, Some(least)) => Condition::AtLeast(value, least),
        _ => return Err(error(op, "expected either 'equals' or 'at_least'")),
    };
    let message = field(op, "message", |a| a.string())?;
    Ok(Requirement { condition, message })
}

fn declared_type(op: Op<'_>) -> Result<TensorType> {
    tensor_type(field(op, "type", Attribute::ty)?).map_err(|e| error(op, e))
}

/// How many operands each group has.
fn groups<const N: usize>(op: Op<'_>) -> Result<[usize; N]> {
    field(op, "operandSegmentSizes", |a| {
        let sizes: Option<Vec<usize>> = a.ints()?.into_iter().map(|n| usize::try_from(n).ok()).collect();
        sizes?.try_into().ok()
    })
}
