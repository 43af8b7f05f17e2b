//! `TensorProto`: the place of the data, and whether it fits.

use super::models::{FLOAT, float_weight, int_weight};
use crate::{
    parse_tensor_proto,
    proto::{Segment, TensorProto},
};
use bytes::Bytes;
use mlcc_ir::{
    diagnostic::{Diagnostic, Fault},
    dtype::DType,
    tensor::Tensor,
};
use prost::Message;

fn parse(proto: &TensorProto) -> Result<Tensor, Diagnostic> {
    parse_tensor_proto(proto.encode_to_vec().into())
}

#[test]
fn raw_data_stays_a_slice_of_the_file() {
    let file: Bytes = float_weight("w", &[2, 3], &[0.5, 1.0, 2.0, 4.0, -1.0, 3.0]).encode_to_vec().into();
    let tensor = parse_tensor_proto(file.clone()).unwrap();
    let file = file.as_ptr_range();
    assert!(file.contains(&tensor.data.as_ptr()), "the data was copied");
    assert_eq!(tensor.to_f64(), [0.5, 1.0, 2.0, 4.0, -1.0, 3.0]);
}

#[test]
fn typed_fields_are_converted() {
    let proto = |data_type, fill: &dyn Fn(&mut TensorProto)| {
        let mut proto = TensorProto { dims: vec![2], data_type, ..TensorProto::default() };
        fill(&mut proto);
        parse(&proto).unwrap()
    };
    let int32 = |values: &[i32]| {
        let values = values.to_vec();
        move |p: &mut TensorProto| p.int32_data = values.clone()
    };
    let cases = [
        (proto(1, &|p| p.float_data = vec![1.5, -2.0]), DType::F32, [1.5, -2.0]),
        (proto(2, &int32(&[255, 1])), DType::U8, [255.0, 1.0]),
        (proto(3, &int32(&[-128, 1])), DType::I8, [-128.0, 1.0]),
        (proto(4, &int32(&[65535, 1])), DType::U16, [65535.0, 1.0]),
        (proto(5, &int32(&[-3, 1])), DType::I16, [-3.0, 1.0]),
        (proto(6, &int32(&[-7, 1])), DType::I32, [-7.0, 1.0]),
        (proto(7, &|p| p.int64_data = vec![1 << 40, -1]), DType::I64, [(1i64 << 40) as f64, -1.0]),
        (proto(9, &int32(&[1, 0])), DType::Bool, [1.0, 0.0]),
        (proto(10, &int32(&[0x3c00, 0xc000])), DType::F16, [1.0, -2.0]),
        (proto(11, &|p| p.double_data = vec![0.1, 2.0]), DType::F64, [0.1, 2.0]),
        (proto(12, &|p| p.uint64_data = vec![4_000_000_000, 1]), DType::U32, [4e9, 1.0]),
        (proto(13, &|p| p.uint64_data = vec![1 << 63, 1]), DType::U64, [(1u64 << 63) as f64, 1.0]),
        (proto(16, &int32(&[0x3f80, 0xc000])), DType::BF16, [1.0, -2.0]),
    ];
    for (tensor, dtype, values) in cases {
        assert_eq!((tensor.dtype, tensor.to_f64()), (dtype, values.to_vec()));
    }
}

#[test]
fn booleans_are_zero_or_one() {
    let raw = Some(Bytes::from_static(&[0, 1, 7]));
    let tensor = parse(&TensorProto { dims: vec![3], data_type: 9, raw_data: raw, ..TensorProto::default() });
    assert_eq!(tensor.unwrap().data[..], [0, 1, 1]);
}

#[test]
fn data_must_fit_the_dimensions() {
    let message = |proto: &TensorProto| parse(proto).unwrap_err().message;
    assert_eq!(
        message(&float_weight("w", &[3], &[1.0, 2.0])),
        "tensor 'w' of element type f32 and dimensions [3] needs 12 bytes but has 8"
    );
    assert_eq!(message(&int_weight("w", &[3], &[1])), "tensor 'w' needs 3 elements but has 1");
    assert_eq!(message(&int_weight("w", &[-3], &[1])), "tensor 'w' has impossible dimensions [-3]");
    let absurd = message(&float_weight("w", &[i64::MAX, i64::MAX], &[1.0]));
    assert!(absurd.starts_with("tensor 'w' has impossible dimensions"), "{absurd}");
    let overflow = message(&float_weight("w", &[1 << 62], &[1.0]));
    assert!(overflow.starts_with("tensor 'w' has impossible dimensions"), "{overflow}");
}

#[test]
fn unsupported_types_are_named() {
    let error =
        parse(&TensorProto { name: "w".into(), data_type: 17, ..TensorProto::default() }).unwrap_err();
    assert_eq!(error.fault, Fault::Unsupported);
    assert_eq!(error.message, "tensor 'w' has element type FLOAT8E4M3FN");
    let error =
        parse(&TensorProto { name: "w".into(), data_type: 99, ..TensorProto::default() }).unwrap_err();
    assert_eq!(error.fault, Fault::User);
    let sequence = TensorProto { data_type: FLOAT, segment: Some(Segment {}), ..TensorProto::default() };
    assert_eq!(parse(&sequence).unwrap_err().fault, Fault::Unsupported);
}
