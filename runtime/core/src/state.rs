//! The state of one running call: symbol values, buffer addresses, sizes of launches, memory.

use crate::Error;
use crate::bind::{self, evaluate};
use crate::heap::{Heap, Piece};
use crate::memory::Block;
use crate::model::Inner;
use crate::pool::Step;
use crate::profile::Recorder;
use crate::tensor::byte_size;
use mlcc_format::{BufferId, Expr, Launch, Place, SymbolDef};

/// Work below this estimate is not worth a fork: the caller does it alone.
const SERIAL_NANOSECONDS: i64 = 5000;
/// No thread takes less work than this at a time.
const GRAIN_NANOSECONDS: i64 = 1000;
/// The rates behind the estimates, of one core doing plain vector code.
const FLOPS_PER_NANOSECOND: i64 = 32;
const BYTES_PER_NANOSECOND: i64 = 16;
/// The scratch memories of two threads never share a cache line or a prefetched pair of lines.
const SCRATCH_ALIGNMENT: u64 = 128;

/// Where a buffer lies now.
#[derive(Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) address: *mut u8,
    pub(crate) bytes: u64,
    /// For a view, its begin within its base.
    offset: u64,
}

const NOWHERE: Slot = Slot { address: std::ptr::null_mut(), bytes: 0, offset: 0 };

/// The state of a call. The next call reuses it, which saves all evaluation if the shapes repeat.
pub(crate) struct State {
    /// The values of the symbols for which all sizes below were evaluated.
    bound: Option<Vec<i64>>,
    /// The same, with the symbols that the run found.
    pub(crate) symbols: Vec<i64>,
    /// For each symbol whether it has a value by now.
    defined: Vec<bool>,
    pub(crate) slots: Vec<Slot>,
    /// For each launch its tiles and grain.
    pub(crate) steps: Vec<Step>,
    pub(crate) sizes: Vec<i64>,
    pub(crate) arguments: Vec<*mut u8>,
    arena: Block,
    pub(crate) scratch: Block,
    pub(crate) scratch_stride: u64,
    pub(crate) heap: Heap,
    /// For each buffer its piece of the heap.
    pieces: Vec<Option<Piece>>,
    pub(crate) profile: Option<Recorder>,
}

// SAFETY: the addresses are to memory that the state owns (arena, heap, scratch), that its model
// owns and never changes (weights), or that the current run borrows (inputs, outputs). Those of an
// earlier run may be left in the slots; each run writes the slots of its inputs and outputs before
// anything reads them, and the verifier proved that a heap buffer is used between its `Alloc` and `Free`.
// Slots overlap (views, parts of the arena at different times), so references to their bytes are never
// kept: kernels get addresses, and what the host reads and writes are elements and copies.
unsafe impl Send for State {}

impl State {
    pub(crate) fn new(model: &Inner) -> Result<State, Error> {
        let buffers = model.plan.buffers.len();
        let program = &model.program;
        Ok(State {
            bound: None,
            symbols: Vec::new(),
            defined: Vec::new(),
            slots: vec![NOWHERE; buffers],
            steps: vec![Step { tiles: 0, grain: 1, waits: true }; program.launches.len()],
            sizes: vec![0; program.sizes],
            arguments: vec![std::ptr::null_mut(); program.arguments],
            arena: Block::new(model.plan.arena_bytes, "the arena")?,
            scratch: Block::new(0, "scratch memory")?,
            scratch_stride: 0,
            heap: Heap::default(),
            pieces: (0..buffers).map(|_| None).collect(),
            profile: None,
        })
    }

    /// Binds the symbols to the shapes of the inputs. If they differ from the last run's, evaluates all
    /// sizes that follow from them.
    pub(crate) fn bind(&mut self, model: &Inner, shapes: &[&[i64]]) -> Result<(), Error> {
        let mut bound = std::mem::take(&mut self.symbols);
        bind::symbols(&model.plan, &model.manifest, &model.program.dependent, shapes, &mut bound)?;
        if self.bound.as_ref() != Some(&bound) {
            // If anything below fails, the next run must not use the sizes of this one.
            self.bound = None;
            bind::checks(&model.plan, &model.manifest, &bound)?;
            self.place_buffers(model, &bound)?;
            for (i, launch) in model.plan.launches().enumerate() {
                if !model.program.launches[i].late {
                    self.size_launch(model, i, launch, &bound)?;
                }
            }
            self.bound = Some(bound.clone());
        }
        self.symbols = bound;
        self.defined.clear();
        self.defined.extend(model.program.dependent.iter().map(|dependent| !dependent));
        Ok(())
    }

