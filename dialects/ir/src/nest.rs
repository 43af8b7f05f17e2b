//! The loop level: HOW a kernel computes. A [`LoopNest`] is a tree of loops around stores.
//!
//! Every axis has a name and a mapping; every buffer a space. Schedule primitives are functions
//! `&LoopNest -> Result<LoopNest>`.

pub mod names;

use crate::{
    Name,
    dtype::DType,
    expr::Expr,
    kernel::{Combine, Role},
    scalar::Body,
    size_range::SizeRanges,
};

/// Where a buffer lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Space {
    /// Memory of the caller.
    Global,
    /// Memory of the running thread; it lasts for the whole kernel call.
    Scratch,
    /// Registers. Every index is a constant after unrolling, apart from vector axes.
    Register,
    /// Shared by the threads of a block (GPU).
    Shared,
}

/// A buffer of a nest, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Buffer {
    /// Name, unique in the nest.
    pub name: Name,
    /// Element type.
    pub dtype: DType,
    /// Dimensions.
    pub dims: Vec<Expr>,
    /// Role in the kernel; `Temporary` for buffers that exist only in the nest.
    pub role: Role,
    /// Where it lives; `Global` unless `role` is `Temporary`.
    pub space: Space,
    /// Whether the caller passes this buffer already packed: a constant operand whose layout the
    /// schedule chose. The packing itself is [`LoopNest::packings`].
    pub packed: bool,
}

/// How an axis is executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mapping {
    /// One point after the other.
    Serial,
    /// One after the other, combining into the same element.
    Reduction,
    /// Distributed over the pool's threads. Only other parallel loops may be around it.
    Parallel,
    /// Lanes of vectors of that many elements; a last partial vector is masked.
    Vector(u32),
    /// Fully unrolled; the extent is a constant.
    Unrolled,
    /// Blocks of the GPU's grid, dimension 0 to 2.
    Block(u8),
    /// Threads of a block, dimension 0 to 2.
    Thread(u8),
}

/// A loop: `for axis in 0..extent`.
#[derive(Clone, Debug, PartialEq)]
pub struct Loop {
    /// Axis name, unique on every path of the nest.
    pub axis: Name,
    /// Number of points; may use axes of enclosing loops.
    pub extent: Expr,
    /// How it runs.
    pub mapping: Mapping,
    /// What it runs.
    pub body: Vec<Node>,
}

/// `if all guards hold: buffer[index] = body`, or the value combined with the element that is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Store {
    /// Index of the buffer.
    pub buffer: usize,
    /// Element; may use the body's values.
    pub index: Vec<Expr>,
    /// Value.
    pub body: Body,
    /// How the value is combined with the element that is there; `None` overwrites.
    pub combine: Option<Combine>,
    /// `(a, b)`: the store happens only where `a < b` for all pairs.
    pub guards: Vec<(Expr, Expr)>,
    /// Whether an index out of bounds skips the store (a scatter) instead of being impossible.
    pub checked: bool,
}

/// An operand of a [`ContractionTile`]: element `(axis, k)` lies at `base + axis * stride + k * k_stride`
/// of the buffer, in elements.
#[derive(Clone, Debug, PartialEq)]
pub struct TileOperand {
    /// Index of the buffer.
    pub buffer: usize,
    /// First element, as an offset into the buffer; uses the axes of enclosing loops.
    pub base: Expr,
    /// Distance of neighbouring rows (A) or columns (B; 1 for a vector load).
    pub stride: Expr,
    /// Distance of neighbouring points of the reduction.
    pub k_stride: Expr,
}

/// Rows of a [`ContractionTile`]'s left operand without a common distance, so that each row has its own address.
/// The rows are the pixels of an image that one tap of a window sees. Source: Dukhan, "The Indirect Convolution
/// Algorithm".
#[derive(Clone, Debug, PartialEq)]
pub struct GatheredRows {
    /// The axis that counts rows in the expressions below.
    pub axis: Name,
    /// First element of a row, in elements behind the operand's base.
    pub offset: Expr,
    /// `(a, b)`: a row is read only where `a < b` for all pairs. Elsewhere all its elements are 0.
    pub inside: Vec<(Expr, Expr)>,
}

