//! From the graph level to the tensor level: every operator becomes kernels, a view or control flow.
//!
//! One file per family of operators. Each node is lowered on its own. Fusion merges kernels later. It does
//! not know operators, only the computes that are made here:
//!
//! - Axes have stable names: `i0`, `i1`, ... over the dimensions of a result; `m`, `n`, `k` for matrix
//!   products; `n`, `g`, `m`, `h`, `w`, `c`, `kh`, `kw` for convolutions. The same axis has the same
//!   name in every compute of a kernel.
//! - A contraction is one reduction compute whose body is the product of two reads. Later work (bias,
//!   conversion) is a compute of its own that reads the accumulator.
//! - Half-precision floats are computed and accumulated in `f32`.
//! - An index computed from data never reads or writes out of bounds.

mod activation;
mod arg;
mod contraction;
mod control;
mod conv;
mod conv_transpose;
mod cumulative;
mod einsum;
mod elementwise;
mod gather;
mod generate;
mod grid_sample;
mod kernels;
mod lowering;
mod movement;
mod norm;
mod pad;
mod pool;
mod quantize;
mod reduce;
mod resize;
mod rotary;
mod sampling;
mod scalars;
mod scatter;
mod softmax;

#[cfg(test)]
mod tests;

use crate::requirements;
use lowering::{Lowering, Scope};
use mlcc_ir::{
    Name,
    diagnostic::{Diagnostic, Result},
    expr::Expr,
    graph::{Def, Graph, Node},
    origin::Origin,
    program::{Program, Step, Storage, Symbol, SymbolSource},
};

/// Lowers a graph to the tensor level. Nodes that no output depends on are left out.
///
/// # Errors
/// If an operator, or a form of it, cannot be compiled, or if a symbolic dimension does not follow from the
/// inputs' dimensions.
pub fn graph_to_tensor(graph: &Graph) -> Result<Program> {
    let mut scope = Scope::new(graph, Program { name: graph.name.clone(), ..Program::default() });
    for (i, &input) in graph.inputs.iter().enumerate() {
        let value = graph.value(input);
        let id = scope.program.add_tensor(value.name.clone(), value.ty.clone(), Storage::Input(i));
        scope.program.inputs.push(id);
        scope.tensors[input.0 as usize] = Some(id);
    }
    scope.program.symbols = symbols_of_inputs(graph);
    let symbols: Vec<Name> = scope.program.symbols.iter().map(|s| s.name.clone()).collect();
    scope.program.ranges = graph.ranges.of(&symbols);
    scope.program.requirements = requirements::of_graph(graph);
    scope.program.origin = Origin { last_pass: None, ..graph.origin.clone() };
    for (i, (_, output)) in graph.outputs.iter().enumerate() {
        scope.direct_outputs.entry(*output).or_insert(i);
    }
    lower_nodes(&mut scope)?;
    let copied = lower_outputs(&mut scope)?;
    scope.program.outputs = graph.outputs.iter().map(|(name, _)| name.clone()).zip(copied).collect();
    check_symbols(&scope.program)?;
    Ok(scope.program)
}

/// The symbols that inputs' dimensions bind.
fn symbols_of_inputs(graph: &Graph) -> Vec<Symbol> {
    let mut symbols: Vec<Symbol> = Vec::new();
    for (input, &value) in graph.inputs.iter().enumerate() {
        for (dim, extent) in graph.value(value).ty.dims.iter().enumerate() {
            if let Some(mlcc_ir::expr::Atom::Symbol(name)) = extent.as_atom()
                && !symbols.iter().any(|s| s.name == *name)
            {
                symbols.push(Symbol { name: name.clone(), source: SymbolSource::InputDim { input, dim } });
            }
        }
    }
    symbols
}

