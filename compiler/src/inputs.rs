//! `--input`: an `.npy` or `.pb` file, or a literal such as `4xf32=1,2,3,4`, by position or `name=`.

use crate::{format_types::plan_dtype, npy};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result, count},
    dtype::DType,
    tensor::{Element, Tensor, element_count, push_element, read_element},
};
use std::path::{Path, PathBuf};

/// An input as given on the command line.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// The input's name, if given.
    pub name: Option<String>,
    /// Its value.
    pub value: Tensor,
    /// The origin of the value.
    pub source: Source,
}

/// The origin of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The command line.
    Literal,
    /// A file.
    File(PathBuf),
}

/// The reason why a text is not an input.
#[derive(Clone, Debug, PartialEq)]
pub enum Unread {
    /// The text gives a value to this name, but no input has it.
    Name(String),
    /// The text has no readable value.
    Value(Diagnostic),
}

/// Reads `text`; `names` are the model's inputs.
///
/// # Errors
/// If the text is neither a file nor a literal, or gives a value to an unknown name.
pub fn parse(text: &str, names: &[&str]) -> std::result::Result<Given, Unread> {
    for name in names {
        if let Some(rest) = text.strip_prefix(name).and_then(|r| r.strip_prefix('=')) {
            let (value, source) = value(rest).map_err(Unread::Value)?;
            return Ok(Given { name: Some((*name).to_owned()), value, source });
        }
    }
    let is_value = |text: &str| is_file_name(text) || literal(text).is_ok_and(|l| l.is_some());
    if let Some((name, rest)) = text.split_once('=')
        && is_value(rest)
        && !Path::new(text).exists()
    {
        return Err(Unread::Name(name.to_owned()));
    }
    let (value, source) = value(text).map_err(|mut diagnostic| {
        // The text may have been meant as NAME=VALUE.
        if let Some(hint) = &mut diagnostic.hint
            && text.contains('=')
            && !names.is_empty()
        {
            let are = if names.len() == 1 { "input's name is" } else { "inputs' names are" };
            *hint = format!("{hint}; the {are} '{}'", names.join("', '"));
        }
        Unread::Value(diagnostic)
    })?;
    Ok(Given { name: None, value, source })
}

/// Whether a text names a file of a readable kind.
fn is_file_name(text: &str) -> bool {
    matches!(Path::new(text).extension().and_then(|e| e.to_str()), Some("npy" | "pb"))
}

fn value(text: &str) -> Result<(Tensor, Source)> {
    if let Some(tensor) = literal(text)? {
        return Ok((tensor, Source::Literal));
    }
    let path = Path::new(text);
    let file = |tensor| (tensor, Source::File(path.to_path_buf()));
    match path.extension().and_then(|e| e.to_str()) {
        Some("npy") => npy::read(path).map(file),
        Some("pb") => mlcc_onnx::read_tensor_file(path).map(file),
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
        let (given, wanted) = (count(values.len(), "value"), count(elements, "element"));
        return Err(bad(format!("{given} for {wanted}")));
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

    fn unread(text: &str) -> Diagnostic {
        match parse(text, &[]) {
            Err(Unread::Value(diagnostic)) => diagnostic,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn names_that_are_none() {
        for text in ["y=a.npy", "y=a.pb", "y=2xf32=1", "2xf32=3xf32=1"] {
            let name = text.split('=').next().unwrap().to_owned();
            assert_eq!(parse(text, &["x"]), Err(Unread::Name(name)), "{text}");
        }
        assert!(unread("2xf33=1").message.contains("is not an input"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("y=1.npy");
        npy::write(&path, DType::U8, &[2], &[3, 4]).unwrap();
        assert_eq!(parse(path.to_str().unwrap(), &["x"]).unwrap().value.to_i64(), [3, 4]);
    }

    #[test]
    fn literals_and_names() {
        let given = parse("x=2x2xf32=1,2,3,4.5", &["y", "x"]).unwrap();
        assert_eq!(given.name.as_deref(), Some("x"));
        assert_eq!(given.value.to_f64(), [1.0, 2.0, 3.0, 4.5]);
        assert_eq!(parse("3xi64=7", &[]).unwrap().value.to_i64(), [7, 7, 7]);
        assert_eq!(parse("xf32=", &[]).map(|g| g.value.dims).ok(), None);
        assert_eq!(parse("2xi8=-128,127", &[]).unwrap().value.to_i64(), [-128, 127]);
        for text in ["i8=128", "u8=-1", "ui8=256", "bool=2", "i1=2", "i64=1.5"] {
            assert!(unread(text).message.contains("is not of type"), "{text}");
        }
        assert!(unread("2xf32=1,2,3").message.contains("3 values for 2 elements"));
        assert!(unread("nonsense").hint.is_some());
    }
}
