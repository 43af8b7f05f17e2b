//! The artifact: one file that holds a compiled model.
//!
//! An artifact consists of a header, which is a table of checksummed sections, and of four
//! sections, each page aligned so that it can be mapped on its own. Every byte is covered: the
//! header and the sections have checksums, and the bytes between them must be zero.
//!
//! | Section | Encoding | Content |
//! |---|---|---|
//! | weights | raw, 64-byte aligned blobs | constants, already packed for their kernels |
//! | code | raw, position independent | machine code and read-only data of all kernels |
//! | plan | postcard | the host program: [`Plan`] |
//! | manifest | JSON | signature, target, provenance: [`Manifest`] |
//!
//! [`ArtifactWriter`] streams an artifact to disk, [`Artifact`] maps and checks one, and [`verify`]
//! proves that a plan stays within its buffers, kernels and symbols. Nothing here executes
//! anything; `mlcc-runtime` does.

mod checksum;
mod dtype;
mod error;
mod expr;
mod header;
mod manifest;
mod memory;
mod plan;
mod read;
mod verify;
mod write;

pub use dtype::DType;
pub use error::FormatError;
pub use expr::{BinaryOp, EvalError, Expr, ExprDisplay, MAX_EXPR_DEPTH};
pub use header::{
    FORMAT_VERSION, SECTION_ALIGNMENT, Section, SectionKind, WEIGHT_ALIGNMENT, begins_artifact,
};
pub use manifest::{Counts, Dim, KernelInfo, Manifest, Refused, Signature, Target, TargetKind, ValueInfo};
pub use memory::MemoryUse;
pub use plan::{
    Block, BlockId, BufferDef, BufferId, Call, Check, Condition, Instruction, KernelEntry, Launch, Loop,
    Place, Plan, RuntimeFunction, SymbolDef, SymbolId,
};
pub use read::{Artifact, WeightsCheck};
pub use verify::{Limits, verify};
pub use write::{ArtifactWriter, Blob};
