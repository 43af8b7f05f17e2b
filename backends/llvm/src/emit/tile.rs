//! The micro-kernel of a [`ContractionTile`]: `rows` times a few vectors of accumulators in registers,
//! one loop over the reduction that loads vectors of B, broadcasts elements of A and multiplies and adds.

use super::{
    Emitter,
    builder::{Kind, Val},
    cast::register_kind,
    memory::memory_kind,
};
use mlcc_ir::{
    diagnostic::Result,
    dtype::DType,
    expr::Expr,
    nest::{ContractionTile, Space, TileOperand},
};

/// Approximate number of multiply-adds in the body of the loop over the reduction. With more, LLVM mixes the
/// steps of the reduction, and this takes more registers than a large tile leaves.
const BODY: usize = 48;

/// The parts of a micro-kernel that do not change while the reduction runs.
struct Shape<'c> {
    dtype: DType,
    kind: Kind,
    rows: usize,
    lanes: u32,
    /// Vectors of columns.
    vectors: usize,
    /// Which columns of each vector exist; `None` is all.
    masks: Vec<Option<Val<'c>>>,
    a: Rows<'c>,
    b_pointer: Val<'c>,
    /// Distance of points of the reduction in A and B.
    k_strides: [Expr; 2],
}

/// The most points of the reduction in a row that never read an element of A twice. If windows overlap and
/// more points are unrolled, LLVM would keep the elements shared by rows in registers that the accumulators
/// need.
fn overlap(shape: &Shape<'_>) -> usize {
    match (&shape.a, shape.k_strides[0].as_const()) {
        (Rows::Regular(_, row), Some(k)) if k != 0 && row % k == 0 => {
            (row / k).unsigned_abs().max(1) as usize
        }
        _ => usize::MAX,
    }
}

