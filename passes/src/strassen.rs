//! Strassen's multiplication of matrices, in Winograd's form: seven products of quarters instead of eight.
//!
//! ```text
//! [A11 A12] [B11 B12]   [C11 C12]        seven sums of A's quarters, seven of B's: Pe = Se Te
//! [A21 A22] [B21 B22] = [C21 C22]   =>   C's quarters are sums of the Pe
//! ```
//!
//! Where products already run at a core's peak, only fewer multiplications can save time: an eighth, less the
//! sums. The sums of B are made at compile time if B is a constant. Rows are divided into even and odd ones,
//! so that the same iteration makes both rows of a pair. Columns and terms are divided in the middle.
//!
//! | Module | What |
//! |---|---|
//! | [`algorithm`] | which sums, and weights in the transformed form |
//! | [`cost`] | which products it pays for |
//! | [`budget`] | which of them, where weights may grow so much and no more |
//! | [`recognise`] | products by their index maps |
//! | [`computes`] | the three kernels |
//! | [`strassen_products`] | the pass |
//!
//! Sources: Strassen, "Gaussian Elimination is not Optimal"; Winograd, "On Multiplication of 2 x 2
//! Matrices" (fifteen additions); Huang et al., "Strassen's Algorithm Reloaded" (one level pays where sizes
//! are some hundreds).

pub mod algorithm;
pub mod budget;
mod computes;
pub mod cost;
mod recognise;
pub mod strassen_products;
