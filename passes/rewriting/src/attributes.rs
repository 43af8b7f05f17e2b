//! Attributes in canonical form, so that equal operators are equal terms: defaults are filled in, lists of
//! integers are of the kind that the operator declares.

use mlcc_ir::{
    attributes::{Attr, Attrs},
    dtype::DType,
    expr::Expr,
    ops::{self, AttrKind},
};

/// The value that an optional attribute has where it is absent, for a first operand of that rank.
#[must_use]
pub(super) fn default(op: &str, name: &str, rank: usize) -> Option<Attr> {
    let spatial = rank.saturating_sub(2);
    Some(match (op, name) {
        ("conv" | "conv_transpose", "strides" | "dilations") => Attr::Ints(vec![1; spatial]),
        ("conv" | "conv_transpose", "pads") => Attr::Exprs(vec![Expr::from(0); 2 * spatial]),
        ("conv" | "conv_transpose", "group") => Attr::Int(1),
        ("matmul", "transpose_a" | "transpose_b") => Attr::Bool(false),
        (_, "keepdims") if op.starts_with("reduce_") => Attr::Bool(true),
        ("gelu", "approximate") => Attr::Str("none".into()),
        ("rotary_embedding", "interleaved") => Attr::Bool(false),
        ("pad", "mode") => Attr::Str("constant".into()),
        _ => return None,
    })
}

/// Attributes with their defaults, each of the kind that is declared for it.
#[must_use]
pub fn canonical(op: &str, attrs: Attrs, rank: usize) -> Attrs {
    let Some(def) = ops::definition(op) else { return attrs };
    let mut canonical = Attrs::new();
    for declared in def.attributes {
        let Some(value) = attrs.get(declared.name).cloned().or_else(|| default(op, declared.name, rank))
        else {
            continue;
        };
        canonical = canonical.with(declared.name, convert(declared.kind, value));
    }
    // An undeclared attribute is kept: inference refuses it.
    for (name, value) in attrs.0 {
        canonical.0.entry(name).or_insert(value);
    }
    canonical
}

fn convert(kind: AttrKind, value: Attr) -> Attr {
    match (kind, value) {
        (AttrKind::Exprs, Attr::Ints(values)) => Attr::Exprs(values.into_iter().map(Expr::from).collect()),
        (AttrKind::Exprs, Attr::Int(value)) => Attr::Exprs(vec![Expr::from(value)]),
        (AttrKind::Float, Attr::Int(value)) => Attr::Float(value as f64),
        (AttrKind::DType, Attr::Str(name)) => {
            DType::from_mlir_name(&name).map_or(Attr::Str(name), Attr::DType)
        }
        (AttrKind::Ints, Attr::Exprs(values)) => {
            let constants: Option<Vec<i64>> = values.iter().map(Expr::as_const).collect();
            constants.map_or(Attr::Exprs(values), Attr::Ints)
        }
        (_, value) => value,
    }
}
