//! Pieces of MLIR's text: strings, numbers, lists, types, locations.
//!
//! The levels are printed by writing MLIR's generic form, which is the same for every operation, and letting
//! MLIR parse, verify and print it in the dialects' own syntax.

use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    dtype::DType,
    expr::Expr,
    graph::Location,
    types::{Layout, TensorType},
};
use std::fmt::{Display, Write};

/// `text` as a string literal.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'"' && byte != b'\\' => quoted.push(byte.into()),
            _ => write!(quoted, "\\{byte:02X}").expect("strings grow"),
        }
    }
    quoted.push('"');
    quoted
}

/// `a, b, c`.
pub(crate) fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|i| i.to_string()).collect();
    items.join(", ")
}

/// `["a", "b"]`.
pub(crate) fn strings<'a>(items: impl IntoIterator<Item = &'a mlcc_ir::Name>) -> String {
    format!("[{}]", list(items.into_iter().map(|s| quote(s))))
}

/// The text of an expression, which reads back as the same expression.
pub(crate) fn expr(e: &Expr) -> Result<String> {
    let text = e.to_string();
    if text.parse::<Expr>().as_ref() == Ok(e) {
        return Ok(text);
    }
    Err(Diagnostic::internal(format!("the expression '{text}' does not survive its text form")))
}

/// An expression as a string literal.
pub(crate) fn quoted_expr(e: &Expr) -> Result<String> {
    expr(e).map(|text| quote(&text))
}

/// Expressions as elements of a list: constants as integers, others quoted.
pub(crate) fn exprs(items: &[Expr]) -> Result<String> {
    let texts: Result<Vec<String>> = items
        .iter()
        .map(|e| match e.as_const() {
            Some(value) => Ok(value.to_string()),
            None => quoted_expr(e),
        })
        .collect();
    Ok(list(texts?))
}

/// A float with its bits.
pub(crate) fn float(value: f64) -> String {
    format!("0x{:016X}", value.to_bits())
}

/// A tensor type with its symbolic dimensions and layout.
pub(crate) fn tensor_type(ty: &TensorType) -> Result<String> {
    let mut text = String::from("tensor<");
    let size = |d: &Expr| d.as_const().filter(|&n| n >= 0);
    for dim in &ty.dims {
        match size(dim) {
            Some(n) => write!(text, "{n}x"),
            None => write!(text, "?x"),
        }
        .expect("strings grow");
    }
    text += ty.dtype.mlir_name();
    let symbolic = ty.dims.iter().any(|d| size(d).is_none());
    let dims = if symbolic { Some(format!("#graph.dims<{}>", exprs(&ty.dims)?)) } else { None };
    match (&ty.layout, dims) {
        (Layout::RowMajor, None) => {}
        (Layout::RowMajor, Some(dims)) => write!(text, ", {dims}").expect("strings grow"),
        (Layout::Blocked(blocks), dims) => {
            let blocks = list(blocks.iter().map(|(d, factor)| format!("[{d}, {factor}]")));
            let dims = dims.map_or(String::new(), |d| format!(", {d}"));
            write!(text, ", #graph.blocked<[{blocks}]{dims}>").expect("strings grow");
        }
    }
    text.push('>');
    Ok(text)
}

/// A scalar of little-endian `bits` as a typed attribute.
pub(crate) fn scalar(dtype: DType, bits: u64) -> String {
    let name = dtype.mlir_name();
    match dtype {
        DType::Bool => if bits & 1 != 0 { "true" } else { "false" }.into(),
        DType::F64 => format!("0x{bits:016X} : {name}"),
        DType::F32 => format!("0x{:08X} : {name}", bits as u32),
        DType::F16 | DType::BF16 => format!("0x{:04X} : {name}", bits as u16),
        DType::I8 => format!("{} : {name}", bits as i8),
        DType::I16 => format!("{} : {name}", bits as i16),
        DType::I32 => format!("{} : {name}", bits as i32),
        DType::I64 => format!("{} : {name}", bits as i64),
        DType::U8 => format!("{} : {name}", bits as u8),
        DType::U16 => format!("{} : {name}", bits as u16),
        DType::U32 => format!("{} : {name}", bits as u32),
        DType::U64 => format!("{bits} : {name}"),
    }
}

/// `"node"("Conv")`, below the name of the one result where that is another; several names are metadata.
pub(crate) fn location(location: &Location, results: &[mlcc_ir::Name]) -> String {
    let node = format!("{}({})", quote(&location.node), quote(&location.op_type));
    match results {
        [] => format!("loc({node})"),
        [name] if *name == location.node => format!("loc({node})"),
        [name] => format!("loc({}({node}))", quote(name)),
        names => format!("loc(fused<{}>[{node}])", strings(names)),
    }
}
