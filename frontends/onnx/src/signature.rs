//! Types of a model's inputs: symbolic dimensions and the caller's overrides.

use crate::{
    builder::MAX_RANK,
    element_type::element_type,
    options::{DimSpec, ImportOptions},
    proto::{DimensionProto, ValueInfoProto, dimension, type_proto},
};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    dtype::DType,
    expr::Expr,
    size_range::SizeRanges,
    types::TensorType,
};
use std::collections::BTreeMap;

/// The dimensions of all inputs, resolved together: a symbol that one override fixes is fixed
/// everywhere.
pub(crate) struct Signature<'o> {
    options: &'o ImportOptions<'o>,
    fixed: BTreeMap<String, i64>,
    /// Ranges of symbols.
    pub(crate) ranges: SizeRanges,
}

impl<'o> Signature<'o> {
    /// Collects what the overrides say about symbols.
    pub(crate) fn new(options: &'o ImportOptions<'o>) -> Signature<'o> {
        Signature { options, fixed: BTreeMap::new(), ranges: SizeRanges::default() }
    }

    /// Learns which symbols the override of an input fixes. To be called for all inputs before
    /// [`Signature::input_type`].
    pub(crate) fn learn(&mut self, input: &ValueInfoProto) -> Result<()> {
        let (Some(specs), Some(dims)) = (self.options.shapes.get(&input.name), declared_dims(input)) else {
            return Ok(());
        };
        for (spec, dim) in specs.iter().zip(dims) {
            let (DimSpec::Fixed(size), Some(symbol)) = (spec, symbol_of(dim)) else { continue };
            if let Some(other) = self.fixed.insert(symbol.to_owned(), *size)
                && other != *size
            {
                return Err(Diagnostic::user(format!(
                    "dimension '{symbol}' of input '{}' is given as {size} and as {other}",
                    input.name
                )));
            }
        }
        Ok(())
    }

    /// An input's type.
    ///
    /// # Errors
    /// If it is not a tensor of a supported element type and known rank, or the override does not fit.
    pub(crate) fn input_type(&mut self, input: &ValueInfoProto) -> Result<TensorType> {
        let name = &input.name;
        let dtype = tensor_element_type(input, "input")?;
        let specs = self.options.shapes.get(name);
        let dims: Vec<Option<&DimensionProto>> = match (declared_dims(input), specs) {
            (Some(dims), Some(specs)) if dims.len() != specs.len() => {
                return Err(Diagnostic::user(format!(
                    "input '{name}' has {} dimensions but its shape is given with {}",
                    dims.len(),
                    specs.len()
                )));
            }
            (Some(dims), _) => dims.iter().map(Some).collect(),
            (None, Some(specs)) => vec![None; specs.len()],
            (None, None) => {
                return Err(Diagnostic::unsupported(format!(
                    "input '{name}' has an unknown number of dimensions"
                ))
                .hint(format!("give its shape, such as '--shape {name}=1x3x224x224'")));
            }
        };
        if dims.len() > MAX_RANK {
            return Err(Diagnostic::unsupported(format!("input '{name}' has {} dimensions", dims.len()))
                .hint(format!("mlcc takes at most {MAX_RANK} dimensions")));
        }
        let mut types = Vec::with_capacity(dims.len());
        for (d, dim) in dims.into_iter().enumerate() {
            let spec = specs.map_or(DimSpec::Declared, |specs| specs[d]);
            types.push(self.dimension(name, d, dim, spec)?);
        }
        Ok(TensorType::new(dtype, types))
    }

    fn dimension(
        &mut self,
        input: &str,
        d: usize,
        dim: Option<&DimensionProto>,
        spec: DimSpec,
    ) -> Result<Expr> {
        if let Some(dimension::Value::Size(size)) = dim.and_then(|d| d.value.as_ref()) {
            // Some exporters write -1 for a dimension that they do not know.
            if *size < -1 {
                return Err(Diagnostic::user(format!("dimension {d} of input '{input}' is {size}")));
            }
            if *size >= 0 {
                return match spec {
                    DimSpec::Fixed(given) if given != *size => Err(Diagnostic::user(format!(
                        "dimension {d} of input '{input}' is {size} in the model but given as {given}"
                    ))
                    .hint("only dimensions that the model leaves open can be given")),
                    DimSpec::Range(..) => Err(Diagnostic::user(format!(
                        "dimension {d} of input '{input}' is {size} in the model but given as a range"
                    ))
                    .hint("export the model with this dimension dynamic")),
                    _ => Ok(Expr::from(*size)),
                };
            }
        }
        let symbol = match dim.and_then(symbol_of) {
            Some(symbol) => symbol.to_owned(),
            None => format!("{}_d{d}", sanitised(input)),
        };
        match spec {
            DimSpec::Fixed(size) => return Ok(Expr::from(size)),
            DimSpec::Range(range) => {
                // Several inputs may have the symbol.
                let name = sanitised(&symbol);
                let both = self.ranges.get(&name).both(range);
                self.ranges.insert(name.as_str().into(), both.ok_or_else(|| {
                    let other = self.ranges.get(&name);
                    Diagnostic::user(format!(
                        "dimension '{symbol}' of input '{input}' is given as {range} and as {other}, which no size is in"
                    ))
                })?);
            }
            DimSpec::Declared => {}
        }
        Ok(match self.fixed.get(&symbol) {
            Some(&size) => Expr::from(size),
            None => Expr::symbol(&sanitised(&symbol)),
        })
    }
}

/// A symbol's name as the textual form of expressions can spell it: letters, digits and underscores.
/// Exporters also write formulas such as `2*n`, which become names of their own.
fn sanitised(name: &str) -> String {
    let mut out: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if out.starts_with(|c: char| c.is_ascii_digit()) || out.is_empty() {
        out.insert(0, '_');
    }
    out
}

/// The element type of a graph's input or output, which must be a tensor.
pub(crate) fn tensor_element_type(value: &ValueInfoProto, what: &str) -> Result<DType> {
    let name = &value.name;
    let kind = match value.ty.as_ref().and_then(|t| t.value.as_ref()) {
        Some(type_proto::Value::Tensor(tensor)) => {
            return element_type(i64::from(tensor.elem_type), &format!("{what} '{name}'"));
        }
        Some(type_proto::Value::Sequence(_)) => "a sequence",
        Some(type_proto::Value::Map(_)) => "a map",
        Some(type_proto::Value::Opaque(_)) => "opaque",
        Some(type_proto::Value::Sparse(_)) => "a sparse tensor",
        Some(type_proto::Value::Optional(_)) => "an optional",
        None => {
            return Err(Diagnostic::user(format!("{what} '{name}' has no type")).hint("the file is damaged"));
        }
    };
    Err(Diagnostic::unsupported(format!("{what} '{name}' is {kind}"))
        .hint("only dense tensors are supported"))
}

fn declared_dims(value: &ValueInfoProto) -> Option<&[DimensionProto]> {
    match value.ty.as_ref()?.value.as_ref()? {
        type_proto::Value::Tensor(tensor) => Some(&tensor.shape.as_ref()?.dim),
        _ => None,
    }
}

fn symbol_of(dim: &DimensionProto) -> Option<&str> {
    match dim.value.as_ref()? {
        dimension::Value::Symbol(name) if !name.is_empty() => Some(name),
        _ => None,
    }
}
