//! Elements in memory: addresses along the vector axis, masked and checked loads and stores.

use super::{
    Emitter,
    builder::{Cmp, Kind, Val},
};
use mlcc_ir::{
    diagnostic::Result,
    dtype::DType,
    expr::{Atom, Expr},
    nest::{LoopNest, Node, Space},
    scalar::Constant,
    tensor::Element,
};

/// Bytes of a cache line.
const LINE: i64 = 64;

/// The kind in which an element lies in memory.
#[must_use]
pub fn memory_kind(dtype: DType) -> Kind {
    match dtype {
        DType::F32 => Kind::F32,
        DType::F64 => Kind::F64,
        DType::F16 | DType::BF16 | DType::I16 | DType::U16 => Kind::I16,
        DType::I8 | DType::U8 | DType::Bool => Kind::I8,
        DType::I32 | DType::U32 => Kind::I32,
        DType::I64 | DType::U64 => Kind::I64,
    }
}

/// Where the lanes of an access lie.
#[derive(Clone, Copy)]
pub(super) enum Access<'c> {
    /// All lanes at one address.
    Uniform(Val<'c>),
    /// Lane by lane from an address.
    Contiguous(Val<'c>),
    /// A vector of addresses.
    Indexed(Val<'c>),
}

/// Conditions of an access: one for all lanes together, and one for each lane.
#[derive(Clone, Copy, Default)]
pub(super) struct Conditions<'c> {
    pub(super) uniform: Option<Val<'c>>,
    pub(super) lanes: Option<Val<'c>>,
}

impl<'c> Emitter<'_, 'c> {
    /// The resolved offset of an element, in elements.
    pub(super) fn offset(&self, buffer: usize, index: &[Expr]) -> Expr {
        let strides = &self.storage[buffer].strides;
        let sum = index.iter().zip(strides).fold(Expr::from(0), |sum, (i, s)| sum + i.clone() * s.clone());
        recombine(self.resolve(&sum))
    }

    /// Addresses of a resolved offset.
    pub(super) fn access(&mut self, buffer: usize, offset: &Expr, in_bounds: bool) -> Result<Access<'c>> {
        let (pointer, kind) = (self.storage[buffer].pointer, memory_kind(self.storage[buffer].dtype));
        if !self.varies(offset) {
            return Ok(Access::Uniform(self.element(pointer, kind, offset, in_bounds)?));
        }
        let step = self.vector.clone().ok_or_else(|| self.wrong("a varying index outside a vector axis"))?;
        if let Some((stride, rest)) = offset.split_axis(&step.axis)
            && !self.varies(&rest)
            && !self.varies(&stride)
        {
            let rest = self.scalar(&rest)?;
            let by = self.scalar(&stride)?;
            let start = if stride.is(1) { step.base } else { self.b.mul(step.base, by) };
            let start = self.b.add(rest, start);
            let first = self.b.address(pointer, start, kind, in_bounds);
            if stride.is(1) {
                return Ok(Access::Contiguous(first));
            }
            let lanes = match stride.as_const().filter(|s| s.unsigned_abs() < 1 << 20) {
                Some(stride) => self.b.iota(Kind::I32, step.lanes, stride),
                None => {
                    let iota = self.b.iota(Kind::I64, step.lanes, 1);
                    self.b.mul(iota, by)
                }
            };
            return Ok(Access::Indexed(self.b.address(first, lanes, kind, false)));
        }
        let index = if self.fits_i32(offset) { Kind::I32 } else { Kind::I64 };
        let lanes = self.lanes_of(offset, index)?;
        Ok(Access::Indexed(self.b.address(pointer, lanes, kind, false)))
    }

    /// Address of one element at a resolved offset.
    pub(super) fn element(
        &mut self,
        pointer: Val<'c>,
        kind: Kind,
        offset: &Expr,
        in_bounds: bool,
    ) -> Result<Val<'c>> {
        if offset.is(0) {
            return Ok(pointer);
        }
        // The constant is added apart, so that neighbouring accesses share the rest.
        let varying = offset.clone() - Expr::from(offset.constant());
        let mut at = pointer;
        if !varying.is(0) {
            let varying = self.scalar(&varying)?;
            at = self.b.address(at, varying, kind, false);
        }
        if offset.constant() != 0 {
            let constant = self.b.int(Kind::I64, 1, offset.constant());
            at = self.b.address(at, constant, kind, in_bounds && varying.is(0));
        }
        Ok(at)
    }

    /// Conditions under which an index is within the buffer, without those that the ranges prove.
    pub(super) fn bounds(&mut self, buffer: usize, index: &[Expr]) -> Result<Conditions<'c>> {
        let mut conditions = Conditions::default();
        for (d, i) in index.iter().enumerate() {
            let (i, dim) = (self.resolve(i), self.resolve(&self.storage[buffer].dims[d]));
            let low = self.interval(&i).low >= Some(0);
            let high = self.interval(&(dim.clone() - Expr::from(1) - i.clone())).low >= Some(0);
            if low && high {
                continue;
            }
            let varies = self.varies(&i);
            let kind = if varies && self.fits_i32(&i) && self.fits_i32(&dim) { Kind::I32 } else { Kind::I64 };
            let at = if varies { self.lanes_of(&i, kind)? } else { self.scalar(&i)? };
            let (cmp, limit) = if high { (Cmp::Ge, Expr::from(0)) } else { (Cmp::Ult, dim) };
            let limit = self.scalar(&limit)?;
            let limit = self.b.resize(limit, kind, true);
            let holds = self.b.compare(cmp, at, limit);
            self.require(&mut conditions, holds);
        }
        Ok(conditions)
    }

    /// Adds a condition.
    pub(super) fn require(&self, conditions: &mut Conditions<'c>, holds: Val<'c>) {
        let slot = if holds.lanes == 1 { &mut conditions.uniform } else { &mut conditions.lanes };
        *slot = Some(slot.map_or(holds, |c| self.b.and(c, holds)));
    }

    /// Both masks.
    pub(super) fn both(&self, a: Option<Val<'c>>, b: Option<Val<'c>>) -> Option<Val<'c>> {
        match (a, b) {
            (Some(a), Some(b)) => Some(self.b.and(a, b)),
            (a, b) => a.or(b),
        }
    }

    /// Reads elements in the lanes of `mask`. With `outside`, elements are read only if the index is also in
    /// bounds.
    pub(super) fn read(
        &mut self,
        buffer: usize,
        index: &[Expr],
        outside: Option<Constant>,
        mask: Option<Val<'c>>,
    ) -> Result<Val<'c>> {
        let (dtype, space) = (self.storage[buffer].dtype, self.storage[buffer].space);
        let kind = memory_kind(dtype);
        let conditions = match outside {
            Some(_) => self.bounds(buffer, index)?,
            None => Conditions::default(),
        };
        let offset = self.offset(buffer, index);
        let checked = conditions.uniform.is_some() || conditions.lanes.is_some();
        let free = !checked && (mask.is_none() || space == Space::Register);
        if free
            && self.varies(&offset)
            && let Some(raw) = self.read_window(buffer, &offset)?
        {
            return Ok(self.loaded(raw, dtype));
        }
        let access = self.access(buffer, &offset, free)?;
        let otherwise =
            |e: &Self, lanes| e.memory_constant(kind, lanes, outside.unwrap_or(Constant { dtype, bits: 0 }));
        let raw = match access {
            Access::Uniform(at) if conditions.lanes.is_none() => match conditions.uniform {
                None => self.b.load(at, kind, 1),
                Some(holds) => {
                    let [value] =
                        self.b.choose(holds, || [self.b.load(at, kind, 1)], || [otherwise(self, 1)]);
                    value
                }
            },
            Access::Contiguous(at) if free => {
                self.fetch_ahead(buffer, &offset, at)?;
                let lanes = self.vector.as_ref().map_or(1, |v| v.lanes);
                self.b.load(at, kind, lanes)
            }
            _ => {
                let lanes = self.vector.as_ref().map_or(1, |v| v.lanes);
                let varying = self.both(mask, conditions.lanes);
                let otherwise = otherwise(self, lanes);
                match (access, conditions.uniform) {
                    (Access::Contiguous(at), Some(holds))
                        if varying.is_none() && !self.platform.has_masks() =>
                    {
                        let [value] = self.b.choose(holds, || [self.b.load(at, kind, lanes)], || [otherwise]);
                        value
                    }
                    (access, uniform) => {
                        let uniform = uniform.map(|c| self.b.broadcast(c, lanes));
                        let mask = self.both(varying, uniform);
                        match (access, mask) {
                            (Access::Contiguous(at), Some(mask)) => self.load_where(at, mask, otherwise),
                            (Access::Contiguous(at), None) => self.b.load(at, kind, lanes),
                            (Access::Uniform(at) | Access::Indexed(at), mask) => {
                                self.gather_where(self.b.broadcast(at, lanes), mask, otherwise)
                            }
                        }
                    }
                }
            }
        };
        Ok(self.loaded(raw, dtype))
    }

    /// Fetches the counterpart of a vector in a later iteration, if the nest asks for it. The last iterations
    /// have no counterpart and fetch the vector itself, which exists.
    fn fetch_ahead(&mut self, buffer: usize, offset: &Expr, at: Val<'c>) -> Result<()> {
        let Some(step) = self.vector.clone() else { return Ok(()) };
        let nest = self.nest;
        for fetch in nest.fetches.iter().filter(|f| f.buffer == buffer && f.with == step.axis) {
            let axis = self.axes.iter().find(|a| a.name == fetch.axis).map(|a| a.binding);
            let now = match axis {
                Some(super::Binding::Scalar(now)) => now,
                Some(super::Binding::Vector) => step.base,
                Some(super::Binding::Constant(_)) | None => continue,
            };
            let distance = offset.split_axis(&fetch.axis).map(|(distance, _)| distance);
            let Some(distance) = distance.filter(|d| !self.varies(d)) else { continue };
            let ahead = i64::from(fetch.ahead);
            let distance = self.scalar(&(distance * Expr::from(ahead)))?;
            let extent = self.resolve(&extent_of(nest, &fetch.axis));
            let extent = self.scalar(&extent)?;
            let later = self.b.add(now, self.b.int(Kind::I64, 1, ahead));
            let exists = self.b.compare(Cmp::Lt, later, extent);
            let distance = self.b.select(exists, distance, self.b.int(Kind::I64, 1, 0));
            let kind = memory_kind(self.storage[buffer].dtype);
            let later = self.b.address(at, distance, kind, false);
            let bytes = i64::from(kind.bits() / 8 * step.lanes);
            for line in (0..bytes).step_by(LINE as usize) {
                let line = self.b.int(Kind::I64, 1, line);
                let line = self.b.address(later, line, Kind::I8, false);
                self.b.prefetch(line);
            }
        }
        Ok(())
    }

    /// Whether a store of a whole vector at a resolved offset bypasses the caches. Its place must be a multiple
    /// of its size: vectors begin at whole ones along their axis, and the buffer begins at a cache line.
    pub(super) fn streams(&self, buffer: usize, offset: &Expr) -> bool {
        let Some(step) = &self.vector else { return false };
        let bytes = memory_kind(self.storage[buffer].dtype).bits() / 8 * step.lanes;
        // Buffers begin at a cache line, and vectors are aligned too if they fill whole lines or their size
        // divides a line.
        let lanes = i64::from(step.lanes);
        let whole = |rest: Expr| {
            rest.constant() % lanes == 0
                && rest.terms().iter().all(|(_, coefficient)| coefficient % lanes == 0)
        };
        self.b.streams()
            && self.nest.streamed.contains(&buffer)
            && matches!(bytes, 16 | 32 | 64 | 128 | 256)
            && offset.split_axis(&step.axis).is_some_and(|(stride, rest)| stride.is(1) && whole(rest))
    }

    /// Stores a value in the lanes of `mask`.
    pub(super) fn write(&mut self, buffer: usize, access: Access<'c>, value: Val<'c>, mask: Option<Val<'c>>) {
        let (dtype, space) = (self.storage[buffer].dtype, self.storage[buffer].space);
        let value = self.stored(value, dtype);
        let lanes = self.vector.as_ref().map_or(1, |v| v.lanes);
        match access {
            Access::Uniform(at) => {
                // All lanes write one element: the last lane wins.
                let value = if value.lanes > 1 { self.b.lane(value, lanes - 1) } else { value };
                self.b.store(value, at);
            }
            Access::Contiguous(at) => {
                let value = self.b.broadcast(value, lanes);
                match mask {
                    Some(mask) if space != Space::Register => self.store_where(value, at, mask),
                    _ => self.b.store(value, at),
                }
            }
            Access::Indexed(at) => {
                let value = self.b.broadcast(value, lanes);
                let mask = mask.unwrap_or_else(|| self.b.int(Kind::I1, lanes, 1));
                self.b.scatter(value, at, mask);
            }
        }
    }

    /// A constant as it lies in memory.
    fn memory_constant(&self, kind: Kind, lanes: u32, constant: Constant) -> Val<'c> {
        match (kind, constant.element()) {
            (Kind::F32 | Kind::F64, Element::Float(value)) => self.b.float(kind, lanes, value),
            _ => self.b.int(kind, lanes, constant.bits as i64),
        }
    }
}

/// The extent of a nest's loop.
fn extent_of(nest: &LoopNest, axis: &str) -> Expr {
    let mut extent = Expr::from(0);
    nest.visit(&mut |node| {
        if let Node::Loop(l) = node
            && *l.axis == *axis
        {
            extent = l.extent.clone();
        }
    });
    extent
}

/// Undoes `d * floordiv(x, d) + mod(x, d) = x`. If a schedule fused an axis and a read splits it again, the
/// access is contiguous again.
fn recombine(mut expr: Expr) -> Expr {
    'again: loop {
        for (product, coefficient) in expr.terms() {
            let [Atom::Mod(xd)] = &product[..] else { continue };
            let (x, d) = &**xd;
            let scale = Expr::from(*coefficient);
            let quotient = x.floor_div(d) * d.clone();
            let remainder = Expr::from(product[0].clone());
            let candidate = expr.clone() + (x.clone() - quotient - remainder) * scale;
            if candidate.terms().len() < expr.terms().len() {
                expr = candidate;
                continue 'again;
            }
        }
        return expr;
    }
}
