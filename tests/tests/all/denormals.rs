//! Denormal numbers are zeros to kernels, unless a model is compiled to keep them; 16-bit floats keep theirs.

use mlcc_tests::{Attribute, DType, Model, Node, Tensor};

use crate::project::Project;

/// Enough elements that several threads take part.
const N: usize = 300_000;

/// `y = a * b`.
fn products() -> Model {
    let vector = [N.into()];
    Model::new(18)
        .input("a", DType::F32, &vector)
        .input("b", DType::F32, &vector)
        .node(Node::new("Mul", &["a", "b"], &["y"]))
        .output("y", DType::F32, &vector)
}

fn cycle(values: [f32; 3]) -> Tensor {
    Tensor::f32(&[N], (0..N).map(|i| values[i % 3]))
}

#[test]
fn denormals_are_zeros_unless_they_are_kept() {
    let project = Project::with(&products());
    // A product that is denormal, one of a denormal, one of neither.
    project.write_inputs(&[cycle([1e-20, 1e-40, 1.5]), cycle([1e-20, 1e10, 2.0])]);
    project.succeed(&["compile", "model.onnx", "-o", "flush.mlcc"]);
    project.succeed(&["compile", "model.onnx", "-o", "keep.mlcc", "--keep-denormals"]);
    assert!(project.succeed(&["inspect", "keep.mlcc"]).contains("--keep-denormals"));
    for threads in ["1", "3"] {
        for (file, want) in
            [("flush.mlcc", [0.0, 0.0, 3.0]), ("keep.mlcc", [1e-20 * 1e-20, 1e-40 * 1e10, 3.0])]
        {
            let inputs = ["--input", "input_0.npy", "--input", "input_1.npy"];
            let run = [&["run", file, "--threads", threads, "--output-dir", "out"], &inputs[..]].concat();
            project.succeed(&run);
            let y = mlcc_tests::npy::read(&project.path("out/output_0.npy")).expect("an output");
            assert!(y.bytes() == cycle(want).bytes(), "{file} on {threads} threads: {:?}", &y.to_f64()[..3]);
        }
    }
}

#[test]
fn half_precision_keeps_its_denormals() {
    const HALF: i64 = 10;
    let cast = |from, to, dtype| Node::new("Cast", &[from], &[to]).attribute("to", Attribute::Int(dtype));
    let model = Model::new(18)
        .input("x", DType::F32, &[8.into()])
        .node(cast("x", "half", HALF))
        .node(Node::new("Add", &["half", "half"], &["sum"]))
        .node(cast("sum", "y", 1))
        .output("y", DType::F32, &[8.into()]);
    let project = Project::with(&model);
    // Denormal numbers of 16 bits are multiples of 2^-24 below 2^-14, and normal ones of 32 bits.
    let steps =
        |factor: f32| [0.0f32, 1.0, 2.0, 3.0, 341.0, 511.0, 512.0, -1.0].map(|n| factor * n / 16_777_216.0);
    project.write_inputs(&[Tensor::f32(&[8], steps(1.0))]);
    assert_eq!(project.run("model.onnx", 1)[0].bytes(), Tensor::f32(&[8], steps(2.0)).bytes());
}
