//! Symbolic dimensions, overrides, folding, and given values.

use super::models::{
    FLOAT, INT64, exprs, graph_of, imported, int_weight, listing, model, node, output_type, value,
    with_options,
};
use crate::{
    DimSpec, ImportOptions, Imported,
    proto::{GraphProto, ModelProto},
};
use mlcc_ir::{
    attributes::Attrs,
    diagnostic::{Diagnostic, Fault},
    expr::Expr,
    tensor::Tensor,
};

fn two_inputs() -> ModelProto {
    let graph = GraphProto {
        input: vec![value("x", FLOAT, "batch 3 ?"), value("image.1", FLOAT, "batch ? 5")],
        output: vec![value("y", FLOAT, "a b c"), value("z", FLOAT, "a b c")],
        node: vec![node("y = Relu(x)", vec![]), node("z = Relu(image.1)", vec![])],
        ..GraphProto::default()
    };
    model(18, graph)
}

fn shaped(shapes: &[&str]) -> Result<Imported, Vec<Diagnostic>> {
    let shapes = shapes.iter().map(|s| DimSpec::parse_shape(s).unwrap()).collect();
    with_options(&two_inputs(), &ImportOptions { shapes, ..ImportOptions::default() })
}

fn types(imported: &Imported) -> [String; 2] {
    [0, 1].map(|i| output_type(&imported.graph, i).to_string())
}

#[test]
fn unknown_dimensions_have_names() {
    assert_eq!(types(&shaped(&[]).unwrap()), ["(batch)x3x(x_d2)xf32", "(batch)x(image_1_d1)x5xf32"]);
}

#[test]
fn a_symbol_that_one_input_fixes_is_fixed_everywhere() {
    let fixed = shaped(&["image.1=2x7x5"]).unwrap();
    assert_eq!(types(&fixed), ["2x3x(x_d2)xf32", "2x7x5xf32"]);
}

#[test]
fn a_dimension_is_given_by_its_name() {
    let fixed = shaped(&["batch=2", "x_d2=7"]).unwrap();
    assert_eq!(types(&fixed), ["2x3x7xf32", "2x(image_1_d1)x5xf32"]);
    let ranged = shaped(&["batch=1..8", "image.1=?x6x?"]).unwrap();
    assert_eq!(types(&ranged), ["(batch)x3x(x_d2)xf32", "(batch)x6x5xf32"]);
    assert_eq!(ranged.graph.ranges.get("batch").to_string(), "1..8");
}

#[test]
fn ranges_stay_symbolic() {
    let ranged = shaped(&["x=1..8x3x?"]).unwrap();
    assert_eq!(types(&ranged)[0], "(batch)x3x(x_d2)xf32");
    assert_eq!(ranged.graph.ranges.get("batch").to_string(), "1..8");
    assert!(ranged.graph.ranges.get("x_d2").is_any());
}

#[test]
fn ranges_of_one_symbol_meet() {
    let ranged = shaped(&["x=1..24:2x3x?", "image.1=5..:3x?x5"]).unwrap();
    assert_eq!(ranged.graph.ranges.get("batch").to_string(), "5..24:6");
    let found = shaped(&["x=1..8x3x?", "image.1=9..x?x5"]).unwrap_err();
    assert!(found[0].message.contains("given as 9.. and as 1..8"), "{}", found[0].message);
}

#[test]
fn overrides_must_fit() {
    let message = |shapes: &[&str]| {
        let found = shaped(shapes).unwrap_err();
        assert_eq!(found[0].fault, Fault::User);
        found[0].message.clone()
    };
    assert_eq!(message(&["x=1x4x2"]), "dimension 1 of input 'x' is 3 in the model but given as 4");
    assert_eq!(message(&["x=1x3"]), "input 'x' has 3 dimensions but its shape is given with 2");
    assert_eq!(
        message(&["v=1"]),
        "a shape is given for 'v', which is neither an input nor a dimension of one"
    );
    assert_eq!(message(&["batch=1x2"]), "'batch' is one dimension but is given as 2 dimensions");
    assert!(message(&["batch=1", "x=2x3x4"]).starts_with("dimension 'batch' of input 'x' is given as"));
    assert!(
        message(&["x=1x3x4", "image.1=2x3x5"])
            .starts_with("dimension 'batch' of input 'image.1' is given as")
    );
}

