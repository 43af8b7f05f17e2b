//! Writes a program in MLIR's generic form.

use crate::{
    graph::tensor_data,
    kernel, origin,
    scalar::TENSOR,
    text::{list, quote, quoted_expr, strings, tensor_type},
};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    kernel::{Kernel, Role},
    program::{Program, Step, Storage, SymbolSource, TensorId},
    requirement::{Condition, Requirement},
};
use std::{collections::BTreeSet, fmt::Write, sync::Arc};

/// The kernels, then the program.
pub(super) fn module(program: &Program) -> Result<String> {
    let mut kernels = Kernels::default();
    kernels.taken.insert(symbol(program).into());
    kernels.collect(&program.steps);
    let mut text = String::new();
    for (kernel, symbol) in &kernels.named {
        text += &kernel::write(kernel, symbol)?;
    }
    let writer = Writer { program, kernels: &kernels };
    Ok(text + &writer.program()?)
}

/// The program's symbol.
fn symbol(program: &Program) -> &str {
    if program.name.is_empty() { "main" } else { &program.name }
}

/// The kernels in the order of their first calls, each with a symbol of its own.
#[derive(Default)]
struct Kernels<'a> {
    named: Vec<(&'a Arc<Kernel>, String)>,
    taken: BTreeSet<String>,
}

impl<'a> Kernels<'a> {
    fn collect(&mut self, steps: &'a [Step]) {
        for step in steps {
            step.visit(&mut |step| {
                if let Step::Kernel { kernel, .. } = step {
                    self.add(kernel);
                }
            });
        }
    }

    fn add(&mut self, kernel: &'a Arc<Kernel>) {
        if self.symbol(kernel).is_some() {
            return;
        }
        let base = if kernel.name.is_empty() { "kernel" } else { &kernel.name };
        let mut symbol = base.to_owned();
        let mut number = 1;
        while !self.taken.insert(symbol.clone()) {
            symbol = format!("{base}_{number}");
            number += 1;
        }
        self.named.push((kernel, symbol));
    }

    fn symbol(&self, kernel: &Arc<Kernel>) -> Option<&str> {
        self.named.iter().find(|(k, _)| Arc::ptr_eq(k, kernel)).map(|(_, symbol)| symbol.as_str())
    }
}

struct Writer<'a> {
    program: &'a Program,
    kernels: &'a Kernels<'a>,
}

