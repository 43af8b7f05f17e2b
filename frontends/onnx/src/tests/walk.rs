//! The walk over a model: names, functions, branches, several problems at once.

use super::models::{
    BOOL, FLOAT, INT64, float, float_weight, graph, imported, int, int_weight, listing, model, node,
    operators, value,
};
use crate::proto::{AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto};
use mlcc_ir::{
    attributes::Attr,
    diagnostic::{Diagnostic, Fault},
    graph::Def,
};

fn simple(nodes: Vec<NodeProto>) -> GraphProto {
    GraphProto {
        name: "g".into(),
        input: vec![value("x", FLOAT, "n 4")],
        output: vec![value("y", FLOAT, "n 4")],
        node: nodes,
        ..GraphProto::default()
    }
}

fn errors(model: &ModelProto) -> Vec<Diagnostic> {
    imported(model).unwrap_err()
}

#[test]
fn values_and_nodes_keep_their_names() {
    let mut named = node("h = Relu(x)", vec![]);
    named.name = "first".into();
    let model = model(18, simple(vec![named, node("y = Neg(h)", vec![])]));
    let imported = imported(&model).unwrap();
    let graph = &imported.graph;
    let places: Vec<_> = graph.nodes.iter().map(|n| n.location.to_string()).collect();
    assert_eq!(places, ["node 'first' (Relu)", "node 'Neg_y' (Neg)"]);
    let names: Vec<_> = graph.values.iter().map(|v| &*v.name).collect();
    assert_eq!(names, ["x", "h", "y"]);
    assert_eq!((imported.info.opset, imported.info.producer.as_str()), (18, "test"));
}

#[test]
fn nothing_remains_of_identities() {
    let nodes =
        vec![node("a = Identity(x)", vec![]), node("b = Dropout(a)", vec![]), node("y = Relu(b)", vec![])];
    let graph = imported(&model(18, simple(nodes))).unwrap().graph;
    assert_eq!(listing(&graph), ["relu (n)x4xf32"]);
    assert_eq!(graph.nodes[0].operands, [Some(graph.inputs[0])]);
}

#[test]
fn all_problems_are_reported_once() {
    let nodes = vec![
        node("a = NoSuchOperator(x)", vec![]),
        node("b = Relu(a)", vec![]),
        node("c = LSTM(b, x, x)", vec![]),
        node("d = Relu(missing)", vec![]),
        node("e = Transpose(x)", vec![super::models::ints("perm", &[0, 5])]),
        node("y = Add(b, e)", vec![]),
    ];
    let found = errors(&model(18, simple(nodes)));
    let lines: Vec<_> = found
        .iter()
        .map(|d| format!("{:?} {}: {}", d.fault, d.location.as_ref().unwrap().node, d.message))
        .collect();
    assert_eq!(
        lines,
        [
            "Unsupported NoSuchOperator_a: operator 'NoSuchOperator' is not supported",
            "Unsupported LSTM_c: operator 'LSTM' is not supported: recurrent layers are not implemented yet",
            "User Relu_d: operand 'missing' is defined nowhere",
            "User Transpose_e: axis 5 is out of range for 2 dimensions",
        ]
    );
    assert!(found.iter().all(|d| d.hint.is_some()));
}

#[test]
fn a_hundred_problems_are_enough() {
    let nodes = (0..300).map(|i| node(&format!("y{i} = Nothing(x)"), vec![])).collect();
    assert_eq!(errors(&model(18, simple(nodes))).len(), 100);
}

#[test]
fn opsets_and_domains_are_checked() {
    let relu = || simple(vec![node("y = Relu(x)", vec![])]);
    for opset in [1, 6, 29] {
        let found = errors(&model(opset, relu()));
        assert_eq!(found[0].message, format!("the model uses opset {opset}"));
        assert_eq!(found[0].fault, Fault::Unsupported);
    }
    let mut foreign = node("y = Relu(x)", vec![]);
    foreign.domain = "com.microsoft".into();
    let found = errors(&model(18, simple(vec![foreign])));
    assert_eq!(found[0].message, "operator 'Relu' of the domain 'com.microsoft' is not supported");
    let found = errors(&model(10, simple(vec![node("y = HardSwish(x)", vec![])])));
    assert_eq!(found[0].message, "operator 'HardSwish' exists since opset 14, but the model uses opset 10");
    let mut without = model(18, relu());
    without.opset_import.clear();
    assert_eq!(errors(&without)[0].fault, Fault::User);
}

