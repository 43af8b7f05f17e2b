//! Bound nests against kernels, both interpreted; sizes are odd on purpose.

use super::schedule;
use crate::samples::{self, Sample, exprs, read};
use mlcc_interpreter::{Symbols, compare};
use mlcc_ir::{
    diagnostic::Fault,
    dtype::DType,
    kernel::{Combine, Kernel, Role},
    nest::LoopNest,
    scalar::{BinaryOp, Constant, Inst},
    tensor::{Element, Tensor, element_count, push_element},
};
use mlcc_passes::schedule::Decision;

/// Random operands: floats in -1..1, integers in 0..5.
fn operands(kernel: &Kernel, symbols: &Symbols) -> Vec<Tensor> {
    let mut state = 11u64;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / f64::from(1u32 << 24)
    };
    let given = kernel.with_role(Role::Input).chain(kernel.with_role(Role::InOut));
    given
        .map(|t| {
            let ty = &kernel.tensors[t].ty;
            let dims: Vec<i64> =
                ty.dims.iter().map(|d| mlcc_interpreter::evaluate_expr(d, symbols).unwrap()).collect();
            let mut data = Vec::new();
            for _ in 0..element_count(&dims).unwrap() {
                let value = if ty.dtype.is_float() { next() * 2.0 - 1.0 } else { (next() * 5.0).floor() };
                push_element(ty.dtype, &mut data, Element::Float(value));
            }
            Tensor::new(ty.dtype, dims, data.into()).unwrap()
        })
        .collect()
}

/// Schedules the kernel, runs the nest in two orders and compares; the decision.
fn check(kernel: &Kernel, sizes: &[(&str, i64)]) -> String {
    check_nest(kernel, sizes, schedule(kernel).unwrap())
}

fn check_nest(kernel: &Kernel, sizes: &[(&str, i64)], (decision, nest): (Decision, LoopNest)) -> String {
    let symbols: Symbols = sizes.iter().map(|(n, v)| ((*n).into(), *v)).collect();
    let inputs = operands(kernel, &symbols);
    let want = mlcc_interpreter::kernel::run(kernel, &symbols, &inputs).unwrap();
    mlcc_ir::contract::Contract::check(&nest, "schedule").unwrap();
    for seed in [1, 7] {
        let got = mlcc_interpreter::nest::run(&nest, &symbols, &inputs, seed).unwrap();
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(&want) {
            let error = compare(got, want);
            assert!(error <= 1e-6, "{}: {error:e} with {decision}", kernel.name);
        }
    }
    decision.to_string()
}

#[test]
fn elementwise_points_are_flattened_and_guarded() {
    assert_eq!(check(&samples::elementwise(["3", "5", "37"]), &[]), "points threads=256 elements=1");
    check(&samples::elementwise(["n", "c", "w"]), &[("n", 2), ("c", 3), ("w", 101)]);
    check(&samples::elementwise(["n", "4", "8"]), &[("n", 8)]);
}

#[test]
fn large_tensors_get_several_elements_a_thread() {
    let (decision, nest) = schedule(&samples::elementwise(["1", "1024", "1024"])).unwrap();
    assert_eq!(decision.to_string(), "points threads=256 elements=4");
    assert_eq!(crate::launch::Launch::of(&nest).unwrap().grid[0].as_const(), Some(1024));
}

#[test]
fn softmax_is_a_row_a_block() {
    assert_eq!(check(&samples::softmax("3", "1000"), &[]), "rows threads=256");
    assert_eq!(check(&samples::softmax("5", "67"), &[]), "rows threads=128");
    // Too long to stay in shared memory, or of unknown length: exponentials are computed twice.
    assert_eq!(check(&samples::softmax("2", "10501"), &[]), "rows threads=256");
    assert_eq!(check(&samples::softmax("r", "n"), &[("r", 3), ("n", 301)]), "rows threads=256");
    let (_, nest) = schedule(&samples::softmax("r", "n")).unwrap();
    assert!(nest.buffers.iter().all(|b| *b.name != *"exp"));
}

