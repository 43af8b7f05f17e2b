//! The laboratory of rewrite rules: it finds rules, puts them through their gates and describes them. `cargo
//! xtask rules` and `cargo xtask docs` run it; no compilation links it.
//!
//! | Module | What |
//! |---|---|
//! | [`gates`] | what every rule and every axiom passes before it ships |
//! | [`generate`] | rules found by enumerating terms |
//! | [`reference`] | the page of all rules |

pub mod gates;
pub mod generate;
pub mod reference;

#[cfg(test)]
mod tests;

use mlcc_ir::diagnostic::{Diagnostic, Result};
use mlcc_rewriting::rule::{self, Rule};
use std::sync::LazyLock;

static AXIOMS: LazyLock<std::result::Result<Vec<Rule>, String>> =
    LazyLock::new(|| rule::parse(include_str!("axioms.rules")).map_err(|d| d.to_string()));

/// The properties of operators that rules are derived from, in the order of their file. A property of a
/// family of operators occurs once for each of them.
///
/// # Errors
/// If the file is not well formed: a bug that a test would have found.
pub fn axioms() -> Result<&'static [Rule]> {
    AXIOMS.as_deref().map_err(Diagnostic::internal)
}
