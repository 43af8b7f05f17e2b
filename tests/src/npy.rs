//! NumPy's file format, version 1.0: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use std::path::{Path, PathBuf};

use crate::tensor::{DType, Tensor};

const MAGIC: &[u8] = b"\x93NUMPY";

/// The data begins at a multiple of this.
const ALIGNMENT: usize = 64;

/// What can be wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system's refusal.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is no array that tests use.
    #[error("{path}: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Reads an array in row-major order.
///
/// # Errors
/// Where the file cannot be read, or is no such array of a known dtype.
pub fn read(path: &Path) -> Result<Tensor, Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::Io { path: path.to_path_buf(), source })?;
    parse(&bytes).map_err(|reason| Error::Malformed { path: path.to_path_buf(), reason })
}

/// Writes an array.
///
/// # Errors
/// Where the file cannot be written.
pub fn write(path: &Path, tensor: &Tensor) -> Result<(), Error> {
    std::fs::write(path, encode(tensor)).map_err(|source| Error::Io { path: path.to_path_buf(), source })
}

fn encode(tensor: &Tensor) -> Vec<u8> {
    // A tuple of one needs its comma.
    let shape: String = tensor.shape().iter().map(|size| format!("{size}, ")).collect();
    let descr = descr(tensor.dtype());
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}");
    let fixed = MAGIC.len() + 4;
    let length = (fixed + header.len() + 1).next_multiple_of(ALIGNMENT) - fixed;
    header.push_str(&" ".repeat(length - header.len() - 1));
    header.push('\n');
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend(tensor.bytes());
    bytes
}

fn parse(bytes: &[u8]) -> Result<Tensor, String> {
    let rest = bytes.strip_prefix(MAGIC).ok_or("no .npy file")?;
    // Version 2 widened the length of the header, version 3 its characters.
    let (length, rest) = match rest {
        [1, _, a, b, rest @ ..] => (usize::from(u16::from_le_bytes([*a, *b])), rest),
        [2 | 3, _, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
        _ => return Err("unknown version or truncated".to_owned()),
    };
    let (header, data) = rest.split_at_checked(length).ok_or("truncated header")?;
    let header = std::str::from_utf8(header).map_err(|_| "a header that is no text")?;
    if field(header, "fortran_order")?.starts_with("True") {
        return Err("column-major arrays are not read here".to_owned());
    }
    let descr = field(header, "descr")?.split('\'').nth(1).ok_or("no dtype")?;
    let dtype = dtype(descr).ok_or_else(|| format!("unknown dtype {descr}"))?;
    let shape = field(header, "shape")?;
    let shape = shape.strip_prefix('(').and_then(|text| text.split(')').next()).ok_or("no shape")?;
    let shape = shape
        .split(',')
        .map(str::trim)
        .filter(|size| !size.is_empty())
        .map(|size| size.parse().map_err(|_| format!("{size:?} is no size")))
        .collect::<Result<Vec<usize>, _>>()?;
    let count = data.len();
    Tensor::new(dtype, &shape, data.to_vec()).ok_or_else(|| format!("{count} bytes for {descr}{shape:?}"))
}

/// What follows `'name':` in the header.
fn field<'a>(header: &'a str, name: &str) -> Result<&'a str, String> {
    let after = header.split(&format!("'{name}':")).nth(1);
    after.map(str::trim_start).ok_or_else(|| format!("no {name}"))
}

fn descr(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 => "<f4",
        DType::F64 => "<f8",
        DType::I32 => "<i4",
        DType::I64 => "<i8",
        DType::U8 => "|u1",
        DType::Bool => "|b1",
    }
}

fn dtype(name: &str) -> Option<DType> {
    let all = [DType::F32, DType::F64, DType::I32, DType::I64, DType::U8, DType::Bool];
    all.into_iter().find(|&dtype| descr(dtype) == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `numpy.save` of `numpy.array([[1.0, 2.0, 3.0]], numpy.float32)`, by numpy 2.4.
    fn saved_by_numpy() -> Vec<u8> {
        let mut bytes =
            b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3), }".to_vec();
        bytes.resize(127, b' ');
        bytes.push(b'\n');
        bytes.extend([1.0f32, 2.0, 3.0].into_iter().flat_map(f32::to_le_bytes));
        bytes
    }

    #[test]
    fn what_numpy_saves_is_read() {
        assert_eq!(parse(&saved_by_numpy()), Ok(Tensor::f32(&[1, 3], [1.0, 2.0, 3.0])));
    }

    #[test]
    fn what_is_written_is_read_back() {
        for dtype in [DType::F32, DType::F64, DType::I32, DType::I64, DType::U8, DType::Bool] {
            for shape in [&[][..], &[5], &[3, 0, 2], &[1, 3, 7]] {
                let tensor = Tensor::random(dtype, shape, 3);
                let bytes = encode(&tensor);
                let data = bytes.len() - tensor.bytes().len();
                assert_eq!(data % ALIGNMENT, 0);
                assert_eq!(parse(&bytes).as_ref(), Ok(&tensor));
            }
        }
    }

    #[test]
    fn a_broken_file_is_refused() {
        let good = saved_by_numpy();
        for length in 0..good.len() {
            assert!(parse(&good[..length]).is_err(), "cut to {length} bytes");
        }
        let replaced = |from: &str, to: &str| {
            let mut bytes = good.clone();
            let at = bytes.windows(from.len()).position(|part| part == from.as_bytes()).unwrap();
            bytes.splice(at..at + from.len(), to.bytes());
            parse(&bytes).unwrap_err()
        };
        assert_eq!(replaced("<f4", ">f4"), "unknown dtype >f4");
        assert_eq!(replaced("False", "True "), "column-major arrays are not read here");
        assert_eq!(replaced("(1, 3)", "(1, 4)"), "12 bytes for <f4[1, 4]");
        assert_eq!(replaced("(1, 3)", "(1, x)"), "\"x\" is no size");
    }
}
