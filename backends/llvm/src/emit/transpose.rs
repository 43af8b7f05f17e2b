//! Copies that turn rows into columns: vectors are loaded along the source's lines, transposed in registers
//! and stored along the target's, in place of a gather for every vector.
//!
//! ```text
//! vector v, for u: to[u, v] = from[v, u]
//! ```
//!
//! A block with as many rows as a vector has lanes takes `log2(lanes)` rounds of shuffles of two vectors: the
//! first rounds work within groups of four lanes, the others exchange groups.

use super::{
    Binding, Emitter, VectorStep,
    builder::{Builder, Kind, Val},
    memory::memory_kind,
};
use melior::ir::attribute::DenseI64ArrayAttribute;
use mlcc_ir::{
    diagnostic::Result,
    expr::{Expr, Interval},
    nest::{Loop, Mapping, Node},
    scalar::Inst,
};

/// A copy inside a vector axis. Its source is contiguous along the loop inside.
struct Copy {
    from: usize,
    to: usize,
    kind: Kind,
    /// The source's offset at the first point, and the distance of its rows.
    source: Expr,
    row: Expr,
    /// The target's offset at the first point, and the distance of its rows.
    target: Expr,
    line: Expr,
}

impl<'c> Emitter<'_, 'c> {
    /// Emits a loop inside the vector axis that copies with a transposition; `false` if it is not such a copy.
    pub(super) fn transposing(&mut self, l: &Loop, extent: &Expr, range: Interval) -> Result<bool> {
        let Some(step) = self.vector.clone() else { return Ok(false) };
        let Some(copy) = self.transposed_copy(l, &step) else { return Ok(false) };
        let lanes = i64::from(step.lanes);
        if extent.as_const().is_some_and(|n| n < lanes) {
            return Ok(false);
        }
        let b = self.b;
        let index = |value| b.int(Kind::I64, 1, value);
        let n = self.scalar(extent)?;
        let whole = match extent.as_const() {
            Some(n) => index(n / lanes * lanes),
            None => b.mul(b.int_op("arith.divui", n, index(lanes)), index(lanes)),
        };
        let (blocks, ()) = self.region(true, |e, first| match first {
            Some(first) => e.block(&copy, &step, first),
            None => Ok(()),
        })?;
        b.for_loop([index(0), whole, index(lanes)], &[], blocks);
        match extent.as_const() {
            Some(n) if n % lanes == 0 => {}
            // A last block overlaps the block before it and copies some points again.
            Some(n) => self.block(&copy, &step, index(n - lanes))?,
            None => {
                let (rest, ()) = self.region(true, |e, i| match i {
                    Some(i) => e.with_axis((&l.axis, Binding::Scalar(i), range), |e| e.nodes(&l.body)),
                    None => Ok(()),
                })?;
                b.for_loop([whole, n, index(1)], &[], rest);
            }
        }
        Ok(true)
    }

    fn transposed_copy(&self, l: &Loop, step: &VectorStep<'c>) -> Option<Copy> {
        let [Node::Store(s)] = &l.body[..] else { return None };
        let [(Inst::Read { tensor, index, outside: None }, dtype)] = &s.body.insts[..] else { return None };
        let plain = l.mapping == Mapping::Serial
            && s.combine.is_none()
            && s.guards.is_empty()
            && !s.checked
            && [*tensor, s.buffer].iter().all(|b| self.storage.get(*b).is_some_and(|b| b.dtype == *dtype))
            && !index.iter().chain(&s.index).any(Expr::uses_values);
        let kind = memory_kind(*dtype);
        if !plain || kind.bits() != 32 || !matches!(step.lanes, 4 | 8 | 16) {
            return None;
        }
        let (along, rest) = self.offset(*tensor, index).split_axis(&l.axis)?;
        let (row, source) = rest.split_axis(&step.axis)?;
        let (unit, rest) = self.offset(s.buffer, &s.index).split_axis(&step.axis)?;
        let (line, target) = rest.split_axis(&l.axis)?;
        let fixed = |e: &Expr| !e.uses_axis(&l.axis) && !self.varies(e);
        let apart = along.is(1) && unit.is(1) && !row.is(0) && !row.is(1);
        (apart && [&row, &source, &line, &target].into_iter().all(fixed)).then_some(Copy {
            from: *tensor,
            to: s.buffer,
            kind,
            source,
            row,
            target,
            line,
        })
    }

    /// The points of the loop from `first` on, for all lanes.
    fn block(&mut self, copy: &Copy, step: &VectorStep<'c>, first: Val<'c>) -> Result<()> {
        let (b, lanes) = (self.b, step.lanes);
        let corner = |e: &mut Self, buffer: usize, offset: &Expr, [v, u]: [&Expr; 2]| -> Result<Val<'c>> {
            let (offset, v, u) = (e.scalar(offset)?, e.scalar(v)?, e.scalar(u)?);
            let at = b.add(offset, b.add(b.mul(step.base, v), b.mul(first, u)));
            Ok(b.address(e.storage[buffer].pointer, at, copy.kind, false))
        };
        let one = Expr::from(1);
        let source = corner(self, copy.from, &copy.source, [&copy.row, &one])?;
        let target = corner(self, copy.to, &copy.target, [&one, &copy.line])?;
        let at = |e: &mut Self, base: Val<'c>, distance: &Expr, i: u32| -> Result<Val<'c>> {
            let offset = distance.clone() * Expr::from(i64::from(i));
            e.element(base, copy.kind, &offset, false)
        };
        let mut rows = Vec::with_capacity(lanes as usize);
        for i in 0..lanes {
            let mut pointer = at(self, source, &copy.row, i)?;
            if let Some(mask) = step.mask {
                // A missing row repeats the first one.
                pointer = b.select(b.lane(mask, i), pointer, source);
            }
            rows.push(b.load(pointer, copy.kind, lanes));
        }
        for (i, value) in (0..).zip(transpose(b, &rows)) {
            let pointer = at(self, target, &copy.line, i)?;
            match step.mask {
                Some(mask) => b.masked_store(value, pointer, mask),
                None => b.store(value, pointer),
            }
        }
        Ok(())
    }
}

