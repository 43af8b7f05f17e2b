//! Programs: kernels, copies and control flow over named tensors.

use crate::{Symbols, array, evaluate_expr, graph, kernel};
use mlcc_ir::{
    attributes::{Attr, Attrs},
    diagnostic::{Diagnostic, Result},
    dtype::DType,
    kernel::Role,
    program::{Program, Step, Storage, SymbolSource, TensorId},
    tensor::{Element, Tensor, element_count},
    types::TensorType,
};

/// A named function of the runtime: inputs and integer attributes to outputs of these types.
pub type Calls<'a> = dyn Fn(&str, &[Tensor], &[i64], &[TensorType]) -> Result<Vec<Tensor>> + 'a;

/// The functions of the runtime that programs call.
fn call(name: &str, inputs: &[Tensor], attributes: &[i64], results: &[TensorType]) -> Result<Vec<Tensor>> {
    let (("top_k", &[axis, largest]), Some(best)) = ((name, attributes), results.first()) else {
        return Err(Diagnostic::unsupported(format!("the runtime function '{name}' cannot be interpreted")));
    };
    let k = usize::try_from(axis).ok().and_then(|axis| best.dims.get(axis)).cloned();
    let k = k.ok_or_else(|| Diagnostic::internal(format!("'{name}' has no axis {axis}")))?;
    let attrs = Attrs::new()
        .with("k", Attr::Exprs(vec![k]))
        .with("axis", Attr::Int(axis))
        .with("largest", Attr::Bool(largest != 0))
        .with("sorted", Attr::Bool(true));
    let inputs: Vec<Option<Tensor>> = inputs.iter().cloned().map(Some).collect();
    graph::evaluate(name, &attrs, &inputs, results)
}

/// The outputs of a program on these inputs. Calls go to the runtime's functions.
///
/// # Errors
/// As [`run_with`].
pub fn run(program: &Program, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
    run_with(program, inputs, &call)
}

/// The outputs of a program on these inputs.
///
/// # Errors
/// If the inputs do not have the program's types, a tensor is read before it is written, or a kernel or
/// call fails.
pub fn run_with(program: &Program, inputs: &[Tensor], calls: &Calls<'_>) -> Result<Vec<Tensor>> {
    if inputs.len() != program.inputs.len() {
        let (wanted, given) = (program.inputs.len(), inputs.len());
        return Err(Diagnostic::user(format!("the program has {wanted} inputs, but {given} are given")));
    }
    let mut symbols = Symbols::new();
    for symbol in &program.symbols {
        let SymbolSource::InputDim { input, dim } = symbol.source;
        let value = inputs.get(input).and_then(|t| t.dims.get(dim)).copied();
        let value = value.ok_or_else(|| {
            Diagnostic::user(format!(
                "symbol '{}' is dimension {dim} of input {input}, which is not there",
                symbol.name
            ))
        })?;
        symbols.entry(symbol.name.clone()).or_insert(value);
    }
    let mut machine = Machine { program, symbols, memory: vec![None; program.tensors.len()], calls };
    for (&id, tensor) in program.inputs.iter().zip(inputs) {
        graph::check(&machine.symbols, &program.tensors[id].ty, tensor).map_err(|mut e| {
            e.message = format!("input '{}': {}", program.tensors[id].name, e.message);
            e
        })?;
        machine.memory[id] = Some(tensor.clone());
    }
    for (id, tensor) in program.tensors.iter().enumerate() {
        if let Storage::Constant(constant) = &tensor.storage {
            machine.memory[id] = Some(constant.clone());
        }
    }
    machine.run(&program.steps)?;
    program.outputs.iter().map(|(_, id)| machine.read(*id)).collect()
}

struct Machine<'a> {
    program: &'a Program,
    symbols: Symbols,
    /// The memory of every tensor that is not a view.
    memory: Vec<Option<Tensor>>,
    calls: &'a Calls<'a>,
}

