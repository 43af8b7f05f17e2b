//! Splicing one compute's body into another in place of a read.

use mlcc_ir::{
    expr::{Atom, Expr},
    kernel::{AxisKind, Compute, Kernel, Role},
    scalar::{Body, Inst, ValueId},
};
use std::collections::BTreeMap;

use super::uses::is_elementwise;

/// Most instructions of an inlined body: registers and compile time are finite.
pub(super) const MAX_BODY: usize = 160;

/// Appends instructions, reusing an equal one that is already there.
pub(super) struct BodyBuilder {
    pub(super) body: Body,
}

impl BodyBuilder {
    pub(super) fn new() -> BodyBuilder {
        BodyBuilder { body: Body::default() }
    }

    /// Appends `inst` (whose operands are already renumbered).
    pub(super) fn push(&mut self, inst: Inst, dtype: mlcc_ir::dtype::DType) -> ValueId {
        match self.body.insts.iter().position(|(i, d)| *i == inst && *d == dtype) {
            Some(at) => at as ValueId,
            None => self.body.push(inst, dtype),
        }
    }

    /// Appends all of `body` with index expressions rewritten by `index` and reads handled by `read`.
    pub(super) fn append(
        &mut self,
        body: &Body,
        index: &dyn Fn(&Atom) -> Option<Expr>,
        read: &mut dyn FnMut(&mut BodyBuilder, &Inst, mlcc_ir::dtype::DType) -> ValueId,
    ) -> ValueId {
        let mut map: Vec<ValueId> = Vec::with_capacity(body.insts.len());
        for (inst, dtype) in &body.insts {
            let rewrite = |e: &Expr| {
                e.substitute(&|a| match a {
                    Atom::Value(v) => Some(Expr::value(map[*v as usize])),
                    other => index(other),
                })
            };
            let at = |v: &ValueId| map[*v as usize];
            let new = match inst {
                Inst::Const(c) => Inst::Const(*c),
                Inst::Index(e) => Inst::Index(rewrite(e)),
                Inst::Read { tensor, index, outside } => {
                    let index = index.iter().map(rewrite).collect();
                    Inst::Read { tensor: *tensor, index, outside: *outside }
                }
                Inst::Unary(op, a) => Inst::Unary(*op, at(a)),
                Inst::Binary(op, a, b) => Inst::Binary(*op, at(a), at(b)),
                Inst::Compare(p, a, b) => Inst::Compare(*p, at(a), at(b)),
                Inst::Select(c, a, b) => Inst::Select(at(c), at(a), at(b)),
                Inst::Cast(a) => Inst::Cast(at(a)),
            };
            let id = match &new {
                Inst::Read { .. } => read(self, &new, *dtype),
                _ => self.push(new, *dtype),
            };
            map.push(id);
        }
        map[body.result as usize]
    }
}

/// `consumer` with every read of `tensor` replaced by `producer`'s body at the read's index.
///
/// `producer_tensor(t)` gives the consumer kernel's number of the producer's tensor `t`. The producer is
/// elementwise: the element at an index is its body with its axes replaced by the index. The result is `None`
/// where a read may be out of bounds (the body must not be evaluated there) or the body would get too long.
pub fn inline_reads(
    consumer: &Compute,
    tensor: usize,
    producer: &Compute,
    producer_tensor: &dyn Fn(usize) -> usize,
) -> Option<Compute> {
    let checked =
        |inst: &Inst| matches!(inst, Inst::Read { tensor: t, outside: Some(_), .. } if *t == tensor);
    if consumer.body.insts.iter().any(|(inst, _)| checked(inst)) {
        return None;
    }
    let mut builder = BodyBuilder::new();
    let keep = |_: &Atom| None;
    let result = builder.append(&consumer.body, &keep, &mut |builder, inst, dtype| {
        let Inst::Read { tensor: t, index, .. } = inst else { unreachable!("append passes reads only") };
        if *t != tensor {
            return builder.push(inst.clone(), dtype);
        }
        let at: BTreeMap<&str, &Expr> =
            producer.axes.iter().zip(index).map(|(axis, e)| (&*axis.name, e)).collect();
        let replace = |atom: &Atom| match atom {
            Atom::Axis(name) => at.get(&**name).map(|e| (*e).clone()),
            _ => None,
        };
        builder.append(&producer.body, &replace, &mut |builder, inner, dtype| {
            let Inst::Read { tensor, index, outside } = inner else {
                unreachable!("append passes reads only")
            };
            let tensor = producer_tensor(*tensor);
            builder.push(Inst::Read { tensor, index: index.clone(), outside: *outside }, dtype)
        })
    });
    if builder.body.insts.len() > MAX_BODY {
        return None;
    }
    let mut body = builder.body;
    body.result = result;
    Some(Compute { body, ..consumer.clone() })
}

