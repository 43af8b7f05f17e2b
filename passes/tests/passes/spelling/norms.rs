//! Normalisations: of rows, of channels, of groups of channels.

use super::{Way, Writer, tensor_of};
use mlcc_ir::{
    attributes::{Attr, Attrs},
    dtype::DType,
    graph::{Node, ValueId},
};

/// Every way to write `layer_norm`, by the exporter or library that uses it.
pub(crate) const LAYER_NORM: &[(&str, Way)] = &[
    ("torch, pow, sqrt and div", |w, node, o| {
        affine(w, node, o, |w, x, e| {
            let d = centred(w, x);
            let squares = w.with("pow", d, 2.0);
            let s = deviation(w, squares, e);
            w.op("div", &[d, s])
        })
    }),
    ("two differences", |w, node, o| {
        affine(w, node, o, |w, x, e| {
            let (first, second) = (centred(w, x), centred(w, x));
            let squares = w.with("pow", first, 2.0);
            let s = deviation(w, squares, e);
            w.op("div", &[second, s])
        })
    }),
    ("a product, sqrt and reciprocal", |w, node, o| {
        affine(w, node, o, |w, x, e| {
            let d = centred(w, x);
            let squares = w.op("mul", &[d, d]);
            let s = deviation(w, squares, e);
            let r = w.op("reciprocal", &[s]);
            w.op("mul", &[d, r])
        })
    }),
    ("one divided by the root", |w, node, o| {
        affine(w, node, o, |w, x, e| {
            let d = centred(w, x);
            let squares = w.op("mul", &[d, d]);
            let s = deviation(w, squares, e);
            let one = w.number(1.0);
            let r = w.op("div", &[one, s]);
            w.op("mul", &[r, d])
        })
    }),
    ("a power of one half", |w, node, o| {
        affine(w, node, o, |w, x, e| {
            let d = centred(w, x);
            let squares = w.with("pow", d, 2.0);
            let v = w.reduce("reduce_mean", squares);
            let v = w.with("add", v, e);
            let s = w.with("pow", v, 0.5);
            w.op("div", &[d, s])
        })
    }),
    ("a power of minus one half", |w, node, o| {
        affine(w, node, o, |w, x, e| {
            let d = centred(w, x);
            let squares = w.with("pow", d, 2.0);
            let v = w.reduce("reduce_mean", squares);
            let v = w.with("add", v, e);
            let r = w.with("pow", v, -0.5);
            w.op("mul", &[d, r])
        })
    }),
    ("sums divided by their number", |w, node, o| {
        affine(w, node, o, |w, x, e| {
            let n = *w.dims(x).last().expect("a dimension") as f64;
            let m = w.reduce("reduce_sum", x);
            let m = w.with("div", m, n);
            let d = w.op("sub", &[x, m]);
            let squares = w.op("mul", &[d, d]);
            let v = w.reduce("reduce_sum", squares);
            let v = w.with("mul", v, 1.0 / n);
            let v = w.with("add", v, e);
            let s = w.op("sqrt", &[v]);
            w.op("div", &[d, s])
        })
    }),
    ("means whose axis is dropped and restored", |w, node, o| {
        affine(w, node, o, |w, x, e| {
            let m = w.reduce_and_restore("reduce_mean", x);
            let d = w.op("sub", &[x, m]);
            let squares = w.op("mul", &[d, d]);
            let v = w.reduce_and_restore("reduce_mean", squares);
            let v = w.with("add", v, e);
            let s = w.op("sqrt", &[v]);
            w.op("div", &[d, s])
        })
    }),
    ("casts around the statistics", |w, node, o| {
        affine(w, node, o, |w, x, e| {
            in_single(w, x, |w, x| {
                let d = centred(w, x);
                let d32 = w.cast(d, DType::F32);
                let squares = w.with("pow", d32, 2.0);
                let s = deviation(w, squares, e);
                w.op("div", &[d, s])
            })
        })
    }),
    ("keras, scale and shift of the elements", |w, node, o| {
        let (x, scale, bias) = (o[0].expect("x"), optional(o, 1), optional(o, 2));
        let m = w.reduce("reduce_mean", x);
        let d = w.op("sub", &[x, m]);
        let squares = w.op("mul", &[d, d]);
        let s = deviation(w, squares, epsilon(node));
        let r = w.op("reciprocal", &[s]);
        let r = scale.map_or(r, |g| w.op("mul", &[r, g]));
        let scaled = w.op("mul", &[x, r]);
        let shift = w.op("mul", &[m, r]);
        match bias {
            Some(b) => {
                let shift = w.op("sub", &[b, shift]);
                w.op("add", &[scaled, shift])
            }
            None => w.op("sub", &[scaled, shift]),
        }
    }),
    ("flax, variance as a difference of means", |w, node, o| {
        let (x, scale, bias) = (o[0].expect("x"), optional(o, 1), optional(o, 2));
        let m = w.reduce("reduce_mean", x);
        let squares = w.op("mul", &[x, x]);
        let mean_of_squares = w.reduce("reduce_mean", squares);
        let square_of_mean = w.op("mul", &[m, m]);
        let v = w.op("sub", &[mean_of_squares, square_of_mean]);
        let zero = w.number(0.0);
        let v = w.op("max", &[zero, v]);
        let v = w.with("add", v, epsilon(node));
        let s = w.op("sqrt", &[v]);
        let r = w.op("reciprocal", &[s]);
        let r = scale.map_or(r, |g| w.op("mul", &[r, g]));
        let d = w.op("sub", &[x, m]);
        let y = w.op("mul", &[d, r]);
        bias.map_or(y, |b| w.op("add", &[y, b]))
    }),
];

