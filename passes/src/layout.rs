//! Layouts: the order in memory of the dimensions of a program's intermediates.
//!
//! | Pass | Does |
//! |---|---|
//! | [`assign_layouts`] | puts the channels of images innermost, over whole chains of kernels |
//! | [`place_concatenations`] | lets parts of a concatenation be written where the whole lies |

pub mod assign_layouts;
pub(crate) mod permute;
pub mod place_concatenations;
