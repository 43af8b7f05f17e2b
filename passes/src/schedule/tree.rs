//! Walking and rewriting the tree of a nest.

use super::ranges::Ranges;
use mlcc_ir::{
    Name,
    diagnostic::{Diagnostic, Result},
    expr::Expr,
    nest::{ContractionTile, GatheredRows, Loop, LoopNest, Node, Store, TileOperand},
    scalar::{Body, Inst},
};

/// Replaces every loop over `axis` by the result of `f`; the ranges hold the loops around it.
pub(crate) fn rewrite_loops(
    nest: &LoopNest,
    axis: &str,
    f: &mut dyn FnMut(Loop, &Ranges) -> Result<Vec<Node>>,
) -> Result<LoopNest> {
    fn go(
        nodes: &[Node],
        axis: &str,
        ranges: &mut Ranges,
        found: &mut bool,
        f: &mut dyn FnMut(Loop, &Ranges) -> Result<Vec<Node>>,
    ) -> Result<Vec<Node>> {
        let mut out = Vec::with_capacity(nodes.len());
        for node in nodes {
            match node {
                Node::Loop(l) if *l.axis == *axis => {
                    *found = true;
                    out.extend(f(l.clone(), ranges)?);
                }
                Node::Loop(l) => {
                    ranges.push(l);
                    let body = go(&l.body, axis, ranges, found, f)?;
                    ranges.pop();
                    out.push(Node::Loop(Loop { body, ..l.clone() }));
                }
                other => out.push(other.clone()),
            }
        }
        Ok(out)
    }
    let mut found = false;
    let body = go(&nest.body, axis, &mut Ranges::outside(nest), &mut found, f)?;
    if !found {
        return Err(no_axis(nest, axis));
    }
    Ok(with_body(nest, body))
}

/// The nest with another body; the old body is not copied.
pub(crate) fn with_body(nest: &LoopNest, body: Vec<Node>) -> LoopNest {
    let LoopNest { name, nodes, symbols, ranges, buffers, body: _, packings, streamed, fetches } = nest;
    LoopNest {
        name: name.clone(),
        nodes: nodes.clone(),
        symbols: symbols.clone(),
        ranges: ranges.clone(),
        buffers: buffers.clone(),
        body,
        packings: packings.clone(),
        streamed: streamed.clone(),
        fetches: fetches.clone(),
    }
}

/// Replaces the body of every loop over `at`, or the whole nest for `root`, by the result of `f`. The ranges
/// hold the loops around the body, `at` included.
pub(crate) fn rewrite_inside(
    nest: &LoopNest,
    at: &str,
    f: &mut dyn FnMut(Vec<Node>, &Ranges) -> Result<Vec<Node>>,
) -> Result<LoopNest> {
    if at == "root" {
        return Ok(with_body(nest, f(nest.body.clone(), &Ranges::outside(nest))?));
    }
    rewrite_loops(nest, at, &mut |l, ranges| {
        let mut inside = ranges.clone();
        inside.push(&l);
        let body = f(l.body.clone(), &inside)?;
        Ok(vec![Node::Loop(Loop { body, ..l })])
    })
}

/// Calls `f` for every list of nodes, innermost lists first, and replaces it.
pub(crate) fn rewrite_bodies(
    nodes: Vec<Node>,
    ranges: &mut Ranges,
    f: &mut dyn FnMut(Vec<Node>, &Ranges) -> Result<Vec<Node>>,
) -> Result<Vec<Node>> {
    let mut out = Vec::with_capacity(nodes.len());
    for node in nodes {
        out.push(match node {
            Node::Loop(l) => {
                ranges.push(&l);
                let body = rewrite_bodies(l.body, ranges, f)?;
                ranges.pop();
                Node::Loop(Loop { body, ..l })
            }
            other => other,
        });
    }
    f(out, ranges)
}

/// The message that no loop runs over `axis`.
pub(crate) fn no_axis(nest: &LoopNest, axis: &str) -> Diagnostic {
    let mut names: Vec<Name> = Vec::new();
    nest.visit(&mut |node| {
        if let Node::Loop(l) = node
            && !names.contains(&l.axis)
        {
            names.push(l.axis.clone());
        }
    });
    Diagnostic::user(format!("there is no axis '{axis}'")).hint(format!("the axes are {}", names.join(", ")))
}

/// The index of the buffer `name`.
pub(crate) fn buffer_named(nest: &LoopNest, name: &str) -> Result<usize> {
    nest.buffers.iter().position(|b| *b.name == *name).ok_or_else(|| {
        let names: Vec<&str> = nest.buffers.iter().map(|b| &*b.name).collect();
        Diagnostic::user(format!("there is no buffer '{name}'"))
            .hint(format!("the buffers are {}", names.join(", ")))
    })
}

