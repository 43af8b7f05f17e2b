//! Windows over contiguous channels: depthwise convolution and pooling.

use crate::{
    check::{check, check_on},
    kernels::{Build, binary, kernel, read, read_or, unary},
};
use mlcc_ir::{
    dtype::DType,
    expr::Expr,
    kernel::{Combine, Kernel},
    scalar::{BinaryOp, Body, Constant, Inst, UnaryOp},
};
use mlcc_machine::Machine;

/// A window along one dimension.
#[derive(Clone, Copy)]
struct Side {
    size: i64,
    kernel: i64,
    stride: i64,
    dilation: i64,
    pads: (i64, i64),
    /// Whether a last window counts that is partly outside.
    ceil: bool,
}

impl Side {
    fn new(size: i64, kernel: i64, stride: i64) -> Side {
        Side { size, kernel, stride, dilation: 1, pads: (kernel / 2, kernel / 2), ceil: false }
    }

    fn output(&self) -> i64 {
        let room = self.size + self.pads.0 + self.pads.1 - (self.kernel - 1) * self.dilation - 1;
        (if self.ceil { (room + self.stride - 1) / self.stride } else { room / self.stride }) + 1
    }

    fn at(&self, free: &str, reduced: &str) -> String {
        format!("%{free} * {} + %{reduced} * {} - {}", self.stride, self.dilation, self.pads.0)
    }

    fn leaves(&self) -> bool {
        let last = (self.output() - 1) * self.stride + (self.kernel - 1) * self.dilation - self.pads.0;
        self.pads.0 > 0 || last >= self.size
    }
}

/// A window over images `[n, h, w, c]`.
#[derive(Clone, Copy)]
struct Image {
    n: i64,
    h: Side,
    w: Side,
    c: i64,
}

impl Image {
    fn square(size: i64, kernel: i64, stride: i64, c: i64) -> Image {
        let side = Side::new(size, kernel, stride);
        Image { n: 1, h: side, w: side, c }
    }

    fn free(&self) -> String {
        format!("n={} h={} w={} c={}", self.n, self.h.output(), self.w.output(), self.c)
    }

    fn axes(&self) -> String {
        format!("{} +kh={} +kw={}", self.free(), self.h.kernel, self.w.kernel)
    }

    fn input(&self) -> String {
        format!("{};{};{};{}", self.n, self.h.size, self.w.size, self.c)
    }

    fn output(&self) -> String {
        format!("{};{};{};{}", self.n, self.h.output(), self.w.output(), self.c)
    }

    /// The element of tensor 0 under a point of the window.
    fn under(&self, outside: f64) -> Body {
        let at = format!("%n;{};{};%c", self.h.at("h", "kh"), self.w.at("w", "kw"));
        if self.h.leaves() || self.w.leaves() { read_or(0, &at, outside) } else { read(0, &at) }
    }
}

const POINT: &str = "%n;%h;%w;%c";

fn constant(value: f64) -> Body {
    let mut b = Body::default();
    b.constant(Constant::float(DType::F32, value));
    b
}

/// The stage behind the sum.
#[derive(Clone, Copy)]
enum Epilogue {
    None,
    Clip,
    Swish,
}

fn depthwise(i: Image, channels_last: bool, epilogue: Epilogue) -> Kernel {
    let (kh, kw, c) = (i.h.kernel, i.w.kernel, i.c);
    let (dims, at) = if channels_last {
        (format!("{kh};{kw};{c}"), "%kh;%kw;%c")
    } else {
        (format!("{c};{kh};{kw}"), "%c;%kh;%kw")
    };
    let product = binary(BinaryOp::Mul, i.under(0.0), read(1, at));
    let add = Some(Combine::Add);
    let build = kernel("depthwise").input("x", &i.input()).input("w", &dims);
    if matches!(epilogue, Epilogue::None) {
        return build.output("y", &i.output()).compute("dw", &i.axes(), ("y", POINT), product, add).done();
    }
    let biased = || binary(BinaryOp::Add, read(4, POINT), read(2, "%c"));
    let value = match epilogue {
        Epilogue::Clip => {
            let low = binary(BinaryOp::Max, biased(), constant(0.0));
            binary(BinaryOp::Min, low, constant(0.4))
        }
        _ => {
            let exp = unary(UnaryOp::Exp, unary(UnaryOp::Neg, biased()));
            binary(BinaryOp::Div, biased(), binary(BinaryOp::Add, constant(1.0), exp))
        }
    };
    build
        .input("bias", &c.to_string())
        .output("y", &i.output())
        .temporary("acc", &i.output())
        .compute("dw", &i.axes(), ("acc", POINT), product, add)
        .compute("act", &i.free(), ("y", POINT), value, None)
        .done()
}