/// Every symbol that occurs must be bound by an input.
fn check_symbols(program: &Program) -> Result<()> {
    let mut used: Vec<Name> = Vec::new();
    for tensor in &program.tensors {
        tensor.ty.dims.iter().for_each(|d| d.collect_symbols(&mut used));
    }
    for step in &program.steps {
        step.visit(&mut |step| {
            if let Step::Kernel { kernel, .. } = step {
                used.extend(kernel.symbols());
            }
        });
    }
    match used.iter().find(|name| !program.symbols.iter().any(|s| s.name == **name)) {
        None => Ok(()),
        Some(name) => {
            Err(Diagnostic::unsupported(format!("the size '{name}' is not a dimension of any input"))
                .hint("give the input whose dimension is computed from it a static shape with --shape"))
        }
    }
}

/// The tensor for each of the graph's outputs: the value's own tensor, or a copy of it.
fn lower_outputs(scope: &mut Scope<'_>) -> Result<Vec<usize>> {
    let graph = scope.graph;
    let mut tensors = Vec::with_capacity(graph.outputs.len());
    for (i, (name, output)) in graph.outputs.iter().enumerate() {
        let source = scope.tensor(*output)?;
        let own = scope.program.tensors[source].storage == Storage::Output(i);
        tensors.push(if own {
            source
        } else {
            let ty = graph.value(*output).ty.clone();
            let target = scope.program.add_tensor(name.clone(), ty, Storage::Output(i));
            scope.program.steps.push(Step::Copy { target, source });
            target
        });
    }
    Ok(tensors)
}

/// Whether an output depends on each node. A node whose results are known as symbolic integers depends on
/// nothing.
fn live_nodes(graph: &Graph) -> Vec<bool> {
    let mut wanted = vec![false; graph.values.len()];
    graph.outputs.iter().for_each(|(_, o)| wanted[o.0 as usize] = true);
    let mut live = vec![false; graph.nodes.len()];
    for (at, node) in graph.nodes.iter().enumerate().rev() {
        live[at] = node.results.iter().any(|r| wanted[r.0 as usize]);
        if !live[at] || generate::is_known(graph, node) {
            continue;
        }
        node.operands.iter().flatten().for_each(|o| wanted[o.0 as usize] = true);
        for value in node.regions.iter().flat_map(|r| &r.values) {
            if let Def::Captured(outer) = value.def {
                wanted[outer.0 as usize] = true;
            }
        }
    }
    live
}

/// Lowers the nodes of a graph whose inputs are bound.
fn lower_nodes(scope: &mut Scope<'_>) -> Result<()> {
    let graph = scope.graph;
    for (node, live) in graph.nodes.iter().zip(live_nodes(graph)) {
        if live {
            lower_node(&mut Lowering { scope, node }).map_err(|d| d.at(&node.location))?;
        }
    }
    Ok(())
}

/// Lowers the operators of a family; `None` for others.
type Family = fn(&mut Lowering<'_, '_>) -> Option<Result<()>>;

/// Lowers one node: the family that knows the operator does it.
fn lower_node(op: &mut Lowering<'_, '_>) -> Result<()> {
    if generate::is_known(op.scope.graph, op.node) {
        return generate::lower_known(op);
    }
    const FAMILIES: &[Family] = &[
        elementwise::lower,
        contraction::lower,
        conv::lower,
        conv_transpose::lower,
        einsum::lower,
        reduce::lower,
        softmax::lower,
        arg::lower,
        norm::lower,
        rotary::lower,
        pool::lower,
        movement::lower,
        pad::lower,
        gather::lower,
        scatter::lower,
        generate::lower,
        control::lower,
        cumulative::lower,
        quantize::lower,
        resize::lower,
        grid_sample::lower,
    ];
    FAMILIES.iter().find_map(|lower| lower(op)).unwrap_or_else(|| {
        let node: &Node = op.node;
        Err(Diagnostic::unsupported(format!("operator 'graph.{}' cannot be compiled yet", node.op))
            .hint("export the model without it, or replace it by other operators"))
    })
}

/// The product of sizes.
fn product(dims: &[Expr]) -> Expr {
    dims.iter().fold(Expr::from(1), |n, d| n * d.clone())
}
