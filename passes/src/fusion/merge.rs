//! Merging two kernels of a program into one.

use mlcc_ir::{
    Name,
    expr::{Atom, Expr},
    kernel::{Axis, Compute, Kernel, KernelTensor, Role},
    program::{Program, Step, TensorId},
    scalar::Inst,
};
use std::{collections::BTreeMap, sync::Arc};

use super::splice::{inline_temporaries, remove_unused_temporaries, renumber};

/// A kernel under construction together with the program's tensors bound to its operands.
#[derive(Clone)]
pub(super) struct Bound {
    pub(super) kernel: Kernel,
    /// The program's tensor behind each of the kernel's tensors; temporaries have `None`.
    pub(super) bindings: Vec<Option<TensorId>>,
}

impl Bound {
    pub(super) fn of(kernel: &Kernel, operands: &[TensorId]) -> Bound {
        let mut bindings = vec![None; kernel.tensors.len()];
        for (t, &id) in kernel.operands().zip(operands) {
            bindings[t] = Some(id);
        }
        Bound { kernel: kernel.clone(), bindings }
    }

    /// The step, with the kernel's tensors in the order inputs, outputs, temporaries.
    pub(super) fn into_step(mut self) -> Step {
        settle(&mut self);
        let mut order: Vec<usize> = (0..self.kernel.tensors.len()).collect();
        order.sort_by_key(|&t| match self.kernel.tensors[t].role {
            Role::Input => 0,
            Role::Output | Role::InOut => 1,
            Role::Temporary => 2,
        });
        let mut position = vec![0; order.len()];
        order.iter().enumerate().for_each(|(new, &old)| position[old] = new);
        for compute in &mut self.kernel.computes {
            renumber(compute, &|t| position[t]);
        }
        self.kernel.tensors = order.iter().map(|&t| self.kernel.tensors[t].clone()).collect();
        let operands = order.iter().filter_map(|&t| self.bindings[t]).collect();
        Step::Kernel { kernel: Arc::new(self.kernel), operands }
    }
}

/// Placeholder for a step that was merged away, until [`drop_removed_steps`].
fn removed() -> Step {
    Step::Copy { target: usize::MAX, source: usize::MAX }
}

/// Removes the steps that merges have emptied.
pub(super) fn drop_removed_steps(program: &mut Program) {
    program.steps.retain(|s| *s != removed());
}

pub(super) fn replace_steps(program: &mut Program, producer: usize, consumer: usize, merged: Step) {
    program.steps[producer] = removed();
    program.steps[consumer] = merged;
}

/// Both kernels in one: the producer's computes, then the consumer's. The tensor that joins them becomes a
/// temporary. Operands that are the same tensor of the program are shared, and inputs that nothing reads any
/// more are dropped.
pub(super) fn concatenate(producer: &Bound, consumer: &Bound, through: TensorId) -> Bound {
    let mut all = producer.clone();
    let mut map = Vec::with_capacity(consumer.kernel.tensors.len());
    for (tensor, binding) in consumer.kernel.tensors.iter().zip(&consumer.bindings) {
        let shared = binding.and_then(|id| all.bindings.iter().position(|b| *b == Some(id)));
        map.push(shared.unwrap_or_else(|| {
            let name = fresh(&tensor.name, &|n| all.kernel.tensors.iter().any(|t| *t.name == *n));
            all.kernel.tensors.push(KernelTensor { name, ..tensor.clone() });
            all.bindings.push(*binding);
            all.kernel.tensors.len() - 1
        }));
    }
    if let Some(t) = all.bindings.iter().position(|b| *b == Some(through)) {
        all.bindings[t] = None;
        all.kernel.tensors[t].role = Role::Temporary;
    }
    for compute in &consumer.kernel.computes {
        let mut compute = compute.clone();
        renumber(&mut compute, &|t| map[t]);
        compute.name = fresh(&compute.name, &|n| all.kernel.computes.iter().any(|c| *c.name == *n));
        all.kernel.computes.push(compute);
    }
    all.kernel.name = joined_name(&producer.kernel.name, &consumer.kernel.name);
    for node in &consumer.kernel.nodes {
        if !all.kernel.nodes.contains(node) {
            all.kernel.nodes.push(node.clone());
        }
    }
    all
}

/// Drops inputs that no compute reads, inlines and drops temporaries; bindings follow.
fn settle(bound: &mut Bound) {
    for t in 0..bound.kernel.tensors.len() {
        let unread = bound.kernel.computes.iter().all(|c| c.reads().all(|(r, _)| r != t));
        if bound.kernel.tensors[t].role == Role::Input && unread {
            bound.kernel.tensors[t].role = Role::Temporary;
            bound.bindings[t] = None;
        }
    }
    let names: BTreeMap<Name, Option<TensorId>> =
        bound.kernel.tensors.iter().map(|t| t.name.clone()).zip(bound.bindings.iter().copied()).collect();
    inline_temporaries(&mut bound.kernel);
    remove_unused_temporaries(&mut bound.kernel);
    bound.bindings = bound.kernel.tensors.iter().map(|t| names[&t.name]).collect();
}

/// Longest kernel name; longer ones end in a count.
const MAX_NAME: usize = 60;

fn joined_name(a: &str, b: &str) -> Name {
    if a.len() + b.len() < MAX_NAME { format!("{a}_{b}").into() } else { a.into() }
}

/// A name that is not taken.
pub(super) fn fresh(name: &str, taken: &dyn Fn(&str) -> bool) -> Name {
    if !taken(name) {
        return name.into();
    }
    let numbered = |i: usize| format!("{name}_{i}");
    (1..).map(numbered).find(|n| !taken(n)).expect("some number is free").into()
}

/// Renames axes of a compute; `to` must not repeat a name.
pub(super) fn rename_axes(compute: &Compute, to: &BTreeMap<Name, Name>) -> Compute {
    let replace = |atom: &Atom| match atom {
        Atom::Axis(name) => to.get(name).map(|n| Expr::axis(n)),
        _ => None,
    };
    let mut renamed = compute.clone();
    for axis in &mut renamed.axes {
        let name = to.get(&axis.name).unwrap_or(&axis.name).clone();
        *axis = Axis { name, ..axis.clone() };
    }
    renamed.write = renamed.write.iter().map(|e| e.substitute(&replace)).collect();
    for (inst, _) in &mut renamed.body.insts {
        match inst {
            Inst::Index(e) => *e = e.substitute(&replace),
            Inst::Read { index, .. } => index.iter_mut().for_each(|e| *e = e.substitute(&replace)),
            _ => {}
        }
    }
    renamed
}
