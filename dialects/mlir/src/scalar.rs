//! Scalar bodies and the instructions of the `te` dialect, which kernels and loop nests share.
//!
//! In an index expression `$k` is operand `k` of the instruction's `using` list. So uses of values are uses for
//! MLIR too, and passes may move, merge and remove instructions.

use crate::{
    ffi::{Attribute, Block, Op, Value},
    read::{error, expr, exprs, field, optional, scalar},
    text::{self, list, quoted_expr},
};
use mlcc_ir::{
    Name,
    diagnostic::{Diagnostic, Result},
    dtype::DType,
    expr::{Atom, Expr},
    kernel::Combine,
    scalar::{BinaryOp, Body, Inst, Predicate, UnaryOp, ValueId},
};
use std::{collections::HashMap, fmt::Write};

/// The type of a value that declares memory.
pub(crate) const TENSOR: &str = "!te.tensor";

const UNARY: [(&str, UnaryOp); 25] = [
    ("neg", UnaryOp::Neg),
    ("abs", UnaryOp::Abs),
    ("exp", UnaryOp::Exp),
    ("log", UnaryOp::Log),
    ("sqrt", UnaryOp::Sqrt),
    ("sin", UnaryOp::Sin),
    ("cos", UnaryOp::Cos),
    ("tan", UnaryOp::Tan),
    ("asin", UnaryOp::Asin),
    ("acos", UnaryOp::Acos),
    ("atan", UnaryOp::Atan),
    ("sinh", UnaryOp::Sinh),
    ("cosh", UnaryOp::Cosh),
    ("tanh", UnaryOp::Tanh),
    ("asinh", UnaryOp::Asinh),
    ("acosh", UnaryOp::Acosh),
    ("atanh", UnaryOp::Atanh),
    ("erf", UnaryOp::Erf),
    ("floor", UnaryOp::Floor),
    ("ceil", UnaryOp::Ceil),
    ("round", UnaryOp::Round),
    ("trunc", UnaryOp::Trunc),
    ("sign", UnaryOp::Sign),
    ("not", UnaryOp::Not),
    ("is_nan", UnaryOp::IsNan),
];

const BINARY: [(&str, BinaryOp); 14] = [
    ("add", BinaryOp::Add),
    ("sub", BinaryOp::Sub),
    ("mul", BinaryOp::Mul),
    ("div", BinaryOp::Div),
    ("mod", BinaryOp::Mod),
    ("rem", BinaryOp::Rem),
    ("pow", BinaryOp::Pow),
    ("min", BinaryOp::Min),
    ("max", BinaryOp::Max),
    ("and", BinaryOp::And),
    ("or", BinaryOp::Or),
    ("xor", BinaryOp::Xor),
    ("shl", BinaryOp::Shl),
    ("shr", BinaryOp::Shr),
];

/// In the order of TableGen's `Te_Predicate`.
const PREDICATES: [Predicate; 6] =
    [Predicate::Eq, Predicate::Ne, Predicate::Lt, Predicate::Le, Predicate::Gt, Predicate::Ge];

/// In the order of TableGen's `Te_Combine`.
const COMBINES: [Combine; 6] =
    [Combine::Add, Combine::Mul, Combine::Max, Combine::Min, Combine::And, Combine::Or];

/// A case of an enumeration as MLIR's integer.
pub(crate) fn case<T: PartialEq>(all: &[T], value: &T) -> String {
    format!("{} : i32", all.iter().position(|v| v == value).unwrap_or(all.len()))
}

/// `combine = ...` among properties, if there is one.
pub(crate) fn combine_property(combine: Option<Combine>) -> String {
    combine.map_or(String::new(), |c| format!(", combine = {}", case(&COMBINES, &c)))
}

/// The attribute `combine`.
pub(crate) fn combine(op: Op<'_>) -> Result<Option<Combine>> {
    optional(op, "combine", |a| enumeration(a, &COMBINES))
}

