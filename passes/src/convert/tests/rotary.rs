//! Rotary position embedding.

use super::harness::*;
use mlcc_ir::attributes::Attr;

#[test]
fn pairs_are_turned() {
    for (rotary_dim, width) in [(10, 5), (10, 10), (6, 3), (6, 6), (2, 1)] {
        for interleaved in [false, true] {
            let a = attrs(&[("rotary_dim", Attr::Int(rotary_dim)), ("interleaved", Attr::Bool(interleaved))]);
            for dtype in FLOATS {
                let operands =
                    [any(dtype, &[2, 3, 7, 10]), any(dtype, &[2, 1, 7, width]), any(dtype, &[7, width])];
                assert_agrees_as("rotary_embedding", &a, &operands, &[As::Inputs, As::Constants]);
            }
            let one_row = [f32s(&[10]), f32s(&[width]), f32s(&[width])];
            assert_agrees_as("rotary_embedding", &a, &one_row, &[As::Inputs]);
        }
    }
}