/// Every way to write `rms_norm`.
pub(crate) const RMS_NORM: &[(&str, Way)] = &[
    ("llama, pow, sqrt and reciprocal", |w, node, o| {
        affine(w, node, o, |w, x, e| {
            let squares = w.with("pow", x, 2.0);
            let s = deviation(w, squares, e);
            let r = w.op("reciprocal", &[s]);
            w.op("mul", &[x, r])
        })
    }),
    ("torch, one divided by the root", |w, node, o| {
        affine(w, node, o, |w, x, e| {
            let squares = w.with("pow", x, 2.0);
            let s = deviation(w, squares, e);
            let one = w.number(1.0);
            let r = w.op("div", &[one, s]);
            w.op("mul", &[x, r])
        })
    }),
    ("a quotient by the root", |w, node, o| {
        affine(w, node, o, |w, x, e| {
            let squares = w.op("mul", &[x, x]);
            let s = deviation(w, squares, e);
            w.op("div", &[x, s])
        })
    }),
    ("a power of minus one half", |w, node, o| {
        affine(w, node, o, |w, x, e| {
            let squares = w.op("mul", &[x, x]);
            let v = w.reduce("reduce_mean", squares);
            let v = w.with("add", v, e);
            let r = w.with("pow", v, -0.5);
            w.op("mul", &[x, r])
        })
    }),
    ("casts around", |w, node, o| {
        affine(w, node, o, |w, x, e| {
            in_single(w, x, |w, x| {
                let squares = w.with("pow", x, 2.0);
                let s = deviation(w, squares, e);
                let r = w.op("reciprocal", &[s]);
                w.op("mul", &[x, r])
            })
        })
    }),
    ("the scale first", |w, node, o| {
        let (x, scale) = (o[0].expect("x"), optional(o, 1));
        let squares = w.op("mul", &[x, x]);
        let s = deviation(w, squares, epsilon(node));
        let r = w.op("reciprocal", &[s]);
        let y = scale.map_or(x, |g| w.op("mul", &[g, x]));
        w.op("mul", &[y, r])
    }),
];

/// Every way to write `group_norm`.
pub(crate) const GROUP_NORM: &[(&str, Way)] = &[
    ("torch, instances of groups", |w, node, o| {
        grouped(w, node, o, |w, x, e| {
            let groups = w.dims(x)[1];
            let (one, zero) = (vec![1.0; groups as usize], vec![0.0; groups as usize]);
            let [one, zero] = [one, zero].map(|v| w.graph.tensor(tensor_of(w.dtype, &[groups], &v)));
            w.graph.op_with("instance_norm", &[x, one, zero], Attrs::new().with("epsilon", Attr::Float(e)))
        })
    }),
    ("means of groups", |w, node, o| {
        grouped(w, node, o, |w, x, e| {
            let d = centred(w, x);
            let squares = w.op("mul", &[d, d]);
            let s = deviation(w, squares, e);
            w.op("div", &[d, s])
        })
    }),
];

