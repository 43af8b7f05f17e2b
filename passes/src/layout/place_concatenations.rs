//! Lets the kernels that make the parts of a concatenation write them directly into the whole, so that
//! nothing is copied. Readers of a shorter concatenation of the same parts read the longer one.
//!
//! ```text
//! a = f(..)                      y[.., 0..n] = f(..)
//! b = g(..)               =>     y[.., n..n + m] = g(..)
//! y = concat(a, b)
//! ```
//!
//! A part is placed if it is an intermediate that only kernels touch, and one of them writes it. A kernel
//! that writes into the whole must not touch the whole otherwise: operands of a kernel never overlap. Other
//! parts are copied as before.

use super::assign_layouts::movable;
use crate::registry::{PassSpec, Run, Trait};
use mlcc_ir::{
    expr::{Expr, Interval},
    kernel::{Compute, Kernel, Role},
    program::{Program, Step, TensorId},
    scalar::{Body, Inst},
    types::TensorType,
};
use std::{collections::BTreeMap, sync::Arc};

/// The pass.
pub const SPEC: PassSpec = PassSpec {
    name: "place-concatenations",
    summary: "write the parts of concatenations where the whole lies",
    // Prices do not see it: whether parts can be written in place depends on what else reads them, beyond the block.
    traits: &[Trait::Unpriced],
    run: Run::Tensor(|program, _| Ok(run(program))),
};

/// Runs the pass; returns the number of tensors that became part of another.
pub fn run(program: &mut Program) -> usize {
    let places = decide(program);
    apply(program, &places);
    places.len()
}

/// Where a tensor lies in another.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    /// The tensor that contains this one; it lies in no other tensor itself.
    whole: TensorId,
    /// The dimension along which it is a part.
    dim: usize,
    /// Its first element there.
    offset: Expr,
}

/// A part of a concatenation.
struct Part {
    tensor: TensorId,
    offset: Expr,
}

/// A kernel that concatenates.
struct Concatenation {
    whole: TensorId,
    dim: usize,
    parts: Vec<Part>,
}

impl Concatenation {
    /// `kernel` as a concatenation: every compute copies one whole input to a place of the one output.
    fn recognise(kernel: &Kernel, operands: &[TensorId]) -> Option<Concatenation> {
        let bound: Vec<(usize, TensorId)> = kernel.operands().zip(operands.iter().copied()).collect();
        let id_of = |t: usize| bound.iter().find(|(b, _)| *b == t).map(|(_, id)| *id);
        let target = kernel.computes.first()?.target;
        (kernel.tensors[target].role == Role::Output && kernel.computes.len() > 1).then_some(())?;
        let (mut dim, mut parts) = (None, Vec::new());
        for compute in &kernel.computes {
            let (tensor, along, offset) = copied(kernel, compute).filter(|_| compute.target == target)?;
            if along.is_some() && dim.is_some() && along != dim {
                return None;
            }
            dim = dim.or(along);
            parts.push(Part { tensor: id_of(tensor)?, offset });
        }
        Some(Concatenation { whole: id_of(target)?, dim: dim?, parts })
    }
}

/// The input that a compute copies as a whole, the dimension along which it is moved, and by how much.
fn copied(kernel: &Kernel, compute: &Compute) -> Option<(usize, Option<usize>, Expr)> {
    let [(Inst::Read { tensor, index, outside: None }, _)] = &compute.body.insts[..] else { return None };
    let mut moved = (None, Expr::from(0));
    let dims = &kernel.tensors[*tensor].ty.dims;
    (compute.combine.is_none() && compute.write.len() == index.len()).then_some(())?;
    for (d, (read, write)) in index.iter().zip(&compute.write).enumerate() {
        let extent = match read.as_axis() {
            Some(name) => compute.axis(name)?.extent.clone(),
            None if read.is(0) => Expr::from(1),
            None => return None,
        };
        (extent == dims[d]).then_some(())?;
        let offset = write.clone() - read.clone();
        if !offset.is(0) {
            let mut axes = Vec::new();
            offset.collect_axes(&mut axes);
            (moved.0.is_none() && axes.is_empty() && !offset.uses_values()).then_some(())?;
            moved = (Some(d), offset);
        }
    }
    Some((*tensor, moved.0, moved.1))
}