impl Machine<'_> {
    fn run(&mut self, steps: &[Step]) -> Result<()> {
        steps.iter().try_for_each(|step| self.step(step))
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Kernel { kernel, operands } => {
                let count = |role| kernel.with_role(role).count();
                let inputs = count(Role::Input);
                let outputs: Vec<usize> = (0..kernel.tensors.len())
                    .filter(|&t| matches!(kernel.tensors[t].role, Role::Output | Role::InOut))
                    .collect();
                if operands.len() != inputs + outputs.len() {
                    let what =
                        format!("kernel '{}' has {} operands in its step", kernel.name, operands.len());
                    return Err(Diagnostic::internal(what));
                }
                let mut given =
                    operands[..inputs].iter().map(|&id| self.read(id)).collect::<Result<Vec<_>>>()?;
                for (&t, &id) in outputs.iter().zip(&operands[inputs..]) {
                    if kernel.tensors[t].role == Role::InOut {
                        given.push(self.read_or_zeros(id)?);
                    }
                }
                let results = kernel::run(kernel, &self.symbols, &given)?;
                for (&id, tensor) in operands[inputs..].iter().zip(results) {
                    self.write(id, tensor)?;
                }
                Ok(())
            }
            Step::Copy { target, source } => {
                let tensor = self.read(*source)?;
                self.write(*target, tensor)
            }
            Step::Call { function, inputs, outputs, attributes, location } => {
                let inputs = inputs.iter().map(|&id| self.read(id)).collect::<Result<Vec<_>>>()?;
                let types = outputs
                    .iter()
                    .map(|&id| Ok(TensorType::of(self.program.tensors[id].ty.dtype, &self.dims(id)?)))
                    .collect::<Result<Vec<_>>>()?;
                let results =
                    (self.calls)(function, &inputs, attributes, &types).map_err(|e| e.at(location))?;
                if results.len() != outputs.len() {
                    let what = format!("'{function}' gave {} results for {}", results.len(), outputs.len());
                    return Err(Diagnostic::internal(what).at(location));
                }
                outputs.iter().zip(results).try_for_each(|(&id, tensor)| self.write(id, tensor))
            }
            Step::If { condition, then, otherwise } => {
                let holds = self.scalar(*condition)? != Element::Int(0);
                self.run(if holds { then } else { otherwise })
            }
            Step::Loop { trip_count, iteration, condition, body } => {
                let most =
                    trip_count.map(|id| self.scalar(id)).transpose()?.map_or(i64::MAX, Element::to_i64);
                let mut i = 0;
                while i < most {
                    if let Some(id) = condition
                        && self.scalar(*id)? == Element::Int(0)
                    {
                        break;
                    }
                    let dims = self.dims(*iteration)?;
                    let number = array::collect(DType::I64, &dims, [Ok(Element::Int(i))])?;
                    self.write(*iteration, number)?;
                    self.run(body)?;
                    i += 1;
                }
                Ok(())
            }
        }
    }

    fn scalar(&self, id: TensorId) -> Result<Element> {
        array::scalar(&self.read(id)?)
    }

    fn dims(&self, id: TensorId) -> Result<Vec<i64>> {
        self.program.tensors[id].ty.dims.iter().map(|d| evaluate_expr(d, &self.symbols)).collect()
    }

    /// The memory in which a tensor lies, and its first byte there.
    fn place(&self, id: TensorId) -> Result<(TensorId, usize)> {
        let (base, first) = self.program.resolve_view(id);
        let first = evaluate_expr(&first, &self.symbols)?;
        let bytes = usize::try_from(first)
            .ok()
            .and_then(|f| f.checked_mul(self.program.tensors[base].ty.dtype.size()));
        let bytes = bytes.ok_or_else(|| self.misplaced(id))?;
        Ok((base, bytes))
    }

    fn misplaced(&self, id: TensorId) -> Diagnostic {
        Diagnostic::internal(format!(
            "the view '{}' does not lie in its source",
            self.program.tensors[id].name
        ))
    }

    fn read(&self, id: TensorId) -> Result<Tensor> {
        let (base, first) = self.place(id)?;
        let (tensor, dims) = (&self.program.tensors[id], self.dims(id)?);
        let held = self.memory[base].as_ref().ok_or_else(|| {
            Diagnostic::internal(format!("tensor '{}' is read before it is written", tensor.name))
        })?;
        let bytes = element_count(&dims).and_then(|n| n.checked_mul(tensor.ty.dtype.size()));
        let end = bytes.and_then(|b| b.checked_add(first)).filter(|&end| end <= held.data.len());
        let end = end.ok_or_else(|| self.misplaced(id))?;
        array::tensor(tensor.ty.dtype, &dims, held.data.slice(first..end))
    }

    /// The tensor that a kernel updates in part, as zeros if this is the first part and nothing has
    /// been written yet.
    fn read_or_zeros(&self, id: TensorId) -> Result<Tensor> {
        let (base, _) = self.place(id)?;
        let begins_empty =
            matches!(self.program.tensors[id].storage, Storage::Intermediate | Storage::Output(_));
        if self.memory[base].is_some() || !begins_empty {
            return self.read(id);
        }
        let (dtype, dims) = (self.program.tensors[id].ty.dtype, self.dims(id)?);
        let bytes = element_count(&dims).and_then(|n| n.checked_mul(dtype.size()));
        let bytes = bytes.ok_or_else(|| self.misplaced(id))?;
        array::tensor(dtype, &dims, vec![0u8; bytes])
    }

    fn write(&mut self, id: TensorId, value: Tensor) -> Result<()> {
        let (base, first) = self.place(id)?;
        let target = &self.program.tensors[base];
        if matches!(target.storage, Storage::Input(_) | Storage::Constant(_)) {
            return Err(Diagnostic::internal(format!(
                "'{}' is written, but is an input or a constant",
                target.name
            )));
        }
        if value.dims != self.dims(id)? || value.dtype != self.program.tensors[id].ty.dtype {
            let name = &self.program.tensors[id].name;
            return Err(Diagnostic::internal(format!("'{name}' is written with {}", value.ty())));
        }
        let dims = self.dims(base)?;
        if base == id {
            self.memory[base] = Some(value);
            return Ok(());
        }
        // The rest of the memory keeps its contents, or is zero before the first write.
        let size = element_count(&dims).and_then(|n| n.checked_mul(target.ty.dtype.size()));
        let size = size.ok_or_else(|| self.misplaced(id))?;
        let mut data = self.memory[base].take().map_or_else(|| vec![0; size], |t| t.data.to_vec());
        let range = data.get_mut(first..first + value.data.len()).ok_or_else(|| self.misplaced(id))?;
        range.copy_from_slice(&value.data);
        self.memory[base] = Some(array::tensor(target.ty.dtype, &dims, data)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
