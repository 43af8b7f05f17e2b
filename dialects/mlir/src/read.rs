//! Reads types, attributes and expressions from MLIR's attributes.

use crate::{
    context::provenance,
    ffi::{Attribute, Op, Type},
    weights::WeightSource,
};
use bytes::Bytes;
use mlcc_ir::{
    Name,
    attributes::Attr,
    diagnostic::{Diagnostic, Result},
    dtype::DType,
    expr::{Atom, Expr},
    scalar::Constant,
    tensor::{Tensor, element_count},
    types::{Layout, TensorType},
};

/// The source of constants while reading.
#[derive(Clone, Copy)]
pub(crate) enum Weights<'a> {
    /// A store.
    From(&'a dyn WeightSource),
    /// Nowhere: only the form is verified, and data stays empty.
    Unbound,
}

/// An error at an operation.
pub(crate) fn error(op: Op<'_>, message: impl std::fmt::Display) -> Diagnostic {
    let name = op.name();
    match (op.location().file(), provenance(op.location())) {
        (Some((file, line, column)), _) => {
            Diagnostic::user(format!("{file}:{line}:{column}: '{name}': {message}"))
        }
        (None, Some((_, at))) => Diagnostic::user(format!("'{name}': {message}")).at(&at),
        (None, None) => Diagnostic::user(format!("'{name}': {message}")),
    }
}

/// The value of an operation's attribute `name`, read by `read`.
pub(crate) fn field<'m, T>(
    op: Op<'m>,
    name: &str,
    read: impl FnOnce(Attribute<'m>) -> Option<T>,
) -> Result<T> {
    let attribute = op.attribute(name).ok_or_else(|| error(op, format!("attribute '{name}' is missing")))?;
    read(attribute).ok_or_else(|| error(op, format!("attribute '{name}' is of the wrong kind")))
}

/// As [`field`], for an attribute that may be absent.
pub(crate) fn optional<'m, T>(
    op: Op<'m>,
    name: &str,
    read: impl FnOnce(Attribute<'m>) -> Option<T>,
) -> Result<Option<T>> {
    if op.attribute(name).is_some() { field(op, name, read).map(Some) } else { Ok(None) }
}

/// A string attribute as a name.
pub(crate) fn name(attribute: Attribute<'_>) -> Option<Name> {
    attribute.string().map(Name::from)
}

/// A list of strings.
pub(crate) fn names(attribute: Attribute<'_>) -> Option<Vec<Name>> {
    attribute.array()?.into_iter().map(name).collect()
}

/// An integer.
pub(crate) fn int(attribute: Attribute<'_>) -> Option<i64> {
    attribute.int().map(|(value, _)| value)
}

/// A natural number.
pub(crate) fn number(attribute: Attribute<'_>) -> Option<usize> {
    int(attribute).and_then(|v| usize::try_from(v).ok())
}

/// An expression: an integer or text.
pub(crate) fn expr(attribute: Attribute<'_>) -> Option<Expr> {
    match attribute.string() {
        Some(text) => text.parse().ok(),
        None => int(attribute).map(Expr::from),
    }
}

/// A list of expressions.
pub(crate) fn exprs(attribute: Attribute<'_>) -> Option<Vec<Expr>> {
    attribute.array()?.into_iter().map(expr).collect()
}

/// Refuses axes and values, which have no meaning at this place.
pub(crate) fn only_symbols(e: &Expr) -> std::result::Result<(), String> {
    let foreign = |atom: &Atom| matches!(atom, Atom::Axis(_) | Atom::Value(_));
    if e.any_atom(&mut |a| foreign(a)) { Err(format!("'{e}' may use symbols only")) } else { Ok(()) }
}

