//! Scalar programs: the computation of a kernel at one point of its iteration space.
//!
//! A [`Body`] is a list of instructions in SSA form. Later instructions, and index expressions through
//! [`Expr::value`], refer to earlier ones by position.

mod function;

pub use function::{BinaryKind, BinaryOp, Predicate, UnaryKind, UnaryOp};

use crate::{
    dtype::DType,
    expr::{Atom, Expr},
    tensor::{Element, push_element, read_element},
};

/// Position of an instruction in its [`Body`].
pub type ValueId = u32;

/// A scalar constant: its bits, little endian, in the low bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Constant {
    /// Type.
    pub dtype: DType,
    /// Bits.
    pub bits: u64,
}

impl Constant {
    /// `value` converted to `dtype`.
    #[must_use]
    pub fn new(dtype: DType, value: Element) -> Constant {
        let mut bytes = Vec::with_capacity(8);
        push_element(dtype, &mut bytes, value);
        bytes.resize(8, 0);
        Constant { dtype, bits: u64::from_le_bytes(bytes.try_into().expect("eight bytes")) }
    }

    /// A float converted to `dtype`.
    #[must_use]
    pub fn float(dtype: DType, value: f64) -> Constant {
        Constant::new(dtype, Element::Float(value))
    }

    /// An integer converted to `dtype`.
    #[must_use]
    pub fn int(dtype: DType, value: i64) -> Constant {
        Constant::new(dtype, Element::Int(value))
    }

    /// The constant as an element.
    #[must_use]
    pub fn element(self) -> Element {
        read_element(self.dtype, &self.bits.to_le_bytes(), 0)
    }
}

/// One instruction of a [`Body`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Inst {
    Const(Constant),
    /// An index expression as an `i64`.
    Index(Expr),
    /// An element of a tensor (of the enclosing kernel) or buffer (of the enclosing nest). With
    /// `outside`, an index out of bounds gives that value instead; without it, indices are in bounds.
    Read {
        tensor: usize,
        index: Vec<Expr>,
        outside: Option<Constant>,
    },
    Unary(UnaryOp, ValueId),
    Binary(BinaryOp, ValueId, ValueId),
    Compare(Predicate, ValueId, ValueId),
    /// `condition ? a : b`.
    Select(ValueId, ValueId, ValueId),
    /// Conversion: floats round to nearest even; float to integer truncates and saturates; integers
    /// wrap; to `Bool` is `!= 0`.
    Cast(ValueId),
}

impl Inst {
    /// Calls `visit` with each value that the instruction uses, including the values in its index
    /// expressions.
    pub fn each_operand(&self, visit: &mut dyn FnMut(ValueId)) {
        let mut in_expr = |e: &Expr| {
            e.any_atom(&mut |atom| {
                if let Atom::Value(v) = atom {
                    visit(*v);
                }
                false
            });
        };
        match self {
            Inst::Const(_) => {}
            Inst::Index(e) => in_expr(e),
            Inst::Read { index, .. } => index.iter().for_each(in_expr),
            Inst::Unary(_, a) | Inst::Cast(a) => visit(*a),
            Inst::Binary(_, a, b) | Inst::Compare(_, a, b) => [*a, *b].into_iter().for_each(visit),
            Inst::Select(c, a, b) => [*c, *a, *b].into_iter().for_each(visit),
        }
    }

    /// The instruction with `new(v)` for each value `v` that it uses.
    #[must_use]
    pub fn renumbered(&self, new: &dyn Fn(ValueId) -> ValueId) -> Inst {
        let rewrite = |e: &Expr| {
            e.substitute(&|atom| match atom {
                Atom::Value(v) => Some(Expr::value(new(*v))),
                _ => None,
            })
        };
        match self {
            Inst::Const(c) => Inst::Const(*c),
            Inst::Index(e) => Inst::Index(rewrite(e)),
            Inst::Read { tensor, index, outside } => {
                Inst::Read { tensor: *tensor, index: index.iter().map(rewrite).collect(), outside: *outside }
            }
            Inst::Unary(op, a) => Inst::Unary(*op, new(*a)),
            Inst::Binary(op, a, b) => Inst::Binary(*op, new(*a), new(*b)),
            Inst::Compare(p, a, b) => Inst::Compare(*p, new(*a), new(*b)),
            Inst::Select(c, a, b) => Inst::Select(new(*c), new(*a), new(*b)),
            Inst::Cast(a) => Inst::Cast(new(*a)),
        }
    }
}

