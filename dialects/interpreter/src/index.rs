//! Index expressions, compiled: axes are slots, symbols are folded.

use crate::{Symbols, evaluate_expr};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    expr::{Atom, Expr},
    tensor::Element,
};

/// A compiled index expression: a constant plus coefficients times products.
#[derive(Debug)]
pub(crate) struct Index {
    constant: i64,
    terms: Vec<(i64, Vec<Factor>)>,
}

#[derive(Debug)]
enum Factor {
    Symbol(i64),
    Axis(usize),
    Value(usize),
    FloorDiv(Box<(Index, Index)>),
    Mod(Box<(Index, Index)>),
    Min(Box<(Index, Index)>),
    Max(Box<(Index, Index)>),
}

impl Index {
    /// Compiles `expr`; `slot` gives the slot of an axis that encloses it, and only the first `values`
    /// instructions may be used.
    pub(crate) fn compile(
        expr: &Expr,
        symbols: &Symbols,
        slot: &dyn Fn(&str) -> Option<usize>,
        values: usize,
    ) -> Result<Index> {
        let pair = |ab: &(Expr, Expr)| -> Result<Box<(Index, Index)>> {
            let compile = |e| Index::compile(e, symbols, slot, values);
            Ok(Box::new((compile(&ab.0)?, compile(&ab.1)?)))
        };
        let factor = |atom: &Atom| -> Result<Factor> {
            Ok(match atom {
                Atom::Symbol(_) => Factor::Symbol(evaluate_expr(&atom.clone().into(), symbols)?),
                Atom::Axis(name) => Factor::Axis(slot(name).ok_or_else(|| {
                    Diagnostic::internal(format!("'{expr}' uses axis '{name}', which does not enclose it"))
                })?),
                Atom::Value(id) if (*id as usize) < values => Factor::Value(*id as usize),
                Atom::Value(id) => {
                    return Err(Diagnostic::internal(format!("'{expr}' uses ${id} before it is computed")));
                }
                Atom::FloorDiv(ab) => Factor::FloorDiv(pair(ab)?),
                Atom::Mod(ab) => Factor::Mod(pair(ab)?),
                Atom::Min(ab) => Factor::Min(pair(ab)?),
                Atom::Max(ab) => Factor::Max(pair(ab)?),
            })
        };
        let term = |(product, coefficient): &(Vec<Atom>, i64)| {
            Ok((*coefficient, product.iter().map(factor).collect::<Result<Vec<_>>>()?))
        };
        let terms = expr.terms().iter().map(term).collect::<Result<Vec<_>>>()?;
        Ok(Index { constant: expr.constant(), terms })
    }

    /// The value at a point of the axes.
    pub(crate) fn evaluate(&self, axes: &[i64], values: &[Element]) -> Result<i64> {
        self.value(axes, values).ok_or_else(|| {
            Diagnostic::internal("an index expression overflows or divides by a number that is not positive")
        })
    }

    fn value(&self, axes: &[i64], values: &[Element]) -> Option<i64> {
        let mut sum = self.constant;
        for (coefficient, product) in &self.terms {
            let mut term = *coefficient;
            for factor in product {
                let pair = |ab: &(Index, Index)| Some((ab.0.value(axes, values)?, ab.1.value(axes, values)?));
                let factor = match factor {
                    Factor::Symbol(v) => *v,
                    Factor::Axis(slot) => *axes.get(*slot)?,
                    Factor::Value(id) => values.get(*id)?.to_i64(),
                    Factor::FloorDiv(ab) => pair(ab).filter(|p| p.1 > 0).map(|(a, b)| a.div_euclid(b))?,
                    Factor::Mod(ab) => pair(ab).filter(|p| p.1 > 0).map(|(a, b)| a.rem_euclid(b))?,
                    Factor::Min(ab) => pair(ab).map(|(a, b)| a.min(b))?,
                    Factor::Max(ab) => pair(ab).map(|(a, b)| a.max(b))?,
                };
                term = term.checked_mul(factor)?;
            }
            sum = sum.checked_add(term)?;
        }
        Some(sum)
    }
}