#[test]
fn an_unknown_rank_needs_a_shape() {
    let graph = GraphProto {
        input: vec![value("x", FLOAT, "*")],
        output: vec![value("y", FLOAT, "*")],
        node: vec![node("y = Relu(x)", vec![])],
        ..GraphProto::default()
    };
    let model = model(18, graph);
    let found = imported(&model).unwrap_err();
    assert_eq!(found[0].message, "input 'x' has an unknown number of dimensions");
    assert!(found[0].hint.as_ref().unwrap().contains("--shape x="));
    let shapes = [("x".to_owned(), vec![DimSpec::Fixed(2), DimSpec::Declared])].into();
    let known = with_options(&model, &ImportOptions { shapes, ..ImportOptions::default() }).unwrap();
    assert_eq!(output_type(&known.graph, 0).to_string(), "2x(x_d1)xf32");
}

#[test]
fn shapes_are_computed_symbolically() {
    let graph = GraphProto {
        input: vec![value("x", FLOAT, "n c h w")],
        output: vec![value("y", FLOAT, "a b c")],
        initializer: vec![
            int_weight("zero", &[1], &[0]),
            int_weight("two", &[1], &[2]),
            int_weight("minus", &[1], &[-1]),
        ],
        node: vec![
            node("s = Shape(x)", vec![]),
            node("n = Gather(s, zero)", vec![]),
            node("n2 = Mul(n, two)", vec![]),
            node("t = Concat(n2, two, minus)", vec![super::models::int("axis", 0)]),
            node("d = Concat(x, x)", vec![super::models::int("axis", 0)]),
            node("e = Concat(d, d)", vec![super::models::int("axis", 1)]),
            node("y = Reshape(e, t)", vec![]),
        ],
        ..GraphProto::default()
    };
    let graph = imported(&model(18, graph)).unwrap().graph;
    assert_eq!(output_type(&graph, 0).to_string(), "(n * 2)x2x(c * h * w)xf32");
}

#[test]
fn slices_follow_numpy() {
    let n = || Expr::symbol("n");
    let slice = |start: i64, end: i64, step: i64| {
        let graph = graph_of(
            18,
            node("y = Slice(x, s, e, a, t)", vec![]),
            &[("x", "n 10")],
            &[("s", &[start, start]), ("e", &[end, end]), ("a", &[0, -1]), ("t", &[step, step])],
        );
        match graph.nodes.first() {
            Some(slice) => (exprs(slice, "starts"), exprs(slice, "sizes")),
            None => (vec![], output_type(&graph, 0).dims.clone()),
        }
    };
    assert_eq!(slice(0, i64::MAX, 1), (vec![], vec![n(), Expr::from(10)]));
    assert_eq!(slice(0, -1, 1).1[1], Expr::from(9));
    assert_eq!(slice(2, 7, 2).1[1], Expr::from(3));
    assert_eq!(slice(-3, i64::MAX, 1).0[1], Expr::from(7));
    assert_eq!(slice(20, 30, 1).1[1], Expr::from(0));
    let backwards = slice(-1, i64::MIN, -1);
    assert_eq!(backwards, (vec![n() - Expr::from(1), Expr::from(9)], vec![n(), Expr::from(10)]));
    assert_eq!(slice(8, 1, -3).1[1], Expr::from(3));
}

#[test]
fn same_padding_is_symbolic() {
    let graph = graph_of(
        18,
        node(
            "y = MaxPool(x)",
            vec![
                super::models::ints("kernel_shape", &[3]),
                super::models::ints("strides", &[2]),
                super::models::text("auto_pad", "SAME_LOWER"),
            ],
        ),
        &[("x", "1 1 n")],
        &[],
    );
    let pads = exprs(&graph.nodes[0], "pads");
    for n in 1..20i64 {
        let at = |e: &Expr| e.evaluate(&|_| Some(n)).unwrap();
        let total = ((n + 1) / 2 - 1) * 2 + 3 - n;
        assert_eq!([at(&pads[0]), at(&pads[1])], [total - total / 2, total / 2], "of {n} elements");
        assert_eq!(at(&output_type(&graph, 0).dims[2]), (n + 1) / 2);
    }
}