#[test]
fn outputs_must_be_computed_and_of_their_type() {
    let missing = errors(&model(18, simple(vec![])));
    assert_eq!(missing[0].message, "output 'y' is never computed");
    let wrong = errors(&model(18, simple(vec![node("y = IsNaN(x)", vec![])])));
    assert_eq!(wrong[0].message, "output 'y' is declared as f32 but computed as i1");
    let twice = errors(&model(18, simple(vec![node("y = Relu(x)", vec![]), node("y = Neg(x)", vec![])])));
    assert_eq!(twice[0].message, "value 'y' is defined more than once");
}

#[test]
fn weights_among_the_inputs_of_old_files_are_weights() {
    let mut graph = simple(vec![node("y = Add(x, w)", vec![])]);
    graph.input.push(value("w", FLOAT, "4"));
    graph.initializer.push(float_weight("w", &[4], &[1.0; 4]));
    let graph = imported(&ModelProto { ir_version: 3, ..model(8, graph) }).unwrap().graph;
    assert_eq!(graph.inputs.len(), 1);
    let weight = graph.nodes[0].operands[1].unwrap();
    assert!(matches!(graph.value(weight).def, Def::Constant(_)));
}

/// `F(a, b?) { alpha }`: `Elu` with the function's attribute, which has a default.
fn with_function(call: Vec<AttributeProto>) -> ModelProto {
    let mut caller = node("y = F(x)", call);
    caller.domain = "local".into();
    caller.name = "call".into();
    let mut inner = node("h = Elu(a)", vec![float("alpha", 9.0)]);
    inner.attribute[0].ref_attr_name = "slope".into();
    inner.name = "elu".into();
    let mut model = model(18, simple(vec![caller]));
    model.functions = vec![FunctionProto {
        name: "F".into(),
        domain: "local".into(),
        input: vec!["a".into(), "b".into()],
        output: vec!["o".into()],
        node: vec![inner, node("o = Clip(h, b)", vec![])],
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 13 }],
        attribute_proto: vec![float("slope", 0.5)],
        ..FunctionProto::default()
    }];
    model
}

#[test]
fn functions_are_inlined() {
    for (call, alpha) in [(vec![], 0.5), (vec![float("slope", 0.25)], 0.25)] {
        let graph = imported(&with_function(call)).unwrap().graph;
        // Without the second operand the clip does nothing.
        assert_eq!(listing(&graph), ["elu (n)x4xf32"]);
        assert_eq!(graph.nodes[0].attrs.get("alpha"), Some(&Attr::Float(alpha)));
        assert_eq!(&*graph.nodes[0].location.node, "call/elu");
    }
}

#[test]
fn a_function_does_not_see_its_caller() {
    let mut model = with_function(vec![]);
    model.functions[0].node[0].input[0] = "x".into();
    assert_eq!(errors(&model)[0].message, "operand 'x' is defined nowhere");
}

fn with_if(condition: NodeProto) -> ModelProto {
    let branch = |op: &str| GraphProto {
        node: vec![node(&format!("b = {op}(x)"), vec![])],
        output: vec![value("b", FLOAT, "n 4")],
        ..GraphProto::default()
    };
    let choice =
        node("y = If(c)", vec![graph("then_branch", branch("Relu")), graph("else_branch", branch("Neg"))]);
    let mut graph = simple(vec![condition, choice]);
    graph.initializer = vec![int_weight("one", &[], &[1])];
    model(18, graph)
}

#[test]
fn a_branch_of_constant_condition_is_inlined() {
    let always = imported(&with_if(node("c = Cast(one)", vec![int("to", 9)]))).unwrap().graph;
    assert_eq!(operators(&always).last().unwrap().0, "relu");
    let never = imported(&with_if(node("c = Less(one, one)", vec![]))).unwrap().graph;
    assert_eq!(operators(&never).last().unwrap().0, "neg");
    let mut depends = with_if(node("c = Identity(d)", vec![]));
    depends.graph.as_mut().unwrap().input.push(value("d", BOOL, ""));
    let found = errors(&depends);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].fault, Fault::Unsupported);
    assert!(found[0].message.contains("condition of an If"), "{found:?}");
}

#[test]
fn operands_that_decide_shapes_must_be_known() {
    let mut graph = simple(vec![node("y = Reshape(x, s)", vec![])]);
    graph.input.push(value("s", INT64, "2"));
    let found = errors(&model(18, graph));
    assert_eq!(found[0].fault, Fault::Unsupported);
    assert!(found[0].message.starts_with("operand 'shape' is computed from data"), "{found:?}");
}
