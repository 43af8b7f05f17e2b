//! Kernels for tests, as fusion leaves them.

use mlcc_ir::{
    dtype::DType,
    expr::Expr,
    kernel::{Axis, AxisKind, Combine, Compute, Kernel, KernelTensor, Role},
    scalar::{BinaryOp, Body, Constant, UnaryOp, ValueId},
    types::TensorType,
};

/// Expressions separated by `;`.
pub(crate) fn exprs(text: &str) -> Vec<Expr> {
    let parts = text.split(';').map(str::trim).filter(|p| !p.is_empty());
    parts.map(|p| p.parse().expect("an expression")).collect()
}

/// A kernel under construction.
pub(crate) struct Sample {
    pub(crate) kernel: Kernel,
}

impl Sample {
    pub(crate) fn new(name: &str) -> Sample {
        let kernel =
            Kernel { name: name.into(), nodes: vec![name.into()], tensors: Vec::new(), computes: Vec::new() };
        Sample { kernel }
    }

    pub(crate) fn tensor(&mut self, name: &str, role: Role, dims: &str) -> usize {
        self.typed(name, role, dims, DType::F32)
    }

    pub(crate) fn typed(&mut self, name: &str, role: Role, dims: &str, dtype: DType) -> usize {
        let ty = TensorType::new(dtype, exprs(dims));
        self.kernel.tensors.push(KernelTensor { name: name.into(), ty, role });
        self.kernel.tensors.len() - 1
    }

    /// Adds a compute; `axes` are `name=extent` separated by `;`, a reduction's `+name=extent`, an ordered
    /// one's `>name=extent`.
    pub(crate) fn compute(
        &mut self,
        (name, axes): (&str, &str),
        (target, write): (usize, &str),
        combine: Option<Combine>,
        body: impl FnOnce(&mut Body) -> ValueId,
    ) {
        let axes = axes
            .split(';')
            .map(str::trim)
            .filter(|a| !a.is_empty())
            .map(|a| {
                let (kind, a) = match a.as_bytes()[0] {
                    b'+' => (AxisKind::Reduction, &a[1..]),
                    b'>' => (AxisKind::Sequential, &a[1..]),
                    _ => (AxisKind::Parallel, a),
                };
                let (name, extent) = a.split_once('=').expect("name=extent");
                Axis { name: name.into(), extent: extent.parse().expect("an expression"), kind }
            })
            .collect();
        let mut value = Body::default();
        value.result = body(&mut value);
        let write = exprs(write);
        self.kernel.computes.push(Compute { name: name.into(), axes, target, write, body: value, combine });
    }
}

pub(crate) fn read(b: &mut Body, tensor: usize, index: &str) -> ValueId {
    b.read(tensor, exprs(index), DType::F32)
}

/// `y = relu(x * scale[c]) + 1`, with a broadcast operand.
pub(crate) fn elementwise(dims: [&str; 3]) -> Kernel {
    let mut s = Sample::new("scale_relu");
    let [n, c, w] = dims;
    let x = s.tensor("x", Role::Input, &format!("{n};{c};{w}"));
    let scale = s.tensor("scale", Role::Input, c);
    let t = s.tensor("t", Role::Temporary, &format!("{n};{c};{w}"));
    let y = s.tensor("y", Role::Output, &format!("{n};{c};{w}"));
    let axes = format!("i={n};j={c};k={w}");
    s.compute(("scale", &axes), (t, "%i;%j;%k"), None, |b| {
        let (v, f) = (read(b, x, "%i;%j;%k"), read(b, scale, "%j"));
        b.binary(BinaryOp::Mul, v, f)
    });
    s.compute(("relu", &axes), (y, "%i;%j;%k"), None, |b| {
        let v = read(b, t, "%i;%j;%k");
        let zero = b.constant(Constant::float(DType::F32, 0.0));
        let one = b.constant(Constant::float(DType::F32, 1.0));
        let v = b.binary(BinaryOp::Max, v, zero);
        b.binary(BinaryOp::Add, v, one)
    });
    s.kernel
}