#[test]
fn layer_norm_keeps_moments_in_registers() {
    assert_eq!(check(&samples::layer_norm("4", "129"), &[]), "rows threads=256");
    check(&samples::layer_norm("n", "768"), &[("n", 3)]);
    check(&samples::layer_norm("n", "w"), &[("n", 2), ("w", 77)]);
}

#[test]
fn reductions_go_where_neighbours_are_read_together() {
    let sum = |axes: &str, dims: &str, combine| {
        let mut s = Sample::new("reduce");
        let x = s.tensor("x", Role::Input, "7;300");
        let y = s.tensor("y", Role::Output, dims);
        s.compute(("reduce", axes), (y, "%k"), Some(combine), |b| {
            read(b, x, if dims == "7" { "%k;%r" } else { "%r;%k" })
        });
        s.kernel
    };
    assert_eq!(check(&sum("k=7;+r=300", "7", Combine::Add), &[]), "rows threads=256");
    assert_eq!(check(&sum("k=7;+r=300", "7", Combine::Min), &[]), "rows threads=256");
    assert_eq!(check(&sum("k=300;+r=7", "300", Combine::Max), &[]), "points threads=256 elements=1");
}

#[test]
fn matmul_is_tiled_with_remainders() {
    let small = "matmul tile=64x64x16 thread=4x4 threads=256";
    assert_eq!(check(&samples::matmul(["1", "65", "71", "33"]), &[]), small);
    assert_eq!(check(&samples::matmul(["3", "17", "66", "20"]), &[]), small);
    let sizes = [("b", 2), ("m", 70), ("n", 19), ("k", 21)];
    assert_eq!(check(&samples::matmul(["b", "m", "n", "k"]), &sizes), small);
    assert_eq!(check(&samples::matmul(["1", "64", "64", "32"]), &[]), small);
}

#[test]
fn large_products_get_large_tiles() {
    let (decision, _) = schedule(&samples::matmul(["1", "1024", "1024", "1024"])).unwrap();
    assert_eq!(decision.to_string(), "matmul tile=128x128x16 thread=8x8 threads=256");
    given(&samples::matmul(["1", "131", "30", "17"]), "matmul tile=128x128x16 thread=8x8 threads=256");
}

/// Takes a decision, runs the nest and compares.
fn given(kernel: &Kernel, decision: &str) {
    let decision: Decision = decision.parse().unwrap();
    check_nest(kernel, &[], super::replay(kernel, &decision).unwrap());
}

#[test]
fn other_mappings_and_numbers_are_taken() {
    let points = samples::elementwise(["3", "5", "37"]);
    for decision in [
        "points threads=32 elements=3",
        "points threads=1024 elements=1",
        "plain threads=64",
        "rows threads=128",
    ] {
        given(&points, decision);
    }
    let softmax = samples::softmax("5", "203");
    for decision in ["rows threads=32", "rows threads=512"] {
        given(&softmax, decision);
    }
    given(&samples::matmul(["2", "20", "33", "17"]), "points threads=128 elements=1");
    let (chosen, _) = super::replay(&points, &"points threads=64".parse().unwrap()).unwrap();
    assert_eq!(chosen.to_string(), "points threads=64 elements=1");
    // Every kernel takes its own decision again.
    for kernel in [points, softmax, samples::matmul(["1", "65", "71", "33"])] {
        let own = schedule(&kernel).unwrap();
        assert_eq!(super::replay(&kernel, &own.0).unwrap(), own);
    }
}

