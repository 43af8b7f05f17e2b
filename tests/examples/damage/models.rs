//! The sound artifacts: small networks, so that a file has some ten kilobytes and loads in microseconds.

use std::path::Path;

use mlcc_format::Artifact;
use mlcc_runtime::{LoadOptions, Model as Loaded, Tensor as Value};
use mlcc_tests::{Attribute, DType, Dim, Model, Node, Tensor, mlcc, program};

/// A sound artifact with an input and what it computes from it.
pub(crate) struct Sound {
    /// The file.
    pub(crate) bytes: Vec<u8>,
    pub(crate) artifact: Artifact,
    pub(crate) input: Value,
    pub(crate) output: Vec<u8>,
}

/// Compiles the networks for this machine and runs each once.
pub(crate) fn compile() -> Result<Vec<Sound>, Box<dyn std::error::Error>> {
    let folder = program::temporary_folder();
    let mut all = Vec::new();
    for (name, network, shape) in [
        ("dense", dense(), [4, 17, 1, 1]),
        ("convolution", convolution(), [1, 3, 9, 9]),
        ("table", table(), [5, 8, 1, 1]),
    ] {
        let (model, file) = (format!("{name}.onnx"), format!("{name}.mlcc"));
        network.write(&folder.path().join(&model))?;
        mlcc(folder.path(), &["compile", &model, "-o", &file]).expect_success();
        all.push(sound(&folder.path().join(file), &shape)?);
    }
    Ok(all)
}

fn sound(path: &Path, shape: &[i64]) -> Result<Sound, Box<dyn std::error::Error>> {
    let bytes = std::fs::read(path)?;
    let artifact = Artifact::from_bytes(&bytes)?;
    let model = Loaded::load_with(path, &LoadOptions { threads: 1, ..LoadOptions::default() })?;
    let dims = &shape[..model.signature().inputs[0].dims.len()];
    let sizes: Vec<usize> = dims.iter().map(|&dim| dim as usize).collect();
    let values = Tensor::random(DType::F32, &sizes, 1);
    let mut input = Value::zeros(mlcc_runtime::DType::F32, dims)?;
    input.data_mut().copy_from_slice(values.bytes());
    let output = model.run_owned(&[input.as_ref()])?.swap_remove(0).data().to_vec();
    Ok(Sound { bytes, artifact, input, output })
}

fn random(shape: &[usize], seed: u64) -> Tensor {
    Tensor::random(DType::F32, shape, seed)
}

fn sizes(shape: &[usize]) -> Vec<Dim> {
    shape.iter().map(|&size| size.into()).collect()
}

/// Two dense layers and a softmax over a symbolic batch.
fn dense() -> Model {
    Model::new(18)
        .input("x", DType::F32, &["n".into(), 17.into()])
        .weight("w1", random(&[17, 24], 2))
        .weight("b1", random(&[24], 3))
        .weight("w2", random(&[24, 10], 4))
        .node(Node::new("MatMul", &["x", "w1"], &["a"]))
        .node(Node::new("Add", &["a", "b1"], &["b"]))
        .node(Node::new("Relu", &["b"], &["c"]))
        .node(Node::new("MatMul", &["c", "w2"], &["d"]))
        .node(Node::new("Softmax", &["d"], &["y"]).attribute("axis", Attribute::Int(-1)))
        .output("y", DType::F32, &["n".into(), 10.into()])
}

/// A convolution, a pool and a sum over the image.
fn convolution() -> Model {
    let pads = || Attribute::Ints(vec![1, 1, 1, 1]);
    Model::new(18)
        .input("x", DType::F32, &sizes(&[1, 3, 9, 9]))
        .weight("w", random(&[8, 3, 3, 3], 2))
        .weight("b", random(&[8], 3))
        .node(Node::new("Conv", &["x", "w", "b"], &["c"]).attribute("pads", pads()))
        .node(Node::new("Sigmoid", &["c"], &["s"]))
        .node(Node::new("GlobalAveragePool", &["s"], &["y"]))
        .output("y", DType::F32, &sizes(&[1, 8, 1, 1]))
}

/// Rows chosen by constant indices, which are weights too, scaled.
fn table() -> Model {
    Model::new(18)
        .input("x", DType::F32, &sizes(&[5, 8]))
        .weight("rows", Tensor::i64(&[7], [4, 0, 3, 3, 1, 2, 0]))
        .weight("scale", random(&[7, 8], 2))
        .node(Node::new("Gather", &["x", "rows"], &["g"]).attribute("axis", Attribute::Int(0)))
        .node(Node::new("Mul", &["g", "scale"], &["m"]))
        .node(Node::new("Tanh", &["m"], &["y"]))
        .output("y", DType::F32, &sizes(&[7, 8]))
}
