//! `recognise`: rotary embeddings that are spelled out become the kernel of the operator.

use crate::{
    pipeline::{assert_computes, compile},
    recognise::{Model, assert_recognised},
    spelling::{
        Way, Writer,
        rotary::{HALVES, NEIGHBOURS, apart, features, join},
    },
};
use mlcc_ir::{
    attributes::{Attr, Attrs},
    graph::{Graph, ValueId},
};
use mlcc_passes::graph::{recognise, rewrite::Mode};

/// The source of cosines and sines.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Angles {
    /// The model's inputs.
    Inputs,
    /// Constants.
    Tables,
    /// Computed from positions.
    Positions,
}

/// Heads of 10 features between a linear layer and a product, as in attention.
struct Heads {
    rotary_dim: i64,
    interleaved: bool,
    angles: Angles,
    /// Whether there is an angle for each feature, not each pair.
    by_feature: bool,
}

const LENGTH: i64 = 7;

impl Heads {
    fn graph(&self) -> Graph {
        let mut m = Model::new();
        let x = m.w.graph.input("x", &[2, LENGTH, 13]);
        let (cos, sin) = self.angles(&mut m);
        let heads = |m: &mut Model| {
            let h = m.linear(x, 30);
            let h = m.w.reshape(h, &[2, LENGTH, 3, 10]);
            let h = m.w.transpose(h, &[0, 2, 1, 3]);
            let attrs = Attrs::new()
                .with("rotary_dim", Attr::Int(self.rotary_dim))
                .with("interleaved", Attr::Bool(self.interleaved));
            m.w.graph.op_with("rotary_embedding", &[h, cos, sin], attrs)
        };
        let (q, k) = (heads(&mut m), heads(&mut m));
        let k = m.w.transpose(k, &[0, 1, 3, 2]);
        let y = m.w.op("matmul", &[q, k]);
        m.finish(y)
    }

    fn angles(&self, m: &mut Model) -> (ValueId, ValueId) {
        let width = if self.by_feature { self.rotary_dim } else { self.rotary_dim / 2 };
        match self.angles {
            Angles::Inputs => {
                let mut input = |name: &str| m.w.graph.input(name, &[2, 1, LENGTH, width]);
                (input("cos"), input("sin"))
            }
            Angles::Tables => (m.weight(&[LENGTH, width]), m.weight(&[LENGTH, width])),
            Angles::Positions => {
                let positions = m.w.graph.input("positions", &[2, 1, LENGTH, 1]);
                let frequencies = m.weight(&[width]);
                let angles = m.w.op("mul", &[positions, frequencies]);
                (m.w.op("cos", &[angles]), m.w.op("sin", &[angles]))
            }
        }
    }
}

/// Demands that heads of all kinds are recognised in each way. If a way makes an element for each feature
/// from constant angles, the result is a constant too.
fn assert_heads_recognised(interleaved: bool, ways: &[(&str, Way)]) {
    for angles in [Angles::Inputs, Angles::Tables, Angles::Positions] {
        let ways = if angles == Angles::Tables { &ways[2..] } else { ways };
        for rotary_dim in [10, 6, 2] {
            let heads = Heads { rotary_dim, interleaved, angles, by_feature: false };
            assert_recognised(&heads.graph(), "rotary_embedding", ways);
        }
    }
}

#[test]
fn halves_of_rows() {
    assert_heads_recognised(false, HALVES);
}

#[test]
fn neighbours() {
    assert_heads_recognised(true, NEIGHBOURS);
}

#[test]
fn an_angle_for_each_feature() {
    for angles in [Angles::Inputs, Angles::Tables] {
        for rotary_dim in [10, 6] {
            for (interleaved, ways) in [(false, &HALVES[..2]), (true, &NEIGHBOURS[..2])] {
                let heads = Heads { rotary_dim, interleaved, angles, by_feature: true };
                assert_recognised(&heads.graph(), "rotary_embedding", ways);
            }
        }
    }
}

/// A graph of one operator on 10 features of 7 rows, of angles for pairs.
fn of_rows(f: fn(&mut Writer, ValueId, [ValueId; 2]) -> ValueId) -> Graph {
    let mut m = Model::new();
    let x = m.w.graph.input("x", &[3, LENGTH, 10]);
    let angles = ["cos", "sin"].map(|name| m.w.graph.input(name, &[LENGTH, 5]));
    let y = f(&mut m.w, x, angles);
    m.finish(y)
}

#[test]
fn what_is_no_rotation_stays() {
    for graph in [
        // The other sign.
        of_rows(|w, x, [cos, sin]| {
            let (first, second) = (features(w, x, 0, 5, 1), features(w, x, 5, 5, 1));
            let (real, imaginary) = apart(w, [second, first], [cos, sin]);
            join(w, &[real, imaginary])
        }),
        // Sines where cosines should be.
        of_rows(|w, x, [cos, sin]| {
            let (first, second) = (features(w, x, 0, 5, 1), features(w, x, 5, 5, 1));
            let (real, _) = apart(w, [first, second], [cos, sin]);
            let (_, imaginary) = apart(w, [first, second], [sin, cos]);
            join(w, &[real, imaginary])
        }),
        // Halves that overlap.
        of_rows(|w, x, [cos, sin]| {
            let (first, second) = (features(w, x, 0, 5, 1), features(w, x, 4, 5, 1));
            let (real, imaginary) = apart(w, [first, second], [cos, sin]);
            join(w, &[real, imaginary])
        }),
        // Neighbours that are put back as halves.
        of_rows(|w, x, [cos, sin]| {
            let (first, second) = (features(w, x, 0, 5, 2), features(w, x, 1, 5, 2));
            let (real, imaginary) = apart(w, [first, second], [cos, sin]);
            join(w, &[real, imaginary])
        }),
        // Both halves negated.
        of_rows(|w, x, [cos, sin]| {
            let (first, second) = (features(w, x, 0, 5, 1), features(w, x, 5, 5, 1));
            let (first, second) = (w.op("neg", &[first]), w.op("neg", &[second]));
            let turned = join(w, &[second, first]);
            let [cos, sin] = [cos, sin].map(|t| join(w, &[t, t]));
            let (kept, turned) = (w.op("mul", &[x, cos]), w.op("mul", &[turned, sin]));
            w.op("add", &[kept, turned])
        }),
    ] {
        let mut after = graph.clone();
        recognise::run(&mut after, &Default::default()).expect("runs");
        assert!(!after.nodes.iter().any(|n| &*n.op == "rotary_embedding"), "{:?}", after.nodes);
        assert_computes(&compile(&graph, Mode::All), &graph, 1e-6);
    }
}
