//! `TensorProto` to [`Tensor`]: data from `raw_data`, from typed fields or from another file.

use crate::{builder::MAX_RANK, element_type::element_type, external::ExternalData, proto::TensorProto};
use bytes::Bytes;
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    dtype::DType,
    tensor::{Element, Tensor, element_count, push_element},
};

/// `TensorProto.DataLocation.EXTERNAL`.
const EXTERNAL: i32 = 1;

/// The tensor that a message describes. `raw_data` and external data are used in place.
///
/// # Errors
/// If the element type is not supported, or the data does not fit the dimensions. Sizes are checked
/// before anything is allocated.
pub(crate) fn tensor_from_proto(proto: &TensorProto, external: &ExternalData) -> Result<Tensor> {
    let what = format!("tensor '{}'", proto.name);
    if proto.segment.is_some() {
        return Err(Diagnostic::unsupported(format!(
            "{what} is stored in segments, or is a sequence or optional"
        ))
        .hint("only whole, dense tensors are supported"));
    }
    if proto.dims.len() > MAX_RANK {
        return Err(Diagnostic::unsupported(format!("{what} has {} dimensions", proto.dims.len()))
            .hint(format!("mlcc takes at most {MAX_RANK} dimensions")));
    }
    let dtype = element_type(i64::from(proto.data_type), &what)?;
    let size = element_count(&proto.dims).and_then(|n| n.checked_mul(dtype.size())).ok_or_else(|| {
        Diagnostic::user(format!("{what} has impossible dimensions {:?}", proto.dims))
            .hint("the file is damaged")
    })?;
    let data = if proto.data_location == EXTERNAL {
        external.read(&proto.external_data, &proto.name, size)?
    } else if let Some(raw) = proto.raw_data.as_ref().filter(|raw| !raw.is_empty()) {
        raw.clone()
    } else {
        typed_data(proto, dtype, size / dtype.size(), &what)?
    };
    let data = if dtype == DType::Bool { normalised_bools(data) } else { data };
    let length = data.len();
    Tensor::new(dtype, proto.dims.clone(), data).ok_or_else(|| {
        Diagnostic::user(format!(
            "{what} of element type {dtype} and dimensions {:?} needs {size} bytes but has {length}",
            proto.dims
        ))
        .hint("the file is damaged")
    })
}

/// A boolean is one byte, 0 or 1; other bytes are true.
fn normalised_bools(data: Bytes) -> Bytes {
    if data.iter().all(|&b| b <= 1) {
        return data;
    }
    data.iter().map(|&b| u8::from(b != 0)).collect::<Vec<_>>().into()
}

fn typed_data(proto: &TensorProto, dtype: DType, elements: usize, what: &str) -> Result<Bytes> {
    let present = match dtype {
        DType::F32 => proto.float_data.len(),
        DType::F64 => proto.double_data.len(),
        DType::I64 => proto.int64_data.len(),
        DType::U32 | DType::U64 => proto.uint64_data.len(),
        _ => proto.int32_data.len(),
    };
    if present != elements {
        return Err(Diagnostic::user(format!("{what} needs {elements} elements but has {present}"))
            .hint("the file is damaged, or holds a sequence, or an optional, or a tensor without its data"));
    }
    let mut data = Vec::with_capacity(elements * dtype.size());
    let mut push = |element| push_element(dtype, &mut data, element);
    match dtype {
        DType::F32 => data.extend(proto.float_data.iter().flat_map(|v| v.to_le_bytes())),
        DType::F64 => data.extend(proto.double_data.iter().flat_map(|v| v.to_le_bytes())),
        DType::I64 => data.extend(proto.int64_data.iter().flat_map(|v| v.to_le_bytes())),
        DType::U32 | DType::U64 => proto.uint64_data.iter().for_each(|&v| push(Element::UInt(v))),
        // The bits of the number, in the low half.
        DType::F16 | DType::BF16 => {
            data.extend(proto.int32_data.iter().flat_map(|&v| (v as u16).to_le_bytes()));
        }
        _ => proto.int32_data.iter().for_each(|&v| push(Element::Int(i64::from(v)))),
    }
    Ok(data.into())
}
