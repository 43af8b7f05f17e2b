//! Integer expressions over symbols, loop axes and computed values, in canonical form.
//!
//! An [`Expr`] is a polynomial: a constant plus terms, each a coefficient times a sorted product of
//! [`Atom`]s. Structural equality is equality of polynomials, so `n + n` equals `2 * n` and shapes
//! compare without a solver. Division, remainder, minimum and maximum are atoms of their own, and
//! simplify where the operands allow it.

mod parse;
mod simplify;

pub use parse::ParseError;
pub use simplify::Interval;

use crate::Name;
use std::{
    fmt,
    ops::{Add, Mul, Neg, Sub},
};

/// The most atoms that a product of expressions from outside may have. Each factor that is a sum doubles the terms
/// at least.
const MAX_PRODUCT: usize = 1 << 14;

/// A factor in a term of an [`Expr`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Atom {
    /// A named size, known when a model runs: `batch`, `sequence`. At least 0.
    Symbol(Name),
    /// A loop axis of the enclosing kernel or nest.
    Axis(Name),
    /// The integer result of an instruction of the enclosing [`crate::scalar::Body`].
    Value(u32),
    /// Quotient rounded towards negative infinity; the divisor is positive.
    FloorDiv(Box<(Expr, Expr)>),
    /// Remainder of the floored division, in `0..divisor`.
    Mod(Box<(Expr, Expr)>),
    /// The smaller one.
    Min(Box<(Expr, Expr)>),
    /// The larger one.
    Max(Box<(Expr, Expr)>),
}

/// An integer expression in canonical form.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Expr {
    /// `(product of atoms in order, coefficient)`; sorted by product, coefficients not 0.
    terms: Vec<(Vec<Atom>, i64)>,
    constant: i64,
}

impl From<i64> for Expr {
    fn from(constant: i64) -> Expr {
        Expr { terms: Vec::new(), constant }
    }
}

impl From<Atom> for Expr {
    fn from(atom: Atom) -> Expr {
        Expr { terms: vec![(vec![atom], 1)], constant: 0 }
    }
}

impl Expr {
    /// The symbol `name`.
    #[must_use]
    pub fn symbol(name: &str) -> Expr {
        Atom::Symbol(name.into()).into()
    }

    /// The loop axis `name`.
    #[must_use]
    pub fn axis(name: &str) -> Expr {
        Atom::Axis(name.into()).into()
    }

    /// The result of instruction `id` of the enclosing body.
    #[must_use]
    pub fn value(id: u32) -> Expr {
        Atom::Value(id).into()
    }

    /// The value, if the expression is a constant.
    #[must_use]
    pub fn as_const(&self) -> Option<i64> {
        self.terms.is_empty().then_some(self.constant)
    }

    /// Whether the expression is the constant `value`.
    #[must_use]
    pub fn is(&self, value: i64) -> bool {
        self.as_const() == Some(value)
    }

    /// The axis's name, if the expression is one axis and nothing else.
    #[must_use]
    pub fn as_axis(&self) -> Option<&Name> {
        match (self.as_atom(), self.constant) {
            (Some(Atom::Axis(name)), 0) => Some(name),
            _ => None,
        }
    }

    /// The atom, if the expression is one atom and nothing else.
    #[must_use]
    pub fn as_atom(&self) -> Option<&Atom> {
        match (&self.terms[..], self.constant) {
            ([(product, 1)], 0) if product.len() == 1 => Some(&product[0]),
            _ => None,
        }
    }

    /// The terms: sorted products of atoms with their coefficients.
    #[must_use]
    pub fn terms(&self) -> &[(Vec<Atom>, i64)] {
        &self.terms
    }

    /// The constant term.
    #[must_use]
    pub fn constant(&self) -> i64 {
        self.constant
    }

