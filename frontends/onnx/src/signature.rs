//! Types of a model's inputs: symbolic dimensions and the caller's overrides.

use crate::{
    builder::MAX_RANK,
    element_type::element_type,
    options::{DimSpec, ImportOptions},
    proto::{DimensionProto, ValueInfoProto, dimension, type_proto},
};
use mlcc_ir::{
    Name,
    diagnostic::{Diagnostic, Result, count},
    dtype::DType,
    expr::Expr,
    size_range::{SizeRange, SizeRanges},
    types::TensorType,
};
use std::collections::{BTreeMap, BTreeSet};

/// The dimensions of all inputs, resolved together: if one override fixes a symbol, it is fixed everywhere.
pub(crate) struct Signature<'o> {
    options: &'o ImportOptions<'o>,
    fixed: BTreeMap<Name, i64>,
    /// The symbol for each name of a dimension in the file.
    symbols: BTreeMap<String, Name>,
    /// The symbols of dimensions that have no name, by input and place.
    unnamed: BTreeMap<(String, usize), Name>,
    taken: BTreeSet<Name>,
    /// Ranges of symbols.
    pub(crate) ranges: SizeRanges,
}

impl<'o> Signature<'o> {
    /// Collects the information of the overrides about symbols.
    pub(crate) fn new(options: &'o ImportOptions<'o>) -> Signature<'o> {
        Signature {
            options,
            fixed: BTreeMap::new(),
            symbols: BTreeMap::new(),
            unnamed: BTreeMap::new(),
            taken: BTreeSet::new(),
            ranges: SizeRanges::default(),
        }
    }

    /// Learns the names of the inputs' dimensions. Must be called before everything else.
    pub(crate) fn declare(&mut self, inputs: &[&ValueInfoProto]) {
        let dims = |input| declared_dims(input).into_iter().flatten();
        for name in inputs.iter().flat_map(|input| dims(input)).filter_map(symbol_of) {
            if !self.symbols.contains_key(name) {
                let symbol = self.unused(&sanitised(name));
                self.symbols.insert(name.to_owned(), symbol);
            }
        }
        // Unnamed dimensions come after the named ones, because the model chose the names of those.
        for input in inputs {
            for (d, dim) in dims(input).enumerate() {
                if is_open(dim) && symbol_of(dim).is_none() {
                    let symbol = self.unused(&unnamed(&input.name, d));
                    self.unnamed.insert((input.name.clone(), d), symbol);
                }
            }
        }
    }

    /// The symbol of a dimension that the model leaves open.
    fn symbol(&self, input: &str, d: usize, dim: &DimensionProto) -> Option<&Name> {
        match symbol_of(dim) {
            Some(name) => self.symbols.get(name),
            None => self.unnamed.get(&(input.to_owned(), d)),
        }
    }

    /// Learns the dimensions that the override of an input fixes. Must be called for all inputs before
    /// [`Signature::input_type`].
    pub(crate) fn learn(&mut self, input: &ValueInfoProto) -> Result<()> {
        let (Some(specs), Some(dims)) = (self.options.shapes.get(&input.name), declared_dims(input)) else {
            return Ok(());
        };
        for (d, (spec, dim)) in specs.iter().zip(dims).enumerate() {
            let symbol = self.symbol(&input.name, d, dim).cloned();
            let (DimSpec::Fixed(size), Some(symbol)) = (spec, symbol) else { continue };
            if let Some(other) = self.fixed.insert(symbol, *size)
                && other != *size
            {
                let name = open_name(&input.name, d, dim).unwrap_or_default();
                return Err(Diagnostic::user(format!(
                    "dimension '{name}' of input '{}' is given as {size} and as {other}",
                    input.name
                ))
                .hint("give it one size with --shape"));
            }
        }
        Ok(())
    }

    /// Learns the sizes that are given to dimensions by their names, `batch=4`, for the model's inputs. Must be
    /// called before [`Signature::learn`]. A name that belongs neither to an input nor to a dimension is an error.
    pub(crate) fn learn_names(&mut self, inputs: &[&ValueInfoProto]) -> Vec<Diagnostic> {
        let mut problems = Vec::new();
        for (name, specs) in &self.options.shapes {
            if inputs.iter().any(|i| i.name == *name) {
                continue;
            }
            // The name may be the model's, or the displayed one, which expressions use.
            let mut shown = self.symbols.values().chain(self.unnamed.values());
            let found = self.symbols.get(name).or_else(|| shown.find(|symbol| ***symbol == **name));
            let Some(symbol) = found.cloned() else {
                let message = format!(
                    "a shape is given for '{name}', which is neither an input nor a dimension of one"
                );
                problems.push(Diagnostic::user(message).hint(format!("write --shape {FORM}")));
                continue;
            };
            match specs[..] {
                [DimSpec::Fixed(size)] => drop(self.fixed.insert(symbol, size)),
                [DimSpec::Range(range)] => {
                    if let Err(other) = self.narrow(&symbol, range) {
                        let message = format!(
                            "dimension '{name}' is given as {range} and as {other}, which no size is in"
                        );
                        problems.push(Diagnostic::user(message).hint("give it one range with --shape"));
                    }
                }
                [DimSpec::Declared] => {}
                _ => {
                    let message = format!(
                        "'{name}' is one dimension but is given as {}",
                        count(specs.len(), "dimension")
                    );
                    problems.push(Diagnostic::user(message).hint(format!("write --shape {FORM}")));
                }
            }
        }
        problems
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
                    "input '{name}' has {} but its shape is given with {}",
                    count(dims.len(), "dimension"),
                    specs.len()
                ))
                .hint("give each of its dimensions with --shape, `?` for what the model says"));
            }
            (Some(dims), _) => dims.iter().map(Some).collect(),
            (None, Some(specs)) => vec![None; specs.len()],
            (None, None) => {
                return Err(Diagnostic::unsupported(format!(
                    "input '{name}' has an unknown number of dimensions"
                ))
                .hint(format!("give its shape, such as `--shape {name}=1x3x224x224`")));
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
            // Some exporters write -1 for an unknown dimension.
            if *size < -1 {
                return Err(Diagnostic::user(format!("dimension {d} of input '{input}' is {size}")));
            }
            if *size >= 0 {
                return match spec {
                    DimSpec::Fixed(given) if given != *size => Err(Diagnostic::user(format!(
                        "dimension {d} of input '{input}' is {size} in the model but given as {given}"
                    ))
                    .hint("only dimensions that the model leaves open can be given with --shape")),
                    DimSpec::Range(..) => Err(Diagnostic::user(format!(
                        "dimension {d} of input '{input}' is {size} in the model but given as a range"
                    ))
                    .hint("export the model with this dimension dynamic")),
                    _ => Ok(Expr::from(*size)),
                };
            }
        }
        if let DimSpec::Fixed(size) = spec {
            return Ok(Expr::from(size));
        }
        let name = dim.and_then(|dim| open_name(input, d, dim)).unwrap_or_else(|| unnamed(input, d));
        let known = dim.and_then(|dim| self.symbol(input, d, dim)).cloned();
        let symbol = known.unwrap_or_else(|| self.unused(&unnamed(input, d)));
        if let Some(&size) = self.fixed.get(&symbol) {
            let given = if let DimSpec::Range(range) = spec { Some(range) } else { None };
            let size_alone = SizeRange::new(size, size);
            let mut ranges = [self.ranges.get(&symbol)].into_iter().chain(given);
            if let Some(range) = ranges.find(|range| range.both(size_alone).is_none()) {
                return Err(Diagnostic::user(format!(
                    "dimension '{name}' of input '{input}' is given as {size} and as {range}"
                ))
                .hint("give it one size with --shape"));
            }
            return Ok(Expr::from(size));
        }
        if let DimSpec::Range(range) = spec {
            // Several inputs may have the symbol.
            self.narrow(&symbol, range).map_err(|other| {
                Diagnostic::user(format!(
                    "dimension '{name}' of input '{input}' is given as {range} and as {other}, which no size is in"
                ))
                .hint("give it one range with --shape")
            })?;
        }
        Ok(Expr::symbol(&symbol))
    }

    /// Narrows the range of a symbol by a further one.
    ///
    /// # Errors
    /// The range that is known, if no size is in both ranges.
    fn narrow(&mut self, symbol: &Name, range: SizeRange) -> std::result::Result<(), SizeRange> {
        let known = self.ranges.get(symbol);
        self.ranges.insert(symbol.clone(), known.both(range).ok_or(known)?);
        Ok(())
    }

    /// The name `wanted`; a number is appended if another dimension has that name.
    fn unused(&mut self, wanted: &str) -> Name {
        let mut name: Name = wanted.into();
        let mut n = 1;
        while !self.taken.insert(name.clone()) {
            n += 1;
            name = format!("{wanted}_{n}").into();
        }
        name
    }
}