#[test]
fn what_no_gpu_can_do_is_refused() {
    let refused = |kernel: &Kernel, decision: &str, why: &str| {
        let error = super::replay(kernel, &decision.parse().unwrap()).unwrap_err();
        assert!(error.fault == Fault::User && error.to_string().contains(why), "{decision}: {error}");
    };
    let points = samples::elementwise(["3", "5", "37"]);
    refused(&points, "points threads=48 elements=1", "threads=48 is not possible");
    refused(&points, "points threads=2048 elements=1", "threads=2048 is not possible");
    refused(&points, "points threads=64 elements=0", "elements=0 is not possible");
    refused(&points, "points threads=64 rows=1", "GPUs have no number 'rows'");
    refused(&points, "matmul tile=64x64x16 thread=4x4 threads=256", "no such mapping");
    refused(&points, "packed", "no variant of GPUs");
    refused(&points, "points threads=64 elements=1: parallel(a)", "not from steps");
    let product = samples::matmul(["1", "65", "71", "33"]);
    refused(&product, "matmul tile=128x128x16 thread=4x4 threads=256", "do not fit");
    refused(&product, "matmul tile=96x96x16 thread=6x6 threads=256", "tile=96x96x16 is not possible");
    refused(&product, "matmul tile=64x64x16 thread=4x4 threads=128", "do not fit");
}

#[test]
fn a_product_of_few_rows_is_no_tile() {
    assert_eq!(check(&samples::matmul(["1", "3", "71", "100"]), &[]), "points threads=256 elements=1");
}

/// A convolution: windows with padding, bias and activation.
fn convolution() -> Kernel {
    let mut s = Sample::new("conv_relu");
    let x = s.tensor("x", Role::Input, "2;3;9;11");
    let w = s.tensor("w", Role::Input, "18;3;3;3");
    let acc = s.tensor("acc", Role::Temporary, "2;18;9;11");
    let y = s.tensor("y", Role::Output, "2;18;9;11");
    let axes = "n=2;o=18;h=9;w=11;+c=3;+i=3;+j=3";
    s.compute(("conv", axes), (acc, "%n;%o;%h;%w"), Some(Combine::Add), |b| {
        let outside = Some(Constant::float(DType::F32, 0.0));
        let index = exprs("%n;%c;%h + %i - 1;%w + %j - 1");
        let v = b.push(Inst::Read { tensor: x, index, outside }, DType::F32);
        let f = read(b, w, "%o;%c;%i;%j");
        b.binary(BinaryOp::Mul, v, f)
    });
    s.compute(("relu", "a=2;b=18;c=9;d=11"), (y, "%a;%b;%c;%d"), None, |b| {
        let v = read(b, acc, "%a;%b;%c;%d");
        let zero = b.constant(Constant::float(DType::F32, 0.0));
        b.binary(BinaryOp::Max, v, zero)
    });
    s.kernel
}

#[test]
fn a_convolution_is_a_product_of_windows() {
    assert_eq!(check(&convolution(), &[]), "matmul tile=64x64x16 thread=4x4 threads=256");
}

/// A strided convolution of groups with channels last and bias, as fusion and layouts make it from RegNet's.
fn grouped_convolution([groups, filters, channels]: [&str; 3], [height, width]: [&str; 2]) -> Kernel {
    let mut s = Sample::new("grouped_conv");
    let all = format!("({groups}) * ({filters})");
    let x = s.tensor("x", Role::Input, &format!("2;9;11;({groups}) * ({channels})"));
    let w = s.tensor("w", Role::Input, &format!("{all};{channels};3;3"));
    let bias = s.tensor("bias", Role::Input, &all);
    let acc = s.tensor("acc", Role::Temporary, &format!("2;{all};{height};{width}"));
    let y = s.tensor("y", Role::Output, &format!("2;{height};{width};{all}"));
    let points = format!("n=2;h={height};w={width};g={groups};m={filters}");
    let filter = format!("%g * ({filters}) + %m");
    let axes = format!("{points};+i=3;+j=3;+c={channels}");
    s.compute(("conv", &axes), (acc, &format!("%n;{filter};%h;%w")), Some(Combine::Add), |b| {
        let outside = Some(Constant::float(DType::F32, 0.0));
        let index = exprs(&format!("%n;%h * 2 + %i - 1;%w * 2 + %j - 1;%c + %g * ({channels})"));
        let v = b.push(Inst::Read { tensor: x, index, outside }, DType::F32);
        let f = read(b, w, &format!("{filter};%c;%i;%j"));
        b.binary(BinaryOp::Mul, v, f)
    });
    s.compute(("bias", &points), (y, &format!("%n;%h;%w;{filter}")), None, |b| {
        let v = read(b, acc, &format!("%n;{filter};%h;%w"));
        let bias = read(b, bias, &filter);
        b.binary(BinaryOp::Add, v, bias)
    });
    s.kernel
}

