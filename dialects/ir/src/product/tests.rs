//! Kernels spelled out, and the facts that the view states of each.

use super::{Product, Side, Step};
use crate::{
    dtype::DType,
    expr::Expr,
    kernel::{Axis, AxisKind, Combine, Compute},
    scalar::{BinaryOp, Body, Constant, Inst, UnaryOp, ValueId},
};

/// A compute that sums `body` over its lower-case axes after `|`: `compute("m n | k", ..)`. Each has 8 points.
fn compute(axes: &str, write: &str, body: Body) -> Compute {
    let (parallel, reduced) = axes.split_once('|').unwrap_or((axes, ""));
    let of = |names: &str, kind: AxisKind| -> Vec<Axis> {
        let axis = |name: &str| Axis { name: name.into(), extent: Expr::from(8), kind };
        names.split_whitespace().map(axis).collect()
    };
    let axes = [of(parallel, AxisKind::Parallel), of(reduced, AxisKind::Reduction)].concat();
    let combine = axes.iter().any(|a| a.kind == AxisKind::Reduction).then_some(Combine::Add);
    Compute { name: "c".into(), axes, target: 9, write: index(write), body, combine }
}

/// The index that a text like `"m, 2 * h + k - 1"` spells.
fn index(text: &str) -> Vec<Expr> {
    let named = |e: Expr| {
        e.substitute(&|atom| match atom {
            crate::expr::Atom::Symbol(name) => Some(Expr::axis(name)),
            _ => None,
        })
    };
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| named(part.parse().expect("an expression"))).collect()
}

fn read(body: &mut Body, tensor: usize, at: &str, dtype: DType) -> ValueId {
    body.read(tensor, index(at), dtype)
}

/// The product of the elements at these indices of tensors 0 and 1.
fn bare(a: &str, b: &str) -> Body {
    let mut body = Body::default();
    let (a, b) = (read(&mut body, 0, a, DType::F32), read(&mut body, 1, b, DType::F32));
    body.binary(BinaryOp::Mul, a, b);
    body
}

fn names<'a>(axes: impl Iterator<Item = &'a Axis>) -> String {
    axes.map(|a| a.name.to_string()).collect::<Vec<_>>().join(" ")
}

/// Batch, axes of each factor alone, and the axes that are summed in both.
fn classes(p: &Product<'_>) -> [String; 4] {
    [names(p.batch()), names(p.free(0)), names(p.free(1)), names(p.k())]
}

#[test]
fn matrices_in_any_order_of_dimensions_have_rows_columns_and_terms() {
    for (a, b) in [("m, k", "k, n"), ("k, m", "k, n"), ("m, k", "n, k")] {
        let c = compute("m n | k", "m, n", bare(a, b));
        let p = c.product().expect("a product");
        assert_eq!(classes(&p), ["", "m", "n", "k"]);
        assert_eq!(p.bare().map(|e| e.map(|e| e.tensor)), Some([0, 1]));
        assert!(p.is_sum() && p.is_direct() && !p.is_square());
        assert_eq!(p.dtype(), Some(DType::F32));
        assert_eq!((p.accumulator(), p.at, p.only("n"), p.only("k")), (DType::F32, 2, Some(1), None));
        assert_eq!(p.write, index("m, n"));
    }
}

#[test]
fn axes_of_both_factors_are_batches_and_those_of_none_are_told() {
    let c = compute("b h m n | k", "b, h, m, n", bare("b, h, m, k", "b, h, k, n"));
    assert_eq!(classes(&c.product().expect("a product")), ["b h", "m", "n", "k"]);
    let c = compute("e m n | k", "e, m, n", bare("m, k", "k, n"));
    assert_eq!(c.product().expect("a product").side("e"), Side::Neither);
}

#[test]
fn a_convolution_has_windows_with_stride_dilation_and_padding() {
    let mut body = Body::default();
    let outside = Some(Constant::float(DType::F32, 0.0));
    let at = index("n, c, 2 * h + r - 1, w + 3 * s - 2");
    let x = body.push(Inst::Read { tensor: 0, index: at, outside }, DType::F32);
    let w = read(&mut body, 1, "f, c, r, s", DType::F32);
    body.binary(BinaryOp::Mul, x, w);
    let c = compute("n f h w | c r s", "n, f, h, w", body);
    let p = c.product().expect("a product");
    assert_eq!(classes(&p), ["", "n h w", "f", "c r s"]);
    let of = |w: super::Window<'_>| {
        (w.dim, w.output.name.clone(), w.tap.name.clone(), w.stride, w.dilation, w.before())
    };
    let found: Vec<_> = p.windows(0).map(of).collect();
    assert_eq!(
        found,
        [(2, "h".into(), "r".into(), 2, 1, Some(1)), (3, "w".into(), "s".into(), 1, 3, Some(2))]
    );
    assert_eq!(p.windows(1).count(), 0);
    let [x, w] = p.bare().expect("two reads");
    assert!(x.outside.is_some() && x.is_padded_with_zero() && w.outside.is_none());
    assert!(p.is_zero_outside(0));
}

