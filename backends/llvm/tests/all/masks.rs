//! Lanes that are masked out, in vectors of any number of registers and elements of every type.

use crate::{
    agree::agrees_on,
    nests::{axis, buffer, e, nest, put},
};
use mlcc_ir::{
    dtype::DType,
    kernel::Role,
    nest::{LoopNest, Mapping},
    scalar::{Body, Constant, Inst},
};
use mlcc_llvm::Target;

const DTYPES: [DType; 10] = [
    DType::F32,
    DType::F64,
    DType::F16,
    DType::BF16,
    DType::I32,
    DType::I64,
    DType::U8,
    DType::I16,
    DType::U32,
    DType::Bool,
];

fn read_or_one(dtype: DType, index: &[&str]) -> Inst {
    let one = if dtype.is_float() { Constant::float(dtype, 1.0) } else { Constant::int(dtype, 1) };
    Inst::Read { tensor: 0, index: index.iter().map(|i| e(i)).collect(), outside: Some(one) }
}

/// 4 rows of `width` elements are copied into 6 rows of `columns`. Rows 0 and 5 and some columns have no
/// counterpart; the result there is 1.
fn bordered(dtype: DType, lanes: u32, width: &str, columns: &str, column: &str) -> LoopNest {
    let buffers = vec![
        buffer("x", dtype, &["4", width], Role::Input),
        buffer("y", dtype, &["6", columns], Role::Output),
    ];
    let mut body = Body::default();
    body.push(read_or_one(dtype, &["%r - 1", column]), dtype);
    let row = axis("i", columns, Mapping::Vector(lanes), vec![put(1, &["%r", "%i"], body)]);
    let symbols: &[&str] = if columns == "n" { &["n"] } else { &[] };
    nest("bordered", symbols, buffers, vec![axis("r", "6", Mapping::Parallel, vec![row])])
}

/// x86 with AVX2's masks and with AVX-512's, and the host.
fn targets() -> [Target; 3] {
    ["x86-64-v3", "x86-64-v4", "host"].map(|name| Target::named(name).unwrap())
}

/// A row exists or not, and in each row some columns exist: parts of vectors without any element, and vectors of
/// which one element is stored.
#[test]
fn rows_that_end_within_a_vector() {
    for target in targets() {
        for dtype in DTYPES {
            for lanes in [4, 16, 64] {
                for (width, columns) in [("40", "64"), ("7", "5"), ("33", "65")] {
                    agrees_on(&target, &bordered(dtype, lanes, width, columns, "%i + 1"), &[], &[]);
                }
            }
        }
    }
}

/// The same with numbers that are known only at run time; the vectors do not fill a register.
#[test]
fn rows_of_any_length_in_vectors_of_any_length() {
    for target in targets() {
        for dtype in [DType::F32, DType::F64, DType::I32, DType::I64] {
            for lanes in [2, 3, 12, 20] {
                for n in [5, 45] {
                    agrees_on(&target, &bordered(dtype, lanes, "19", "n", "%i - 2"), &[n], &[]);
                }
            }
        }
    }
}

/// The counterpart of every fifth element is missing: the masks are constant and have holes.
#[test]
fn columns_that_are_missing_in_between() {
    for target in targets() {
        for dtype in DTYPES {
            for lanes in [8, 32] {
                let buffers = vec![
                    buffer("x", dtype, &["13", "5"], Role::Input),
                    buffer("y", dtype, &["64"], Role::Output),
                ];
                let mut body = Body::default();
                body.push(read_or_one(dtype, &["floordiv(%i, 5)", "mod(%i, 5) + 1"]), dtype);
                let row = axis("i", "64", Mapping::Vector(lanes), vec![put(1, &["%i"], body)]);
                agrees_on(&target, &nest("holes", &[], buffers, vec![row]), &[], &[]);
            }
        }
    }
}
