//! The plan: the host program of an artifact.
//!
//! A run evaluates the [symbols](SymbolDef) from the shapes of the inputs, tests the
//! [checks](Check), places the [buffers](BufferDef) and executes the blocks' instructions from block 0. Blocks are a
//! flat list and refer to each other by index, forwards only. So neither reading nor verifying a plan recurses without
//! bound, and no cycle can exist.

use crate::{DType, Expr};
use serde::{Deserialize, Serialize};

/// The index of a symbol in [`Plan::symbols`].
pub type SymbolId = u32;
/// The index of a buffer in [`Plan::buffers`].
pub type BufferId = u32;
/// The index of a block in [`Plan::blocks`].
pub type BlockId = u32;

/// The host program of an artifact. Stored as postcard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The symbols, each defined in terms of earlier ones.
    pub symbols: Vec<SymbolDef>,
    /// Conditions on the symbols that must hold at the start of a run.
    pub checks: Vec<Check>,
    /// The buffers; a view comes after its base.
    pub buffers: Vec<BufferDef>,
    /// The kernels: where they begin in the code section.
    pub kernels: Vec<KernelEntry>,
    /// The size of the static arena in bytes.
    pub arena_bytes: u64,
    /// The instruction lists; execution starts in block 0.
    pub blocks: Vec<Block>,
}

/// The source of a symbol's value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SymbolDef {
    /// A dimension of an input.
    InputDim {
        /// The index of the input.
        input: u32,
        /// The dimension, outermost first.
        dim: u32,
    },
    /// A value computed from earlier symbols.
    Computed(Expr),
    /// A value that the run itself finds, by [`Instruction::ReadSymbol`].
    Data,
}

/// A condition on the symbols, tested at the start of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The condition that must hold.
    pub condition: Condition,
    /// The user's mistake if the condition does not hold.
    pub message: String,
}

/// The condition that a [`Check`] demands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condition {
    /// Two values are equal.
    Equal(Expr, Expr),
    /// A value lies between two bounds, both included.
    Range {
        /// The value.
        value: Expr,
        /// The smallest value allowed.
        min: i64,
        /// The largest value allowed.
        max: i64,
    },
}

/// Memory on which instructions work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BufferDef {
    /// A name for messages and dumps.
    pub name: String,
    /// The type of the elements.
    pub dtype: DType,
    /// The logical shape.
    pub dims: Vec<Expr>,
    /// The extent in memory, which a layout with padding makes larger than the shape's.
    pub bytes: Expr,
    /// Where it lies.
    pub place: Place,
}

/// Where a buffer lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// In the caller's memory: the input with this index. Read-only, aligned to its element only.
    Input(u32),
    /// In the caller's memory: the output with this index. Aligned to its element only. If its size depends on
    /// [data](SymbolDef::Data), [`Instruction::Alloc`] makes it.
    Output(u32),
    /// In the weights section. Read-only.
    Constant {
        /// The first byte within the section, a multiple of [`crate::WEIGHT_ALIGNMENT`].
        offset: u64,
        /// The size in bytes.
        len: u64,
    },
    /// In the static arena, planned at compile time.
    Arena {
        /// The first byte within the arena, a multiple of [`crate::WEIGHT_ALIGNMENT`].
        offset: u64,
        /// The bytes reserved; the buffer's size may depend on symbols but never exceeds this.
        reserved: u64,
    },
    /// On the counted heap, from its [`Instruction::Alloc`] to its [`Instruction::Free`].
    Heap,
    /// Within another buffer, which comes earlier.
    View {
        /// The other buffer.
        of: BufferId,
        /// The first byte within it.
        byte_offset: Expr,
    },
}

/// Where a kernel begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelEntry {
    /// The offset of its first instruction within the code section.
    pub offset: u64,
}

/// A list of instructions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// The instructions, executed in order.
    pub instructions: Vec<Instruction>,
}