impl Writer<'_> {
    fn program(&self) -> Result<String> {
        let program = self.program;
        let named = if program.name.is_empty() { ", name = \"\"" } else { "" };
        let mut text =
            format!("\"te.program\"() <{{sym_name = {}{named}}}> ({{\n^bb0:\n", quote(symbol(program)));
        for s in &program.symbols {
            let SymbolSource::InputDim { input, dim } = s.source;
            let range = program.ranges.get(&s.name);
            let known = if range.is_any() { String::new() } else { format!(", range = \"{range}\"") };
            writeln!(
                text,
                "\"te.symbol\"() <{{name = {}, input = {input} : i64, dim = {dim} : i64{known}}}> : () -> ()",
                quote(&s.name)
            )
            .expect("strings grow");
        }
        for requirement in &program.requirements {
            text += &self::requirement(requirement)?;
        }
        for (i, &input) in program.inputs.iter().enumerate() {
            if program.tensors.get(input).map(|t| &t.storage) != Some(&Storage::Input(i)) {
                return Err(Diagnostic::internal(format!(
                    "input {i} of program '{}' is not one",
                    program.name
                )));
            }
        }
        let mut declared = vec![false; program.tensors.len()];
        for id in 0..program.tensors.len() {
            self.declare(id, &mut declared, &mut text)?;
        }
        self.steps(&program.steps, &mut text)?;
        let outputs: Vec<TensorId> = program.outputs.iter().map(|(_, id)| *id).collect();
        let origin = origin::attributes(&program.origin, "te")?;
        let origin = if origin.is_empty() { String::new() } else { format!(" {{{}}}", list(origin)) };
        writeln!(
            text,
            "\"te.return\"({}) <{{names = {}}}>{origin} : ({}) -> ()\n}}) : () -> ()",
            self.tensors(&outputs)?,
            strings(program.outputs.iter().map(|(name, _)| name)),
            types(outputs.len())
        )
        .expect("strings grow");
        Ok(text)
    }

    /// Declares a tensor. The tensor whose memory it views is declared before it.
    fn declare(&self, id: TensorId, declared: &mut [bool], text: &mut String) -> Result<()> {
        let mut chain = Vec::new();
        let mut at = id;
        while let Some(false) = declared.get(at) {
            declared[at] = true;
            chain.push(at);
            match self.program.tensors[at].storage {
                Storage::View { source, .. } => at = source,
                _ => break,
            }
        }
        while let Some(id) = chain.pop() {
            *text += &self.declaration(id)?;
        }
        Ok(())
    }

    fn declaration(&self, id: TensorId) -> Result<String> {
        let tensor = &self.program.tensors[id];
        let (label, ty) = (quote(&tensor.name), tensor_type(&tensor.ty)?);
        let (op, operands, fields) = match &tensor.storage {
            Storage::Input(n) => ("input", String::new(), format!("number = {n} : i64, type = {ty}")),
            Storage::Output(n) => ("output", String::new(), format!("number = {n} : i64, type = {ty}")),
            Storage::Intermediate => ("intermediate", String::new(), format!("type = {ty}")),
            Storage::Constant(data) => {
                ("constant", String::new(), format!("value = {}", tensor_data(data, &tensor.ty)?))
            }
            Storage::View { source, offset } => {
                let fields = format!("offset = {}, type = {ty}", quoted_expr(offset)?);
                ("view", self.tensors(&[*source])?, fields)
            }
        };
        let operand_types = if operands.is_empty() { "" } else { TENSOR };
        Ok(format!(
            "%p{id} = \"te.{op}\"({operands}) <{{name = {label}, {fields}}}> : ({operand_types}) -> {TENSOR} \
             loc({label})\n"
        ))
    }

    fn tensors(&self, ids: &[TensorId]) -> Result<String> {
        if let Some(missing) = ids.iter().find(|id| **id >= self.program.tensors.len()) {
            return Err(Diagnostic::internal(format!(
                "program '{}' has no tensor {missing}",
                self.program.name
            )));
        }
        Ok(list(ids.iter().map(|id| format!("%p{id}"))))
    }

    fn steps(&self, steps: &[Step], text: &mut String) -> Result<()> {
        for step in steps {
            self.step(step, text)?;
        }
        Ok(())
    }

    fn step(&self, step: &Step, text: &mut String) -> Result<()> {
        match step {
            Step::Kernel { kernel, operands } => {
                let inputs = kernel.with_role(Role::Input).count().min(operands.len());
                let symbol = self.kernels.symbol(kernel).unwrap_or_default();
                writeln!(
                    text,
                    "\"te.call\"({}) <{{kernel = @{}, {}}}> : ({}) -> ()",
                    self.tensors(operands)?,
                    quote(symbol),
                    segments(&[inputs, operands.len() - inputs]),
                    types(operands.len())
                )
            }
            Step::Copy { target, source } => {
                let operands = self.tensors(&[*source, *target])?;
                writeln!(text, "\"te.copy\"({operands}) : ({}) -> ()", types(2))
            }
            Step::Call { function, inputs, outputs, attributes, location } => {
                let operands = [inputs.as_slice(), outputs].concat();
                let numbers = if attributes.is_empty() { String::new() } else { format!(": {}", list(attributes)) };
                writeln!(
                    text,
                    "\"te.runtime_call\"({}) <{{function = {}, numbers = array<i64{numbers}>, node = {}, op_type = {}, \
                     {}}}> : ({}) -> ()",
                    self.tensors(&operands)?,
                    quote(function),
                    quote(&location.node),
                    quote(&location.op_type),
                    segments(&[inputs.len(), outputs.len()]),
                    types(operands.len())
                )
            }
            Step::If { condition, then, otherwise } => {
                let condition = self.tensors(&[*condition])?;
                writeln!(text, "\"te.if\"({condition}) ({{\n^bb0:").expect("strings grow");
                self.steps(then, text)?;
                *text += "}, {\n^bb0:\n";
                self.steps(otherwise, text)?;
                writeln!(text, "}}) : ({TENSOR}) -> ()")
            }
            Step::Loop { trip_count, iteration, condition, body } => {
                let operands: Vec<TensorId> =
                    [Some(*iteration), *trip_count, *condition].into_iter().flatten().collect();
                let sizes = [1, usize::from(trip_count.is_some()), usize::from(condition.is_some())];
                let names = self.tensors(&operands)?;
                writeln!(text, "\"te.loop\"({names}) <{{{}}}> ({{\n^bb0:", segments(&sizes)).expect("strings grow");
                self.steps(body, text)?;
                writeln!(text, "}}) : ({}) -> ()", types(operands.len()))
            }
        }
        .expect("strings grow");
        Ok(())
    }
}

fn requirement(requirement: &Requirement) -> Result<String> {
    let condition = match &requirement.condition {
        Condition::Equal(a, b) => format!("value = {}, equals = {}", quoted_expr(a)?, quoted_expr(b)?),
        Condition::AtLeast(value, least) => format!("value = {}, least = {least} : i64", quoted_expr(value)?),
    };
    let message = quote(&requirement.message);
    Ok(format!("\"te.require\"() <{{{condition}, message = {message}}}> : () -> ()\n"))
}

fn segments(sizes: &[usize]) -> String {
    format!("operandSegmentSizes = array<i32: {}>", list(sizes))
}

fn types(count: usize) -> String {
    list(std::iter::repeat_n(TENSOR, count))
}
