//! Rows of a contraction tile without a common distance: each has an address, computed once for all points of the
//! reduction.
//!
//! ```text
//! row r of a tile, pixel p = p0 + r of an image `width` wide, under the tap (i, j):
//!   x + ((floordiv(p, width) + i - 1) * width + mod(p, width) + j - 1) * channels     inside of the image
//!   a line of zeros                                                                   elsewhere
//! ```
//!
//! Rows follow each other, so only the first row needs a division for its quotient and remainder. Every further row
//! adds one to the remainder, and one to the quotient if the remainder becomes 0 again.

use super::{
    AxisInScope, Binding, Emitter,
    builder::{Cmp, Kind, Val},
    memory::memory_kind,
};
use mlcc_ir::{
    Name,
    diagnostic::Result,
    expr::{Atom, Expr, Interval},
    nest::{ContractionTile, GatheredRows, LoopNest, Node},
};
use std::collections::BTreeMap;

/// A quotient and a remainder that are advanced from row to row of a tile.
struct Count<'c> {
    /// `floordiv(x, divisor)` and `mod(x, divisor)`.
    of: (Expr, Expr),
    ranges: [Interval; 2],
    divisor: Val<'c>,
    /// Names under which expressions refer to the values of a row.
    names: [Name; 2],
    /// Quotient and remainder of the current row.
    values: [Val<'c>; 2],
}

/// A tile's rows as expressions of the axis that counts them.
struct Rows<'a, 'c> {
    axis: &'a Name,
    base: Val<'c>,
    kind: Kind,
    offset: Expr,
    /// Pairs `(a, b)`: a row is inside if `a < b` for all of them.
    inside: Vec<(Expr, Expr)>,
}

