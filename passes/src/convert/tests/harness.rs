//! One-node graphs, random operands, and the comparison of the two levels.

use crate::convert::graph_to_tensor;
use mlcc_interpreter::{compare, graph, program};
use mlcc_ir::{
    attributes::{Attr, Attrs},
    contract::Contract,
    dtype::DType,
    expr::Expr,
    graph::{Def, Graph, Location, Node, ValueId},
    ops::{self, Operand},
    program::Program,
    tensor::{Element, Tensor, element_count, push_element},
    types::TensorType,
};
use std::cell::Cell;

pub(super) use DType::{BF16, Bool, F16, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64};

pub(super) const FLOATS: [DType; 4] = [F32, F64, F16, BF16];
pub(super) const INTS: [DType; 8] = [I8, I16, I32, I64, U8, U16, U32, U64];

thread_local! {
    static STATE: Cell<u64> = const { Cell::new(11) };
}

/// A number in 0..1, the same sequence in every run.
pub(super) fn random() -> f64 {
    STATE.with(|state| {
        let next =
            state.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.set(next);
        (next >> 11) as f64 / (1u64 << 53) as f64
    })
}

/// A tensor of values in `low..high` (integers: rounded towards negative infinity).
pub(super) fn between(dtype: DType, dims: &[i64], low: f64, high: f64) -> Tensor {
    let mut data = Vec::new();
    for _ in 0..element_count(dims).unwrap() {
        let v = low + (high - low) * random();
        let element = if dtype.is_float() { Element::Float(v) } else { Element::Int(v.floor() as i64) };
        push_element(dtype, &mut data, element);
    }
    Tensor::new(dtype, dims.to_vec(), data.into()).unwrap()
}

/// A tensor of small values: floats around 0, integers that fit every type.
pub(super) fn any(dtype: DType, dims: &[i64]) -> Tensor {
    match dtype {
        d if d.is_float() => between(d, dims, -2.0, 2.0),
        d if d.is_signed_int() => between(d, dims, -6.0, 7.0),
        Bool => between(Bool, dims, 0.0, 2.0),
        d => between(d, dims, 0.0, 12.0),
    }
}

/// An `f32` tensor of random values.
pub(super) fn f32s(dims: &[i64]) -> Tensor {
    any(F32, dims)
}

/// Given integers as `i64`.
pub(super) fn i64s(dims: &[i64], values: &[i64]) -> Tensor {
    Tensor::from_i64(dims, values)
}

/// Attributes.
pub(super) fn attrs(list: &[(&str, Attr)]) -> Attrs {
    list.iter().fold(Attrs::new(), |a, (name, value)| a.with(name, value.clone()))
}

pub(super) fn ints(values: &[i64]) -> Attr {
    Attr::Ints(values.to_vec())
}

pub(super) fn text(value: &str) -> Attr {
    Attr::Str(value.into())
}

/// How the operands enter the graph.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum As {
    /// As inputs with static dimensions.
    Inputs,
    /// As inputs whose dimensions (of the first operand, where they are above 1) are symbols.
    Symbolic,
    /// All but the first as constants.
    Constants,
}

/// A graph of one node, and the inputs for it.
pub(super) fn single(op: &str, attrs: &Attrs, operands: &[Option<Tensor>], how: As) -> (Graph, Vec<Tensor>) {
    let mut g = Graph { name: op.into(), ..Graph::default() };
    let mut inputs = Vec::new();
    let mut ids = Vec::new();
    for (i, operand) in operands.iter().enumerate() {
        let Some(tensor) = operand else {
            ids.push(None);
            continue;
        };
        if how == As::Constants && i > 0 {
            ids.push(Some(g.add_constant(format!("c{i}"), tensor.clone())));
            continue;
        }
        let mut ty = tensor.ty();
        if how == As::Symbolic {
            let symbol = |d: &i64| if *d > 1 { Expr::symbol(&format!("s{d}")) } else { Expr::from(*d) };
            let of_first: Vec<i64> = operands[0].iter().flat_map(|t| t.dims.clone()).collect();
            ty.dims = tensor
                .dims
                .iter()
                .map(|d| if of_first.contains(d) { symbol(d) } else { Expr::from(*d) })
                .collect();
        }
        let id = g.add_value(format!("x{i}"), ty, Def::Input(inputs.len()));
        g.inputs.push(id);
        inputs.push(tensor.clone());
        ids.push(Some(id));
    }
    let results = add_node(&mut g, op, attrs, &ids);
    g.outputs = results.iter().enumerate().map(|(i, &r)| (format!("y{i}").into(), r)).collect();
    (g, inputs)
}

