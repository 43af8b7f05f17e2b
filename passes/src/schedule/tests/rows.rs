//! Steps on several passes over rows: what `merge` and `pipeline` allow.

use super::*;

/// A pass over rows of 6 by 40: the kind of `j`, the tensor and element that it writes, the value and how it
/// combines.
fn compute(
    name: &str,
    kind: AxisKind,
    (target, write): (usize, &[&str]),
    body: Body,
    combine: Option<Combine>,
) -> Compute {
    let axes = axes(&[("i", 6, AxisKind::Parallel), ("j", 40, kind)]);
    Compute { name: name.into(), axes, target, write: at(write), body, combine }
}

/// `sum[i] = sum over j of x[i, j]`, `y[i, j] = x[i, j] * sum[i]`, of 6 by 40, in one loop over rows.
fn normalised_rows() -> LoopNest {
    use AxisKind::{Parallel, Reduction};
    let mut row = Body::default();
    row.read(0, at(&["i", "j"]), DType::F32);
    let mut scaled = Body::default();
    let x = scaled.read(0, at(&["i", "j"]), DType::F32);
    let s = scaled.read(2, at(&["i"]), DType::F32);
    scaled.binary(BinaryOp::Mul, x, s);
    let nest = naive(&Kernel {
        name: "rows".into(),
        nodes: vec![],
        tensors: vec![
            tensor("x", &[6, 40], Role::Input),
            tensor("y", &[6, 40], Role::Output),
            tensor("sum", &[6], Role::Temporary),
        ],
        computes: vec![
            compute("sum", Reduction, (2, &["i"]), row, Some(Combine::Add)),
            compute("scale", Parallel, (1, &["i", "j"]), scaled, None),
        ],
    })
    .unwrap();
    let steps =
        "merge(sum.i, sum.init.i)\nmerge(sum.i, scale.i)\nvectorize(sum.j, 16)\nvectorize(scale.j, 16)";
    apply(&nest, &steps.parse().unwrap(), &mut |_, _| ()).unwrap()
}

#[test]
fn pipeline_fetches_what_a_later_iteration_reads() {
    let nest = normalised_rows();
    let step: Step = "pipeline(x, sum.i, 2, scale.j)".parse().unwrap();
    let pipelined = step.apply(&nest).unwrap();
    assert_eq!(pipelined.body, nest.body, "it changes no value");
    let [fetch] = &pipelined.fetches[..] else { panic!("one fetch") };
    assert_eq!((fetch.buffer, &*fetch.axis, fetch.ahead, &*fetch.with), (0, "sum.i", 2, "scale.j"));
    assert_eq!(step.to_string(), "pipeline(x, sum.i, 2, scale.j)");
    let refused = |step: &str, nest: &LoopNest| {
        step.parse::<Step>().unwrap().apply(nest).expect_err("it is refused").message
    };
    for (step, why) in [
        ("pipeline(y, sum.i, 1, scale.j)", "'y' is not an input"),
        ("pipeline(x, sum.i, 0, scale.j)", "no iteration of 'sum.i' comes 0 before another"),
        ("pipeline(x, scale.j, 1, sum.i)", "the loop 'sum.i' is not inside 'scale.j'"),
        ("pipeline(x, sum.i, 1, sum.i)", "'sum.i' does not run in vectors"),
        ("pipeline(x, sum.q, 1, scale.j)", "sum.q"),
    ] {
        assert!(refused(step, &nest).contains(why), "{step}: {}", refused(step, &nest));
    }
    let lost = refused("split(sum.i, 2)", &pipelined);
    assert!(lost.contains("the loop 'sum.i', which is pipelined, would disappear"), "{lost}");
}

/// `e[i, j] = x[i, j] * x[i, j]`, `y[i] = sum over j of e[i, j]`, of 6 by 40, in one loop over rows.
fn sum_of_squares() -> LoopNest {
    use AxisKind::{Parallel, Reduction};
    let mut square = Body::default();
    let x = square.read(0, at(&["i", "j"]), DType::F32);
    square.binary(BinaryOp::Mul, x, x);
    let mut element = Body::default();
    element.read(2, at(&["i", "j"]), DType::F32);
    let nest = naive(&Kernel {
        name: "squares".into(),
        nodes: vec![],
        tensors: vec![
            tensor("x", &[6, 40], Role::Input),
            tensor("y", &[6], Role::Output),
            tensor("e", &[6, 40], Role::Temporary),
        ],
        computes: vec![
            compute("e", Parallel, (2, &["i", "j"]), square, None),
            compute("sum", Reduction, (1, &["i"]), element, Some(Combine::Add)),
        ],
    })
    .unwrap();
    let steps = "merge(e.i, sum.init.i)\nmerge(e.i, sum.i)\nvectorize(e.j, 16)\nvectorize(sum.j, 16)";
    apply(&nest, &steps.parse().unwrap(), &mut |_, _| ()).unwrap()
}

#[test]
fn merge_passes_what_is_independent() {
    let merge = |nest: &LoopNest, step: &str| step.parse::<Step>().unwrap().apply(nest);
    // The start of the sum lies between the squares and the sum, and is independent of the squares.
    let merged = merge(&sum_of_squares(), "merge(e.j, sum.j)").unwrap();
    let [Node::Loop(row)] = &merged.body[..] else { panic!("one loop over rows") };
    let [Node::Store(_), Node::Loop(both)] = &row.body[..] else { panic!("the beginning, then both") };
    assert_eq!(both.body.len(), 2);
    // The sum itself stands between its start and the stage that uses it.
    let naive = product();
    let refused = merge(&naive, "merge(mm.init.m, twice.m)").expect_err("the product lies between");
    assert!(refused.message.contains("other nodes lie between"), "{}", refused.message);
}
