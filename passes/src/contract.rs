//! What must hold where a level ends. A violation is a bug in mlcc; its message names the pass that
//! should have seen to it.

use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    expr::{Atom, Expr},
    graph::{Def, Graph},
    kernel::{Compute, Kernel, Role},
    nest::{LoopNest, Mapping, Node, Space},
    ops::{self, Operand},
    origin::Origin,
    program::{Program, Step},
    scalar::{Body, Inst},
    types::TensorType,
};

/// Import and graph level: every operand is defined before its use, every operator is known.
///
/// # Errors
/// With the first violation.
pub fn check_graph(graph: &Graph, after: &str) -> Result<()> {
    let mut defined: Vec<bool> = graph.values.iter().map(|v| v.def != Def::Node).collect();
    for node in &graph.nodes {
        for operand in node.operands.iter().flatten() {
            if !defined.get(operand.0 as usize).copied().unwrap_or(false) {
                return Err(broken(after, format!("'{}' uses a value before it is defined", node.op))
                    .at(&node.location));
            }
        }
        for result in &node.results {
            match defined.get_mut(result.0 as usize) {
                Some(d) if !*d => *d = true,
                _ => {
                    return Err(
                        broken(after, format!("'{}' defines a value twice", node.op)).at(&node.location)
                    );
                }
            }
        }
    }
    if let Some((name, _)) =
        graph.outputs.iter().find(|(_, o)| !defined.get(o.0 as usize).copied().unwrap_or(false))
    {
        return Err(broken(after, format!("output '{name}' is not defined")));
    }
    let inputs: Vec<&TensorType> = graph.inputs.iter().map(|id| &graph.value(*id).ty).collect();
    check_defaults(&graph.origin, &inputs, after)
}

/// Defaults are values of inputs.
fn check_defaults(origin: &Origin, inputs: &[&TensorType], after: &str) -> Result<()> {
    for (input, value) in &origin.defaults {
        let fits = |ty: &&&TensorType| {
            let sizes = ty.dims.iter().zip(&value.dims);
            ty.dtype == value.dtype
                && ty.rank() == value.dims.len()
                && sizes.into_iter().all(|(dim, size)| dim.as_const().is_none_or(|dim| dim == *size))
        };
        if inputs.get(*input).filter(fits).is_none() {
            return Err(broken(after, format!("the default of input {input} is no value of it")));
        }
    }
    Ok(())
}

/// Graph level, for graphs that a person may have written: declared types are those that inference finds.
///
/// # Errors
/// With the first difference, as the user's.
pub fn check_types(graph: &Graph) -> Result<()> {
    for node in &graph.nodes {
        let operands: Vec<_> = node.operands.iter().map(|o| o.map(|id| Operand::of(graph, id))).collect();
        if !node.regions.is_empty() {
            continue;
        }
        let inferred = ops::infer(&node.op, &node.attrs, &operands).map_err(|d| d.at(&node.location))?;
        if inferred.len() < node.results.len() {
            let message = format!("'{}' has at most {} results", node.op, inferred.len());
            return Err(Diagnostic::user(message).at(&node.location));
        }
        for (result, inferred) in node.results.iter().zip(&inferred) {
            let declared = &graph.value(*result).ty;
            if *declared != inferred.ty {
                let message = format!("'{}' gives {}, not the declared {declared}", node.op, inferred.ty);
                return Err(Diagnostic::user(message).at(&node.location));
            }
        }
    }
    Ok(())
}

/// Tensor level: every kernel is well formed, and its operands are bound to tensors of its types.
///
/// # Errors
/// With the first violation.
pub fn check_program(program: &Program, after: &str) -> Result<()> {
    let inputs: Vec<&TensorType> = program.inputs.iter().map(|id| &program.tensors[*id].ty).collect();
    check_defaults(&program.origin, &inputs, after)?;
    program.steps.iter().try_for_each(|step| check_step(program, step, after))
}

