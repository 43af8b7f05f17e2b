//! `recognise`: operators that are spelled out become the kernels of the single operators.

use crate::{
    graph_builder::GraphBuilder,
    pipeline::{assert_computes, compile, shapes, work},
    spelling::{Spelling, Way, Writer, activations, attention, norms, softmax, spell_out, tensor_of},
};
use mlcc_ir::{
    attributes::{Attr, Attrs},
    dtype::DType,
    graph::{Graph, ValueId},
    program::Program,
};
use mlcc_passes::graph::rewrite::Mode;

/// A graph of operators under construction, with random weights.
pub(crate) struct Model {
    pub(crate) w: Writer,
    seed: u64,
}

impl Model {
    pub(crate) fn new() -> Model {
        Model::of(DType::F32)
    }

    /// A model of floats of any type.
    fn of(dtype: DType) -> Model {
        Model { w: Writer { graph: GraphBuilder::new(), dtype }, seed: 3 }
    }

    pub(crate) fn weight(&mut self, dims: &[i64]) -> ValueId {
        let count = dims.iter().product::<i64>() as usize;
        let values: Vec<f64> = (0..count)
            .map(|_| {
                self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                ((self.seed >> 40) as f64 / (1u64 << 23) as f64 - 1.0) / 3.0
            })
            .collect();
        self.w.graph.tensor(tensor_of(self.w.dtype, dims, &values))
    }

    /// A number as an element: in primitives it is a constant of the tensors' type.
    fn number(&self, value: f64) -> f64 {
        tensor_of(self.w.dtype, &[], &[value]).to_f64()[0]
    }

    /// A linear layer with a bias.
    pub(crate) fn linear(&mut self, x: ValueId, outputs: i64) -> ValueId {
        let inputs = *self.w.dims(x).last().expect("features");
        let (weight, bias) = (self.weight(&[inputs, outputs]), self.weight(&[outputs]));
        let y = self.w.op("matmul", &[x, weight]);
        self.w.op("add", &[y, bias])
    }

    fn layer_norm(&mut self, x: ValueId) -> ValueId {
        let size = *self.w.dims(x).last().expect("features");
        let (scale, bias) = (self.weight(&[size]), self.weight(&[size]));
        let attrs = along(self.w.rank(x) - 1).with("epsilon", Attr::Float(self.number(1e-5)));
        self.w.graph.op_with("layer_norm", &[x, scale, bias], attrs)
    }

    fn rms_norm(&mut self, x: ValueId) -> ValueId {
        let size = *self.w.dims(x).last().expect("features");
        let scale = self.weight(&[size]);
        let attrs = along(self.w.rank(x) - 1).with("epsilon", Attr::Float(self.number(1e-5)));
        self.w.graph.op_with("rms_norm", &[x, scale], attrs)
    }

    fn activation(&mut self, op: &str, x: ValueId) -> ValueId {
        let attrs = match op {
            "swish" => Attrs::new().with("alpha", Attr::Float(1.0)),
            "quick_swish" => Attrs::new().with("alpha", Attr::Float(self.number(1.702))),
            "tanh_gelu" => Attrs::new().with("approximate", Attr::Str("tanh".into())),
            _ => Attrs::new(),
        };
        let op = op.trim_start_matches("tanh_").trim_start_matches("quick_");
        self.w.graph.op_with(op, &[x], attrs)
    }

    /// Attention of heads of 8 features with a residual connection. Queries may share heads of keys.
    fn attention(
        &mut self,
        x: ValueId,
        (heads, groups): (i64, i64),
        mask: ValueId,
        form: attention::Form,
    ) -> ValueId {
        let dims = self.w.dims(x);
        let mut split = |heads: i64| {
            let y = self.linear(x, heads * 8);
            self.w.reshape(y, &[dims[0], dims[1], heads, 8])
        };
        let (q, k, v) = (split(heads), split(groups), split(groups));
        let operands = attention::Operands { q, k, v, mask: Some(mask) };
        let y = attention::attention(&mut self.w, &operands, form);
        let y = self.w.reshape(y, &[dims[0], dims[1], heads * 8]);
        let y = self.linear(y, dims[2]);
        self.w.op("add", &[x, y])
    }

