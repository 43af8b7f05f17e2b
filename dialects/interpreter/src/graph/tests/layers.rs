//! Convolutions, pooling, normalisations, resampling.

use crate::{
    compare,
    testing::{Random, assert_close, evaluate, f32s, ints, numbers, text},
};
use mlcc_ir::{attributes::Attr, dtype::DType, tensor::Tensor};

/// The definition of a two-dimensional convolution, element by element.
fn plain_conv(x: &Tensor, w: &Tensor, [stride, pad, dilation, group]: [i64; 4]) -> Vec<f64> {
    let ([n, c, h, wd], [m, cg, kh, kw]) = (dims(x), dims(w));
    let size = |i: i64, k: i64| (i + 2 * pad - dilation * (k - 1) - 1) / stride + 1;
    let (xs, ws) = (x.to_f64(), w.to_f64());
    let mut out = Vec::new();
    for b in 0..n {
        for f in 0..m {
            for oy in 0..size(h, kh) {
                for ox in 0..size(wd, kw) {
                    let mut sum = 0.0;
                    for ci in 0..cg {
                        for ky in 0..kh {
                            for kx in 0..kw {
                                let (y, xx) =
                                    (oy * stride + ky * dilation - pad, ox * stride + kx * dilation - pad);
                                if (0..h).contains(&y) && (0..wd).contains(&xx) {
                                    let channel = f / (m / group) * cg + ci;
                                    sum += xs[(((b * c + channel) * h + y) * wd + xx) as usize]
                                        * ws[(((f * cg + ci) * kh + ky) * kw + kx) as usize];
                                }
                            }
                        }
                    }
                    out.push(sum);
                }
            }
        }
    }
    out
}

fn dims(t: &Tensor) -> [i64; 4] {
    t.dims.clone().try_into().unwrap()
}

