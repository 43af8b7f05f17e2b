//! Executes the instructions of a plan.

use crate::functions;
use crate::model::Inner;
use crate::state::{Slot, State};
use crate::tensor::{Tensor, TensorMut};
use crate::{Error, bind};
use mlcc_format::{BlockId, BufferId, DType, Instruction, Launch, Loop, Place};

/// Copies above this size are shared among the threads, in pieces of this size.
const COPY_PIECE: u64 = 256 << 10;

/// The memory of the outputs.
pub(crate) enum Outputs<'a, 'b> {
    /// In the caller's memory.
    Caller(&'a mut [TensorMut<'b>]),
    /// In tensors that are made as soon as their shapes are known.
    Owned(&'a mut Vec<Option<Tensor>>),
}

/// A run of a plan.
pub(crate) struct Run<'a, 'b> {
    pub(crate) model: &'a Inner,
    pub(crate) state: &'a mut State,
    pub(crate) outputs: Outputs<'a, 'b>,
}

/// Addresses that are passed to other threads.
#[derive(Clone, Copy)]
pub(crate) struct Shared<T>(pub(crate) *mut T);

// SAFETY: the pointers are to memory that lives until the pool's `run` returned; what the threads do
// with it is the kernels' contract: they write disjoint tiles.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// The address `count` elements further on.
    pub(crate) fn at(&self, count: usize) -> *mut T {
        self.0.wrapping_add(count)
    }
}

impl Run<'_, '_> {
    /// Gives memory to the outputs whose shapes are known, then executes block 0.
    pub(crate) fn execute(&mut self) -> Result<(), Error> {
        for (id, buffer) in self.model.plan.buffers.iter().enumerate() {
            if let Place::Output(output) = buffer.place
                && !self.model.program.late[id]
            {
                self.provide(id, output as usize)?;
            }
        }
        self.block(0)
    }

    /// Gives an output its memory.
    fn provide(&mut self, id: usize, output: usize) -> Result<(), Error> {
        let (model, state) = (self.model, &mut *self.state);
        let value = &model.manifest.signature.outputs[output];
        let (address, len) = match &mut self.outputs {
            Outputs::Caller(tensors) => {
                let tensor = &mut tensors[output];
                bind::same_shape(bind::Side::Output, &model.manifest, value, tensor.dims, &state.symbols)?;
                let len = tensor.data.len();
                (tensor.data.as_mut_ptr(), len)
            }
            Outputs::Owned(tensors) => {
                let dims = state.dims(model, id as BufferId)?;
                let data = tensors[output].insert(Tensor::zeros(value.dtype, &dims)?).data_mut();
                let len = data.len();
                // The address is taken last: a later use of the elements would end its right to
                // access them.
                (data.as_mut_ptr(), len)
            }
        };
        if model.program.late[id] {
            state.slots[id].bytes = len as u64;
        }
        state.move_to(model, id, address);
        Ok(())
    }

    fn block(&mut self, id: BlockId) -> Result<(), Error> {
        let model = self.model;
        for (i, instruction) in model.plan.blocks[id as usize].instructions.iter().enumerate() {
            match instruction {
                Instruction::Region(launches) => {
                    self.region(model.program.first_launch[id as usize][i] as usize, launches)?;
                }
                Instruction::Alloc(buffer) => match model.plan.buffers[*buffer as usize].place {
                    Place::Output(output) => self.provide(*buffer as usize, output as usize)?,
                    _ => self.state.allocate(model, *buffer)?,
                },
                Instruction::Free(buffer) => self.state.free(*buffer),
                Instruction::Copy { dst, src } => self.copy(*dst, *src)?,
                Instruction::Call(call) => functions::call(model, self.state, call)?,
                Instruction::ReadSymbol { symbol, buffer, element } => {
                    self.read_symbol(*symbol, *buffer, *element)?;
                }
                Instruction::If { condition, then, otherwise } => {
                    let condition = self.read_bool(*condition)?;
                    self.block(if condition { *then } else { *otherwise })?;
                }
                Instruction::Loop(repeat) => self.repeat(repeat)?,
            }
        }
        Ok(())
    }

