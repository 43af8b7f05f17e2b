//! Kernels to decide about.

use mlcc_ir::{
    dtype::DType,
    expr::Expr,
    kernel::{Axis, AxisKind, Combine, Compute, Kernel, KernelTensor, Role},
    scalar::{BinaryOp, Body, Constant, Inst, UnaryOp},
    types::TensorType,
};

fn expr(text: &str) -> Expr {
    text.parse().unwrap_or_else(|e| panic!("{e}"))
}

/// Index expressions from text, separated by `;`.
pub fn index(text: &str) -> Vec<Expr> {
    text.split(';').map(str::trim).filter(|t| !t.is_empty()).map(expr).collect()
}

/// A kernel being built from text.
pub struct Build {
    kernel: Kernel,
}

/// The kernel `name`.
pub fn kernel(name: &str) -> Build {
    Build { kernel: Kernel { name: name.into(), nodes: vec![], tensors: vec![], computes: vec![] } }
}

impl Build {
    /// Adds a tensor of `f32`: its name and dimensions separated by `;`.
    pub fn tensor(self, name: &str, dims: &str, role: Role) -> Build {
        self.typed(name, dims, role, DType::F32)
    }

    pub fn typed(mut self, name: &str, dims: &str, role: Role, dtype: DType) -> Build {
        let ty = TensorType::new(dtype, index(dims));
        self.kernel.tensors.push(KernelTensor { name: name.into(), ty, role });
        self
    }

    pub fn input(self, name: &str, dims: &str) -> Build {
        self.tensor(name, dims, Role::Input)
    }

    pub fn output(self, name: &str, dims: &str) -> Build {
        self.tensor(name, dims, Role::Output)
    }

    pub fn temporary(self, name: &str, dims: &str) -> Build {
        self.tensor(name, dims, Role::Temporary)
    }

    /// Adds a compute: axes as `m=5 n=7 +k=3` (`+` is reduced, `!` sequential), the target's name, the
    /// index written and the body.
    #[expect(clippy::too_many_arguments, reason = "they are the parts of a compute, in its order")]
    pub fn compute(
        mut self,
        name: &str,
        axes: &str,
        (target, write): (&str, &str),
        body: Body,
        combine: Option<Combine>,
    ) -> Build {
        let axes = axes
            .split_whitespace()
            .map(|a| {
                let (name, extent) = a.split_once('=').unwrap();
                let kind = match name.as_bytes()[0] {
                    b'+' => AxisKind::Reduction,
                    b'!' => AxisKind::Sequential,
                    _ => AxisKind::Parallel,
                };
                Axis { name: name.trim_start_matches(['+', '!']).into(), extent: expr(extent), kind }
            })
            .collect();
        let target = self.number(target);
        self.kernel.computes.push(Compute {
            name: name.into(),
            axes,
            target,
            write: index(write),
            body,
            combine,
        });
        self
    }

    pub fn number(&self, tensor: &str) -> usize {
        self.kernel.tensors.iter().position(|t| *t.name == *tensor).unwrap()
    }

    pub fn done(self) -> Kernel {
        self.kernel
    }
}

/// A read of tensor number `t`.
pub fn read(t: usize, at: &str) -> Body {
    let mut b = Body::default();
    b.read(t, index(at), DType::F32);
    b
}

/// A read that may be out of bounds.
pub fn read_or(t: usize, at: &str, outside: f64) -> Body {
    let mut b = Body::default();
    let outside = Some(Constant::float(DType::F32, outside));
    b.push(Inst::Read { tensor: t, index: index(at), outside }, DType::F32);
    b
}

/// A function of one body.
pub fn unary(op: UnaryOp, mut a: Body) -> Body {
    let r = a.result;
    a.unary(op, r);
    a
}

/// A function of two bodies.
pub fn binary(op: BinaryOp, a: Body, b: Body) -> Body {
    let mut all = a;
    let (left, shift) = (all.result, all.insts.len() as u32);
    for (inst, dtype) in b.insts {
        let inst = match inst {
            Inst::Unary(op, a) => Inst::Unary(op, a + shift),
            Inst::Binary(op, a, b) => Inst::Binary(op, a + shift, b + shift),
            other => other,
        };
        all.push(inst, dtype);
    }
    let right = b.result + shift;
    all.binary(op, left, right);
    all
}

