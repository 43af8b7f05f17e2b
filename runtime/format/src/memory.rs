//! The memory that a plan needs, and the least that its order of steps allows.

use crate::{BufferId, Instruction, Place, Plan};

/// Memory of a plan whose sizes are known, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryUse {
    /// The arena.
    pub arena: u64,
    /// The scratch memory of one thread.
    pub scratch: u64,
    /// The most memory that is alive at the same time in the order of the plan, including the scratch of
    /// one thread. No arena for this order can be smaller.
    pub peak_live: u64,
}

impl Plan {
    /// The memory that the plan needs. Scratch of symbolic size counts as none, and so do buffers on the
    /// heap.
    pub fn memory_use(&self) -> MemoryUse {
        let mut steps: Vec<(Vec<BufferId>, u64)> = Vec::new();
        if !self.blocks.is_empty() {
            self.collect_steps(0, &mut steps);
        }
        let mut lives: Vec<Option<(usize, usize)>> = vec![None; self.buffers.len()];
        for (at, (buffers, _)) in steps.iter().enumerate() {
            for &id in buffers {
                lives[self.root(id)].get_or_insert((at, at)).1 = at;
            }
        }
        let mut change = vec![0i128; steps.len() + 1];
        for (buffer, life) in self.buffers.iter().zip(&lives) {
            if let (Place::Arena { reserved, .. }, Some((first, last))) = (&buffer.place, life) {
                change[*first] += i128::from(*reserved);
                change[last + 1] -= i128::from(*reserved);
            }
        }
        let mut live = 0;
        let mut peak = 0;
        for ((_, scratch), change) in steps.iter().zip(change) {
            live += change;
            peak = peak.max(live + i128::from(*scratch));
        }
        let scratch = steps.iter().map(|(_, scratch)| *scratch).max().unwrap_or(0);
        MemoryUse { arena: self.arena_bytes, scratch, peak_live: peak as u64 }
    }

    fn root(&self, mut id: BufferId) -> usize {
        while let Place::View { of, .. } = self.buffers[id as usize].place {
            id = of;
        }
        id as usize
    }

    /// The steps of a block, each with the buffers that it touches and its scratch. A nested block is
    /// one step together with the instruction that runs it.
    fn collect_steps(&self, block: usize, steps: &mut Vec<(Vec<BufferId>, u64)>) {
        for instruction in &self.blocks[block].instructions {
            match instruction {
                Instruction::Region(launches) => {
                    for launch in launches {
                        let scratch = launch.scratch_bytes.as_const().unwrap_or(0);
                        steps.push((launch.buffers.clone(), u64::try_from(scratch).unwrap_or(0)));
                    }
                }
                Instruction::Alloc(_) | Instruction::Free(_) => {}
                Instruction::Copy { dst, src } => steps.push((vec![*dst, *src], 0)),
                Instruction::Call(call) => steps.push((call.buffers.clone(), 0)),
                Instruction::ReadSymbol { buffer, .. } => steps.push((vec![*buffer], 0)),
                Instruction::If { condition, then, otherwise } => {
                    let mut inner = vec![(vec![*condition], 0)];
                    self.collect_steps(*then as usize, &mut inner);
                    self.collect_steps(*otherwise as usize, &mut inner);
                    steps.push(joined(inner));
                }
                Instruction::Loop(repeat) => {
                    let own = [repeat.trip_count, repeat.condition, repeat.iteration];
                    let mut inner = vec![(own.into_iter().flatten().collect(), 0)];
                    self.collect_steps(repeat.body as usize, &mut inner);
                    steps.push(joined(inner));
                }
            }
        }
    }
}

fn joined(steps: Vec<(Vec<BufferId>, u64)>) -> (Vec<BufferId>, u64) {
    let scratch = steps.iter().map(|(_, scratch)| *scratch).max().unwrap_or(0);
    (steps.into_iter().flat_map(|(buffers, _)| buffers).collect(), scratch)
}
