//! Scaled dot-product attention of heads: `softmax(q kᵀ / sqrt(d) + mask) v`.

use super::{Writer, softmax};
use mlcc_ir::{
    attributes::{Attr, Attrs},
    dtype::DType,
    graph::{Location, Node, ValueId},
    tensor::Tensor,
};

/// The place where the scale of the scores is applied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scale {
    /// To queries and keys, its root to each, as ONNX's operator does.
    Both,
    /// To the queries, a product.
    Queries,
    /// To the queries, a quotient.
    QuotientOfQueries,
    /// To the scores, a product.
    Scores,
    /// To the scores, a quotient.
    QuotientOfScores,
}

/// The way in which scores that do not count are masked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mask {
    /// Something is added.
    Add,
    /// Others are chosen.
    Where,
}

/// The way in which heads of keys and values are repeated for the queries that share them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Repeat {
    /// A dimension is inserted and expanded.
    Expand,
    /// A dimension is inserted and tiled.
    Tile,
    /// Copies are concatenated along an inserted dimension.
    Concat,
    /// Each head is gathered several times.
    Gather,
}

/// A way to write attention.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    pub(crate) scale: Scale,
    pub(crate) mask: Mask,
    /// Whether keys are transposed in two steps: to heads first, then for the product.
    pub(crate) keys_twice: bool,
    /// The way of [`softmax::SOFTMAX`] that is taken; the operator itself if `None`.
    pub(crate) softmax: Option<usize>,
    pub(crate) repeat: Repeat,
}

/// The form of ONNX's operator.
pub(crate) const OPERATOR: Form =
    Form { scale: Scale::Both, mask: Mask::Add, keys_twice: true, softmax: None, repeat: Repeat::Expand };

/// Queries, keys and values of batch, sequence, heads and features, and the mask of the scores: a tensor to
/// add, or a condition.
pub(crate) struct Operands {
    pub(crate) q: ValueId,
    pub(crate) k: ValueId,
    pub(crate) v: ValueId,
    pub(crate) mask: Option<ValueId>,
}

/// Attention in a form; the result has the dimensions of the queries.
pub(crate) fn attention(w: &mut Writer, operands: &Operands, form: Form) -> ValueId {
    let features = *w.dims(operands.q).last().expect("features") as f64;
    let scale = 1.0 / features.sqrt();
    let heads = w.dims(operands.q)[2];
    let mut q = w.transpose(operands.q, &[0, 2, 1, 3]);
    let v = w.transpose(operands.v, &[0, 2, 1, 3]);
    let v = repeated(w, v, heads, form.repeat);
    q = match form.scale {
        Scale::Both => w.with("mul", q, scale.sqrt()),
        Scale::Queries => w.with("mul", q, scale),
        Scale::QuotientOfQueries => w.with("div", q, features.sqrt()),
        _ => q,
    };
    let grouped = w.dims(operands.k)[2] != heads;
    let k = if form.keys_twice || grouped {
        let k = w.transpose(operands.k, &[0, 2, 1, 3]);
        let k = if form.scale == Scale::Both { w.with("mul", k, scale.sqrt()) } else { k };
        let k = repeated(w, k, heads, form.repeat);
        w.transpose(k, &[0, 1, 3, 2])
    } else {
        let k = w.transpose(operands.k, &[0, 2, 3, 1]);
        if form.scale == Scale::Both { w.with("mul", k, scale.sqrt()) } else { k }
    };
    let mut scores = w.op("matmul", &[q, k]);
    scores = match form.scale {
        Scale::Scores => w.with("mul", scores, scale),
        Scale::QuotientOfScores => w.with("div", scores, features.sqrt()),
        _ => scores,
    };
    if let Some(mask) = operands.mask {
        scores = match form.mask {
            Mask::Add => w.op("add", &[scores, mask]),
            Mask::Where => {
                let never = w.number(-1e9);
                w.op("where", &[mask, scores, never])
            }
        };
    }
    let axis = w.rank(scores) - 1;
    let weights = match form.softmax {
        None => w.graph.op_with("softmax", &[scores], Attrs::new().with("axis", Attr::Int(axis))),
        Some(way) => softmax::SOFTMAX[way].1(w, &nowhere(), &[Some(scores)]),
    };
    let y = w.op("matmul", &[weights, v]);
    w.transpose(y, &[0, 2, 1, 3])
}

/// Attention without a mask, with heads and batch as one dimension, for products of three dimensions.
pub(crate) fn merged(w: &mut Writer, operands: &Operands) -> ValueId {
    let dims = w.dims(operands.q);
    let [batch, _, heads, features] = dims[..] else { panic!("four dimensions") };
    let mut rows = |x: ValueId| {
        let length = w.dims(x)[1];
        let y = w.transpose(x, &[0, 2, 1, 3]);
        w.reshape(y, &[batch * heads, length, features])
    };
    let (q, k, v) = (rows(operands.q), rows(operands.k), rows(operands.v));
    let k = w.transpose(k, &[0, 2, 1]);
    let scores = w.op("matmul", &[q, k]);
    let scores = w.with("mul", scores, 1.0 / (features as f64).sqrt());
    let weights = w.graph.op_with("softmax", &[scores], Attrs::new().with("axis", Attr::Int(2)));
    let y = w.op("matmul", &[weights, v]);
    let y = w.reshape(y, &[batch, heads, dims[1], features]);
    w.transpose(y, &[0, 2, 1, 3])
}

/// Each head, repeated for all queries that share it.
fn repeated(w: &mut Writer, x: ValueId, heads: i64, way: Repeat) -> ValueId {
    let dims = w.dims(x);
    let [batch, groups, length, size] = dims[..] else { panic!("four dimensions") };
    if groups == heads {
        return x;
    }
    let times = heads / groups;
    if way == Repeat::Gather {
        let index: Vec<u8> = (0..heads).flat_map(|h| (h / times).to_le_bytes()).collect();
        let index = Tensor::new(DType::I64, vec![heads], index.into()).expect("a tensor");
        let index = w.graph.tensor(index);
        return w.graph.op_with("gather", &[x, index], Attrs::new().with("axis", Attr::Int(1)));
    }
    let y = w.reshape(x, &[batch, groups, 1, length, size]);
    let y = match way {
        Repeat::Expand => {
            let shape = [batch, groups, times, length, size].map(Into::into).to_vec();
            w.graph.op_with("expand", &[y], Attrs::new().with("shape", Attr::Exprs(shape)))
        }
        Repeat::Tile => {
            let repeats = [1, 1, times, 1, 1].map(Into::into).to_vec();
            w.graph.op_with("tile", &[y], Attrs::new().with("repeats", Attr::Exprs(repeats)))
        }
        _ => {
            let copies = vec![y; times as usize];
            w.graph.op_with("concat", &copies, Attrs::new().with("axis", Attr::Int(2)))
        }
    };
    w.reshape(y, &[batch, heads, length, size])
}

/// A node without attributes: the spellings of softmax use none.
fn nowhere() -> Node {
    Node {
        op: "softmax".into(),
        attrs: Attrs::new(),
        operands: Vec::new(),
        results: Vec::new(),
        regions: Vec::new(),
        location: Location { node: "softmax".into(), op_type: "softmax".into() },
    }
}