/// `y = a @ b` of `f32` with batches, transposed operands and a bias as wanted.
pub fn matmul(m: &str, n: &str, k: &str, transposed: bool, bias: bool) -> Kernel {
    let (b_dims, b_at) =
        if transposed { (format!("{n};{k}"), "%n;%k") } else { (format!("{k};{n}"), "%k;%n") };
    let product = binary(BinaryOp::Mul, read(0, "%m;%k"), read(1, b_at));
    let build = kernel("matmul").input("a", &format!("{m};{k}")).input("b", &b_dims);
    let out = format!("{m};{n}");
    let axes = format!("m={m} n={n} +k={k}");
    let add = Some(Combine::Add);
    if !bias {
        return build.output("y", &out).compute("matmul", &axes, ("y", "%m;%n"), product, add).done();
    }
    let sum = binary(BinaryOp::Add, read(4, "%m;%n"), read(2, "%n"));
    build
        .input("bias", n)
        .output("y", &out)
        .temporary("acc", &out)
        .compute("matmul", &axes, ("acc", "%m;%n"), product, add)
        .compute("bias", &format!("m={m} n={n}"), ("y", "%m;%n"), unary(UnaryOp::Tanh, sum), None)
        .done()
}

/// Sizes of a convolution.
#[derive(Clone, Copy)]
pub struct Conv<'a> {
    pub n: &'a str,
    pub groups: i64,
    pub m: i64,
    pub c: i64,
    pub size: (&'a str, &'a str),
    pub kernel: i64,
    pub stride: i64,
}

/// A convolution with bias and activation, as the lowering makes it.
pub fn conv(c: Conv<'_>) -> Kernel {
    let Conv { n, groups, m, c, size: (h, w), kernel: k, stride: s } = c;
    let pad = k / 2;
    let out = |x: &str| (expr(x) + Expr::from(2 * pad - k)).floor_div(&Expr::from(s)) + Expr::from(1);
    let (oh, ow) = (out(h).to_string().replace(' ', ""), out(w).to_string().replace(' ', ""));
    let group = groups > 1;
    let (channel, in_channel) = if group {
        (format!("%g * {m} + %m"), format!("%g * {c} + %c"))
    } else {
        ("%m".to_owned(), "%c".to_owned())
    };
    let write = format!("%n;{channel};%h;%w");
    let mut free = format!("n={n} ");
    if group {
        free += &format!("g={groups} ");
    }
    free += &format!("m={m} h={oh} w={ow}");
    let (x_at, w_at, window) = if k > 1 {
        let at = |a: &str| format!("%{a} * {s} + %k{a} - {pad}");
        let x = format!("%n;{in_channel};{};{}", at("h"), at("w"));
        (x, format!("{channel};%c;%kh;%kw"), format!(" +kh={k} +kw={k}"))
    } else {
        (format!("%n;{in_channel};%h * {s};%w * {s}"), format!("{channel};%c;0;0"), String::new())
    };
    let x = if pad > 0 { read_or(0, &x_at, 0.0) } else { read(0, &x_at) };
    let zero = {
        let mut b = Body::default();
        b.constant(Constant::float(DType::F32, 0.0));
        b
    };
    let biased = binary(BinaryOp::Add, read(4, &write), read(2, &channel));
    let (mt, ct) = (groups * m, groups * c);
    kernel("conv")
        .input("x", &format!("{n};{ct};{h};{w}"))
        .input("w", &format!("{mt};{c};{k};{k}"))
        .input("bias", &format!("{mt}"))
        .output("y", &format!("{n};{mt};{oh};{ow}"))
        .temporary("acc", &format!("{n};{mt};{oh};{ow}"))
        .compute(
            "conv",
            &format!("{free} +c={c}{window}"),
            ("acc", &write),
            binary(BinaryOp::Mul, x, read(1, &w_at)),
            Some(Combine::Add),
        )
        .compute("relu", &free, ("y", &write), binary(BinaryOp::Max, biased, zero), None)
        .done()
}

/// Softmax over the last dimension.
pub fn softmax(rows: &str, cols: &str) -> Kernel {
    let all = format!("{rows};{cols}");
    let (reduced, mapped) = (format!("i0={rows} +r1={cols}"), format!("i0={rows} i1={cols}"));
    kernel("softmax")
        .input("x", &all)
        .output("y", &all)
        .temporary("max", rows)
        .temporary("exp", &all)
        .temporary("sum", rows)
        .compute("max", &reduced, ("max", "%i0"), read(0, "%i0;%r1"), Some(Combine::Max))
        .compute(
            "exp",
            &mapped,
            ("exp", "%i0;%i1"),
            unary(UnaryOp::Exp, binary(BinaryOp::Sub, read(0, "%i0;%i1"), read(2, "%i0"))),
            None,
        )
        .compute("sum", &reduced, ("sum", "%i0"), read(3, "%i0;%r1"), Some(Combine::Add))
        .compute(
            "softmax",
            &mapped,
            ("y", "%i0;%i1"),
            binary(BinaryOp::Div, read(3, "%i0;%i1"), read(4, "%i0")),
            None,
        )
        .done()
}