/// A case of an enumeration.
pub(crate) fn enumeration<T: Copy>(attribute: Attribute<'_>, all: &[T]) -> Option<T> {
    let (case, _) = attribute.int()?;
    all.get(usize::try_from(case).ok()?).copied()
}

/// The target of a body's value: the index and the guards.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) index: &'a [Expr],
    pub(crate) guards: &'a [(Expr, Expr)],
}

/// Expressions of one instruction. The values in them are replaced by positions in a list of operands.
struct Operands<'a> {
    body: &'a Body,
    used: Vec<ValueId>,
}

impl Operands<'_> {
    fn localise(&mut self, items: &[Expr]) -> Vec<Expr> {
        for item in items {
            item.any_atom(&mut |atom| {
                if let Atom::Value(id) = atom
                    && !self.used.contains(id)
                {
                    self.used.push(*id);
                }
                false
            });
        }
        let position = |id: &ValueId| self.used.iter().position(|u| u == id).unwrap_or_default() as u32;
        let replace = |atom: &Atom| match atom {
            Atom::Value(id) => Some(Expr::value(position(id))),
            _ => None,
        };
        items.iter().map(|e| e.substitute(&replace)).collect()
    }

    /// `, %b1, %b2` and `, i64, i64`.
    fn text(&self) -> Result<(String, String)> {
        let (mut names, mut types) = (String::new(), String::new());
        for id in &self.used {
            write!(names, ", %b{id}").expect("strings grow");
            write!(types, ", {}", dtype(self.body, *id)?.mlir_name()).expect("strings grow");
        }
        Ok((names, types))
    }
}

fn dtype(body: &Body, id: ValueId) -> Result<DType> {
    let missing = || Diagnostic::internal(format!("a scalar body has no value ${id}"));
    body.insts.get(id as usize).map(|(_, dtype)| *dtype).ok_or_else(missing)
}

/// A body as a region; `tensors` are the names of the kernel's tensors.
pub(crate) fn write(body: &Body, target: Target<'_>, tensors: &[String]) -> Result<String> {
    let mut text = String::from("{\n^bb0:\n");
    for (i, (inst, ty)) in body.insts.iter().enumerate() {
        let line = instruction(body, inst, tensors)?;
        writeln!(text, "%b{i} = {line} -> {ty}").expect("strings grow");
    }
    let mut operands = Operands { body, used: Vec::new() };
    let index = operands.localise(target.index);
    let sides: Vec<Expr> = target.guards.iter().flat_map(|(a, b)| [a.clone(), b.clone()]).collect();
    let guards: Result<Vec<String>> = operands.localise(&sides).iter().map(quoted_expr).collect();
    let guards = match &guards?[..] {
        [] => String::new(),
        guards => format!(", guards = [{}]", list(guards)),
    };
    let (names, types) = operands.text()?;
    let result = dtype(body, body.result)?;
    writeln!(
        text,
        "\"te.yield\"(%b{}{names}) <{{index = [{}]{guards}}}> : ({result}{types}) -> ()\n}}",
        body.result,
        text::exprs(&index)?
    )
    .expect("strings grow");
    Ok(text)
}

