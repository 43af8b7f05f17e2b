//! The parts of nests: buffers and their places, flattened axes, loops and stores.

use mlcc_ir::{
    Name,
    diagnostic::Result,
    dtype::DType,
    expr::{Atom, Expr},
    kernel::{Axis, Combine, Compute, Kernel, Role},
    nest::{Buffer, Loop, LoopNest, Mapping, Node, Space, Store},
    scalar::{Body, Constant, Inst},
};
use mlcc_passes::schedule::naive;
use std::collections::BTreeMap;

/// The expressions for the axes of a compute at the thread that runs it.
pub(super) type Coordinates = BTreeMap<Name, Expr>;

/// The place of a tensor's elements in a nest: in `buffer`, at the dimensions `kept` of the tensor's index,
/// followed by `suffix`. The other dimensions are the same for all accesses of a thread or block.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) buffer: usize,
    pub(super) kept: Vec<usize>,
    pub(super) suffix: Vec<Expr>,
}

/// A nest under construction.
pub(super) struct NestBuilder<'k> {
    pub(super) kernel: &'k Kernel,
    nest: LoopNest,
    places: Vec<Option<Place>>,
}

impl<'k> NestBuilder<'k> {
    /// A nest with the kernel's operands and no body.
    pub(super) fn new(kernel: &'k Kernel) -> Result<NestBuilder<'k>> {
        let mut nest = naive(kernel)?;
        nest.body.clear();
        nest.buffers.retain(|b| b.role != Role::Temporary);
        let mut places = vec![None; kernel.tensors.len()];
        for (buffer, t) in kernel.operands().enumerate() {
            let kept = (0..kernel.tensors[t].ty.rank()).collect();
            places[t] = Some(Place { buffer, kept, suffix: Vec::new() });
        }
        Ok(NestBuilder { kernel, nest, places })
    }

    /// Adds a buffer of the thread or the block.
    pub(super) fn buffer(&mut self, name: &str, dtype: DType, dims: &[Expr], space: Space) -> usize {
        let taken = |n: &str| self.nest.buffers.iter().any(|b| *b.name == *n);
        let mut unique = name.to_owned();
        let mut count = 1;
        while taken(&unique) {
            count += 1;
            unique = format!("{name}{count}");
        }
        let (name, dims) = (unique.into(), dims.to_vec());
        self.nest.buffers.push(Buffer { name, dtype, dims, role: Role::Temporary, space, packed: false });
        self.nest.buffers.len() - 1
    }

    /// Sets the place of a temporary.
    pub(super) fn put(&mut self, tensor: usize, place: Place) {
        self.places[tensor] = Some(place);
    }

    /// The place of a tensor, if it is known.
    pub(super) fn place(&self, tensor: usize) -> Option<&Place> {
        self.places[tensor].as_ref()
    }

    /// The buffer and index of an element of a tensor.
    fn element(&self, tensor: usize, index: &[Expr], at: &Coordinates) -> Option<(usize, Vec<Expr>)> {
        let place = self.place(tensor)?;
        let index = place.kept.iter().map(|&d| put_coordinates(&index[d], at));
        Some((place.buffer, index.chain(place.suffix.iter().cloned()).collect()))
    }

    /// A body of the kernel at coordinates of the nest; `None` if it reads a tensor that has no place.
    pub(super) fn body(&self, body: &Body, at: &Coordinates) -> Option<Body> {
        let mut body = body.clone();
        for (inst, _) in &mut body.insts {
            match inst {
                Inst::Index(e) => *e = put_coordinates(e, at),
                Inst::Read { tensor, index, outside } => {
                    let whole = self.place(*tensor)?.suffix.is_empty();
                    (*tensor, *index) = self.element(*tensor, index, at)?;
                    // An element with a single place is there, whatever its index was.
                    if !whole {
                        *outside = None;
                    }
                }
                _ => {}
            }
        }
        Some(body)
    }

    /// The store of a compute's value to its place.
    pub(super) fn store(&self, compute: &Compute, body: Body, at: &Coordinates) -> Option<Store> {
        let (buffer, index) = self.element(compute.target, &compute.write, at)?;
        let checked = compute.write.iter().any(Expr::uses_values);
        let combine = if compute.is_reduction() { None } else { compute.combine };
        Some(Store { buffer, index, body, combine, guards: Vec::new(), checked })
    }

    /// The finished nest.
    pub(super) fn finish(mut self, body: Vec<Node>) -> LoopNest {
        self.nest.body = body;
        self.nest
    }
}

/// An expression of a compute at coordinates of the nest.
pub(super) fn put_coordinates(e: &Expr, at: &Coordinates) -> Expr {
    e.substitute(&|atom| match atom {
        Atom::Axis(name) => at.get(name).cloned(),
        _ => None,
    })
}

/// Product of the axes' extents.
pub(super) fn size(axes: &[Axis]) -> Expr {
    axes.iter().fold(Expr::from(1), |n, a| n * a.extent.clone())
}

/// The axes' coordinates at point `linear` of their row-major product. Beyond its end only the first
/// axis leaves its range.
pub(super) fn unflatten(axes: &[Axis], linear: &Expr, into: &mut Coordinates) {
    let mut inner = Expr::from(1);
    let first = axes.iter().position(|a| !a.extent.is(1));
    for (i, axis) in axes.iter().enumerate().rev() {
        let quotient = linear.floor_div(&inner);
        let at = match axis.extent.is(1) {
            true => Expr::from(0),
            false if Some(i) == first => quotient,
            false => quotient.modulo(&axis.extent),
        };
        into.insert(axis.name.clone(), at);
        inner = inner * axis.extent.clone();
    }
}

/// A loop.
pub(super) fn for_each(axis: &str, extent: impl Into<Expr>, mapping: Mapping, body: Vec<Node>) -> Node {
    Node::Loop(Loop { axis: axis.into(), extent: extent.into(), mapping, body })
}

/// Serial loops over the axes around `body`, in order, called `prefix.axis`; puts the axes' coordinates
/// where `body` can use them.
pub(super) fn loops_over(
    prefix: &str,
    axes: &[Axis],
    mapping: Mapping,
    at: &mut Coordinates,
    body: impl FnOnce(&Coordinates) -> Option<Vec<Node>>,
) -> Option<Vec<Node>> {
    let named = |a: &Axis| format!("{prefix}.{}", a.name);
    for a in axes {
        at.insert(a.name.clone(), Expr::axis(&named(a)));
    }
    let body = body(at)?;
    Some(axes.iter().rev().fold(body, |body, a| vec![for_each(&named(a), a.extent.clone(), mapping, body)]))
}

/// Loops of constant extents, unrolled, outermost first.
pub(super) fn unrolled(axes: &[(&str, i64)], body: Vec<Node>) -> Vec<Node> {
    axes.iter().rev().fold(body, |body, (axis, n)| vec![for_each(axis, *n, Mapping::Unrolled, body)])
}

/// `buffer[index] = constant`.
pub(super) fn fill(buffer: usize, index: Vec<Expr>, value: Constant) -> Store {
    let mut body = Body::default();
    body.constant(value);
    Store { buffer, index, body, combine: None, guards: Vec::new(), checked: false }
}

/// `target[index] = source[from]`, or combined with the old value.
pub(super) fn copy(
    (target, index): (usize, Vec<Expr>),
    (source, from): (usize, Vec<Expr>),
    dtype: DType,
    combine: Option<Combine>,
) -> Store {
    let mut body = Body::default();
    body.read(source, from, dtype);
    Store { buffer: target, index, body, combine, guards: Vec::new(), checked: false }
}

/// The store, only where `a < b`.
pub(super) fn where_less(mut store: Store, a: &Expr, b: &Expr) -> Store {
    store.guards.push((a.clone(), b.clone()));
    store
}
