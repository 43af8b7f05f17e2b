//! Convolutions over images of unknown size, or with windows that reach outside: rows of a product that are
//! gathered, and windows that slide.

use crate::{
    check::{check, check_on},
    kernels::{binary, kernel, read, read_or},
};
use mlcc_ir::{
    Name,
    dtype::DType,
    expr::Expr,
    kernel::{Combine, Kernel},
    nest::{
        ContractionTile, LoopNest, Node,
        names::{AxisName, Part, StageName},
    },
    scalar::{BinaryOp, Body, Constant},
};
use mlcc_machine::Machine;

/// A convolution of images `[n, h, w, c]`, or with channels first, with bias and an image that is added.
#[derive(Clone, Copy)]
struct Image {
    n: &'static str,
    size: (&'static str, &'static str),
    c: i64,
    m: i64,
    kernel: i64,
    stride: i64,
    dilation: i64,
    pad: i64,
    channels_first: bool,
}

const BASE: Image = Image {
    n: "n",
    size: ("h", "w"),
    c: 21,
    m: 37,
    kernel: 3,
    stride: 1,
    dilation: 1,
    pad: 1,
    channels_first: false,
};

impl Image {
    /// The result's side for a side of the image.
    fn out(&self, side: &str) -> String {
        let room =
            side.parse::<Expr>().unwrap() + Expr::from(2 * self.pad - self.dilation * (self.kernel - 1) - 1);
        (room.floor_div(&Expr::from(self.stride)) + Expr::from(1)).to_string().replace(' ', "")
    }

    /// The position of a window along a side.
    fn at(&self, side: &str) -> String {
        format!("%{side} * {} + %k{side} * {} - {}", self.stride, self.dilation, self.pad)
    }
}

fn convolution(i: Image) -> Kernel {
    let Image { n, size: (h, w), c, m, kernel: k, pad, channels_first, .. } = i;
    let (oh, ow) = (i.out(h), i.out(w));
    let at = |side: &str| i.at(side);
    let (dims, under) = if channels_first {
        (format!("{n};{c};{h};{w}"), format!("%n;%c;{};{}", at("h"), at("w")))
    } else {
        (format!("{n};{h};{w};{c}"), format!("%n;{};{};%c", at("h"), at("w")))
    };
    let point = "%n;%h;%w;%m";
    let all = format!("{n};{oh};{ow};{m}");
    let free = format!("n={n} h={oh} w={ow} m={m}");
    let window =
        if channels_first { format!("+c={c} +kh={k} +kw={k}") } else { format!("+kh={k} +kw={k} +c={c}") };
    let x = if pad > 0 { read_or(0, &under, 0.0) } else { read(0, &under) };
    let mut zero = Body::default();
    zero.constant(Constant::float(DType::F32, 0.0));
    let sum = binary(BinaryOp::Add, read(5, point), read(2, "%m"));
    let sum = binary(BinaryOp::Add, sum, read(3, point));
    kernel("conv")
        .input("x", &dims)
        .input("w", &format!("{m};{c};{k};{k}"))
        .input("bias", &format!("{m}"))
        .input("b", &all)
        .output("y", &all)
        .temporary("acc", &all)
        .compute(
            "conv",
            &format!("{free} {window}"),
            ("acc", point),
            binary(BinaryOp::Mul, x, read(1, "%m;%c;%kh;%kw")),
            Some(Combine::Add),
        )
        .compute("relu", &free, ("y", point), binary(BinaryOp::Max, sum, zero), None)
        .done()
}

/// A window over every channel by itself: a sum of products, or the largest element.
fn window(i: Image, combine: Combine) -> Kernel {
    let Image { n, size: (h, w), c, kernel: k, pad, .. } = i;
    let (oh, ow) = (i.out(h), i.out(w));
    let under = format!("%n;{};{};%c", i.at("h"), i.at("w"));
    let outside = if combine == Combine::Add { 0.0 } else { f64::NEG_INFINITY };
    let x = if pad > 0 { read_or(0, &under, outside) } else { read(0, &under) };
    let body = if combine == Combine::Add { binary(BinaryOp::Mul, x, read(1, "%kh;%kw;%c")) } else { x };
    kernel("window")
        .input("x", &format!("{n};{h};{w};{c}"))
        .input("w", &format!("{k};{k};{c}"))
        .output("y", &format!("{n};{oh};{ow};{c}"))
        .compute(
            "window",
            &format!("n={n} h={oh} w={ow} c={c} +kh={k} +kw={k}"),
            ("y", "%n;%h;%w;%c"),
            body,
            Some(combine),
        )
        .done()
}

