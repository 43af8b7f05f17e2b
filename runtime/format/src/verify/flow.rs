//! Follows a plan's instructions in the order of execution and checks four things: each buffer lives
//! where it is used, each symbol has its value there, no read-only buffer is written, and blocks nest
//! finitely.

use super::{MAX_PROBLEMS, Verifier};
use crate::{BlockId, BufferId, DType, Expr, Instruction, Launch, Loop, Place, SymbolDef, SymbolId};
use std::fmt;

/// The greatest depth of nested blocks.
const MAX_NESTING: usize = 32;

/// Verifies all instructions of a plan whose tables were found sound.
pub(super) fn walk(verifier: &mut Verifier<'_>) {
    if verifier.plan.blocks.is_empty() {
        return verifier.problem("there is no block 0".into());
    }
    let state = State {
        live: verifier.allocated.iter().map(|allocated| !allocated).collect(),
        defined: verifier.dependent.iter().map(|dependent| !dependent).collect(),
    };
    let used = vec![false; verifier.plan.blocks.len()];
    let at = Position { block: 0, instruction: 0, depth: 1 };
    let mut walk = Walk { verifier, state, used, at };
    walk.block(0, 1);
    let state = walk.state;
    for (id, buffer) in verifier.plan.buffers.iter().enumerate() {
        if matches!(buffer.place, Place::Output(_)) && !state.live[id] {
            verifier.problem(format!("output buffer {id} '{}' never comes into being", buffer.name));
        }
    }
}

/// The state at a point of the execution.
#[derive(Clone)]
struct State {
    /// By buffer; always true for a buffer that needs no `Alloc`.
    live: Vec<bool>,
    /// By symbol.
    defined: Vec<bool>,
}

/// The instruction that is being checked.
#[derive(Clone, Copy)]
struct Position {
    block: BlockId,
    instruction: usize,
    depth: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block {} instruction {}", self.block, self.instruction)
    }
}

struct Walk<'a, 'b> {
    verifier: &'a mut Verifier<'b>,
    state: State,
    /// By block, whether it is used. A block that several others refer to would be walked once for
    /// each, and so on exponentially; the compiler never shares one.
    used: Vec<bool>,
    at: Position,
}

impl Walk<'_, '_> {
    /// Notes a problem of the current instruction.
    fn problem(&mut self, text: impl fmt::Display) {
        let at = self.at;
        self.verifier.problem(format!("{at} {text}"));
    }

    fn require(&mut self, holds: bool, text: impl FnOnce() -> String) {
        if !holds {
            self.problem(text());
        }
    }

    fn block(&mut self, id: BlockId, depth: usize) {
        let Some(block) = self.verifier.plan.blocks.get(id as usize) else {
            return self.problem(format!("refers to block {id}, which does not exist"));
        };
        if depth > MAX_NESTING || std::mem::replace(&mut self.used[id as usize], true) {
            return self.problem(format!("refers to block {id}, which is nested too deeply or used twice"));
        }
        let outer = self.at;
        for (i, instruction) in block.instructions.iter().enumerate() {
            if self.verifier.problems.len() >= MAX_PROBLEMS {
                return;
            }
            self.at = Position { block: id, instruction: i, depth };
            self.instruction(instruction);
        }
        self.at = outer;
    }

    fn nested(&mut self, block: BlockId) {
        match block > self.at.block {
            true => self.block(block, self.at.depth + 1),
            false => self.problem(format!("refers to block {block}, which does not come later")),
        }
    }

    fn instruction(&mut self, instruction: &Instruction) {
        match instruction {
            Instruction::Region(launches) => launches.iter().for_each(|launch| self.launch(launch)),
            Instruction::Alloc(id) => self.alloc(*id),
            Instruction::Free(id) => {
                let heap =
                    self.verifier.plan.buffers.get(*id as usize).is_some_and(|b| b.place == Place::Heap);
                match heap && self.state.live[*id as usize] {
                    true => self.state.live[*id as usize] = false,
                    false => self.problem(format!("frees buffer {id}, which is none or is not alive")),
                }
            }
            Instruction::Copy { dst, src } => {
                self.read(*src);
                self.write(*dst);
            }
            Instruction::Call(call) => {
                let (reads, writes) = call.function.arity();
                if call.buffers.len() != reads + writes {
                    return self.problem(format!(
                        "calls {:?} with {} buffers",
                        call.function,
                        call.buffers.len()
                    ));
                }
                call.buffers[..reads].iter().for_each(|id| self.read(*id));
                call.buffers[reads..].iter().for_each(|id| self.write(*id));
            }
            Instruction::ReadSymbol { symbol, buffer, .. } => {
                self.scalar(*buffer, &[DType::I32, DType::I64]);
                self.define(*symbol);
            }
            Instruction::If { condition, then, otherwise } => self.branch(*condition, *then, *otherwise),
            Instruction::Loop(repeat) => self.repeat(repeat),
        }
    }

