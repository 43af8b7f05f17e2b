//! The operations of scalar programs, exactly as [`mlcc_ir::scalar`] documents them.

use super::{
    Emitter,
    builder::{Cmp, Kind, Val},
};
use crate::math;
use mlcc_ir::{
    dtype::DType,
    scalar::{BinaryOp, Predicate, UnaryOp},
    tensor::Element,
};

impl<'c> Emitter<'_, 'c> {
    pub(super) fn unary(&self, op: UnaryOp, x: Val<'c>, dtype: DType) -> Val<'c> {
        let b = self.b;
        match op {
            UnaryOp::IsNan if dtype.is_float() => b.compare(Cmp::Unordered, x, x),
            UnaryOp::IsNan => b.int(Kind::I1, x.lanes, 0),
            _ if dtype.is_float() => self.round_to(math::unary(b, op, x), dtype),
            UnaryOp::Neg => b.sub(b.int_like(x, 0), x),
            UnaryOp::Not => b.not(x),
            UnaryOp::Abs if dtype.is_signed_int() => {
                let negated = b.sub(b.int_like(x, 0), x);
                b.int_op("arith.maxsi", x, negated)
            }
            UnaryOp::Sign if dtype.is_signed_int() => {
                let one = b.int_like(x, 1);
                let clamped = b.int_op("arith.minsi", x, one);
                b.int_op("arith.maxsi", clamped, b.int_like(x, -1))
            }
            UnaryOp::Sign if dtype.is_unsigned_int() => b.int_op("arith.minui", x, b.int_like(x, 1)),
            // The identity for the remaining types: rounding and magnitudes of integers.
            UnaryOp::Floor
            | UnaryOp::Ceil
            | UnaryOp::Round
            | UnaryOp::Trunc
            | UnaryOp::Abs
            | UnaryOp::Sign => x,
            // Functions of reals on integers: through f64.
            UnaryOp::Exp
            | UnaryOp::Log
            | UnaryOp::Sqrt
            | UnaryOp::Sin
            | UnaryOp::Cos
            | UnaryOp::Tan
            | UnaryOp::Asin
            | UnaryOp::Acos
            | UnaryOp::Atan
            | UnaryOp::Sinh
            | UnaryOp::Cosh
            | UnaryOp::Tanh
            | UnaryOp::Asinh
            | UnaryOp::Acosh
            | UnaryOp::Atanh
            | UnaryOp::Erf => {
                let float = self.cast(x, dtype, DType::F64);
                self.cast(math::unary(b, op, float), DType::F64, dtype)
            }
        }
    }

    pub(super) fn binary(
        &self,
        op: BinaryOp,
        (x, y): (Val<'c>, Val<'c>),
        dtype: DType,
        constant: Option<Element>,
    ) -> Val<'c> {
        match dtype {
            DType::Bool => self.binary_bool(op, x, y),
            d if d.is_float() => self.round_to(self.binary_float(op, x, y, constant), d),
            d => self.binary_int(op, x, y, d.is_signed_int()),
        }
    }

    fn binary_bool(&self, op: BinaryOp, x: Val<'c>, y: Val<'c>) -> Val<'c> {
        let b = self.b;
        match op {
            BinaryOp::Add | BinaryOp::Max | BinaryOp::Or => b.or(x, y),
            BinaryOp::Mul | BinaryOp::Min | BinaryOp::And | BinaryOp::Div => b.and(x, y),
            BinaryOp::Sub | BinaryOp::Xor => b.xor(x, y),
            BinaryOp::Mod | BinaryOp::Rem => b.and(x, b.int(Kind::I1, 1, 0)),
            BinaryOp::Pow => b.or(x, b.not(y)),
            BinaryOp::Shl | BinaryOp::Shr => b.and(x, b.not(y)),
        }
    }

    fn binary_float(&self, op: BinaryOp, x: Val<'c>, y: Val<'c>, constant: Option<Element>) -> Val<'c> {
        let b = self.b;
        match op {
            BinaryOp::Add => b.add(x, y),
            BinaryOp::Sub => b.sub(x, y),
            BinaryOp::Mul => b.mul(x, y),
            BinaryOp::Div => b.div(x, y),
            BinaryOp::Min => b.float_extremum(false, x, y),
            BinaryOp::Max => b.float_extremum(true, x, y),
            BinaryOp::Rem => math::remainder(b, x, y),
            BinaryOp::Mod => {
                let r = math::remainder(b, x, y);
                let zero = b.like(r, 0.0);
                let opposite = b.xor(b.compare(Cmp::Lt, r, zero), b.compare(Cmp::Lt, y, zero));
                let shift = b.and(b.compare(Cmp::Ne, r, zero), opposite);
                b.select(shift, b.add(r, y), r)
            }
            BinaryOp::Pow => match constant.map(Element::to_f64) {
                Some(1.0) => x,
                Some(2.0) => b.mul(x, x),
                Some(3.0) => b.mul(b.mul(x, x), x),
                Some(-1.0) => b.div(b.like(x, 1.0), x),
                _ => math::power(b, x, y),
            },
            // Bitwise operations have no meaning on floats; verifiers reject them.
            BinaryOp::And | BinaryOp::Or | BinaryOp::Xor | BinaryOp::Shl | BinaryOp::Shr => x,
        }
    }

    fn binary_int(&self, op: BinaryOp, x: Val<'c>, y: Val<'c>, signed: bool) -> Val<'c> {
        let b = self.b;
        let named = |s: &str, u: &str| b.int_op(if signed { s } else { u }, x, y);
        match op {
            BinaryOp::Add => b.add(x, y),
            BinaryOp::Sub => b.sub(x, y),
            BinaryOp::Mul => b.mul(x, y),
            BinaryOp::Min => named("arith.minsi", "arith.minui"),
            BinaryOp::Max => named("arith.maxsi", "arith.maxui"),
            BinaryOp::And => b.and(x, y),
            BinaryOp::Or => b.or(x, y),
            BinaryOp::Xor => b.xor(x, y),
            BinaryOp::Div => self.division_or_zero(x, y, signed, true),
            BinaryOp::Rem => self.division_or_zero(x, y, signed, false),
            BinaryOp::Mod => {
                let r = self.division_or_zero(x, y, signed, false);
                if !signed {
                    return r;
                }
                let zero = b.int_like(r, 0);
                let opposite = b.compare(Cmp::Lt, b.xor(r, y), zero);
                let shift = b.and(b.compare(Cmp::Ne, r, zero), opposite);
                b.select(shift, b.add(r, y), r)
            }
            BinaryOp::Shl | BinaryOp::Shr => {
                let bits = i64::from(x.kind.bits());
                let limit = b.int(x.kind, 1, bits);
                let fits = b.compare(Cmp::Ult, y, limit);
                let last = b.int(x.kind, 1, bits - 1);
                let amount = b.int_op("arith.minui", y, last);
                let zero = b.int(x.kind, 1, 0);
                match (op, signed) {
                    (BinaryOp::Shl, _) => b.select(fits, b.int_op("arith.shli", x, amount), zero),
                    // A shift beyond the width leaves nothing but copies of the sign.
                    (_, true) => b.int_op("arith.shrsi", x, amount),
                    (_, false) => b.select(fits, b.int_op("arith.shrui", x, amount), zero),
                }
            }
            BinaryOp::Pow => math::integer_power(b, x, y, signed),
        }
    }

    /// Truncated quotient or remainder; 0 if the divisor is 0. The quotient of the least number and -1
    /// wraps instead of trapping.
    fn division_or_zero(&self, x: Val<'c>, y: Val<'c>, signed: bool, quotient: bool) -> Val<'c> {
        let b = self.b;
        let (zero, one) = (b.int_like(y, 0), b.int_like(y, 1));
        let by_zero = b.compare(Cmp::Eq, y, zero);
        let mut safe = b.select(by_zero, one, y);
        let name = match (signed, quotient) {
            (true, true) => "arith.divsi",
            (true, false) => "arith.remsi",
            (false, true) => "arith.divui",
            (false, false) => "arith.remui",
        };
        if !signed {
            return b.select(by_zero, zero, b.int_op(name, x, safe));
        }
        let by_minus_one = b.compare(Cmp::Eq, y, b.int_like(y, -1));
        safe = b.select(by_minus_one, one, safe);
        let result = b.int_op(name, x, safe);
        let negated = if quotient { b.sub(b.int_like(x, 0), x) } else { zero };
        b.select(by_zero, zero, b.select(by_minus_one, negated, result))
    }

    pub(super) fn compare(&self, predicate: Predicate, x: Val<'c>, y: Val<'c>, dtype: DType) -> Val<'c> {
        let signed = dtype.is_float() || dtype.is_signed_int();
        let cmp = match (predicate, signed) {
            (Predicate::Eq, _) => Cmp::Eq,
            (Predicate::Ne, _) => Cmp::Ne,
            (Predicate::Lt, true) => Cmp::Lt,
            (Predicate::Le, true) => Cmp::Le,
            (Predicate::Gt, true) => Cmp::Gt,
            (Predicate::Ge, true) => Cmp::Ge,
            (Predicate::Lt, false) => Cmp::Ult,
            (Predicate::Le, false) => Cmp::Ule,
            (Predicate::Gt, false) => Cmp::Ugt,
            (Predicate::Ge, false) => Cmp::Uge,
        };
        self.b.compare(cmp, x, y)
    }
}
