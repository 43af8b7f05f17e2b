//! Values that are right to the last bit or the last element: resizes, indices, the best of many, inputs with defaults,
//! divisions where no bit may change.

use mlcc_tests::{Attribute, DType, Dim, Model, Node, Tensor};

use crate::project::Project;

fn sizes(sizes: &[usize]) -> Vec<Dim> {
    sizes.iter().copied().map(Dim::from).collect()
}

#[test]
fn a_resize_to_given_sizes_takes_the_exact_element() {
    // A rounded scale takes another element for 15 = 33 * 20 / 44, and for 3 = (2 * 8 + 1) * 7 / (2 * 17) - 1/2.
    for (coordinates, rounding, from, to) in [
        ("asymmetric", "floor", 20i64, 44i64),
        ("half_pixel", "ceil", 7, 17),
        ("half_pixel", "round_prefer_floor", 5, 9),
    ] {
        let image: Vec<f32> = (0..from).map(|i| i as f32).collect();
        let want = (0..to).map(|i| match rounding {
            "floor" => (i * from).div_euclid(to),
            "ceil" => ((2 * i + 1) * from - to + 2 * to - 1).div_euclid(2 * to).min(from - 1),
            _ => ((2 * i + 1) * from - 2 * to + 2 * to - 1).div_euclid(2 * to).max(0),
        });
        let want = Tensor::f32(&[1, 1, 1, to as usize], want.map(|i| i as f32));
        let shapes = [sizes(&[1, 1, 1, from as usize]), vec![1.into(), 1.into(), 1.into(), "w".into()]];
        for shape in shapes {
            let resize = Node::new("Resize", &["x", "", "", "sizes"], &["y"])
                .attribute("mode", Attribute::String("nearest".into()))
                .attribute("coordinate_transformation_mode", Attribute::String(coordinates.into()))
                .attribute("nearest_mode", Attribute::String(rounding.into()));
            let model = Model::new(18)
                .input("x", DType::F32, &shape)
                .weight("sizes", Tensor::i64(&[4], [1, 1, 1, to]))
                .node(resize)
                .output("y", DType::F32, &sizes(&[1, 1, 1, to as usize]));
            let project = Project::with(&model);
            project.succeed(&["compile", "model.onnx"]);
            project.write_inputs(&[Tensor::f32(&[1, 1, 1, from as usize], image.clone())]);
            assert_eq!(project.run("model.mlcc", 1)[0], want, "{coordinates} {rounding} {from} {to}");
        }
    }
}

