//! The settings of an import.

use crate::signature::FORM;
use mlcc_ir::{
    attributes::Attrs,
    diagnostic::{Diagnostic, Result},
    size_range::SizeRange,
    tensor::Tensor,
};
use std::collections::BTreeMap;

/// Evaluates a graph operator on constants, given its mnemonic, attributes and operands. `None` if it cannot.
pub type Fold<'a> = dyn Fn(&str, &Attrs, &[Option<Tensor>]) -> Option<Vec<Tensor>> + 'a;

/// Options of [`crate::import`].
#[derive(Clone, Default)]
pub struct ImportOptions<'a> {
    /// Dimensions of inputs by the input's name, or of single dimensions by their own name. They replace those of
    /// the file.
    pub shapes: BTreeMap<String, Vec<DimSpec>>,
    /// Values of inputs, by name, on which import may rely if an input decides shapes: the target of a `Reshape`,
    /// the axes of a `Squeeze`. The model is then right for these values only.
    pub values: BTreeMap<String, Tensor>,
    /// Evaluates operators on constants. It is used if an operand that decides shapes is computed in a way that
    /// shape inference cannot follow. Usually the interpreter.
    pub fold: Option<&'a Fold<'a>>,
}

/// One dimension of an override.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DimSpec {
    /// This size.
    Fixed(i64),
    /// Symbolic, with sizes in this range.
    Range(SizeRange),
    /// As the file says.
    Declared,
}

impl DimSpec {
    /// Parses `name=1..8x3x224x?`: an input's name and its dimensions. Each dimension is a size, a range (`1..8`,
    /// `64..`, or `64..512:16` for multiples of 16) or `?` for the file's dimension. An empty text after `=`
    /// means a scalar.
    ///
    /// # Errors
    /// If the text is not of that form, or a size is negative.
    pub fn parse_shape(text: &str) -> Result<(String, Vec<DimSpec>)> {
        let malformed = |why: &str| {
            Diagnostic::user(format!("shape '{text}' {why}"))
                .hint(format!("write {FORM}: 'x=1..8x3x224x224', 'batch=4'"))
        };
        let (name, dims) = text.rsplit_once('=').ok_or_else(|| malformed("has no '='"))?;
        if dims.is_empty() {
            return Ok((name.to_owned(), Vec::new()));
        }
        let size = |text: &str| text.parse::<i64>().ok().filter(|&n| n >= 0);
        let parse = |dim: &str| match dim {
            "?" => Some(DimSpec::Declared),
            _ if !dim.contains("..") => size(dim).map(DimSpec::Fixed),
            _ => dim.parse().ok().map(|range: SizeRange| match range.only() {
                Some(size) => DimSpec::Fixed(size),
                None => DimSpec::Range(range),
            }),
        };
        let dims = dims
            .split('x')
            .map(|dim| {
                parse(dim).ok_or_else(|| malformed(&format!("has a dimension '{dim}', which is no size")))
            })
            .collect::<Result<_>>()?;
        Ok((name.to_owned(), dims))
    }
}

impl std::fmt::Debug for ImportOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImportOptions").field("shapes", &self.shapes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_parse() {
        let range = |text: &str| DimSpec::Range(text.parse().unwrap());
        assert_eq!(
            DimSpec::parse_shape("a=b=1..8x3x?"),
            Ok(("a=b".into(), vec![range("1..8"), DimSpec::Fixed(3), DimSpec::Declared]))
        );
        assert_eq!(
            DimSpec::parse_shape("a=64..512:16x7..x8..8x9..17:8"),
            Ok(("a".into(), vec![range("64..512:16"), range("7.."), DimSpec::Fixed(8), DimSpec::Fixed(16)]))
        );
        assert_eq!(DimSpec::parse_shape("s="), Ok(("s".into(), vec![])));
        for bad in ["x", "x=-1", "x=3x", "x=8..1", "x=1..7:8", "x=..", "x=1x2y", "x=99999999999999999999"] {
            assert!(DimSpec::parse_shape(bad).is_err(), "{bad}");
        }
    }
}