    /// Number of atoms at any depth, plus number of terms.
    fn size(&self) -> usize {
        let atom = |atom: &Atom| match atom {
            Atom::Symbol(_) | Atom::Axis(_) | Atom::Value(_) => 1,
            Atom::FloorDiv(ab) | Atom::Mod(ab) | Atom::Min(ab) | Atom::Max(ab) => ab.0.size() + ab.1.size(),
        };
        1 + self.terms.iter().map(|(product, _)| 1 + product.iter().map(atom).sum::<usize>()).sum::<usize>()
    }

    /// The product, unless it may be larger than any expression that a model needs.
    fn bounded_product(&self, other: &Expr) -> Option<Expr> {
        let (terms, other_terms) = (self.terms.len() + 1, other.terms.len() + 1);
        let size = (terms * other.size()).saturating_add(other_terms * self.size());
        (terms == 1 || other_terms == 1 || size <= MAX_PRODUCT).then(|| self.clone() * other.clone())
    }

    fn normalised(mut terms: Vec<(Vec<Atom>, i64)>, constant: i64) -> Expr {
        terms.sort();
        let mut merged: Vec<(Vec<Atom>, i64)> = Vec::with_capacity(terms.len());
        for (product, coefficient) in terms {
            match merged.last_mut() {
                Some((last, c)) if *last == product => *c = c.saturating_add(coefficient),
                _ => merged.push((product, coefficient)),
            }
        }
        merged.retain(|(_, c)| *c != 0);
        Expr { terms: merged, constant }
    }

    /// Quotient rounded towards negative infinity. A divisor of 0 gives 0, so that hostile sizes
    /// cannot trap; verifiers reject it before anything runs.
    #[must_use]
    pub fn floor_div(&self, divisor: &Expr) -> Expr {
        simplify::floor_div(self, divisor)
    }

    /// Quotient rounded towards positive infinity.
    #[must_use]
    pub fn ceil_div(&self, divisor: &Expr) -> Expr {
        (self.clone() + divisor.clone() - Expr::from(1)).floor_div(divisor)
    }

    /// Remainder of the floored division.
    #[must_use]
    pub fn modulo(&self, divisor: &Expr) -> Expr {
        simplify::modulo(self, divisor)
    }

    /// The smaller of two expressions.
    #[must_use]
    pub fn minimum(&self, other: &Expr) -> Expr {
        match (self.clone() - other.clone()).as_const() {
            Some(d) if d <= 0 => self.clone(),
            Some(_) => other.clone(),
            None => Atom::Min(Box::new(ordered(self, other))).into(),
        }
    }

    /// The larger of two expressions.
    #[must_use]
    pub fn maximum(&self, other: &Expr) -> Expr {
        match (self.clone() - other.clone()).as_const() {
            Some(d) if d >= 0 => self.clone(),
            Some(_) => other.clone(),
            None => Atom::Max(Box::new(ordered(self, other))).into(),
        }
    }

    /// Whether an atom satisfying `wanted` occurs, at any depth.
    pub fn any_atom(&self, wanted: &mut dyn FnMut(&Atom) -> bool) -> bool {
        self.terms.iter().flat_map(|(product, _)| product).any(|atom| {
            wanted(atom)
                || match atom {
                    Atom::FloorDiv(ab) | Atom::Mod(ab) | Atom::Min(ab) | Atom::Max(ab) => {
                        ab.0.any_atom(wanted) || ab.1.any_atom(wanted)
                    }
                    _ => false,
                }
        })
    }

    /// Whether the axis `name` occurs.
    #[must_use]
    pub fn uses_axis(&self, name: &str) -> bool {
        self.any_atom(&mut |a| matches!(a, Atom::Axis(n) if **n == *name))
    }

    /// Whether the expression depends on instructions' results.
    #[must_use]
    pub fn uses_values(&self) -> bool {
        self.any_atom(&mut |a| matches!(a, Atom::Value(_)))
    }

