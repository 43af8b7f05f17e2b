//! Race detection: who read and wrote each element of shared and global memory.

use crate::memory::Memory;
use mlcc_ir::{
    diagnostic::{Diagnostic, Result},
    kernel::Combine,
    tensor::Element,
};

/// Who accesses memory, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Block of the grid, or iteration of the parallel loops.
    pub(super) block: u32,
    /// Thread of the block.
    pub(super) thread: u32,
    /// Number of barriers passed.
    pub(super) epoch: u32,
}

impl Stamp {
    /// Whether nothing orders an access at `other` before one at `self`.
    fn races(self, other: Stamp) -> bool {
        self.block != other.block || (self.epoch == other.epoch && self.thread != other.thread)
    }
}

/// The accesses of one element that matter for later ones.
#[derive(Clone, Copy, Debug, Default)]
struct History {
    writer: Option<(Stamp, Option<Combine>)>,
    reader: Option<Stamp>,
    /// Another thread that read in the same block and epoch as `reader`.
    second: Option<Stamp>,
    /// A reader in another block than `reader`.
    foreign: Option<Stamp>,
}

/// An element of memory that is accessed.
#[derive(Clone, Copy)]
pub(super) struct Cell<'a> {
    pub(super) buffer: usize,
    pub(super) memory: &'a Memory,
    pub(super) offset: usize,
}

/// The histories of all elements.
pub(super) struct Tracker {
    histories: Vec<Vec<History>>,
}

impl Tracker {
    pub(super) fn new(memories: &[Memory]) -> Tracker {
        Tracker { histories: memories.iter().map(|m| vec![History::default(); m.elements.len()]).collect() }
    }

    /// Forgets the accesses of a buffer: a new block has a new one.
    pub(super) fn clear(&mut self, buffer: usize) {
        self.histories[buffer].fill(History::default());
    }

    pub(super) fn read(&mut self, cell: Cell<'_>, by: Stamp) -> Result<()> {
        let history = &mut self.histories[cell.buffer][cell.offset];
        if let Some((writer, _)) = history.writer
            && by.races(writer)
        {
            return Err(race(cell, "read", by, "written", writer));
        }
        match history.reader {
            Some(reader) if reader.block != by.block => {
                history.foreign = Some(reader);
                (history.reader, history.second) = (Some(by), None);
            }
            Some(reader) if reader.epoch == by.epoch => {
                if reader.thread != by.thread {
                    history.second = Some(by);
                }
            }
            _ => (history.reader, history.second) = (Some(by), None),
        }
        Ok(())
    }

    /// A write of `value`; `combine` where it is an atomic combination.
    pub(super) fn write(
        &mut self,
        cell: Cell<'_>,
        by: Stamp,
        value: Element,
        combine: Option<Combine>,
    ) -> Result<()> {
        let history = &mut self.histories[cell.buffer][cell.offset];
        if let Some((writer, how)) = history.writer
            && by.races(writer)
        {
            let atomic = combine.is_some() && combine == how;
            if !atomic && cell.memory.elements[cell.offset] != Some(value) {
                return Err(race(cell, "written", by, "written", writer));
            }
        }
        let readers = [history.reader, history.second, history.foreign];
        if let Some(reader) = readers.into_iter().flatten().find(|&r| by.races(r)) {
            return Err(race(cell, "written", by, "read", reader));
        }
        history.writer = Some((by, combine));
        Ok(())
    }
}

fn race(cell: Cell<'_>, now: &str, by: Stamp, before: &str, other: Stamp) -> Diagnostic {
    let memory = cell.memory;
    let (mut rest, mut at) = (cell.offset as i64, vec![0; memory.dims.len()]);
    for (at, &dim) in at.iter_mut().zip(&memory.dims).rev() {
        (*at, rest) = (rest % dim, rest / dim);
    }
    let who = |s: Stamp| format!("block {}, thread {}, after {} barriers", s.block, s.thread, s.epoch);
    Diagnostic::internal(format!(
        "race on '{}' at {at:?}: {now} by {} and {before} by {}",
        memory.name,
        who(by),
        who(other)
    ))
}
