//! `--input`: an `.npy` or `.pb` file, or a literal such as `4xf32=1,2,3,4`, by position or `name=`.

use crate::{npy, plan_expr::plan_dtype};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    dtype::DType,
    tensor::{Element, Tensor, element_count, push_element, read_element},
};
use std::path::Path;

/// An input as given on the command line.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// The input's name, if given.
    pub name: Option<String>,
    /// Its value.
    pub value: Tensor,
}

/// Reads `text`; `names` are the model's inputs.
///
/// # Errors
/// If it is neither a file nor a literal.
pub fn parse(text: &str, names: &[&str]) -> Result<Given> {
    for name in names {
        if let Some(rest) = text.strip_prefix(name).and_then(|r| r.strip_prefix('=')) {
            return Ok(Given { name: Some((*name).to_owned()), value: value(rest)? });
        }
    }
    let value = value(text).map_err(|mut diagnostic| {
        // It may have been meant as NAME=VALUE.
        if let Some(hint) = &mut diagnostic.hint
            && text.contains('=')
        {
            *hint = format!("{hint}; the inputs' names are '{}'", names.join("', '"));
        }
        diagnostic
    })?;
    Ok(Given { name: None, value })
}

fn value(text: &str) -> Result<Tensor> {
    if let Some(tensor) = literal(text)? {
        return Ok(tensor);
    }
    let path = Path::new(text);
    match path.extension().and_then(|e| e.to_str()) {
        Some("npy") => npy::read(path),
        Some("pb") => mlcc_onnx::read_tensor_file(path),
        _ => Err(Diagnostic::user(format!("'{text}' is not an input"))
            .hint("give a .npy or .pb file, or a literal such as 2x2xf32=1,2,3,4")),
    }
}

/// The element type of a name: that of signatures (`u8`, `bool`) or that of MLIR (`ui8`, `i1`).
fn dtype_named(name: &str) -> Option<DType> {
    DType::ALL.into_iter().find(|&d| plan_dtype(d).name() == name || d.mlir_name() == name)
}

/// `DIMSxDTYPE=v,v,...`; one value fills the tensor. `None` if the text has another form.
fn literal(text: &str) -> Result<Option<Tensor>> {
    let Some((ty, values)) = text.split_once('=') else { return Ok(None) };
    let mut parts: Vec<&str> = ty.split('x').collect();
    let Some(dtype) = parts.pop().and_then(dtype_named) else { return Ok(None) };
    let dims: Option<Vec<i64>> = parts.iter().map(|d| d.parse().ok().filter(|&n| n >= 0)).collect();
    let bad = |what: String| Diagnostic::user(format!("literal '{ty}': {what}"));
    let dims = dims.ok_or_else(|| bad("a dimension is not a size".into()))?;
    let elements =
        element_count(&dims).filter(|&n| n <= 1 << 28).ok_or_else(|| bad("too many elements".into()))?;
    let values: Vec<&str> = values.split(',').map(str::trim).filter(|v| !v.is_empty()).collect();
    if values.len() != elements && values.len() != 1 {
        return Err(bad(format!("{} values for {elements} elements", values.len())));
    }
    let mut data = Vec::with_capacity(elements * dtype.size());
    for i in 0..elements {
        let text = values[if values.len() == 1 { 0 } else { i }];
        let element = match text {
            "true" => Some(Element::Int(1)),
            "false" => Some(Element::Int(0)),
            _ if dtype.is_float() => text.parse().ok().map(Element::Float),
            _ if dtype.is_unsigned_int() => text.parse().ok().map(Element::UInt),
            _ => text.parse().ok().map(Element::Int),
        };
        let wrong = || bad(format!("'{text}' is not of type {}", plan_dtype(dtype).name()));
        let element = element.ok_or_else(wrong)?;
        push_element(dtype, &mut data, element);
        // An integer out of the type's range wraps around.
        if !dtype.is_float() && read_element(dtype, &data, i) != element {
            return Err(wrong());
        }
    }
    Ok(Tensor::new(dtype, dims, data.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_names() {
        let given = parse("x=2x2xf32=1,2,3,4.5", &["y", "x"]).unwrap();
        assert_eq!(given.name.as_deref(), Some("x"));
        assert_eq!(given.value.to_f64(), [1.0, 2.0, 3.0, 4.5]);
        assert_eq!(parse("3xi64=7", &[]).unwrap().value.to_i64(), [7, 7, 7]);
        assert_eq!(parse("xf32=", &[]).map(|g| g.value.dims).ok(), None);
        assert_eq!(parse("2xi8=-128,127", &[]).unwrap().value.to_i64(), [-128, 127]);
        for text in ["i8=128", "u8=-1", "ui8=256", "bool=2", "i1=2", "i64=1.5"] {
            assert!(parse(text, &[]).unwrap_err().message.contains("is not of type"), "{text}");
        }
        assert!(parse("2xf32=1,2,3", &[]).unwrap_err().message.contains("3 values for 2 elements"));
        assert!(parse("nonsense", &[]).unwrap_err().hint.is_some());
    }
}
