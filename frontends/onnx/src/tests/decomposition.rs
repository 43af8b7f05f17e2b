//! Operators that become several: the interpreter's results are compared with their plain definition.

use super::models::{float, imported, int, ints, model, node, text};
use crate::proto::{
    DimensionProto, GraphProto, NodeProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto,
    ValueInfoProto, dimension, type_proto,
};
use mlcc_interpreter::{compare, graph::run};
use mlcc_ir::{dtype::DType, tensor::Tensor};

/// Deterministic values in -1..1.
fn noise(dims: &[i64], seed: u64) -> Tensor {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    let count = dims.iter().product::<i64>();
    Tensor::from_f32(dims, &(0..count).map(|_| next()).collect::<Vec<_>>())
}

fn bytes(dtype: DType, dims: &[i64], data: &[u8]) -> Tensor {
    Tensor::new(dtype, dims.to_vec(), data.to_vec().into()).unwrap()
}

fn number(dtype: DType) -> i32 {
    match dtype {
        DType::F32 => 1,
        DType::U8 => 2,
        DType::I64 => 7,
        other => panic!("{other}"),
    }
}

fn input(name: &str, tensor: &Tensor) -> ValueInfoProto {
    let dim = |&d: &i64| DimensionProto { value: Some(dimension::Value::Size(d)) };
    let shape = Some(TensorShapeProto { dim: tensor.dims.iter().map(dim).collect() });
    let ty = TensorTypeProto { elem_type: number(tensor.dtype), shape };
    ValueInfoProto { name: name.into(), ty: Some(TypeProto { value: Some(type_proto::Value::Tensor(ty)) }) }
}

/// Results of one ONNX node of the newest opset.
fn results(node: NodeProto, inputs: &[(&str, &Tensor)], weights: &[(&str, &Tensor)]) -> Vec<Tensor> {
    let weight = |(name, tensor): &(&str, &Tensor)| TensorProto {
        name: (*name).into(),
        dims: tensor.dims.clone(),
        data_type: number(tensor.dtype),
        raw_data: Some(tensor.data.clone()),
        ..TensorProto::default()
    };
    let output = |name: &String| ValueInfoProto { name: name.clone(), ty: None };
    let graph = GraphProto {
        input: inputs.iter().map(|(name, tensor)| input(name, tensor)).collect(),
        initializer: weights.iter().map(weight).collect(),
        output: node.output.iter().filter(|n| !n.is_empty()).map(output).collect(),
        node: vec![node],
        ..GraphProto::default()
    };
    let graph = imported(&model(28, graph)).unwrap().graph;
    let inputs: Vec<Tensor> = inputs.iter().map(|(_, tensor)| (*tensor).clone()).collect();
    run(&graph, &inputs).unwrap()
}

fn result(node: NodeProto, inputs: &[(&str, &Tensor)], weights: &[(&str, &Tensor)]) -> Tensor {
    results(node, inputs, weights).swap_remove(0)
}

fn assert_close(got: &Tensor, dims: &[i64], want: &[f64]) {
    let want = Tensor::from_f32(dims, &want.iter().map(|&v| v as f32).collect::<Vec<_>>());
    let error = compare(got, &want);
    assert!(error < 1e-6, "relative error {error}: {:?} instead of {:?}", got.to_f64(), want.to_f64());
}

#[test]
fn log_sum_exp_neither_overflows_nor_loses_infinities() {
    let never = f32::NEG_INFINITY;
    let x = Tensor::from_f32(&[3, 3], &[1000.0, 999.0, 998.0, never, never, never, never, -2.0, 3.0]);
    let axes = Tensor::from_i64(&[1], &[1]);
    let y =
        result(node("y = ReduceLogSumExp(x, a)", vec![int("keepdims", 0)]), &[("x", &x)], &[("a", &axes)]);
    let first = 1000.0 + (1.0f64 + (-1.0f64).exp() + (-2.0f64).exp()).ln();
    let last = 3.0 + (1.0 + (-5.0f64).exp()).ln();
    assert_eq!(y.to_f64()[1], f64::NEG_INFINITY);
    assert_close(
        &Tensor::from_f32(&[2], &[y.to_f64()[0] as f32, y.to_f64()[2] as f32]),
        &[2],
        &[first, last],
    );
}