    pub(crate) fn finish(self, output: ValueId) -> Graph {
        self.w.graph.finish(&[output])
    }
}

fn along(axis: i64) -> Attrs {
    Attrs::new().with("axis", Attr::Int(axis))
}

/// An operator between two linear layers.
fn between_layers(op: impl Fn(&mut Model, ValueId) -> ValueId) -> Graph {
    between_layers_of(DType::F32, op)
}

/// The same with elements of another type.
fn between_layers_of(dtype: DType, op: impl Fn(&mut Model, ValueId) -> ValueId) -> Graph {
    let mut m = Model::of(dtype);
    let x = m.w.graph.input_of("x", dtype, &[2, 7, 13]);
    let h = m.linear(x, 33);
    let h = op(&mut m, h);
    let y = m.linear(h, 5);
    m.finish(y)
}

/// Demands that two programs have the same kernels, except names and order.
pub(crate) fn assert_same_kernels(found: &Program, wanted: &Program, what: &str) {
    let (found, mut wanted) = (shapes(found), shapes(wanted));
    let mut more = Vec::new();
    for shape in found {
        match wanted.iter().position(|w| *w == shape) {
            Some(at) => drop(wanted.remove(at)),
            None => more.push(shape),
        }
    }
    let (more, missing) = (more.join("\n"), wanted.join("\n"));
    assert!(more.is_empty() && missing.is_empty(), "{what}: kernels\n{more}\ninstead of\n{missing}");
}

/// Demands that, under every setting, each way of writing an operator ends in the operator's own kernels.
pub(crate) fn assert_recognised(graph: &Graph, op: &str, ways: &[(&str, Way)]) {
    for mode in [Mode::Off, Mode::Exact, Mode::All] {
        let single = compile(graph, mode);
        for (name, way) in ways {
            let spelled = spell_out(graph, &[(op, *way)]);
            assert!(spelled.nodes.len() > graph.nodes.len(), "{name} spells nothing out");
            let program = compile(&spelled, mode);
            assert_same_kernels(&program, &single, &format!("{op}: {name}, {mode:?}"));
            assert_computes(&program, &spelled, tolerance(graph));
        }
    }
}

/// Some steps between neighbouring numbers: an operator rounds once where its parts round one by one.
fn tolerance(graph: &Graph) -> f64 {
    match graph.value(graph.inputs[0]).ty.dtype {
        DType::F16 => 4e-3,
        DType::BF16 => 3e-2,
        _ => 1e-5,
    }
}

#[test]
fn norms_in_half_precision() {
    for dtype in [DType::F16, DType::BF16] {
        assert_recognised(&between_layers_of(dtype, Model::layer_norm), "layer_norm", norms::LAYER_NORM);
        assert_recognised(&between_layers_of(dtype, Model::rms_norm), "rms_norm", norms::RMS_NORM);
    }
}

#[test]
fn softmax_in_half_precision() {
    for dtype in [DType::F16, DType::BF16] {
        for (op, ways) in [("softmax", softmax::SOFTMAX), ("log_softmax", softmax::LOG_SOFTMAX)] {
            let graph = between_layers_of(dtype, |m, x| m.w.graph.op_with(op, &[x], along(2)));
            assert_recognised(&graph, op, ways);
        }
    }
}

#[test]
fn activations_in_half_precision() {
    for dtype in [DType::F16, DType::BF16] {
        for (op, ways) in ACTIVATIONS {
            let graph = between_layers_of(dtype, |m, x| m.activation(op, x));
            assert_recognised(&graph, op.trim_start_matches("tanh_").trim_start_matches("quick_"), ways);
        }
    }
}

/// Activations and the ways to write them.
const ACTIVATIONS: &[(&str, &[(&str, Way)])] = &[
    ("gelu", activations::GELU),
    ("tanh_gelu", activations::TANH_GELU),
    ("swish", activations::SILU),
    ("quick_swish", activations::QUICK_GELU),
    ("mish", activations::MISH),
    ("hard_swish", activations::HARD_SWISH),
];

#[test]
fn layer_norms() {
    assert_recognised(&between_layers(Model::layer_norm), "layer_norm", norms::LAYER_NORM);
}

