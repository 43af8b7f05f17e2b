//! Products: two factors that a compute, or a store of a nest, multiplies and combines.
//!
//! [`Product`] is the one view of them. It states facts and decides nothing: each consumer asks for the facts that it
//! needs.
//!
//! ```text
//! y[m, n] += f32(x[m, k]) * ((f32(q[k, n]) - z[n]) * s[n])
//!            factor 0        factor 1: the element q[k, n], then cast, minus z[n], times s[n]
//! ```
//!
//! | Consumer | Accepts |
//! |---|---|
//! | fusion's `is_contraction` (and with it prices, layouts, `fuse-epilogue`, `fuse-prologue`, `inline-movement`) | a reduction that multiplies, anywhere in its body, two elements, read or cast; also x times x, also under a maximum |
//! | `fuse-attention`, the CPU's `attention` | a bare product; the pass takes padding, the backend does not |
//! | `fuse-operand` | a bare sum in f32 or f64 without padding |
//! | `strassen-products`, `winograd-convolution` | a bare sum in f32; a factor with a window, or the rows, may be padded with 0 |
//! | the CPU's `contraction` | a bare sum in f32 or f64; either factor may be padded with 0 |
//! | `tensorize` | a sum of two elements as they are read; rows may be padded with 0 |
//! | the GPU's `matmul` | a sum of any two factors, casts, scales and all else included |
//! | `normalised` | no sum: elements times their row's factor, or 0 under a condition |
//! | the CPU's sliding `windows` | [`windows`] of any reduction, pooling included, without a look at the product |
//!
//! *Bare* means that the body is two reads and their multiplication. So far only the GPU's consumer takes types other
//! than the accumulator's, zero points and scales.

mod factor;
#[cfg(test)]
mod tests;
mod window;

pub use factor::{Element, Factor, Step};
pub use window::{Window, windows};

use crate::{
    dtype::DType,
    expr::Expr,
    kernel::{Axis, AxisKind, Combine, Compute},
    scalar::{BinaryOp, Body, Inst, ValueId},
};
use factor::Values;
use std::borrow::Cow;

/// Two factors that are multiplied at every point of an iteration space.
#[derive(Clone, Debug, PartialEq)]
pub struct Product<'a> {
    /// The iteration space.
    pub axes: Cow<'a, [Axis]>,
    /// The body around the multiplication.
    pub body: &'a Body,
    /// The element that is written.
    pub write: &'a [Expr],
    /// How values that meet in one element are combined.
    pub combine: Option<Combine>,
    /// The multiplication.
    pub at: ValueId,
    /// The two factors of the multiplication.
    pub factors: [Factor<'a>; 2],
    /// The steps from the product to the body's value; `None` if the value is not made of the product alone.
    pub behind: Option<Vec<Step>>,
}

/// Which factors depend on an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// None does.
    Neither,
    /// The factor at that position does, the other does not.
    Only(usize),
    /// Both do.
    Both,
}

impl Compute {
    /// The product that gives the compute's value.
    #[must_use]
    pub fn product(&self) -> Option<Product<'_>> {
        Product::of(&self.axes[..], &self.body, &self.write, self.combine)
    }

    /// Every multiplication of the compute as a product.
    pub fn products(&self) -> impl Iterator<Item = Product<'_>> {
        Product::all(&self.axes[..], &self.body, &self.write, self.combine)
    }
}