#[test]
fn a_grouped_convolution_has_a_point_for_each_filter() {
    let points = "points threads=256 elements=1";
    assert_eq!(check(&grouped_convolution(["3", "5", "7"], ["5", "6"]), &[]), points);
    assert_eq!(check(&grouped_convolution(["13", "1", "2"], ["5", "6"]), &[]), points);
    let sizes = [("g", 3), ("m", 5), ("c", 2), ("h", 5), ("w", 6)];
    assert_eq!(check(&grouped_convolution(["g", "5", "c"], ["h", "w"]), &sizes), points);
    assert_eq!(check(&grouped_convolution(["g", "m", "c"], ["h", "w"]), &sizes), points);
}

#[test]
fn threads_keep_what_their_stages_exchange() {
    assert_eq!(check(&samples::patches("23", "13", false), &[]), "plain threads=256");
    assert_eq!(check(&samples::patches("l", "c", false), &[("l", 7), ("c", 41)]), "plain threads=256");
    let (_, nest) = schedule(&samples::patches("23", "13", false)).unwrap();
    assert_eq!(crate::launch::Launch::of(&nest).unwrap().grid[0].as_const(), Some(2));
    // Too few points for a block, so the threads of a block share the whole.
    assert_eq!(check(&samples::patches("5", "3", false), &[]), "rows threads=64");
}

#[test]
fn a_sum_of_a_row_beside_other_values_leaves_them_alone() {
    assert_eq!(check(&samples::patches("5", "3", true), &[]), "rows threads=32");
    assert_eq!(check(&samples::patches("l", "3", true), &[("l", 3)]), "rows threads=32");
}

#[test]
fn what_is_independent_along_few_axes_only_is_a_thread_for_each_of_their_points() {
    // A running sum along one axis, of rows that a second stage reads backwards.
    let kernel = |rows: &str| {
        let mut s = Sample::new("scan");
        let x = s.tensor("x", Role::Input, &format!("7;{rows}"));
        let sums = s.tensor("sums", Role::Temporary, &format!("7;{rows}"));
        let y = s.tensor("y", Role::Output, &format!("{rows};7"));
        s.compute(("sums", &format!("i=7;r={rows};+k=7")), (sums, "%i;%r"), Some(Combine::Add), |b| {
            let outside = Some(Constant::float(DType::F32, 0.0));
            b.push(Inst::Read { tensor: x, index: exprs("%i - %k;%r"), outside }, DType::F32)
        });
        s.compute(("back", &format!("p={rows};i=7")), (y, "%p;%i"), None, |b| {
            let (v, first) = (read(b, sums, "6 - %i;%p"), read(b, sums, "0;%p"));
            b.binary(BinaryOp::Sub, v, first)
        });
        s.kernel
    };
    assert_eq!(check(&kernel("301"), &[]), "plain threads=256");
    assert_eq!(check(&kernel("n"), &[("n", 300)]), "plain threads=256");
}

#[test]
fn depthwise_windows_are_points() {
    let mut s = Sample::new("pool");
    let x = s.tensor("x", Role::Input, "2;5;9;9");
    let y = s.tensor("y", Role::Output, "2;5;4;4");
    s.compute(("pool", "n=2;c=5;h=4;w=4;+i=3;+j=3"), (y, "%n;%c;%h;%w"), Some(Combine::Max), |b| {
        read(b, x, "%n;%c;%h * 2 + %i;%w * 2 + %j")
    });
    assert_eq!(check(&s.kernel, &[]), "points threads=256 elements=1");
}

