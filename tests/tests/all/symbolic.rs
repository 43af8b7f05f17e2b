//! Symbolic sizes: right for every size that the model allows, refused before the first kernel for others.

use mlcc_tests::{Attribute, DType, Model, Node, Tensor};

use crate::project::Project;

/// A model of `x`, 2 x d x 5, and one node's outputs.
fn along_d(node: Node, weights: &[(&str, &[i64])], outputs: &[&str]) -> Model {
    let shape = [2.into(), "d".into(), 5.into()];
    let mut model = Model::new(18).input("x", DType::F32, &shape).node(node);
    for (name, values) in weights {
        model = model.weight(name, Tensor::i64(&[values.len()], values.iter().copied()));
    }
    for (i, name) in outputs.iter().enumerate() {
        model = model.output(name, DType::F32, &[2.into(), ["d0", "d1"][i].into(), 5.into()]);
    }
    model
}

/// Rows `first..first + count` of dimension 1, in steps.
fn rows(x: &Tensor, d: i64, first: i64, count: i64, step: i64) -> Tensor {
    let values = x.to_f64();
    let row = |n: i64, i: i64| (n * d + first + i * step) * 5;
    let taken = (0..2).flat_map(|n| (0..count).map(move |i| (n, i)));
    let taken = taken.flat_map(|(n, i)| (row(n, i)..row(n, i) + 5).map(|at| values[at as usize] as f32));
    let taken: Vec<f32> = taken.collect();
    Tensor::f32(&[2, count as usize, 5], taken)
}

#[test]
fn slices_of_a_symbolic_dimension_end_where_it_does() {
    for (start, end, step) in [(0, 8, 1), (0, -3, 1), (2, 8, 1), (0, 7, 3), (-1, -100, -2), (0, i64::MAX, 2)]
    {
        let node = Node::new("Slice", &["x", "starts", "ends", "axes", "steps"], &["y"]);
        let weights: &[(&str, &[i64])] =
            &[("starts", &[start]), ("ends", &[end]), ("axes", &[1]), ("steps", &[step])];
        let project = Project::with(&along_d(node, weights, &["y"]));
        project.succeed(&["compile", "model.onnx"]);
        for d in [1, 2, 3, 7, 8, 9, 20] {
            let x = Tensor::random(DType::F32, &[2, d as usize, 5], d as u64);
            project.write_inputs(std::slice::from_ref(&x));
            let bound = |b: i64| if b < 0 { b.saturating_add(d) } else { b };
            let (first, count) = if step > 0 {
                let (first, last) = (bound(start).clamp(0, d), bound(end).clamp(0, d));
                (first, (last - first + step - 1).max(0) / step)
            } else {
                let (first, last) = (bound(start).clamp(-1, d - 1), bound(end).clamp(-1, d - 1));
                (first, (first - last - step - 1).max(0) / -step)
            };
            let want = rows(&x, d, first, count, step);
            assert_eq!(project.run("model.mlcc", 1), [want], "{start}..{end} by {step} of {d}");
        }
    }
}

#[test]
fn a_split_of_a_symbolic_dimension_takes_all_of_it() {
    let node = Node::new("Split", &["x", "sizes"], &["y", "z"]).named("Split_3");
    let node = node.attribute("axis", Attribute::Int(1));
    let project = Project::with(&along_d(node, &[("sizes", &[3, 5])], &["y", "z"]));
    project.succeed(&["compile", "model.onnx"]);
    let x = Tensor::random(DType::F32, &[2, 8, 5], 3);
    project.write_inputs(std::slice::from_ref(&x));
    assert_eq!(project.run("model.mlcc", 1), [rows(&x, 8, 0, 3, 1), rows(&x, 8, 3, 5, 1)]);
    for d in [2, 7, 9] {
        project.write_inputs(&[Tensor::random(DType::F32, &[2, d, 5], 3)]);
        let error = project.failure(1, &["run", "model.mlcc", "--input", "input_0.npy"]);
        assert!(error.contains(&format!("d must equal 8 to be split in Split_3 (d = {d})")), "{error}");
    }
}

/// A model whose node meets a symbolic dimension with a number of 8, the message where they differ, and whether a
/// size of 1 is broadcast.
fn meetings() -> Vec<(Model, &'static str, bool)> {
    let symbolic = || Model::new(18).input("x", DType::F32, &[2.into(), "c".into()]);
    let weight = |seed| Tensor::random(DType::F32, &[8], seed);
    let positive = Tensor::f32(&[8], [1.0, 2.0, 3.0, 0.5, 1.5, 2.5, 4.0, 0.75]);
    let row = [2.into(), 8.into()];
    let batch_norm = symbolic()
        .weight("scale", weight(1))
        .weight("bias", weight(2))
        .weight("mean", weight(3))
        .weight("variance", positive)
        .node(
            Node::new("BatchNormalization", &["x", "scale", "bias", "mean", "variance"], &["y"]).named("N_1"),
        )
        .output("y", DType::F32, &[2.into(), "c".into()]);
    let concat = symbolic()
        .weight("k", Tensor::random(DType::F32, &[3, 8], 4))
        .node(Node::new("Concat", &["x", "k"], &["y"]).named("N_1").attribute("axis", Attribute::Int(0)))
        .output("y", DType::F32, &[5.into(), 8.into()]);
    let product = symbolic()
        .weight("k", Tensor::random(DType::F32, &[8, 8], 4))
        .node(Node::new("MatMul", &["x", "k"], &["y"]).named("N_1"))
        .output("y", DType::F32, &row);
    let sum = symbolic()
        .weight("k", weight(5))
        .node(Node::new("Add", &["x", "k"], &["y"]).named("N_1"))
        .output("y", DType::F32, &row);
    vec![
        (batch_norm, "c must equal 8 to be a parameter per channel and the number of channels in N_1", false),
        (concat, "c must equal 8 to meet in dimension 1 of a concatenation along axis 0 in N_1", false),
        (product, "c must equal 8 to be contracted in N_1", false),
        (sum, "c must be 1 or 8 in N_1", true),
    ]
}