fn check_step(program: &Program, step: &Step, after: &str) -> Result<()> {
    match step {
        Step::Kernel { kernel, operands } => {
            check_kernel(kernel, after)?;
            let tensors: Vec<usize> = kernel.operands().collect();
            if tensors.len() != operands.len() {
                return Err(broken(
                    after,
                    format!(
                        "kernel '{}' has {} operands, not {}",
                        kernel.name,
                        tensors.len(),
                        operands.len()
                    ),
                ));
            }
            for (&t, &id) in tensors.iter().zip(operands) {
                let (want, got) = (&kernel.tensors[t].ty, program.tensors.get(id).map(|t| &t.ty));
                if got != Some(want) {
                    let name = &kernel.tensors[t].name;
                    return Err(broken(
                        after,
                        format!("kernel '{}': operand '{name}' is {want}, bound to {got:?}", kernel.name),
                    ));
                }
            }
            Ok(())
        }
        _ => step.blocks().flatten().try_for_each(|s| check_step(program, s, after)),
    }
}

fn check_kernel(kernel: &Kernel, after: &str) -> Result<()> {
    let fail = |what: String| Err(broken(after, format!("kernel '{}': {what}", kernel.name)));
    let mut written = vec![false; kernel.tensors.len()];
    for compute in &kernel.computes {
        let known = |e: &Expr| !e.any_atom(&mut |a| matches!(a, Atom::Axis(n) if compute.axis(n).is_none()));
        let rank = |t: usize| kernel.tensors.get(t).map(|t| t.ty.rank());
        if rank(compute.target) != Some(compute.write.len()) || !compute.write.iter().all(known) {
            return fail(format!("'{}' writes at an index that does not fit its target", compute.name));
        }
        if let Some(what) = bad_body(&compute.body, &rank, &known) {
            return fail(format!("'{}' {what}", compute.name));
        }
        if kernel.tensors[compute.target].role == Role::Input {
            return fail(format!("'{}' writes an input", compute.name));
        }
        if let Some(what) = out_of_bounds(kernel, compute) {
            return fail(format!("'{}' {what}", compute.name));
        }
        let unwritten = |t: usize| kernel.tensors[t].role == Role::Temporary && !written[t];
        if compute.reads().any(|(t, _)| unwritten(t)) {
            return fail(format!("'{}' reads a temporary that nothing has written", compute.name));
        }
        written[compute.target] = true;
    }
    let unwritten = kernel.with_role(Role::Output).find(|&t| !written[t]);
    unwritten.map_or(Ok(()), |t| fail(format!("output '{}' is never written", kernel.tensors[t].name)))
}

/// An unchecked access that is certain to leave its tensor, if any: static sizes and an index that is
/// affine in the axes, whose range is exact.
fn out_of_bounds(kernel: &Kernel, compute: &Compute) -> Option<String> {
    if compute.axes.iter().any(|a| a.extent.is(0)) {
        return None;
    }
    let leaves = |t: usize, index: &[Expr]| {
        index.iter().zip(&kernel.tensors[t].ty.dims).find_map(|(e, dim)| {
            let affine = e.terms().iter().all(|(p, _)| matches!(&p[..], [Atom::Axis(_)]));
            let (range, dim) = (e.interval(&|a| compute.range(a)), dim.as_const()?);
            let outside = range.low.is_some_and(|l| l < 0) || range.high.is_some_and(|h| h >= dim);
            let name = &kernel.tensors[t].name;
            (affine && outside).then(|| format!("reaches '{name}' at {e}, beyond its size {dim}"))
        })
    };
    let unchecked = compute.body.insts.iter().find_map(|(inst, _)| match inst {
        Inst::Read { tensor, index, outside: None } => leaves(*tensor, index),
        _ => None,
    });
    unchecked.or_else(|| leaves(compute.target, &compute.write))
}

/// What is wrong with a body, if anything.
fn bad_body(
    body: &Body,
    rank: &dyn Fn(usize) -> Option<usize>,
    known: &dyn Fn(&Expr) -> bool,
) -> Option<String> {
    for (at, (inst, _)) in body.insts.iter().enumerate() {
        let earlier = |ids: &[u32]| ids.iter().all(|&v| (v as usize) < at);
        let index_ok =
            |e: &Expr| known(e) && !e.any_atom(&mut |a| matches!(a, Atom::Value(v) if *v as usize >= at));
        let fine = match inst {
            Inst::Const(_) => true,
            Inst::Index(e) => index_ok(e),
            Inst::Read { tensor, index, .. } => {
                if rank(*tensor) != Some(index.len()) {
                    return Some(format!("reads tensor {tensor} with {} indices", index.len()));
                }
                index.iter().all(index_ok)
            }
            Inst::Unary(_, a) | Inst::Cast(a) => earlier(&[*a]),
            Inst::Binary(_, a, b) | Inst::Compare(_, a, b) => earlier(&[*a, *b]),
            Inst::Select(c, a, b) => earlier(&[*c, *a, *b]),
        };
        if !fine {
            return Some(format!("uses in instruction {at} what is not defined there"));
        }
    }
    (body.result as usize >= body.insts.len()).then(|| "has no result".into())
}