/// Softmax over the last axis.
pub(crate) fn softmax(rows: &str, length: &str) -> Kernel {
    let mut s = Sample::new("softmax");
    let all = format!("{rows};{length}");
    let x = s.tensor("x", Role::Input, &all);
    let max = s.tensor("max", Role::Temporary, rows);
    let exp = s.tensor("exp", Role::Temporary, &all);
    let sum = s.tensor("sum", Role::Temporary, rows);
    let y = s.tensor("y", Role::Output, &all);
    let (axes, reduced) = (format!("i0={rows};i1={length}"), format!("i0={rows};+i1={length}"));
    s.compute(("max", &reduced), (max, "%i0"), Some(Combine::Max), |b| read(b, x, "%i0;%i1"));
    s.compute(("exp", &axes), (exp, "%i0;%i1"), None, |b| {
        let (v, m) = (read(b, x, "%i0;%i1"), read(b, max, "%i0"));
        let d = b.binary(BinaryOp::Sub, v, m);
        b.unary(UnaryOp::Exp, d)
    });
    s.compute(("sum", &reduced), (sum, "%i0"), Some(Combine::Add), |b| read(b, exp, "%i0;%i1"));
    s.compute(("softmax", &axes), (y, "%i0;%i1"), None, |b| {
        let (v, total) = (read(b, exp, "%i0;%i1"), read(b, sum, "%i0"));
        b.binary(BinaryOp::Div, v, total)
    });
    s.kernel
}

/// Layer normalisation over the last axis, with scale.
pub(crate) fn layer_norm(rows: &str, length: &str) -> Kernel {
    let mut s = Sample::new("layer_norm");
    let all = format!("{rows};{length}");
    let x = s.tensor("x", Role::Input, &all);
    let scale = s.tensor("scale", Role::Input, length);
    let [sum, mean, squares, inverse] =
        ["sum", "mean", "squares", "inv_std"].map(|n| s.tensor(n, Role::Temporary, rows));
    let y = s.tensor("y", Role::Output, &all);
    let (axes, reduced) = (format!("i={rows};j={length}"), format!("i={rows};+j={length}"));
    let kept = format!("r={rows}");
    let count = |b: &mut Body| {
        let n = b.push(mlcc_ir::scalar::Inst::Index(length.parse().expect("an extent")), DType::I64);
        b.cast(n, DType::F32)
    };
    s.compute(("sum", &reduced), (sum, "%i"), Some(Combine::Add), |b| read(b, x, "%i;%j"));
    s.compute(("mean", &kept), (mean, "%r"), None, |b| {
        let (v, n) = (read(b, sum, "%r"), count(b));
        b.binary(BinaryOp::Div, v, n)
    });
    let centred = |b: &mut Body| {
        let (v, m) = (read(b, x, "%i;%j"), read(b, mean, "%i"));
        b.binary(BinaryOp::Sub, v, m)
    };
    s.compute(("squares", &reduced), (squares, "%i"), Some(Combine::Add), |b| {
        let v = centred(b);
        b.binary(BinaryOp::Mul, v, v)
    });
    s.compute(("inv_std", &kept), (inverse, "%r"), None, |b| {
        let (v, n) = (read(b, squares, "%r"), count(b));
        let variance = b.binary(BinaryOp::Div, v, n);
        let epsilon = b.constant(Constant::float(DType::F32, 1e-5));
        let v = b.binary(BinaryOp::Add, variance, epsilon);
        let root = b.unary(UnaryOp::Sqrt, v);
        let one = b.constant(Constant::float(DType::F32, 1.0));
        b.binary(BinaryOp::Div, one, root)
    });
    s.compute(("scale", &axes), (y, "%i;%j"), None, |b| {
        let v = centred(b);
        let f = read(b, inverse, "%i");
        let v = b.binary(BinaryOp::Mul, v, f);
        let f = read(b, scale, "%j");
        b.binary(BinaryOp::Mul, v, f)
    });
    s.kernel
}