/// Inlines each temporary that one elementwise compute writes and one elementwise compute reads, and
/// drops temporaries that are no longer used.
pub fn inline_temporaries(kernel: &mut Kernel) {
    while let Some((producer, consumer)) = inlinable(kernel) {
        let target = kernel.computes[producer].target;
        let identity = |t: usize| t;
        let Some(merged) =
            inline_reads(&kernel.computes[consumer], target, &kernel.computes[producer], &identity)
        else {
            return;
        };
        kernel.computes[consumer] = merged;
        kernel.computes.remove(producer);
        remove_unused_temporaries(kernel);
    }
}

fn inlinable(kernel: &Kernel) -> Option<(usize, usize)> {
    (0..kernel.tensors.len()).filter(|&t| kernel.tensors[t].role == Role::Temporary).find_map(|t| {
        let mut writers = (0..kernel.computes.len()).filter(|&c| kernel.computes[c].target == t);
        let producer = writers.next().filter(|_| writers.next().is_none())?;
        let mut readers =
            (0..kernel.computes.len()).filter(|&c| kernel.computes[c].reads().any(|(r, _)| r == t));
        let consumer = readers.next().filter(|_| readers.next().is_none())?;
        let (p, c) = (&kernel.computes[producer], &kernel.computes[consumer]);
        let one_index = c.reads().filter(|(r, _)| *r == t).map(|(_, i)| i).collect::<Vec<_>>();
        let same_points = one_index.windows(2).all(|w| w[0] == w[1]);
        let pointwise = c.combine.is_none() && c.axes.iter().all(|a| a.kind == AxisKind::Parallel);
        (is_elementwise(p)
            && pointwise
            && same_points
            && p.points() == c.points()
            && p.body.insts.len() + c.body.insts.len() <= MAX_BODY
            && inline_reads(c, t, p, &|t| t).is_some())
        .then_some((producer, consumer))
    })
}

/// Drops temporaries that no compute touches and renumbers the others.
pub(super) fn remove_unused_temporaries(kernel: &mut Kernel) {
    let mut used = vec![false; kernel.tensors.len()];
    for (t, tensor) in kernel.tensors.iter().enumerate() {
        used[t] = tensor.role != Role::Temporary;
    }
    for compute in &kernel.computes {
        used[compute.target] = true;
        compute.reads().for_each(|(t, _)| used[t] = true);
    }
    let mut map = vec![usize::MAX; used.len()];
    let mut kept = 0;
    for t in 0..used.len() {
        if used[t] {
            map[t] = kept;
            kept += 1;
        }
    }
    let mut keep = used.iter();
    kernel.tensors.retain(|_| *keep.next().expect("one flag a tensor"));
    for compute in &mut kernel.computes {
        renumber(compute, &|t| map[t]);
    }
}

/// Renumbers the tensors of a compute.
pub(super) fn renumber(compute: &mut Compute, map: &dyn Fn(usize) -> usize) {
    compute.target = map(compute.target);
    for (inst, _) in &mut compute.body.insts {
        if let Inst::Read { tensor, .. } = inst {
            *tensor = map(*tensor);
        }
    }
}