    fn alloc(&mut self, id: BufferId) {
        let allocatable = self.verifier.allocated.get(id as usize) == Some(&true);
        if !allocatable || self.state.live[id as usize] {
            return self.problem(format!("allocates buffer {id}, which is none or is alive"));
        }
        let buffer = &self.verifier.plan.buffers[id as usize];
        buffer.dims.iter().chain([&buffer.bytes]).for_each(|expr| self.defined(expr));
        self.state.live[id as usize] = true;
    }

    fn define(&mut self, symbol: SymbolId) {
        let symbols = &self.verifier.plan.symbols;
        if symbols.get(symbol as usize) != Some(&SymbolDef::Data) {
            return self.problem(format!("reads symbol {symbol}, which does not come from data"));
        }
        let defined = &mut self.state.defined;
        defined[symbol as usize] = true;
        // A computed symbol has a value as soon as all symbols that it needs have one.
        for (id, def) in symbols.iter().enumerate() {
            if let SymbolDef::Computed(expr) = def {
                defined[id] |= !expr.any_symbol(|s| !defined[s as usize]);
            }
        }
    }

    fn branch(&mut self, condition: BufferId, then: BlockId, otherwise: BlockId) {
        self.scalar(condition, &[DType::Bool]);
        let before = self.state.clone();
        self.nested(then);
        let after = std::mem::replace(&mut self.state, before);
        self.nested(otherwise);
        let same = self.state.live == after.live;
        self.require(same, || "leaves other buffers alive in one branch than in the other".into());
        for (defined, other) in self.state.defined.iter_mut().zip(after.defined) {
            *defined &= other;
        }
    }

    fn repeat(&mut self, repeat: &Loop) {
        let ends = repeat.trip_count.is_some() || repeat.condition.is_some();
        self.require(ends, || "loops without end".into());
        repeat.trip_count.into_iter().for_each(|id| self.scalar(id, &[DType::I64]));
        repeat.condition.into_iter().for_each(|id| self.scalar(id, &[DType::Bool]));
        if let Some(id) = repeat.iteration {
            self.scalar(id, &[DType::I64]);
            self.write(id);
        }
        let before = self.state.clone();
        self.nested(repeat.body);
        // The body may not have run at all, so the state before it counts.
        let after = std::mem::replace(&mut self.state, before);
        let same = self.state.live == after.live;
        self.require(same, || "ends its body with other buffers alive than it began with".into());
    }

    fn launch(&mut self, launch: &Launch) {
        let kernels = self.verifier.plan.kernels.len();
        if launch.kernel as usize >= kernels || launch.inputs as usize > launch.buffers.len() {
            return self
                .problem(format!("launches kernel {}, which is none or lacks buffers", launch.kernel));
        }
        let (reads, writes) = launch.buffers.split_at(launch.inputs as usize);
        reads.iter().for_each(|id| self.read(*id));
        writes.iter().for_each(|id| self.write(*id));
        let own = [&launch.tiles, &launch.scratch_bytes, &launch.flops, &launch.bytes];
        for expr in launch.sizes.iter().chain(own) {
            let (at, symbols) = (self.at, self.verifier.plan.symbols.len());
            self.verifier.expr(expr, symbols, || at.to_string());
            self.defined(expr);
        }
    }

    /// Demands that all symbols of an expression have their values by now.
    fn defined(&mut self, expr: &Expr) {
        let missing = expr.any_symbol(|id| self.state.defined.get(id as usize) != Some(&true));
        self.require(!missing, || "uses a symbol before it has a value".into());
    }

    fn read(&mut self, id: BufferId) {
        let plan = self.verifier.plan;
        let Some(mut buffer) = plan.buffers.get(id as usize) else {
            return self.problem(format!("uses buffer {id}, which does not exist"));
        };
        let live = self.state.live[self.verifier.roots[id as usize]];
        self.require(live, || format!("uses buffer {id}, which is not alive"));
        self.defined(&buffer.bytes);
        while let Place::View { of, byte_offset } = &buffer.place {
            self.defined(byte_offset);
            buffer = &plan.buffers[*of as usize];
            self.defined(&buffer.bytes);
        }
    }

    fn write(&mut self, id: BufferId) {
        self.read(id);
        if let Some(&root) = self.verifier.roots.get(id as usize) {
            let place = &self.verifier.plan.buffers[root].place;
            let writable = !matches!(place, Place::Input(_) | Place::Constant { .. });
            self.require(writable, || format!("writes buffer {id}, which is read-only"));
        }
    }

    /// A buffer whose first element the host reads or writes.
    fn scalar(&mut self, id: BufferId, dtypes: &[DType]) {
        self.read(id);
        if let Some(buffer) = self.verifier.plan.buffers.get(id as usize) {
            let fits = buffer.bytes.as_const().is_none_or(|bytes| bytes >= buffer.dtype.size() as i64);
            self.require(dtypes.contains(&buffer.dtype) && fits, || {
                format!("takes buffer {id} for a scalar of type {}, which it is not", dtypes[0])
            });
        }
    }
}
