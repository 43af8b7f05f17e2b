//! `tensorize(m, n, k)`: a sum of products over a register tile becomes a contraction micro-kernel.
//!
//! ```text
//! for m for n for k: acc[m, n] += a[.., m, k] * b[.., k, n]    =>    tile(acc, a, b)
//! ```
//!
//! `m` may be `-` for a tile of one row. The loops are perfectly nested, in any order. Legal if the
//! accumulator lies in registers and is indexed by `m` and `n`, one operand does not depend on `n` and the
//! other has stride 1 along `n` and does not depend on `m`. If the extent of `m` or `n` varies, the tile has
//! the size of the extent's bound. Rows beyond the extent repeat the last row, and columns beyond it are not
//! read.
//!
//! Rows of the operand without `n` may lie anywhere, and read as 0 outside of its bounds. Such rows are the
//! pixels that one tap of a window sees. The tile gathers them, each by an address of its own.

use super::{
    access::linear,
    ranges::Ranges,
    tree::{each_store, rewrite_loops},
};
use mlcc_ir::{
    Name,
    diagnostic::{Diagnostic, Result},
    expr::Expr,
    kernel::{Axis, AxisKind, Combine},
    nest::{ContractionTile, GatheredRows, Loop, LoopNest, Node, Space, Store, TileOperand},
    product::{Element, Product},
    scalar::Inst,
};

/// Most rows of a tile.
pub const MAX_ROWS: i64 = 14;
/// Most points of the reduction over gathered rows: a row of zeros is read from a line of this many zeros.
pub(super) const MAX_GATHERED: i64 = 4096;

/// Replaces the loops over `m`, `n` and `k` by a tile.
///
/// # Errors
/// If the loops are no contraction on a register tile.
pub fn tensorize(nest: &LoopNest, m: &str, n: &str, k: &str, lanes: u32) -> Result<LoopNest> {
    let wanted: Vec<&str> = [m, n, k].into_iter().filter(|a| *a != "-").collect();
    let mut outermost: Option<Name> = None;
    nest.visit(&mut |node| {
        if let Node::Loop(l) = node
            && outermost.is_none()
            && wanted.contains(&&*l.axis)
            && wanted.iter().all(|a| *a == &*l.axis || super::tree::find_loop(&l.body, a).is_some())
        {
            outermost = Some(l.axis.clone());
        }
    });
    let outermost =
        outermost.ok_or_else(|| Diagnostic::user(format!("'{m}', '{n}' and '{k}' are not nested")))?;
    let mut size: Option<(usize, u32, u32)> = None;
    let mut tiled = rewrite_loops(nest, &outermost, &mut |l, ranges| {
        if !wanted.iter().all(|a| *a == &*l.axis || super::tree::find_loop(&l.body, a).is_some()) {
            return Ok(vec![Node::Loop(l)]);
        }
        let mut chain: Vec<Loop> = Vec::new();
        let mut inside = ranges.clone();
        let mut node = Node::Loop(l);
        let store = loop {
            match node {
                Node::Loop(mut l) if l.body.len() == 1 && wanted.contains(&&*l.axis) => {
                    inside.push(&l);
                    node = l.body.remove(0);
                    chain.push(l);
                }
                Node::Store(s) if chain.len() == wanted.len() => break s,
                _ => {
                    return Err(Diagnostic::user(format!("'{m}', '{n}' and '{k}' are not perfectly nested")));
                }
            }
        };
        let extent = |axis: &str| chain.iter().find(|l| *l.axis == *axis).map(|l| l.extent.clone());
        let tile =
            Shape { m, n, k, lanes, around: ranges, inside: &inside, extent: &extent }.tile(nest, &store)?;
        // Tiles of several sizes share the accumulator.
        let (rows, cols) = size.map_or((0, 0), |(_, rows, cols)| (rows, cols));
        size = Some((tile.acc, tile.rows.max(rows), tile.cols.max(cols)));
        Ok(vec![Node::Tile(tile)])
    })?;
    if let Some((acc, rows, cols)) = size {
        if tiled.buffers[acc].dims.len() == 1 {
            add_row_dimension(&mut tiled, acc);
        }
        tiled.buffers[acc].dims = vec![Expr::from(i64::from(rows)), Expr::from(i64::from(cols))];
    }
    Ok(tiled)
}

