//! The graph level's text form: a printed graph reads back as the same value.

use super::random::Random;
use mlcc_ir::{
    attributes::{Attr, Attrs},
    dtype::DType,
    expr::Expr,
    graph::{Def, Graph, Location, Node, ValueId},
    requirement::{Condition, Requirement},
    tensor::Tensor,
    types::TensorType,
};
use mlcc_mlir::{MlirContext, operators, weights::WeightStore};

fn location(node: &str, op_type: &str) -> Location {
    Location { node: node.into(), op_type: op_type.into() }
}

fn round_trip(context: &MlirContext, graph: &Graph) {
    let text = context.print_graph(graph).unwrap_or_else(|e| panic!("{e}\n{graph:#?}"));
    let read =
        context.parse_graph(&text, &WeightStore::of_graph(graph)).unwrap_or_else(|e| panic!("{e}\n{text}"));
    // Debug, so that NaN equals itself; constants' data beside it.
    let (a, b) = (format!("{read:#?}"), format!("{graph:#?}"));
    if let Some((i, (a, b))) = a.lines().zip(b.lines()).enumerate().find(|(_, (a, b))| a != b) {
        panic!("line {i}: {a} for {b}\n{text}");
    }
    assert_eq!(a.len(), b.len(), "{text}");
    let constants = |g: &Graph| -> Vec<Tensor> {
        g.values
            .iter()
            .filter_map(|v| match &v.def {
                Def::Constant(t) => Some(t.clone()),
                _ => None,
            })
            .collect()
    };
    assert_eq!(constants(&read), constants(graph), "{text}");
    assert_eq!(context.print_graph(&read).unwrap(), text);
}

/// A graph of random operators, without regard for what they compute; values in the order in which they are read.
fn random_graph(random: &mut Random, depth: usize, outer: &[ValueId], outer_types: &[TensorType]) -> Graph {
    let mut graph = Graph { name: random.name().into(), ..Graph::default() };
    for i in 0..random.below(3) {
        let ty = random.ty();
        let id = graph.add_value(random.name(), ty, Def::Input(i));
        graph.inputs.push(id);
        if random.below(3) == 0 {
            graph.value_mut(id).known = Some(vec![random.expr(2), 7.into()]);
        }
    }
    for _ in 0..random.below(3) {
        graph.ranges.insert(random.name().into(), random.size_range());
    }
    if random.chance() {
        let condition = match random.chance() {
            true => Condition::Equal(random.expr(2), random.expr(1)),
            false => Condition::AtLeast(random.expr(2), 3),
        };
        graph.requirements.push(Requirement { condition, message: random.name() });
    }
    for _ in 0..1 + random.below(2) {
        let large = random.chance();
        let tensor = random.tensor(large);
        graph.add_constant(random.name(), tensor);
    }
    let all: Vec<_> = operators::operators().collect();
    for _ in 0..3 {
        let op = random.pick(&all);
        if op.regions > 0 && depth == 0 {
            continue;
        }
        let mut operands = Vec::new();
        for place in op.operands {
            let count = match place.arity {
                operators::Arity::One => 1,
                operators::Arity::Optional => random.below(2),
                operators::Arity::Variadic => random.below(3),
            };
            for _ in 0..count {
                operands.push(Some(ValueId(random.below(graph.values.len()) as u32)));
            }
            if count == 0 && place.arity == operators::Arity::Optional {
                operands.push(None);
            }
        }
        while operands.last() == Some(&None) {
            operands.pop();
        }
        let ids: Vec<ValueId> = (0..graph.values.len() as u32).map(ValueId).collect();
        let types: Vec<TensorType> = graph.values.iter().map(|v| v.ty.clone()).collect();
        let regions: Vec<Graph> =
            (0..op.regions).map(|_| random_graph(random, depth - 1, &ids, &types)).collect();
        let mut results = Vec::new();
        for place in op.results {
            let count = match place.arity {
                operators::Arity::One => 1,
                operators::Arity::Optional => random.below(2),
                operators::Arity::Variadic => random.below(3),
            };
            for _ in 0..count {
                let ty = random.ty();
                let id = graph.add_value(random.name(), ty, Def::Node);
                if random.below(4) == 0 {
                    graph.value_mut(id).known = Some(vec![random.expr(1)]);
                }
                results.push(id);
            }
            if count == 0 {
                break;
            }
        }
        // Without a result there is no place for the location's name.
        let attrs = random.attrs(op.attributes);
        let location = location(&random.name(), &random.name());
        graph.nodes.push(Node { op: op.name.into(), attrs, operands, results, regions, location });
    }
    // A captured value is numbered at its first use, here the output.
    let captured = (!outer.is_empty() && random.chance()).then(|| random.below(outer.len()));
    if let Some(i) = captured {
        let id = graph.add_value("captured", outer_types[i].clone(), Def::Captured(outer[i]));
        graph.outputs.push((random.name().into(), id));
    }
    let id = ValueId(random.below(graph.values.len()) as u32);
    graph.outputs.push((random.name().into(), id));
    graph
}

