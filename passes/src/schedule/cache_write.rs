//! `cache_write(buffer)`: an output, or a temporary that later stages read, is computed in a temporary of its own
//! and stored at the end, by a stage called `buffer.store`.
//!
//! ```text
//! for c.init.i: y[c.init.i] = 0              for c.init.i: y.acc[c.init.i] = 0
//! for c.i for c.k: y[c.i] += ..        =>    for c.i for c.k: y.acc[c.i] += ..
//!                                            for y.store.i: y[y.store.i] = y.acc[y.store.i]
//! ```
//!
//! If the stages' loops are merged afterwards, the temporary shrinks to a tile, and `place` puts it into
//! registers. Legal on a nest whose stages are not merged yet.

use super::tree::{buffer_named, each_store, fresh_buffer, writes};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    expr::Expr,
    kernel::Role,
    nest::{
        Buffer, Loop, LoopNest, Node, Space, Store,
        names::{Purpose, StageName},
    },
    scalar::Body,
};

/// Computes `buffer` in a temporary.
///
/// # Errors
/// If it is no output or temporary of this kernel, or not written by one unmerged reduction.
pub fn cache_write(nest: &LoopNest, buffer: &str) -> Result<LoopNest> {
    let id = buffer_named(nest, buffer)?;
    if !matches!(nest.buffers[id].role, Role::Output | Role::Temporary) {
        return Err(Diagnostic::user(format!("'{buffer}' is not written by this kernel alone")));
    }
    let writers: Vec<usize> = (0..nest.body.len()).filter(|&at| writes(&nest.body[at], id)).collect();
    let &[init, last] = &writers[..] else {
        return Err(Diagnostic::user(format!("'{buffer}' is not written by one reduction")));
    };
    let stage = StageName::new(&nest.buffers[id].name, Purpose::Store);
    let acc = nest.buffers.len();
    let Some(store) = store_stage(nest, &nest.body[init], (id, acc), &stage) else {
        return Err(Diagnostic::user(format!("the stage that initialises '{buffer}' is not a perfect nest")));
    };
    let mut out = nest.clone();
    each_store(&mut out.body, &mut |s| {
        if s.buffer == id {
            s.buffer = acc;
        }
    });
    out.body.insert(last + 1, store);
    out.buffers.push(Buffer {
        name: fresh_buffer(nest, &format!("{buffer}.acc")),
        role: Role::Temporary,
        space: Space::Scratch,
        ..nest.buffers[id].clone()
    });
    Ok(out)
}

/// The initialising stage's loops around a store of the accumulator.
fn store_stage(nest: &LoopNest, node: &Node, (to, from): (usize, usize), stage: &StageName) -> Option<Node> {
    match node {
        Node::Loop(l) => {
            let [inner] = &l.body[..] else { return None };
            let (_, own) = StageName::of_initial_axis(&l.axis).or_else(|| StageName::of_axis(&l.axis))?;
            let axis = stage.axis(&own);
            let inner = store_stage(nest, inner, (to, from), stage)?;
            let inner = super::tree::map_exprs(&inner, &|e| e.replace_axis(&l.axis, &Expr::axis(&axis)));
            Some(Node::Loop(Loop { axis, body: vec![inner], ..l.clone() }))
        }
        Node::Store(s) if s.combine.is_none() => {
            let mut body = Body::default();
            body.read(from, s.index.clone(), nest.buffers[to].dtype);
            Some(Node::Store(Store { buffer: to, body, ..s.clone() }))
        }
        _ => None,
    }
}