/// The axes of a tile and its surroundings.
struct Shape<'a> {
    m: &'a str,
    n: &'a str,
    k: &'a str,
    lanes: u32,
    around: &'a Ranges,
    inside: &'a Ranges,
    extent: &'a dyn Fn(&str) -> Option<Expr>,
}

impl Shape<'_> {
    fn tile(&self, nest: &LoopNest, s: &Store) -> Result<ContractionTile> {
        let refuse = |what: String| Diagnostic::user(what);
        let acc = &nest.buffers[s.buffer];
        if acc.space != Space::Register {
            return Err(refuse(format!("'{}' does not lie in registers", acc.name)));
        }
        let has_rows = self.m != "-";
        let expected: Vec<Expr> =
            [self.m, self.n].iter().filter(|a| **a != "-").map(|a| Expr::axis(a)).collect();
        if s.index != expected || s.combine != Some(Combine::Add) || !s.guards.is_empty() {
            return Err(refuse(format!("'{}' is not a sum indexed by the tile's axes", acc.name)));
        }
        let (x, y) = self
            .factors(s)
            .ok_or_else(|| refuse("the value is not a product of two operands' elements".into()))?;
        let bound = |axis: &str| (self.extent)(axis).and_then(|e| self.around.upper_bound(&e));
        let rows = if has_rows { bound(self.m) } else { Some(1) };
        let rows = rows
            .filter(|r| *r <= MAX_ROWS)
            .ok_or_else(|| refuse(format!("a tile has at most {MAX_ROWS} rows")))?;
        let lanes = i64::from(self.lanes);
        let cols = bound(self.n)
            .map(|c| (c + lanes - 1) / lanes * lanes)
            .ok_or_else(|| refuse("the number of columns has no constant bound".into()))?;
        let (a, b) = if self.depends(nest, &x, self.n) { (y, x) } else { (x, y) };
        for operand in [&a, &b] {
            if nest.buffers[operand.tensor].dtype != acc.dtype {
                return Err(refuse(format!(
                    "'{}' is {} and '{}' is {}",
                    nest.buffers[operand.tensor].name,
                    nest.buffers[operand.tensor].dtype,
                    acc.name,
                    acc.dtype
                )));
            }
        }
        let (left, a_gather) = match self.operand(nest, &a, self.m, self.n) {
            Ok(regular) if a.outside.is_none() => (regular, None),
            Err(why) if a.outside.is_none() && !has_rows => return Err(why),
            _ => {
                let (left, rows) = self.gathered(nest, &a)?;
                (left, Some(rows))
            }
        };
        if b.outside.is_some() {
            let name = &nest.buffers[b.tensor].name;
            return Err(refuse(format!("columns of '{name}' are read outside of its bounds")));
        }
        let right = self.operand(nest, &b, self.n, self.m)?;
        if !right.stride.is(1) {
            return Err(refuse(format!(
                "columns of '{}' lie {} elements apart",
                nest.buffers[b.tensor].name, right.stride
            )));
        }
        let k = (self.extent)(self.k).ok_or_else(|| refuse("the tile is not reduced".into()))?;
        Ok(ContractionTile {
            acc: s.buffer,
            rows: rows as u32,
            cols: cols as u32,
            k,
            a_rows: match &a_gather {
                _ if !has_rows => None,
                Some(_) => (self.extent)(self.m).filter(|extent| !extent.is(rows)),
                None => self.limit(nest, &a, self.m, rows),
            },
            a: left,
            a_gather,
            b_cols: self.limit(nest, &b, self.n, cols),
            b: right,
        })
    }

    /// The two elements that the value is a product of.
    fn factors<'s>(&self, s: &'s Store) -> Option<(Element<'s>, Element<'s>)> {
        let kinds = [AxisKind::Parallel, AxisKind::Parallel, AxisKind::Reduction];
        let axis = |(name, kind): (&str, AxisKind)| {
            let extent = (self.extent)(name)?;
            Some(Axis { name: name.into(), extent, kind })
        };
        let axes: Vec<Axis> = [self.m, self.n, self.k].into_iter().zip(kinds).filter_map(axis).collect();
        let product = Product::of(axes, &s.body, &s.index, s.combine).filter(Product::is_direct)?;
        product.elements().map(|[x, y]| (*x, *y))
    }

    fn depends(&self, nest: &LoopNest, read: &Element<'_>, axis: &str) -> bool {
        linear(&nest.buffers[read.tensor], read.index).uses_axis(axis)
    }

    /// Rows at no fixed distance, or rows that may be outside of the operand.
    fn gathered(&self, nest: &LoopNest, read: &Element<'_>) -> Result<(TileOperand, GatheredRows)> {
        let b = &nest.buffers[read.tensor];
        let refuse = |why: &str| Err(Diagnostic::user(format!("'{}' {why}", b.name)));
        if self.m == "-" {
            return refuse("is read outside of its bounds by a tile of one row");
        }
        if read.outside.is_some_and(|outside| outside.bits != 0) {
            return refuse("gives something else than 0 outside of its bounds");
        }
        let address = linear(b, read.index);
        if address.uses_axis(self.n) || address.uses_values() {
            return refuse("depends on both sides of the tile");
        }
        let Some((k_stride, offset)) = address.split_axis(self.k) else {
            return refuse("has elements at no fixed distances along the reduction");
        };
        let inside =
            if read.outside.is_some() { self.inside.bounds(read.index, &b.dims) } else { Vec::new() };
        if inside.iter().any(|(x, y)| [x, y].into_iter().any(|e| e.uses_axis(self.k))) {
            return refuse("is read outside of its bounds along the reduction");
        }
        let depth = (self.extent)(self.k).and_then(|k| self.around.upper_bound(&k));
        let short = k_stride.is(1) && depth.is_some_and(|k| k <= MAX_GATHERED);
        if !short && !inside.is_empty() {
            return refuse("has no short contiguous rows, of which those out of bounds could be 0");
        }
        if k_stride.uses_axis(self.m) {
            return refuse("has elements at no fixed distances along the reduction");
        }
        let operand = TileOperand { buffer: read.tensor, base: 0.into(), stride: 0.into(), k_stride };
        Ok((operand, GatheredRows { axis: self.m.into(), offset, inside }))
    }

    /// Address of an operand as a function of `across` and the reduction, free of `other`.
    fn operand(
        &self,
        nest: &LoopNest,
        &Element { tensor: buffer, index, .. }: &Element<'_>,
        across: &str,
        other: &str,
    ) -> Result<TileOperand> {
        let b = &nest.buffers[buffer];
        let fault = || Diagnostic::user(format!("the elements of '{}' lie at no fixed distances", b.name));
        let address = linear(b, index);
        if address.uses_axis(other) || address.uses_values() {
            return Err(Diagnostic::user(format!("'{}' depends on both sides of the tile", b.name)));
        }
        let (stride, rest) = if across == "-" {
            (Expr::from(0), address)
        } else {
            address.split_axis(across).ok_or_else(fault)?
        };
        let (k_stride, base) = rest.split_axis(self.k).ok_or_else(fault)?;
        if [&stride, &k_stride].into_iter().any(|e| e.uses_axis(self.k) || e.uses_axis(across)) {
            return Err(fault());
        }
        Ok(TileOperand { buffer, base, stride, k_stride })
    }

    /// Number of rows or columns that exist, where the tile has `size` of them and must not read all.
    fn limit(
        &self,
        nest: &LoopNest,
        &Element { tensor: buffer, index, .. }: &Element<'_>,
        axis: &str,
        size: i64,
    ) -> Option<Expr> {
        let extent = (self.extent)(axis)?;
        if extent.is(size) {
            return None;
        }
        // A padded panel has these elements, and their values do not matter.
        let mut padded = self.inside.clone();
        padded.push_axis(axis.into(), Expr::from(size));
        let mut dims = index.iter().zip(&nest.buffers[buffer].dims).filter(|(e, _)| e.uses_axis(axis));
        let covered = dims.all(|(e, d)| padded.in_bounds(e, d));
        (!covered).then_some(extent)
    }
}

/// A tile of one row is a buffer of two dimensions too.
fn add_row_dimension(nest: &mut LoopNest, acc: usize) {
    each_store(&mut nest.body, &mut |s| {
        if s.buffer == acc {
            s.index.insert(0, Expr::from(0));
        }
        for (inst, _) in &mut s.body.insts {
            if let Inst::Read { tensor, index, .. } = inst
                && *tensor == acc
            {
                index.insert(0, Expr::from(0));
            }
        }
    });
    nest.buffers[acc].dims.insert(0, Expr::from(1));
}