/// Captured values take over the name and the known elements of the captured ones.
fn inherit(graph: &mut Graph) {
    let values = graph.values.clone();
    for node in &mut graph.nodes {
        for region in &mut node.regions {
            for v in &mut region.values {
                if let Def::Captured(id) = v.def {
                    v.name = values[id.0 as usize].name.clone();
                    v.known = values[id.0 as usize].known.clone();
                }
            }
            inherit(region);
        }
    }
}

#[test]
fn random_graphs_round_trip() {
    let context = MlirContext::new();
    for seed in 1..200 {
        let mut graph = random_graph(&mut Random::new(seed), 2, &[], &[]);
        inherit(&mut graph);
        round_trip(&context, &graph);
    }
}

#[test]
fn every_operator_round_trips() {
    let context = MlirContext::new();
    let mut random = Random::new(7);
    for op in operators::operators().filter(|op| op.regions == 0) {
        for present in [false, true] {
            let mut graph = Graph { name: "g".into(), ..Graph::default() };
            let ty = TensorType::of(DType::F32, &[2, 3]);
            let x = graph.add_value("x", ty.clone(), Def::Input(0));
            graph.inputs.push(x);
            let value = |o: &operators::Operand| match o.arity {
                operators::Arity::Optional => present,
                _ => true,
            };
            let operands = op.operands.iter().filter(|o| value(o)).map(|_| Some(x)).collect();
            let results: Vec<ValueId> = op
                .results
                .iter()
                .filter(|o| value(o))
                .map(|o| graph.add_value(o.name, ty.clone(), Def::Node))
                .collect();
            graph.outputs.push(("out".into(), results[0]));
            let node = Node {
                op: op.name.into(),
                attrs: random.attrs(op.attributes),
                operands,
                results,
                regions: vec![],
                location: location("n", op.name),
            };
            graph.nodes.push(node);
            round_trip(&context, &graph);
        }
    }
}

#[test]
fn a_graph_reads_well() {
    let mut graph = Graph { name: "net".into(), ..Graph::default() };
    let (n, h) = (Expr::symbol("batch"), Expr::symbol("height"));
    let x = graph.add_value(
        "x",
        TensorType::new(DType::F32, vec![n.clone(), 3.into(), h.clone(), h.clone()]),
        Def::Input(0),
    );
    graph.inputs.push(x);
    let w = graph.add_constant("conv.weight", Tensor::from_f32(&[4, 3, 3, 3], &[0.5; 108]));
    let b = graph.add_constant("conv.bias", Tensor::from_f32(&[4], &[0.1, -2.0, f32::NAN, 1e-30]));
    let ty = TensorType::new(DType::F32, vec![n.clone(), 4.into(), h.clone(), h]);
    let y = graph.add_value("conv_out", ty.clone(), Def::Node);
    let z = graph.add_value("/relu", ty, Def::Node);
    let conv = Attrs::new()
        .with("strides", Attr::Ints(vec![1, 1]))
        .with("pads", Attr::Ints(vec![1; 4]))
        .with("dilations", Attr::Ints(vec![1, 1]))
        .with("group", Attr::Int(1));
    let mut push = |op: &str, attrs, operands: &[ValueId], result, place| {
        let operands = operands.iter().map(|o| Some(*o)).collect();
        graph.nodes.push(Node {
            op: op.into(),
            attrs,
            operands,
            results: vec![result],
            regions: vec![],
            location: place,
        });
    };
    push("conv", conv, &[x, w, b], y, location("conv1", "Conv"));
    push("relu", Attrs::new(), &[y], z, location("/relu", "Relu"));
    graph.outputs.push(("y".into(), z));
    let context = MlirContext::new();
    insta::assert_snapshot!(context.print_graph(&graph).unwrap());
    round_trip(&context, &graph);
}