#[test]
fn remainders_of_floats_have_the_sign_of_the_divisor() {
    let (a, b) = (noise(&[7, 5], 1), noise(&[7, 5], 2));
    let y = result(node("y = Mod(a, b)", vec![]), &[("a", &a), ("b", &b)], &[]);
    let pairs = a.to_f64().into_iter().zip(b.to_f64());
    assert_close(&y, &[7, 5], &pairs.map(|(a, b)| a - (a / b).floor() * b).collect::<Vec<_>>());
}

#[test]
fn grouped_causal_attention_with_a_past() {
    let (heads, kv, past, length, size) = (6usize, 2usize, 3usize, 5usize, 7usize);
    let dims = |heads: usize, length: usize| [2, heads as i64, length as i64, size as i64];
    let q = noise(&dims(heads, length), 1);
    let (k, v) = (noise(&dims(kv, length), 2), noise(&dims(kv, length), 3));
    let (pk, pv) = (noise(&dims(kv, past), 4), noise(&dims(kv, past), 5));
    let call = node("y nk nv = Attention(q, k, v, , pk, pv)", vec![int("is_causal", 1)]);
    let found = results(call, &[("q", &q), ("k", &k), ("v", &v), ("pk", &pk), ("pv", &pv)], &[]);
    let at = |old: &Tensor, new: &Tensor, b: usize, h: usize, s: usize, d: usize| {
        let (tensor, s, count) = if s < past { (old, s, past) } else { (new, s - past, length) };
        tensor.get(((b * kv + h) * count + s) * size + d).to_f64()
    };
    let mut want = Vec::new();
    for (b, h, i) in (0..2).flat_map(|b| (0..heads).flat_map(move |h| (0..length).map(move |i| (b, h, i)))) {
        let group = h / (heads / kv);
        let query = |d: usize| q.get(((b * heads + h) * length + i) * size + d).to_f64();
        let logit = |j: usize| (0..size).map(|d| query(d) * at(&pk, &k, b, group, j, d)).sum::<f64>();
        let weights: Vec<f64> = (0..=past + i).map(|j| (logit(j) / (size as f64).sqrt()).exp()).collect();
        let total: f64 = weights.iter().sum();
        want.extend((0..size).map(|d| {
            weights.iter().enumerate().map(|(j, w)| w / total * at(&pv, &v, b, group, j, d)).sum::<f64>()
        }));
    }
    assert_close(&found[0], &dims(heads, length), &want);
    assert_eq!([&found[1].dims, &found[2].dims], [&dims(kv, past + length); 2]);
}

#[test]
fn fully_masked_rows_are_zero() {
    let (q, k, v) = (noise(&[1, 1, 3, 4], 1), noise(&[1, 1, 5, 4], 2), noise(&[1, 1, 5, 4], 3));
    let never = f32::NEG_INFINITY;
    let mut mask = vec![0.0; 15];
    mask[5..10].fill(never);
    let mask = Tensor::from_f32(&[3, 5], &mask);
    let y = result(
        node("y = Attention(q, k, v, m)", vec![]),
        &[("q", &q), ("k", &k), ("v", &v), ("m", &mask)],
        &[],
    );
    let rows: Vec<bool> = y.to_f64().chunks(4).map(|row| row.iter().all(|&v| v == 0.0)).collect();
    assert_eq!(rows, [false, true, false]);
}