/// The columns of a square of vectors of 4, 8 or 16 lanes.
fn transpose<'c>(b: &Builder<'c>, rows: &[Val<'c>]) -> Vec<Val<'c>> {
    let lanes = rows.len();
    // Within groups of four lanes: each group of the result takes these lanes of a pair of vectors.
    let within = |x: Val<'c>, y: Val<'c>, group: [usize; 4]| {
        let picked = (0..lanes).map(|p| {
            let lane = group[p % 4];
            if lane < 4 { p / 4 * 4 + lane } else { lanes + p / 4 * 4 + lane - 4 }
        });
        shuffle(b, x, y, picked)
    };
    let mut fours = Vec::with_capacity(lanes);
    for r in rows.chunks(4) {
        let (low, high) = ([0, 4, 1, 5], [2, 6, 3, 7]);
        let t = [
            within(r[0], r[1], low),
            within(r[0], r[1], high),
            within(r[2], r[3], low),
            within(r[2], r[3], high),
        ];
        let (low, high) = ([0, 1, 4, 5], [2, 3, 6, 7]);
        fours.push([
            within(t[0], t[2], low),
            within(t[0], t[2], high),
            within(t[1], t[3], low),
            within(t[1], t[3], high),
        ]);
    }
    // Now group q of fours[g][c] is column 4 q + c of rows 4 g to 4 g + 3.
    let groups = |x: Val<'c>, y: Val<'c>, order: &[usize]| {
        shuffle(b, x, y, order.iter().flat_map(|g| (0..4).map(move |lane| 4 * g + lane)))
    };
    let mut columns = vec![rows[0]; lanes];
    for c in 0..4 {
        match fours[..] {
            [x, y] => {
                columns[c] = groups(x[c], y[c], &[0, 2]);
                columns[4 + c] = groups(x[c], y[c], &[1, 3]);
            }
            [w, x, y, z] => {
                for (half, order) in [[0, 1, 4, 5], [2, 3, 6, 7]].iter().enumerate() {
                    let (front, back) = (groups(w[c], x[c], order), groups(y[c], z[c], order));
                    columns[8 * half + c] = groups(front, back, &[0, 2, 4, 6]);
                    columns[8 * half + 4 + c] = groups(front, back, &[1, 3, 5, 7]);
                }
            }
            _ => columns[c] = fours[0][c],
        }
    }
    columns
}

/// The lanes of two vectors in this order; the second vector's lanes are numbered after the first's.
pub(super) fn shuffle<'c>(
    b: &Builder<'c>,
    x: Val<'c>,
    y: Val<'c>,
    order: impl Iterator<Item = usize>,
) -> Val<'c> {
    let order: Vec<i64> = order.map(|lane| lane as i64).collect();
    let mask = DenseI64ArrayAttribute::new(b.context, &order).into();
    let raw = b.op(
        "vector.shuffle",
        &[x.raw, y.raw],
        &[b.ty(x.kind, order.len() as u32)],
        &[("mask", mask)],
        Vec::new(),
    )[0];
    Val { raw, kind: x.kind, lanes: order.len() as u32 }
}
