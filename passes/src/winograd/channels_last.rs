//! Convolutions whose image or result has its channels first, like a program's own inputs and outputs.
//!
//! Winograd's transforms run in vectors of channels, so they need the channels last. The kernel is made for
//! operands in that order, and copies bring its input and its result into the order they need. The copies are
//! two passes over an image; the algorithm saves half of nine multiplications a channel, or more.

use super::recognise::image;
use crate::layout::permute::{Permutation, permute_kernel};
use mlcc_ir::{
    expr::Expr,
    kernel::{Axis, AxisKind, Compute, Kernel, KernelTensor, Role},
    product::Element,
    program::{Program, Step, Storage, TensorId},
    scalar::{Body, Inst},
    types::TensorType,
};
use std::sync::Arc;

/// A kernel with channels last, and the new order of each operand's dimensions (`None`: as before).
pub(super) struct ChannelsLast {
    pub(super) kernel: Kernel,
    orders: Vec<Option<Permutation>>,
}

impl ChannelsLast {
    /// Moves the channels, the dimension that is summed over, last in the image, and the filters' dimension
    /// last in the results. The result is `None` if there is nothing to move, or the kernel is no such sum.
    pub(super) fn of(kernel: &Kernel) -> Option<ChannelsLast> {
        let conv = kernel.computes.first()?;
        let product = conv.product()?;
        let image = image(&product)?;
        let Element { tensor: x, index, .. } = product.factors[image].element?;
        let axis_in = |index: &[Expr], wanted: &dyn Fn(&Axis) -> bool| {
            index.iter().position(|e| e.as_axis().and_then(|name| conv.axis(name)).is_some_and(wanted))
        };
        let channel = axis_in(index, &|a| a.kind == AxisKind::Reduction)?;
        let is_filter = |a: &Axis| a.kind == AxisKind::Parallel && !product.depends(image, &a.name);
        let order = |t: usize| {
            let written = || kernel.computes.iter().find(|c| c.target == t).map(|c| c.write.as_slice());
            let last = match kernel.tensors[t].role {
                Role::Input if t == x => channel,
                Role::Output => axis_in(written()?, &is_filter)?,
                _ => return None,
            };
            let rank = kernel.tensors[t].ty.rank();
            (last + 1 < rank).then(|| (0..rank).filter(|d| *d != last).chain([last]).collect())
        };
        let orders: Vec<Option<Permutation>> = kernel.operands().map(order).collect();
        let moved = orders.iter().any(Option::is_some);
        moved.then(|| ChannelsLast { kernel: permute_kernel(kernel, &orders), orders })
    }

    /// Elements that the copies move.
    pub(super) fn copied(&self) -> Expr {
        let moved = self.kernel.operands().zip(&self.orders).filter(|(_, order)| order.is_some());
        moved.fold(Expr::from(0), |sum, (t, _)| sum + self.kernel.tensors[t].ty.elements())
    }

    /// The operands of the kernel, and the copies in front of it and behind it.
    pub(super) fn surround(
        &self,
        program: &mut Program,
        operands: &[TensorId],
    ) -> (Vec<TensorId>, Vec<Step>, Vec<Step>) {
        let (mut own, mut before, mut behind) = (operands.to_vec(), Vec::new(), Vec::new());
        for (at, (t, order)) in self.kernel.operands().zip(&self.orders).enumerate() {
            let Some(order) = order else { continue };
            let (inside, outside) =
                (self.kernel.tensors[t].ty.clone(), program.tensors[operands[at]].ty.clone());
            let name = format!("{}.channels_last", program.tensors[operands[at]].name);
            own[at] = program.add_tensor(name, inside.clone(), Storage::Intermediate);
            let is_input = self.kernel.tensors[t].role == Role::Input;
            let axes: Vec<Expr> = (0..order.len()).map(|d| Expr::axis(&format!("i{d}"))).collect();
            let (kernel, ids) = if is_input {
                let mut source = axes.clone();
                order.iter().zip(&axes).for_each(|(&d, axis)| source[d] = axis.clone());
                (self.transpose(&outside, source, &inside, axes), [operands[at], own[at]])
            } else {
                let source = order.iter().map(|&d| axes[d].clone()).collect();
                (self.transpose(&inside, source, &outside, axes), [own[at], operands[at]])
            };
            let step = Step::Kernel { kernel: Arc::new(kernel), operands: ids.to_vec() };
            if is_input { &mut before } else { &mut behind }.push(step);
        }
        (own, before, behind)
    }

    /// A copy into another order: `y[point] = x[source]`, where the axes of `point` are those of `y`.
    fn transpose(&self, x: &TensorType, source: Vec<Expr>, y: &TensorType, point: Vec<Expr>) -> Kernel {
        let tensor =
            |name: &str, ty: &TensorType, role| KernelTensor { name: name.into(), ty: ty.clone(), role };
        let axis = |(d, extent): (usize, &Expr)| Axis {
            name: format!("i{d}").into(),
            extent: extent.clone(),
            kind: AxisKind::Parallel,
        };
        let mut body = Body::default();
        body.push(Inst::Read { tensor: 0, index: source, outside: None }, x.dtype);
        let compute = Compute {
            name: "transpose".into(),
            axes: y.dims.iter().enumerate().map(axis).collect(),
            target: 1,
            write: point,
            body,
            combine: None,
        };
        Kernel {
            name: format!("{}_transpose", self.kernel.name).into(),
            nodes: self.kernel.nodes.clone(),
            tensors: vec![tensor("x", x, Role::Input), tensor("y", y, Role::Output)],
            computes: vec![compute],
        }
    }
}