/// Loop level: every axis mapped legally for the target, every buffer placed.
///
/// # Errors
/// With the first violation.
pub fn check_nest(nest: &LoopNest, after: &str) -> Result<()> {
    let fail = |what: String| Err(broken(after, format!("nest '{}': {what}", nest.name)));
    for buffer in &nest.buffers {
        if (buffer.role == Role::Temporary) == (buffer.space == Space::Global) {
            return fail(format!("buffer '{}' is in the wrong space", buffer.name));
        }
    }
    check_nodes(nest, &nest.body, &mut Vec::new(), true).or_else(fail)
}

fn check_nodes<'a>(
    nest: &LoopNest,
    nodes: &'a [Node],
    axes: &mut Vec<&'a str>,
    outermost: bool,
) -> std::result::Result<(), String> {
    let known =
        |axes: &[&str], e: &Expr| !e.any_atom(&mut |a| matches!(a, Atom::Axis(n) if !axes.contains(&&**n)));
    let rank = |b: usize| nest.buffers.get(b).map(|b| b.dims.len());
    for node in nodes {
        match node {
            Node::Loop(l) => {
                if axes.contains(&&*l.axis) {
                    return Err(format!("axis '{}' occurs twice on a path", l.axis));
                }
                if !known(axes, &l.extent) {
                    return Err(format!("the extent of '{}' uses an unknown axis", l.axis));
                }
                let parallel = l.mapping == Mapping::Parallel;
                if parallel && !(outermost && nodes.len() == 1) {
                    return Err(format!("parallel axis '{}' is not outermost", l.axis));
                }
                if l.mapping == Mapping::Unrolled && l.extent.as_const().is_none() {
                    return Err(format!("unrolled axis '{}' has a symbolic extent", l.axis));
                }
                axes.push(&l.axis);
                check_nodes(nest, &l.body, axes, outermost && parallel)?;
                axes.pop();
            }
            Node::Store(s) => {
                let guards = s.guards.iter().flat_map(|(a, b)| [a, b]);
                let mut exprs = s.index.iter().chain(guards);
                if rank(s.buffer) != Some(s.index.len()) || !exprs.all(|e| known(axes, e)) {
                    return Err(format!("a store into buffer {} has a bad index", s.buffer));
                }
                if let Some(what) = bad_body(&s.body, &rank, &|e| known(axes, e)) {
                    return Err(format!("a store {what}"));
                }
            }
            Node::Tile(t) => {
                let [a, b] = [&t.a, &t.b].map(|o| [&o.base, &o.stride, &o.k_stride]);
                let limits = t.a_rows.iter().chain(&t.b_cols);
                let mut exprs = a.into_iter().chain(b).chain(limits).chain([&t.k]);
                let mut gathered = true;
                if let Some(rows) = &t.a_gather {
                    let ends = rows.inside.iter().flat_map(|(a, b)| [a, b]);
                    axes.push(&rows.axis);
                    gathered = ends.chain([&rows.offset]).all(|e| known(axes, e));
                    axes.pop();
                }
                if !gathered || !exprs.all(|e| known(axes, e)) {
                    return Err("a contraction tile uses an unknown axis".into());
                }
                if t.a_gather.is_some() && !t.a.stride.is(0) {
                    return Err("a contraction tile gathers rows that have a stride".into());
                }
                if nest.buffers.get(t.acc).is_none_or(|b| b.space != Space::Register) {
                    return Err("a contraction tile accumulates outside registers".into());
                }
            }
            Node::Barrier => {}
        }
    }
    Ok(())
}

fn broken(after: &str, what: String) -> Diagnostic {
    Diagnostic::internal(format!("{what} (after {after})"))
}
