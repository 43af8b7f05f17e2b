//! `cache_read(buffer, at, axes...)`: inside the loop over `at`, an operand is first copied into a
//! scratch panel whose dimensions are the axes, and then read from there.
//!
//! ```text
//! for p                            for p
//!   for m for k for c                for x:k for x:c: panel[x:k, x:c] = x[k, p * 64 + c]
//!     y[..] += w[m, k]        =>     for m for k for c
//!              * x[k, p * 64 + c]      y[..] += w[m, k] * panel[k, c]
//! ```
//!
//! The copying loops are called `panel:axis`. Values outside of the operand are put into the panel. Legal if
//! the nest does not write the operand and reads it at one index that depends on nothing else inside `at`. If
//! reductions read the operand, only their reads count. Other reads, at other elements, stay reads of the
//! operand. `at` may be `root`.

use super::{
    panel::Panel,
    ranges::Ranges,
    tree::{buffer_named, fresh_buffer, rewrite_inside},
};
use mlcc_ir::{
    Name,
    diagnostic::{Diagnostic, Result},
    expr::Expr,
    kernel::Role,
    nest::{Buffer, Loop, LoopNest, Mapping, Node, Space, Store, names::copied},
    scalar::{Body, Inst},
};

/// Copies an operand into a panel.
///
/// # Errors
/// If the operand is written by the nest, or its reads are no function of the axes.
pub fn cache_read(nest: &LoopNest, buffer: &str, at: &str, axes: &[Name]) -> Result<LoopNest> {
    let id = buffer_named(nest, buffer)?;
    if nest.buffers[id].role != Role::Input {
        return Err(Diagnostic::user(format!("'{buffer}' is written by this kernel")));
    }
    let name = fresh_buffer(nest, &format!("{buffer}.panel"));
    let panel_id = nest.buffers.len();
    let mut dims: Option<Vec<Expr>> = None;
    let mut insert = |nodes: Vec<Node>, ranges: &Ranges| -> Result<Vec<Node>> {
        let panel = Panel::of(nest, &nodes, ranges, id, axes)?;
        if dims.as_ref().is_some_and(|d| *d != panel.dims) {
            return Err(Diagnostic::user(format!("the loops over '{at}' need panels of different sizes")));
        }
        let mut out = vec![copy(nest, (id, panel_id, &name), &panel, axes)];
        let mut nodes = nodes;
        panel.redirect(&mut nodes, (id, panel_id), axes);
        dims = Some(panel.dims);
        out.extend(nodes);
        Ok(out)
    };
    let mut cached = rewrite_inside(nest, at, &mut insert)?;
    cached.buffers.push(Buffer {
        name,
        dtype: nest.buffers[id].dtype,
        dims: dims.unwrap_or_default(),
        role: Role::Temporary,
        space: Space::Scratch,
        packed: false,
    });
    Ok(cached)
}

/// The loops that fill the panel.
fn copy(nest: &LoopNest, (from, to, name): (usize, usize, &str), panel: &Panel, axes: &[Name]) -> Node {
    let renamed =
        |e: &Expr| axes.iter().fold(e.clone(), |e, a| e.replace_axis(a, &Expr::axis(&copied(name, a))));
    let mut body = Body::default();
    body.push(
        Inst::Read {
            tensor: from,
            index: panel.reads.index.iter().map(renamed).collect(),
            outside: panel.reads.outside,
        },
        nest.buffers[from].dtype,
    );
    let store = Node::Store(Store {
        buffer: to,
        index: axes.iter().map(|a| Expr::axis(&copied(name, a))).collect(),
        body,
        combine: None,
        guards: Vec::new(),
        checked: false,
    });
    axes.iter().zip(&panel.extents).rev().fold(store, |inner, (a, extent)| {
        Node::Loop(Loop {
            axis: copied(name, a),
            extent: extent.clone(),
            mapping: Mapping::Serial,
            body: vec![inner],
        })
    })
}
