//! Emission of a [`LoopNest`] as MLIR: control flow in `scf`, values in `arith`, `math` and `vector`,
//! memory in `llvm`.
//!
//! The walk keeps an environment of axes. An unrolled axis is a constant, substituted into every
//! expression before the expression is emitted; at most one axis at a time is spread over vector lanes.
//! A value is a vector if and only if it depends on that axis.

pub mod body;
pub mod builder;
pub mod cast;
mod extremum;
pub mod function;
mod gather;
mod index;
mod loops;
mod masked;
mod memory;
pub mod platform;
mod reduction;
mod scalar;
mod tile;
mod transpose;
mod window;

pub use memory::memory_kind;

use builder::{Builder, Kind, Val};
use mlcc_ir::{
    Name,
    diagnostic::{Diagnostic, Result},
    dtype::DType,
    expr::{Atom, Expr, Interval},
    nest::{LoopNest, Node, Space},
    types::row_major_strides,
};
use platform::Platform;
use std::collections::BTreeMap;

/// The values that a nest's function starts with.
pub struct Inputs<'c> {
    /// Addresses of the buffers that are not `Temporary`, in order.
    pub operands: Vec<Val<'c>>,
    /// Addresses of the `Scratch` buffers, in order.
    pub scratch: Vec<Val<'c>>,
    /// Values of the nest's symbols, in order.
    pub symbols: Vec<Val<'c>>,
    /// The part of [`LoopNest::tiles`] to execute; `None` is everything.
    pub range: Option<[Val<'c>; 2]>,
}

/// How an axis in scope is represented.
#[derive(Clone, Copy)]
enum Binding<'c> {
    /// A constant. Emitted expressions never contain the axis.
    Constant(i64),
    /// A scalar.
    Scalar(Val<'c>),
    /// Spread over the lanes of the current [`VectorStep`].
    Vector,
}

struct AxisInScope<'c> {
    name: Name,
    binding: Binding<'c>,
    range: Interval,
}

/// The vector of points of a vector axis that is being emitted.
#[derive(Clone)]
struct VectorStep<'c> {
    axis: Name,
    lanes: u32,
    /// First point.
    base: Val<'c>,
    /// Lanes that exist; `None` is all.
    mask: Option<Val<'c>>,
    /// Which of several accumulators reductions use.
    phase: usize,
}

/// A buffer's place.
struct Storage<'c> {
    pointer: Val<'c>,
    dtype: DType,
    dims: Vec<Expr>,
    strides: Vec<Expr>,
    space: Space,
}

/// The walk's state.
pub struct Emitter<'e, 'c> {
    b: &'e Builder<'c>,
    nest: &'e LoopNest,
    platform: &'e dyn Platform,
    storage: Vec<Storage<'c>>,
    symbols: BTreeMap<Name, Val<'c>>,
    axes: Vec<AxisInScope<'c>>,
    vector: Option<VectorStep<'c>>,
    reductions: Vec<reduction::Scope<'c>>,
    /// Scalar expressions already emitted, per open block.
    memo: Vec<BTreeMap<Expr, Val<'c>>>,
    /// Values of the body that is being evaluated.
    values: Vec<(Val<'c>, DType)>,
    /// A line of zeros, where a tile's rows may be out of bounds.
    zeros: Option<Val<'c>>,
}

/// Emits a nest into the builder's open block.
///
/// # Errors
/// If the nest uses something that the platform does not have, or breaks a rule of loop nests.
pub fn emit<'c>(
    b: &Builder<'c>,
    nest: &LoopNest,
    platform: &dyn Platform,
    inputs: &Inputs<'c>,
) -> Result<()> {
    let symbols = nest.symbols.iter().cloned().zip(inputs.symbols.iter().copied()).collect();
    let mut emitter = Emitter {
        b,
        nest,
        platform,
        storage: Vec::new(),
        symbols,
        axes: Vec::new(),
        vector: None,
        reductions: Vec::new(),
        memo: vec![BTreeMap::new()],
        values: Vec::new(),
        zeros: None,
    };
    emitter.place_buffers(inputs)?;
    emitter.place_zeros(nest)?;
    match inputs.range {
        Some(range) => emitter.tiles(range),
        None => emitter.nodes(&nest.body),
    }
}

