//! Small networks, each with inputs and what it should compute on them.

use mlcc_tests::{Attribute, DType, Dim, Model, Node, Tensor};

use crate::reference::{Array, Window, erf};

/// A network with a fixed input, and its right output.
pub(crate) struct Network {
    pub(crate) name: &'static str,
    pub(crate) model: Model,
    pub(crate) input: Tensor,
    pub(crate) output: Tensor,
}

/// All of them.
pub(crate) fn all() -> Vec<Network> {
    vec![mlp(), conv_net(), attention(), norm_gelu(), dynamic(3)]
}

fn random(shape: &[usize], seed: u64) -> Tensor {
    Tensor::random(DType::F32, shape, seed)
}

/// Random values in [0.5, 1.5): variances and scales.
fn positive(shape: &[usize], seed: u64) -> Tensor {
    let values = random(shape, seed).to_f64();
    Tensor::f32(shape, values.into_iter().map(|x| (x / 2.0 + 1.0) as f32))
}

fn sizes(shape: &[usize]) -> Vec<Dim> {
    shape.iter().map(|&size| size.into()).collect()
}

fn ints(values: &[i64]) -> Attribute {
    Attribute::Ints(values.to_vec())
}

/// Two dense layers and a softmax.
pub(crate) fn mlp() -> Network {
    let input = random(&[3, 17], 1);
    let (w1, b1) = (random(&[17, 33], 2), random(&[33], 3));
    let (w2, b2) = (random(&[33, 10], 4), random(&[10], 5));
    let output = Array::from(&input)
        .matmul(&(&w1).into())
        .add_row(&(&b1).into())
        .map(|x| x.max(0.0))
        .matmul(&(&w2).into())
        .add_row(&(&b2).into())
        .softmax();
    let model = Model::new(18)
        .input("x", DType::F32, &sizes(&[3, 17]))
        .weight("w1", w1)
        .weight("b1", b1)
        .weight("w2", w2)
        .weight("b2", b2)
        .node(Node::new("MatMul", &["x", "w1"], &["h1"]).named("dense_1/matmul"))
        .node(Node::new("Add", &["h1", "b1"], &["h2"]).named("dense_1/bias"))
        .node(Node::new("Relu", &["h2"], &["h3"]).named("dense_1/relu"))
        .node(Node::new("MatMul", &["h3", "w2"], &["h4"]).named("dense_2/matmul"))
        .node(Node::new("Add", &["h4", "b2"], &["h5"]).named("dense_2/bias"))
        .node(Node::new("Softmax", &["h5"], &["y"]).named("softmax").attribute("axis", Attribute::Int(-1)))
        .output("y", DType::F32, &sizes(&[3, 10]));
    Network { name: "mlp", model, input, output: output.to_tensor() }
}

/// A convolution and a depthwise one, each with batch normalisation, then pools and a dense layer.
pub(crate) fn conv_net() -> Network {
    const EPSILON: f64 = 1e-5;
    let input = random(&[1, 5, 11, 9], 11);
    let (w1, b1) = (random(&[8, 5, 3, 3], 12), random(&[8], 13));
    let w2 = random(&[8, 1, 3, 3], 14);
    let (scale, shift, mean, variance) =
        (positive(&[8], 15), random(&[8], 16), random(&[8], 17), positive(&[8], 18));
    let (w3, b3) = (random(&[8, 7], 19), random(&[7], 20));

    let [bias, scales, shifts, means, variances] =
        [&b1, &scale, &shift, &mean, &variance].map(Tensor::to_f64);
    let normalise =
        |c: usize, x: f64| scales[c] * (x - means[c]) / (variances[c] + EPSILON).sqrt() + shifts[c];
    let output = Array::from(&input)
        .convolve(&(&w1).into(), Window { stride: 1, padding: 1, groups: 1 })
        .map_channels(|c, x| normalise(c, x + bias[c]).max(0.0))
        .convolve(&(&w2).into(), Window { stride: 1, padding: 1, groups: 8 })
        .map_channels(|c, x| normalise(c, x).clamp(0.0, 6.0))
        .max_pool()
        .channel_means()
        .matmul(&(&w3).into())
        .add_row(&(&b3).into());

    let normal = |input: &str, output: &str, name: &str| {
        Node::new("BatchNormalization", &[input, "scale", "shift", "mean", "variance"], &[output])
            .named(name)
            .attribute("epsilon", Attribute::Float(EPSILON as f32))
    };
    let model = Model::new(18)
        .input("image", DType::F32, &sizes(&[1, 5, 11, 9]))
        .weight("w1", w1)
        .weight("b1", b1)
        .weight("w2", w2)
        .weight("scale", scale)
        .weight("shift", shift)
        .weight("mean", mean)
        .weight("variance", variance)
        .weight("w3", w3)
        .weight("b3", b3)
        .weight("zero", Tensor::f32(&[], [0.0]))
        .weight("six", Tensor::f32(&[], [6.0]))
        .node(
            Node::new("Conv", &["image", "w1", "b1"], &["h1"]).named("conv").attribute("pads", ints(&[1; 4])),
        )
        .node(normal("h1", "h2", "conv/norm"))
        .node(Node::new("Relu", &["h2"], &["h3"]).named("conv/relu"))
        .node(
            Node::new("Conv", &["h3", "w2"], &["h4"])
                .named("depthwise")
                .attribute("pads", ints(&[1; 4]))
                .attribute("group", Attribute::Int(8)),
        )
        .node(normal("h4", "h5", "depthwise/norm"))
        .node(Node::new("Clip", &["h5", "zero", "six"], &["h6"]).named("depthwise/relu6"))
        .node(
            Node::new("MaxPool", &["h6"], &["h7"])
                .named("pool")
                .attribute("kernel_shape", ints(&[2, 2]))
                .attribute("strides", ints(&[2, 2])),
        )
        .node(Node::new("GlobalAveragePool", &["h7"], &["h8"]).named("means"))
        .node(Node::new("Flatten", &["h8"], &["h9"]).named("flatten"))
        .node(Node::new("Gemm", &["h9", "w3", "b3"], &["y"]).named("classifier"))
        .output("y", DType::F32, &sizes(&[1, 7]));
    Network { name: "conv_net", model, input, output: output.to_tensor() }
}

