//! What a block costs as the kernels that fusion makes of it: each kernel's roofline on a nominal machine.

use super::{
    block::Block,
    cost::{self, FLOPS, KERNEL},
    template::{Source, Template},
};
use crate::{
    convert, fusion,
    registry::{Config, Run},
};
use mlcc_ir::{
    expr::Expr,
    graph::{Def, Graph, Location, Node, ValueId},
    kernel::{Compute, Kernel, Role},
    program::{Program, Step},
    scalar::{BinaryOp, Inst, UnaryOp},
};
use std::collections::BTreeMap;

/// Part of the lesser of a kernel's two bounds that adds to the greater one.
const OVERLAPPED: f64 = 0.1;
/// Tensors of up to this many bytes come from a cache.
const CACHED: f64 = 1e6;
/// Bytes a second from a cache.
const CACHE_BYTES: f64 = 120e9;

/// Seconds of a template on a nominal machine; `None` if it cannot be lowered.
pub(super) fn of_template(template: &Template, block: &Block) -> Option<f64> {
    let graph = graph_of(template, block)?;
    let mut program = convert::graph_to_tensor(&graph).ok()?;
    const FUSION: &[crate::registry::PassSpec] = &[
        fusion::inline_movement::SPEC,
        fusion::inline_elementwise::SPEC,
        fusion::fuse_epilogue::SPEC,
        fusion::fuse_prologue::SPEC,
        fusion::fuse_attention::SPEC,
        fusion::fuse_operand::SPEC,
    ];
    for pass in FUSION {
        if let Run::Tensor(run) = pass.run {
            run(&mut program, &Config::default()).ok()?;
        }
    }
    Some(of_program(&program))
}

/// The template as a graph of its own. Weights, and what is computed from weights only, are inputs.
pub(super) fn graph_of(template: &Template, block: &Block) -> Option<Graph> {
    let mut graph = Graph { name: "block".into(), ..Graph::default() };
    let input = |graph: &mut Graph, ty: &mlcc_ir::types::TensorType, known: Option<Vec<Expr>>| {
        let id =
            graph.add_value(format!("x{}", graph.inputs.len()), ty.clone(), Def::Input(graph.inputs.len()));
        graph.value_mut(id).known = known;
        graph.inputs.push(id);
        id
    };
    let mut leaves: BTreeMap<usize, ValueId> = BTreeMap::new();
    let mut values: Vec<ValueId> = Vec::with_capacity(template.nodes.len());
    let mut source = |graph: &mut Graph, values: &[ValueId], source: &Source| match source {
        Source::Leaf(at) => {
            let facts = block.facts.get(*at)?;
            Some(*leaves.entry(*at).or_insert_with(|| input(graph, &facts.ty, facts.known.clone())))
        }
        Source::Constant(tensor) => Some(graph.add_constant("constant", tensor.clone())),
        Source::Node(at) => values.get(*at).copied(),
    };
    for node in &template.nodes {
        if node.weight {
            values.push(input(&mut graph, &node.ty, None));
            continue;
        }
        let mut operands = Vec::with_capacity(node.operands.len());
        for operand in &node.operands {
            operands.push(match operand {
                Some(o) => Some(source(&mut graph, &values, o)?),
                None => None,
            });
        }
        let result = graph.add_value(format!("v{}", values.len()), node.ty.clone(), Def::Node);
        values.push(result);
        graph.nodes.push(Node {
            op: node.op.clone(),
            attrs: node.attrs.clone(),
            operands,
            results: vec![result],
            regions: Vec::new(),
            location: Location { node: "block".into(), op_type: "".into() },
        });
    }
    for (at, output) in template.outputs.iter().enumerate() {
        let id = source(&mut graph, &values, output)?;
        graph.outputs.push((format!("y{at}").as_str().into(), id));
    }
    Some(graph)
}

fn of_program(program: &Program) -> f64 {
    program
        .steps
        .iter()
        .map(|step| match step {
            Step::Kernel { kernel, .. } => of_kernel(kernel),
            Step::Copy { target, .. } => KERNEL + traffic(2.0 * cost::bytes(&program.tensors[*target].ty)),
            _ => KERNEL,
        })
        .sum()
}