/// `acc[r, c] += sum over k of a[r, k] * b[k, c]` for a tile of `rows` by `cols`, which may be the first rows and
/// columns of a larger accumulator. `tensorize` makes it, and a micro-kernel template emits its code.
#[derive(Clone, Debug, PartialEq)]
pub struct ContractionTile {
    /// Register buffer of at least `rows` by `cols` elements.
    pub acc: usize,
    /// Rows; a constant of at most 14.
    pub rows: u32,
    /// Columns; a multiple of the vector's lanes.
    pub cols: u32,
    /// Points of the reduction.
    pub k: Expr,
    /// Left operand: scalars, broadcast.
    pub a: TileOperand,
    /// The places of the left operand's rows, if they are gathered; the operand's stride is 0 then.
    pub a_gather: Option<GatheredRows>,
    /// Rows at and beyond this number are not read; they repeat another row. `None` if all rows exist. There is at
    /// least one row.
    pub a_rows: Option<Expr>,
    /// Right operand: vectors.
    pub b: TileOperand,
    /// Columns at and beyond this number are not read (masked to 0); `None` if all may be read.
    pub b_cols: Option<Expr>,
}

/// A node of a nest.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "a nest has few nodes, and tiles stand at its heart")]
pub enum Node {
    /// A loop.
    Loop(Loop),
    /// A store.
    Store(Store),
    /// A contraction micro-kernel.
    Tile(ContractionTile),
    /// All threads of a block wait for each other (GPU).
    Barrier,
}

/// A constant operand that the compiler packs at compile time: the nest fills the buffer `target`
/// (`packed`) from the original operand.
#[derive(Clone, Debug, PartialEq)]
pub struct Packing {
    /// The buffer that is passed packed.
    pub target: usize,
    /// Dimensions of the original operand.
    pub source_dims: Vec<Expr>,
    /// `target[axes] = source[index]`, 0 where the index is out of bounds. The axes are `%p0`, `%p1`, ...,
    /// one a dimension of `target`.
    pub index: Vec<Expr>,
}

/// Data that a later iteration of a loop reads is fetched while an earlier one computes. A hint: it changes no
/// value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Index of the buffer, an input.
    pub buffer: usize,
    /// The loop.
    pub axis: Name,
    /// The distance in iterations between the fetch and the read; nothing is fetched beyond the last iteration.
    pub ahead: u32,
    /// The vector loop inside it that reads the buffer. Every vector of this loop fetches its later counterpart.
    pub with: Name,
}

/// A kernel's loops.
#[derive(Clone, Debug, PartialEq)]
pub struct LoopNest {
    /// The kernel's name.
    pub name: Name,
    /// ONNX nodes that it implements.
    pub nodes: Vec<Name>,
    /// Symbols on which it depends, sorted; passed by the caller in this order.
    pub symbols: Vec<Name>,
    /// What is known of them.
    pub ranges: SizeRanges,
    /// Operands in the kernel's order (inputs, then outputs), then temporaries.
    pub buffers: Vec<Buffer>,
    /// The nest.
    pub body: Vec<Node>,
    /// Operands packed at compile time.
    pub packings: Vec<Packing>,
    /// Outputs that are larger than the caches, in ascending order. Writes to them bypass the caches if the machine
    /// can do so.
    pub streamed: Vec<usize>,
    /// Reads that are begun ahead of time.
    pub fetches: Vec<Fetch>,
}

impl LoopNest {
    /// Extent of the parallel range that the caller distributes: the product of the outermost
    /// parallel loops' extents, or 1.
    #[must_use]
    pub fn tiles(&self) -> Expr {
        let mut tiles = Expr::from(1);
        let mut body = &self.body;
        while let [Node::Loop(l)] = &body[..]
            && l.mapping == Mapping::Parallel
        {
            tiles = tiles * l.extent.clone();
            body = &l.body;
        }
        tiles
    }

    /// Calls `visit` for every node, parents first.
    pub fn visit(&self, visit: &mut dyn FnMut(&Node)) {
        fn go(nodes: &[Node], visit: &mut dyn FnMut(&Node)) {
            for node in nodes {
                visit(node);
                if let Node::Loop(l) = node {
                    go(&l.body, visit);
                }
            }
        }
        go(&self.body, visit);
    }
}
