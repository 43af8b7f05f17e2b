//! Fusion of kernels by their index maps.
//!
//! No pass here knows an operator by name: passes see a kernel's iteration spaces, index expressions and
//! bodies, so a new operator fuses without being mentioned. Each pass is a pure `decide(&Program) ->
//! Vec<Merge>` and an `apply`, repeated until `decide` finds nothing.
//!
//! | Pass | Merges |
//! |---|---|
//! | [`inline_movement`] | a kernel that only moves elements into the index expressions of its reader |
//! | [`inline_elementwise`] | an elementwise kernel into its only reader, elementwise too |
//! | [`fuse_epilogue`] | an elementwise reader behind the kernel that produces its operand |
//! | [`fuse_attention`] | two products with a softmax between them |
//! | [`split_reductions`] | nothing: it takes a long reduction apart for the threads |
//! | [`fuse_prologue`] | an elementwise producer as a stage in front of a reduction over rows |
//! | [`fuse_operand`] | an elementwise producer as a stage in front of a product that packs its result |
//!
//! Behind them, [`simplify_scalars`] merges the constant factors of the bodies that fusion made.

pub mod fuse_attention;
pub mod fuse_epilogue;
pub mod fuse_operand;
pub mod fuse_prologue;
pub mod inline_elementwise;
pub mod inline_movement;
mod merge;
mod normalised;
pub mod simplify_scalars;
mod splice;
pub mod split_reductions;
mod uses;
mod views;

use mlcc_ir::program::{Program, TensorId};

pub(crate) use uses::is_contraction;

pub use splice::{inline_reads, inline_temporaries};

/// A decision to merge the kernel that writes `tensor` into the one that reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merge {
    /// The intermediate tensor that disappears.
    pub tensor: TensorId,
    /// Index of the step that writes it.
    pub producer: usize,
    /// Index of the step that reads it.
    pub consumer: usize,
}

/// Applies `decide`'s merges, round by round, until it finds none; returns the number of merges.
///
/// Every merge removes a step, so this ends.
pub(crate) fn until_settled(
    program: &mut Program,
    decide: fn(&Program) -> Vec<Merge>,
    apply: fn(&mut Program, &Merge) -> bool,
) -> usize {
    let mut merged = 0;
    loop {
        let plan = decide(program);
        let mut applied: Vec<usize> = Vec::new();
        for merge in &plan {
            // One merge per step and round: the indices of a decision hold until its steps change.
            if applied.contains(&merge.producer) || applied.contains(&merge.consumer) {
                continue;
            }
            if apply(program, merge) {
                applied.extend([merge.producer, merge.consumer]);
            }
        }
        if applied.is_empty() {
            return merged;
        }
        merged += applied.len() / 2;
        merge::drop_removed_steps(program);
    }
}