fn traffic(bytes: f64) -> f64 {
    bytes / if bytes > CACHED { cost::BYTES } else { CACHE_BYTES }
}

fn of_kernel(kernel: &Kernel) -> f64 {
    let mut touched = vec![0.0f64; kernel.tensors.len()];
    let mut arithmetic = 0.0;
    for compute in &kernel.computes {
        arithmetic += of_compute(compute);
        for (tensor, index) in compute.reads() {
            let points = points_of(compute, |axis| index.iter().any(|e| e.uses_axis(axis)));
            let all = cost::elements(&kernel.tensors[tensor].ty);
            touched[tensor] = touched[tensor].max(points.min(all));
        }
        touched[compute.target] = cost::elements(&kernel.tensors[compute.target].ty);
    }
    let moved: f64 = kernel
        .tensors
        .iter()
        .zip(touched)
        .filter(|(t, _)| t.role != Role::Temporary)
        .map(|(t, elements)| traffic(elements * t.ty.dtype.size() as f64))
        .sum();
    let computed = arithmetic / FLOPS;
    // The lesser one overlaps in part only.
    KERNEL + computed.max(moved) + OVERLAPPED * computed.min(moved)
}

fn points_of(compute: &Compute, mut counts: impl FnMut(&str) -> bool) -> f64 {
    let extent = |e: &Expr| e.evaluate(&|_| Some(64)).unwrap_or(64) as f64;
    compute.axes.iter().filter(|a| counts(&a.name)).map(|a| extent(&a.extent)).product()
}

/// Operations of a compute. An instruction is executed once for each point of the axes that it depends on: the
/// rest is moved out of loops.
fn of_compute(compute: &Compute) -> f64 {
    let mut depends: Vec<u64> = Vec::with_capacity(compute.body.insts.len());
    let mut operations = 0.0;
    let axes = |index: &[Expr]| {
        let uses = |(at, axis): (usize, &mlcc_ir::kernel::Axis)| {
            u64::from(index.iter().any(|e| e.uses_axis(&axis.name))) << at.min(63)
        };
        compute.axes.iter().enumerate().map(uses).fold(0, |a, b| a | b)
    };
    for (inst, _) in &compute.body.insts {
        let of = |id: &u32| depends[*id as usize];
        let (on, price) = match inst {
            Inst::Const(_) => (0, 0.0),
            Inst::Index(e) => (axes(std::slice::from_ref(e)), 0.0),
            Inst::Read { index, .. } => (axes(index), 0.0),
            Inst::Unary(op, a) => (of(a), unary(*op)),
            Inst::Binary(op, a, b) => (of(a) | of(b), binary(*op)),
            Inst::Compare(_, a, b) => (of(a) | of(b), 1.0),
            Inst::Select(c, a, b) => (of(c) | of(a) | of(b), 1.0),
            Inst::Cast(a) => (of(a), 1.0),
        };
        depends.push(on);
        if price > 0.0 {
            let mut at = 0;
            operations += price
                * points_of(compute, |_| {
                    at += 1;
                    on >> (at - 1).min(63) & 1 == 1
                });
        }
    }
    let accumulation = if compute.is_reduction() { points_of(compute, |_| true) } else { 0.0 };
    operations + accumulation
}

/// Prices in multiply-adds' halves, as vectors do them.
fn unary(op: UnaryOp) -> f64 {
    match op {
        UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Not | UnaryOp::Floor | UnaryOp::Ceil | UnaryOp::Trunc => 1.0,
        UnaryOp::Round | UnaryOp::IsNan | UnaryOp::Sign => 2.0,
        UnaryOp::Sqrt => 10.0,
        UnaryOp::Exp => 16.0,
        _ => 24.0,
    }
}

fn binary(op: BinaryOp) -> f64 {
    match op {
        BinaryOp::Div => 10.0,
        BinaryOp::Mod | BinaryOp::Rem => 16.0,
        BinaryOp::Pow => 40.0,
        _ => 1.0,
    }
}