/// The places of tensors. The last concatenations come first, as they hold the parts of the earlier ones.
fn decide(program: &Program) -> BTreeMap<TensorId, Place> {
    let movable = movable(program);
    let mut places: BTreeMap<TensorId, Place> = BTreeMap::new();
    for step in program.steps.iter().rev() {
        let Step::Kernel { kernel, operands } = step else { continue };
        let Some(concat) = Concatenation::recognise(kernel, operands) else { continue };
        if !movable[concat.whole] {
            continue;
        }
        if let Some(place) = existing(&concat, &places)
            && may_place(program, concat.whole, &place, &places)
        {
            places.insert(concat.whole, place);
            continue;
        }
        // If a whole is itself a part, its parts go into the larger whole.
        let (whole, base) = match places.get(&concat.whole) {
            Some(p) if p.dim == concat.dim => (p.whole, p.offset.clone()),
            Some(_) => continue,
            None => (concat.whole, Expr::from(0)),
        };
        for part in &concat.parts {
            let place = Place { whole, dim: concat.dim, offset: base.clone() + part.offset.clone() };
            let once = concat.parts.iter().filter(|p| p.tensor == part.tensor).count() == 1;
            if once
                && movable[part.tensor]
                && !places.contains_key(&part.tensor)
                && may_place(program, part.tensor, &place, &places)
            {
                places.insert(part.tensor, place);
            }
        }
    }
    places
}

/// The place of a whole concatenation that exists already, if its parts lie one after the other in some
/// whole.
fn existing(concat: &Concatenation, places: &BTreeMap<TensorId, Place>) -> Option<Place> {
    let first = places.get(&concat.parts.first()?.tensor)?;
    let start = first.offset.clone() - concat.parts[0].offset.clone();
    let fits = concat.parts.iter().all(|part| {
        places.get(&part.tensor).is_some_and(|p| {
            (p.whole, p.dim) == (first.whole, concat.dim) && p.offset == start.clone() + part.offset.clone()
        })
    });
    fits.then_some(Place { whole: first.whole, dim: concat.dim, offset: start })
}

/// Whether a tensor may lie at this place: one kernel writes it, every access stays within it, and no kernel
/// would receive the whole tensor twice and write to one of the two.
fn may_place(program: &Program, id: TensorId, place: &Place, places: &BTreeMap<TensorId, Place>) -> bool {
    let root = |t: TensorId| places.get(&t).map_or(t, |p| p.whole);
    let mut writers = 0;
    for step in &program.steps {
        let Step::Kernel { kernel, operands } = step else { continue };
        if !operands.contains(&id) {
            continue;
        }
        let bound: Vec<(usize, TensorId)> = kernel.operands().zip(operands.iter().copied()).collect();
        let Some(&(own, _)) = bound.iter().find(|(_, t)| *t == id) else { continue };
        let is_concat = |whole: TensorId| {
            Concatenation::recognise(kernel, operands)
                .is_some_and(|c| c.whole == id || root(c.whole) == whole)
        };
        let written = |t: usize| kernel.computes.iter().any(|c| c.target == t);
        writers += usize::from(written(own));
        if bound.iter().filter(|(_, t)| *t == id).count() > 1 || !stays_inside(kernel, own, place.dim) {
            return false;
        }
        // Copies of a concatenation into its own whole are dropped.
        let shared: Vec<usize> =
            bound.iter().filter(|(_, t)| root(*t) == place.whole || *t == id).map(|(t, _)| *t).collect();
        if shared.len() > 1 && shared.iter().any(|t| written(*t)) && !is_concat(place.whole) {
            return false;
        }
    }
    writers == 1
}