impl<'c> Emitter<'_, 'c> {
    fn place_buffers(&mut self, inputs: &Inputs<'c>) -> Result<()> {
        let (mut operands, mut scratch) = (inputs.operands.iter(), inputs.scratch.iter());
        for (id, buffer) in self.nest.buffers.iter().enumerate() {
            let mut dims = buffer.dims.clone();
            let pointer = match buffer.space {
                Space::Global => operands.next().copied(),
                Space::Scratch => scratch.next().copied(),
                Space::Register => {
                    // Rows are whole vectors, so that vectors of neighbouring rows never overlap and
                    // stores need no masks. Masks would keep the vectors out of registers.
                    let lanes = i64::from(reduction::widest_vector(self.nest));
                    if let Some(last) = dims.last_mut()
                        && lanes > 1
                        && !last.is(1)
                    {
                        *last = last.ceil_div(&Expr::from(lanes)) * Expr::from(lanes);
                    }
                    let count = dims.iter().try_fold(1i64, |n, d| n.checked_mul(d.as_const()?));
                    let count = count.filter(|n| (0..1 << 20).contains(n)).ok_or_else(|| {
                        self.wrong(format!("register buffer '{}' has no small constant size", buffer.name))
                    })?;
                    Some(self.b.frame(memory::memory_kind(buffer.dtype), count))
                }
                Space::Shared => Some(self.platform.shared(self.b, self.nest, id)?),
            };
            let pointer = pointer.ok_or_else(|| {
                self.wrong(format!("buffer '{}' has a role that does not fit its space", buffer.name))
            })?;
            let strides = row_major_strides(&dims);
            let dims = buffer.dims.clone();
            self.storage.push(Storage { pointer, dtype: buffer.dtype, dims, strides, space: buffer.space });
        }
        Ok(())
    }

    fn nodes(&mut self, nodes: &[Node]) -> Result<()> {
        for node in nodes {
            match node {
                Node::Loop(l) => self.loop_node(l)?,
                Node::Store(s) => self.store(s)?,
                Node::Tile(t) => self.tile(t)?,
                Node::Barrier => self.platform.barrier(self.b)?,
            }
        }
        Ok(())
    }

    /// A fault in the nest.
    fn wrong(&self, what: impl std::fmt::Display) -> Diagnostic {
        Diagnostic::internal(format!("kernel '{}': {what}", self.nest.name))
    }

    fn range(&self, axis: &str) -> Interval {
        self.axes.iter().rev().find(|a| *a.name == *axis).map_or(Interval::ALL, |a| a.range)
    }

    fn interval(&self, expr: &Expr) -> Interval {
        expr.interval_in(&|axis| self.range(axis), &self.nest.ranges)
    }

    /// The expression with the values of constant axes, simplified.
    fn resolve(&self, expr: &Expr) -> Expr {
        let constants = expr.substitute(&|atom| match atom {
            Atom::Axis(name) => {
                self.axes.iter().rev().find(|a| a.name == *name).and_then(|a| match a.binding {
                    Binding::Constant(value) => Some(Expr::from(value)),
                    _ => None,
                })
            }
            _ => None,
        });
        constants.simplify_in(&|axis| self.range(axis), &self.nest.ranges)
    }

    /// Evaluates `inside` with an axis in scope.
    fn with_axis<T>(
        &mut self,
        (name, binding, range): (&Name, Binding<'c>, Interval),
        inside: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        self.axes.push(AxisInScope { name: name.clone(), binding, range });
        let result = inside(self);
        self.axes.pop();
        result
    }

    /// Builds a region, with an `i64` argument if `argument` is set. Expressions emitted inside are
    /// forgotten after it.
    fn region<T>(
        &mut self,
        argument: bool,
        inside: impl FnOnce(&mut Self, Option<Val<'c>>) -> Result<T>,
    ) -> Result<(melior::ir::Region<'c>, T)> {
        let types: &[_] = if argument { &[self.b.ty(Kind::I64, 1)] } else { &[] };
        let arguments = self.b.open(types);
        self.memo.push(BTreeMap::new());
        let argument = arguments.first().map(|raw| Val { raw: *raw, kind: Kind::I64, lanes: 1 });
        let result = inside(self, argument);
        self.memo.pop();
        if result.is_ok() {
            self.b.yields(&[]);
        }
        let region = self.b.close();
        Ok((region, result?))
    }

    /// `if condition { inside }`.
    fn when(
        &mut self,
        condition: Option<Val<'c>>,
        inside: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        let Some(condition) = condition else { return inside(self) };
        let (region, ()) = self.region(false, |e, _| inside(e))?;
        let regions = vec![region, melior::ir::Region::new()];
        self.b.op("scf.if", &[condition.raw], &[], &[], regions);
        Ok(())
    }
}