#[test]
fn what_is_computed_from_constants_is_folded() {
    let graph = GraphProto {
        input: vec![value("x", FLOAT, "2 4")],
        output: vec![value("y", FLOAT, "a")],
        initializer: vec![int_weight("s", &[], &[4])],
        node: vec![
            node("f = Cast(s)", vec![super::models::int("to", 1)]),
            node("r = Sqrt(f)", vec![]),
            node("y = Range(f, f, r)", vec![]),
        ],
        ..GraphProto::default()
    };
    let model = model(18, graph);
    assert_eq!(imported(&model).unwrap_err()[0].fault, Fault::Unsupported);
    let evaluate = |op: &str, _: &Attrs, operands: &[Option<Tensor>]| {
        let x = operands[0].as_ref()?.to_f64()[0];
        let y = match op {
            "cast" => x,
            "sqrt" => x.sqrt(),
            _ => return None,
        };
        Some(vec![Tensor::from_f32(&[], &[y as f32])])
    };
    let options = ImportOptions { fold: Some(&evaluate), ..ImportOptions::default() };
    let graph = with_options(&model, &options).unwrap().graph;
    assert_eq!(listing(&graph).last().unwrap(), "range 0xf32");
}

#[test]
fn given_values_decide_shapes() {
    let graph = GraphProto {
        input: vec![value("x", FLOAT, "2 6"), value("s", INT64, "3")],
        output: vec![value("y", FLOAT, "a b c")],
        node: vec![node("y = Reshape(x, s)", vec![])],
        ..GraphProto::default()
    };
    let model = model(18, graph);
    let given = |tensor: Tensor| {
        let values = [("s".to_owned(), tensor)].into();
        with_options(&model, &ImportOptions { values, ..ImportOptions::default() })
    };
    let graph = given(Tensor::from_i64(&[3], &[3, -1, 2])).unwrap().graph;
    assert_eq!(output_type(&graph, 0).to_string(), "3x2x2xf32");
    assert_eq!(graph.inputs.len(), 2);
    assert!(given(Tensor::from_i64(&[2], &[3, 4])).is_err());
}

#[test]
fn half_a_symbolic_size_is_floored() {
    let graph = graph_of(
        8,
        node("y = Upsample(x)", vec![super::models::floats("scales", &[1.0, 1.0, 2.0, 0.5])]),
        &[("x", "1 1 h w")],
        &[],
    );
    assert_eq!(output_type(&graph, 0).to_string(), "1x1x(h * 2)x(floordiv(w, 2))xf32");
}

#[test]
fn explicit_pooling_pads_are_smaller_than_the_kernel() {
    use super::models::{FLOAT, imported, ints, model, value};
    use crate::proto::GraphProto;
    let import = |op: &str, pads: [i64; 2], dilation: i64| {
        let mut attributes = vec![ints("kernel_shape", &[2]), ints("pads", &pads)];
        if dilation > 1 {
            attributes.push(ints("dilations", &[dilation]));
        }
        let graph = GraphProto {
            input: vec![value("x", FLOAT, "1 1 8")],
            output: vec![value("y", FLOAT, "1 1 n")],
            node: vec![node(&format!("y = {op}(x)"), attributes)],
            ..GraphProto::default()
        };
        imported(&model(22, graph))
    };
    for op in ["MaxPool", "AveragePool", "LpPool"] {
        assert!(import(op, [1, 1], 1).is_ok(), "{op}");
        // The window spans four elements, but ONNX Runtime looks at the kernel.
        for (pads, dilation) in [([2, 0], 1), ([0, 2], 1), ([2, 2], 3)] {
            let errors = import(op, pads, dilation).expect_err(op);
            assert!(
                errors[0].message.contains("has the element 2, but padding must be smaller"),
                "{errors:?}"
            );
        }
    }
}