impl<'c> Emitter<'_, 'c> {
    /// The addresses of a tile's gathered rows.
    pub(super) fn gathered_rows(
        &mut self,
        t: &ContractionTile,
        gathered: &GatheredRows,
    ) -> Result<Vec<Val<'c>>> {
        let axis = &gathered.axis;
        let base = self.operand_base(&t.a)?;
        let kind = memory_kind(self.storage[t.a.buffer].dtype);
        let zero = self.b.int(Kind::I64, 1, 0);
        let range = Interval { low: Some(0), high: Some(i64::from(t.rows) - 1) };
        let rows = self.with_axis((axis, Binding::Scalar(zero), range), |e| {
            let inside = gathered.inside.iter().map(|(a, b)| (e.resolve(a), e.resolve(b))).collect();
            Ok(Rows { axis, base, kind, offset: e.resolve(&gathered.offset), inside })
        })?;
        let limit = t.a_rows.as_ref().map(|limit| self.resolve(limit));
        let limit = limit.map(|limit| self.scalar(&limit)).transpose()?;
        let mut counts = self.counts(&rows, range)?;
        let mut first = None;
        (0..i64::from(t.rows))
            .map(|row| {
                if row > 0 {
                    self.advance(&mut counts);
                }
                self.memo.push(BTreeMap::new());
                let scope = self.axes.len();
                for count in &counts {
                    for at in 0..2 {
                        let (name, binding) = (count.names[at].clone(), Binding::Scalar(count.values[at]));
                        self.axes.push(AxisInScope { name, binding, range: count.ranges[at] });
                    }
                }
                let address = self.gathered_row(&rows, row, &counts);
                self.axes.truncate(scope);
                self.memo.pop();
                let address = address?;
                let first = *first.get_or_insert(address);
                let Some(limit) = limit.filter(|_| row > 0) else { return Ok(address) };
                // Rows beyond the last one read the first row, which always exists; the result is not used.
                let exists = self.b.compare(Cmp::Lt, self.b.int(Kind::I64, 1, row), limit);
                Ok(self.b.select(exists, address, first))
            })
            .collect()
    }

    /// The address of one row.
    fn gathered_row(&mut self, rows: &Rows<'_, 'c>, row: i64, counts: &[Count<'c>]) -> Result<Val<'c>> {
        let at = |e: &Self, expr: &Expr| {
            let counted = expr.substitute(&|atom| match atom {
                Atom::FloorDiv(of) | Atom::Mod(of) => {
                    let count = counts.iter().find(|c| c.of == **of)?;
                    Some(Expr::axis(&count.names[usize::from(matches!(atom, Atom::Mod(_)))]))
                }
                _ => None,
            });
            e.resolve(&counted.replace_axis(rows.axis, &Expr::from(row)))
        };
        let place = at(self, &rows.offset);
        let address = self.element(rows.base, rows.kind, &place, false)?;
        let mut exists: Option<Val<'c>> = None;
        for (a, b) in &rows.inside {
            let (a, b) = (at(self, a), at(self, b));
            if self.interval(&(b.clone() - a.clone() - Expr::from(1))).low >= Some(0) {
                continue;
            }
            let (a, b) = (self.scalar(&a)?, self.scalar(&b)?);
            let holds = self.b.compare(Cmp::Lt, a, b);
            exists = Some(exists.map_or(holds, |e| self.b.and(e, holds)));
        }
        Ok(match (exists, self.zeros) {
            (Some(exists), Some(zeros)) => self.b.select(exists, address, zeros),
            (Some(_), None) => return Err(self.wrong("gathered rows without a line of zeros")),
            (None, _) => address,
        })
    }

    /// The quotients and remainders that advance by one from row to row, with their values for the first row.
    fn counts(&mut self, rows: &Rows<'_, 'c>, range: Interval) -> Result<Vec<Count<'c>>> {
        let axis = rows.axis;
        let mut divisions: Vec<(Expr, Expr)> = Vec::new();
        for expr in rows.inside.iter().flat_map(|(a, b)| [a, b]).chain([&rows.offset]) {
            expr.any_atom(&mut |atom| {
                if let Atom::FloorDiv(of) | Atom::Mod(of) = atom
                    && of.0.split_axis(axis).is_some_and(|(step, rest)| step.is(1) && !rest.uses_axis(axis))
                    && !of.1.uses_axis(axis)
                    && !divisions.contains(of)
                {
                    divisions.push((**of).clone());
                }
                false
            });
        }
        let one = self.b.int(Kind::I64, 1, 1);
        divisions
            .into_iter()
            .enumerate()
            .map(|(at, of)| {
                let (x, d) = &of;
                let parts = [x.floor_div(d), x.modulo(d)];
                let zero = self.b.int(Kind::I64, 1, 0);
                let ranges = self.with_axis((axis, Binding::Scalar(zero), range), |e| {
                    Ok([e.interval(&parts[0]), e.interval(&parts[1])])
                })?;
                let first = parts.map(|part| self.resolve(&part.replace_axis(axis, &Expr::from(0))));
                let values = [self.scalar(&first[0])?, self.scalar(&first[1])?];
                // As in a division, a hostile size counts as one.
                let divisor = self.scalar(d)?;
                let divisor = self.b.int_op("arith.maxsi", divisor, one);
                // No axis of a dump has a space in its name.
                let names = ["quotient", "remainder"].map(|part| format!("{axis} {part} {at}").into());
                Ok(Count { of, ranges, divisor, names, values })
            })
            .collect()
    }

    /// Advances quotients and remainders to the next row.
    fn advance(&self, counts: &mut [Count<'c>]) {
        let (zero, one) = (self.b.int(Kind::I64, 1, 0), self.b.int(Kind::I64, 1, 1));
        for count in counts {
            let [quotient, remainder] = count.values;
            let next = self.b.add(remainder, one);
            let full = self.b.compare(Cmp::Ge, next, count.divisor);
            let carry = self.b.add(quotient, one);
            count.values = [self.b.select(full, carry, quotient), self.b.select(full, zero, next)];
        }
    }

    /// A line of zeros as long as the longest gathered row that may be out of bounds.
    pub(super) fn place_zeros(&mut self, nest: &LoopNest) -> Result<()> {
        let mut longest: Option<(Kind, Expr)> = None;
        let mut contiguous = true;
        nest.visit(&mut |node| {
            if let Node::Tile(t) = node
                && t.a_gather.as_ref().is_some_and(|rows| !rows.inside.is_empty())
            {
                contiguous &= t.a.k_stride.is(1);
                let kind = memory_kind(nest.buffers[t.a.buffer].dtype);
                let bytes = t.k.clone() * Expr::from(i64::from(kind.bits() / 8));
                longest = Some((kind, longest.take().map_or(bytes.clone(), |(_, l)| l.maximum(&bytes))));
            }
        });
        let Some((_, bytes)) = longest else { return Ok(()) };
        let bytes = self.interval(&bytes).high.filter(|b| (0..1 << 16).contains(b));
        let bytes = bytes.filter(|_| contiguous);
        let bytes = bytes
            .ok_or_else(|| self.wrong("gathered rows that may be outside are not short and contiguous"))?;
        const VECTOR: i64 = 16;
        let vectors = (bytes + VECTOR - 1) / VECTOR;
        let line = self.b.frame(Kind::I8, vectors * VECTOR);
        let nothing = self.b.int(Kind::I8, VECTOR as u32, 0);
        let bounds = [0, vectors * VECTOR, VECTOR].map(|bound| self.b.int(Kind::I64, 1, bound));
        let arguments = self.b.open(&[self.b.ty(Kind::I64, 1)]);
        let at = Val { raw: arguments[0], kind: Kind::I64, lanes: 1 };
        let place = self.b.address(line, at, Kind::I8, false);
        self.b.store(nothing, place);
        self.b.yields(&[]);
        let region = self.b.close();
        self.b.for_loop(bounds, &[], region);
        self.zeros = Some(line);
        Ok(())
    }
}