/// A convolution of `groups` groups from `inputs` channels a group to `i.c`, as `[n, h, w, channels]`.
fn convolution(i: Image, groups: i64, inputs: i64, relu: bool) -> Kernel {
    let (kh, kw, m) = (i.h.kernel, i.w.kernel, i.c);
    let free = format!("n={} h={} w={} g={groups} m={m}", i.n, i.h.output(), i.w.output());
    let axes = format!("{free} +c={inputs} +kh={kh} +kw={kw}");
    let x = format!("%n;{};{};%g * {inputs} + %c", i.h.at("h", "kh"), i.w.at("w", "kw"));
    let x = if i.h.leaves() || i.w.leaves() { read_or(0, &x, 0.0) } else { read(0, &x) };
    let point = format!("%n;%h;%w;%g * {m} + %m");
    let product = binary(BinaryOp::Mul, x, read(1, &format!("%g * {m} + %m;%c;%kh;%kw")));
    let (all, out) = (Image { c: groups * inputs, ..i }, Image { c: groups * m, ..i });
    let build =
        kernel("conv").input("x", &all.input()).input("w", &format!("{};{inputs};{kh};{kw}", groups * m));
    let add = Some(Combine::Add);
    if !relu {
        return build.output("y", &out.output()).compute("conv", &axes, ("y", &point), product, add).done();
    }
    let value = binary(BinaryOp::Max, read(3, &point), constant(0.0));
    build
        .output("y", &out.output())
        .temporary("acc", &out.output())
        .compute("conv", &axes, ("acc", &point), product, add)
        .compute("relu", &free, ("y", &point), value, None)
        .done()
}

fn pool(i: Image) -> Build {
    kernel("pool").input("x", &i.input()).output("y", &i.output())
}

fn max_pool(i: Image) -> Kernel {
    pool(i).compute("max", &i.axes(), ("y", POINT), i.under(f64::NEG_INFINITY), Some(Combine::Max)).done()
}

/// An average over the points inside the image, or with `padding` over all of the window.
fn average_pool(i: Image, padding: bool) -> Kernel {
    let counted = |s: Side, free: &str| {
        if padding {
            return Expr::from(s.kernel);
        }
        let start = Expr::axis(free) * Expr::from(s.stride) - Expr::from(s.pads.0);
        let by = Expr::from(s.dilation);
        let end = (Expr::from(s.size) - start.clone()).ceil_div(&by).minimum(&Expr::from(s.kernel));
        end - (Expr::from(0) - start).ceil_div(&by).maximum(&Expr::from(0))
    };
    let mut value = read(2, POINT);
    let sum = value.result;
    let count = value.push(Inst::Index(counted(i.h, "h") * counted(i.w, "w")), DType::I64);
    let count = value.cast(count, DType::F32);
    value.binary(BinaryOp::Div, sum, count);
    pool(i)
        .temporary("sum", &i.output())
        .compute("sum", &i.axes(), ("sum", POINT), i.under(0.0), Some(Combine::Add))
        .compute("average", &i.free(), ("y", POINT), value, None)
        .done()
}

fn is_window(k: &Kernel, constants: &[usize]) {
    let (decision, _) = check(k, constants, &[]);
    assert_eq!(&*decision.variant, "sliding", "{}", decision.schedule);
}

#[test]
fn depthwise_of_odd_sizes_and_strides() {
    for (size, kernel, stride, c) in
        [(14, 3, 1, 32), (13, 3, 2, 24), (7, 5, 1, 40), (11, 5, 2, 58), (9, 7, 1, 16), (30, 2, 2, 17)]
    {
        let i = Image::square(size, kernel, stride, c);
        is_window(&depthwise(i, false, Epilogue::Clip), &[1]);
        is_window(&depthwise(i, true, Epilogue::Swish), &[]);
    }
}

#[test]
fn depthwise_without_epilogue_writes_what_it_sums() {
    is_window(&depthwise(Image { n: 2, ..Image::square(10, 3, 1, 33) }, true, Epilogue::None), &[1]);
}

#[test]
fn weights_that_are_neither_contiguous_nor_constant_keep_the_general_template() {
    let k = depthwise(Image::square(10, 3, 1, 32), false, Epilogue::Clip);
    let (decision, _) = check(&k, &[], &[]);
    assert_ne!(&*decision.variant, "sliding");
}

#[test]
fn convolutions_of_groups_and_of_few_channels() {
    for (size, stride, groups, inputs, outputs) in
        [(14, 1, 5, 8, 8), (33, 2, 3, 16, 16), (19, 1, 2, 24, 24), (17, 2, 1, 3, 24), (9, 1, 4, 8, 5)]
    {
        let i = Image::square(size, 3, stride, outputs);
        is_window(&convolution(i, groups, inputs, true), &[1]);
        is_window(&convolution(Image { n: 2, ..i }, groups, inputs, false), &[1]);
    }
}

