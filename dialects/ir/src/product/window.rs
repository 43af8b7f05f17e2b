//! Windows: indices at which a reduction slides along an output.

use crate::{
    Name,
    expr::Expr,
    kernel::{Axis, AxisKind},
};

/// A dimension that is read at `output * stride + tap * dilation + offset`.
#[derive(Clone, Debug, PartialEq)]
pub struct Window<'a> {
    /// The dimension.
    pub dim: usize,
    /// The parallel axis along which the window slides.
    pub output: &'a Axis,
    /// The reduction axis over the window's points.
    pub tap: &'a Axis,
    /// Distance of neighbouring windows.
    pub stride: i64,
    /// Distance of neighbouring points of a window.
    pub dilation: i64,
    /// The rest of the index: minus the padding in front, and axes of other kinds of windows.
    pub offset: Expr,
}

impl Window<'_> {
    /// Padding in front, if the index adds nothing else.
    #[must_use]
    pub fn before(&self) -> Option<i64> {
        self.offset.as_const().map(|offset| -offset)
    }

    /// Whether neighbouring windows have no points in common; `None` if the window has no constant size.
    #[must_use]
    pub fn is_apart(&self) -> Option<bool> {
        self.tap.extent.as_const().map(|taps| taps * self.dilation <= self.stride)
    }
}

/// Every pair of an output's axis and a reduction axis along which an index slides forwards in constant steps.
/// The pairs are ordered by dimension, then by the reduction axes, then by the outputs' axes.
pub fn windows<'a>(index: &'a [Expr], axes: &'a [Axis]) -> impl Iterator<Item = Window<'a>> {
    let step = |e: &Expr, axis: &Name| {
        let (step, rest) = e.split_axis(axis)?;
        Some((step.as_const().filter(|s| *s > 0)?, rest))
    };
    let of_kind = |kind: AxisKind| axes.iter().filter(move |a| a.kind == kind);
    index.iter().enumerate().flat_map(move |(dim, e)| {
        of_kind(AxisKind::Reduction).filter_map(move |tap| Some((tap, step(e, &tap.name)?))).flat_map(
            move |(tap, (dilation, rest))| {
                of_kind(AxisKind::Parallel).filter_map(move |output| {
                    let (stride, offset) = step(&rest, &output.name)?;
                    Some(Window { dim, output, tap, stride, dilation, offset })
                })
            },
        )
    })
}