fn tiles(nest: &LoopNest) -> Vec<ContractionTile> {
    let mut tiles = Vec::new();
    nest.visit(&mut |node| {
        if let Node::Tile(t) = node {
            tiles.push(t.clone());
        }
    });
    tiles
}

const SIZES: [[(&str, i64); 3]; 4] = [
    [("n", 1), ("h", 7), ("w", 9)],
    [("n", 2), ("h", 1), ("w", 1)],
    [("n", 3), ("h", 16), ("w", 33)],
    [("n", 1), ("h", 29), ("w", 2)],
];

#[test]
fn pixels_of_many_channels_are_gathered() {
    for image in [
        BASE,
        Image { stride: 2, ..BASE },
        Image { dilation: 2, pad: 2, ..BASE },
        Image { kernel: 5, pad: 1, stride: 3, ..BASE },
        Image { kernel: 1, pad: 0, stride: 2, ..BASE },
    ] {
        for sizes in SIZES {
            if image.kernel == 5 && sizes.iter().any(|(_, size)| (0..3).contains(size)) && sizes[1].1 < 3 {
                continue;
            }
            let (decision, nest) = check(&convolution(image), &[1, 2], &sizes);
            assert_eq!(&*decision.variant, "gathered", "{:?}", decision.refused);
            let tiles = tiles(&nest);
            assert!(!tiles.is_empty() && tiles.iter().all(|t| t.a_gather.is_some()));
        }
    }
}

#[test]
fn convolutions_of_few_channels_slide() {
    let first = Image { c: 3, channels_first: true, kernel: 7, stride: 2, pad: 3, m: 64, ..BASE };
    for image in
        [first, Image { channels_first: false, ..first }, Image { kernel: 3, pad: 1, m: 19, ..first }]
    {
        for sizes in SIZES {
            let (decision, _) = check(&convolution(image), &[1, 2], &sizes);
            assert_eq!(&*decision.variant, "sliding", "{:?}", decision.refused);
        }
    }
}

#[test]
fn windows_slide_over_images_of_any_size() {
    for image in [
        Image { c: 19, ..BASE },
        Image { c: 32, stride: 2, ..BASE },
        Image { c: 16, kernel: 5, pad: 2, ..BASE },
        Image { c: 16, dilation: 2, pad: 2, ..BASE },
        Image { c: 16, kernel: 1, pad: 0, stride: 2, ..BASE },
    ] {
        for sizes in SIZES {
            for combine in [Combine::Add, Combine::Max] {
                let (decision, nest) = check(&window(image, combine), &[1], &sizes);
                if image.kernel == 1 {
                    continue;
                }
                assert_eq!(&*decision.variant, "sliding", "{:?}", decision.refused);
                let mut parts = Vec::new();
                nest.visit(&mut |node| {
                    if let Node::Loop(l) = node {
                        parts.push(l.axis.clone());
                    }
                });
                // Loops of their own handle the padding.
                for part in [Part::First, Part::Last] {
                    let own = Some((AxisName::new("w").outer(), part));
                    let is_it =
                        |axis: &Name| StageName::of_axis(axis).and_then(|(_, axis)| axis.parent()) == own;
                    assert!(parts.iter().any(is_it), "{part:?}: {parts:?}");
                }
            }
        }
    }
}

#[test]
fn rows_are_gathered_on_narrower_vectors() {
    let machine = Machine::named("x86-64-v3").unwrap();
    let (decision, _) = check_on(&machine, &convolution(BASE), &[1, 2], &SIZES[2]);
    assert_eq!(&*decision.variant, "gathered");
}

#[test]
fn a_refusal_says_why() {
    let pooled = window(Image { c: 16, size: ("h", "w"), ..BASE }, Combine::Max);
    let (decision, _) = check(&pooled, &[1], &SIZES[0]);
    assert_eq!(&*decision.variant, "sliding");
    let fixed = Image { n: "1", size: ("7", "17"), ..BASE };
    let (decision, _) = check(&convolution(fixed), &[1, 2], &[]);
    assert_eq!(&*decision.variant, "sliding");
    let of = |template: &str| {
        let refusal = decision.refused.iter().find(|refusal| *refusal.template == *template).unwrap();
        refusal.reason.to_string()
    };
    assert_eq!(of("gathered"), "its image is so wide that windows slide as well");
    assert!(decision.refused.len() == 1, "what comes after the template that took it is not asked");
    // The same image, narrow.
    let narrow = Image { size: ("7", "15"), ..fixed };
    assert_eq!(&*check(&convolution(narrow), &[1, 2], &[]).0.variant, "gathered");
}
