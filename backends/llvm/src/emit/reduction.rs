//! Reductions: values combined into an element.
//!
//! Along a vector axis each lane accumulates on its own, in memory of the frame that becomes a
//! register. The lanes are combined once, after the outermost loop that uses the element in no other
//! way. Inactive lanes contribute the identity.

use super::{
    Emitter,
    builder::Val,
    cast::register_kind,
    extremum::Unordered,
    memory::{Access, memory_kind},
};
use mlcc_ir::{
    Name,
    diagnostic::Result,
    dtype::DType,
    expr::{Atom, Expr},
    kernel::Combine,
    nest::{Loop, LoopNest, Mapping, Node, Space},
    scalar::Inst,
};
use std::collections::BTreeMap;

/// A loop in progress. Lanes may be combined after it.
pub(super) struct Scope<'c> {
    /// Number of axes in scope outside the loop.
    outer_axes: usize,
    /// Buffers that the loop uses only to combine, always in the same way.
    combined: BTreeMap<usize, Option<Combine>>,
    accumulators: Vec<Accumulator<'c>>,
}

struct Accumulator<'c> {
    buffer: usize,
    offset: Expr,
    combine: Combine,
    lanes: u32,
    parts: Vec<Part<'c>>,
}

/// Memory of the frame into which lanes accumulate.
#[derive(Clone, Copy)]
struct Part<'c> {
    /// A vector of values.
    values: Val<'c>,
    /// A mask of the lanes that met NaN, if the reduction searches for NaN apart.
    unordered: Option<Unordered<'c>>,
}

impl Scope<'_> {
    pub(super) fn new(l: &Loop, outer_axes: usize) -> Self {
        let mut combined: BTreeMap<usize, Option<Combine>> = BTreeMap::new();
        let mut used = |buffer: usize, how: Option<Combine>| {
            combined.entry(buffer).and_modify(|c| *c = c.filter(|c| Some(*c) == how)).or_insert(how);
        };
        visit(&l.body, &mut |node| match node {
            Node::Store(s) => {
                used(s.buffer, s.combine);
                s.body.insts.iter().for_each(|(inst, _)| {
                    if let Inst::Read { tensor, .. } = inst {
                        used(*tensor, None);
                    }
                });
            }
            Node::Tile(t) => [t.acc, t.a.buffer, t.b.buffer].into_iter().for_each(|b| used(b, None)),
            Node::Loop(_) | Node::Barrier => {}
        });
        Scope { outer_axes, combined, accumulators: Vec::new() }
    }
}

fn visit(nodes: &[Node], to: &mut dyn FnMut(&Node)) {
    for node in nodes {
        to(node);
        if let Node::Loop(l) = node {
            visit(&l.body, to);
        }
    }
}

/// Lanes of the widest vector axis of a nest.
pub(super) fn widest_vector(nest: &LoopNest) -> u32 {
    let mut widest = 1;
    nest.visit(&mut |node| {
        if let Node::Loop(Loop { mapping: Mapping::Vector(lanes), .. }) = node {
            widest = widest.max(*lanes);
        }
    });
    widest
}

/// Whether a vector loop has a store that combines over its axis.
pub(super) fn reduces_over(l: &Loop) -> bool {
    let mut found = false;
    visit(&l.body, &mut |node| {
        if let Node::Store(s) = node {
            found |= s.combine.is_some() && s.index.iter().all(|i| !i.uses_axis(&l.axis));
        }
    });
    found
}

/// Whether a loop's body indexes a register buffer by the loop's axis.
pub(super) fn indexes_registers(nest: &LoopNest, l: &Loop) -> bool {
    let indexes = |buffer: usize, index: &[Expr]| {
        nest.buffers.get(buffer).is_some_and(|b| b.space == Space::Register)
            && index.iter().any(|i| i.uses_axis(&l.axis))
    };
    let mut found = false;
    visit(&l.body, &mut |node| {
        if let Node::Store(s) = node {
            found |= indexes(s.buffer, &s.index);
            found |= s.body.insts.iter().any(|(inst, _)| match inst {
                Inst::Read { tensor, index, .. } => indexes(*tensor, index),
                _ => false,
            });
        }
    });
    found
}

