//! `pipeline(x, i, d, v)`: while iteration `i` computes, the elements of `x` that iteration `i + d` reads are
//! on their way. Every vector of the loop `v` fetches its counterpart. This is software pipelining for a CPU:
//! the hardware keeps several iterations of short loops in flight, but not of long ones. Such a long
//! iteration reads a row from memory, then works on it in the caches while memory is idle.
//!
//! Legal for inputs that the nest does not write and that the loop reads at places that move by a fixed
//! distance from iteration to iteration. It changes no value. Later steps that rename its loops rename them
//! in the fetch too.

use super::{
    access::accesses,
    tree::{buffer_named, find_loop, no_axis},
};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    nest::{Fetch, Loop, LoopNest, Mapping},
    types::row_major_strides,
};
use mlcc_ir::{expr::Expr, kernel::Role};

/// Fetches elements of a buffer `ahead` iterations of `axis` before they are read, vector by vector of the
/// loop `with`.
///
/// # Errors
/// If the buffer is no input, the loops do not lie in each other, or the distance between the reads of two
/// iterations is not fixed.
pub fn pipeline(nest: &LoopNest, buffer: &str, axis: &str, ahead: u32, with: &str) -> Result<LoopNest> {
    let id = buffer_named(nest, buffer)?;
    let refuse = |why: String| Err(Diagnostic::user(why));
    if nest.buffers[id].role != Role::Input {
        return refuse(format!("'{buffer}' is not an input"));
    }
    let outer = find_loop(&nest.body, axis).ok_or_else(|| no_axis(nest, axis))?;
    let inner = match find_loop(&nest.body, with) {
        Some(_) if axis == with => outer,
        Some(_) => match find_loop(&outer.body, with) {
            Some(inner) => inner,
            None => return refuse(format!("the loop '{with}' is not inside '{axis}'")),
        },
        None => return Err(no_axis(nest, with)),
    };
    if ahead == 0 || matches!(outer.mapping, Mapping::Block(_) | Mapping::Thread(_) | Mapping::Unrolled) {
        return refuse(format!("no iteration of '{axis}' comes {ahead} before another"));
    }
    if !matches!(inner.mapping, Mapping::Vector(_)) {
        return refuse(format!("'{with}' does not run in vectors"));
    }
    match distance(nest, id, inner, axis)? {
        Some(distance) if !distance.is(0) => {}
        Some(_) => {
            return refuse(format!("'{buffer}' is read at the same places by every iteration of '{axis}'"));
        }
        None => return refuse(format!("'{buffer}' is not read in '{with}'")),
    }
    let mut pipelined = nest.clone();
    let fetch = Fetch { buffer: id, axis: axis.into(), ahead, with: with.into() };
    pipelined.fetches.retain(|f| (f.buffer, &f.with) != (id, &fetch.with));
    pipelined.fetches.push(fetch);
    Ok(pipelined)
}

/// The distance in elements between the reads of one iteration of `axis` and those of the next; `None` if the
/// loop reads nothing.
fn distance(nest: &LoopNest, id: usize, l: &Loop, axis: &str) -> Result<Option<Expr>> {
    let buffer = &nest.buffers[id];
    let strides = row_major_strides(&buffer.dims);
    let mut found: Option<Expr> = None;
    for access in accesses(&l.body).into_iter().filter(|a| a.buffer == id) {
        let moves = access.index.and_then(|index| {
            let offset =
                index.iter().zip(&strides).fold(Expr::from(0), |sum, (i, s)| sum + i.clone() * s.clone());
            offset.split_axis(axis).map(|(distance, _)| distance).filter(|_| !offset.uses_values())
        });
        match (moves, &found) {
            (Some(distance), Some(other)) if distance != *other => {
                return Err(Diagnostic::user(format!(
                    "'{}' is read at places that move differently with '{axis}'",
                    buffer.name
                )));
            }
            (Some(distance), _) => found = Some(distance),
            (None, _) => {
                return Err(Diagnostic::user(format!(
                    "where '{}' is read does not move evenly with '{axis}'",
                    buffer.name
                )));
            }
        }
    }
    Ok(found)
}

/// Whether every loop that a fetch names is still there.
///
/// # Errors
/// If one is not, with its name.
pub(super) fn keeps_loops(nest: &LoopNest) -> Result<()> {
    for fetch in &nest.fetches {
        for axis in [&fetch.axis, &fetch.with] {
            if find_loop(&nest.body, axis).is_none() {
                let message = format!("the loop '{axis}', which is pipelined, would disappear");
                return Err(
                    Diagnostic::user(message).hint("pipeline goes behind the steps that change its loops")
                );
            }
        }
    }
    Ok(())
}
