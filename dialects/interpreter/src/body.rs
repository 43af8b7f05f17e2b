//! Scalar bodies, verified and compiled.

use crate::{
    Symbols,
    index::Index,
    scalar::{binary, cast, compare, unary},
};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    dtype::DType,
    scalar::{BinaryOp, Body, Inst, Predicate, UnaryOp},
    tensor::Element,
};

/// The memory from which a body's reads come.
pub(crate) trait Reader {
    /// The element of tensor `tensor` at an index; `None` where that is out of bounds.
    fn read(&mut self, tensor: usize, at: &[i64]) -> Result<Option<Element>>;
    /// Name of tensor `tensor`, for messages.
    fn name(&self, tensor: usize) -> String;
}

/// The surroundings against which a body is compiled.
pub(crate) struct Scope<'a> {
    pub(crate) symbols: &'a Symbols,
    pub(crate) slot: &'a dyn Fn(&str) -> Option<usize>,
    /// Element type and rank of each tensor.
    pub(crate) tensors: &'a [(DType, usize)],
}

#[derive(Debug)]
enum Op {
    Const(Element),
    Index(Index),
    Read { tensor: usize, index: Vec<Index>, outside: Option<Element> },
    Unary(UnaryOp, usize),
    Binary(BinaryOp, usize, usize),
    Compare(Predicate, usize, usize),
    Select(usize, usize, usize),
    Cast(usize),
}

/// A verified body. It keeps the values of its last run.
#[derive(Debug)]
pub(crate) struct CompiledBody {
    ops: Vec<(Op, DType)>,
    result: usize,
}

impl CompiledBody {
    /// Verifies a body: operands come before their users and have the types that they must have.
    pub(crate) fn compile(body: &Body, scope: &Scope<'_>) -> Result<CompiledBody> {
        let mut ops: Vec<(Op, DType)> = Vec::with_capacity(body.insts.len());
        for (position, (inst, dtype)) in body.insts.iter().enumerate() {
            let bad = |what: &str| {
                Diagnostic::internal(format!("instruction ${position} ({inst:?}: {dtype}) {what}"))
            };
            let operand = |id: u32| -> Result<(usize, DType)> {
                let found = ops.get(id as usize).ok_or_else(|| bad("uses a value before it is computed"))?;
                Ok((id as usize, found.1))
            };
            let typed = |id: u32, wanted: DType| -> Result<usize> {
                let (id, found) = operand(id)?;
                if found == wanted { Ok(id) } else { Err(bad(&format!("has an operand of {found}"))) }
            };
            let index = |e| Index::compile(e, scope.symbols, scope.slot, position);
            let expect = |wanted: DType| if *dtype == wanted { Ok(()) } else { Err(bad("has another type")) };
            let op = match inst {
                Inst::Const(constant) => {
                    expect(constant.dtype)?;
                    Op::Const(constant.element())
                }
                Inst::Index(e) => {
                    expect(DType::I64)?;
                    Op::Index(index(e)?)
                }
                Inst::Read { tensor, index: at, outside } => {
                    let &(found, rank) =
                        scope.tensors.get(*tensor).ok_or_else(|| bad("reads a tensor that is not there"))?;
                    expect(found)?;
                    if rank != at.len() {
                        return Err(bad(&format!("has {} indices for rank {rank}", at.len())));
                    }
                    outside.map_or(Ok(()), |o| expect(o.dtype))?;
                    let at = at.iter().map(index).collect::<Result<_>>()?;
                    Op::Read { tensor: *tensor, index: at, outside: outside.map(|o| o.element()) }
                }
                Inst::Unary(op, a) if *op == UnaryOp::IsNan => {
                    expect(DType::Bool)?;
                    Op::Unary(*op, operand(*a)?.0)
                }
                Inst::Unary(op, a) => Op::Unary(*op, typed(*a, *dtype)?),
                Inst::Binary(op, a, b) => Op::Binary(*op, typed(*a, *dtype)?, typed(*b, *dtype)?),
                Inst::Compare(predicate, a, b) => {
                    expect(DType::Bool)?;
                    let (a, wanted) = operand(*a)?;
                    Op::Compare(*predicate, a, typed(*b, wanted)?)
                }
                Inst::Select(condition, a, b) => {
                    Op::Select(typed(*condition, DType::Bool)?, typed(*a, *dtype)?, typed(*b, *dtype)?)
                }
                Inst::Cast(a) => Op::Cast(operand(*a)?.0),
            };
            ops.push((op, *dtype));
        }
        if body.result as usize >= ops.len() {
            return Err(Diagnostic::internal(format!("a body has no instruction ${}", body.result)));
        }
        Ok(CompiledBody { ops, result: body.result as usize })
    }

    /// Element type of the body's value.
    pub(crate) fn dtype(&self) -> DType {
        self.ops[self.result].1
    }

    /// Number of instructions. The index of a write may use their values.
    pub(crate) fn len(&self) -> usize {
        self.ops.len()
    }

    /// Runs the body at a point of the axes; `values` receives every instruction's value.
    pub(crate) fn run(
        &self,
        axes: &[i64],
        values: &mut Vec<Element>,
        reader: &mut dyn Reader,
    ) -> Result<Element> {
        values.clear();
        let mut at = Vec::new();
        for (op, dtype) in &self.ops {
            let undefined = || Diagnostic::internal(format!("{op:?} is not defined on {dtype}"));
            let value = match op {
                Op::Const(v) => *v,
                Op::Index(e) => Element::Int(e.evaluate(axes, values)?),
                Op::Read { tensor, index, outside } => {
                    at.clear();
                    for e in index {
                        at.push(e.evaluate(axes, values)?);
                    }
                    match (reader.read(*tensor, &at)?, outside) {
                        (Some(v), _) => v,
                        (None, Some(v)) => *v,
                        (None, None) => return Err(out_of_bounds("read", &reader.name(*tensor), &at)),
                    }
                }
                Op::Unary(op, a) => unary(*op, *dtype, values[*a]).ok_or_else(undefined)?,
                Op::Binary(op, a, b) => binary(*op, *dtype, values[*a], values[*b]).ok_or_else(undefined)?,
                Op::Compare(predicate, a, b) => {
                    Element::Int(i64::from(compare(*predicate, values[*a], values[*b])))
                }
                Op::Select(condition, a, b) => {
                    if values[*condition] == Element::Int(0) {
                        values[*b]
                    } else {
                        values[*a]
                    }
                }
                Op::Cast(a) => cast(values[*a], *dtype),
            };
            values.push(value);
        }
        Ok(values[self.result])
    }
}

/// The error of an access that is out of bounds.
pub(crate) fn out_of_bounds(access: &str, name: &str, at: &[i64]) -> Diagnostic {
    Diagnostic::internal(format!("{access} out of bounds: '{name}' at {at:?}"))
}