    fn region(&mut self, first: usize, launches: &[Launch]) -> Result<(), Error> {
        let (model, state) = (self.model, &mut *self.state);
        for (number, launch) in (first..).zip(launches) {
            let info = &model.program.launches[number];
            if info.late {
                let symbols = std::mem::take(&mut state.symbols);
                let sized = state.size_launch(model, number, launch, &symbols);
                state.symbols = symbols;
                sized?;
            }
            for (i, id) in launch.buffers.iter().enumerate() {
                state.arguments[info.arguments + i] = state.slot(model, *id)?.address;
            }
        }
        let arguments = Shared(state.arguments.as_mut_ptr());
        let sizes = Shared(state.sizes.as_mut_ptr());
        let scratch = Shared(state.scratch.as_mut_ptr());
        let stride = state.scratch_stride as usize;
        let body = |step: usize, participant: usize, begin: i64, end: i64| {
            let info = &model.program.launches[first + step];
            let (arguments, sizes) = (arguments.at(info.arguments), sizes.at(info.sizes));
            let memory = (arguments.cast_const(), sizes.cast_const(), scratch.at(participant * stride));
            // SAFETY: the kernel gets what its launch states: live buffers of at least the sizes
            // that the plan gives them, its sizes, and scratch memory that no other participant
            // has, for participants are fewer than the pool's threads. That it keeps to these is
            // what the compiler vouches for.
            unsafe { model.code.call(launches[step].kernel, memory, (begin, end)) };
        };
        let steps = &state.steps[first..first + launches.len()];
        match &mut state.profile {
            None => model.pool.run(steps, &body),
            Some(profile) => {
                let timed = |step: usize, participant: usize, begin: i64, end: i64| {
                    let run = || body(step, participant, begin, end);
                    profile.record(first + step, participant, (begin, end), run);
                };
                model.pool.run(steps, &timed);
                profile.collect();
            }
        }
        Ok(())
    }

    fn copy(&mut self, dst: BufferId, src: BufferId) -> Result<(), Error> {
        let (to, from) = (self.state.slot(self.model, dst)?, self.state.slot(self.model, src)?);
        if to.bytes != from.bytes {
            let name = &self.model.plan.buffers[dst as usize].name;
            let problem = format!("a copy of {} bytes to {}", from.bytes, to.bytes);
            return Err(Error::Size { what: format!("buffer '{name}'"), problem });
        }
        let bytes = to.bytes;
        let apart = (to.address as usize).abs_diff(from.address as usize) as u64 >= bytes;
        let (to, from) = (Shared(to.address), Shared(from.address));
        // An overlapping copy is not split, because its pieces would overwrite each other's source.
        let piece = if apart { COPY_PIECE } else { bytes.max(1) };
        let step = crate::pool::Step { tiles: bytes.div_ceil(piece) as i64, grain: 1, waits: true };
        let body = |_: usize, _: usize, begin: i64, end: i64| {
            let at = begin as u64 * piece;
            let len = (end as u64 * piece).min(bytes) - at;
            // SAFETY: both slots have `bytes` live bytes, of which pieces of different threads are
            // disjoint; `copy` allows that the two overlap.
            unsafe { std::ptr::copy(from.at(at as usize), to.at(at as usize), len as usize) };
        };
        self.model.pool.run(&[step], &body);
        Ok(())
    }

    fn repeat(&mut self, repeat: &Loop) -> Result<(), Error> {
        let trips = match repeat.trip_count {
            Some(id) => self.read_integer(id, 0)?,
            None => i64::MAX,
        };
        for iteration in 0..trips.max(0) {
            if let Some(id) = repeat.condition
                && !self.read_bool(id)?
            {
                break;
            }
            if let Some(id) = repeat.iteration {
                let at = self.element(id, 0)?.cast::<i64>();
                // SAFETY: `element` proved that an element lies there; the verifier proved that the
                // buffer is writable and of type i64.
                unsafe { at.write_unaligned(iteration) };
            }
            self.block(repeat.body)?;
        }
        Ok(())
    }

    fn read_symbol(&mut self, symbol: u32, buffer: BufferId, element: u32) -> Result<(), Error> {
        let value = self.read_integer(buffer, element)?;
        if value < 0 {
            let name = &self.model.manifest.symbols[symbol as usize];
            return Err(Error::Size {
                what: format!("symbol '{name}'"),
                problem: format!("a size is {value}"),
            });
        }
        self.state.define(self.model, symbol, value)
    }

    /// The address of an element, proven to lie within the buffer.
    fn element(&self, id: BufferId, element: u32) -> Result<*mut u8, Error> {
        let Slot { address, bytes, .. } = self.state.slot(self.model, id)?;
        let buffer = &self.model.plan.buffers[id as usize];
        let size = buffer.dtype.size() as u64;
        let begin = u64::from(element) * size;
        match begin + size <= bytes {
            true => Ok(address.wrapping_add(begin as usize)),
            false => {
                let problem = format!("it has no element {element}");
                Err(Error::Size { what: format!("buffer '{}'", buffer.name), problem })
            }
        }
    }

    fn read_bool(&self, id: BufferId) -> Result<bool, Error> {
        let at = self.element(id, 0)?;
        // SAFETY: `element` proved that a byte lies there, in a live buffer.
        Ok(unsafe { at.read() } != 0)
    }

    fn read_integer(&self, id: BufferId, element: u32) -> Result<i64, Error> {
        let at = self.element(id, element)?;
        Ok(match self.model.plan.buffers[id as usize].dtype {
            // SAFETY: `element` proved that an element of this type lies there, in a live buffer.
            DType::I32 => i64::from(unsafe { at.cast::<i32>().read_unaligned() }),
            // SAFETY: as above; the verifier proved that the type is i64 where it is not i32.
            _ => unsafe { at.cast::<i64>().read_unaligned() },
        })
    }
}
