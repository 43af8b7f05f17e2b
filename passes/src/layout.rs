//! Layouts: in which order the dimensions of a program's intermediates lie in memory.
//!
//! | Pass | Does |
//! |---|---|
//! | [`assign_layouts`] | puts the channels of images innermost, over whole chains of kernels |

pub mod assign_layouts;
mod permute;
