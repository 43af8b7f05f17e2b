//! One thread of a nest, which can pause at a barrier and go on.

use super::{
    compile::{Code, Compiled, Operand, StoreCode, TileCode},
    race::{Cell, Stamp, Tracker},
};
use crate::{
    body::{Reader, out_of_bounds},
    index::Index,
    memory::Memory,
    scalar::{binary, cast},
};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    dtype::DType,
    kernel::Combine,
    nest::Mapping,
    scalar::BinaryOp,
    tensor::Element,
};

/// What all threads have in common.
pub(super) struct Machine<'a> {
    /// Global and shared memory; the places of private buffers stay unused.
    pub(super) memories: Vec<Memory>,
    pub(super) tracker: Option<Tracker>,
    /// Which buffers are private to a thread.
    pub(super) private: &'a [bool],
    /// The block that runs.
    pub(super) block: [i64; 3],
    /// Barriers that it has passed.
    pub(super) epoch: u32,
    /// Number of the block, or of the iteration of the parallel loops.
    pub(super) tile: u32,
}

/// Why a thread has paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    /// At the barrier of this number.
    Barrier(usize),
    /// It is done.
    End,
}

/// A list of nodes under execution, and the loop that repeats it.
struct Frame<'a> {
    nodes: &'a [Code],
    next: usize,
    slot: usize,
    /// The loop's next point and its extent.
    point: i64,
    extent: i64,
    tile: bool,
}

/// A thread.
pub(super) struct Thread<'a> {
    frames: Vec<Frame<'a>>,
    state: State,
}

/// What a thread's instructions see.
struct State {
    number: u32,
    id: [i64; 3],
    axes: Vec<i64>,
    /// Private memory, in the order of the private buffers.
    memories: Vec<Memory>,
    values: Vec<Element>,
}

impl<'a> Thread<'a> {
    pub(super) fn new(code: &'a Compiled, number: u32, id: [i64; 3], memories: Vec<Memory>) -> Thread<'a> {
        let frame = Frame { nodes: &code.body, next: 0, slot: 0, point: 1, extent: 1, tile: false };
        let state = State { number, id, axes: vec![0; code.slots], memories, values: Vec::new() };
        Thread { frames: vec![frame], state }
    }

    /// Runs up to the next barrier or the end.
    pub(super) fn resume(&mut self, machine: &mut Machine<'_>) -> Result<Pause> {
        while let Some(frame) = self.frames.last_mut() {
            let Some(node) = frame.nodes.get(frame.next) else {
                if frame.point < frame.extent {
                    self.state.axes[frame.slot] = frame.point;
                    frame.point += 1;
                    frame.next = 0;
                    if frame.tile {
                        self.state.begin_tile(machine);
                    }
                } else {
                    self.frames.pop();
                }
                continue;
            };
            frame.next += 1;
            match node {
                Code::Loop { slot, extent, mapping, tile, body } => {
                    let extent = extent.evaluate(&self.state.axes, &[])?;
                    // A bound axis has the one point of this block or thread.
                    let (first, extent) = match mapping {
                        Mapping::Block(d) => (machine.block[*d as usize], extent),
                        Mapping::Thread(d) => (self.state.id[*d as usize], extent),
                        _ => (0, extent),
                    };
                    if first >= extent {
                        continue;
                    }
                    let bound = matches!(mapping, Mapping::Block(_) | Mapping::Thread(_));
                    let end = if bound { first + 1 } else { extent };
                    self.state.axes[*slot] = first;
                    let frame = Frame {
                        nodes: body,
                        next: 0,
                        slot: *slot,
                        point: first + 1,
                        extent: end,
                        tile: *tile,
                    };
                    self.frames.push(frame);
                    if *tile {
                        self.state.begin_tile(machine);
                    }
                }
                Code::Store(store) => {
                    if self.state.guarded(&store.guards)? {
                        self.state.store(machine, store)?;
                    }
                }
                Code::Tile(tile) => self.state.tile(machine, tile)?,
                Code::Barrier(number) => return Ok(Pause::Barrier(*number)),
            }
        }
        Ok(Pause::End)
    }
}

impl State {
    /// An iteration of the parallel loops may run on any thread of the pool, so it starts with empty
    /// private memory.
    fn begin_tile(&mut self, machine: &mut Machine<'_>) {
        machine.tile += 1;
        self.memories.iter_mut().for_each(Memory::clear);
    }