    /// Rebuilds the expression with each atom replaced by `replace(atom)`. If `replace` gives `None`, a symbol, axis
    /// or value stays as it is, and any other atom is rebuilt from its rebuilt parts.
    #[must_use]
    pub fn substitute(&self, replace: &dyn Fn(&Atom) -> Option<Expr>) -> Expr {
        let mut sum = Expr::from(self.constant);
        for (product, coefficient) in &self.terms {
            let mut term = Expr::from(*coefficient);
            for atom in product {
                let factor = match atom {
                    _ if let Some(by) = replace(atom) => by,
                    Atom::Symbol(_) | Atom::Axis(_) | Atom::Value(_) => atom.clone().into(),
                    Atom::FloorDiv(ab) => ab.0.substitute(replace).floor_div(&ab.1.substitute(replace)),
                    Atom::Mod(ab) => ab.0.substitute(replace).modulo(&ab.1.substitute(replace)),
                    Atom::Min(ab) => ab.0.substitute(replace).minimum(&ab.1.substitute(replace)),
                    Atom::Max(ab) => ab.0.substitute(replace).maximum(&ab.1.substitute(replace)),
                };
                term = term * factor;
            }
            sum = sum + term;
        }
        sum
    }

    /// Replaces the axis `name` by `by`.
    #[must_use]
    pub fn replace_axis(&self, name: &str, by: &Expr) -> Expr {
        self.substitute(&|a| match a {
            Atom::Axis(n) if **n == *name => Some(by.clone()),
            _ => None,
        })
    }

    /// Distances of the values at the points of a block of `lanes` along an axis from the value at the block's first
    /// point. The distances must be the same for every block that begins at a multiple of `lanes`; `None` if this is
    /// not known.
    #[must_use]
    pub fn distances_in_block(&self, axis: &str, lanes: u32) -> Option<Vec<i64>> {
        let at = |lane: u32| {
            let point = Expr::axis(axis) * Expr::from(i64::from(lanes)) + Expr::from(i64::from(lane));
            self.replace_axis(axis, &point)
        };
        let first = at(0);
        (0..lanes).map(|lane| (at(lane) - first.clone()).as_const()).collect()
    }

    /// The value under an assignment of the atoms; `None` on overflow, a divisor that is not
    /// positive, or an atom without a value.
    #[must_use]
    pub fn evaluate(&self, value_of: &dyn Fn(&Atom) -> Option<i64>) -> Option<i64> {
        let mut sum = self.constant;
        for (product, coefficient) in &self.terms {
            let mut term = *coefficient;
            for atom in product {
                let pair = |ab: &(Expr, Expr)| Some((ab.0.evaluate(value_of)?, ab.1.evaluate(value_of)?));
                let factor = match atom {
                    Atom::Symbol(_) | Atom::Axis(_) | Atom::Value(_) => value_of(atom)?,
                    Atom::FloorDiv(ab) => pair(ab).filter(|p| p.1 > 0).map(|(a, b)| a.div_euclid(b))?,
                    Atom::Mod(ab) => pair(ab).filter(|p| p.1 > 0).map(|(a, b)| a.rem_euclid(b))?,
                    Atom::Min(ab) => pair(ab).map(|(a, b)| a.min(b))?,
                    Atom::Max(ab) => pair(ab).map(|(a, b)| a.max(b))?,
                };
                term = term.checked_mul(factor)?;
            }
            sum = sum.checked_add(term)?;
        }
        Some(sum)
    }

    /// Splits `self` into `coefficient * axis + rest`, where `rest` is free of the axis. `None` if the axis occurs
    /// in another way (in a product, a quotient, a remainder). The coefficient may be symbolic; it is 0 if the axis
    /// does not occur.
    #[must_use]
    pub fn split_axis(&self, name: &str) -> Option<(Expr, Expr)> {
        let is_axis = |a: &Atom| matches!(a, Atom::Axis(n) if **n == *name);
        let (mut coefficient, mut rest) = (Expr::from(0), Expr::from(self.constant));
        for (product, c) in &self.terms {
            let mut others = product.clone();
            match others.iter().position(is_axis) {
                Some(at) => {
                    others.remove(at);
                    let factor = Expr::normalised(vec![(others, *c)], 0).fold_empty();
                    if factor.uses_axis(name) {
                        return None;
                    }
                    coefficient = coefficient + factor;
                }
                None => rest = rest + Expr { terms: vec![(others, *c)], constant: 0 },
            }
        }
        (!rest.uses_axis(name)).then_some((coefficient, rest))
    }

