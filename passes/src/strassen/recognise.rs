//! Products of a matrix with constant weights, seen in a kernel's index maps.

use super::algorithm::Halves;
use mlcc_ir::{
    Name,
    dtype::DType,
    expr::Expr,
    kernel::{Axis, AxisKind, Compute, Kernel, Role},
    product::{Element, Side},
    types::{TensorType, row_major_strides},
};

/// An axis that is cut in two.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cut {
    pub(super) name: Name,
    pub(super) extent: Expr,
}

impl Cut {
    /// Points of a half; the last point of the second half may be outside.
    pub(super) fn half(&self) -> Expr {
        self.extent.ceil_div(&Expr::from(2))
    }

    /// Whether the number of points is odd, or may be odd.
    pub(super) fn is_odd(&self) -> bool {
        !self.extent.modulo(&Expr::from(2)).is(0)
    }
}

/// A kernel that begins with `result[rows, columns] = Σ terms: x[rows, terms] w[terms, columns]`; the rest is
/// elementwise over the result. Each group has any number of axes, and the rows' may be symbolic.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Product {
    /// The kernel's tensors.
    pub(super) x: usize,
    pub(super) w: usize,
    pub(super) result: usize,
    /// The axes, outermost first.
    pub(super) rows: Vec<Axis>,
    pub(super) columns: Vec<Axis>,
    pub(super) terms: Vec<Axis>,
    /// The axes that are cut.
    pub(super) row: Cut,
    pub(super) column: Cut,
    pub(super) term: Cut,
}

impl Product {
    /// Recognises the product in a kernel.
    pub(super) fn of(kernel: &Kernel) -> Option<Product> {
        let (first, rest) = kernel.computes.split_first()?;
        let product = first.product().filter(|p| p.is_sum() && p.dtype() == Some(DType::F32))?;
        let elements = product.bare().filter(|e| e.iter().all(|e| e.is_padded_with_zero()))?;
        let is_input = |e: &Element<'_>| kernel.tensors[e.tensor].role == Role::Input;
        if !elements.iter().all(|e| is_input(e))
            || elements[0].tensor == elements[1].tensor
            || !first.axes.iter().all(|a| a.extent.as_const().is_none_or(|e| e > 0))
            || kernel.tensors.iter().any(|t| t.role == Role::InOut)
        {
            return None;
        }
        // The weights are the operand that has the results' contiguous axis.
        let weights = product.only(&contiguous(kernel)?)?;
        let (x, w) = (elements[1 - weights], elements[weights]);
        if w.outside.is_some() {
            return None;
        }
        let [mut rows, mut columns, mut terms] = [const { Vec::new() }; 3];
        for axis in &first.axes {
            let reduced = axis.kind == AxisKind::Reduction;
            match product.side(&axis.name) {
                Side::Both if reduced => terms.push(axis.clone()),
                Side::Only(factor) if factor != weights && !reduced => rows.push(axis.clone()),
                Side::Only(_) if !reduced => columns.push(axis.clone()),
                _ if axis.extent.is(1) && reduced => terms.push(axis.clone()),
                _ if axis.extent.is(1) => rows.push(axis.clone()),
                _ => return None,
            }
        }
        if columns.iter().chain(&terms).any(|a| a.extent.as_const().is_none()) {
            return None;
        }
        let whole = |axis: &Axis| is_whole(x, axis, &kernel.tensors[x.tensor].ty);
        let found = Product {
            x: x.tensor,
            w: w.tensor,
            result: first.target,
            row: cut(&rows, &whole)?,
            column: cut(&columns, &|_| false)?,
            term: cut(&terms, &whole)?,
            rows,
            columns,
            terms,
        };
        found.fits_rest(first, rest, kernel).then_some(found)
    }

    /// The axes of results: rows, then columns.
    pub(super) fn results(&self) -> impl Iterator<Item = &Axis> {
        self.rows.iter().chain(&self.columns)
    }

    /// Number of points of axes.
    pub(super) fn count(axes: &[Axis]) -> Expr {
        axes.iter().fold(Expr::from(1), |n, a| n * a.extent.clone())
    }

