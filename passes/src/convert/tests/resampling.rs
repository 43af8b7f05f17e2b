//! Resampling.

use super::harness::*;
use mlcc_ir::attributes::{Attr, Attrs};

fn resize(from: [i64; 4], to: [i64; 4], mode: &str, coordinates: &str) -> Attrs {
    let scales = from.iter().zip(to).map(|(&a, b)| b as f64 / a as f64).collect();
    attrs(&[
        ("scales", Attr::Floats(scales)),
        ("sizes", ints(&to)),
        ("mode", text(mode)),
        ("coordinate_mode", text(coordinates)),
    ])
}

const COORDINATES: [&str; 5] =
    ["half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"];
const FROM: [i64; 4] = [1, 2, 5, 7];
const SIZES: [[i64; 4]; 4] = [[1, 2, 10, 14], [1, 2, 3, 4], [1, 2, 1, 9], [1, 2, 15, 7]];

#[test]
fn a_scale_that_a_run_divides_for_itself() {
    for to in SIZES {
        for coordinates in COORDINATES {
            for mode in ["nearest", "linear", "cubic"] {
                let a = resize(FROM, to, mode, coordinates)
                    .with("scales", Attr::Floats(vec![1.0, 1.0, 0.0, 0.0]));
                assert_agrees_as("resize", &a, &[f32s(&FROM)], &[As::Inputs, As::Symbolic]);
            }
        }
    }
}

#[test]
fn nearest_in_every_rounding() {
    for to in SIZES {
        for coordinates in COORDINATES {
            for rounding in ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"] {
                let a = resize(FROM, to, "nearest", coordinates).with("nearest_mode", text(rounding));
                assert_agrees("resize", &a, &[f32s(&FROM)]);
            }
        }
    }
    for to in SIZES {
        let a = resize(FROM, to, "nearest", "tf_half_pixel_for_nn");
        assert_agrees("resize", &a.with("nearest_mode", text("floor")), &[f32s(&FROM)]);
    }
    let a = resize(FROM, SIZES[0], "nearest", "asymmetric").with("nearest_mode", text("floor"));
    for dtype in FLOATS.into_iter().chain(INTS) {
        assert_agrees("resize", &a, &[any(dtype, &FROM)]);
    }
}

/// The nearest element, by integer arithmetic.
fn nearest(from: i64, to: i64, at: i64, coordinates: &str, rounding: &str) -> i64 {
    let (dividend, divisor) = match coordinates {
        _ if from == to => (at, 1),
        "asymmetric" => (at * from, to),
        "tf_half_pixel_for_nn" => ((2 * at + 1) * from, 2 * to),
        "align_corners" | "pytorch_half_pixel" if to == 1 => (0, 1),
        "align_corners" => (at * (from - 1), to - 1),
        _ => ((2 * at + 1) * from - to, 2 * to),
    };
    let (floor, rest) = (dividend.div_euclid(divisor), dividend.rem_euclid(divisor));
    let up = match rounding {
        "floor" => false,
        "ceil" => rest > 0,
        "round_prefer_ceil" => 2 * rest >= divisor,
        _ => 2 * rest > divisor,
    };
    (floor + i64::from(up)).clamp(0, from - 1)
}

#[test]
fn the_nearest_element_is_exact_for_every_pair_of_sizes() {
    let sizes = [1, 2, 3, 5, 7, 17, 20, 44, 49, 50, 94];
    for (from, to) in sizes.iter().flat_map(|&from| sizes.map(|to| (from, to))) {
        for coordinates in COORDINATES.into_iter().chain(["tf_half_pixel_for_nn"]) {
            for rounding in ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"] {
                let a = attrs(&[
                    ("scales", Attr::Floats(vec![if from == to { 1.0 } else { 0.0 }])),
                    ("sizes", ints(&[to])),
                    ("mode", text("nearest")),
                    ("coordinate_mode", text(coordinates)),
                    ("nearest_mode", text(rounding)),
                ]);
                let x = i64s(&[from], &(0..from).collect::<Vec<_>>());
                let want: Vec<i64> = (0..to).map(|i| nearest(from, to, i, coordinates, rounding)).collect();
                for how in [As::Inputs, As::Symbolic] {
                    let (g, inputs) = single("resize", &a, &[Some(x.clone())], how);
                    let case = format!("{from} to {to}, {coordinates}, {rounding}");
                    assert_eq!(interpreted(&g, &inputs), want, "{case}, graph");
                    let program = assert_graph_agrees(&g, &inputs);
                    assert_eq!(
                        mlcc_interpreter::program::run(&program, &inputs).unwrap()[0].to_i64(),
                        want,
                        "{case}"
                    );
                }
            }
        }
    }
}

