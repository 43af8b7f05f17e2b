//! Building scalar bodies: reads that widen half-precision types, constants, shared subexpressions.

use super::kernels::{KernelBuilder, Yield};
use mlcc_ir::{
    dtype::DType,
    expr::Expr,
    scalar::{BinaryOp, Body, Constant, Inst, Predicate, UnaryOp, ValueId},
    tensor::Element,
};

/// The type in which values of type `dtype` are computed: half-precision floats compute in `f32`.
pub(super) fn compute_type(dtype: DType) -> DType {
    match dtype {
        DType::F16 | DType::BF16 => DType::F32,
        other => other,
    }
}

/// A scalar body under construction. Equal instructions are shared.
#[derive(Default)]
pub(super) struct Scalars {
    body: Body,
}

impl Scalars {
    fn push(&mut self, inst: Inst, dtype: DType) -> ValueId {
        match self.body.insts.iter().position(|(i, d)| *d == dtype && *i == inst) {
            Some(at) => at as ValueId,
            None => self.body.push(inst, dtype),
        }
    }

    /// Type of a value.
    pub(super) fn dtype(&self, v: ValueId) -> DType {
        self.body.dtype(v)
    }

    /// The finished body with this result.
    pub(super) fn yields(mut self, result: ValueId) -> Yield {
        self.body.result = result;
        Yield { body: self.body, combine: None }
    }

    /// An element as it is stored.
    pub(super) fn read_raw(&mut self, k: &KernelBuilder, tensor: usize, index: Vec<Expr>) -> ValueId {
        self.push(Inst::Read { tensor, index, outside: None }, k.dtype(tensor))
    }

    /// An element as it is stored, or `outside` where the index is out of bounds.
    pub(super) fn read_raw_or(
        &mut self,
        k: &KernelBuilder,
        tensor: usize,
        index: Vec<Expr>,
        outside: Element,
    ) -> ValueId {
        let dtype = k.dtype(tensor);
        let outside = Some(Constant::new(dtype, outside));
        self.push(Inst::Read { tensor, index, outside }, dtype)
    }

    /// An element in the type in which it is computed.
    pub(super) fn read(&mut self, k: &KernelBuilder, tensor: usize, index: Vec<Expr>) -> ValueId {
        let raw = self.read_raw(k, tensor, index);
        self.widen(raw)
    }

    /// [`Scalars::read`] with a value for indices out of bounds.
    pub(super) fn read_or(
        &mut self,
        k: &KernelBuilder,
        tensor: usize,
        index: Vec<Expr>,
        outside: Element,
    ) -> ValueId {
        let raw = self.read_raw_or(k, tensor, index, outside);
        self.widen(raw)
    }

    /// The value in the type in which it is computed.
    pub(super) fn widen(&mut self, v: ValueId) -> ValueId {
        self.cast(v, compute_type(self.dtype(v)))
    }

    /// A constant of the type of `like`.
    pub(super) fn float_like(&mut self, like: ValueId, value: f64) -> ValueId {
        self.constant(Constant::float(self.dtype(like), value))
    }

    /// A constant.
    pub(super) fn constant(&mut self, c: Constant) -> ValueId {
        self.push(Inst::Const(c), c.dtype)
    }

    /// A float constant.
    pub(super) fn float(&mut self, dtype: DType, value: f64) -> ValueId {
        self.constant(Constant::float(dtype, value))
    }

    /// An integer constant of type `i64`.
    pub(super) fn int(&mut self, value: i64) -> ValueId {
        self.constant(Constant::int(DType::I64, value))
    }

    /// An index expression as an `i64`.
    pub(super) fn index(&mut self, e: Expr) -> ValueId {
        match e.as_const() {
            Some(c) => self.int(c),
            None => self.push(Inst::Index(e), DType::I64),
        }
    }

    /// An index expression as a value of type `dtype`.
    pub(super) fn index_as(&mut self, e: Expr, dtype: DType) -> ValueId {
        match e.as_const() {
            Some(c) => self.constant(Constant::int(dtype, c)),
            None => {
                let v = self.index(e);
                self.cast(v, dtype)
            }
        }
    }

    /// A function of one operand.
    pub(super) fn unary(&mut self, op: UnaryOp, a: ValueId) -> ValueId {
        let dtype = if op == UnaryOp::IsNan { DType::Bool } else { self.dtype(a) };
        self.push(Inst::Unary(op, a), dtype)
    }

    /// A function of two operands of one type.
    pub(super) fn binary(&mut self, op: BinaryOp, a: ValueId, b: ValueId) -> ValueId {
        self.push(Inst::Binary(op, a, b), self.dtype(a))
    }

    /// `a + b`.
    pub(super) fn add(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.binary(BinaryOp::Add, a, b)
    }

    /// `a - b`.
    pub(super) fn sub(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.binary(BinaryOp::Sub, a, b)
    }

    /// `a * b`.
    pub(super) fn mul(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.binary(BinaryOp::Mul, a, b)
    }

    /// `a / b`.
    pub(super) fn div(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.binary(BinaryOp::Div, a, b)
    }

    /// The smaller one.
    pub(super) fn min(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.binary(BinaryOp::Min, a, b)
    }

    /// The larger one.
    pub(super) fn max(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.binary(BinaryOp::Max, a, b)
    }

    /// `a + constant`, in the type of `a`.
    pub(super) fn add_float(&mut self, a: ValueId, value: f64) -> ValueId {
        let c = self.float_like(a, value);
        self.add(a, c)
    }

    /// `a * constant`, in the type of `a`.
    pub(super) fn mul_float(&mut self, a: ValueId, value: f64) -> ValueId {
        let c = self.float_like(a, value);
        self.mul(a, c)
    }

    /// `low <= a <= high`, in the type of `a`.
    pub(super) fn clamp_float(&mut self, a: ValueId, low: f64, high: f64) -> ValueId {
        let (low, high) = (self.float_like(a, low), self.float_like(a, high));
        let a = self.max(a, low);
        self.min(a, high)
    }

    /// A comparison.
    pub(super) fn compare(&mut self, predicate: Predicate, a: ValueId, b: ValueId) -> ValueId {
        self.push(Inst::Compare(predicate, a, b), DType::Bool)
    }

    /// `condition ? a : b`.
    pub(super) fn select(&mut self, condition: ValueId, a: ValueId, b: ValueId) -> ValueId {
        self.push(Inst::Select(condition, a, b), self.dtype(a))
    }

    /// A conversion.
    pub(super) fn cast(&mut self, a: ValueId, to: DType) -> ValueId {
        if self.dtype(a) == to { a } else { self.push(Inst::Cast(a), to) }
    }

    /// The index `v` (an integer) along a dimension of this extent. Negative values count from the end. The
    /// result is an index expression; it may be out of bounds.
    pub(super) fn wrapped_index(&mut self, v: ValueId, extent: &Expr) -> Expr {
        let signed = self.dtype(v).is_signed_int();
        let v = self.cast(v, DType::I64);
        if !signed {
            return Expr::value(v);
        }
        let zero = self.int(0);
        let negative = self.compare(Predicate::Lt, v, zero);
        let extent = self.index(extent.clone());
        let from_end = self.add(v, extent);
        Expr::value(self.select(negative, from_end, v))
    }
}