#[test]
fn groups_are_batches_and_a_depthwise_convolution_has_no_columns() {
    let grouped = compute("n g f h | c r", "n, 8 * g + f, h", bare("n, 8 * g + c, h + r", "g, f, c, r"));
    let p = grouped.product().expect("a product");
    assert_eq!(classes(&p), ["g", "n h", "f", "c r"]);
    // A group's channels are windows that do not overlap.
    let apart: Vec<_> = p.windows(0).map(|w| (names([w.output, w.tap].into_iter()), w.is_apart())).collect();
    assert_eq!(apart, [("g c".to_owned(), Some(true)), ("h r".to_owned(), Some(false))]);
    let depthwise = compute("n c h w | r s", "n, c, h, w", bare("n, c, h + r, w + s", "c, r, s"));
    assert_eq!(classes(&depthwise.product().expect("a product")), ["c", "n h w", "", "r s"]);
}

#[test]
fn factors_of_half_the_accumulators_size_are_cast() {
    for half in [DType::F16, DType::BF16] {
        let mut body = Body::default();
        let (x, w) = (read(&mut body, 0, "m, k", half), read(&mut body, 1, "k, n", half));
        let (x, w) = (body.cast(x, DType::F32), body.cast(w, DType::F32));
        body.binary(BinaryOp::Mul, x, w);
        let c = compute("m n | k", "m, n", body);
        let p = c.product().expect("a product");
        assert_eq!((p.accumulator(), p.dtype()), (DType::F32, None));
        assert!(p.factors.iter().all(|f| f.steps == [Step::Cast(DType::F32)] && f.is_read_or_cast()));
        assert!(p.elements().is_none() && p.bare().is_none() && p.is_direct());
    }
}

/// `(i32(x) - zero) * (i32(w) - zero)`, `x` of `u8` and padded with that value, `w` of `i8`.
fn quantised(outside: i64) -> Body {
    let mut body = Body::default();
    let outside = Some(Constant::int(DType::U8, outside));
    let x = body.push(Inst::Read { tensor: 0, index: index("h + r - 1, k"), outside }, DType::U8);
    let zero = body.constant(Constant::int(DType::U8, 128));
    let (x, zero) = (body.cast(x, DType::I32), body.cast(zero, DType::I32));
    let x = body.binary(BinaryOp::Sub, x, zero);
    let w = read(&mut body, 1, "k, r, n", DType::I8);
    let points = read(&mut body, 2, "n", DType::I8);
    let (w, points) = (body.cast(w, DType::I32), body.cast(points, DType::I32));
    let w = body.binary(BinaryOp::Sub, w, points);
    body.binary(BinaryOp::Mul, x, w);
    body
}

#[test]
fn quantised_factors_have_zero_points_at_which_padding_vanishes() {
    for (outside, vanishes) in [(128, true), (0, false)] {
        let c = compute("h n | k r", "h, n", quantised(outside));
        let p = c.product().expect("a product");
        assert_eq!(classes(&p), ["", "h", "n", "k r"]);
        assert_eq!(p.accumulator(), DType::I32);
        let [x, w] = &p.factors;
        assert_eq!([x, w].map(|f| f.element.map(|e| (e.tensor, e.at))), [Some((0, 0)), Some((1, 5))]);
        assert_eq!(
            [&x.steps, &w.steps],
            [&[Step::Cast(DType::I32), Step::Minus(3)], &[Step::Cast(DType::I32), Step::Minus(8)]]
        );
        assert_eq!((x.quantisation(), w.quantisation()), ((Some(3), None), (Some(8), None)));
        assert_eq!((p.is_zero_outside(0), p.is_zero_outside(1)), (vanishes, true));
        assert!(!x.is_read_or_cast());
    }
}

#[test]
fn dequantised_weights_are_an_element_with_zero_point_and_scale() {
    // Scales of a column, and of a block of terms in a column.
    for scales in [index("n"), [vec![Expr::axis("k").floor_div(&4.into())], index("n")].concat()] {
        let mut body = Body::default();
        let x = read(&mut body, 0, "m, k", DType::F32);
        let q = read(&mut body, 1, "k, n", DType::I8);
        let q = body.cast(q, DType::F32);
        let zero = body.read(2, scales.clone(), DType::F32);
        let q = body.binary(BinaryOp::Sub, q, zero);
        let scale = body.read(3, scales, DType::F32);
        let w = body.binary(BinaryOp::Mul, scale, q);
        body.binary(BinaryOp::Mul, x, w);
        let c = compute("m n | k", "m, n", body);
        let p = c.product().expect("a product");
        assert_eq!(classes(&p), ["", "m", "n", "k"]);
        let w = &p.factors[1];
        assert_eq!(w.element.map(|e| e.tensor), Some(1));
        assert_eq!(w.steps, [Step::Cast(DType::F32), Step::Minus(3), Step::Times(5)]);
        assert_eq!(w.quantisation(), (Some(3), Some(5)));
    }
}