/// Whether no access along a dimension leaves the tensor, checked or not.
fn stays_inside(kernel: &Kernel, tensor: usize, dim: usize) -> bool {
    let size = &kernel.tensors[tensor].ty.dims[dim];
    kernel.computes.iter().all(|compute| {
        let inside = |e: &Expr| {
            if e.uses_values() {
                return false;
            }
            // A whole dimension, of any size.
            if e.as_axis().and_then(|name| compute.axis(name)).is_some_and(|a| a.extent == *size) {
                return true;
            }
            let Interval { low, high } = e.interval(&|a| compute.range(a));
            let bound = size.as_const();
            low.is_some_and(|l| l >= 0) && high.zip(bound).is_some_and(|(h, b)| h < b)
        };
        let writes = compute.target != tensor || inside(&compute.write[dim]);
        writes
            && compute.body.insts.iter().all(|(inst, _)| match inst {
                Inst::Read { tensor: t, index, .. } if *t == tensor => inside(&index[dim]),
                _ => true,
            })
    })
}

fn apply(program: &mut Program, places: &BTreeMap<TensorId, Place>) {
    if places.is_empty() {
        return;
    }
    let wholes: BTreeMap<TensorId, TensorType> =
        places.values().map(|p| (p.whole, program.tensors[p.whole].ty.clone())).collect();
    let mut done: BTreeMap<(*const Kernel, Vec<Option<(usize, String, String)>>), Arc<Kernel>> =
        BTreeMap::new();
    let mut steps = Vec::with_capacity(program.steps.len());
    for mut step in std::mem::take(&mut program.steps) {
        let Step::Kernel { kernel, operands } = &mut step else {
            steps.push(step);
            continue;
        };
        if !operands.iter().any(|id| places.contains_key(id) || wholes.contains_key(id)) {
            steps.push(step);
            continue;
        }
        if let Some(concat) = Concatenation::recognise(kernel, operands) {
            if let Some(rest) = rest_of(kernel, operands, &concat, places) {
                steps.push(place_operands(rest, places, &wholes));
            }
            continue;
        }
        let key: Vec<_> = operands
            .iter()
            .map(|id| places.get(id).map(|p| (p.dim, p.offset.to_string(), wholes[&p.whole].to_string())))
            .collect();
        let key = (Arc::as_ptr(kernel), key);
        if key.1.iter().all(Option::is_none) {
            steps.push(step);
            continue;
        }
        if let Some(known) = done.get(&key) {
            let operands = operands.iter().map(|id| places.get(id).map_or(*id, |p| p.whole)).collect();
            steps.push(Step::Kernel { kernel: known.clone(), operands });
            continue;
        }
        let Step::Kernel { kernel, operands } = step else { continue };
        let placed = place_operands((Kernel::clone(&kernel), operands), places, &wholes);
        if let Step::Kernel { kernel, .. } = &placed {
            done.insert(key, kernel.clone());
        }
        steps.push(placed);
    }
    program.steps = steps;
}