/// Appends a node; its results' types are inferred.
pub(super) fn add_node(g: &mut Graph, op: &str, attrs: &Attrs, operands: &[Option<ValueId>]) -> Vec<ValueId> {
    let known: Vec<Option<Operand<'_>>> = operands
        .iter()
        .map(|o| {
            let value = g.value((*o)?);
            Some(Operand { ty: &value.ty, known: value.known.as_deref(), constant: g.constant((*o)?) })
        })
        .collect();
    let inferred = ops::infer(op, attrs, &known).unwrap_or_else(|e| panic!("{op}: {e}"));
    let at = g.nodes.len();
    let results: Vec<ValueId> = inferred
        .into_iter()
        .enumerate()
        .map(|(i, r)| {
            let id = g.add_value(format!("n{at}_{i}"), r.ty, Def::Node);
            g.value_mut(id).known = r.known;
            id
        })
        .collect();
    g.nodes.push(Node {
        op: op.into(),
        attrs: attrs.clone(),
        operands: operands.to_vec(),
        results: results.clone(),
        regions: Vec::new(),
        location: Location { node: format!("node{at}").into(), op_type: op.into() },
    });
    results
}

/// Relative error in norm that an element type's rounding allows.
fn tolerance(dtype: DType) -> f64 {
    match dtype {
        F64 => 1e-12,
        F32 => 3e-6,
        F16 => 2e-3,
        BF16 => 1.5e-2,
        _ => 0.0,
    }
}

/// Runs the graph on both levels and compares all outputs; gives the program back.
pub(super) fn assert_graph_agrees(g: &Graph, inputs: &[Tensor]) -> Program {
    let want = graph::run(g, inputs).unwrap_or_else(|e| panic!("{}, graph level: {e}", g.name));
    let lowered = graph_to_tensor(g).unwrap_or_else(|e| panic!("{}: {e}", g.name));
    lowered.check("convert").unwrap_or_else(|e| panic!("{}: {e}", g.name));
    let got = program::run(&lowered, inputs).unwrap_or_else(|e| panic!("{}, tensor level: {e}", g.name));
    assert_eq!(got.len(), want.len());
    for (i, (got, want)) in got.iter().zip(&want).enumerate() {
        let error = compare(got, want);
        assert!(
            error <= tolerance(want.dtype),
            "{} on {:?}, output {i} ({got:?} for {want:?}): error {error:e}\ngot  {:?}\nwant {:?}",
            g.name,
            inputs,
            &got.to_f64()[..got.elements().min(24)],
            &want.to_f64()[..want.elements().min(24)],
        );
    }
    lowered
}

/// [`assert_graph_agrees`] for one operator, its operands inputs.
pub(super) fn assert_agrees(op: &str, attrs: &Attrs, operands: &[Tensor]) {
    assert_agrees_as(op, attrs, operands, &[As::Inputs]);
}

/// [`assert_agrees`] with the operands in each of these roles.
pub(super) fn assert_agrees_as(op: &str, attrs: &Attrs, operands: &[Tensor], roles: &[As]) {
    let operands: Vec<_> = operands.iter().cloned().map(Some).collect();
    for &how in roles {
        let (g, inputs) = single(op, attrs, &operands, how);
        assert_graph_agrees(&g, &inputs);
    }
}

/// All three roles.
pub(super) const ALL_ROLES: [As; 3] = [As::Inputs, As::Symbolic, As::Constants];

/// A tensor type.
pub(super) fn ty(dtype: DType, dims: &[i64]) -> TensorType {
    TensorType::of(dtype, dims)
}