#[test]
fn scales_and_conditions_behind_the_multiplication_are_no_factors() {
    let mut body = bare("m, k", "k, n");
    let scale = read(&mut body, 2, "n", DType::F32);
    let scaled = body.binary(BinaryOp::Mul, 2, scale);
    let zero = body.constant(Constant::float(DType::F32, 0.0));
    let nothing = body.unary(UnaryOp::IsNan, scaled);
    body.select(nothing, zero, scaled);
    let c = compute("m n | k", "m, n", body);
    let p = c.product().expect("a product");
    assert_eq!((p.at, p.is_direct()), (2, false));
    assert_eq!(p.behind, Some(vec![Step::Times(scale), Step::ZeroWhere(nothing)]));
    assert_eq!(p.elements().map(|e| e.map(|e| e.tensor)), Some([0, 1]));
    assert!(p.bare().is_none());
}

#[test]
fn a_value_times_itself_is_a_square() {
    let mut body = Body::default();
    let x = read(&mut body, 0, "m, k", DType::F32);
    body.binary(BinaryOp::Mul, x, x);
    let c = compute("m | k", "m", body);
    let p = c.product().expect("a product");
    assert!(p.is_square() && p.bare().is_none());
    assert_eq!(classes(&p), ["m", "", "", "k"]);
    // Read twice, less the row's mean each time.
    let mut body = Body::default();
    let mean = read(&mut body, 1, "m", DType::F32);
    let [a, b] = [(); 2].map(|()| {
        let x = read(&mut body, 0, "m, k", DType::F32);
        body.binary(BinaryOp::Sub, x, mean)
    });
    body.binary(BinaryOp::Mul, a, b);
    let c = compute("m | k", "m", body);
    let p = c.product().expect("a product");
    assert!(p.is_square() && p.factors.iter().all(|f| f.steps == [Step::Minus(mean)]));
}

#[test]
fn a_factor_may_serve_all_points_of_an_axis() {
    let c = compute("m n | k", "m, n", bare("k", "k, n"));
    let p = c.product().expect("a product");
    assert_eq!(classes(&p), ["", "", "n", "k"]);
    assert_eq!(p.side("m"), Side::Neither);
    // Without a sum: elements times a factor of their row.
    let c = compute("m n", "m, n", bare("m, n", "m"));
    let p = c.product().expect("a product");
    assert_eq!((p.combine, classes(&p)), (None, ["m".into(), "n".into(), String::new(), String::new()]));
}

#[test]
fn a_factor_of_several_elements_is_computed() {
    let mut body = Body::default();
    let (x, y) = (read(&mut body, 0, "m, k", DType::F32), read(&mut body, 1, "m, k", DType::F32));
    let sum = body.binary(BinaryOp::Add, x, y);
    let w = read(&mut body, 2, "k, n", DType::F32);
    body.binary(BinaryOp::Mul, sum, w);
    let c = compute("m n | k", "m, n", body);
    let p = c.product().expect("a product");
    assert_eq!(classes(&p), ["", "m", "n", "k"]);
    assert!(p.factors[0].element.is_none() && !p.factors[0].is_read_or_cast() && !p.is_zero_outside(0));
    assert_eq!(p.body.of_value(p.factors[0].value).insts.len(), 3);
}

#[test]
fn what_is_no_product_has_multiplications_all_the_same() {
    let mut body = bare("m, k", "k, n");
    body.unary(UnaryOp::Exp, 2);
    let c = compute("m n | k", "m, n", body);
    assert!(c.product().is_none());
    let all: Vec<_> = c.products().map(|p| (p.at, p.behind.clone())).collect();
    assert_eq!(all, [(2, None)]);
    // A mean is no product: its factor is a constant.
    let mut body = Body::default();
    let x = read(&mut body, 0, "m, k", DType::F32);
    let part = body.constant(Constant::float(DType::F32, 0.125));
    body.binary(BinaryOp::Mul, x, part);
    assert!(compute("m | k", "m", body).product().is_none());
}

#[test]
fn stores_of_a_nest_after_splits_are_seen_alike() {
    let axes = compute("m.o n.o m.i n.i | k", "", Body::default()).axes;
    let body = bare("4 * m.o + m.i, k", "k, 8 * n.o + n.i");
    let write = index("m.i, n.i");
    let p = Product::of(axes, &body, &write, Some(Combine::Add)).expect("a product");
    assert_eq!(classes(&p), ["", "m.o m.i", "n.o n.i", "k"]);
}
