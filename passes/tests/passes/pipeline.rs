//! Runs all passes on a graph, as the compiler does, and describes the resulting program.

use crate::spelling::tensor_of;
use mlcc_ir::{
    contract::{Verified, check_types},
    dtype::DType,
    expr::{Atom, Expr},
    graph::Graph,
    kernel::{AxisKind, Kernel, Role},
    program::{Program, Step},
    scalar::{BinaryOp, Inst},
    tensor::Tensor,
};
use mlcc_passes::{
    config::Config,
    convert::graph_to_tensor,
    driver,
    graph::rewrite::{self, Mode, Settings},
    registry::{Context, Events},
};
use std::fmt::Write;

/// Fails if rules change the values of a block.
struct NothingDropped;

impl Events for NothingDropped {
    fn rewritten(&mut self, report: &rewrite::Report) {
        assert!(report.dropped.is_empty(), "{report:?}");
    }
}

/// The program of a graph after all passes, with the rewrites of a mode.
pub(crate) fn compile(graph: &Graph, mode: Mode) -> Program {
    let graph = Verified::new(graph.clone(), "the test").expect("well formed");
    let config = Config { rewrites: Settings { mode, ..Settings::default() }, ..Config::default() };
    let mut context = Context { config: &config, events: &mut NothingDropped };
    let graph = driver::run(graph, &mut context).expect("the passes run");
    check_types(&graph).expect("well typed");
    let program = graph_to_tensor(&graph).expect("the graph converts");
    let program = Verified::new(program, "graph-to-tensor").expect("well formed");
    // Under every mode, since these tests are about the recognition of operators.
    let mut context = Context { config: &Config::default(), events: &mut () };
    driver::run(program, &mut context).expect("the passes run").into_inner()
}

/// Random inputs for a graph: between -1 and 1, or truths.
pub(crate) fn inputs(graph: &Graph) -> Vec<Tensor> {
    let mut state = 11u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    let input = |id: &mlcc_ir::graph::ValueId| {
        let ty = &graph.value(*id).ty;
        let dims = ty.static_dims().expect("tests have fixed sizes");
        let count = dims.iter().product::<i64>() as usize;
        match ty.dtype {
            // The first of each row is true: a row in which nothing counts is NaN.
            DType::Bool => {
                let row = dims.last().copied().unwrap_or(1) as usize;
                let bits: Vec<u8> = (0..count).map(|i| u8::from(i % row == 0 || next() > 0.0)).collect();
                Tensor::new(DType::Bool, dims, bits.into()).expect("a tensor")
            }
            dtype => tensor_of(dtype, &dims, &(0..count).map(|_| f64::from(next())).collect::<Vec<f64>>()),
        }
    };
    graph.inputs.iter().map(input).collect()
}

/// Demands that a program computes the same as a graph, up to a relative error in norm.
pub(crate) fn assert_computes(program: &Program, graph: &Graph, tolerance: f64) {
    let inputs = inputs(graph);
    let wanted = mlcc_interpreter::graph::run(graph, &inputs).expect("the graph runs");
    let found = mlcc_interpreter::program::run(program, &inputs).expect("the program runs");
    assert_eq!(wanted.len(), found.len());
    for (w, f) in wanted.iter().zip(&found) {
        assert_eq!(w.dims, f.dims);
        let (w, f) = (w.to_f64(), f.to_f64());
        let norm = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
        let difference: Vec<f64> = w.iter().zip(&f).map(|(w, g)| w - g).collect();
        let error = norm(&difference) / norm(&w);
        assert!(error <= tolerance, "relative error {error}");
    }
}

/// The kernels in order.
pub(crate) fn kernels(program: &Program) -> Vec<&Kernel> {
    program
        .steps
        .iter()
        .filter_map(|step| match step {
            Step::Kernel { kernel, .. } => Some(&**kernel),
            _ => None,
        })
        .collect()
}

/// Operations of arithmetic and bytes moved by a program.
pub(crate) fn work(program: &Program) -> (i64, i64) {
    let fixed = |e: Expr| e.as_const().expect("tests have fixed sizes");
    kernels(program).iter().fold((0, 0), |(o, b), k| (o + fixed(k.operations()), b + fixed(k.traffic())))
}

/// The computation of each kernel without names: equal for kernels that could replace each other. They are
/// sorted, since the order of kernels that do not depend on each other means nothing.
pub(crate) fn shapes(program: &Program) -> Vec<String> {
    let mut shapes: Vec<String> = kernels(program).into_iter().map(shape).collect();
    shapes.sort();
    shapes
}

fn shape(kernel: &Kernel) -> String {
    let mut text = String::new();
    for compute in &kernel.computes {
        let rename = |e: &Expr| {
            let place = |atom: &Atom| match atom {
                Atom::Axis(name) => {
                    let at = compute.axes.iter().position(|a| a.name == *name)?;
                    Some(Expr::axis(&format!("a{at}")))
                }
                _ => None,
            };
            e.substitute(&place).to_string()
        };
        let indices = |list: &[Expr]| list.iter().map(rename).collect::<Vec<_>>().join(", ");
        for axis in &compute.axes {
            let kind = if axis.kind == AxisKind::Reduction { "reduced " } else { "" };
            let _ = write!(text, "{kind}{} ", axis.extent);
        }
        let tensor = |t: usize| {
            let role = if kernel.tensors[t].role == Role::Temporary { "temporary" } else { "operand" };
            format!("{role} {}", kernel.tensors[t].ty)
        };
        let _ =
            write!(text, "| {} [{}] {:?}", tensor(compute.target), indices(&compute.write), compute.combine);
        // The value as a tree, with operands sorted if their order does not matter.
        let mut values: Vec<String> = Vec::new();
        for (inst, dtype) in &compute.body.insts {
            let of = |v: &u32| values[*v as usize].clone();
            values.push(match inst {
                Inst::Read { tensor: t, index, .. } => format!("{} [{}]", tensor(*t), indices(index)),
                Inst::Index(e) => format!("{} {dtype}", rename(e)),
                Inst::Const(c) => format!("{:?} {dtype}", c.element()),
                Inst::Unary(op, a) => format!("{op:?}({})", of(a)),
                Inst::Binary(op @ (BinaryOp::Add | BinaryOp::Mul), a, b) => {
                    let mut operands = [of(a), of(b)];
                    operands.sort();
                    format!("{op:?}({})", operands.join(", "))
                }
                Inst::Binary(op, a, b) => format!("{op:?}({}, {})", of(a), of(b)),
                Inst::Compare(op, a, b) => format!("{op:?}({}, {})", of(a), of(b)),
                Inst::Select(c, a, b) => format!("select({}, {}, {})", of(c), of(a), of(b)),
                Inst::Cast(a) => format!("{dtype}({})", of(a)),
            });
        }
        let _ = write!(text, "; {}", values[compute.body.result as usize]);
        text.push('\n');
    }
    text
}