#[test]
fn layer_norms_without_scale_and_bias() {
    let graph = between_layers(|m, x| {
        let attrs = along(2).with("epsilon", Attr::Float(1e-6));
        m.w.graph.op_with("layer_norm", &[x], attrs)
    });
    assert_recognised(&graph, "layer_norm", norms::LAYER_NORM);
}

#[test]
fn rms_norms() {
    assert_recognised(&between_layers(Model::rms_norm), "rms_norm", norms::RMS_NORM);
}

#[test]
fn norms_of_channels_and_of_groups() {
    for (op, groups, ways) in [
        ("group_norm", 3, norms::GROUP_NORM),
        ("group_norm", 2, norms::GROUP_NORM),
        ("instance_norm", 6, norms::INSTANCE_NORM),
    ] {
        let mut m = Model::new();
        let x = m.w.graph.input("x", &[2, 6, 5, 13]);
        let h = m.linear(x, 7);
        let (scale, bias) = (m.weight(&[6]), m.weight(&[6]));
        let attrs = Attrs::new().with("epsilon", Attr::Float(m.number(1e-5)));
        let attrs = if op == "group_norm" { attrs.with("groups", Attr::Int(groups)) } else { attrs };
        let h = m.w.graph.op_with(op, &[h, scale, bias], attrs);
        let y = m.linear(h, 3);
        assert_recognised(&m.finish(y), op, ways);
    }
}

#[test]
fn attention_of_heads_merged_with_the_batch_reads_them_in_place() {
    let model = |merged: bool| {
        let mut m = Model::new();
        let x = m.w.graph.input("x", &[2, 13, 24]);
        let [q, k, v] = [(); 3].map(|()| {
            let y = m.linear(x, 24);
            m.w.reshape(y, &[2, 13, 3, 8])
        });
        let operands = attention::Operands { q, k, v, mask: None };
        let y = if merged {
            attention::merged(&mut m.w, &operands)
        } else {
            let form = attention::Form { scale: attention::Scale::Scores, ..attention::OPERATOR };
            attention::attention(&mut m.w, &operands, form)
        };
        let y = m.w.reshape(y, &[2, 13, 24]);
        let y = m.linear(y, 24);
        m.finish(y)
    };
    for mode in [Mode::Off, Mode::Exact, Mode::All] {
        let graph = model(true);
        let program = compile(&graph, mode);
        assert_computes(&program, &graph, 1e-5);
        // Only the result is copied to where its heads belong.
        let (count, wanted) = (shapes(&program).len(), shapes(&compile(&model(false), mode)).len());
        assert_eq!(count, wanted + 1, "{mode:?}: {:#?}", shapes(&program));
    }
}

#[test]
fn softmaxes() {
    let graph = between_layers(|m, x| m.w.graph.op_with("softmax", &[x], along(2)));
    assert_recognised(&graph, "softmax", softmax::SOFTMAX);
}

#[test]
fn logarithms_of_softmax() {
    let graph = between_layers(|m, x| m.w.graph.op_with("log_softmax", &[x], along(2)));
    assert_recognised(&graph, "log_softmax", softmax::LOG_SOFTMAX);
}

#[test]
fn activations_of_every_kind() {
    for (op, ways) in ACTIVATIONS {
        let graph = between_layers(|m, x| m.activation(op, x));
        assert_recognised(&graph, op.trim_start_matches("tanh_").trim_start_matches("quick_"), ways);
    }
}

#[test]
fn a_part_that_others_read_is_kept() {
    let mut m = Model::new();
    let x = m.w.graph.input("x", &[5, 9]);
    let s = m.w.op("sigmoid", &[x]);
    let y = m.w.op("mul", &[x, s]);
    let graph = m.w.graph.finish(&[y, s]);
    assert_computes(&compile(&graph, Mode::Off), &graph, 1e-6);
}