fn instruction(body: &Body, inst: &Inst, tensors: &[String]) -> Result<String> {
    let of = |id: &ValueId| dtype(body, *id);
    Ok(match inst {
        Inst::Const(c) => format!("\"te.scalar\"() <{{value = {}}}> : ()", text::scalar(c.dtype, c.bits)),
        Inst::Index(e) => {
            let mut operands = Operands { body, used: Vec::new() };
            let e = operands.localise(std::slice::from_ref(e));
            let (names, types) = operands.text()?;
            let (names, types) = (names.trim_start_matches(", "), types.trim_start_matches(", "));
            format!("\"te.index\"({names}) <{{expr = {}}}> : ({types})", quoted_expr(&e[0])?)
        }
        Inst::Read { tensor, index, outside } => {
            let missing =
                || Diagnostic::internal(format!("a scalar body reads tensor {tensor}, which is missing"));
            let name = tensors.get(*tensor).ok_or_else(missing)?;
            let mut operands = Operands { body, used: Vec::new() };
            let index = text::exprs(&operands.localise(index))?;
            let (names, types) = operands.text()?;
            let outside =
                outside.map_or(String::new(), |c| format!(", outside = {}", text::scalar(c.dtype, c.bits)));
            format!("\"te.read\"({name}{names}) <{{index = [{index}]{outside}}}> : ({TENSOR}{types})")
        }
        Inst::Unary(op, a) => format!("\"te.{}\"(%b{a}) : ({})", mnemonic(&UNARY, op)?, of(a)?),
        Inst::Binary(op, a, b) => {
            format!("\"te.{}\"(%b{a}, %b{b}) : ({}, {})", mnemonic(&BINARY, op)?, of(a)?, of(b)?)
        }
        Inst::Compare(predicate, a, b) => format!(
            "\"te.compare\"(%b{a}, %b{b}) <{{predicate = {}}}> : ({}, {})",
            case(&PREDICATES, predicate),
            of(a)?,
            of(b)?
        ),
        Inst::Select(c, a, b) => {
            format!("\"te.select\"(%b{c}, %b{a}, %b{b}) : ({}, {}, {})", of(c)?, of(a)?, of(b)?)
        }
        Inst::Cast(a) => format!("\"te.cast\"(%b{a}) : ({})", of(a)?),
    })
}

fn mnemonic<T: PartialEq + std::fmt::Debug>(all: &[(&'static str, T)], op: &T) -> Result<&'static str> {
    let found = all.iter().find(|(_, o)| o == op).map(|(name, _)| *name);
    found.ok_or_else(|| Diagnostic::internal(format!("{op:?} is not in the te dialect")))
}

/// The names that a body may refer to.
pub(crate) struct Scope<'s> {
    /// Tensors by MLIR's value: index and rank.
    pub(crate) tensors: &'s HashMap<usize, (usize, usize)>,
    /// Axes around the body.
    pub(crate) axes: &'s [Name],
}

impl Scope<'_> {
    /// The tensor that an operand refers to, and its rank.
    pub(crate) fn tensor(&self, op: Op<'_>, value: Option<Value<'_>>) -> Result<(usize, usize)> {
        let found = value.and_then(|v| self.tensors.get(&v.key()));
        found.copied().ok_or_else(|| error(op, "the operand is not a tensor that is declared here"))
    }

    /// Refuses axes that do not enclose this place, and values beyond the first `values`.
    pub(crate) fn check(&self, op: Op<'_>, e: &Expr, values: usize) -> Result<()> {
        let mut unknown = None;
        e.any_atom(&mut |atom| {
            let known = match atom {
                Atom::Axis(name) => self.axes.contains(name),
                Atom::Value(id) => (*id as usize) < values,
                _ => true,
            };
            if !known {
                unknown.get_or_insert_with(|| atom.to_string());
            }
            false
        });
        unknown.map_or(Ok(()), |atom| Err(error(op, format!("'{atom}' is not defined here"))))
    }
}

/// A body and the target of its value.
pub(crate) struct Read {
    pub(crate) body: Body,
    pub(crate) index: Vec<Expr>,
    pub(crate) guards: Vec<(Expr, Expr)>,
}

/// Reads the body of `op`, a `te.compute` or `loop.store` on a target of that rank.
pub(crate) fn read(op: Op<'_>, scope: &Scope<'_>, rank: usize) -> Result<Read> {
    let mut reader = Reader { scope, ids: HashMap::new(), body: Body::default() };
    for inst in op.block(0).into_iter().flat_map(Block::ops) {
        if inst.name() == "te.yield" {
            return reader.finish(inst, rank);
        }
        reader.instruction(inst)?;
    }
    Err(error(op, "the body must end with 'te.yield'"))
}

struct Reader<'s> {
    scope: &'s Scope<'s>,
    ids: HashMap<usize, ValueId>,
    body: Body,
}

