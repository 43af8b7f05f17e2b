//! Rotary position embedding, in the forms of exporters and libraries.

use super::{Way, Writer};
use mlcc_ir::{
    attributes::{Attr, Attrs},
    expr::Expr,
    graph::{Node, ValueId},
};

/// Every way to turn pairs of features that lie half a row apart.
pub(crate) const HALVES: &[(&str, Way)] = &[
    ("llama, halves turned and joined", |w, node, o| {
        in_part(w, node, o, |w, x, cos, sin| {
            let [cos, sin] = [cos, sin].map(|t| by_feature(w, t, x));
            let half = half(w, x);
            let (first, second) = (features(w, x, 0, half, 1), features(w, x, half, half, 1));
            let negated = w.op("neg", &[second]);
            let turned = join(w, &[negated, first]);
            let (kept, turned) = (w.op("mul", &[x, cos]), w.op("mul", &[turned, sin]));
            w.op("add", &[kept, turned])
        })
    }),
    ("the sine first, a product with minus one", |w, node, o| {
        in_part(w, node, o, |w, x, cos, sin| {
            let [cos, sin] = [cos, sin].map(|t| by_feature(w, t, x));
            let half = half(w, x);
            let (first, second) = (features(w, x, 0, half, 1), features(w, x, half, half, 1));
            let negated = w.with("mul", second, -1.0);
            let turned = join(w, &[negated, first]);
            let (kept, turned) = (w.op("mul", &[cos, x]), w.op("mul", &[sin, turned]));
            w.op("add", &[turned, kept])
        })
    }),
    ("onnx, halves apart", |w, node, o| {
        in_part(w, node, o, |w, x, cos, sin| {
            let half = half(w, x);
            let (first, second) = (features(w, x, 0, half, 1), features(w, x, half, half, 1));
            let (real, imaginary) = apart(w, [first, second], [cos, sin]);
            join(w, &[real, imaginary])
        })
    }),
    ("halves apart, the second one negated", |w, node, o| {
        in_part(w, node, o, |w, x, cos, sin| {
            let half = half(w, x);
            let (first, second) = (features(w, x, 0, half, 1), features(w, x, half, half, 1));
            let negated = w.op("neg", &[second]);
            let (a, b) = (w.op("mul", &[first, cos]), w.op("mul", &[negated, sin]));
            let real = w.op("add", &[a, b]);
            let (a, b) = (w.op("mul", &[cos, second]), w.op("mul", &[sin, first]));
            let imaginary = w.op("add", &[b, a]);
            join(w, &[real, imaginary])
        })
    }),
];

/// Every way to turn pairs of features that are neighbours.
pub(crate) const NEIGHBOURS: &[(&str, Way)] = &[
    ("gpt-j, every two turned and stacked", |w, node, o| {
        in_part(w, node, o, |w, x, cos, sin| {
            let [cos, sin] = [cos, sin].map(|t| repeated(w, t, x));
            let half = half(w, x);
            let (first, second) = (features(w, x, 0, half, 2), features(w, x, 1, half, 2));
            let negated = w.op("neg", &[second]);
            let turned = stack(w, [negated, first]);
            let (kept, turned) = (w.op("mul", &[x, cos]), w.op("mul", &[turned, sin]));
            w.op("add", &[kept, turned])
        })
    }),
    ("roformer, angles stacked", |w, node, o| {
        in_part(w, node, o, |w, x, cos, sin| {
            let [cos, sin] = [cos, sin].map(|t| if fits(w, t, x) { t } else { stack(w, [t, t]) });
            let half = half(w, x);
            let (first, second) = (features(w, x, 0, half, 2), features(w, x, 1, half, 2));
            let negated = w.op("neg", &[second]);
            let turned = stack(w, [negated, first]);
            let (kept, turned) = (w.op("mul", &[cos, x]), w.op("mul", &[sin, turned]));
            w.op("add", &[turned, kept])
        })
    }),
    ("onnx, every other one apart", |w, node, o| {
        in_part(w, node, o, |w, x, cos, sin| {
            let half = half(w, x);
            let (first, second) = (features(w, x, 0, half, 2), features(w, x, 1, half, 2));
            let (real, imaginary) = apart(w, [first, second], [cos, sin]);
            stack(w, [real, imaginary])
        })
    }),
    ("llama, a view as complex numbers, cut", |w, node, o| {
        in_part(w, node, o, |w, x, cos, sin| {
            let half = half(w, x);
            let pairs = as_pairs(w, x);
            let narrow = narrowed(w, x, half);
            let sides = [0, 1].map(|side| {
                let side = features(w, pairs, side, 1, 1);
                w.reshape(side, &narrow)
            });
            let (real, imaginary) = apart(w, sides, [cos, sin]);
            stack(w, [real, imaginary])
        })
    }),
    ("llama, a view as complex numbers, gathered", |w, node, o| {
        in_part(w, node, o, |w, x, cos, sin| {
            let pairs = as_pairs(w, x);
            let axis = Attrs::new().with("axis", Attr::Int(w.rank(pairs) - 1));
            let sides = [0, 1].map(|side| {
                let index = w.graph.tensor(mlcc_ir::tensor::Tensor::from_i64(&[], &[side]));
                w.graph.op_with("gather", &[pairs, index], axis.clone())
            });
            let (real, imaginary) = apart(w, sides, [cos, sin]);
            stack(w, [real, imaginary])
        })
    }),
];