#[test]
fn parts_of_a_concatenation_share_the_grid() {
    let mut s = Sample::new("concat");
    let a = s.tensor("a", Role::Input, "5;n");
    let b2 = s.tensor("b", Role::Input, "5;m");
    let y = s.tensor("y", Role::Output, "5;n + m");
    s.compute(("a", "i=5;j=n"), (y, "%i;%j"), None, |b| read(b, a, "%i;%j"));
    s.compute(("b", "i=5;j=m"), (y, "%i;%j + n"), None, |b| read(b, b2, "%i;%j"));
    assert_eq!(check(&s.kernel, &[("n", 70), ("m", 33)]), "points threads=256 elements=1");
}

#[test]
fn a_scatter_runs_in_one_block() {
    let mut s = Sample::new("scatter");
    let data = s.tensor("data", Role::Input, "5;13");
    let indices = s.typed("indices", Role::Input, "4;13", DType::I64);
    let updates = s.tensor("updates", Role::Input, "4;13");
    let y = s.tensor("y", Role::Output, "5;13");
    s.compute(("copy", "i=5;j=13"), (y, "%i;%j"), None, |b| read(b, data, "%i;%j"));
    s.compute(("scatter", ">i=4;j=13"), (y, "$0;%j"), None, |b| {
        b.read(indices, exprs("%i;%j"), DType::I64);
        read(b, updates, "%i;%j")
    });
    assert_eq!(check(&s.kernel, &[]), "rows threads=128");
}

#[test]
fn attention_scores_stay_in_shared_memory() {
    let mut s = Sample::new("attention");
    let q = s.tensor("q", Role::Input, "6;8");
    let k = s.tensor("k", Role::Input, "70;8");
    let v = s.tensor("v", Role::Input, "70;9");
    let scores = s.tensor("scores", Role::Temporary, "6;70");
    let max = s.tensor("max", Role::Temporary, "6");
    let exp = s.tensor("exp", Role::Temporary, "6;70");
    let sum = s.tensor("sum", Role::Temporary, "6");
    let y = s.tensor("y", Role::Output, "6;9");
    s.compute(("scores", "i=6;j=70;+d=8"), (scores, "%i;%j"), Some(Combine::Add), |b| {
        let (a, c) = (read(b, q, "%i;%d"), read(b, k, "%j;%d"));
        b.binary(BinaryOp::Mul, a, c)
    });
    s.compute(("max", "row=6;+col=70"), (max, "%row"), Some(Combine::Max), |b| read(b, scores, "%row;%col"));
    s.compute(("exp", "p=6;q=70"), (exp, "%p;%q"), None, |b| {
        let (a, c) = (read(b, scores, "%p;%q"), read(b, max, "%p"));
        let d = b.binary(BinaryOp::Sub, a, c);
        b.unary(mlcc_ir::scalar::UnaryOp::Exp, d)
    });
    s.compute(("sum", "row=6;+col=70"), (sum, "%row"), Some(Combine::Add), |b| read(b, exp, "%row;%col"));
    s.compute(("y", "i=6;e=9;+j=70"), (y, "%i;%e"), Some(Combine::Add), |b| {
        let (a, c) = (read(b, exp, "%i;%j"), read(b, v, "%j;%e"));
        let (p, total) = (b.binary(BinaryOp::Mul, a, c), read(b, sum, "%i"));
        b.binary(BinaryOp::Div, p, total)
    });
    let decision = check(&s.kernel, &[]);
    assert_eq!(decision, "rows threads=128");
    let (_, nest) = schedule(&s.kernel).unwrap();
    assert_eq!(crate::launch::Launch::of(&nest).unwrap().grid[0].as_const(), Some(6));
}

#[test]
fn an_unordered_combining_scatter_is_refused() {
    let mut s = Sample::new("scatter_add");
    let indices = s.typed("indices", Role::Input, "9", DType::I64);
    let y = s.tensor("y", Role::InOut, "5");
    s.compute(("scatter", "i=9"), (y, "$0"), Some(Combine::Add), |b| {
        b.read(indices, exprs("%i"), DType::I64);
        b.constant(Constant::float(DType::F32, 1.0))
    });
    let error = schedule(&s.kernel).unwrap_err();
    assert_eq!(error.message, "compute 'scatter' of kernel 'scatter_add' combines values of several points");
}