#[test]
fn a_concatenation_of_hundreds_of_parts() {
    let names: Vec<String> = (0..300).map(|i| format!("part{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut model = Model::new(18).input("x", DType::F32, &sizes(&[2, 3]));
    for (i, name) in names.iter().enumerate() {
        let term = format!("term{i}");
        model =
            model.weight(&term, Tensor::f32(&[1], [i as f32])).node(Node::new("Add", &["x", &term], &[name]));
    }
    model = model.node(Node::new("Concat", &names, &["y"]).attribute("axis", Attribute::Int(1))).output(
        "y",
        DType::F32,
        &sizes(&[2, 900]),
    );
    let project = Project::with(&model);
    project.succeed(&["compile", "model.onnx"]);
    project.write_inputs(&[Tensor::f32(&[2, 3], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0])]);
    let row = |first: usize| (0..300).flat_map(move |i| (0..3).map(move |x| (first + x + i) as f32));
    let want = Tensor::f32(&[2, 900], row(0).chain(row(3)));
    assert_eq!(project.run("model.mlcc", 1)[0], want);
}

#[test]
fn constant_indices_are_in_bounds() {
    let with = |shape: &[Dim]| {
        let model = Model::new(18)
            .input("x", DType::F32, shape)
            .weight("three", Tensor::i64(&[2], [1, 3]))
            .weight("two", Tensor::i64(&[], [2]))
            .node(Node::new("Mul", &["three", "two"], &["i"]))
            .node(Node::new("Gather", &["x", "i"], &["y"]).named("rows"))
            .output("y", DType::F32, &sizes(&[2, 2]));
        Project::with(&model)
    };
    let error = with(&sizes(&[6, 2])).failure(1, &["compile", "model.onnx"]);
    assert!(error.contains("index 6 is out of range for 6 elements") && error.contains("rows"), "{error}");
    let symbolic = with(&["n".into(), 2.into()]);
    symbolic.succeed(&["compile", "model.onnx"]);
    symbolic.write_inputs(&[7, 6].map(|n| Tensor::random(DType::F32, &[n, 2], 3)));
    symbolic.succeed(&["run", "model.mlcc", "--input", "input_0.npy"]);
    let error = symbolic.failure(1, &["run", "model.mlcc", "--input", "input_1.npy"]);
    assert!(error.contains("n must be at least 7 for index 6 in rows"), "{error}");
}

#[test]
fn the_best_of_many_in_order_of_values_and_positions() {
    // Few different values, so that positions decide.
    let x: Vec<f32> = (0..9000).map(|i| ((i * 7919) % 613) as f32).collect();
    for (axis, shape) in [(1, [3usize, 3000]), (0, [3000, 3])] {
        for (symbolic, largest) in [(false, true), (true, true), (false, false)] {
            let dims = if symbolic { vec!["n".into(), "m".into()] } else { sizes(&shape) };
            let k = 40;
            let mut best = shape;
            best[axis] = k;
            let node = Node::new("TopK", &["x", "k"], &["values", "indices"])
                .attribute("axis", Attribute::Int(axis as i64))
                .attribute("largest", Attribute::Int(i64::from(largest)));
            let model = Model::new(11)
                .input("x", DType::F32, &dims)
                .weight("k", Tensor::i64(&[1], [k as i64]))
                .node(node)
                .output("values", DType::F32, &sizes(&best))
                .output("indices", DType::I64, &sizes(&best));
            let project = Project::with(&model);
            project.succeed(&["compile", "model.onnx"]);
            assert!(project.succeed(&["inspect", "model.mlcc"]).contains("1 runtime call\n"));
            project.write_inputs(&[Tensor::f32(&shape, x.clone())]);
            let outputs = project.run("model.mlcc", 1);
            let (mut values, mut indices) = (vec![0f32; 3 * k], vec![0i64; 3 * k]);
            for line in 0..3 {
                let at = |i: usize, extent: usize| if axis == 1 { line * extent + i } else { i * 3 + line };
                let mut order: Vec<usize> = (0..3000).collect();
                let value = |i: usize| x[at(i, 3000)];
                order.sort_by(|&a, &b| {
                    let (a, b) = (value(a), value(b));
                    if largest { b.total_cmp(&a) } else { a.total_cmp(&b) }
                });
                for (rank, &i) in order[..k].iter().enumerate() {
                    (values[at(rank, k)], indices[at(rank, k)]) = (value(i), i as i64);
                }
            }
            assert_eq!(outputs[0], Tensor::f32(&best, values), "axis {axis}");
            assert_eq!(outputs[1], Tensor::i64(&best, indices), "axis {axis}");
        }
    }
}

#[test]
fn an_input_with_a_default_may_be_given() {
    let model = Model::new(17)
        .input("x", DType::F32, &sizes(&[3]))
        .input("scale", DType::F32, &sizes(&[1]))
        .weight("scale", Tensor::f32(&[1], [3.0]))
        .node(Node::new("Mul", &["x", "scale"], &["y"]))
        .output("y", DType::F32, &sizes(&[3]));
    let project = Project::with(&model);
    project.succeed(&["compile", "model.onnx"]);
    assert!(project.succeed(&["inspect", "model.mlcc"]).contains("scale f32 [1] with a default"));
    project.write_inputs(&[Tensor::f32(&[3], [1.0, 2.0, -4.0]), Tensor::f32(&[1], [5.0])]);
    assert_eq!(project.run("model.mlcc", 1)[0], Tensor::f32(&[3], [3.0, 6.0, -12.0]));
    assert_eq!(project.run("model.mlcc", 2)[0], Tensor::f32(&[3], [5.0, 10.0, -20.0]));
}

#[test]
fn a_default_that_decides_a_shape_is_a_constant() {
    let model = Model::new(17)
        .input("x", DType::F32, &sizes(&[2, 3]))
        .input("shape", DType::I64, &sizes(&[2]))
        .weight("shape", Tensor::i64(&[2], [3, 2]))
        .node(Node::new("Reshape", &["x", "shape"], &["y"]))
        .output("y", DType::F32, &sizes(&[3, 2]));
    let project = Project::with(&model);
    project.succeed(&["compile", "model.onnx"]);
    assert!(!project.succeed(&["inspect", "model.mlcc"]).contains("default"));
}

#[test]
fn where_no_bit_may_change_a_division_is_a_division() {
    let bytes: Vec<f32> = (0..256).map(|i| i as f32).collect();
    let model = Model::new(17)
        .input("x", DType::F32, &sizes(&[256]))
        .weight("c", Tensor::f32(&[], [255.0]))
        .node(Node::new("Div", &["x", "c"], &["y"]))
        .output("y", DType::F32, &sizes(&[256]));
    let project = Project::with(&model);
    project.write_inputs(&[Tensor::f32(&[256], bytes.clone())]);
    for setting in ["exact", "off"] {
        project.succeed(&["compile", "model.onnx", "--rewrites", setting]);
        let want = Tensor::f32(&[256], bytes.iter().map(|x| x / 255.0));
        assert_eq!(project.run("model.mlcc", 1)[0], want, "{setting}");
    }
}
