//! The writers and the readers of each tensor of a program.

use crate::plan;
use mlcc_ir::{
    kernel::{AxisKind, Compute, Kernel, Role},
    product::{Factor, Product},
    program::{Program, Step, Storage, TensorId},
};

/// Writer and readers of each tensor, over the program's top-level steps.
pub(super) struct Uses {
    writer: Vec<Option<usize>>,
    readers: Vec<Vec<usize>>,
    /// Tensors that anything but a top-level kernel touches: outputs, views, copies, calls, control flow.
    pinned: Vec<bool>,
    /// The same without views.
    touched: Vec<bool>,
    /// Steps that write several tensors: moving one would move the others past their readers.
    several_outputs: Vec<bool>,
}

impl Uses {
    pub(super) fn of(program: &Program) -> Uses {
        let n = program.tensors.len();
        let mut uses = Uses {
            writer: vec![None; n],
            readers: vec![Vec::new(); n],
            pinned: vec![false; n],
            touched: vec![false; n],
            several_outputs: vec![false; program.steps.len()],
        };
        for (i, tensor) in program.tensors.iter().enumerate() {
            uses.touched[i] = !matches!(tensor.storage, Storage::Intermediate | Storage::View { .. });
        }
        program.outputs.iter().for_each(|(_, id)| uses.touched[*id] = true);
        for (at, step) in program.steps.iter().enumerate() {
            match step {
                Step::Kernel { kernel, operands } => {
                    uses.several_outputs[at] =
                        kernel.with_role(Role::Output).chain(kernel.with_role(Role::InOut)).count() != 1;
                    for (&id, &t) in operands.iter().zip(&operand_tensors(kernel)) {
                        if kernel.computes.iter().any(|c| c.target == t) {
                            uses.touched[id] |= uses.writer[id].is_some();
                            uses.writer[id] = Some(at);
                        } else if uses.readers[id].last() != Some(&at) {
                            uses.readers[id].push(at);
                        }
                    }
                }
                other => plan::touched(other, &mut |t| uses.touched[t] = true),
            }
        }
        uses.pinned.clone_from(&uses.touched);
        for (i, tensor) in program.tensors.iter().enumerate() {
            if let Storage::View { source, .. } = tensor.storage {
                (uses.pinned[i], uses.pinned[source]) = (true, true);
            }
        }
        uses
    }

    /// The steps whose kernels read a tensor, in order.
    pub(super) fn readers_of(&self, tensor: TensorId) -> &[usize] {
        &self.readers[tensor]
    }

    /// Whether nothing but views of it touches a tensor.
    pub(super) fn is_unread(&self, tensor: TensorId) -> bool {
        !self.touched[tensor] && self.readers[tensor].is_empty() && self.writer[tensor].is_none()
    }

    /// `(producer, consumer)` steps of a tensor. One kernel writes it, and one other kernel reads it through
    /// its view `view`.
    pub(super) fn edge_through(&self, source: TensorId, view: TensorId) -> Option<(usize, usize)> {
        let alone = !self.touched[source] && !self.touched[view] && self.readers[source].is_empty();
        match (alone && self.writer[view].is_none(), self.writer[source], &self.readers[view][..]) {
            (true, Some(writer), &[reader]) if !self.several_outputs[writer] => Some((writer, reader)),
            _ => None,
        }
    }

    /// `(producer, consumer)` steps of a tensor. One kernel writes it, one other kernel reads it, and nothing
    /// else touches it.
    pub(super) fn only_edge(&self, tensor: TensorId) -> Option<(usize, usize)> {
        match (self.pinned[tensor], self.writer[tensor], &self.readers[tensor][..]) {
            (false, Some(writer), &[reader]) if !self.several_outputs[writer] => Some((writer, reader)),
            _ => None,
        }
    }
}

/// The kernel's tensors in the order of its operands: inputs, then outputs.
pub(super) fn operand_tensors(kernel: &Kernel) -> Vec<usize> {
    kernel.operands().collect()
}

/// The kernel behind a step.
pub(super) fn kernel_of(program: &Program, step: usize) -> Option<(&Kernel, &[TensorId])> {
    match &program.steps[step] {
        Step::Kernel { kernel, operands } => Some((kernel, operands)),
        _ => None,
    }
}

/// Index of the kernel's tensor to which the program's tensor `id` is bound.
pub(super) fn bound_tensor(kernel: &Kernel, operands: &[TensorId], id: TensorId) -> Option<usize> {
    kernel.operands().zip(operands).find(|(_, o)| **o == id).map(|(t, _)| t)
}

/// Whether a compute has parallel axes only and writes each element of its target once, in order.
pub(super) fn is_elementwise(compute: &Compute) -> bool {
    compute.axes.iter().all(|a| a.kind == AxisKind::Parallel)
        && compute.combine.is_none()
        && compute.writes_identity()
}

/// The compute of a kernel that consists of one elementwise compute.
pub(super) fn single_elementwise(kernel: &Kernel) -> Option<&Compute> {
    match &kernel.computes[..] {
        [compute] if is_elementwise(compute) => Some(compute),
        _ => None,
    }
}

/// The first product of two elements, which may be cast, in the body of a reduction. How the body uses the
/// product does not matter.
pub(super) fn contracted(compute: &Compute) -> Option<Product<'_>> {
    let of_elements = |p: &Product<'_>| p.factors.iter().all(Factor::is_read_or_cast);
    compute.is_reduction().then(|| compute.products().find(of_elements))?
}

/// Whether a compute reduces values that it makes from products of two elements.
pub(crate) fn is_contraction(compute: &Compute) -> bool {
    contracted(compute).is_some()
}