/// `y[b, m, n] = relu(sum over k of a[b, m, k] * w[b, k, n] + bias[n])`.
pub(crate) fn matmul([batch, m, n, k]: [&str; 4]) -> Kernel {
    let mut s = Sample::new("matmul_bias_relu");
    let a = s.tensor("a", Role::Input, &format!("{batch};{m};{k}"));
    let w = s.tensor("w", Role::Input, &format!("{batch};{k};{n}"));
    let bias = s.tensor("bias", Role::Input, n);
    let acc = s.tensor("acc", Role::Temporary, &format!("{batch};{m};{n}"));
    let y = s.tensor("y", Role::Output, &format!("{batch};{m};{n}"));
    let axes = format!("b={batch};m={m};n={n};+k={k}");
    s.compute(("matmul", &axes), (acc, "%b;%m;%n"), Some(Combine::Add), |b| {
        let (x, w) = (read(b, a, "%b;%m;%k"), read(b, w, "%b;%k;%n"));
        b.binary(BinaryOp::Mul, x, w)
    });
    let axes = format!("i0={batch};i1={m};i2={n}");
    s.compute(("bias", &axes), (y, "%i0;%i1;%i2"), None, |b| {
        let (v, bias) = (read(b, acc, "%i0;%i1;%i2"), read(b, bias, "%i2"));
        let v = b.binary(BinaryOp::Add, v, bias);
        let zero = b.constant(Constant::float(DType::F32, 0.0));
        b.binary(BinaryOp::Max, v, zero)
    });
    s.kernel
}

/// Differences of neighbours in patches that overlap, by two temporaries: no temporary is one value a point, and none
/// is computed by one compute. The last of a patch's values is a sum of all, by a reduction or written out.
pub(crate) fn patches(lines: &str, channels: &str, reduces: bool) -> Kernel {
    let mut s = Sample::new("patches");
    let x = s.tensor("x", Role::Input, &format!("2 * {lines} + 2;{channels}"));
    let patch = s.tensor("patch", Role::Temporary, &format!("{lines};4;{channels}"));
    let half = s.tensor("half", Role::Temporary, &format!("{lines};3;{channels}"));
    let y = s.tensor("y", Role::Output, &format!("3;{lines};{channels}"));
    let axes = |i: &str| format!("l={lines};{i};c={channels}");
    s.compute(("patch", &axes("i=4")), (patch, "%l;%i;%c"), None, |b| read(b, x, "%l * 2 + %i;%c"));
    s.compute(("first", &axes("i=2")), (half, "%l;%i;%c"), None, |b| {
        let (v, next) = (read(b, patch, "%l;%i;%c"), read(b, patch, "%l;%i + 1;%c"));
        b.binary(BinaryOp::Sub, v, next)
    });
    let sum = if reduces { ("+i=4", Some(Combine::Add)) } else { ("", None) };
    s.compute(("last", &format!("l={lines};c={channels};{}", sum.0)), (half, "%l;2;%c"), sum.1, |b| {
        if reduces {
            return read(b, patch, "%l;%i;%c");
        }
        let values: Vec<_> = (0..4).map(|i| read(b, patch, &format!("%l;{i};%c"))).collect();
        values[1..].iter().fold(values[0], |sum, v| b.binary(BinaryOp::Add, sum, *v))
    });
    s.compute(("y", &axes("i=3")), (y, "%i;%l;%c"), None, |b| {
        let (v, other) = (read(b, half, "%l;%i;%c"), read(b, half, "%l;2 - %i;%c"));
        b.binary(BinaryOp::Mul, v, other)
    });
    s.kernel
}
