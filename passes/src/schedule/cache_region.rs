//! `cache_region(buffer, at, pad)`: inside the loop over `at`, the box of an operand's elements that the
//! loops inside read is first copied into scratch memory, and read from there.
//!
//! ```text
//! for p                                for p
//!   for h for w for r                    for x:0 for x:1: region[x:0, x:1] = x[p * 8 + x:0 - 1, x:1 - 1]
//!     y[..] += k[r]              =>      for h for w for r
//!            * x[p * 8 + h + r - 1, w]     y[..] += k[r] * region[h + r, w + 1]
//! ```
//!
//! Other than [`super::cache_read()`], which gives every point of the axes an element of its own, the region
//! holds each element once, also where windows overlap. Its dimensions are the operand's, less those of
//! one element; the last one has `pad` unused elements more, which moves rows that lie a power of two
//! apart into different sets of a cache. Values outside of the operand are put into the region, so that
//! reads of it are never checked. The copying loops are called `region:dimension`.
//!
//! Legal if the operand is read at one index whose part inside `at` has constant bounds, and the nest
//! does not write it. `at` may be `root`.

use super::{
    panel::each_read,
    ranges::Ranges,
    tree::{buffer_named, each_store, fresh_buffer, rewrite_inside},
};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    dtype::DType,
    expr::Expr,
    kernel::Role,
    nest::{Buffer, Loop, LoopNest, Mapping, Node, Space, Store},
    scalar::{Body, Constant, Inst},
    tensor::Element,
};

/// Most elements of a region: more would fit no cache, and a bound that is far from the size costs memory.
const MAX_ELEMENTS: i64 = 1 << 24;

/// Copies the box of elements that is read inside a loop.
///
/// # Errors
/// If the operand is written by the nest, read at several indices, or the box has no constant size.
pub fn cache_region(nest: &LoopNest, buffer: &str, at: &str, pad: i64) -> Result<LoopNest> {
    let id = buffer_named(nest, buffer)?;
    if nest.buffers[id].role != Role::Input || nest.buffers[id].packed {
        return Err(Diagnostic::user(format!("'{buffer}' is not an operand that is only read")));
    }
    if !(0..1 << 16).contains(&pad) {
        return Err(Diagnostic::user(format!("'{buffer}' cannot have {pad} elements more")));
    }
    let name = fresh_buffer(nest, &format!("{buffer}.region"));
    let to = nest.buffers.len();
    let mut dims: Option<Vec<i64>> = None;
    let mut insert = |nodes: Vec<Node>, around: &Ranges| -> Result<Vec<Node>> {
        let region = Region::of(nest, &nodes, around, id)?;
        if dims.as_ref().is_some_and(|d| *d != region.sizes) {
            return Err(Diagnostic::user(format!("the loops over '{at}' read regions of different sizes")));
        }
        let mut out = vec![region.copy(nest.buffers[id].dtype, (id, to, &name))];
        let mut nodes = nodes;
        region.redirect(&mut nodes, (id, to));
        dims = Some(region.sizes);
        out.extend(nodes);
        Ok(out)
    };
    let mut cached = rewrite_inside(nest, at, &mut insert)?;
    let mut dims: Vec<i64> = dims.unwrap_or_default().into_iter().filter(|s| *s != 1).collect();
    if let Some(last) = dims.last_mut() {
        *last += pad;
    }
    cached.buffers.push(Buffer {
        name,
        dtype: nest.buffers[id].dtype,
        dims: dims.into_iter().map(Expr::from).collect(),
        role: Role::Temporary,
        space: Space::Scratch,
        packed: false,
    });
    Ok(cached)
}

/// Elements of an operand that some nodes read: a box at a place that the loops around decide.
struct Region {
    /// First element of the box, as a function of the loops around.
    first: Vec<Expr>,
    /// Elements along each dimension.
    sizes: Vec<i64>,
    /// Where in the box a read goes, as a function of the loops inside.
    inside: Vec<Expr>,
    /// What lies outside of the operand; `None` if the box never leaves it.
    outside: Option<Constant>,
}

