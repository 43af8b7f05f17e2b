//! Convolutions with 3x3 windows of stride 1, seen in a kernel's index maps.

use super::{algorithm::WINDOW, cost::Sizes};
use mlcc_ir::{
    Name,
    dtype::DType,
    expr::Expr,
    kernel::{Axis, AxisKind, Compute, Kernel, Role},
    product::{Element, Product},
};

/// A spatial dimension.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spatial {
    /// The axis of outputs along it.
    pub(super) axis: Name,
    /// Number of outputs.
    pub(super) extent: i64,
    /// The dimension of the input.
    pub(super) dim: usize,
    /// Padding in front.
    pub(super) before: i64,
}

/// A kernel that begins with a 3x3 convolution; the rest is elementwise over the convolution's outputs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Convolution {
    /// The kernel's tensors: input (channels last), filters, and the convolution's target.
    pub(super) x: usize,
    pub(super) w: usize,
    pub(super) result: usize,
    /// Further axes that input and output share; their extents may be symbolic.
    pub(super) batch: Vec<Axis>,
    pub(super) rows: Spatial,
    pub(super) columns: Spatial,
    /// Axes of channels and filters.
    pub(super) channel: Axis,
    pub(super) filter: Axis,
    /// Dimensions of the filters: filter, channel, row, column.
    pub(super) filter_dims: [usize; 4],
}

impl Convolution {
    /// Recognises the convolution in a kernel.
    pub(super) fn of(kernel: &Kernel) -> Option<Convolution> {
        let (conv, rest) = kernel.computes.split_first()?;
        let [kept, reduced] = [AxisKind::Parallel, AxisKind::Reduction]
            .map(|kind| conv.axes.iter().filter(|a| a.kind == kind).collect::<Vec<_>>());
        let product = conv.product().filter(|p| p.is_sum() && p.dtype() == Some(DType::F32))?;
        let image = image(&product)?;
        let [Some(x), Some(w)] = [image, 1 - image].map(|f| product.factors[f].element) else { return None };
        let is_input = |e: &Element<'_>| kernel.tensors[e.tensor].role == Role::Input;
        if reduced.len() != 3 || !is_input(&x) || !is_input(&w) {
            return None;
        }
        let among = |axes: &[&Axis], name: &Name| axes.iter().find(|a| a.name == *name).copied().cloned();
        // The input: channels last, two dimensions that a window slides over.
        let channel = among(&reduced, x.index.last()?.as_axis()?)?;
        let mut spatial: Vec<(Spatial, Name)> = Vec::new();
        let mut batch = Vec::new();
        for (dim, e) in x.index.iter().enumerate().take(x.index.len() - 1) {
            if e.is(0) {
                continue;
            }
            if let Some(name) = e.as_axis() {
                batch.push(among(&kept, name)?);
                continue;
            }
            let window = product.windows(image).find(|w| w.dim == dim && w.stride == 1 && w.dilation == 1)?;
            if !window.tap.extent.is(WINDOW as i64) {
                return None;
            }
            let (axis, extent) = (window.output.name.clone(), window.output.extent.as_const()?);
            let found = Spatial { axis, extent, dim, before: window.before()? };
            spatial.push((found, window.tap.name.clone()));
        }
        let [(rows, row), (columns, column)] = <[_; 2]>::try_from(spatial).ok()?;
        let known = |a: &&&Axis| {
            a.name != rows.axis && a.name != columns.axis && !batch.iter().any(|b| b.name == a.name)
        };
        let mut others = kept.iter().filter(known);
        let (Some(filter), None) = (others.next(), others.next()) else { return None };
        // The filters: each dimension is one axis.
        if w.index.len() != 4 {
            return None;
        }
        let dim = |name: &Name| w.index.iter().position(|e| e.as_axis() == Some(name));
        let filter_dims = [dim(&filter.name)?, dim(&channel.name)?, dim(&row)?, dim(&column)?];
        let found = Convolution {
            x: x.tensor,
            w: w.tensor,
            result: conv.target,
            batch,
            rows,
            columns,
            channel,
            filter: (*filter).clone(),
            filter_dims,
        };
        // The number of batches is not limited.
        let fixed = conv.axes.iter().filter(|a| !found.batch.iter().any(|b| b.name == a.name));
        let mut fixed = fixed.map(|a| a.extent.as_const());
        let some = found.batch.iter().all(|b| b.extent.as_const().is_none_or(|e| e > 0));
        let sized = some && fixed.all(|extent| extent.is_some_and(|e| e > 0));
        (sized && found.fits_rest(conv, rest, kernel)).then_some(found)
    }

    /// The convolution's sizes, with `copied` elements copied around it. `size` gives the value of symbolic
    /// ones. The result is `None` if there are too many batches.
    pub(super) fn sizes(&self, copied: &Expr, size: &dyn Fn(&Expr) -> Option<i64>) -> Option<Sizes> {
        Some(Sizes {
            batch: self.batch.iter().try_fold(1i64, |n, a| n.checked_mul(size(&a.extent)?))?,
            rows: self.rows.extent,
            columns: self.columns.extent,
            channels: self.channel.extent.as_const()?,
            filters: self.filter.extent.as_const()?,
            copied: size(copied)?,
        })
    }

    /// The axes of outputs: batches, rows, columns, filters.
    pub(super) fn output_axes(&self) -> Vec<&Name> {
        let batch = self.batch.iter().map(|a| &a.name);
        batch.chain([&self.rows.axis, &self.columns.axis, &self.filter.name]).collect()
    }

    /// Whether each output is written once, and the rest uses it elementwise, filters innermost.
    fn fits_rest(&self, conv: &Compute, rest: &[Compute], kernel: &Kernel) -> bool {
        let axes = self.output_axes();
        let once = |index: &[Expr]| {
            let point: Vec<_> = index.iter().filter_map(Expr::as_axis).collect();
            axes.iter().all(|a| point.iter().filter(|p| *p == a).count() == 1)
                && index.len() == axes.len()
                && point.len() == axes.len()
        };
        let elementwise = |c: &Compute| {
            c.combine.is_none()
                && c.axes.iter().all(|a| a.kind == AxisKind::Parallel)
                && c.axes.len() == axes.len()
                && c.axes.iter().all(|a| conv.axis(&a.name).is_some_and(|b| b.extent == a.extent))
                && once(&c.write)
                && c.reads().all(|(t, index)| t != self.result || index == conv.write)
        };
        let innermost = |c: &Compute| {
            kernel.tensors[c.target].role != Role::Output
                || c.write.last().and_then(|e| e.as_axis()) == Some(&self.filter.name)
        };
        once(&conv.write)
            && rest.iter().all(elementwise)
            && kernel.computes.iter().all(innermost)
            && (rest.is_empty() || kernel.tensors[self.result].role == Role::Temporary)
    }
}

/// The factor of a product that is the image. It has windows, and may be 0 out of bounds. The other factor,
/// the filters, has an axis for each dimension.
pub(super) fn image(product: &Product<'_>) -> Option<usize> {
    let elements = product.bare().filter(|e| e.iter().all(|e| e.is_padded_with_zero()))?;
    let slides = elements.map(|e| e.index.iter().any(|e| e.as_axis().is_none() && !e.is(0)));
    let image = match slides {
        [true, false] => 0,
        [false, true] => 1,
        _ => return None,
    };
    elements[1 - image].outside.is_none().then_some(image)
}