impl Reader<'_> {
    fn id(&self, op: Op<'_>, operand: usize) -> Result<ValueId> {
        let value = op.operands().nth(operand).and_then(|v| self.ids.get(&v.key()));
        value.copied().ok_or_else(|| error(op, format!("operand {operand} is not a value of the body")))
    }

    /// Expressions in which `$k` is operand `first + k`.
    fn globalise(&self, op: Op<'_>, items: &[Expr], first: usize) -> Result<Vec<Expr>> {
        let count = op.operands().len().saturating_sub(first);
        let ids: Result<Vec<ValueId>> = (0..count).map(|i| self.id(op, first + i)).collect();
        let ids = ids?;
        let replace = |atom: &Atom| match atom {
            Atom::Value(k) => ids.get(*k as usize).map(|id| Expr::value(*id)),
            _ => None,
        };
        items.iter().try_for_each(|e| self.scope.check(op, e, count))?;
        Ok(items.iter().map(|e| e.substitute(&replace)).collect())
    }

    fn instruction(&mut self, op: Op<'_>) -> Result<()> {
        let name = op.name();
        let inst = match name.strip_prefix("te.").unwrap_or_default() {
            "scalar" => Inst::Const(field(op, "value", scalar)?),
            "index" => {
                let e = field(op, "expr", expr)?;
                Inst::Index(self.globalise(op, &[e], 0)?.remove(0))
            }
            "read" => {
                let (tensor, rank) = self.scope.tensor(op, op.operands().next())?;
                let index = self.globalise(op, &field(op, "index", exprs)?, 1)?;
                check_rank(op, &index, rank)?;
                Inst::Read { tensor, index, outside: optional(op, "outside", scalar)? }
            }
            "compare" => {
                let predicate = field(op, "predicate", |a| enumeration(a, &PREDICATES))?;
                Inst::Compare(predicate, self.id(op, 0)?, self.id(op, 1)?)
            }
            "select" => Inst::Select(self.id(op, 0)?, self.id(op, 1)?, self.id(op, 2)?),
            "cast" => Inst::Cast(self.id(op, 0)?),
            other => {
                let unary = UNARY.iter().find(|(name, _)| *name == other);
                let binary = BINARY.iter().find(|(name, _)| *name == other);
                match (unary, binary) {
                    (Some((_, function)), _) => Inst::Unary(*function, self.id(op, 0)?),
                    (_, Some((_, function))) => Inst::Binary(*function, self.id(op, 0)?, self.id(op, 1)?),
                    _ => return Err(error(op, "not an instruction of a body")),
                }
            }
        };
        let result = op.results().next().ok_or_else(|| error(op, "a result is missing"))?;
        let ty = result.ty();
        let dtype = ty.dtype().ok_or_else(|| error(op, format!("'{}' is no element type", ty.text())))?;
        let id = self.body.push(inst, dtype);
        self.ids.insert(result.key(), id);
        Ok(())
    }

    fn finish(mut self, op: Op<'_>, rank: usize) -> Result<Read> {
        self.body.result = self.id(op, 0)?;
        let index = self.globalise(op, &field(op, "index", exprs)?, 1)?;
        check_rank(op, &index, rank)?;
        let guards = optional(op, "guards", exprs)?.unwrap_or_default();
        let mut guards = self.globalise(op, &guards, 1)?.into_iter();
        let mut pairs = Vec::new();
        while let Some(a) = guards.next() {
            pairs.push((a, guards.next().ok_or_else(|| error(op, "guards are pairs"))?));
        }
        Ok(Read { body: self.body, index, guards: pairs })
    }
}

fn check_rank(op: Op<'_>, index: &[Expr], rank: usize) -> Result<()> {
    if index.len() == rank {
        return Ok(());
    }
    Err(error(op, format!("{} index expressions for a tensor of rank {rank}", index.len())))
}