#[test]
fn sizes_that_meet_a_number_must_equal_it() {
    for (model, message, broadcasts) in meetings() {
        let project = Project::with(&model);
        project.succeed(&["compile", "model.onnx"]);
        // What is demanded must survive the dumps, from which compiling can go on.
        for level in ["graph", "tensor"] {
            let dump = format!("{level}.mlir");
            project.succeed(&["compile", "model.onnx", "--emit", level, "-o", &dump]);
            project.succeed(&["compile", &dump, "--from", level, "-o", &format!("{level}.mlcc")]);
        }
        for file in ["model.mlcc", "graph.mlcc", "tensor.mlcc"] {
            for c in [8, 7, 9, 1] {
                project.write_inputs(&[Tensor::random(DType::F32, &[2, c], 7)]);
                if c == 8 || (c == 1 && broadcasts) {
                    project.run(file, 1);
                    continue;
                }
                let error = project.failure(1, &["run", file, "--input", "input_0.npy"]);
                assert!(error.contains(&format!("{message} (c = {c})")), "{file}: {error}");
            }
        }
    }
}

/// A convolution that Winograd's algorithm pays for, between two pointwise functions, of any number of images.
fn images() -> Model {
    let (channels, filters) = (16usize, 24usize);
    let conv = Node::new("Conv", &["a", "w"], &["b"]).attribute("pads", Attribute::Ints(vec![1; 4]));
    Model::new(18)
        .input("x", DType::F32, &["n".into(), channels.into(), 27.into(), 28.into()])
        .weight("w", Tensor::random(DType::F32, &[filters, channels, 3, 3], 5))
        .node(Node::new("Tanh", &["x"], &["a"]))
        .node(conv)
        .node(Node::new("Tanh", &["b"], &["y"]))
        .output("y", DType::F32, &["n".into(), filters.into(), 27.into(), 28.into()])
}

#[test]
fn convolutions_of_any_number_of_images_are_transformed() {
    let project = Project::with(&images());
    project.succeed(&["compile", "model.onnx"]);
    project.succeed(&["compile", "model.onnx", "--exact-conv", "-o", "exact.mlcc"]);
    assert!(project.succeed(&["inspect", "model.mlcc"]).contains("[transform]"));
    for n in [1, 2, 3, 5] {
        project.write_inputs(&[Tensor::random(DType::F32, &[n, 16, 27, 28], n as u64)]);
        let want = project.run("exact.mlcc", 1);
        let error = project.run("model.mlcc", 1)[0].relative_error(&want[0]);
        assert!(error.as_ref().is_ok_and(|e| *e < 3e-6), "{n} images: {error:?}");
    }
}

#[test]
fn ranges_of_sizes_outlive_a_dump() {
    let project = Project::with(&images());
    // Transformed weights are none of the model's, which a dump refers to.
    let shape = ["--shape", "x=2..6:2x?x?x?", "--exact-conv"];
    project.succeed(&[&["compile", "model.onnx", "-o", "direct.mlcc"], &shape[..]].concat());
    for (level, from) in [("import", "import"), ("graph", "graph"), ("tensor", "tensor")] {
        let dump = format!("{level}.mlir");
        project.succeed(&[&["compile", "model.onnx", "--to", level, "-o", &dump], &shape[..]].concat());
        assert!(project.read_text(&dump).contains("2..6:2"), "{level}");
        let compile = ["compile", &dump, "--from", from, "--weights", "model.onnx", "-o", "resumed.mlcc"];
        project.succeed(&compile);
        for artifact in ["direct.mlcc", "resumed.mlcc"] {
            for (n, why) in [(8, "for n from 2 to 6"), (3, "for multiples of 2 as n")] {
                project.write_inputs(&[Tensor::random(DType::F32, &[n, 16, 27, 28], 1)]);
                let said = project.failure(1, &["run", artifact, "--input", "input_0.npy"]);
                assert!(said.contains(&format!("the model was compiled {why}")), "{artifact}: {said}");
            }
            project.write_inputs(&[Tensor::random(DType::F32, &[4, 16, 27, 28], 1)]);
            assert_eq!(project.run(artifact, 1).len(), 1);
        }
    }
}