    fn place_buffers(&mut self, model: &Inner, symbols: &[i64]) -> Result<(), Error> {
        for (id, buffer) in model.plan.buffers.iter().enumerate() {
            self.slots[id] = NOWHERE;
            if model.program.late[id] {
                continue;
            }
            let what = || format!("buffer '{}'", buffer.name);
            let bytes = size(&buffer.bytes, symbols, what)?;
            let limit = match &buffer.place {
                Place::Input(_) | Place::Output(_) => self.interface_bytes(model, id, symbols)?,
                Place::Constant { len, .. } => *len,
                Place::Arena { reserved, .. } => *reserved,
                Place::Heap => isize::MAX as u64,
                Place::View { .. } => {
                    self.slots[id] = self.view(model, id, symbols)?;
                    continue;
                }
            };
            if bytes > limit {
                return Err(beyond(what(), bytes, limit));
            }
            let address = match &buffer.place {
                // The verifier bounded both offsets.
                Place::Constant { offset, .. } => model.weights()[*offset as usize..].as_ptr().cast_mut(),
                Place::Arena { offset, .. } => self.arena.as_mut_ptr().wrapping_add(*offset as usize),
                _ => std::ptr::null_mut(),
            };
            self.slots[id] = Slot { address, bytes, offset: 0 };
        }
        Ok(())
    }

    /// The size of the caller's tensor by its type and shape.
    fn interface_bytes(&self, model: &Inner, id: usize, symbols: &[i64]) -> Result<u64, Error> {
        let buffer = &model.plan.buffers[id];
        let what = || format!("buffer '{}'", buffer.name);
        let dims: Result<Vec<i64>, Error> =
            buffer.dims.iter().map(|dim| evaluate(dim, symbols, what)).collect();
        let dims = dims?;
        byte_size(buffer.dtype, &dims)
            .ok_or_else(|| Error::Size { what: what(), problem: format!("the shape {dims:?} has no size") })
    }

    /// A view within its base, whose slot is resolved already.
    fn view(&self, model: &Inner, id: usize, symbols: &[i64]) -> Result<Slot, Error> {
        let buffer = &model.plan.buffers[id];
        let what = || format!("buffer '{}'", buffer.name);
        let Place::View { of, byte_offset } = &buffer.place else { return Ok(self.slots[id]) };
        let base = match model.program.late[*of as usize] {
            true => self.late_slot(model, *of)?,
            false => self.slots[*of as usize],
        };
        let (bytes, offset) = (size(&buffer.bytes, symbols, what)?, size(byte_offset, symbols, what)?);
        match offset.checked_add(bytes) {
            Some(end) if end <= base.bytes => {
                Ok(Slot { address: base.address.wrapping_add(offset as usize), bytes, offset })
            }
            _ => Err(beyond(what(), offset.saturating_add(bytes), base.bytes)),
        }
    }

    /// The place of a buffer whose size or offset waits for data.
    fn late_slot(&self, model: &Inner, id: BufferId) -> Result<Slot, Error> {
        let buffer = &model.plan.buffers[id as usize];
        if let Place::View { .. } = buffer.place {
            return self.view(model, id as usize, &self.symbols);
        }
        // The size may have changed since the buffer was made, but its memory has not.
        let slot = self.slots[id as usize];
        let what = || format!("buffer '{}'", buffer.name);
        let bytes = size(&buffer.bytes, &self.symbols, what)?;
        match bytes <= slot.bytes {
            true => Ok(Slot { bytes, ..slot }),
            false => Err(beyond(what(), bytes, slot.bytes)),
        }
    }

    /// Where a buffer lies now.
    pub(crate) fn slot(&self, model: &Inner, id: BufferId) -> Result<Slot, Error> {
        match model.program.late[id as usize] {
            true => self.late_slot(model, id),
            false => Ok(self.slots[id as usize]),
        }
    }

    /// The shape of a buffer now.
    pub(crate) fn dims(&self, model: &Inner, id: BufferId) -> Result<Vec<i64>, Error> {
        let buffer = &model.plan.buffers[id as usize];
        let dim = |dim| evaluate(dim, &self.symbols, || format!("buffer '{}'", buffer.name));
        buffer.dims.iter().map(dim).collect()
    }