    /// An empty product is the number 1.
    fn fold_empty(mut self) -> Expr {
        if let Some(at) = self.terms.iter().position(|(p, _)| p.is_empty()) {
            self.constant += self.terms.remove(at).1;
        }
        self
    }

    /// Names of the symbols that occur, in order of first occurrence.
    pub fn collect_symbols(&self, into: &mut Vec<Name>) {
        self.any_atom(&mut |a| {
            if let Atom::Symbol(n) = a
                && !into.contains(n)
            {
                into.push(n.clone());
            }
            false
        });
    }

    /// Names of the axes that occur, in order of first occurrence.
    pub fn collect_axes(&self, into: &mut Vec<Name>) {
        self.any_atom(&mut |a| {
            if let Atom::Axis(n) = a
                && !into.contains(n)
            {
                into.push(n.clone());
            }
            false
        });
    }
}

fn ordered(a: &Expr, b: &Expr) -> (Expr, Expr) {
    if a <= b { (a.clone(), b.clone()) } else { (b.clone(), a.clone()) }
}

impl Add for Expr {
    type Output = Expr;
    fn add(self, other: Expr) -> Expr {
        let constant = self.constant.saturating_add(other.constant);
        if other.terms.is_empty() {
            return Expr { terms: self.terms, constant };
        }
        if self.terms.is_empty() {
            return Expr { terms: other.terms, constant };
        }
        let mut terms = self.terms;
        terms.extend(other.terms);
        Expr::normalised(terms, constant)
    }
}

impl Neg for Expr {
    type Output = Expr;
    fn neg(self) -> Expr {
        self * Expr::from(-1)
    }
}

impl Sub for Expr {
    type Output = Expr;
    fn sub(self, other: Expr) -> Expr {
        self + -other
    }
}

impl Mul for Expr {
    type Output = Expr;
    fn mul(self, other: Expr) -> Expr {
        let mut terms = Vec::with_capacity((self.terms.len() + 1) * (other.terms.len() + 1));
        for (p, c) in &self.terms {
            terms.push((p.clone(), c.saturating_mul(other.constant)));
            for (q, d) in &other.terms {
                let mut product = [p.as_slice(), q.as_slice()].concat();
                product.sort();
                terms.push((product, c.saturating_mul(*d)));
            }
        }
        terms.extend(other.terms.iter().map(|(q, d)| (q.clone(), d.saturating_mul(self.constant))));
        Expr::normalised(terms, self.constant.saturating_mul(other.constant))
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for (product, coefficient) in &self.terms {
            let magnitude = coefficient.unsigned_abs();
            match (first, *coefficient < 0) {
                (true, true) => write!(f, "-")?,
                (true, false) => {}
                (false, true) => write!(f, " - ")?,
                (false, false) => write!(f, " + ")?,
            }
            first = false;
            for (i, atom) in product.iter().enumerate() {
                write!(f, "{}{atom}", if i > 0 { " * " } else { "" })?;
            }
            if magnitude != 1 {
                write!(f, " * {magnitude}")?;
            }
        }
        match (first, self.constant) {
            (true, c) => write!(f, "{c}"),
            (false, 0) => Ok(()),
            (false, c) if c < 0 => write!(f, " - {}", c.unsigned_abs()),
            (false, c) => write!(f, " + {c}"),
        }
    }
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Atom::Symbol(name) => write!(f, "{name}"),
            Atom::Axis(name) => write!(f, "%{name}"),
            Atom::Value(id) => write!(f, "${id}"),
            Atom::FloorDiv(ab) => write!(f, "floordiv({}, {})", ab.0, ab.1),
            Atom::Mod(ab) => write!(f, "mod({}, {})", ab.0, ab.1),
            Atom::Min(ab) => write!(f, "min({}, {})", ab.0, ab.1),
            Atom::Max(ab) => write!(f, "max({}, {})", ab.0, ab.1),
        }
    }
}
