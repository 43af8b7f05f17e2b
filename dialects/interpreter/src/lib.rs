//! The reference interpreters: the semantics of every level, plain and slow.
//!
//! | Level | Entry | Semantics |
//! |---|---|---|
//! | graph | [`graph::evaluate`], [`graph::run`] | whole tensors, `f64` accumulation rounded once per operator |
//! | tensor | [`kernel::run`], [`program::run`] | one point of an iteration space after the other |
//! | loop | [`nest::run`] | loops, blocks and threads, every access checked |
//!
//! [`scalar`] defines the value of one instruction, on every level. Nothing here panics on bad input: an access
//! out of bounds, an unwritten element or a wrong type becomes a [`mlcc_ir::diagnostic::Diagnostic`].

pub mod graph;
pub mod kernel;
pub mod nest;
pub mod program;
pub mod scalar;

mod array;
mod body;
mod compare;
mod index;
mod memory;

#[cfg(test)]
mod testing;

pub use compare::compare;

use mlcc_ir::{
    Name,
    diagnostic::{Diagnostic, Result},
    expr::{Atom, Expr},
};
use std::collections::BTreeMap;

/// Values of symbols.
pub type Symbols = BTreeMap<Name, i64>;

/// The value of an expression over symbols.
///
/// # Errors
/// If the expression overflows, or has a symbol without a value, an axis or a computed value.
pub fn evaluate_expr(expr: &Expr, symbols: &Symbols) -> Result<i64> {
    let value = |atom: &Atom| match atom {
        Atom::Symbol(name) => symbols.get(name).copied(),
        _ => None,
    };
    expr.evaluate(&value).ok_or_else(|| {
        let mut names = Vec::new();
        expr.collect_symbols(&mut names);
        match names.iter().find(|n| !symbols.contains_key(*n)) {
            Some(name) => Diagnostic::user(format!("symbol '{name}' in '{expr}' has no value")),
            None => Diagnostic::user(format!("'{expr}' has no value")),
        }
    })
}
