//! Convolutions with 3x3 windows of stride 1, seen in a kernel's index maps.

use super::{algorithm::WINDOW, cost::Sizes};
use mlcc_ir::{
    Name,
    dtype::DType,
    expr::Expr,
    kernel::{Axis, AxisKind, Combine, Compute, Kernel, Role},
    scalar::{BinaryOp, Inst},
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

/// A kernel that begins with a 3x3 convolution; what follows is elementwise over its outputs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Convolution {
    /// The kernel's tensors: input (channels last), filters, and what the convolution writes.
    pub(super) x: usize,
    pub(super) w: usize,
    pub(super) result: usize,
    /// Axes that input and output share otherwise; their extents may be symbolic.
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
    /// Sees the convolution in a kernel.
    pub(super) fn of(kernel: &Kernel) -> Option<Convolution> {
        let (conv, rest) = kernel.computes.split_first()?;
        let [kept, reduced] = [AxisKind::Parallel, AxisKind::Reduction]
            .map(|kind| conv.axes.iter().filter(|a| a.kind == kind).collect::<Vec<_>>());
        if conv.combine != Some(Combine::Add) || reduced.len() != 3 {
            return None;
        }
        let ((x, x_index), (w, w_index)) = factors(conv)?;
        let operand = |t: usize| {
            let tensor = &kernel.tensors[t];
            tensor.role == Role::Input && tensor.ty.dtype == DType::F32
        };
        if !operand(x) || !operand(w) || kernel.tensors[conv.target].ty.dtype != DType::F32 {
            return None;
        }
        let among = |axes: &[&Axis], name: &Name| axes.iter().find(|a| a.name == *name).copied().cloned();
        // The input: channels last, two dimensions that a window slides over.
        let channel = among(&reduced, x_index.last()?.as_axis()?)?;
        let mut spatial: Vec<(Spatial, Name)> = Vec::new();
        let mut batch = Vec::new();
        for (dim, e) in x_index.iter().enumerate().take(x_index.len() - 1) {
            if e.is(0) {
                continue;
            }
            if let Some(name) = e.as_axis() {
                batch.push(among(&kept, name)?);
                continue;
            }
            let slides = kept.iter().find(|a| e.split_axis(&a.name).is_some_and(|(c, _)| c.is(1)))?;
            let (_, rest) = e.split_axis(&slides.name)?;
            let inside = reduced.iter().find(|a| rest.split_axis(&a.name).is_some_and(|(c, _)| c.is(1)))?;
            let (_, rest) = rest.split_axis(&inside.name)?;
            if !inside.extent.is(WINDOW as i64) {
                return None;
            }
            let found = Spatial {
                axis: slides.name.clone(),
                extent: slides.extent.as_const()?,
                dim,
                before: -rest.as_const()?,
            };
            spatial.push((found, inside.name.clone()));
        }
        let [(rows, row), (columns, column)] = <[_; 2]>::try_from(spatial).ok()?;
        let known = |a: &&&Axis| {
            a.name != rows.axis && a.name != columns.axis && !batch.iter().any(|b| b.name == a.name)
        };
        let mut others = kept.iter().filter(known);
        let (Some(filter), None) = (others.next(), others.next()) else { return None };
        // The filters: each dimension is one axis.
        if w_index.len() != 4 {
            return None;
        }
        let dim = |name: &Name| w_index.iter().position(|e| e.as_axis() == Some(name));
        let filter_dims = [dim(&filter.name)?, dim(&channel.name)?, dim(&row)?, dim(&column)?];
        let found = Convolution {
            x,
            w,
            result: conv.target,
            batch,
            rows,
            columns,
            channel,
            filter: (*filter).clone(),
            filter_dims,
        };
        // Batches may be as many as they like.
        let fixed = conv.axes.iter().filter(|a| !found.batch.iter().any(|b| b.name == a.name));
        let mut fixed = fixed.map(|a| a.extent.as_const());
        let some = found.batch.iter().all(|b| b.extent.as_const().is_none_or(|e| e > 0));
        let sized = some && fixed.all(|extent| extent.is_some_and(|e| e > 0));
        (sized && found.fits_rest(conv, rest, kernel)).then_some(found)
    }

    /// The convolution's sizes, with so many elements copied around it, where `size` gives symbolic ones; `None`
    /// if batches are too many.
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

    /// Whether each output is written once, and what follows uses it elementwise, filters innermost.
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

/// A factor: tensor and index.
pub(super) type Factor<'a> = (usize, &'a [Expr]);

/// The two reads whose product is summed; the first may be out of bounds as 0.
/// What slides and the filters, if the compute sums products of two tensors.
pub(super) fn factors(conv: &Compute) -> Option<(Factor<'_>, Factor<'_>)> {
    let read = |v: u32| match &conv.body.insts.get(v as usize)?.0 {
        Inst::Read { tensor, index, outside } if outside.is_none_or(|c| c.bits == 0) => {
            Some(((*tensor, index.as_slice()), outside.is_some()))
        }
        _ => None,
    };
    match conv.body.insts.get(conv.body.result as usize)?.0 {
        Inst::Binary(BinaryOp::Mul, a, b) if conv.body.insts.len() == 3 => {
            let ((a, _), (b, padded)) = (read(a)?, read(b)?);
            // The filters are the operand without a window.
            let slides = |index: &[Expr]| index.iter().any(|e| e.as_axis().is_none() && !e.is(0));
            match (slides(a.1), slides(b.1)) {
                (true, false) if !padded => Some((a, b)),
                (false, true) => Some((b, a)),
                _ => None,
            }
        }
        _ => None,
    }
}