#[test]
fn what_is_not_the_operator_stays() {
    // Another constant, another axis of the sum, another number of elements.
    for graph in [
        between_layers(|m, x| {
            let e = m.w.with("mul", x, 0.71);
            let e = m.w.op("erf", &[e]);
            let e = m.w.with("add", e, 1.0);
            let y = m.w.op("mul", &[x, e]);
            m.w.with("mul", y, 0.5)
        }),
        between_layers(|m, x| {
            let e = m.w.op("exp", &[x]);
            let attrs = Attrs::new().with("axes", Attr::Ints(vec![1, 2])).with("keepdims", Attr::Bool(true));
            let s = m.w.graph.op_with("reduce_sum", &[e], attrs);
            m.w.op("div", &[e, s])
        }),
        between_layers(|m, x| {
            let squares = m.w.op("mul", &[x, x]);
            let v = m.w.reduce("reduce_sum", squares);
            let v = m.w.with("div", v, 32.0);
            let v = m.w.with("add", v, 1e-5);
            let s = m.w.op("sqrt", &[v]);
            m.w.op("div", &[x, s])
        }),
    ] {
        let mut after = graph.clone();
        mlcc_passes::graph::recognise::run(&mut after, &Default::default()).expect("runs");
        let composite = |op: &str| matches!(op, "gelu" | "softmax" | "rms_norm");
        assert!(!after.nodes.iter().any(|n| composite(&n.op)));
        assert_computes(&compile(&graph, Mode::All), &graph, 1e-5);
    }
}