    fn guarded(&self, guards: &[(Index, Index)]) -> Result<bool> {
        for (a, b) in guards {
            if a.evaluate(&self.axes, &[])? >= b.evaluate(&self.axes, &[])? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn store(&mut self, machine: &mut Machine<'_>, store: &StoreCode) -> Result<()> {
        let mut values = std::mem::take(&mut self.values);
        let axes = std::mem::take(&mut self.axes);
        let result = Access::new(self, machine, store.buffer).store(store, &axes, &mut values);
        (self.values, self.axes) = (values, axes);
        result
    }

    fn tile(&mut self, machine: &mut Machine<'_>, tile: &TileCode) -> Result<()> {
        let at = |o: &Operand, axes: &[i64]| -> Result<[i64; 3]> {
            Ok([o.base.evaluate(axes, &[])?, o.stride.evaluate(axes, &[])?, o.k_stride.evaluate(axes, &[])?])
        };
        let limit = |e: &Option<Index>, all: i64| e.as_ref().map_or(Ok(all), |e| e.evaluate(&self.axes, &[]));
        let (a_rows, b_cols) = (limit(&tile.a_rows, tile.rows)?, limit(&tile.b_cols, tile.cols)?);
        let depth = tile.k.evaluate(&self.axes, &[])?;
        let (from_a, from_b) = (at(&tile.a, &self.axes)?, at(&tile.b, &self.axes)?);
        let gathered = self.gathered_rows(tile, a_rows)?;
        let mut access = Access::new(self, machine, tile.acc);
        let dtype = access.memory(tile.acc).dtype;
        // A tile may be smaller than the accumulator.
        let row_stride = access.memory(tile.acc).dims.last().copied().unwrap_or(tile.cols);
        let wide = if dtype.is_float() { DType::F64 } else { dtype };
        let undefined = || Diagnostic::internal(format!("a contraction is not defined on {dtype}"));
        for r in 0..tile.rows {
            let (from_a, row) = match gathered.as_deref() {
                None => (from_a, r.min(a_rows - 1).max(0)),
                // A row without an address is 0 and changes nothing.
                Some(rows) => match rows[r as usize] {
                    Some(offset) => {
                        let base = from_a[0].checked_add(offset);
                        let overflow = || Diagnostic::internal("an offset in a contraction tile overflows");
                        ([base.ok_or_else(overflow)?, 0, from_a[2]], 0)
                    }
                    None => continue,
                },
            };
            for c in 0..tile.cols {
                let offset = r * row_stride + c;
                access.undefined = false;
                let mut sum = cast(access.load(tile.acc, offset)?, wide);
                for k in 0..depth {
                    let x = access.load(tile.a.buffer, place(from_a, row, k)?)?;
                    // A column that does not exist counts as 0.
                    if c >= b_cols {
                        continue;
                    }
                    let y = access.load(tile.b.buffer, place(from_b, c, k)?)?;
                    let product =
                        binary(BinaryOp::Mul, wide, cast(x, wide), cast(y, wide)).ok_or_else(undefined)?;
                    sum = binary(BinaryOp::Add, wide, sum, product).ok_or_else(undefined)?;
                }
                access.write(tile.acc, offset as usize, cast(sum, dtype), None)?;
            }
        }
        Ok(())
    }

    /// Offsets of the tile's rows, if they are gathered; `None` for a row of zeros.
    fn gathered_rows(&mut self, tile: &TileCode, count: i64) -> Result<Option<Vec<Option<i64>>>> {
        let Some(gather) = &tile.a_gather else { return Ok(None) };
        let row = |r: i64| {
            self.axes[gather.slot] = r;
            let exists = r < count && self.guarded(&gather.inside)?;
            exists.then(|| gather.offset.evaluate(&self.axes, &[])).transpose()
        };
        (0..tile.rows).map(row).collect::<Result<_>>().map(Some)
    }
}

fn place([base, stride, k_stride]: [i64; 3], i: i64, k: i64) -> Result<i64> {
    let offset = |by: i64, step: i64| by.checked_mul(step);
    let sum =
        offset(i, stride).zip(offset(k, k_stride)).and_then(|(a, b)| base.checked_add(a)?.checked_add(b));
    sum.ok_or_else(|| Diagnostic::internal("an offset in a contraction tile overflows"))
}

/// A thread's access to memory, private and common.
struct Access<'s, 'm, 'p> {
    state: &'s mut State,
    machine: &'m mut Machine<'p>,
    /// Whether a value may be made of elements that were never written. A private element with such a
    /// value counts as unwritten itself; the error is reported when the value leaves private memory.
    lenient: bool,
    /// Whether the value is made of such elements.
    undefined: bool,
}

impl<'s, 'm, 'p> Access<'s, 'm, 'p> {
    /// For a store into `target`.
    fn new(state: &'s mut State, machine: &'m mut Machine<'p>, target: usize) -> Access<'s, 'm, 'p> {
        let lenient = machine.private[target];
        Access { state, machine, lenient, undefined: false }
    }
}

impl Access<'_, '_, '_> {
    fn private(&self, buffer: usize) -> Option<usize> {
        self.machine.private[buffer].then(|| self.machine.private[..buffer].iter().filter(|p| **p).count())
    }

