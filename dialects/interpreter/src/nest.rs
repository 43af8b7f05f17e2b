//! The loop level: loop nests, on one thread or on a simulated GPU.
//!
//! A nest with block or thread axes is a GPU's: every block of the grid runs its threads from barrier to
//! barrier, in a random order given by a seed. A block or thread loop runs only in blocks or threads
//! whose number along the dimension is below its extent. Every thread executes the code outside of thread
//! loops. Shared buffers exist once per block, registers and scratch once per thread.
//!
//! Two accesses of one element of shared or global memory by different threads are reported as a race if
//! at least one is a write and no barrier orders them. Nothing orders accesses of different blocks.
//! Stores that combine in the same way are atomic, and equal values may be written twice. The iterations
//! of a CPU nest's parallel loops are checked like blocks.

mod compile;
mod pack;
mod race;
mod thread;

pub use pack::pack;

use crate::{Symbols, evaluate_expr, memory::Memory};
use compile::{Code, Compiled};
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    kernel::Role,
    nest::{LoopNest, Space},
    tensor::Tensor,
};
use race::Tracker;
use thread::{Machine, Pause, Thread};

/// Runs a nest. `inputs` are its `Input` buffers in order, then the values on entry of its `InOut`
/// buffers in order; operands that the nest takes packed are given as they were and packed here. The
/// results are its `Output` and `InOut` buffers in their common order. `seed` decides the order of
/// blocks and threads.
///
/// # Errors
/// If an access is out of bounds, an element is read before it is written, threads race, only some
/// threads of a block reach a barrier, or the nest is malformed.
pub fn run(nest: &LoopNest, symbols: &Symbols, inputs: &[Tensor], seed: u64) -> Result<Vec<Tensor>> {
    run_all(nest, symbols, inputs, seed).map_err(|mut e| {
        e.message = format!("nest '{}': {}", nest.name, e.message);
        e
    })
}

fn run_all(nest: &LoopNest, symbols: &Symbols, inputs: &[Tensor], seed: u64) -> Result<Vec<Tensor>> {
    let of_role = |role| (0..nest.buffers.len()).filter(move |&b| nest.buffers[b].role == role);
    let given: Vec<usize> = of_role(Role::Input).chain(of_role(Role::InOut)).collect();
    if given.len() != inputs.len() {
        return Err(Diagnostic::internal(format!(
            "takes {} buffers, but {} are given",
            given.len(),
            inputs.len()
        )));
    }
    let code = Compiled::new(nest, symbols)?;
    let mut memories = Vec::with_capacity(nest.buffers.len());
    for (b, buffer) in nest.buffers.iter().enumerate() {
        let dims = buffer.dims.iter().map(|d| evaluate_expr(d, symbols)).collect::<Result<Vec<_>>>()?;
        let packing = nest.packings.iter().find(|p| p.target == b);
        memories.push(match given.iter().position(|&g| g == b) {
            Some(at) => {
                let packed = match packing {
                    Some(packing) => pack(nest, packing, symbols, &inputs[at])?,
                    None => inputs[at].clone(),
                };
                Memory::holding(&buffer.name, buffer.dtype, dims, &packed)?
            }
            None => Memory::unwritten(&buffer.name, buffer.dtype, dims)?,
        });
    }
    let memories = launch(nest, &code, memories, seed)?;
    let is_result = |b: &usize| matches!(nest.buffers[*b].role, Role::Output | Role::InOut);
    let results = memories.into_iter().enumerate().filter(|(b, _)| is_result(b));
    results.map(|(_, memory)| memory.into_tensor()).collect()
}

/// All blocks of the grid, one after the other in random order.
fn launch(nest: &LoopNest, code: &Compiled, memories: Vec<Memory>, seed: u64) -> Result<Vec<Memory>> {
    let private: Vec<bool> =
        nest.buffers.iter().map(|b| matches!(b.space, Space::Register | Space::Scratch)).collect();
    // Private memory moves into each thread; a template of it remains here.
    let template: Vec<Memory> =
        memories.iter().zip(&private).filter(|(_, p)| **p).map(|(m, _)| m.clone()).collect();
    let tracker = (code.is_gpu() || code.has_tiles()).then(|| Tracker::new(&memories));
    let mut machine = Machine { memories, tracker, private: &private, block: [0; 3], epoch: 0, tile: 0 };
    let mut random = Random(seed);
    for block in random.shuffled(points(code.grid)?) {
        machine.block = block;
        machine.epoch = 0;
        machine.tile += 1;
        for b in (0..nest.buffers.len()).filter(|&b| nest.buffers[b].space == Space::Shared) {
            machine.memories[b].clear();
            machine.tracker.iter_mut().for_each(|t| t.clear(b));
        }
        run_block(code, &mut machine, &template, &mut random)?;
    }
    Ok(machine.memories)
}

/// All threads of a block, from barrier to barrier.
fn run_block(
    code: &Compiled,
    machine: &mut Machine<'_>,
    template: &[Memory],
    random: &mut Random,
) -> Result<()> {
    let points = points(code.threads)?;
    let mut threads: Vec<Thread<'_>> = points
        .into_iter()
        .enumerate()
        .map(|(i, id)| Thread::new(code, i as u32, id, template.to_vec()))
        .collect();
    loop {
        let mut pauses: Vec<Option<Pause>> = vec![None; threads.len()];
        for i in random.shuffled((0..threads.len()).collect()) {
            pauses[i] = Some(threads[i].resume(machine)?);
        }
        let mut pauses = pauses.into_iter().flatten();
        let first = pauses.next().unwrap_or(Pause::End);
        if pauses.any(|p| p != first) {
            let what = format!("only some threads of block {:?} reach a barrier", machine.block);
            return Err(Diagnostic::internal(what));
        }
        if first == Pause::End {
            return Ok(());
        }
        machine.epoch += 1;
    }
}

/// More blocks and threads than this are refused.
const MAX_POINTS: i64 = 1 << 26;

fn points(extents: [i64; 3]) -> Result<Vec<[i64; 3]>> {
    let count = extents.iter().try_fold(1i64, |n, &e| n.checked_mul(e.max(0)));
    if count.is_none_or(|n| n > MAX_POINTS) {
        return Err(Diagnostic::internal(format!("a grid of {extents:?} is too large to interpret")));
    }
    let [x, y, z] = extents;
    Ok((0..z).flat_map(|k| (0..y).flat_map(move |j| (0..x).map(move |i| [i, j, k]))).collect())
}

/// A small generator: orders need not be unpredictable, only varied and repeatable.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn shuffled<T>(&mut self, mut items: Vec<T>) -> Vec<T> {
        for i in (1..items.len()).rev() {
            items.swap(i, (self.next() % (i as u64 + 1)) as usize);
        }
        items
    }
}

impl Compiled {
    fn is_gpu(&self) -> bool {
        self.on_gpu
    }

    fn has_tiles(&self) -> bool {
        matches!(&self.body[..], [Code::Loop { tile: true, .. }])
    }
}

#[cfg(test)]
mod tests;
