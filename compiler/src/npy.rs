//! NumPy's `.npy` files, version 1.0 to 3.0, little endian, in row-major order.
//! Format: NEP 1, "A Simple File Format for NumPy Arrays".

use mlcc_ir::{
    diagnostic::{Diagnostic, Result, count},
    dtype::DType,
    tensor::Tensor,
};
use std::path::Path;

/// The first bytes of a file.
pub(crate) const MAGIC: &[u8] = b"\x93NUMPY";

/// Reads an array.
///
/// # Errors
/// If the file cannot be read, is not an array, or has an element type or order that mlcc does not read.
pub fn read(path: &Path) -> Result<Tensor> {
    let bytes = std::fs::read(path)
        .map_err(|e| Diagnostic::user(format!("cannot read '{}': {e}", path.display())))?;
    parse(bytes).map_err(|mut diagnostic| {
        diagnostic.message = format!("'{}' {}", path.display(), diagnostic.message);
        diagnostic
    })
}

/// Parses an array; the caller puts the file's name in front of messages.
fn parse(bytes: Vec<u8>) -> Result<Tensor> {
    let bad = || {
        Diagnostic::user("is not a .npy file, or is damaged")
            .hint("numpy.save(FILE, array) writes such files; archives (.npz) hold several and are not read")
    };
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(bad)?;
    let (&major, rest) = rest.split_first().ok_or_else(bad)?;
    let rest = rest.get(1..).ok_or_else(bad)?;
    let (length, rest) = if major == 1 {
        let (head, rest) = rest.split_first_chunk::<2>().ok_or_else(bad)?;
        (usize::from(u16::from_le_bytes(*head)), rest)
    } else {
        let (head, rest) = rest.split_first_chunk::<4>().ok_or_else(bad)?;
        (u32::from_le_bytes(*head) as usize, rest)
    };
    let header = std::str::from_utf8(rest.get(..length).ok_or_else(bad)?).map_err(|_| bad())?;
    let data = bytes.len() - rest.len() + length;
    let descr = quoted(header, "descr").ok_or_else(bad)?;
    let dtype = dtype_of(descr).ok_or_else(|| {
        Diagnostic::user(format!("has elements of type '{descr}', which mlcc does not read")).hint(
            "convert the array, such as by array.astype('<f4'): little-endian floats of 16, 32 and 64 bits, integers \
             of 8 to 64 bits and bool are read",
        )
    })?;
    if field(header, "fortran_order").ok_or_else(bad)?.starts_with("True") {
        return Err(
            Diagnostic::user("is in Fortran order").hint("save numpy.ascontiguousarray(array) instead")
        );
    }
    let shape = field(header, "shape").and_then(|s| s.strip_prefix('(')).ok_or_else(bad)?;
    let shape = &shape[..shape.find(')').ok_or_else(bad)?];
    let dims: Vec<i64> = shape
        .split(',')
        .map(str::trim)
        .filter(|d| !d.is_empty())
        .map(|d| d.parse().map_err(|_| bad()))
        .collect::<Result<_>>()?;
    let data = bytes::Bytes::from(bytes).slice(data..);
    let length = data.len();
    Tensor::new(dtype, dims.clone(), data).ok_or_else(|| {
        Diagnostic::user(format!("holds {}, which is not what shape {dims:?} needs", count(length, "byte")))
            .hint("the file is damaged; write it again")
    })
}

fn field<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let at = header.find(&format!("'{name}'"))?;
    let rest = &header[at + name.len() + 2..];
    Some(rest.trim_start().strip_prefix(':')?.trim_start())
}

fn quoted<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let rest = field(header, name)?.strip_prefix('\'')?;
    Some(&rest[..rest.find('\'')?])
}

fn dtype_of(descr: &str) -> Option<DType> {
    let plain = descr.strip_prefix(['<', '|', '=']).unwrap_or(descr);
    // A type that is written as the bits of another one is read as that other type.
    DType::ALL.into_iter().find(|d| *d != DType::BF16 && &descr_of(*d)[1..] == plain)
}

/// The byte order (none for a single byte), the kind and the number of bytes.
fn descr_of(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 => "<f4",
        DType::F64 => "<f8",
        DType::F16 => "<f2",
        // NumPy has no bfloat16, so its bits are written.
        DType::BF16 | DType::U16 => "<u2",
        DType::I8 => "|i1",
        DType::I16 => "<i2",
        DType::I32 => "<i4",
        DType::I64 => "<i8",
        DType::U8 => "|u1",
        DType::U32 => "<u4",
        DType::U64 => "<u8",
        DType::Bool => "|b1",
    }
}

/// Writes an array; `bf16` elements are written as their bits in `uint16`.
///
/// # Errors
/// If the file cannot be written.
pub fn write(path: &Path, dtype: DType, dims: &[i64], data: &[u8]) -> Result<()> {
    let shape: String = dims.iter().map(|d| format!("{d},")).collect();
    let mut header =
        format!("{{'descr': '{}', 'fortran_order': False, 'shape': ({shape}), }}", descr_of(dtype));
    // Magic, version, length and header together are a multiple of 64 bytes and end in a newline.
    let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
    header.extend(std::iter::repeat_n(' ', length - header.len() - 1));
    header.push('\n');
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    std::fs::write(path, bytes)
        .map_err(|e| Diagnostic::user(format!("cannot write '{}': {e}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_round_trips_and_damage_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        let tensor = Tensor::from_f32(&[3, 1, 5], &(0..15).map(|v| v as f32 * 0.5).collect::<Vec<_>>());
        write(&path, tensor.dtype, &tensor.dims, &tensor.data).unwrap();
        assert_eq!(read(&path).unwrap(), tensor);
        let bytes = std::fs::read(&path).unwrap();
        for length in 0..bytes.len() {
            assert!(parse(bytes[..length].to_vec()).is_err(), "{length}");
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x55;
            let _ = parse(damaged);
        }
    }
}