/// A ranked tensor type as ours.
pub(crate) fn tensor_type(ty: Type<'_>) -> std::result::Result<TensorType, String> {
    let bad = |what: &str| format!("type '{}': {what}", ty.text());
    let dims = ty.dims().ok_or_else(|| bad("expected a ranked tensor"))?;
    let dtype = ty.element().and_then(Type::dtype).ok_or_else(|| bad("unknown element type"))?;
    let (mut layout, mut symbolic) = (Layout::RowMajor, None);
    if let Some(encoding) = ty.encoding() {
        let dims_of = |a: Attribute<'_>| a.parameters().first().copied().and_then(exprs);
        match encoding.kind().as_str() {
            "graph.dims" => {
                symbolic = Some(dims_of(encoding).ok_or_else(|| bad("not a list of expressions"))?)
            }
            "graph.blocked" => {
                let parameters = encoding.parameters();
                let blocks = parameters.first().and_then(|b| blocks(*b, dims.len()));
                layout = Layout::Blocked(blocks.ok_or_else(|| bad("blocks are [dimension, factor] each"))?);
                if let Some(inner) = parameters.get(1) {
                    symbolic = Some(dims_of(*inner).ok_or_else(|| bad("not a list of expressions"))?);
                }
            }
            _ => return Err(bad("unknown encoding")),
        }
    }
    let Some(symbolic) = symbolic else {
        let fixed: Option<Vec<Expr>> = dims.iter().map(|d| d.map(Expr::from)).collect();
        let dims = fixed.ok_or_else(|| bad("a dynamic dimension needs an expression in #graph.dims"))?;
        return Ok(TensorType { dtype, dims, layout });
    };
    if symbolic.len() != dims.len() {
        return Err(bad(&format!("{} expressions for {} dimensions", symbolic.len(), dims.len())));
    }
    for (dim, e) in dims.iter().zip(&symbolic) {
        only_symbols(e).map_err(|e| bad(&e))?;
        if *dim != e.as_const().filter(|&n| n >= 0) {
            return Err(bad(&format!("the dimension is not '{e}'")));
        }
    }
    Ok(TensorType { dtype, dims: symbolic, layout })
}

fn blocks(attribute: Attribute<'_>, rank: usize) -> Option<Vec<(usize, i64)>> {
    let block = |b: Attribute<'_>| {
        let pair = b.array()?;
        let [d, factor] = pair[..] else { return None };
        let (d, factor) = (number(d)?, int(factor)?);
        (d < rank && factor > 0).then_some((d, factor))
    };
    attribute.array()?.into_iter().map(block).collect()
}

/// A constant: dense elements or a weight, with its type. The type may have a layout.
pub(crate) fn tensor(
    attribute: Attribute<'_>,
    weights: Weights<'_>,
) -> std::result::Result<(Tensor, TensorType), String> {
    let fixed = |ty: Type<'_>| {
        let ty = tensor_type(ty)?;
        let dims = ty.static_dims().filter(|d| element_count(d).is_some());
        Ok::<_, String>((ty, dims.ok_or("a constant's dimensions must be static")?))
    };
    if let Some((ty, data)) = attribute.dense() {
        let (ty, dims) = fixed(ty)?;
        let tensor = Tensor::new(ty.dtype, dims, data.into()).ok_or("elements are missing")?;
        return Ok((tensor, ty));
    }
    if attribute.kind() != "graph.weight" {
        return Err("expected dense elements or #graph.weight".into());
    }
    let parameters = attribute.parameters();
    let identity = parameters.first().and_then(|a| a.string()).ok_or("a weight has an identity")?;
    let ty = parameters.get(1).and_then(|a| a.ty()).ok_or("a weight has a type")?;
    let (ty, dims) = fixed(ty)?;
    let dtype = ty.dtype;
    let Weights::From(source) = weights else {
        return Ok((Tensor { dtype, dims, data: Bytes::new() }, ty));
    };
    let data = source.bytes(&identity).ok_or_else(|| {
        format!("the weights at hand do not hold '{identity}' (pass the model or weights file of this dump)")
    })?;
    let size = data.len();
    let tensor = Tensor::new(dtype, dims, data);
    let tensor = tensor.ok_or_else(|| format!("weight '{identity}' has {size} bytes, not its type's"))?;
    Ok((tensor, ty))
}