/// The turned features, in a way that turns a whole row, and the remaining features behind them.
fn in_part(
    w: &mut Writer,
    node: &Node,
    operands: &[Option<ValueId>],
    way: fn(&mut Writer, ValueId, ValueId, ValueId) -> ValueId,
) -> ValueId {
    let [Some(x), Some(cos), Some(sin)] = *operands else { panic!("three operands") };
    let (rotated, size) = (node.attrs.int("rotary_dim", 0), *w.dims(x).last().expect("features"));
    if rotated == size {
        return way(w, x, cos, sin);
    }
    let turned = features(w, x, 0, rotated, 1);
    let kept = features(w, x, rotated, size - rotated, 1);
    let turned = way(w, turned, cos, sin);
    join(w, &[turned, kept])
}

/// `x1 cos - x2 sin` and `x2 cos + x1 sin`.
pub(crate) fn apart(w: &mut Writer, [x1, x2]: [ValueId; 2], [cos, sin]: [ValueId; 2]) -> (ValueId, ValueId) {
    let (a, b) = (w.op("mul", &[cos, x1]), w.op("mul", &[sin, x2]));
    let real = w.op("sub", &[a, b]);
    let (a, b) = (w.op("mul", &[sin, x1]), w.op("mul", &[cos, x2]));
    (real, w.op("add", &[a, b]))
}

fn half(w: &Writer, x: ValueId) -> i64 {
    w.dims(x).last().expect("features") / 2
}

fn narrowed(w: &Writer, x: ValueId, size: i64) -> Vec<i64> {
    let mut dims = w.dims(x);
    *dims.last_mut().expect("features") = size;
    dims
}

/// Features from a first one on, every `step`-th of them.
pub(crate) fn features(w: &mut Writer, x: ValueId, start: i64, size: i64, step: i64) -> ValueId {
    let sizes = narrowed(w, x, size);
    let last = sizes.len() - 1;
    let at = |value: i64, others: i64| {
        let mut all = vec![others; sizes.len()];
        all[last] = value;
        all
    };
    let attrs = Attrs::new()
        .with("starts", Attr::Exprs(at(start, 0).into_iter().map(Expr::from).collect()))
        .with("steps", Attr::Ints(at(step, 1)))
        .with("sizes", Attr::Exprs(sizes.iter().copied().map(Expr::from).collect()));
    w.graph.op_with("slice", &[x], attrs)
}

pub(crate) fn join(w: &mut Writer, parts: &[ValueId]) -> ValueId {
    let axis = w.rank(parts[0]) - 1;
    w.graph.op_with("concat", parts, Attrs::new().with("axis", Attr::Int(axis)))
}

/// Elements of two tensors in turns.
fn stack(w: &mut Writer, parts: [ValueId; 2]) -> ValueId {
    let dims = w.dims(parts[0]);
    let lifted = [&dims[..], &[1]].concat();
    let parts = parts.map(|p| w.reshape(p, &lifted));
    let pairs = join(w, &parts);
    let all = [&dims[..dims.len() - 1], &[2 * dims[dims.len() - 1]]].concat();
    w.reshape(pairs, &all)
}

fn as_pairs(w: &mut Writer, x: ValueId) -> ValueId {
    let half = half(w, x);
    let pairs = [&narrowed(w, x, half)[..], &[2]].concat();
    w.reshape(x, &pairs)
}

/// Whether a table has an element for each feature.
fn fits(w: &Writer, table: ValueId, x: ValueId) -> bool {
    w.dims(table).last() == w.dims(x).last()
}

/// The table twice, one behind the other, if it has an element for each pair.
fn by_feature(w: &mut Writer, table: ValueId, x: ValueId) -> ValueId {
    if fits(w, table, x) { table } else { join(w, &[table, table]) }
}

/// The table with each element twice, if it has one for each pair.
fn repeated(w: &mut Writer, table: ValueId, x: ValueId) -> ValueId {
    if fits(w, table, x) {
        return table;
    }
    let dims = w.dims(table);
    let lifted = w.reshape(table, &[&dims[..], &[1]].concat());
    let twice = [&dims[..], &[2]].concat().into_iter().map(Expr::from).collect();
    let twice = w.graph.op_with("expand", &[lifted], Attrs::new().with("shape", Attr::Exprs(twice)));
    let size = 2 * dims[dims.len() - 1];
    let all = narrowed(w, table, size);
    w.reshape(twice, &all)
}