impl Region {
    fn of(nest: &LoopNest, nodes: &[Node], around: &Ranges, buffer: usize) -> Result<Region> {
        let b = &nest.buffers[buffer];
        let name = &b.name;
        let mut found: Option<(Vec<Expr>, Option<Constant>, Ranges)> = None;
        let mut several = false;
        each_read(nodes, &mut around.clone(), buffer, &mut |index, outside, ranges| match &found {
            None => found = Some((index.to_vec(), outside, ranges.clone())),
            Some((i, o, _)) => several |= i != index || *o != outside,
        });
        if several {
            return Err(Diagnostic::user(format!("'{name}' is read at different elements")));
        }
        let (index, outside, ranges) =
            found.ok_or_else(|| Diagnostic::user(format!("'{name}' is not read there")))?;
        let mut region = Region { first: Vec::new(), sizes: Vec::new(), inside: Vec::new(), outside };
        let mut elements = 1i64;
        for e in &index {
            if e.uses_values() {
                return Err(Diagnostic::user(format!("'{name}' is read at an index that is computed")));
            }
            let within = ranges.names().filter(|n| around.extent(n).is_none());
            let base = within.fold(e.clone(), |e, n| e.replace_axis(n, &Expr::from(0)));
            let varying = ranges.simplify(&(e.clone() - base.clone()));
            let bounds = ranges.of(&varying);
            let (Some(low), Some(high)) = (bounds.low, bounds.high) else {
                return Err(Diagnostic::user(format!(
                    "the part of '{name}' that is read has no constant size"
                )));
            };
            elements = elements.saturating_mul(high - low + 1);
            if elements > MAX_ELEMENTS {
                return Err(Diagnostic::user(format!(
                    "the part of '{name}' that is read is too large to be copied"
                )));
            }
            if around.names().any(|n| varying.uses_axis(n)) {
                return Err(Diagnostic::user(format!(
                    "the part of '{name}' that is read does not move with the loops around it"
                )));
            }
            region.first.push(base + Expr::from(low));
            region.sizes.push(high - low + 1);
            region.inside.push(varying - Expr::from(low));
        }
        // A last block may reach beyond the operand; what it copies from there is not used.
        let leaves = region.first.iter().zip(&region.sizes).zip(&b.dims).any(|((first, size), dim)| {
            let mut inside = around.clone();
            inside.push_axis(":region".into(), Expr::from(*size));
            !inside.in_bounds(&(first.clone() + Expr::axis(":region")), dim)
        });
        if leaves && region.outside.is_none() {
            let zero = if b.dtype.is_float() { Element::Float(0.0) } else { Element::Int(0) };
            region.outside = Some(Constant::new(b.dtype, zero));
        }
        Ok(region)
    }

    /// The loops that fill the region.
    fn copy(&self, dtype: DType, (from, to, name): (usize, usize, &str)) -> Node {
        let axis = |d: usize| format!("{name}:{d}");
        let long = || (0..self.sizes.len()).filter(|&d| self.sizes[d] != 1);
        let index = self.first.iter().enumerate().map(|(d, first)| match self.sizes[d] {
            1 => first.clone(),
            _ => first.clone() + Expr::axis(&axis(d)),
        });
        let mut body = Body::default();
        body.push(Inst::Read { tensor: from, index: index.collect(), outside: self.outside }, dtype);
        let store = Node::Store(Store {
            buffer: to,
            index: long().map(|d| Expr::axis(&axis(d))).collect(),
            body,
            combine: None,
            guards: Vec::new(),
            checked: false,
        });
        long().rev().fold(store, |inner, d| {
            Node::Loop(Loop {
                axis: axis(d).into(),
                extent: Expr::from(self.sizes[d]),
                mapping: Mapping::Serial,
                body: vec![inner],
            })
        })
    }

    /// Makes every read of the operand one of the region.
    fn redirect(&self, nodes: &mut [Node], (from, to): (usize, usize)) {
        let at: Vec<Expr> = self
            .inside
            .iter()
            .zip(&self.sizes)
            .filter(|(_, size)| **size != 1)
            .map(|(e, _)| e.clone())
            .collect();
        each_store(nodes, &mut |s| {
            for (inst, _) in &mut s.body.insts {
                if let Inst::Read { tensor, index, outside } = inst
                    && *tensor == from
                {
                    (*tensor, *index, *outside) = (to, at.clone(), None);
                }
            }
        });
    }
}