/// The copies that a concatenation still makes: parts that are not in place. `None` if there are none.
fn rest_of(
    kernel: &Kernel,
    operands: &[TensorId],
    concat: &Concatenation,
    places: &BTreeMap<TensorId, Place>,
) -> Option<(Kernel, Vec<TensorId>)> {
    let root = |id: TensorId| places.get(&id).map_or(id, |p| p.whole);
    let offset = |id: TensorId| places.get(&id).map_or(Expr::from(0), |p| p.offset.clone());
    let in_place = |part: &Part| {
        places.contains_key(&part.tensor)
            && root(part.tensor) == root(concat.whole)
            && offset(part.tensor) == offset(concat.whole) + part.offset.clone()
    };
    let mut rest = kernel.clone();
    let mut keep = concat.parts.iter().map(|p| !in_place(p));
    rest.computes.retain(|_| keep.next().unwrap_or(true));
    if rest.computes.is_empty() {
        return None;
    }
    // Inputs that nothing reads any more are dropped with their operands.
    let bound: Vec<(usize, TensorId)> = rest.operands().zip(operands.iter().copied()).collect();
    let used = |t: usize| {
        rest.tensors[t].role != Role::Input || rest.computes.iter().any(|c| c.reads().any(|(r, _)| r == t))
    };
    let kept: Vec<usize> = (0..rest.tensors.len()).filter(|&t| used(t)).collect();
    let operands = bound.iter().filter(|(t, _)| kept.contains(t)).map(|(_, id)| *id).collect();
    let position = |t: usize| kept.iter().position(|k| *k == t).unwrap_or(0);
    let mut small = rest.clone();
    small.tensors = kept.iter().map(|&t| rest.tensors[t].clone()).collect();
    for compute in &mut small.computes {
        compute.target = position(compute.target);
        for (inst, _) in &mut compute.body.insts {
            if let Inst::Read { tensor, .. } = inst {
                *tensor = position(*tensor);
            }
        }
    }
    if small.computes.len() < kernel.computes.len() {
        let target = small.computes[0].target;
        small.tensors[target].role = Role::InOut;
    }
    Some((small, operands))
}

/// The kernel on the wholes that contain its operands.
fn place_operands(
    (mut kernel, operands): (Kernel, Vec<TensorId>),
    places: &BTreeMap<TensorId, Place>,
    wholes: &BTreeMap<TensorId, TensorType>,
) -> Step {
    let bound: Vec<(usize, TensorId)> = kernel.operands().zip(operands.iter().copied()).collect();
    for &(t, id) in &bound {
        let Some(place) = places.get(&id) else { continue };
        accumulate_apart(&mut kernel, t);
        kernel.tensors[t].ty = wholes[&place.whole].clone();
        if kernel.tensors[t].role == Role::Output {
            kernel.tensors[t].role = Role::InOut;
        }
        let shift =
            |index: &mut Vec<Expr>| index[place.dim] = index[place.dim].clone() + place.offset.clone();
        for compute in &mut kernel.computes {
            if compute.target == t {
                shift(&mut compute.write);
            }
            for (inst, _) in &mut compute.body.insts {
                if let Inst::Read { tensor, index, .. } = inst
                    && *tensor == t
                {
                    shift(index);
                }
            }
        }
    }
    let operands = operands.iter().map(|id| places.get(id).map_or(*id, |p| p.whole)).collect();
    Step::Kernel { kernel: Arc::new(kernel), operands }
}

/// A reduction into a tensor goes through a temporary: the old contents of the whole must not be taken for
/// the reduction's first value.
fn accumulate_apart(kernel: &mut Kernel, tensor: usize) {
    let Some(at) = kernel.computes.iter().position(|c| c.target == tensor && c.is_reduction()) else {
        return;
    };
    let name = format!("{}.sum", kernel.tensors[tensor].name);
    let temporary = mlcc_ir::kernel::KernelTensor {
        name: name.as_str().into(),
        ty: kernel.tensors[tensor].ty.clone(),
        role: Role::Temporary,
    };
    kernel.tensors.push(temporary);
    let sum = kernel.tensors.len() - 1;
    let dtype = kernel.tensors[tensor].ty.dtype;
    let reduction = &mut kernel.computes[at];
    reduction.target = sum;
    let mut body = Body::default();
    body.push(Inst::Read { tensor: sum, index: reduction.write.clone(), outside: None }, dtype);
    let copy = Compute {
        name: format!("{}.place", reduction.name).as_str().into(),
        axes: reduction
            .axes
            .iter()
            .filter(|a| a.kind != mlcc_ir::kernel::AxisKind::Reduction)
            .cloned()
            .collect(),
        target: tensor,
        write: reduction.write.clone(),
        body,
        combine: None,
    };
    kernel.computes.insert(at + 1, copy);
}