/// A list of `f64`.
fn floats(attribute: Attribute<'_>) -> Option<Vec<f64>> {
    let float = |a: Attribute<'_>| a.float().filter(|(_, ty)| ty.text() == "f64").map(|(value, _)| value);
    attribute.array()?.into_iter().map(float).collect()
}

/// An operator's attribute; `kind` is TableGen's constraint on it, which distinguishes the kinds of
/// empty lists.
pub(crate) fn attr(
    attribute: Attribute<'_>,
    kind: &str,
    weights: Weights<'_>,
) -> std::result::Result<Attr, String> {
    if kind == "F64ArrayAttr" {
        return floats(attribute).map(Attr::Floats).ok_or_else(|| "expected a list of f64".into());
    }
    if let Some(value) = attribute.bool() {
        return Ok(Attr::Bool(value));
    }
    if let Some((value, ty)) = attribute.int() {
        return if ty.text() == "i64" { Ok(Attr::Int(value)) } else { Err("integers are i64".into()) };
    }
    if let Some((value, ty)) = attribute.float() {
        return if ty.text() == "f64" { Ok(Attr::Float(value)) } else { Err("floats are f64".into()) };
    }
    if let Some(ty) = attribute.ty() {
        return ty.dtype().map(Attr::DType).ok_or_else(|| format!("'{}' is no element type", ty.text()));
    }
    let simple = None
        .or_else(|| name(attribute).map(Attr::Str))
        .or_else(|| attribute.ints().map(Attr::Ints))
        .or_else(|| names(attribute).map(Attr::Strs))
        .or_else(|| floats(attribute).map(Attr::Floats));
    if let Some(simple) = simple {
        return Ok(simple);
    }
    if attribute.kind() != "graph.exprs" {
        return tensor(attribute, weights).map(|(tensor, _)| Attr::Tensor(tensor));
    }
    let values = attribute.parameters().first().and_then(|a| a.array()).unwrap_or_default();
    let ints: Option<Vec<i64>> = values.iter().map(|v| int(*v)).collect();
    if let Some(ints) = ints.filter(|i| !i.is_empty()) {
        return Ok(Attr::Ints(ints));
    }
    let exprs: Option<Vec<Expr>> = values.into_iter().map(expr).collect();
    let exprs = exprs.ok_or("not a list of integer expressions")?;
    exprs.iter().try_for_each(only_symbols)?;
    Ok(Attr::Exprs(exprs))
}

/// A scalar constant with its bits.
pub(crate) fn scalar(attribute: Attribute<'_>) -> Option<Constant> {
    if let Some(value) = attribute.bool() {
        return Some(Constant { dtype: DType::Bool, bits: value.into() });
    }
    if let Some((value, ty)) = attribute.int() {
        let dtype = ty.dtype()?;
        let mask = u64::MAX >> (64 - 8 * dtype.size());
        return Some(Constant { dtype, bits: value as u64 & mask });
    }
    let (value, ty) = attribute.float()?;
    let dtype = ty.dtype()?;
    if !value.is_nan() {
        return Some(Constant::float(dtype, value));
    }
    // Conversions of the hardware may change a NaN's payload. Its leading bits are those that the
    // text had.
    let (exponent, mantissa) = match dtype {
        DType::F32 => (8, 23),
        DType::F16 => (5, 10),
        DType::BF16 => (8, 7),
        _ => return Some(Constant { dtype, bits: value.to_bits() }),
    };
    let sign = (value.to_bits() >> 63) << (exponent + mantissa);
    let payload = (value.to_bits() & ((1 << 52) - 1)) >> (52 - mantissa);
    Some(Constant { dtype, bits: sign | (((1 << exponent) - 1) << mantissa) | payload })
}