/// One step of the host program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Instruction {
    /// Kernels in one fork-join, one after the other with a barrier between.
    Region(Vec<Launch>),
    /// Brings a heap buffer into being.
    Alloc(BufferId),
    /// Ends a heap buffer; those left at the end of the run end there.
    Free(BufferId),
    /// Copies all bytes of a buffer to one of the same size.
    Copy {
        /// The buffer written.
        dst: BufferId,
        /// The buffer read.
        src: BufferId,
    },
    /// Calls a named function of the runtime.
    Call(Call),
    /// Gives a [`SymbolDef::Data`] symbol its value: an element of an i32 or i64 buffer, at least 0.
    ReadSymbol {
        /// The symbol.
        symbol: SymbolId,
        /// The buffer read.
        buffer: BufferId,
        /// The element within it.
        element: u32,
    },
    /// Executes one of two blocks.
    If {
        /// A bool buffer whose first element decides.
        condition: BufferId,
        /// Executed if it is true.
        then: BlockId,
        /// Executed if it is false.
        otherwise: BlockId,
    },
    /// Repeats a block.
    Loop(Loop),
}

/// A launch of a kernel: its tiles `0..tiles` in any order, on any threads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// The index of the kernel.
    pub kernel: u32,
    /// The `buffers` of the kernel: first those that it only reads, then those that it writes.
    pub buffers: Vec<BufferId>,
    /// The number of buffers that it only reads.
    pub inputs: u32,
    /// The `sizes` of the kernel.
    pub sizes: Vec<Expr>,
    /// The number of tiles.
    pub tiles: Expr,
    /// The scratch memory that each thread needs, in bytes.
    pub scratch_bytes: Expr,
    /// An estimate of the arithmetic, in floating-point operations of the whole launch. With
    /// `bytes` it decides whether the launch is worth more than one thread.
    pub flops: Expr,
    /// An estimate of the memory traffic of the whole launch, in bytes.
    pub bytes: Expr,
}

/// A call of a named function of the runtime.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The function.
    pub function: RuntimeFunction,
    /// Its buffers, as its documentation says.
    pub buffers: Vec<BufferId>,
    /// Its attributes, as its documentation says.
    pub attributes: Vec<i64>,
}

/// The functions that the runtime offers to plans. New ones are appended, never inserted: a
/// function's number is part of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RuntimeFunction {
    /// Buffers: any tensor, an i64 scalar. Writes the number of elements that are not zero.
    CountNonZero,
    /// Buffers: any tensor, an i64 tensor of shape `[rank, count]`. Writes the coordinates of the
    /// elements that are not zero in row-major order, as ONNX's `NonZero` does.
    NonZero,
    /// Buffers: any tensor, a tensor of the same type with `k` elements along an axis, an i64 tensor of that shape.
    /// Attributes: the axis, 1 for the greatest elements or 0 for the least. Writes them and their positions along the
    /// axis, best first. Of equal elements the earlier one comes first; NaN is greater than all others.
    TopK,
}

impl RuntimeFunction {
    /// All functions, with the names by which programs call them.
    pub const ALL: [(&str, RuntimeFunction); 3] = [
        ("count_non_zero", RuntimeFunction::CountNonZero),
        ("non_zero", RuntimeFunction::NonZero),
        ("top_k", RuntimeFunction::TopK),
    ];

    /// The number of buffers that are read, and the number of those written, which follow them.
    pub fn arity(self) -> (usize, usize) {
        match self {
            RuntimeFunction::CountNonZero | RuntimeFunction::NonZero => (1, 1),
            RuntimeFunction::TopK => (1, 2),
        }
    }
}

/// Repeats a block until its trip count is reached or its condition is false.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loop {
    /// An i64 buffer whose first element limits the iterations; none: no limit.
    pub trip_count: Option<BufferId>,
    /// A bool buffer whose first element is tested before each iteration; none: always true.
    pub condition: Option<BufferId>,
    /// An i64 buffer that gets the iteration's number before each one.
    pub iteration: Option<BufferId>,
    /// What is repeated.
    pub body: BlockId,
}

impl Plan {
    /// For each symbol, whether its value is known only during the run.
    pub fn data_dependent_symbols(&self) -> Vec<bool> {
        let mut dependent = Vec::with_capacity(self.symbols.len());
        for symbol in &self.symbols {
            let is = match symbol {
                SymbolDef::InputDim { .. } => false,
                SymbolDef::Computed(expr) => {
                    expr.any_symbol(|id| dependent.get(id as usize).copied().unwrap_or(false))
                }
                SymbolDef::Data => true,
            };
            dependent.push(is);
        }
        dependent
    }

    /// All launches, in the order of blocks and instructions: the order of a profile.
    pub fn launches(&self) -> impl Iterator<Item = &Launch> {
        self.blocks.iter().flat_map(|block| &block.instructions).flat_map(|instruction| match instruction {
            Instruction::Region(launches) => launches.as_slice(),
            _ => &[],
        })
    }
}