#[test]
fn transforms_and_their_inverses() {
    let n = 9usize;
    let x = noise(&[2, n as i64, 3, 1], 1);
    let axis = Tensor::from_i64(&[], &[1]);
    let y = result(node("y = DFT(x, , a)", vec![]), &[("x", &x)], &[("a", &axis)]);
    let mut want = Vec::new();
    for (b, k, c) in (0..2).flat_map(|b| (0..n).flat_map(move |k| (0..3).map(move |c| (b, k, c)))) {
        let angle = |i: usize| std::f64::consts::TAU * (i * k) as f64 / n as f64;
        let point = |i: usize| x.get((b * n + i) * 3 + c).to_f64();
        want.push((0..n).map(|i| point(i) * angle(i).cos()).sum::<f64>());
        want.push((0..n).map(|i| -point(i) * angle(i).sin()).sum::<f64>());
    }
    assert_close(&y, &[2, n as i64, 3, 2], &want);
    for n in [8, 9] {
        let x = noise(&[2, n, 3, 1], 2);
        let attributes = || vec![int("onesided", 1)];
        let half = result(node("y = DFT(x, , a)", attributes()), &[("x", &x)], &[("a", &axis)]);
        assert_eq!(half.dims, [2, n / 2 + 1, 3, 2]);
        let length = Tensor::from_i64(&[], &[n]);
        let back = [attributes(), vec![int("inverse", 1)]].concat();
        let back = result(node("y = DFT(h, n, a)", back), &[("h", &half)], &[("n", &length), ("a", &axis)]);
        assert_close(&back, &x.dims, &x.to_f64());
    }
}

#[test]
fn blocks_add_up_to_an_image() {
    let (image, block) = (Tensor::from_i64(&[2], &[5, 6]), Tensor::from_i64(&[2], &[2, 3]));
    let x = noise(&[1, 12, 4], 1);
    let attributes = vec![ints("strides", &[2, 3]), ints("pads", &[0, 1, 1, 0]), ints("dilations", &[2, 1])];
    let y = result(node("y = Col2Im(x, i, b)", attributes), &[("x", &x)], &[("i", &image), ("b", &block)]);
    let mut want = vec![0.0; 2 * 5 * 6];
    for c in 0..2i64 {
        for (p, q) in (0..2i64).flat_map(|p| (0..3).map(move |q| (p, q))) {
            for (r, s) in (0..2i64).flat_map(|r| (0..2).map(move |s| (r, s))) {
                let (row, column) = (2 * r + 2 * p, 3 * s + q - 1);
                if (0..5).contains(&row) && (0..6).contains(&column) {
                    let from = ((c * 2 + p) * 3 + q) * 4 + r * 2 + s;
                    want[((c * 5 + row) * 6 + column) as usize] += x.get(from as usize).to_f64();
                }
            }
        }
    }
    assert_close(&y, &[1, 2, 5, 6], &want);
}

#[test]
fn depth_and_space_are_each_others_inverse() {
    let x = noise(&[2, 8, 3, 5], 1);
    for mode in ["DCR", "CRD"] {
        let attributes = || vec![int("blocksize", 2), text("mode", mode)];
        let y = result(node("y = DepthToSpace(x)", attributes()), &[("x", &x)], &[]);
        assert_eq!(y.dims, [2, 2, 6, 10]);
        let back = result(node("z = SpaceToDepth(y)", attributes()), &[("y", &y)], &[]);
        assert_eq!(back, x);
        // Column 1 of the first pixel's block: the next channel, or the one after all blocks' depths.
        let channel = if mode == "DCR" { 2 } else { 1 };
        assert_eq!(y.get(1), x.get(channel * 15));
    }
}