impl<'c> Emitter<'_, 'c> {
    /// Combines a value with the element at a resolved offset, in the lanes of `mask`.
    pub(super) fn combine(
        &mut self,
        (buffer, offset): (usize, &Expr),
        combine: Combine,
        value: Val<'c>,
        mask: Option<Val<'c>>,
    ) -> Result<()> {
        let dtype = self.storage[buffer].dtype;
        if let Some(step) = self.vector.clone()
            && !self.varies(offset)
        {
            let mut value = self.b.broadcast(value, step.lanes);
            if let Some(mask) = mask {
                let identity = self.constant(combine.identity(dtype), step.lanes);
                value = self.b.select(mask, value, identity);
            }
            let Some(part) = self.accumulator((buffer, offset), combine, &step) else {
                let value = self.combine_lanes(combine, value, dtype);
                return self.combine_scalar((buffer, offset), combine, value);
            };
            let sum = self.b.load(part.values, register_kind(dtype), step.lanes);
            let sum = match part.unordered {
                Some(unordered) => self.extremum(combine, sum, value, unordered),
                None => self.apply(combine, sum, value, dtype),
            };
            self.b.store(sum, part.values);
            return Ok(());
        }
        let free = mask.is_none() || self.storage[buffer].space == Space::Register;
        match self.access(buffer, offset, free)? {
            Access::Uniform(_) => self.combine_scalar((buffer, offset), combine, value),
            Access::Contiguous(at) => {
                let (kind, lanes) = (memory_kind(dtype), self.vector.as_ref().map_or(1, |v| v.lanes));
                let old = match mask {
                    Some(mask) if !free => {
                        let nothing = if kind.is_float() {
                            self.b.float(kind, lanes, 0.0)
                        } else {
                            self.b.int(kind, lanes, 0)
                        };
                        self.load_where(at, mask, nothing)
                    }
                    _ => self.b.load(at, kind, lanes),
                };
                let old = self.loaded(old, dtype);
                let mut new = self.apply(combine, old, value, dtype);
                if let (Some(mask), true) = (mask, free) {
                    new = self.b.select(mask, new, old);
                }
                self.write(buffer, Access::Contiguous(at), new, mask);
                Ok(())
            }
            Access::Indexed(at) => {
                // Several lanes may meet in one element, so they are combined one after the other.
                for lane in 0..at.lanes {
                    let (at, value) = (self.b.lane(at, lane), self.b.lane(value, lane));
                    let active = mask.map(|m| self.b.lane(m, lane));
                    self.when(active, |e| {
                        e.combine_at(at, combine, value, dtype);
                        Ok(())
                    })?;
                }
                Ok(())
            }
        }
    }

    fn combine_scalar(
        &mut self,
        (buffer, offset): (usize, &Expr),
        combine: Combine,
        value: Val<'c>,
    ) -> Result<()> {
        let dtype = self.storage[buffer].dtype;
        let pointer = self.storage[buffer].pointer;
        let at = self.element(pointer, memory_kind(dtype), offset, true)?;
        self.combine_at(at, combine, value, dtype);
        Ok(())
    }

    fn combine_at(&mut self, at: Val<'c>, combine: Combine, value: Val<'c>, dtype: DType) {
        let old = self.b.load(at, memory_kind(dtype), 1);
        let old = self.loaded(old, dtype);
        let new = self.apply(combine, old, value, dtype);
        let new = self.stored(new, dtype);
        self.b.store(new, at);
    }

    fn apply(&self, combine: Combine, a: Val<'c>, b: Val<'c>, dtype: DType) -> Val<'c> {
        // Accumulators of 16-bit floats stay wide; they are rounded where they are stored.
        let dtype = if dtype.is_float() && dtype != DType::F64 { DType::F32 } else { dtype };
        self.binary(combine.function(), (a, b), dtype, None)
    }

    /// The frame's vector into which the current step accumulates; `None` if no loop allows it.
    fn accumulator(
        &mut self,
        (buffer, offset): (usize, &Expr),
        combine: Combine,
        step: &super::VectorStep<'c>,
    ) -> Option<Part<'c>> {
        if offset.uses_values() {
            return None;
        }
        let mut axes: Vec<Name> = Vec::new();
        offset.any_atom(&mut |atom| {
            if let Atom::Axis(name) = atom {
                axes.push(name.clone());
            }
            false
        });
        let known = |scope: &Scope<'_>| {
            let outer = &self.axes[..scope.outer_axes];
            axes.iter().all(|name| outer.iter().any(|a| a.name == *name))
        };
        let scope = self
            .reductions
            .iter()
            .position(|s| s.combined.get(&buffer) == Some(&Some(combine)) && known(s))?;
        let same = |a: &Accumulator<'_>| {
            a.buffer == buffer && a.offset == *offset && a.combine == combine && a.lanes == step.lanes
        };
        let (b, kind) = (self.b, register_kind(self.storage[buffer].dtype));
        let accumulators = &mut self.reductions[scope].accumulators;
        let at = accumulators.iter().position(same).unwrap_or_else(|| {
            let (offset, lanes) = (offset.clone(), step.lanes);
            accumulators.push(Accumulator { buffer, offset, combine, lanes, parts: Vec::new() });
            accumulators.len() - 1
        });
        let parts = &mut accumulators[at].parts;
        if parts.len() <= step.phase {
            let values = b.frame(kind, i64::from(step.lanes));
            parts.push(Part { values, unordered: Unordered::for_combine(b, combine, kind, step.lanes) });
        }
        parts.get(step.phase).or(parts.last()).copied()
    }

    /// Sets the accumulators of a loop to the identity. The code stands in front of the loop.
    pub(super) fn begin_reductions(&self, scope: Option<&Scope<'c>>) {
        for a in scope.into_iter().flat_map(|s| &s.accumulators) {
            let identity = self.constant(a.combine.identity(self.storage[a.buffer].dtype), a.lanes);
            for part in &a.parts {
                self.b.store(identity, part.values);
                part.unordered.iter().for_each(|unordered| unordered.begin(self.b));
            }
        }
    }

    /// Combines a loop's accumulators into their elements. The code stands behind the loop.
    pub(super) fn end_reductions(&mut self, scope: Option<Scope<'c>>) -> Result<()> {
        for a in scope.into_iter().flat_map(|s| s.accumulators) {
            let dtype = self.storage[a.buffer].dtype;
            let kind = register_kind(dtype);
            let load = |part: &Part<'c>| self.b.load(part.values, kind, a.lanes);
            let mut parts: Vec<_> = a.parts.iter().map(load).collect();
            if let Some(unordered) = a.parts.iter().map(|p| p.unordered).collect::<Option<Vec<_>>>()
                && let Some(extremum) = self.end_extremum(a.combine, parts.clone(), &unordered)
            {
                self.combine_scalar((a.buffer, &a.offset), a.combine, extremum)?;
                continue;
            }
            while parts.len() > 1 {
                parts = parts
                    .chunks(2)
                    .map(|pair| match pair {
                        [x, y] => self.apply(a.combine, *x, *y, dtype),
                        _ => pair[0],
                    })
                    .collect();
            }
            if let Some(sum) = parts.first() {
                let sum = self.combine_lanes(a.combine, *sum, dtype);
                self.combine_scalar((a.buffer, &a.offset), a.combine, sum)?;
            }
        }
        Ok(())
    }

    fn combine_lanes(&self, combine: Combine, value: Val<'c>, dtype: DType) -> Val<'c> {
        let float = dtype.is_float();
        let kind = match combine {
            Combine::Add if dtype == DType::Bool => "or",
            Combine::Mul if dtype == DType::Bool => "and",
            Combine::Add => "add",
            Combine::Mul => "mul",
            Combine::Max if float => "maximumf",
            Combine::Min if float => "minimumf",
            Combine::Max if dtype.is_signed_int() => "maxsi",
            Combine::Min if dtype.is_signed_int() => "minsi",
            Combine::Max if dtype == DType::Bool => "or",
            Combine::Min if dtype == DType::Bool => "and",
            Combine::Max => "maxui",
            Combine::Min => "minui",
            Combine::And => "and",
            Combine::Or => "or",
        };
        self.b.reduce(kind, value)
    }
}