#[test]
fn accumulators_and_images_in_other_layouts() {
    // The sums lie channels first, like the image of a first layer.
    let k = kernel("conv")
        .input("x", "1;3;21;17")
        .input("w", "32;3;3;3")
        .output("y", "1;11;9;32")
        .temporary("acc", "1;32;11;9")
        .compute(
            "conv",
            "h=11 w=9 m=32 +c=3 +kh=3 +kw=3",
            ("acc", "0;%m;%h;%w"),
            binary(
                BinaryOp::Mul,
                read_or(0, "0;%c;%h * 2 + %kh - 1;%w * 2 + %kw - 1", 0.0),
                read(1, "%m;%c;%kh;%kw"),
            ),
            Some(Combine::Add),
        )
        .compute(
            "relu",
            "h=11 w=9 m=32",
            ("y", "0;%h;%w;%m"),
            binary(BinaryOp::Max, read(3, "0;%m;%h;%w"), constant(0.0)),
            None,
        )
        .done();
    is_window(&k, &[1]);
}

#[test]
fn convolutions_of_many_channels() {
    is_window(&convolution(Image::square(17, 3, 1, 40), 1, 33, true), &[1]);
    is_window(&convolution(Image::square(33, 5, 2, 70), 1, 20, true), &[1]);
}

#[test]
fn dilation_and_uneven_padding() {
    let h = Side { dilation: 2, pads: (0, 3), ..Side::new(12, 3, 1) };
    let w = Side { dilation: 3, pads: (4, 1), ..Side::new(23, 3, 2) };
    let i = Image { n: 2, h, w, c: 20 };
    is_window(&depthwise(i, false, Epilogue::Clip), &[1]);
    is_window(&average_pool(i, false), &[]);
    // Padding wider than the window: some outputs see no pixel of the image.
    let wide = Side { pads: (5, 6), ..Side::new(4, 2, 1) };
    is_window(&depthwise(Image { n: 1, h: wide, w: wide, c: 16 }, true, Epilogue::Clip), &[1]);
}

#[test]
fn windows_larger_than_the_image() {
    let side = Side { pads: (3, 3), ..Side::new(3, 7, 1) };
    is_window(&depthwise(Image { n: 1, h: side, w: side, c: 48 }, true, Epilogue::Swish), &[1]);
    is_window(&max_pool(Image { n: 1, h: side, w: side, c: 48 }), &[]);
}

#[test]
fn windows_along_one_dimension() {
    let (flat, side) = (Side { pads: (0, 0), ..Side::new(6, 1, 1) }, Side::new(19, 5, 1));
    check(&depthwise(Image { n: 1, h: flat, w: side, c: 32 }, true, Epilogue::Clip), &[1], &[]);
    check(&depthwise(Image { n: 1, h: side, w: flat, c: 32 }, true, Epilogue::Clip), &[1], &[]);
}

#[test]
fn pooling_of_odd_sizes() {
    for (size, kernel, stride, c) in [(15, 3, 2, 64), (12, 2, 2, 20), (35, 3, 1, 16)] {
        let i = Image::square(size, kernel, stride, c);
        is_window(&max_pool(i), &[]);
        is_window(&average_pool(i, false), &[]);
        is_window(&average_pool(i, true), &[]);
    }
}

#[test]
fn pooling_that_rounds_up() {
    let side = Side { ceil: true, pads: (0, 0), ..Side::new(14, 3, 2) };
    let i = Image { n: 3, h: side, w: side, c: 21 };
    is_window(&max_pool(i), &[]);
    is_window(&average_pool(i, false), &[]);
}

#[test]
fn any_number_of_images_and_rows() {
    let k = kernel("depthwise")
        .input("x", "n;h;13;20")
        .input("w", "3;3;20")
        .output("y", "n;h;13;20")
        .compute(
            "dw",
            "n=n h=h w=13 c=20 +kh=3 +kw=3",
            ("y", POINT),
            binary(BinaryOp::Mul, read_or(0, "%n;%h + %kh - 1;%w + %kw - 1;%c", 0.0), read(1, "%kh;%kw;%c")),
            Some(Combine::Add),
        )
        .done();
    for (n, h) in [(1, 1), (2, 2), (3, 9)] {
        let (decision, _) = check(&k, &[1], &[("n", n), ("h", h)]);
        assert_eq!(&*decision.variant, "sliding", "{}", decision.schedule);
    }
}

#[test]
fn few_channels_keep_the_general_template() {
    let (decision, _) = check(&max_pool(Image::square(12, 3, 2, 3)), &[], &[]);
    assert_ne!(&*decision.variant, "sliding");
}

#[test]
fn rows_longer_than_a_block_on_machines_with_few_registers() {
    let machine = Machine::named("x86-64-v3").unwrap();
    let i = Image::square(29, 3, 1, 20);
    let (decision, _) = check_on(&machine, &depthwise(i, true, Epilogue::Clip), &[1], &[]);
    assert_eq!(&*decision.variant, "sliding");
}