    /// Whether each element of the result is written once, and the rest is elementwise over it.
    fn fits_rest(&self, first: &Compute, rest: &[Compute], kernel: &Kernel) -> bool {
        let axes: Vec<&Axis> = self.results().collect();
        let once = |index: &[Expr]| {
            index.len() == axes.len()
                && axes.iter().all(|a| index.iter().filter(|e| e.as_axis() == Some(&a.name)).count() == 1)
        };
        let elementwise = |c: &Compute| {
            let same = |a: &&Axis| c.axis(&a.name).is_some_and(|b| b == *a);
            c.combine.is_none()
                && c.axes.len() == axes.len()
                && axes.iter().all(same)
                && c.target != self.result
                && !c.write.iter().any(Expr::uses_values)
                && c.reads().all(|(t, index)| t != self.result || index == first.write)
        };
        once(&first.write)
            && rest.iter().all(elementwise)
            && (rest.is_empty() || kernel.tensors[self.result].role == Role::Temporary)
    }

    /// The places of the weights' elements: terms along rows, and columns.
    pub(super) fn weight_halves(&self, first: &Compute, ty: &TensorType) -> Option<(Halves, Halves)> {
        let (_, index) = first.reads().find(|(t, _)| *t == self.w)?;
        let strides = row_major_strides(&ty.dims);
        let address =
            index.iter().zip(strides).fold(Expr::from(0), |sum, (e, stride)| sum + e.clone() * stride);
        let mut rest = address.clone();
        for axis in self.terms.iter().chain(&self.columns) {
            rest = rest.split_axis(&axis.name)?.1;
        }
        let base = usize::try_from(rest.as_const()?).ok()?;
        let terms = halves(&self.terms, &self.term, base, &address)?;
        let columns = halves(&self.columns, &self.column, 0, &address)?;
        Some((terms, columns))
    }
}

/// The axis along which the last result is contiguous.
fn contiguous(kernel: &Kernel) -> Option<Name> {
    let last = kernel.computes.last()?;
    last.write.last()?.as_axis().cloned()
}

/// The axis to cut: the one with the fewest points outside, then the longest; a symbolic one only if there is
/// no other. An odd axis must be `whole`.
fn cut(axes: &[Axis], whole: &dyn Fn(&Axis) -> bool) -> Option<Cut> {
    let known = axes.iter().filter_map(|a| {
        let cut = Cut { name: a.name.clone(), extent: a.extent.clone() };
        (!a.extent.is(1) && (!cut.is_odd() || whole(a))).then_some(cut)
    });
    known.min_by_key(|cut| {
        let extent = cut.extent.as_const();
        let filled = if cut.is_odd() { extent } else { Some(i64::MAX) };
        std::cmp::Reverse((extent.is_some(), filled, extent))
    })
}

/// Offsets of the points of two halves of axes.
fn halves(axes: &[Axis], cut: &Cut, base: usize, address: &Expr) -> Option<Halves> {
    let mut offsets = [vec![Some(base)], vec![Some(base)]];
    for axis in axes {
        let stride = usize::try_from(address.split_axis(&axis.name)?.0.as_const()?).ok()?;
        let (extent, half) = (axis.extent.as_const()?, cut.half().as_const()?);
        for (second, offsets) in offsets.iter_mut().enumerate() {
            let (first, count) =
                if axis.name == cut.name { (second as i64 * half, half) } else { (0, extent) };
            let points: Vec<Option<usize>> =
                (first..first + count).map(|i| (i < extent).then_some(i as usize * stride)).collect();
            let outer = std::mem::take(offsets);
            *offsets = outer
                .iter()
                .flat_map(|o| points.iter().map(move |p| Some(o.as_ref()? + p.as_ref()?)))
                .collect();
        }
    }
    Some(Halves { offsets })
}

/// Whether the axis covers a dimension of the tensor from end to end, so that points behind it are out of
/// bounds.
fn is_whole(x: &Element<'_>, axis: &Axis, ty: &TensorType) -> bool {
    let mut used = x.index.iter().zip(&ty.dims).filter(|(e, _)| e.uses_axis(&axis.name));
    match (used.next(), used.next()) {
        (Some((e, dim)), None) => e.as_axis() == Some(&axis.name) && *dim == axis.extent,
        _ => false,
    }
}