/// The first loop over `axis`.
pub(crate) fn find_loop<'a>(nodes: &'a [Node], axis: &str) -> Option<&'a Loop> {
    nodes.iter().find_map(|node| match node {
        Node::Loop(l) if *l.axis == *axis => Some(l),
        Node::Loop(l) => find_loop(&l.body, axis),
        _ => None,
    })
}

/// Whether a node writes the buffer.
pub(crate) fn writes(node: &Node, buffer: usize) -> bool {
    match node {
        Node::Loop(l) => l.body.iter().any(|n| writes(n, buffer)),
        Node::Store(s) => s.buffer == buffer,
        Node::Tile(t) => t.acc == buffer,
        Node::Barrier => false,
    }
}

/// A buffer name that is not taken.
pub(crate) fn fresh_buffer(nest: &LoopNest, wanted: &str) -> Name {
    let taken = |n: &str| nest.buffers.iter().any(|b| *b.name == *n);
    let mut name = wanted.to_owned();
    let mut count = 1;
    while taken(&name) {
        count += 1;
        name = format!("{wanted}{count}");
    }
    name.into()
}

/// The node with `f` applied to every expression, those of nodes inside included.
pub(crate) fn map_exprs(node: &Node, f: &dyn Fn(&Expr) -> Expr) -> Node {
    let operand = |o: &TileOperand| TileOperand {
        buffer: o.buffer,
        base: f(&o.base),
        stride: f(&o.stride),
        k_stride: f(&o.k_stride),
    };
    match node {
        Node::Loop(l) => Node::Loop(Loop {
            axis: l.axis.clone(),
            extent: f(&l.extent),
            mapping: l.mapping,
            body: l.body.iter().map(|n| map_exprs(n, f)).collect(),
        }),
        Node::Store(s) => Node::Store(Store {
            buffer: s.buffer,
            index: s.index.iter().map(f).collect(),
            body: map_body(&s.body, f),
            combine: s.combine,
            guards: s.guards.iter().map(|(a, b)| (f(a), f(b))).collect(),
            checked: s.checked,
        }),
        Node::Tile(t) => Node::Tile(ContractionTile {
            k: f(&t.k),
            a: operand(&t.a),
            a_gather: t.a_gather.as_ref().map(|rows| GatheredRows {
                axis: rows.axis.clone(),
                offset: f(&rows.offset),
                inside: rows.inside.iter().map(|(a, b)| (f(a), f(b))).collect(),
            }),
            a_rows: t.a_rows.as_ref().map(f),
            b: operand(&t.b),
            b_cols: t.b_cols.as_ref().map(f),
            ..t.clone()
        }),
        Node::Barrier => Node::Barrier,
    }
}

/// The body with `f` applied to every index expression.
pub(crate) fn map_body(body: &Body, f: &dyn Fn(&Expr) -> Expr) -> Body {
    let mut body = body.clone();
    for (inst, _) in &mut body.insts {
        match inst {
            Inst::Index(e) => *e = f(e),
            Inst::Read { index, .. } => index.iter_mut().for_each(|e| *e = f(e)),
            _ => {}
        }
    }
    body
}

/// The nodes with the axis replaced by an expression.
pub(crate) fn substitute(nodes: &[Node], axis: &str, by: &Expr) -> Vec<Node> {
    nodes.iter().map(|n| map_exprs(n, &|e| e.replace_axis(axis, by))).collect()
}

/// The nodes with every expression simplified under the ranges of the loops around it.
pub(crate) fn simplify(nodes: &[Node], ranges: &mut Ranges) -> Vec<Node> {
    nodes
        .iter()
        .map(|node| match node {
            Node::Loop(l) => {
                let extent = ranges.simplify(&l.extent);
                let mut l = Loop { extent, ..l.clone() };
                ranges.push(&l);
                l.body = simplify(&l.body, ranges);
                ranges.pop();
                Node::Loop(l)
            }
            other => {
                let mut node = map_exprs(other, &|e| ranges.simplify(e));
                if let Node::Store(s) = &mut node {
                    s.guards
                        .retain(|(a, b)| ranges.of(&(b.clone() - a.clone())).low.is_none_or(|room| room < 1));
                }
                node
            }
        })
        .collect()
}

/// Calls `f` for every store with mutable access.
pub(crate) fn each_store(nodes: &mut [Node], f: &mut dyn FnMut(&mut Store)) {
    for node in nodes {
        match node {
            Node::Loop(l) => each_store(&mut l.body, f),
            Node::Store(s) => f(s),
            Node::Tile(_) | Node::Barrier => {}
        }
    }
}