/// One head of self-attention.
pub(crate) fn attention() -> Network {
    let input = random(&[2, 7, 12], 21);
    let [wq, wk, wv] = [22, 23, 24].map(|seed| random(&[12, 9], seed));
    let x = Array::from(&input);
    let [q, k, v] = [&wq, &wk, &wv].map(|w| x.matmul(&w.into()));
    let output = q.matmul(&k.transpose()).map(|s| s / 3.0).softmax().matmul(&v);
    let model = Model::new(18)
        .input("x", DType::F32, &sizes(&[2, 7, 12]))
        .weight("wq", wq)
        .weight("wk", wk)
        .weight("wv", wv)
        .weight("root", Tensor::f32(&[], [3.0]))
        .node(Node::new("MatMul", &["x", "wq"], &["q"]).named("query"))
        .node(Node::new("MatMul", &["x", "wk"], &["k"]).named("key"))
        .node(Node::new("MatMul", &["x", "wv"], &["v"]).named("value"))
        .node(
            Node::new("Transpose", &["k"], &["kt"])
                .named("key/transpose")
                .attribute("perm", ints(&[0, 2, 1])),
        )
        .node(Node::new("MatMul", &["q", "kt"], &["s"]).named("scores"))
        .node(Node::new("Div", &["s", "root"], &["scaled"]).named("scores/scale"))
        .node(Node::new("Softmax", &["scaled"], &["p"]).named("weights"))
        .node(Node::new("MatMul", &["p", "v"], &["y"]).named("mix"))
        .output("y", DType::F32, &sizes(&[2, 7, 9]));
    Network { name: "attention", model, input, output: output.to_tensor() }
}

/// Layer normalisation, then GELU written out with `Erf`, as exporters do.
pub(crate) fn norm_gelu() -> Network {
    const EPSILON: f64 = 1e-5;
    let input = random(&[4, 19], 31);
    let (scale, bias) = (positive(&[19], 32), random(&[19], 33));
    let output = Array::from(&input)
        .layer_norm(&(&scale).into(), &(&bias).into(), EPSILON)
        .map(|x| x * 0.5 * (1.0 + erf(x / std::f64::consts::SQRT_2)));
    let model = Model::new(18)
        .input("x", DType::F32, &sizes(&[4, 19]))
        .weight("scale", scale)
        .weight("bias", bias)
        .weight("root", Tensor::f32(&[], [std::f32::consts::SQRT_2]))
        .weight("one", Tensor::f32(&[], [1.0]))
        .weight("half", Tensor::f32(&[], [0.5]))
        .node(
            Node::new("LayerNormalization", &["x", "scale", "bias"], &["n"])
                .named("norm")
                .attribute("epsilon", Attribute::Float(EPSILON as f32)),
        )
        .node(Node::new("Div", &["n", "root"], &["g1"]).named("gelu/div"))
        .node(Node::new("Erf", &["g1"], &["g2"]).named("gelu/erf"))
        .node(Node::new("Add", &["g2", "one"], &["g3"]).named("gelu/add"))
        .node(Node::new("Mul", &["n", "g3"], &["g4"]).named("gelu/mul"))
        .node(Node::new("Mul", &["g4", "half"], &["y"]).named("gelu/half"))
        .output("y", DType::F32, &sizes(&[4, 19]));
    Network { name: "norm_gelu", model, input, output: output.to_tensor() }
}

/// A dense layer with symbolic batch, whose result is reshaped by a computed shape; run on `batch` rows.
pub(crate) fn dynamic(batch: usize) -> Network {
    let input = random(&[batch, 13], 41);
    let (w, b) = (random(&[13, 14], 42), random(&[14], 43));
    let mut output = Array::from(&input).matmul(&(&w).into()).add_row(&(&b).into());
    output.shape = vec![batch, 2, 7];
    let output = output.softmax();
    let model = Model::new(18)
        .input("x", DType::F32, &["n".into(), 13.into()])
        .weight("w", w)
        .weight("b", b)
        .weight("zero", Tensor::i64(&[1], [0]))
        .weight("heads", Tensor::i64(&[2], [2, 7]))
        .node(Node::new("MatMul", &["x", "w"], &["h1"]).named("dense"))
        .node(Node::new("Add", &["h1", "b"], &["h2"]).named("dense/bias"))
        .node(Node::new("Shape", &["x"], &["s1"]).named("shape"))
        .node(Node::new("Gather", &["s1", "zero"], &["s2"]).named("shape/batch"))
        .node(
            Node::new("Concat", &["s2", "heads"], &["s3"])
                .named("shape/heads")
                .attribute("axis", Attribute::Int(0)),
        )
        .node(Node::new("Reshape", &["h2", "s3"], &["h3"]).named("split"))
        .node(Node::new("Softmax", &["h3"], &["y"]).named("softmax"))
        .output("y", DType::F32, &["n".into(), 2.into(), 7.into()]);
    Network { name: "dynamic", model, input, output: output.to_tensor() }
}
