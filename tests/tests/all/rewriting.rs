//! What `compile` says of rewrites, and how they are chosen.

use mlcc_tests::{DType, Dim, Model, Node, Tensor};

use crate::project::{CPU, Project};

/// A product with constant weights, large enough for Strassen's algorithm.
fn product() -> Project {
    let sizes = |sizes: [usize; 2]| sizes.map(Dim::from);
    let model = Model::new(17)
        .input("x", DType::F32, &sizes([128, 768]))
        .output("y", DType::F32, &sizes([128, 768]))
        .weight("w", Tensor::random(DType::F32, &[768, 768], 1))
        .node(Node::new("MatMul", &["x", "w"], &["y"]).named("projection"));
    Project::with(&model)
}

fn explained(project: &Project, arguments: &[&str]) -> String {
    let common = ["compile", "model.onnx", "--explain-rewrites"];
    project.succeed(&[&common, CPU, arguments].concat())
}

#[test]
fn products_that_become_others_are_explained_by_node() {
    let project = product();
    let text = explained(&project, &["--max-weight-growth", "1.75"]);
    let line = text.lines().find(|line| line.contains("projection")).expect("names the node");
    assert!(text.contains("strassen-products: 1 product"), "{text}");
    assert!(line.contains("128x768x768") && line.contains("+1.77 MB"), "{line}");
    assert!(text.contains("weights have grown by 1.77 MB"), "{text}");
    assert!(project.succeed(&["inspect", "model.mlcc"]).contains("--max-weight-growth 1.75"));
}

#[test]
fn products_stay_where_weights_may_not_grow_or_the_rewrite_is_left_out() {
    let project = product();
    for arguments in [
        &["--max-weight-growth", "1"][..],
        // 2.36 MB may grow by a quarter and a megabyte, and would by 1.77.
        &["--max-weight-growth", "1.25"],
        &["--max-weight-growth", "1.75", "--disable-rewrite", "strassen-products"],
        &["--max-weight-growth", "1.75", "--rewrites", "exact"],
    ] {
        assert_eq!(explained(&project, arguments), "no rewrites\n", "{arguments:?}");
    }
}

#[test]
fn merges_that_are_found_and_do_not_pay_are_told() {
    let sizes = |sizes: &[usize]| sizes.iter().copied().map(Dim::from).collect::<Vec<_>>();
    let model = Model::new(17)
        .input("x", DType::F32, &sizes(&[16, 96]))
        .output("q", DType::F32, &sizes(&[16, 64]))
        .output("k", DType::F32, &sizes(&[16, 80]))
        .weight("wq", Tensor::random(DType::F32, &[96, 64], 1))
        .weight("wk", Tensor::random(DType::F32, &[96, 80], 2))
        .node(Node::new("MatMul", &["x", "wq"], &["q"]).named("queries"))
        .node(Node::new("MatMul", &["x", "wk"], &["k"]).named("keys"));
    let project = Project::with(&model);
    let text = explained(&project, &[]);
    assert!(text.starts_with("not taken: merge-products would "), "{text}");
    assert!(text.contains("queries") && text.contains("keys") && text.lines().count() == 1, "{text}");
    assert_eq!(explained(&project, &["--disable-rewrite", "merge-products"]), "no rewrites\n");
}