impl<'a> Product<'a> {
    /// The product that gives a body's value, apart from casts, scales and points at which the value is 0.
    pub fn of(
        axes: impl Into<Cow<'a, [Axis]>>,
        body: &'a Body,
        write: &'a [Expr],
        combine: Option<Combine>,
    ) -> Option<Product<'a>> {
        let axes = axes.into();
        let values = Values::of(&axes, body);
        let (at, behind) = values.multiplication()?;
        let factors = values.factors(at)?;
        Some(Product { axes, body, write, combine, at, factors, behind: Some(behind) })
    }

    /// Every multiplication in a body as a product, for any use of its value.
    pub fn all(
        axes: impl Into<Cow<'a, [Axis]>>,
        body: &'a Body,
        write: &'a [Expr],
        combine: Option<Combine>,
    ) -> impl Iterator<Item = Product<'a>> {
        let axes = axes.into();
        let is_product = |at: &ValueId| matches!(body.insts[*at as usize].0, Inst::Binary(BinaryOp::Mul, ..));
        let found: Vec<ValueId> = (0..body.insts.len() as ValueId).filter(is_product).collect();
        let values = (!found.is_empty()).then(|| Values::of(&axes, body));
        let of_value = values.as_ref().and_then(Values::multiplication);
        let product = |at: ValueId| {
            let behind =
                of_value.as_ref().filter(|(value, _)| *value == at).map(|(_, behind)| behind.clone());
            let factors = values.as_ref()?.factors(at)?;
            Some(Product { axes: axes.clone(), body, write, combine, at, factors, behind })
        };
        found.into_iter().filter_map(product).collect::<Vec<_>>().into_iter()
    }

    /// The type in which products are combined.
    #[must_use]
    pub fn accumulator(&self) -> DType {
        self.body.dtype(self.body.result)
    }

    /// The type of both elements and of the accumulator, if it is the same one.
    #[must_use]
    pub fn dtype(&self) -> Option<DType> {
        let dtype = self.accumulator();
        let same = |f: &Factor<'_>| f.element.is_some_and(|e| e.dtype == dtype);
        self.factors.iter().all(same).then_some(dtype)
    }

    /// Whether the written value is the sum of the products.
    #[must_use]
    pub fn is_sum(&self) -> bool {
        self.combine == Some(Combine::Add)
    }

    /// Whether the body's value is the product and nothing else.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        self.behind.as_ref().is_some_and(Vec::is_empty)
    }

    /// The elements that are multiplied, if both are multiplied as they are read.
    #[must_use]
    pub fn elements(&self) -> Option<[&Element<'a>; 2]> {
        let [a, b] = &self.factors;
        Some([a.as_read()?, b.as_read()?])
    }

    /// The elements that are multiplied, if the body consists of their reads and the multiplication.
    #[must_use]
    pub fn bare(&self) -> Option<[&Element<'a>; 2]> {
        self.elements().filter(|_| self.is_direct() && self.body.insts.len() == 3)
    }

    /// Whether a value is multiplied with itself.
    #[must_use]
    pub fn is_square(&self) -> bool {
        let [a, b] = &self.factors;
        let same = |x: &Element<'_>, y: &Element<'_>| {
            (x.tensor, x.index, x.outside) == (y.tensor, y.index, y.outside) && a.steps == b.steps
        };
        a.value == b.value || a.element.as_ref().zip(b.element.as_ref()).is_some_and(|(x, y)| same(x, y))
    }

    /// Whether a factor depends on an axis; `false` if there is no such axis.
    #[must_use]
    pub fn depends(&self, factor: usize, axis: &str) -> bool {
        let at = self.axes.iter().position(|a| *a.name == *axis);
        at.is_some_and(|at| self.factors[factor].axes[at])
    }

    /// The factors that depend on an axis.
    #[must_use]
    pub fn side(&self, axis: &str) -> Side {
        match [0, 1].map(|factor| self.depends(factor, axis)) {
            [true, true] => Side::Both,
            [true, false] => Side::Only(0),
            [false, true] => Side::Only(1),
            [false, false] => Side::Neither,
        }
    }

    /// The factor that depends on an axis, if the other one does not.
    #[must_use]
    pub fn only(&self, axis: &str) -> Option<usize> {
        match self.side(axis) {
            Side::Only(factor) => Some(factor),
            _ => None,
        }
    }

    /// The axes of a kind on which these factors depend, outermost first. Batches are the parallel axes of both
    /// factors, `m` and `n` the parallel axes of one factor, and `k` the axes that are reduced in both.
    pub fn axes_with(&self, kind: AxisKind, side: Side) -> impl Iterator<Item = &Axis> {
        self.axes.iter().filter(move |a| a.kind == kind && self.side(&a.name) == side)
    }

    /// The parallel axes of both factors.
    pub fn batch(&self) -> impl Iterator<Item = &Axis> {
        self.axes_with(AxisKind::Parallel, Side::Both)
    }

    /// The parallel axes of one factor alone: `m` of the first, `n` of the second.
    pub fn free(&self, factor: usize) -> impl Iterator<Item = &Axis> {
        self.axes_with(AxisKind::Parallel, Side::Only(factor))
    }

    /// The axes that are reduced in both factors.
    pub fn k(&self) -> impl Iterator<Item = &Axis> {
        self.axes_with(AxisKind::Reduction, Side::Both)
    }

    /// The windows with which a factor's element is read.
    pub fn windows(&self, factor: usize) -> impl Iterator<Item = Window<'_>> {
        let index = self.factors[factor].element.as_ref().map_or(&[][..], |e| e.index);
        windows(index, &self.axes)
    }

    /// Whether a factor is 0 if its element lies out of bounds: the value outside, less the zero point, is 0.
    #[must_use]
    pub fn is_zero_outside(&self, factor: usize) -> bool {
        self.factors[factor].is_zero_outside(self.body)
    }
}