/// The forms of whole models: a way for each operator.
const EXPORTERS: &[(&str, Spelling<'static>)] = &[
    (
        "torch",
        &[
            ("layer_norm", norms::LAYER_NORM[0].1),
            ("rms_norm", norms::RMS_NORM[0].1),
            ("gelu", activations::GELU[0].1),
            ("swish", activations::SILU[0].1),
            ("softmax", softmax::SOFTMAX[0].1),
        ],
    ),
    (
        "keras",
        &[
            ("layer_norm", norms::LAYER_NORM[9].1),
            ("rms_norm", norms::RMS_NORM[1].1),
            ("gelu", activations::GELU[1].1),
            ("swish", activations::SILU[2].1),
            ("softmax", softmax::SOFTMAX[2].1),
        ],
    ),
    (
        "flax",
        &[
            ("layer_norm", norms::LAYER_NORM[10].1),
            ("rms_norm", norms::RMS_NORM[5].1),
            ("gelu", activations::GELU[2].1),
            ("swish", activations::SILU[1].1),
            ("softmax", softmax::SOFTMAX[1].1),
        ],
    ),
];

/// Demands that whole models end in the same kernels in all their forms.
fn assert_models_recognised(graph: &Graph) {
    for mode in [Mode::Off, Mode::All] {
        let single = compile(graph, mode);
        for (name, spelling) in EXPORTERS {
            let spelled = spell_out(graph, spelling);
            let program = compile(&spelled, mode);
            assert_same_kernels(&program, &single, &format!("{name}, {mode:?}"));
            assert_computes(&program, &spelled, 2e-5);
        }
    }
}

#[test]
fn an_encoder_with_norms_behind() {
    let mut m = Model::new();
    let mut x = m.w.graph.input("x", &[1, 11, 24]);
    let mask = m.w.graph.input("mask", &[1, 1, 1, 11]);
    for _ in 0..3 {
        let y = m.attention(x, (3, 3), mask, attention::OPERATOR);
        let y = m.layer_norm(y);
        let h = m.linear(y, 48);
        let h = m.activation("gelu", h);
        let h = m.linear(h, 24);
        let sum = m.w.op("add", &[y, h]);
        x = m.layer_norm(sum);
    }
    assert_models_recognised(&m.finish(x));
}

#[test]
fn a_decoder_with_norms_before_and_groups_of_heads() {
    let mut m = Model::new();
    let mut x = m.w.graph.input("x", &[1, 11, 24]);
    let mask = m.w.graph.input("mask", &[11, 11]);
    for _ in 0..3 {
        let n = m.rms_norm(x);
        let y = m.attention(n, (4, 2), mask, attention::OPERATOR);
        let x2 = m.w.op("add", &[x, y]);
        let n = m.rms_norm(x2);
        let (gate, up) = (m.linear(n, 40), m.linear(n, 40));
        let gate = m.activation("swish", gate);
        let h = m.w.op("mul", &[gate, up]);
        let h = m.linear(h, 24);
        x = m.w.op("add", &[x2, h]);
    }
    let y = m.layer_norm(x);
    assert_models_recognised(&m.finish(y));
}

/// A model of one attention, in a form.
fn attends(form: attention::Form, heads: (i64, i64)) -> Graph {
    let mut m = Model::new();
    let x = m.w.graph.input("x", &[2, 13, 24]);
    let mask = match form.mask {
        attention::Mask::Add => m.w.graph.input("mask", &[2, 1, 13, 13]),
        attention::Mask::Where => m.w.graph.input_of("mask", DType::Bool, &[2, 1, 13, 13]),
    };
    let y = m.attention(x, heads, mask, form);
    m.finish(y)
}

#[test]
fn attention_in_every_form_is_one_kernel() {
    use attention::{Form, Mask, Scale};
    for heads in [(3, 3), (4, 2)] {
        let single = compile(&attends(attention::OPERATOR, heads), Mode::All);
        for scale in
            [Scale::Both, Scale::Queries, Scale::QuotientOfQueries, Scale::Scores, Scale::QuotientOfScores]
        {
            for (mask, keys_twice, softmax) in
                [(Mask::Add, false, None), (Mask::Add, true, Some(0)), (Mask::Where, false, Some(2))]
            {
                let form = Form { scale, mask, keys_twice, softmax, ..attention::OPERATOR };
                let graph = attends(form, heads);
                let program = compile(&graph, Mode::All);
                assert_computes(&program, &graph, 1e-5);
                let (count, wanted) = (shapes(&program).len(), shapes(&single).len());
                assert_eq!(count, wanted, "{form:?}, {heads:?}: {:#?}", shapes(&program));
                let ((work, moved), (operations, bytes)) = (work(&program), work_of(&single, mask));
                let near = |a: i64, b: i64| (a as f64 / b as f64 - 1.0).abs() < 0.02;
                assert!(
                    near(work, operations) && near(moved, bytes),
                    "{form:?}, {heads:?}: {work} operations for {operations}, {moved} bytes for {bytes}"
                );
            }
        }
    }
}

#[test]
fn heads_that_share_keys_and_values_read_them_in_place() {
    use attention::{Form, Repeat, Scale};
    for mode in [Mode::Off, Mode::Exact, Mode::All] {
        // The repetition of the keys decides what exact rules can do with their scale.
        let scale = if mode == Mode::Exact { Scale::Scores } else { Scale::Both };
        let operator = Form { scale, ..attention::OPERATOR };
        for heads in [(4, 2), (6, 2), (5, 1)] {
            let single = compile(&attends(operator, heads), mode);
            // As many kernels as without groups: nothing is copied.
            let alone = compile(&attends(operator, (heads.0, heads.0)), mode);
            assert_eq!(shapes(&single).len(), shapes(&alone).len(), "{heads:?}: {:#?}", shapes(&single));
            for repeat in [Repeat::Expand, Repeat::Tile, Repeat::Concat, Repeat::Gather] {
                let graph = attends(Form { repeat, ..operator }, heads);
                let program = compile(&graph, mode);
                let what = format!("{repeat:?}, {heads:?}, {mode:?}");
                // Without a dimension of size 1, heads that are gathered have another type.
                if repeat == Repeat::Gather {
                    assert_as_cheap(&program, &single, &what);
                } else {
                    assert_same_kernels(&program, &single, &what);
                }
                assert_computes(&program, &graph, 1e-5);
            }
        }
    }
}

/// Demands as many kernels, with operations and bytes that differ by at most 2%.
fn assert_as_cheap(found: &Program, wanted: &Program, what: &str) {
    assert_eq!(shapes(found).len(), shapes(wanted).len(), "{what}: {:#?}", shapes(found));
    let (found, wanted) = (work(found), work(wanted));
    let near = |a: i64, b: i64| (a as f64 / b as f64 - 1.0).abs() < 0.02;
    assert!(near(found.0, wanted.0) && near(found.1, wanted.1), "{what}: {found:?} instead of {wanted:?}");
}

/// The work of a program whose mask is of another type: a byte an element instead of four.
fn work_of(program: &mlcc_ir::program::Program, mask: attention::Mask) -> (i64, i64) {
    let (operations, bytes) = work(program);
    let difference = if mask == attention::Mask::Where { 2 * 13 * 13 * 3 } else { 0 };
    (operations, bytes - difference)
}