/// The places at which the rows of A begin.
enum Rows<'c> {
    /// A constant distance apart: one pointer is enough.
    Regular(Val<'c>, i64),
    /// Each has a pointer.
    Pointers(Vec<Val<'c>>),
}

impl<'c> Emitter<'_, 'c> {
    pub(super) fn tile(&mut self, t: &ContractionTile) -> Result<()> {
        let shape = self.tile_shape(t)?;
        let k = self.resolve(&t.k);
        let per_step = (shape.rows * shape.vectors).max(1);
        let unroll = match k.as_const() {
            Some(k) => (BODY / per_step).clamp(1, 4).min(k.max(1) as usize).min(overlap(&shape)),
            None => 1,
        };
        let mut sums = self.load_accumulators(t, &shape)?;
        let step = unroll as i64;
        let whole = k.as_const().map(|k| k / step * step);
        if whole != Some(0) {
            let b = self.b;
            let limit = match whole {
                Some(whole) => b.int(Kind::I64, 1, whole),
                None => self.scalar(&k)?,
            };
            let bounds = [b.int(Kind::I64, 1, 0), limit, b.int(Kind::I64, 1, step)];
            let vector = b.ty(shape.kind, shape.lanes);
            let types: Vec<_> = [b.ty(Kind::I64, 1)].into_iter().chain(sums.iter().map(|_| vector)).collect();
            let arguments = b.open(&types);
            self.memo.push(std::collections::BTreeMap::new());
            let at = Val { raw: arguments[0], kind: Kind::I64, lanes: 1 };
            let mut inner: Vec<_> =
                arguments[1..].iter().zip(&sums).map(|(raw, v)| Val { raw: *raw, ..*v }).collect();
            let result = (0..step).try_for_each(|u| self.tile_step(t, &shape, (Some(at), u), &mut inner));
            self.memo.pop();
            b.yields(&inner);
            let region = b.close();
            result?;
            sums = b.for_loop(bounds, &sums, region);
        }
        for k in whole.unwrap_or(0)..k.as_const().unwrap_or(0) {
            self.tile_step(t, &shape, (None, k), &mut sums)?;
        }
        for (i, sum) in sums.into_iter().enumerate() {
            let at = self.accumulator_address(t, &shape, i)?;
            self.b.store(sum, at);
        }
        Ok(())
    }

    fn tile_shape(&mut self, t: &ContractionTile) -> Result<Shape<'c>> {
        if self.vector.is_some() {
            return Err(self.wrong("a contraction tile inside a vector axis"));
        }
        let known = [t.acc, t.a.buffer, t.b.buffer].iter().all(|b| *b < self.storage.len());
        if !known || self.storage[t.acc].space != Space::Register {
            return Err(self.wrong("a contraction tile needs operands and an accumulator in registers"));
        }
        let dtype = self.storage[t.acc].dtype;
        let kind = register_kind(dtype);
        if !matches!(dtype, DType::F32 | DType::F64 | DType::I32) {
            return Err(self.wrong(format!("a contraction tile cannot accumulate in {dtype}")));
        }
        let mut lanes = self.platform.vector_bits() / kind.bits();
        while !t.cols.is_multiple_of(lanes) && lanes > 1 {
            lanes /= 2;
        }
        let (rows, vectors) = (t.rows as usize, (t.cols / lanes) as usize);
        let masks = match &t.b_cols {
            Some(cols) => {
                let cols = self.resolve(cols);
                self.column_masks(&cols, lanes, vectors)?
            }
            None => vec![None; vectors],
        };
        let a = self.row_pointers(t)?;
        let b_pointer = self.operand_base(&t.b)?;
        let k_strides = [self.resolve(&t.a.k_stride), self.resolve(&t.b.k_stride)];
        Ok(Shape { dtype, kind, rows, lanes, vectors, masks, a, b_pointer, k_strides })
    }

    fn column_masks(&mut self, cols: &Expr, lanes: u32, vectors: usize) -> Result<Vec<Option<Val<'c>>>> {
        let low = self.interval(cols).low.unwrap_or(0);
        (0..vectors as i64)
            .map(|v| {
                let first = v * i64::from(lanes);
                if low >= first + i64::from(lanes) {
                    return Ok(None);
                }
                let left = self.scalar(&(cols.clone() - Expr::from(first)))?;
                let iota = self.b.iota(Kind::I64, lanes, 1);
                Ok(Some(self.b.compare(super::builder::Cmp::Lt, iota, left)))
            })
            .collect()
    }

    pub(super) fn operand_base(&mut self, operand: &TileOperand) -> Result<Val<'c>> {
        let storage = &self.storage[operand.buffer];
        let (pointer, kind) = (storage.pointer, memory_kind(storage.dtype));
        let base = self.resolve(&operand.base);
        self.element(pointer, kind, &base, false)
    }

    fn row_pointers(&mut self, t: &ContractionTile) -> Result<Rows<'c>> {
        if let Some(rows) = &t.a_gather {
            return self.gathered_rows(t, rows).map(Rows::Pointers);
        }
        let base = self.operand_base(&t.a)?;
        let stride = self.resolve(&t.a.stride);
        let rows = t.a_rows.as_ref().map(|r| self.resolve(r));
        // Rows that certainly exist are not clamped.
        let clamp = rows.filter(|r| self.interval(r).low.unwrap_or(0) < i64::from(t.rows));
        if let (Some(stride), None) = (stride.as_const(), &clamp) {
            return Ok(Rows::Regular(base, stride));
        }
        let kind = memory_kind(self.storage[t.a.buffer].dtype);
        let pointers = (0..i64::from(t.rows))
            .map(|row| {
                let row = match &clamp {
                    Some(rows) => Expr::from(row).minimum(&(rows.clone() - Expr::from(1))),
                    None => Expr::from(row),
                };
                let offset = self.resolve(&(row * stride.clone()));
                self.element(base, kind, &offset, false)
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Rows::Pointers(pointers))
    }

    /// One point of the reduction, `k = at + shift`.
    fn tile_step(
        &mut self,
        t: &ContractionTile,
        shape: &Shape<'c>,
        (at, shift): (Option<Val<'c>>, i64),
        sums: &mut [Val<'c>],
    ) -> Result<()> {
        let [a_stride, b_stride] = &shape.k_strides;
        let (a_dtype, b_dtype) = (self.storage[t.a.buffer].dtype, self.storage[t.b.buffer].dtype);
        let (a_kind, b_kind) = (memory_kind(a_dtype), memory_kind(b_dtype));
        let b_row = self.along(shape.b_pointer, b_kind, (at, shift), b_stride)?;
        let mut columns = Vec::with_capacity(shape.vectors);
        for v in 0..shape.vectors {
            let value = self.load_columns(t, shape, (b_row, v))?;
            columns.push(self.widen(value, b_dtype, shape));
        }
        let regular = match &shape.a {
            Rows::Regular(base, _) => Some(self.along(*base, a_kind, (at, shift), a_stride)?),
            Rows::Pointers(_) => None,
        };
        for row in 0..shape.rows {
            let pointer = match (&shape.a, regular) {
                (Rows::Regular(_, stride), Some(base)) => {
                    self.element(base, a_kind, &Expr::from(row as i64 * stride), false)?
                }
                (Rows::Pointers(pointers), _) => self.along(pointers[row], a_kind, (at, shift), a_stride)?,
                _ => continue,
            };
            let scalar = self.b.load(pointer, a_kind, 1);
            let scalar = self.loaded(scalar, a_dtype);
            let scalar = self.widen(scalar, a_dtype, shape);
            let broadcast = self.b.broadcast(scalar, shape.lanes);
            for (v, column) in columns.iter().enumerate() {
                let sum = &mut sums[row * shape.vectors + v];
                *sum = if shape.kind.is_float() {
                    self.b.fma(broadcast, *column, *sum)
                } else {
                    let product = self.b.mul(broadcast, *column);
                    self.b.add(product, *sum)
                };
            }
        }
        Ok(())
    }

    /// `pointer + (at + shift) * stride`.
    fn along(
        &mut self,
        pointer: Val<'c>,
        kind: Kind,
        (at, shift): (Option<Val<'c>>, i64),
        stride: &Expr,
    ) -> Result<Val<'c>> {
        let mut pointer = pointer;
        if let Some(at) = at {
            let by = self.scalar(stride)?;
            let offset = if stride.is(1) { at } else { self.b.mul(at, by) };
            pointer = self.b.address(pointer, offset, kind, false);
        }
        let shift = self.resolve(&(stride.clone() * Expr::from(shift)));
        self.element(pointer, kind, &shift, false)
    }

    fn load_columns(
        &mut self,
        t: &ContractionTile,
        shape: &Shape<'c>,
        (row, v): (Val<'c>, usize),
    ) -> Result<Val<'c>> {
        let dtype = self.storage[t.b.buffer].dtype;
        let kind = memory_kind(dtype);
        let stride = self.resolve(&t.b.stride);
        let first = self.resolve(&(stride.clone() * Expr::from(v as i64 * i64::from(shape.lanes))));
        let pointer = self.element(row, kind, &first, false)?;
        let zeros = || {
            if kind.is_float() {
                self.b.float(kind, shape.lanes, 0.0)
            } else {
                self.b.int(kind, shape.lanes, 0)
            }
        };
        let raw = if stride.is(1) {
            match shape.masks[v] {
                None => self.b.load(pointer, kind, shape.lanes),
                Some(mask) => self.load_where(pointer, mask, zeros()),
            }
        } else {
            let zeros = zeros();
            let by = self.scalar(&stride)?;
            let iota = self.b.iota(Kind::I64, shape.lanes, 1);
            let offsets = self.b.mul(iota, by);
            let pointers = self.b.address(pointer, offsets, kind, false);
            self.gather_where(pointers, shape.masks[v], zeros)
        };
        Ok(self.loaded(raw, dtype))
    }

    /// An operand in the accumulator's type.
    fn widen(&self, value: Val<'c>, from: DType, shape: &Shape<'c>) -> Val<'c> {
        if shape.kind == value.kind { value } else { self.cast(value, from, shape.dtype) }
    }

    fn load_accumulators(&mut self, t: &ContractionTile, shape: &Shape<'c>) -> Result<Vec<Val<'c>>> {
        (0..shape.rows * shape.vectors)
            .map(|i| {
                let at = self.accumulator_address(t, shape, i)?;
                Ok(self.b.load(at, shape.kind, shape.lanes))
            })
            .collect()
    }

    fn accumulator_address(&mut self, t: &ContractionTile, shape: &Shape<'c>, i: usize) -> Result<Val<'c>> {
        let (row, v) = (i / shape.vectors, i % shape.vectors);
        let row_stride = match &self.storage[t.acc].strides[..] {
            [.., stride, _] => stride.clone(),
            _ => Expr::from(0),
        };
        let offset = row_stride * Expr::from(row as i64) + Expr::from(v as i64 * i64::from(shape.lanes));
        let pointer = self.storage[t.acc].pointer;
        self.element(pointer, shape.kind, &offset, true)
    }
}
