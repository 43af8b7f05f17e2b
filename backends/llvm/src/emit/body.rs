//! Stores: conditions, the scalar program, the element written.

use super::{
    Emitter,
    builder::{Cmp, Kind, Val},
    cast::register_kind,
    memory::{Access, Conditions},
};
use mlcc_ir::{
    diagnostic::Result,
    expr::Expr,
    nest::{Space, Store},
    scalar::{Body, Constant, Inst},
    tensor::Element,
};

impl<'c> Emitter<'_, 'c> {
    pub(super) fn store(&mut self, store: &Store) -> Result<()> {
        let Some(guards) = self.guards(&store.guards)? else { return Ok(()) };
        let step_mask = self.vector.as_ref().and_then(|v| v.mask);
        let mask = self.both(step_mask, guards.lanes);
        self.when(guards.uniform, |e| {
            // A read that is the same for all lanes may be out of bounds if no lane is active.
            let some = match guards.lanes {
                Some(lanes) if e.reads_uniformly(&store.body) => Some(e.b.reduce("or", lanes)),
                _ => None,
            };
            e.when(some, |e| {
                let outer = std::mem::take(&mut e.values);
                let result = e.body(&store.body, mask).and_then(|value| e.put(store, value, mask));
                e.values = outer;
                result
            })
        })
    }

    /// The conditions of guards that are not certain to hold; `None` if they cannot hold.
    fn guards(&mut self, guards: &[(Expr, Expr)]) -> Result<Option<Conditions<'c>>> {
        let mut conditions = Conditions::default();
        for (a, b) in guards {
            let (a, b) = (self.resolve(a), self.resolve(b));
            let room = self.interval(&(b.clone() - a.clone()));
            if room.low >= Some(1) {
                continue;
            }
            if room.high.is_some_and(|h| h <= 0) {
                return Ok(None);
            }
            let varies = self.varies(&a) || self.varies(&b);
            let kind = if varies && self.fits_i32(&a) && self.fits_i32(&b) { Kind::I32 } else { Kind::I64 };
            let mut side = |e: &Expr| {
                if self.varies(e) {
                    return self.lanes_of(e, kind);
                }
                let value = self.scalar(e)?;
                Ok(self.b.resize(value, kind, true))
            };
            let (a, b) = (side(&a)?, side(&b)?);
            let holds = self.b.compare(Cmp::Lt, a, b);
            self.require(&mut conditions, holds);
        }
        Ok(Some(conditions))
    }

    /// Whether a body reads, unchecked, an element that is the same in all lanes.
    fn reads_uniformly(&self, body: &Body) -> bool {
        body.insts.iter().any(|(inst, _)| match inst {
            Inst::Read { tensor, index, outside: None } => {
                self.storage[*tensor].space != Space::Register
                    && index.iter().all(|i| !i.uses_values() && !self.varies(&self.resolve(i)))
            }
            _ => false,
        })
    }

    /// A constant in its register form, in this number of lanes.
    pub(super) fn constant(&self, constant: Constant, lanes: u32) -> Val<'c> {
        let kind = register_kind(constant.dtype);
        match constant.element() {
            Element::Float(value) => self.b.float(kind, lanes, value),
            Element::Int(value) => self.b.int(kind, lanes, value),
            Element::UInt(value) => self.b.int(kind, lanes, value as i64),
        }
    }

    /// Evaluates a scalar program in the lanes of `mask`.
    pub(super) fn body(&mut self, body: &Body, mask: Option<Val<'c>>) -> Result<Val<'c>> {
        for (inst, dtype) in &body.insts {
            let (b, dtype) = (self.b, *dtype);
            let value = match inst {
                Inst::Const(constant) => self.constant(*constant, 1),
                Inst::Index(expr) => {
                    let expr = self.resolve(expr);
                    if self.varies(&expr) { self.lanes_of(&expr, Kind::I64)? } else { self.scalar(&expr)? }
                }
                Inst::Read { tensor, index, outside } => {
                    if *tensor >= self.storage.len() {
                        return Err(self.wrong(format!("a read of buffer {tensor}, which does not exist")));
                    }
                    self.read(*tensor, index, *outside, mask)?
                }
                Inst::Unary(op, a) => {
                    let (a, of) = self.operand(*a)?;
                    self.unary(*op, a, of)
                }
                Inst::Binary(op, a, right) => {
                    let constant = match body.insts.get(*right as usize) {
                        Some((Inst::Const(c), _)) => Some(c.element()),
                        _ => None,
                    };
                    let ((a, _), (right, _)) = (self.operand(*a)?, self.operand(*right)?);
                    self.binary(*op, (a, right), dtype, constant)
                }
                Inst::Compare(predicate, a, right) => {
                    let ((a, of), (right, _)) = (self.operand(*a)?, self.operand(*right)?);
                    self.compare(*predicate, a, right, of)
                }
                Inst::Select(condition, a, right) => {
                    let (c, a, right) =
                        (self.operand(*condition)?.0, self.operand(*a)?.0, self.operand(*right)?.0);
                    b.select(c, a, right)
                }
                Inst::Cast(a) => {
                    let (a, from) = self.operand(*a)?;
                    self.cast(a, from, dtype)
                }
            };
            self.values.push((value, dtype));
        }
        Ok(self.operand(body.result)?.0)
    }

    fn operand(&self, id: u32) -> Result<(Val<'c>, mlcc_ir::dtype::DType)> {
        let value = self.values.get(id as usize).copied();
        value.ok_or_else(|| self.wrong(format!("value ${id} is used before it is computed")))
    }

    /// Writes or combines a value.
    fn put(&mut self, store: &Store, value: Val<'c>, mask: Option<Val<'c>>) -> Result<()> {
        let conditions = match store.checked {
            true => self.bounds(store.buffer, &store.index)?,
            false => Conditions::default(),
        };
        let mask = self.both(mask, conditions.lanes);
        self.when(conditions.uniform, |e| {
            let offset = e.offset(store.buffer, &store.index);
            let Some(combine) = store.combine else {
                let free = mask.is_none() || e.storage[store.buffer].space == Space::Register;
                let access = e.access(store.buffer, &offset, free)?;
                if let (Access::Uniform(at), Some(mask)) = (access, mask) {
                    // The last active lane wins.
                    let lanes = mask.lanes;
                    let at = e.b.broadcast(at, lanes);
                    e.write(store.buffer, Access::Indexed(at), value, Some(mask));
                } else if let (Access::Contiguous(at), None, true) =
                    (access, mask, e.streams(store.buffer, &offset))
                {
                    let lanes = e.vector.as_ref().map_or(1, |v| v.lanes);
                    let value = e.b.broadcast(e.stored(value, e.storage[store.buffer].dtype), lanes);
                    e.b.stream(value, at);
                } else {
                    e.write(store.buffer, access, value, mask);
                }
                return Ok(());
            };
            e.combine((store.buffer, &offset), combine, value, mask)
        })
    }
}
