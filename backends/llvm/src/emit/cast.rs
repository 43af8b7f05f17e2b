//! Representation of element types in registers and memory, and conversions between types.
//!
//! 16-bit floats are computed with as `f32` and rounded after each operation; `Bool` is one bit in a
//! register and a byte in memory.

use super::{
    Emitter,
    builder::{Cmp, Kind, Val},
    memory::memory_kind,
};
use mlcc_ir::dtype::DType;

/// The kind of register that holds an element.
#[must_use]
pub fn register_kind(dtype: DType) -> Kind {
    match dtype {
        DType::F16 | DType::BF16 => Kind::F32,
        DType::Bool => Kind::I1,
        other => memory_kind(other),
    }
}

impl<'c> Emitter<'_, 'c> {
    /// An element as loaded, to a register.
    pub(super) fn loaded(&self, value: Val<'c>, dtype: DType) -> Val<'c> {
        let b = self.b;
        match dtype {
            DType::F16 => b.convert("arith.extf", b.bitcast(value, Kind::F16), Kind::F32),
            DType::BF16 => {
                let wide = b.resize(value, Kind::I32, false);
                let bits = b.int_op("arith.shli", wide, b.int(Kind::I32, 1, 16));
                b.bitcast(bits, Kind::F32)
            }
            DType::Bool => b.compare(Cmp::Ne, value, b.int(Kind::I8, 1, 0)),
            _ => value,
        }
    }

    /// A register's value as it is stored; rounds to nearest even.
    pub(super) fn stored(&self, value: Val<'c>, dtype: DType) -> Val<'c> {
        let b = self.b;
        match dtype {
            DType::F16 => b.bitcast(b.convert("arith.truncf", value, Kind::F16), Kind::I16),
            DType::BF16 => {
                let bits = b.bitcast(value, Kind::I32);
                let constant = |v| b.int(Kind::I32, 1, v);
                let high = b.int_op("arith.shrui", bits, constant(16));
                let odd = b.and(high, constant(1));
                let rounded = b.add(b.add(bits, constant(0x7fff)), odd);
                let rounded = b.int_op("arith.shrui", rounded, constant(16));
                let nan = b.compare(Cmp::Unordered, value, value);
                let bits = b.select(nan, b.or(high, constant(0x40)), rounded);
                b.resize(bits, Kind::I16, false)
            }
            DType::Bool => b.resize(value, Kind::I8, false),
            _ => value,
        }
    }

    /// An `f32` result rounded to a value of `dtype`.
    pub(super) fn round_to(&self, value: Val<'c>, dtype: DType) -> Val<'c> {
        match dtype {
            DType::F16 | DType::BF16 => self.loaded(self.stored(value, dtype), dtype),
            _ => value,
        }
    }

    /// Converts between any two types as [`mlcc_ir::scalar::Inst::Cast`] says.
    pub(super) fn cast(&self, value: Val<'c>, from: DType, to: DType) -> Val<'c> {
        let b = self.b;
        let target = register_kind(to);
        if from == to {
            return value;
        }
        if to == DType::Bool {
            let zero = if value.kind.is_float() { b.like(value, 0.0) } else { b.int_like(value, 0) };
            return b.compare(Cmp::Ne, value, zero);
        }
        match (from.is_float(), to.is_float()) {
            (true, true) => self.round_to(self.float_cast(value, to), to),
            (true, false) => b.saturate(value, target, to.is_signed_int()),
            (false, true) => {
                let name = if from.is_signed_int() { "arith.sitofp" } else { "arith.uitofp" };
                // Through f64, which holds all values that the 16-bit types distinguish.
                let through = if target == Kind::F32 && to != DType::F32 { Kind::F64 } else { target };
                let float = b.convert(name, value, through);
                self.round_to(self.float_cast(float, to), to)
            }
            (false, false) => b.resize(value, target, from.is_signed_int()),
        }
    }

    /// A float in the register kind of `to`. On the way from `f64` to a 16-bit type it is rounded to
    /// odd, so that the second rounding is right.
    fn float_cast(&self, value: Val<'c>, to: DType) -> Val<'c> {
        let b = self.b;
        match (value.kind, register_kind(to)) {
            (Kind::F32, Kind::F64) => b.convert("arith.extf", value, Kind::F64),
            (Kind::F64, Kind::F32) => {
                let near = b.convert("arith.truncf", value, Kind::F32);
                if to == DType::F32 {
                    return near;
                }
                let back = b.convert("arith.extf", near, Kind::F64);
                let inexact = b.and(b.compare(Cmp::Ne, back, value), b.compare(Cmp::Eq, value, value));
                let above = b.compare(Cmp::Gt, b.math("math.absf", back), b.math("math.absf", value));
                let bits = b.bitcast(near, Kind::I32);
                let toward_zero = b.sub(bits, b.resize(above, Kind::I32, false));
                let odd = b.or(toward_zero, b.int(Kind::I32, 1, 1));
                b.bitcast(b.select(inexact, odd, bits), Kind::F32)
            }
            _ => value,
        }
    }
}