/// The form in which sizes are given.
pub(crate) const FORM: &str = "INPUT=DIMxDIMx..., or NAME=DIM for a dimension by its name, where DIM is a size, a range \
                               such as 1..8, or ? for what the model says";

/// The inputs with their dimensions, for hints.
pub(crate) fn describe(inputs: &[&ValueInfoProto]) -> String {
    let shape = |input: &ValueInfoProto| match declared_dims(input) {
        None => "of unknown rank".to_owned(),
        Some(dims) => {
            let text = |(d, dim): (usize, &DimensionProto)| match &dim.value {
                Some(dimension::Value::Size(size)) if *size >= 0 => size.to_string(),
                _ => open_name(&input.name, d, dim).unwrap_or_default(),
            };
            let dims: Vec<String> = dims.iter().enumerate().map(text).collect();
            format!("[{}]", dims.join(", "))
        }
    };
    let inputs: Vec<String> = inputs.iter().map(|i| format!("'{}' {}", i.name, shape(i))).collect();
    match &inputs[..] {
        [] => "the model has no inputs".to_owned(),
        [input] => format!("the input is {input}"),
        _ => format!("the inputs are {}", inputs.join(", ")),
    }
}

/// The name of a dimension that the model leaves open.
fn open_name(input: &str, d: usize, dim: &DimensionProto) -> Option<String> {
    is_open(dim).then(|| symbol_of(dim).map_or_else(|| unnamed(input, d), ToOwned::to_owned))
}

/// Whether the model leaves a dimension open. Some exporters write -1 for an unknown dimension.
fn is_open(dim: &DimensionProto) -> bool {
    !matches!(dim.value, Some(dimension::Value::Size(size)) if size != -1)
}

/// The name for a dimension without one.
fn unnamed(input: &str, d: usize) -> String {
    format!("{}_d{d}", sanitised(input))
}

/// A symbol's name in a form that the text of expressions can spell: letters, digits and underscores. Exporters
/// also write formulas such as `2*n`; these become names of their own.
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

/// A dimension's name. The text that exporters write for an unknown dimension is not a name: two such dimensions
/// need not be equal.
fn symbol_of(dim: &DimensionProto) -> Option<&str> {
    let dimension::Value::Symbol(name) = dim.value.as_ref()? else { return None };
    let trimmed = name.trim();
    let says_nothing = !trimmed.contains(|c: char| c.is_alphanumeric())
        || trimmed.parse::<i64>().is_ok_and(|size| size < 0)
        || ["none", "null", "unknown"].iter().any(|word| trimmed.eq_ignore_ascii_case(word));
    (!says_nothing).then_some(name)
}