#[test]
fn quantised_products_are_exact() {
    let (a, b) =
        (bytes(DType::U8, &[2, 3], &[0, 255, 7, 130, 4, 90]), bytes(DType::U8, &[3, 1], &[9, 200, 255]));
    let scale = |v: f32| Tensor::from_f32(&[], &[v]);
    let zero = |v: u8| bytes(DType::U8, &[], &[v]);
    let (sa, sb, sy) = (scale(0.5), scale(0.25), scale(64.0));
    let (za, zb, zy) = (zero(128), zero(100), zero(3));
    let call = node("y = QLinearMatMul(a, sa, za, b, sb, zb, sy, zy)", vec![]);
    let weights = [("sa", &sa), ("za", &za), ("sb", &sb), ("zb", &zb), ("sy", &sy), ("zy", &zy)];
    let y = result(call, &[("a", &a), ("b", &b)], &weights);
    let want: Vec<f64> = (0..2)
        .map(|i| {
            let sum: i64 =
                (0..3).map(|k| (a.get(3 * i + k).to_i64() - 128) * (b.get(k).to_i64() - 100)).sum();
            ((sum as f64 * 0.125 / 64.0).round_ties_even() + 3.0).clamp(0.0, 255.0)
        })
        .collect();
    assert_eq!(y.to_f64(), want);
}

#[test]
fn losses_leave_out_what_is_ignored() {
    let x = noise(&[3, 4, 2], 1);
    let target = Tensor::from_i64(&[3, 2], &[0, 3, -7, 1, 2, -7]);
    let weight = Tensor::from_f32(&[4], &[1.0, 0.5, 2.0, 0.25]);
    let call = node("y = NegativeLogLikelihoodLoss(x, t, w)", vec![int("ignore_index", -7)]);
    let y = result(call, &[("x", &x), ("t", &target)], &[("w", &weight)]);
    let (mut sum, mut total) = (0.0, 0.0);
    for (n, d) in (0..3).flat_map(|n| (0..2).map(move |d| (n, d))) {
        let class = target.get(n * 2 + d).to_i64();
        if class >= 0 {
            let w = weight.get(class as usize).to_f64();
            sum -= w * x.get((n * 4 + class as usize) * 2 + d).to_f64();
            total += w;
        }
    }
    assert_close(&y, &[], &[sum / total]);
}

#[test]
fn rotations_keep_lengths() {
    let x = noise(&[1, 2, 3, 6], 1);
    let (cos, sin): (Vec<f32>, Vec<f32>) = (0..9).map(|i| ((i as f32).cos(), (i as f32).sin())).unzip();
    let (cos, sin) = (Tensor::from_f32(&[1, 3, 3], &cos), Tensor::from_f32(&[1, 3, 3], &sin));
    for interleaved in [0, 1] {
        let call = node("y = RotaryEmbedding(x, c, s)", vec![int("interleaved", interleaved)]);
        let y = result(call, &[("x", &x)], &[("c", &cos), ("s", &sin)]);
        let (step, other) = if interleaved == 1 { (2, 1) } else { (1, 3) };
        let mut want = x.to_f64();
        for (row, pair) in (0..6).flat_map(|row| (0..3).map(move |pair| (row, pair))) {
            let (i, j) = (row * 6 + pair * step, row * 6 + pair * step + other);
            let angle = f64::from(row as u32 % 3 * 3 + pair as u32);
            let (a, b) = (want[i], want[j]);
            want[i] = a * angle.cos() - b * angle.sin();
            want[j] = a * angle.sin() + b * angle.cos();
        }
        assert_close(&y, &x.dims, &want);
    }
}

#[test]
fn norms_of_nothing_divide_nothing() {
    let x = Tensor::from_f32(&[2, 2], &[3.0, 4.0, 0.0, 0.0]);
    let y = result(node("y = LpNormalization(x)", vec![int("p", 2)]), &[("x", &x)], &[]);
    assert_close(&y, &[2, 2], &[0.6, 0.8, 0.0, 0.0]);
    let y =
        result(node("y = Gemm(x, x, x)", vec![float("alpha", 0.5), float("beta", 2.0)]), &[("x", &x)], &[]);
    assert_close(&y, &[2, 2], &[10.5, 14.0, 0.0, 0.0]);
}
