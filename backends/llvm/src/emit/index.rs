//! Index expressions: scalars as `i64`; along the vector axis, vectors of `i32` if the ranges allow it.

use super::{
    Binding, Emitter,
    builder::{Cmp, Kind, Val},
};
use mlcc_ir::{
    diagnostic::Result,
    expr::{Atom, Expr},
};

impl<'c> Emitter<'_, 'c> {
    /// Whether a resolved expression differs between lanes.
    pub(super) fn varies(&self, expr: &Expr) -> bool {
        expr.any_atom(&mut |atom| self.atom_varies(atom))
    }

    fn atom_varies(&self, atom: &Atom) -> bool {
        match atom {
            Atom::Axis(name) => self.vector.as_ref().is_some_and(|v| v.axis == *name),
            Atom::Value(id) => self.values.get(*id as usize).is_some_and(|(v, _)| v.lanes > 1),
            Atom::FloorDiv(ab) | Atom::Mod(ab) | Atom::Min(ab) | Atom::Max(ab) => {
                self.varies(&ab.0) || self.varies(&ab.1)
            }
            Atom::Symbol(_) => false,
        }
    }

    /// Whether the expression and all its parts stay within 32 bits.
    pub(super) fn fits_i32(&self, expr: &Expr) -> bool {
        let magnitude = |e: &Expr| {
            let range = self.interval(e);
            range.low.zip(range.high).map(|(l, h)| i128::from(l).abs().max(i128::from(h).abs()))
        };
        let mut total = i128::from(expr.constant()).abs();
        for (product, coefficient) in expr.terms() {
            let mut size = i128::from(*coefficient).abs();
            for atom in product {
                let inner = match atom {
                    Atom::FloorDiv(ab) | Atom::Mod(ab) | Atom::Min(ab) | Atom::Max(ab) => {
                        self.fits_i32(&ab.0) && self.fits_i32(&ab.1)
                    }
                    _ => true,
                };
                match magnitude(&Expr::from(atom.clone())) {
                    Some(m) if inner => size = size.saturating_mul(m.max(1)),
                    _ => return false,
                }
            }
            total = total.saturating_add(size);
        }
        total < 1 << 31
    }

    /// A resolved expression that is the same in all lanes, as an `i64`.
    pub(super) fn scalar(&mut self, expr: &Expr) -> Result<Val<'c>> {
        if let Some(value) = expr.as_const() {
            return Ok(self.b.int(Kind::I64, 1, value));
        }
        let memoised = !expr.uses_values();
        if memoised && let Some(known) = self.memo.iter().rev().find_map(|m| m.get(expr)) {
            return Ok(*known);
        }
        let value = self.sum(expr, None)?;
        if memoised && let Some(innermost) = self.memo.last_mut() {
            innermost.insert(expr.clone(), value);
        }
        Ok(value)
    }

    /// A resolved expression in each lane, as a vector of `kind`.
    pub(super) fn lanes_of(&mut self, expr: &Expr, kind: Kind) -> Result<Val<'c>> {
        let (mut uniform, mut varying) = (Expr::from(expr.constant()), Expr::from(0));
        for (product, coefficient) in expr.terms() {
            let term = product.iter().fold(Expr::from(*coefficient), |t, atom| t * Expr::from(atom.clone()));
            if self.varies(&term) {
                varying = varying + term;
            } else {
                uniform = uniform + term;
            }
        }
        let sum = self.sum(&varying, Some(kind))?;
        if uniform.is(0) {
            return Ok(sum);
        }
        let uniform = self.scalar(&uniform)?;
        let uniform = self.b.resize(uniform, kind, true);
        Ok(self.b.add(sum, uniform))
    }

    /// The sum of the terms; `lanes` is the kind of vectors if the terms vary.
    fn sum(&mut self, expr: &Expr, lanes: Option<Kind>) -> Result<Val<'c>> {
        let kind = lanes.unwrap_or(Kind::I64);
        let mut sum: Option<Val<'c>> = None;
        for (product, coefficient) in expr.terms() {
            let mut term: Option<Val<'c>> = None;
            for atom in product {
                let factor = self.atom(atom, kind)?;
                term = Some(term.map_or(factor, |t| self.b.mul(t, factor)));
            }
            let one = || self.b.int(kind, 1, *coefficient);
            let term = match term {
                Some(t) if *coefficient == 1 => t,
                Some(t) => self.b.mul(t, one()),
                None => one(),
            };
            sum = Some(sum.map_or(term, |s| self.b.add(s, term)));
        }
        let constant = || self.b.int(kind, 1, expr.constant());
        Ok(match sum {
            Some(s) if expr.constant() == 0 => s,
            Some(s) => self.b.add(s, constant()),
            None => constant(),
        })
    }

    fn atom(&mut self, atom: &Atom, kind: Kind) -> Result<Val<'c>> {
        if let Atom::Axis(name) = atom
            && let Some(step) = self.vector.clone()
            && step.axis == *name
        {
            let iota = self.b.iota(kind, step.lanes, 1);
            let base = self.b.resize(step.base, kind, true);
            return Ok(self.b.add(iota, base));
        }
        let value = match atom {
            Atom::Symbol(name) => *self
                .symbols
                .get(name)
                .ok_or_else(|| self.wrong(format!("symbol '{name}' is not among the nest's symbols")))?,
            Atom::Axis(name) => match self.axes.iter().rev().find(|a| a.name == *name).map(|a| a.binding) {
                Some(Binding::Scalar(value)) => value,
                Some(Binding::Constant(value)) => self.b.int(Kind::I64, 1, value),
                _ => return Err(self.wrong(format!("axis '{name}' is not in scope"))),
            },
            Atom::Value(id) => {
                let (value, dtype) = *self
                    .values
                    .get(*id as usize)
                    .ok_or_else(|| self.wrong(format!("an index uses value ${id} before it is computed")))?;
                return Ok(self.b.resize(value, kind, dtype.is_signed_int()));
            }
            Atom::FloorDiv(ab) => return self.division(ab, kind, true),
            Atom::Mod(ab) => return self.division(ab, kind, false),
            Atom::Min(ab) | Atom::Max(ab) => {
                let (a, b) = (self.part(&ab.0, kind)?, self.part(&ab.1, kind)?);
                let name = if matches!(atom, Atom::Min(_)) { "arith.minsi" } else { "arith.maxsi" };
                return Ok(self.b.int_op(name, a, b));
            }
        };
        Ok(self.b.resize(value, kind, true))
    }

    /// A part of an expression in the given kind, a vector only if it varies.
    fn part(&mut self, expr: &Expr, kind: Kind) -> Result<Val<'c>> {
        if self.varies(expr) {
            return self.lanes_of(expr, kind);
        }
        let value = self.scalar(expr)?;
        Ok(self.b.resize(value, kind, true))
    }

    /// Floored quotient or remainder.
    fn division(&mut self, (a, d): &(Expr, Expr), kind: Kind, quotient: bool) -> Result<Val<'c>> {
        let positive = self.interval(a).low >= Some(0);
        let (x, mut y) = (self.part(a, kind)?, self.part(d, kind)?);
        let zero = self.b.int(kind, 1, 0);
        if self.interval(d).low < Some(1) {
            // A hostile size must not trap; verifiers reject it before the result matters.
            let one = self.b.int(kind, 1, 1);
            y = self.b.int_op("arith.maxsi", y, one);
        }
        if positive {
            return Ok(self.b.int_op(if quotient { "arith.divui" } else { "arith.remui" }, x, y));
        }
        if let Some(d) = d.as_const().filter(|d| d.count_ones() == 1) {
            return Ok(if quotient {
                let shift = self.b.int(kind, 1, i64::from(d.trailing_zeros()));
                self.b.int_op("arith.shrsi", x, shift)
            } else {
                let mask = self.b.int(kind, 1, d - 1);
                self.b.and(x, mask)
            });
        }
        let remainder = self.b.int_op("arith.remsi", x, y);
        let negative = self.b.compare(Cmp::Lt, remainder, zero);
        if quotient {
            let truncated = self.b.int_op("arith.divsi", x, y);
            let correction = self.b.convert("arith.extsi", negative, kind);
            return Ok(self.b.add(truncated, correction));
        }
        let shifted = self.b.add(remainder, y);
        Ok(self.b.select(negative, shifted, remainder))
    }
}