    /// Evaluates the values that a launch needs besides its buffers.
    pub(crate) fn size_launch(
        &mut self,
        model: &Inner,
        number: usize,
        launch: &Launch,
        symbols: &[i64],
    ) -> Result<(), Error> {
        let what = || format!("kernel '{}'", model.manifest.kernels[launch.kernel as usize].name);
        let first = model.program.launches[number].sizes;
        for (value, expr) in self.sizes[first..].iter_mut().zip(&launch.sizes) {
            *value = evaluate(expr, symbols, what)?;
        }
        let tiles = size(&launch.tiles, symbols, what)? as i64;
        let scratch = size(&launch.scratch_bytes, symbols, what)?;
        let flops = evaluate(&launch.flops, symbols, what)?;
        let bytes = evaluate(&launch.bytes, symbols, what)?;
        let waits = model.program.launches[number].waits;
        self.steps[number] = Step { tiles, grain: grain(tiles, flops, bytes), waits };
        let stride = scratch.checked_next_multiple_of(SCRATCH_ALIGNMENT).unwrap_or(u64::MAX);
        if stride > self.scratch_stride {
            let all = stride.saturating_mul(model.pool.threads() as u64);
            // The old block is released first, so that the two never exist at once.
            self.scratch = Block::new(0, "scratch memory")?;
            self.scratch_stride = 0;
            self.scratch = Block::new(all, "scratch memory")?;
            self.scratch_stride = stride;
        }
        Ok(())
    }

    /// Gives an address to a buffer that may have views.
    pub(crate) fn move_to(&mut self, model: &Inner, id: usize, address: *mut u8) {
        self.slots[id].address = address;
        for view in &model.program.views[id] {
            if let Place::View { of, .. } = model.plan.buffers[*view as usize].place {
                let base = self.slots[of as usize].address;
                let slot = &mut self.slots[*view as usize];
                slot.address = base.wrapping_add(slot.offset as usize);
            }
        }
    }

    /// Makes a heap buffer.
    pub(crate) fn allocate(&mut self, model: &Inner, id: BufferId) -> Result<(), Error> {
        let buffer = &model.plan.buffers[id as usize];
        let bytes = size(&buffer.bytes, &self.symbols, || format!("buffer '{}'", buffer.name))?;
        let piece = self.heap.allocate(bytes, &format!("buffer '{}'", buffer.name))?;
        self.slots[id as usize].bytes = bytes;
        self.move_to(model, id as usize, piece.as_mut_ptr());
        self.pieces[id as usize] = Some(piece);
        Ok(())
    }

    /// Ends a heap buffer.
    pub(crate) fn free(&mut self, id: BufferId) {
        if let Some(piece) = self.pieces[id as usize].take() {
            self.heap.release(piece);
        }
    }

    /// Ends all heap buffers.
    pub(crate) fn free_all(&mut self) {
        for piece in &mut self.pieces {
            if let Some(piece) = piece.take() {
                self.heap.release(piece);
            }
        }
    }

    /// Gives a symbol the value that the run found, and gives values to all symbols computed from it.
    pub(crate) fn define(&mut self, model: &Inner, symbol: u32, value: i64) -> Result<(), Error> {
        self.symbols[symbol as usize] = value;
        self.defined[symbol as usize] = true;
        for (id, def) in model.plan.symbols.iter().enumerate() {
            let SymbolDef::Computed(expr) = def else { continue };
            if model.program.dependent[id] && !expr.any_symbol(|s| !self.defined[s as usize]) {
                let what = || format!("symbol '{}'", model.manifest.symbols[id]);
                self.symbols[id] = evaluate(expr, &self.symbols, what)?;
                self.defined[id] = true;
            }
        }
        Ok(())
    }
}

/// The least number of tiles that one thread takes; all tiles if a fork does not pay.
fn grain(tiles: i64, flops: i64, bytes: i64) -> i64 {
    let nanoseconds = flops.max(0) / FLOPS_PER_NANOSECOND + bytes.max(0) / BYTES_PER_NANOSECOND;
    if nanoseconds < SERIAL_NANOSECONDS {
        return tiles.max(1);
    }
    (i128::from(tiles) * i128::from(GRAIN_NANOSECONDS) / i128::from(nanoseconds)).max(1) as i64
}

/// The value of an expression for a size, which must not be negative.
fn size(expr: &Expr, symbols: &[i64], what: impl Fn() -> String) -> Result<u64, Error> {
    let value = evaluate(expr, symbols, &what)?;
    u64::try_from(value).map_err(|_| Error::Size { what: what(), problem: format!("a size is {value}") })
}

fn beyond(what: String, end: u64, limit: u64) -> Error {
    Error::Size { what, problem: format!("it needs {end} bytes where there are {limit}") }
}

#[cfg(test)]
mod tests {
    use super::grain;

    #[test]
    fn work_is_shared_where_a_fork_pays() {
        // 4 us of arithmetic, or of memory traffic: the caller takes all tiles at once.
        assert_eq!(grain(100, 4000 * 32, 0), 100);
        assert_eq!(grain(100, 0, 4000 * 16), 100);
        assert_eq!(grain(0, 0, 0), 1);
        // 100 us in 1000 tiles: pieces of 1 us.
        assert_eq!(grain(1000, 50_000 * 32, 50_000 * 16), 10);
        assert_eq!(grain(7, i64::MAX, 0), 1);
    }
}
