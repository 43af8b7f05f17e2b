//! Contraction micro-kernels.

use crate::{agree::agrees, nests, nests::*, run::run};
use mlcc_ir::{
    dtype::DType,
    expr::Expr,
    kernel::Role,
    nest::{ContractionTile, GatheredRows, LoopNest, Mapping, Node},
    scalar::{Body, Constant, Inst},
    tensor::Tensor,
};

/// Numbers in -1..1, the same every time.
pub fn random(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

#[test]
fn every_remainder_of_rows_and_columns_is_right() {
    for (m, n, k, rows, cols) in
        [(6, 64, 16, 6, 64), (13, 70, 5, 6, 64), (1, 1, 1, 6, 64), (17, 33, 37, 4, 32), (14, 31, 130, 14, 32)]
    {
        let nest = nests::gemm(DType::F32, [m, n, k], rows, cols);
        let a = random((m * k) as usize, 1);
        let b = random((k * n) as usize, 2);
        let tiles = (n + i64::from(cols) - 1) / i64::from(cols);
        let mut packed = vec![0f32; (tiles * k * i64::from(cols)) as usize];
        for j in 0..n {
            for p in 0..k {
                let (t, c) = (j / i64::from(cols), j % i64::from(cols));
                packed[((t * k + p) * i64::from(cols) + c) as usize] = b[(p * n + j) as usize];
            }
        }
        let operands = [
            Tensor::from_f32(&[m, k], &a),
            Tensor::from_f32(&[tiles, k, i64::from(cols)], &packed),
            Tensor::from_f32(&[m, n], &vec![f32::NAN; (m * n) as usize]),
        ];
        let Some(results) = run(&nest, &operands, &[]) else { continue };
        let result = results[2].to_f64();
        for i in 0..m {
            for j in 0..n {
                let sum: f64 = (0..k)
                    .map(|p| f64::from(a[(i * k + p) as usize]) * f64::from(b[(p * n + j) as usize]))
                    .sum();
                let got = result[(i * n + j) as usize];
                assert!((got - sum).abs() <= 1e-5 * (k as f64), "{m}x{n}x{k}: [{i}, {j}] = {got}, not {sum}");
            }
        }
    }
}

/// `y = a b` in one tile, A transposed or not, B in rows or columns, limited rows and columns, symbolic k.
fn one_tile([a, b, acc]: [DType; 3], transposed: [bool; 2], limits: bool) -> LoopNest {
    let (rows, cols) = (5, 32);
    let a_dims = if transposed[0] { ["k", "5"] } else { ["5", "k"] };
    let b_dims = if transposed[1] { ["32", "k"] } else { ["k", "32"] };
    let buffers = vec![
        buffer("a", a, &a_dims, Role::Input),
        buffer("b", b, &b_dims, Role::Input),
        buffer("y", acc, &["5", "32"], Role::Output),
        register("acc", acc, &["5", "32"]),
    ];
    let mut one = Body::default();
    one.push(Inst::Const(Constant::int(acc, 1)), acc);
    let each =
        |node| axis("r", "5", Mapping::Unrolled, vec![axis("c", "32", Mapping::Vector(16), vec![node])]);
    let a_strides = if transposed[0] { ["1", "5"] } else { ["k", "1"] };
    let b_strides = if transposed[1] { ["k", "1"] } else { ["1", "32"] };
    let tile = ContractionTile {
        acc: 3,
        rows,
        cols,
        k: e("k"),
        a: tile_operand(0, "0", a_strides[0], a_strides[1]),
        a_gather: None,
        a_rows: limits.then(|| e("rows")),
        b: tile_operand(1, "0", b_strides[0], b_strides[1]),
        b_cols: limits.then(|| e("cols")),
    };
    let mut write = store(2, &["%r", "%c"], read(3, &["%r", "%c"], acc));
    if limits {
        write.guards = vec![(e("%r"), e("rows")), (e("%c"), e("cols"))];
    }
    let mut zero = Body::default();
    zero.push(Inst::Const(Constant::int(acc, 0)), acc);
    let fill = each(put(2, &["%r", "%c"], zero));
    let body = vec![fill, each(put(3, &["%r", "%c"], one)), Node::Tile(tile), each(Node::Store(write))];
    nest("tile", &["cols", "k", "rows"], buffers, body)
}

#[test]
fn operands_of_any_type_and_layout_are_contracted() {
    use DType::{BF16, F16, F32, F64, I8, I32, U8};
    for dtypes in [[F32; 3], [F64; 3], [I32; 3], [U8, I8, I32], [F16, F16, F32], [BF16, F32, F32]] {
        for transposed in [[false, false], [true, false], [false, true], [true, true]] {
            agrees(&one_tile(dtypes, transposed, false), &[32, 37, 5]);
        }
        for [rows, cols] in [[5, 32], [1, 1], [3, 16], [4, 17]] {
            agrees(&one_tile(dtypes, [false, false], true), &[cols, 9, rows]);
        }
    }
}

#[test]
fn a_reduction_of_length_0_leaves_the_accumulators() {
    let mut nest = one_tile([DType::F32; 3], [false, false], false);
    agrees(&nest, &[32, 0, 5]);
    if let Node::Tile(t) = &mut nest.body[2] {
        t.k = Expr::from(0);
    }
    agrees(&nest, &[32, 3, 5]);
}

/// A tile whose five rows are pixels `step * row + 2` of an image `h` by `w`. Each row reads the pixel one line further
/// up and one to the right.
fn gathered(step: i64, limited: bool) -> LoopNest {
    let mut nest = one_tile([DType::F32; 3], [false, false], limited);
    nest.symbols = ["cols", "h", "k", "rows", "w"].map(Into::into).to_vec();
    nest.buffers[0].dims = vec![e("h"), e("w"), e("min(k, 9)")];
    let pixel = e(&format!("%row * {step} + 2"));
    let (h, w) = (pixel.floor_div(&e("w")) - Expr::from(1), pixel.modulo(&e("w")) + Expr::from(1));
    let inside = vec![(Expr::from(-1), h.clone()), (h.clone(), e("h")), (w.clone(), e("w"))];
    if let Node::Tile(t) = &mut nest.body[2] {
        t.k = e("min(k, 9)");
        t.a = tile_operand(0, "0", "0", "1");
        let offset = (h * e("w") + w) * e("min(k, 9)");
        t.a_gather = Some(GatheredRows { axis: "row".into(), offset, inside });
    }
    nest
}

#[test]
fn gathered_rows_are_read_where_they_are_and_0_elsewhere() {
    for step in [1, 2] {
        for [h, w] in [[1, 1], [2, 2], [3, 3], [2, 5], [4, 7], [1, 30]] {
            agrees(&gathered(step, false), &[32, h, 9, 5, w]);
            agrees(&gathered(step, true), &[17, h, 4, 3, w]);
        }
    }
}
