//! Winograd's minimal filtering for convolutions with 3x3 windows.
//!
//! A square of `m` by `m` outputs needs a patch of `m + 2` by `m + 2` inputs. Evaluated at the points
//! of a polynomial product, the patch meets the filter elementwise, so that a sum over channels of
//! `(m + 2)²` products replaces one of `9 m²`: 4 instead of 9 multiplications an output for `m = 2`,
//! 2.25 for `m = 4`.
//!
//! ```text
//! y = Aᵀ [ Σc (G w Gᵀ) ⊙ (Bᵀ x B) ] A
//! ```
//!
//! | Module | What |
//! |---|---|
//! | [`algorithm`] | the matrices, and the filters in the transformed domain |
//! | [`cost`] | which convolutions it pays for |
//! | [`recognise`] | convolutions by their index maps |
//! | [`channels_last`] | convolutions whose image or result has its channels first |
//! | [`computes`] | the transforms as computes |
//! | [`winograd_convolution`] | the pass |
//!
//! Sources: Winograd, "Arithmetic Complexity of Computations"; Lavin and Gray, "Fast Algorithms for
//! Convolutional Neural Networks"; Barabasz et al., "Error Analysis and Improving the Accuracy of
//! Winograd Convolution for Deep Neural Networks".

pub mod algorithm;
mod channels_last;
mod computes;
pub mod cost;
mod recognise;
pub mod winograd_convolution;