/// A list of instructions with the type of each, and which one is the result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Body {
    /// Instructions in order, each with the type of its result.
    pub insts: Vec<(Inst, DType)>,
    /// The instruction whose value the body yields.
    pub result: ValueId,
}

impl Body {
    /// Appends an instruction and makes it the result.
    pub fn push(&mut self, inst: Inst, dtype: DType) -> ValueId {
        self.insts.push((inst, dtype));
        self.result = (self.insts.len() - 1) as ValueId;
        self.result
    }

    /// Appends a constant.
    pub fn constant(&mut self, constant: Constant) -> ValueId {
        self.push(Inst::Const(constant), constant.dtype)
    }

    /// Appends an unchecked read.
    pub fn read(&mut self, tensor: usize, index: Vec<Expr>, dtype: DType) -> ValueId {
        self.push(Inst::Read { tensor, index, outside: None }, dtype)
    }

    /// Appends a function of one operand.
    pub fn unary(&mut self, op: UnaryOp, a: ValueId) -> ValueId {
        let dtype = if op == UnaryOp::IsNan { DType::Bool } else { self.dtype(a) };
        self.push(Inst::Unary(op, a), dtype)
    }

    /// Appends a function of two operands.
    pub fn binary(&mut self, op: BinaryOp, a: ValueId, b: ValueId) -> ValueId {
        self.push(Inst::Binary(op, a, b), self.dtype(a))
    }

    /// Appends a comparison.
    pub fn compare(&mut self, predicate: Predicate, a: ValueId, b: ValueId) -> ValueId {
        self.push(Inst::Compare(predicate, a, b), DType::Bool)
    }

    /// Appends a choice.
    pub fn select(&mut self, condition: ValueId, a: ValueId, b: ValueId) -> ValueId {
        self.push(Inst::Select(condition, a, b), self.dtype(a))
    }

    /// Appends a conversion, unless the type is right already.
    pub fn cast(&mut self, a: ValueId, to: DType) -> ValueId {
        if self.dtype(a) == to { a } else { self.push(Inst::Cast(a), to) }
    }

    /// Type of an instruction's result.
    ///
    /// # Panics
    /// If there is no such instruction.
    #[must_use]
    pub fn dtype(&self, id: ValueId) -> DType {
        self.insts[id as usize].1
    }
    /// The instructions on which the result of instruction `value` depends, as a body that yields it.
    ///
    /// # Panics
    /// If there is no such instruction.
    #[must_use]
    pub fn of_value(&self, value: ValueId) -> Body {
        let mut used = vec![false; self.insts.len()];
        used[value as usize] = true;
        for at in (0..self.insts.len()).rev() {
            if used[at] {
                self.insts[at].0.each_operand(&mut |v| used[v as usize] = true);
            }
        }
        let mut kept = Body::default();
        let mut map: Vec<ValueId> = Vec::with_capacity(self.insts.len());
        for ((inst, dtype), used) in self.insts.iter().zip(&used) {
            // An unused instruction gets a number that no other instruction uses.
            map.push(if *used { kept.push(inst.renumbered(&|v| map[v as usize]), *dtype) } else { 0 });
        }
        kept.result = map[value as usize];
        kept
    }

    /// The body with only the instructions on which its result depends.
    #[must_use]
    pub fn without_unused(&self) -> Body {
        self.of_value(self.result)
    }
}