fn window(stride: i64, pad: i64, dilation: i64, group: i64) -> [(&'static str, Attr); 4] {
    [
        ("strides", ints(&[stride; 2])),
        ("pads", ints(&[pad; 4])),
        ("dilations", ints(&[dilation; 2])),
        ("group", Attr::Int(group)),
    ]
}

#[test]
fn convolutions_match_their_definition() {
    let mut random = Random(1);
    for (stride, pad, dilation, group) in
        [(1, 0, 1, 1), (1, 1, 1, 2), (2, 2, 1, 1), (3, 1, 2, 4), (2, 3, 2, 4)]
    {
        let x = random.tensor(DType::F32, &[2, 4, 7, 9]);
        let w = random.tensor(DType::F32, &[8, 4 / group, 3, 2]);
        let got = &evaluate("conv", &window(stride, pad, dilation, group), &[x.clone(), w.clone()])[0];
        let want = plain_conv(&x, &w, [stride, pad, dilation, group]);
        assert!(compare(got, &f32s(&got.dims, &want)) < 1e-7);
    }
}

#[test]
fn a_transposed_convolution_is_the_transpose_of_the_convolution() {
    let mut random = Random(2);
    for (stride, pad, dilation, group, width) in [(1, 0, 1, 1, 8), (2, 1, 1, 2, 9), (3, 2, 2, 1, 10)] {
        // <conv(x), y> = <x, conv_transpose(y)>; with these sizes no input is left over.
        let x = random.tensor(DType::F64, &[1, 4, 7, width]);
        let w = random.tensor(DType::F64, &[6, 4 / group, 3, 3]);
        let attrs = window(stride, pad, dilation, group);
        let image = &evaluate("conv", &attrs, &[x.clone(), w.clone()])[0];
        let y = random.tensor(DType::F64, &image.dims);
        let back = evaluate("conv_transpose", &attrs, &[y.clone(), w])[0].clone();
        let product =
            |a: &Tensor, b: &Tensor| a.to_f64().iter().zip(b.to_f64()).map(|(a, b)| a * b).sum::<f64>();
        assert_eq!(back.dims, x.dims, "stride {stride}, pad {pad}, dilation {dilation}");
        assert_close(&[product(image, &y)], &[product(&x, &back)]);
    }
}

#[test]
fn one_and_three_dimensions_and_a_bias() {
    let one = [("strides", ints(&[2])), ("pads", ints(&[1, 0])), ("group", Attr::Int(1))];
    let (x, w) = (f32s(&[1, 1, 4], &[1.0, 2.0, 3.0, 4.0]), f32s(&[1, 1, 3], &[1.0, 10.0, 100.0]));
    assert_eq!(numbers("conv", &one, &[x, w, f32s(&[1], &[0.5])]), [210.5, 432.5]);
    let three = [("group", Attr::Int(1))];
    let x = f32s(&[1, 1, 2, 2, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    assert_eq!(numbers("conv", &three, &[x, f32s(&[1, 1, 2, 2, 2], &[1.0; 8])]), [36.0]);
}

#[test]
fn pools_see_windows() {
    let x = f32s(&[1, 1, 3, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
    let pool = |pad: i64, stride: i64, more: &[(&'static str, Attr)]| {
        let mut list =
            vec![("kernel", ints(&[2, 2])), ("strides", ints(&[stride; 2])), ("pads", ints(&[pad; 4]))];
        list.extend_from_slice(more);
        list
    };
    let results = evaluate("max_pool", &pool(0, 1, &[]), std::slice::from_ref(&x));
    assert_eq!(results[0].to_f64(), [5.0, 6.0, 8.0, 9.0]);
    assert_eq!(results[1].to_i64(), [4, 5, 7, 8]);
    let column_major = pool(0, 1, &[("storage_order", Attr::Int(1))]);
    assert_eq!(evaluate("max_pool", &column_major, std::slice::from_ref(&x))[1].to_i64(), [4, 7, 5, 8]);
    let padded = pool(1, 2, &[]);
    assert_eq!(numbers("average_pool", &padded, std::slice::from_ref(&x)), [1.0, 2.5, 5.5, 7.0]);
    let counted = pool(1, 2, &[("count_include_pad", Attr::Bool(true))]);
    assert_eq!(numbers("average_pool", &counted, std::slice::from_ref(&x)), [0.25, 1.25, 2.75, 7.0]);
    let ceil = pool(0, 2, &[("ceil_mode", Attr::Bool(true)), ("count_include_pad", Attr::Bool(true))]);
    assert_eq!(numbers("average_pool", &ceil, std::slice::from_ref(&x)), [3.0, 4.5, 7.5, 9.0]);
    let norm = pool(0, 1, &[("p", Attr::Int(1))]);
    assert_eq!(numbers("lp_pool", &norm, &[x]), [12.0, 16.0, 24.0, 28.0]);
    let negative = f32s(&[1, 1, 1, 1], &[-3.0]);
    assert_eq!(numbers("max_pool", &pool(1, 1, &[]), &[negative]), [-3.0; 4]);
}

#[test]
fn normalisations_centre_and_scale() {
    let x = f32s(&[1, 2, 2], &[1.0, 3.0, 2.0, 6.0]);
    let epsilon = ("epsilon", Attr::Float(0.0));
    let results = evaluate(
        "layer_norm",
        &[("axis", Attr::Int(2)), epsilon.clone()],
        &[x.clone(), f32s(&[2], &[1.0, 2.0])],
    );
    assert_close(&results[0].to_f64(), &[-1.0, 2.0, -1.0, 2.0]);
    assert_close(&results[1].to_f64(), &[2.0, 4.0]);
    assert_close(&results[2].to_f64(), &[1.0, 0.5]);
    let rms = numbers("rms_norm", &[("axis", Attr::Int(2)), epsilon.clone()], std::slice::from_ref(&x));
    assert_close(&rms, &[1.0 / 5f64.sqrt(), 3.0 / 5f64.sqrt(), 2.0 / 20f64.sqrt(), 6.0 / 20f64.sqrt()]);
    let two = |a: f64, b: f64| f32s(&[2], &[a, b]);
    let batch = [x.clone(), two(1.0, 2.0), two(0.5, 0.0), two(1.0, 2.0), two(4.0, 1.0)];
    assert_close(&numbers("batch_norm", std::slice::from_ref(&epsilon), &batch), &[0.5, 1.5, 0.0, 8.0]);
    let per_channel = [x.clone(), two(1.0, 2.0), two(0.0, 1.0)];
    assert_close(
        &numbers("instance_norm", std::slice::from_ref(&epsilon), &per_channel),
        &[-1.0, 1.0, -1.0, 3.0],
    );
    let groups = [("groups", Attr::Int(1)), epsilon];
    let deviation = 3.5f64.sqrt();
    let want: Vec<f64> = [-2.0, 0.0, -1.0, 3.0]
        .iter()
        .zip([(1.0, 0.0), (1.0, 0.0), (2.0, 1.0), (2.0, 1.0)])
        .map(|(v, (s, b))| v / deviation * s + b)
        .collect();
    assert_close(&numbers("group_norm", &groups, &per_channel), &want);
    let lrn = [
        ("size", Attr::Int(3)),
        ("alpha", Attr::Float(3.0)),
        ("beta", Attr::Float(1.0)),
        ("bias", Attr::Float(1.0)),
    ];
    assert_close(&numbers("lrn", &lrn, &[x]), &[1.0 / 6.0, 3.0 / 46.0, 2.0 / 6.0, 6.0 / 46.0]);
}

#[test]
fn resampling_interpolates() {
    let x = f32s(&[1, 1, 4], &[1.0, 2.0, 3.0, 4.0]);
    let resize = |size: i64, scale: f64, mode: &str, coordinates: &str| {
        let list = [
            ("scales", Attr::Floats(vec![1.0, 1.0, scale])),
            ("sizes", ints(&[1, 1, size])),
            ("mode", text(mode)),
            ("coordinate_mode", text(coordinates)),
        ];
        numbers("resize", &list, std::slice::from_ref(&x))
    };
    assert_eq!(resize(8, 2.0, "nearest", "asymmetric"), [1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0]);
    assert_close(&resize(8, 2.0, "linear", "half_pixel"), &[1.0, 1.25, 1.75, 2.25, 2.75, 3.25, 3.75, 4.0]);
    assert_close(&resize(7, 1.75, "linear", "align_corners"), &[1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0]);
    assert_close(&resize(2, 0.5, "cubic", "half_pixel"), &[1.40625, 3.59375]);
    let image = f32s(&[1, 1, 2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let grid = f32s(&[1, 1, 3, 2], &[0.0, 0.0, 1.0, -1.0, -3.0, 0.0]);
    let sample = |padding: &str| {
        let list =
            [("mode", text("linear")), ("padding_mode", text(padding)), ("align_corners", Attr::Bool(true))];
        numbers("grid_sample", &list, &[image.clone(), grid.clone()])
    };
    assert_close(&sample("zeros"), &[2.5, 2.0, 0.0]);
    assert_close(&sample("border"), &[2.5, 2.0, 2.0]);
    assert_close(&sample("reflection"), &[2.5, 2.0, 3.0]);
}

/// Rotary embedding multiplies each pair, as a complex number, with another one; batch 2, 3 heads,
/// 5 rows.
#[test]
fn rotary_embeddings_multiply_complex_numbers() {
    let (features, rows) = (10, 5);
    let x = Random(3).tensor(DType::F32, &[2, 3, rows, features]);
    for (rotated, interleaved, by_feature) in
        [(10, false, false), (10, true, true), (6, false, true), (6, true, false), (2, false, false)]
    {
        let width = if by_feature { rotated } else { rotated / 2 };
        let angle = |row: i64, pair: i64| 0.3 + 1.7 * row as f64 - 0.9 * pair as f64;
        let table = |f: fn(f64) -> f64| {
            let pair_of = |i: i64| match (by_feature, interleaved) {
                (false, _) => i,
                (true, true) => i / 2,
                (true, false) => i % (rotated / 2),
            };
            let at = (0..rows).flat_map(|row| (0..width).map(move |i| (row, i)));
            let values: Vec<f64> = at.map(|(row, i)| f(angle(row, pair_of(i)))).collect();
            f32s(&[rows, width], &values)
        };
        let attrs = [("rotary_dim", Attr::Int(rotated)), ("interleaved", Attr::Bool(interleaved))];
        let y = numbers("rotary_embedding", &attrs, &[x.clone(), table(f64::cos), table(f64::sin)]);
        let y = f32s(&x.dims, &y);
        let mut want = x.to_f64();
        for (at, row) in want.chunks_mut(features as usize).enumerate() {
            for pair in 0..rotated / 2 {
                let (step, apart) = if interleaved { (2, 1) } else { (1, rotated / 2) };
                let (real, imaginary) = ((pair * step) as usize, (pair * step + apart) as usize);
                let (r, phase) = (row[real].hypot(row[imaginary]), row[imaginary].atan2(row[real]));
                let turned = phase + angle(at as i64 % rows, pair);
                (row[real], row[imaginary]) = (r * turned.cos(), r * turned.sin());
            }
        }
        let error = compare(&y, &f32s(&x.dims, &want));
        assert!(error < 1e-6, "{rotated} {interleaved} {by_feature}: {error}");
    }
}