/// Every way to write `instance_norm`.
pub(crate) const INSTANCE_NORM: &[(&str, Way)] = &[("means of all pixels", |w, node, o| {
    let x = o[0].expect("x");
    let axes: Vec<i64> = (2..w.rank(x)).collect();
    let mean = |w: &mut Writer, x: ValueId| {
        let attrs = Attrs::new().with("axes", Attr::Ints(axes.clone())).with("keepdims", Attr::Bool(true));
        w.graph.op_with("reduce_mean", &[x], attrs)
    };
    let m = mean(w, x);
    let d = w.op("sub", &[x, m]);
    let squares = w.with("pow", d, 2.0);
    let v = mean(w, squares);
    let v = w.with("add", v, epsilon(node));
    let s = w.op("sqrt", &[v]);
    let y = w.op("div", &[d, s]);
    per_channel(w, y, o)
})];

/// The result of `core` on rows that are groups of channels, with scale and bias for each channel.
fn grouped(
    w: &mut Writer,
    node: &Node,
    operands: &[Option<ValueId>],
    core: fn(&mut Writer, ValueId, f64) -> ValueId,
) -> ValueId {
    let x = operands[0].expect("x");
    let (dims, groups) = (w.dims(x), node.attrs.int("groups", 1));
    let rows = w.reshape(x, &[dims[0], groups, dims[1..].iter().product::<i64>() / groups]);
    let y = core(w, rows, epsilon(node));
    let y = w.reshape(y, &dims);
    per_channel(w, y, operands)
}

/// Scale and bias for each channel.
fn per_channel(w: &mut Writer, y: ValueId, operands: &[Option<ValueId>]) -> ValueId {
    let channels: Vec<i64> = w.dims(y).iter().enumerate().map(|(d, n)| if d == 1 { *n } else { 1 }).collect();
    let [scale, bias] = [1, 2].map(|i| {
        let parameter = optional(operands, i).expect("a parameter");
        w.reshape(parameter, &channels)
    });
    let y = w.op("mul", &[y, scale]);
    w.op("add", &[y, bias])
}

/// A computation in single precision, as in models of half precision.
fn in_single(w: &mut Writer, x: ValueId, body: impl FnOnce(&mut Writer, ValueId) -> ValueId) -> ValueId {
    let outer = std::mem::replace(&mut w.dtype, DType::F32);
    let x = w.cast(x, DType::F32);
    let y = body(w, x);
    w.dtype = outer;
    w.cast(y, outer)
}

fn centred(w: &mut Writer, x: ValueId) -> ValueId {
    let m = w.reduce("reduce_mean", x);
    w.op("sub", &[x, m])
}

/// The root of the mean of squares and epsilon.
fn deviation(w: &mut Writer, squares: ValueId, epsilon: f64) -> ValueId {
    let v = w.reduce("reduce_mean", squares);
    let v = w.with("add", v, epsilon);
    w.op("sqrt", &[v])
}

fn optional(operands: &[Option<ValueId>], at: usize) -> Option<ValueId> {
    operands.get(at).copied().flatten()
}

fn epsilon(node: &Node) -> f64 {
    node.attrs.float("epsilon", 1e-5)
}

/// The result of `core` on the operand and epsilon, with scale and bias behind it.
fn affine(
    w: &mut Writer,
    node: &Node,
    operands: &[Option<ValueId>],
    core: fn(&mut Writer, ValueId, f64) -> ValueId,
) -> ValueId {
    let mut y = core(w, operands[0].expect("x"), epsilon(node));
    if let Some(scale) = optional(operands, 1) {
        y = w.op("mul", &[y, scale]);
    }
    if let Some(bias) = optional(operands, 2) {
        y = w.op("add", &[y, bias]);
    }
    y
}