/// The first output of the graph level's interpreter.
fn interpreted(g: &mlcc_ir::graph::Graph, inputs: &[mlcc_ir::tensor::Tensor]) -> Vec<i64> {
    mlcc_interpreter::graph::run(g, inputs).unwrap()[0].to_i64()
}

#[test]
fn a_ratio_that_is_not_that_of_the_sizes() {
    // As if an aspect ratio is kept: 5x8 becomes 8x12 by 3/2, or 7x11 by 11/8.
    for (to, ratio) in [([1, 2, 8, 12], [3, 2]), ([1, 2, 7, 11], [11, 8]), ([1, 2, 2, 3], [3, 8])] {
        for coordinates in COORDINATES {
            for mode in ["nearest", "linear", "cubic"] {
                let a = resize([1, 2, 5, 8], to, mode, coordinates)
                    .with("scales", Attr::Floats(vec![1.0, 1.0, 0.0, 0.0]))
                    .with("ratio", ints(&ratio));
                assert_agrees("resize", &a, &[f32s(&[1, 2, 5, 8])]);
            }
        }
    }
}

#[test]
fn linear_and_cubic() {
    for mode in ["linear", "cubic"] {
        for to in SIZES {
            for coordinates in COORDINATES {
                let a = resize(FROM, to, mode, coordinates);
                assert_agrees_as("resize", &a, &[f32s(&FROM)], &[As::Inputs]);
                assert_agrees("resize", &a.with("exclude_outside", Attr::Bool(true)), &[f32s(&FROM)]);
            }
            for exclude in [false, true] {
                let a = resize(FROM, to, mode, "half_pixel")
                    .with("antialias", Attr::Bool(true))
                    .with("exclude_outside", Attr::Bool(exclude));
                assert_agrees("resize", &a, &[f32s(&FROM)]);
            }
        }
        let crop = resize(FROM, SIZES[0], mode, "tf_crop_and_resize")
            .with("roi", Attr::Floats(vec![0.0, 0.0, 0.3, -0.1, 1.0, 1.0, 0.8, 1.2]))
            .with("extrapolation_value", Attr::Float(2.5));
        assert_agrees("resize", &crop, &[f32s(&FROM)]);
        for dtype in FLOATS {
            assert_agrees("resize", &resize(FROM, SIZES[0], mode, "half_pixel"), &[any(dtype, &FROM)]);
        }
    }
}

#[test]
fn grid_samples() {
    for mode in ["linear", "nearest", "cubic"] {
        for padding in ["zeros", "border", "reflection"] {
            for align in [false, true] {
                let a = attrs(&[
                    ("mode", text(mode)),
                    ("padding_mode", text(padding)),
                    ("align_corners", Attr::Bool(align)),
                ]);
                let grid = between(F32, &[2, 3, 4, 2], -1.9, 1.9);
                assert_agrees_as("grid_sample", &a, &[f32s(&[2, 3, 5, 6]), grid], &ALL_ROLES);
                if mode != "cubic" {
                    let grid = between(F32, &[1, 2, 3, 2, 3], -1.5, 1.5);
                    assert_agrees("grid_sample", &a, &[f32s(&[1, 2, 3, 4, 5]), grid]);
                }
            }
        }
    }
}
