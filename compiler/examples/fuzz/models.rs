//! Small models with operators whose import decides much: sizes computed from shapes, axes, windows, constants.

use mlcc_tests::{Attribute, DType, Dim, Model, Node, Tensor};

fn sizes(sizes: &[usize]) -> Vec<Dim> {
    sizes.iter().map(|&size| size.into()).collect()
}

fn random(shape: &[usize], seed: u64) -> Tensor {
    Tensor::random(DType::F32, shape, seed)
}

fn integers(values: &[i64]) -> Tensor {
    Tensor::i64(&[values.len()], values.iter().copied())
}

fn ints(values: &[i64]) -> Attribute {
    Attribute::Ints(values.to_vec())
}

/// All of them, as files.
pub(crate) fn encoded() -> Vec<Vec<u8>> {
    [dense(), image(), slices(), shapes(), folded(), attention()].iter().map(Model::encode).collect()
}

fn dense() -> Model {
    Model::new(18)
        .input("x", DType::F32, &["n".into(), 5.into()])
        .weight("w", random(&[5, 4], 1))
        .weight("b", random(&[4], 2))
        .node(Node::new("Gemm", &["x", "w", "b"], &["h"]).attribute("alpha", Attribute::Float(0.5)))
        .node(Node::new("LeakyRelu", &["h"], &["r"]))
        .node(Node::new("LayerNormalization", &["r", "b"], &["l"]).attribute("axis", Attribute::Int(-1)))
        .node(Node::new("Softmax", &["l"], &["y"]).attribute("axis", Attribute::Int(1)))
        .output("y", DType::F32, &["n".into(), 4.into()])
}

fn image() -> Model {
    Model::new(18)
        .input("x", DType::F32, &["n".into(), 4.into(), "h".into(), 6.into()])
        .weight("w", random(&[4, 2, 3, 3], 1))
        .weight("scales", Tensor::f32(&[4], [1.0, 1.0, 2.0, 2.0]))
        .node(
            Node::new("Conv", &["x", "w"], &["c"])
                .attribute("group", Attribute::Int(2))
                .attribute("pads", ints(&[1, 1, 1, 1]))
                .attribute("strides", ints(&[1, 2]))
                .attribute("dilations", ints(&[1, 1])),
        )
        .node(
            Node::new("MaxPool", &["c"], &["m"])
                .attribute("kernel_shape", ints(&[2, 2]))
                .attribute("ceil_mode", Attribute::Int(1)),
        )
        .node(Node::new("Resize", &["m", "", "scales"], &["r"]))
        .node(Node::new("ConvTranspose", &["r", "w"], &["t"]).attribute("group", Attribute::Int(2)))
        .node(Node::new("GlobalAveragePool", &["t"], &["y"]))
        .output("y", DType::F32, &["n".into(), 4.into(), 1.into(), 1.into()])
}

fn slices() -> Model {
    Model::new(18)
        .input("x", DType::F32, &sizes(&[3, 8, 5]))
        .input("i", DType::I64, &sizes(&[2]))
        .weight("starts", integers(&[-1]))
        .weight("ends", integers(&[i64::MIN]))
        .weight("axes", integers(&[1]))
        .weight("steps", integers(&[-2]))
        .weight("parts", integers(&[1, 3]))
        .weight("pads", integers(&[0, 1, 0, 0, 2, 1]))
        .weight("k", integers(&[2]))
        .node(Node::new("Slice", &["x", "starts", "ends", "axes", "steps"], &["s"]))
        .node(Node::new("Split", &["s", "parts"], &["p", "q"]).attribute("axis", Attribute::Int(1)))
        .node(Node::new("Concat", &["q", "p", "p"], &["c"]).attribute("axis", Attribute::Int(1)))
        .node(Node::new("Pad", &["c", "pads"], &["d"]))
        .node(Node::new("Gather", &["d", "i"], &["g"]).attribute("axis", Attribute::Int(2)))
        .node(Node::new("Transpose", &["g"], &["t"]).attribute("perm", ints(&[1, 2, 0])))
        .node(Node::new("TopK", &["t", "k"], &["y", "z"]).attribute("axis", Attribute::Int(0)))
        .output("y", DType::F32, &sizes(&[2, 2, 3]))
        .output("z", DType::I64, &sizes(&[2, 2, 3]))
}

