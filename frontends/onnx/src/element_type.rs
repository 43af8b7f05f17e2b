//! ONNX's element types (`TensorProto.DataType`).

use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    dtype::DType,
};

/// Names by number; the number is the index.
const NAMES: [&str; 27] = [
    "UNDEFINED",
    "FLOAT",
    "UINT8",
    "INT8",
    "UINT16",
    "INT16",
    "INT32",
    "INT64",
    "STRING",
    "BOOL",
    "FLOAT16",
    "DOUBLE",
    "UINT32",
    "UINT64",
    "COMPLEX64",
    "COMPLEX128",
    "BFLOAT16",
    "FLOAT8E4M3FN",
    "FLOAT8E4M3FNUZ",
    "FLOAT8E5M2",
    "FLOAT8E5M2FNUZ",
    "UINT4",
    "INT4",
    "FLOAT4E2M1",
    "FLOAT8E8M0",
    "UINT2",
    "INT2",
];

/// The element type with this number. `what` names the owner of the type, for the message.
///
/// # Errors
/// [`Fault::Unsupported`](mlcc_ir::diagnostic::Fault) for a type that ONNX has but mlcc does not,
/// [`Fault::User`](mlcc_ir::diagnostic::Fault) for an undefined number.
pub(crate) fn element_type(number: i64, what: &str) -> Result<DType> {
    Ok(match number {
        1 => DType::F32,
        2 => DType::U8,
        3 => DType::I8,
        4 => DType::U16,
        5 => DType::I16,
        6 => DType::I32,
        7 => DType::I64,
        9 => DType::Bool,
        10 => DType::F16,
        11 => DType::F64,
        12 => DType::U32,
        13 => DType::U64,
        16 => DType::BF16,
        _ => {
            return Err(match usize::try_from(number).ok().and_then(|n| NAMES.get(n)) {
                Some(&"UNDEFINED") | None => {
                    Diagnostic::user(format!("{what} has element type {number}, which ONNX does not define"))
                        .hint("the file is damaged, or newer than the onnx versions that mlcc reads")
                }
                Some(name) => Diagnostic::unsupported(format!("{what} has element type {name}")).hint(
                    "mlcc computes with float, float16, bfloat16, double, integers of 8 to 64 bits and bool",
                ),
            });
        }
    })
}
