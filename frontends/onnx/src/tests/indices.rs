//! Constant indices must be in bounds; otherwise they are an error.

use super::models::{FLOAT, imported, int_weight, model, node, value};
use crate::proto::GraphProto;

#[test]
fn a_constant_index_is_in_bounds_or_an_error() {
    let with = |text: &str, dims: &str, index: &[i64], shape: &[i64]| {
        imported(&model(
            18,
            GraphProto {
                input: vec![value("x", FLOAT, dims), value("u", FLOAT, "? ?")],
                output: vec![value("y", FLOAT, "? ?")],
                initializer: vec![int_weight("i", shape, index)],
                node: vec![node(text, vec![])],
                ..GraphProto::default()
            },
        ))
    };
    for text in ["y = Gather(x, i)", "y = GatherElements(x, i)", "y = ScatterElements(x, i, u)"] {
        assert!(with(text, "3 4", &[2, -3], &[1, 2]).is_ok(), "{text}");
        for bad in [3, -4, 100_000_000_000] {
            let error = with(text, "3 4", &[0, bad], &[1, 2]).unwrap_err().remove(0);
            assert_eq!(error.message, format!("index {bad} is out of range for 3 elements"), "{text}");
            assert!(error.location.is_some() && error.hint.is_some());
        }
    }
    for text in ["y = GatherND(x, i)", "y = ScatterND(x, i, u)"] {
        assert!(with(text, "4 4", &[3, -4], &[2, 1]).is_ok(), "{text}");
        let error = with(text, "3 4", &[0, 3], &[2, 1]).unwrap_err().remove(0);
        assert_eq!(error.message, "index 3 is out of range for 3 elements", "{text}");
        let pairs = with("y = GatherND(x, i)", "3 4", &[0, 4], &[1, 2]).unwrap_err().remove(0);
        assert_eq!(pairs.message, "index 4 is out of range for 4 elements");
    }
    // If the size is a symbol, every run checks the index.
    assert!(with("y = Gather(x, i)", "n 4", &[5], &[1]).is_ok());
    let error = with("y = GatherElements(x, i)", "3 4", &[0; 5], &[1, 5]).unwrap_err().remove(0);
    assert!(error.message.contains("is longer than the data's 4 along dimension 1"), "{}", error.message);
}