/// A shape that is computed from one, as exporters write it.
fn shapes() -> Model {
    Model::new(18)
        .input("x", DType::F32, &["n".into(), "m".into(), 6.into()])
        .weight("two", integers(&[2]))
        .weight("rest", integers(&[-1]))
        .weight("zero", integers(&[0]))
        .weight("one", integers(&[1]))
        .node(Node::new("Shape", &["x"], &["s"]))
        .node(Node::new("Gather", &["s", "zero"], &["n"]))
        .node(Node::new("Gather", &["s", "one"], &["m"]))
        .node(Node::new("Mul", &["m", "two"], &["mm"]))
        .node(Node::new("Div", &["mm", "two"], &["half"]))
        .node(
            Node::new("Concat", &["n", "half", "rest", "two"], &["to"]).attribute("axis", Attribute::Int(0)),
        )
        .node(Node::new("Reshape", &["x", "to"], &["r"]))
        .node(Node::new("Unsqueeze", &["r", "zero"], &["u"]))
        .node(Node::new("Squeeze", &["u", "zero"], &["v"]))
        .node(Node::new("ReduceMean", &["v", "rest"], &["y"]).attribute("keepdims", Attribute::Int(0)))
        .output("y", DType::F32, &["n".into(), "m".into(), 3.into()])
}

/// Constants of all kinds, which import folds.
fn folded() -> Model {
    Model::new(18)
        .input("x", DType::F32, &sizes(&[4, 3]))
        .weight("a", random(&[4, 3], 1))
        .weight("i", integers(&[1, 0]))
        .weight("shape", integers(&[4, 1]))
        .weight("limit", Tensor::i64(&[], [7]))
        .weight("from", Tensor::i64(&[], [1]))
        .weight("step", Tensor::i64(&[], [2]))
        .node(Node::new("Range", &["from", "limit", "step"], &["range"]))
        .node(Node::new("ConstantOfShape", &["shape"], &["filled"]))
        .weight("to", integers(&[4, 3]))
        .node(Node::new("Expand", &["filled", "to"], &["wide"]))
        .node(Node::new("Cast", &["range"], &["floats"]).attribute("to", Attribute::Int(1)))
        .node(Node::new("Add", &["a", "floats"], &["b"]))
        .node(Node::new("Transpose", &["b"], &["bt"]))
        .node(Node::new("MatMul", &["a", "bt"], &["unused"]))
        .node(Node::new("CumSum", &["b", "from"], &["c"]))
        .node(Node::new("Tile", &["c", "i"], &["t"]))
        .node(Node::new("Greater", &["b", "wide"], &["g"]))
        .node(Node::new("Where", &["g", "b", "c"], &["w"]))
        .node(Node::new("Add", &["x", "b"], &["y"]))
        .output("y", DType::F32, &sizes(&[4, 3]))
}

fn attention() -> Model {
    Model::new(18)
        .input("q", DType::F32, &[1.into(), 2.into(), "s".into(), 4.into()])
        .input("k", DType::F32, &[1.into(), 2.into(), "s".into(), 4.into()])
        .node(
            Node::new("Einsum", &["q", "k"], &["p"])
                .attribute("equation", Attribute::String("bhid,bhjd->bhij".into())),
        )
        .node(Node::new("Softmax", &["p"], &["w"]))
        .node(Node::new("MatMul", &["w", "k"], &["o"]))
        .node(Node::new("Erf", &["o"], &["y"]))
        .output("y", DType::F32, &[1.into(), 2.into(), "s".into(), 4.into()])
}