    fn memory(&self, buffer: usize) -> &Memory {
        match self.private(buffer) {
            Some(at) => &self.state.memories[at],
            None => &self.machine.memories[buffer],
        }
    }

    fn stamp(&self) -> Stamp {
        Stamp { block: self.machine.tile, thread: self.state.number, epoch: self.machine.epoch }
    }

    /// The element at an offset that is in bounds.
    fn load_at(&mut self, buffer: usize, offset: usize) -> Result<Element> {
        let stamp = self.stamp();
        if self.private(buffer).is_none()
            && let Some(tracker) = &mut self.machine.tracker
        {
            tracker.read(Cell { buffer, memory: &self.machine.memories[buffer], offset }, stamp)?;
        }
        let memory = self.memory(buffer);
        if self.lenient && memory.elements[offset].is_none() {
            let nothing = cast(Element::Int(0), memory.dtype);
            self.undefined = true;
            return Ok(nothing);
        }
        memory.load(offset)
    }

    /// The element at an offset into the buffer.
    fn load(&mut self, buffer: usize, offset: i64) -> Result<Element> {
        let memory = self.memory(buffer);
        match usize::try_from(offset).ok().filter(|&o| o < memory.elements.len()) {
            Some(offset) => self.load_at(buffer, offset),
            None => Err(out_of_bounds("read", &memory.name, &[offset])),
        }
    }

    fn write(
        &mut self,
        buffer: usize,
        offset: usize,
        value: Element,
        combine: Option<Combine>,
    ) -> Result<()> {
        let stamp = self.stamp();
        let memory = match self.private(buffer) {
            Some(at) => &mut self.state.memories[at],
            None => {
                let memory = &mut self.machine.memories[buffer];
                if let Some(tracker) = &mut self.machine.tracker {
                    tracker.write(Cell { buffer, memory, offset }, stamp, value, combine)?;
                }
                memory
            }
        };
        memory.elements[offset] = (!self.undefined).then_some(value);
        Ok(())
    }

    fn store(&mut self, store: &StoreCode, axes: &[i64], values: &mut Vec<Element>) -> Result<()> {
        // An index must be known.
        self.lenient &= !store.checked;
        let mut value = store.body.run(axes, values, self)?;
        let at = store.index.iter().map(|e| e.evaluate(axes, values)).collect::<Result<Vec<_>>>()?;
        let memory = self.memory(store.buffer);
        let dtype = memory.dtype;
        let Some(offset) = memory.offset(&at) else {
            return if store.checked { Ok(()) } else { Err(out_of_bounds("write", &memory.name, &at)) };
        };
        if let Some(combine) = store.combine {
            // The read is part of the atomic combination, so only the write is tracked.
            let old = match memory.elements[offset] {
                None if self.lenient => {
                    self.undefined = true;
                    value
                }
                _ => memory.load(offset)?,
            };
            value = binary(combine.function(), dtype, old, value)
                .ok_or_else(|| Diagnostic::internal(format!("{combine:?} is not defined on {dtype}")))?;
        }
        self.write(store.buffer, offset, value, store.combine)
    }
}

impl Reader for Access<'_, '_, '_> {
    fn read(&mut self, tensor: usize, at: &[i64]) -> Result<Option<Element>> {
        match self.memory(tensor).offset(at) {
            Some(offset) => self.load_at(tensor, offset).map(Some),
            None => Ok(None),
        }
    }

    fn name(&self, tensor: usize) -> String {
        self.memory(tensor).name.clone()
    }
}
